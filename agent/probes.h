// SPDX-License-Identifier: Apache-2.0
/*
 * probes.h - peer hosts that have fallen silent are asked, and what comes of it (silence.h has the
 * rules; docs/protocol.md, "Silence").
 *
 * PROBEs go to the place where the peer is, never unresolved: another host's answer would be worth
 * nothing. An answer names flows that are dead: their sockets are reset (no-such-socket). Without
 * one for move_grace, all flows with that place are (host-unreachable).
 *
 * Whatever ended a flow, here or in the datapath, is told to the event log as "flow-failed".
 */
#ifndef SF_AGENT_PROBES_H
#define SF_AGENT_PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/gc.h"
#include "agent/silence.h"

struct event;
struct host;

#define PROBES_GROUPS 16

/** struct probes_group - flows that failed alike, told as one. */
struct probes_group {
	uint8_t reason;
	uint64_t count;
	struct sf_tuple tuple; /* of the first */
	struct sf_addr peer;   /* its place; 0: they are of several */
	struct sf_sid service;
	bool inbound;
};

struct probes {
	int in; /* raw socket: answers; PROBEs leave by the one of refuse.h */
	struct event *readable, *timer;
	struct event *rouser; /* runs while some pair's @back is set */
	struct silence silence;
	struct gc_set told, fresh; /* socketIDs of failed flows that were told */
	struct probes_group groups[PROBES_GROUPS];
	size_t n_groups;
	uint64_t asked, answered;
};

/** probes_open() - (privileged) the socket, the timer. Return: 0 or -errno with @err. */
int probes_open(struct host *h, char *err, size_t errlen);
void probes_close(struct host *h);

#endif
