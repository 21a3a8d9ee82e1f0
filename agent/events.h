// SPDX-License-Identifier: Apache-2.0
/* events.h - the recent past of this host for operators: a ring of events, and who follows it. */
#ifndef SF_AGENT_EVENTS_H
#define SF_AGENT_EVENTS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define EVENTS_KEPT 1024

struct sf_http_req;
struct events_follower;

struct events {
	json_t *ring[EVENTS_KEPT];
	uint64_t next; /* number of the next event; the first is 1 */
	struct events_follower *followers;
	size_t n_followers;
};

void events_open(struct events *e);

/** events_close() - ends the streams of followers, too. */
void events_close(struct events *e);

/**
 * events_add() - keep an event, and send it to followers.
 * @kind: stable word: "joined", "left", "registered", "denied", ...
 * @fields: its further fields (reference is taken), or NULL
 * @fmt: text for people
 */
void events_add(struct events *e, const char *kind, json_t *fields, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** events_since() - array of the kept events with a number above @after. A new reference. */
json_t *events_since(const struct events *e, uint64_t after);

/** events_follow() - stream the kept events above @after, and then new ones, to @req (deferred).
 * Return: 0 or -EUSERS above 64 followers, -ENOMEM: @req is untouched then. */
int events_follow(struct events *e, struct sf_http_req *req, uint64_t after);

#endif
