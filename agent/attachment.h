// SPDX-License-Identifier: Apache-2.0
/*
 * attachment.h - an uplink by which the host is joined, or tries to be: its link, the join at the
 * access router that answers there, the session with it. A host has several.
 *
 * Theory of operation
 *
 * Each link on which a router may be found has an attachment. One of those that have joined is
 * *primary*: new flows leave by it, services are registered at its router, its locator is the
 * host's (struct sf_host_config). The others have joined too, as *standby*: a place is kept for the
 * host there, with route, programs and heartbeats, but no service is registered. So a change of the
 * primary needs no JOIN. Which one it is, prefer.h decides whenever something changes.
 *
 * When another becomes primary the kernel is told first, then its router gets all registrations;
 * only when it has confirmed them the former one is asked for a place as standby, by a JOIN, which
 * ends what was registered there. In between there are registrations at both, and none is missing.
 *
 * A place that is not the primary's any more is the host's still, as long as it is joined there: it
 * stays in map `uplinks`, and flows may be there. One whose link is down goes, once another is
 * primary; the last one never does, for there is nothing better.
 *
 * While no attachment is usable one JOIN, the *search*, goes out by all links, and who answers
 * first is primary. Else each attachment joins by itself, as standby.
 */
#ifndef SF_AGENT_ATTACHMENT_H
#define SF_AGENT_ATTACHMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/heartbeat.h"
#include "agent/join.h"
#include "agent/session.h"
#include "core/addr.h"
#include "util/netlink.h"

struct host;
struct event;

#define ATTACHMENTS_MAX 64 /* links that are looked at; of these SF_UPLINKS_MAX may be joined */

/**
 * struct attachment
 * @link: as last heard of; ifindex 0: it was removed, and is known by its name
 * @rank: in the configured order (prefer.h)
 * @since_ms: since when it is usable, monotonic; 0: it is not
 * @adopted_ms: an earlier agent was joined here: until then we count as such, while we join again;
 *              0: not so
 * @held: its router may have registrations of ours
 */
struct attachment {
	struct host *host;
	struct attachment *next;
	struct sf_nl_link link;
	uint32_t rank;
	uint64_t since_ms;
	uint64_t adopted_ms;
	bool held;
	struct join join;
	struct session session;
	struct heartbeat heartbeat;
};

struct attachments {
	struct attachment *first; /* in the order in which they came */
	struct attachment *primary;
	unsigned int n;
	bool crowded;	     /* there were more links than ATTACHMENTS_MAX: said once */
	struct event *timer; /* when the choice is to be made anew */
};

/** attachments_open() - (the datapath is open) none, or those of an earlier agent. Return: 0 or
 * -errno with @err. */
int attachments_open(struct host *h, char *err, size_t errlen);

/** attachments_begin() - look for links, and join. */
void attachments_begin(struct host *h);

/** attachments_close() - forget them all. */
void attachments_close(struct host *h);

/** attachments_leave() - say LEAVE at each router, and wait for their answers, at most @wait_ms
 * each. */
void attachments_leave(struct host *h, unsigned int wait_ms);

#define attachment_foreach(h, a) \
	for (struct attachment *a = (h)->attachments.first; a; a = (a)->next)

/** attachment_primary() - the primary one, be it lost; NULL: the host has never joined. */
struct attachment *attachment_primary(const struct host *h);

/** attachment_by_name() - by the link's name; NULL: none. */
struct attachment *attachment_by_name(const struct host *h, const char *name);

/** attachment_of_place() - the one where the host is at @place (its socketID is not looked at);
 * NULL: none, it is no place of ours. */
struct attachment *attachment_of_place(const struct host *h, const struct sf_addr *place);

/** attachment_of_link() - by index; NULL: none. */
struct attachment *attachment_of_link(const struct host *h, int ifindex);

/** attachment_get() - the same, made if there is none. Return: it, or NULL (said in the log). */
struct attachment *attachment_get(struct host *h, const struct sf_nl_link *link);

/** attachment_usable() - joined, its link up, its router heard: flows can be there. */
bool attachment_usable(const struct attachment *a);

/**
 * attachment_has_place() - whether what it got by its join is in force in the kernel: it is joined,
 * or was and its link is up, or there is nothing better.
 */
bool attachment_has_place(const struct attachment *a);

/** attachment_why_not() - why nothing can be moved to it, for people; NULL: it can. */
const char *attachment_why_not(const struct attachment *a);

/** attachment_state_name() - "joining", "joined", "lost", "link-down", "elsewhere". */
const char *attachment_state_name(const struct attachment *a);

/**
 * attachment_changed() - whether it is usable, or may have changed: its link, its join. Chooses the
 * primary anew.
 * @why: for the event, if another becomes primary by this
 */
void attachment_changed(struct attachment *a, const char *why);

/**
 * attachment_joined() - its router has given it a place.
 * @before: the place before; zero: none
 */
void attachment_joined(struct attachment *a, const struct sf_addr *before);

/** attachments_settled() - the primary's router has confirmed something: former ones may be
 * released of what they hold. */
void attachments_settled(struct host *h);

/** attachments_apply() - bring set-up and datapath in line. */
void attachments_apply(struct host *h);

#endif
