// SPDX-License-Identifier: Apache-2.0
/*
 * sockets.h - from sockets to registrations: events of the hooks, sockets that are older than the
 * agent, and the comparison of both with the kernel's own lists every ten seconds.
 *
 * The kernel is the truth. Events are fast but may be lost (a full ring), and a socket that is
 * older than the hooks releases without one; so listeners are compared with sock_diag: what is
 * missing is entered, what two comparisons in a row do not find is taken away.
 */
#ifndef SF_AGENT_SOCKETS_H
#define SF_AGENT_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/flow.h"

struct host;
struct event;
struct seen;

struct sockets {
	struct event *timer;
	struct seen *seen; /* what sock_diag listed in the scan under way, by key */
	uint64_t scans;
	uint64_t resyncs;
	uint64_t scan_ms; /* when the last one began */
	int hurried;	  /* scans that are due soon, after a loss */
};

/** sockets_open() - take over what the listeners table and sock_diag have. Return: 0 or -errno. */
int sockets_open(struct host *h, char *err, size_t errlen);
void sockets_close(struct host *h);

/** sockets_event() - an event of the hooks. */
void sockets_event(struct host *h, const struct sf_socket_event *ev);

/** sockets_resync() - events were lost: compare at once, and once more, since only what two
 * comparisons miss is taken away. */
void sockets_resync(struct host *h);

/** sockets_hurry() - a manual registration exists: scan every second from now on. */
void sockets_hurry(struct host *h);

/** sockets_on_wildcard() - whether somebody listens on [::]:@port (or 0.0.0.0 by v6 sockets only).
 * @who: out: uid and such of one of them; may be NULL */
bool sockets_on_wildcard(struct host *h, uint8_t proto, __be16 port, struct sf_socket_event *who);

#endif
