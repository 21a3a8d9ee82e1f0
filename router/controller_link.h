// SPDX-License-Identifier: Apache-2.0
/*
 * controller_link.h - the connection to the controller (docs/protocol.md section 5.2).
 *
 * Theory of operation
 *
 * Up: on each connection HELLO, then all that is known here, then UP-SYNCED; deltas after. Messages
 * about one host are gathered until controller_link_flush().
 *
 * Down: WELCOME tells our place. Between SYNC-BEGIN and SYNC-END messages are only kept; SYNC-END
 * executes them all, removes what they did not name, and makes the result effective at once. No
 * service misses a packet meanwhile: rules are replaced one by one, each in one step, and removed
 * last. Deltas are executed as they come. A lower term than the one we hold is refused.
 *
 * Without a controller (none configured, or the connection is lost) all functions do nothing, and
 * what is known stays.
 */
#ifndef SF_ROUTER_CONTROLLER_LINK_H
#define SF_ROUTER_CONTROLLER_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ctrl.h"

struct host;
struct sf_failure;
struct router;

/** controller_link_open() - connect, for ever. Return: 0 or -errno with @err. */
int controller_link_open(struct router *r, char *err, size_t errlen);
void controller_link_close(struct router *r);

/** struct controller_view - the link for people. */
struct controller_view {
	bool configured, open, synced;
	const char *address, *failure; /* why it is not open */
	uint64_t since_ms;	       /* wall clock, of the last change */
};
/** controller_link_view() - as it is now; its texts stay the link's. */
void controller_link_view(const struct router *r, struct controller_view *out);

/** controller_link_joined() - it is here, or has become silent, or is so no more. */
void controller_link_joined(struct router *r, const struct host *h);
/** controller_link_left() - it is here no more. */
void controller_link_left(struct router *r, const struct host *h, uint8_t reason);
/** controller_link_registered() - a new registration, or a new @weight of one. */
void controller_link_registered(struct router *r, const struct host *h,
				const struct sf_service_key *key, uint16_t weight);
/** controller_link_named() - how a host calls a service, after its registration if that is told. */
void controller_link_named(struct router *r, const struct host *h, const char *name);
/** controller_link_unregistered() - a registration is over. */
void controller_link_unregistered(struct router *r, const struct host *h,
				  const struct sf_service_key *key);
/** controller_link_load() - what a host says of a service's load. */
void controller_link_load(struct router *r, const struct host *h, const struct sf_item_load *load);
/** controller_link_alarm() - something about a host that an operator should look at. */
void controller_link_alarm(struct router *r, const struct host *h, uint8_t reason,
			   const char *text);

/** controller_link_failure() - counters moved; @link: where, or NULL. */
void controller_link_failure(struct router *r, const struct sf_failure *f, const char *link);

/**
 * controller_link_lookup() - pass a host's LOOKUP on, under its sequence number @seq.
 * Return: false where there is no controller to ask.
 */
bool controller_link_lookup(struct router *r, const struct host *h, uint32_t seq,
			    const struct sf_item_registration *item);

/** controller_link_flush() - send what was gathered. */
void controller_link_flush(struct router *r);

/** controller_link_tick() - a few times a second: registrations that are no longer fresh. */
void controller_link_tick(struct router *r);

#endif
