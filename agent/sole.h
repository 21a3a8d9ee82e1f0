// SPDX-License-Identifier: Apache-2.0
/*
 * sole.h - one agent for each host (network namespace), whatever directories it is given.
 *
 * The locks of the run and pin directories keep out an agent with the same ones. Another one with
 * directories of its own would put a second datapath on the same uplink. So an agent also holds an
 * abstract Unix socket, whose names belong to the network namespace: it goes with the process,
 * however that ends, and the kernel says whose it is. Whoever connects is let go at once. And it
 * looks for what an agent that is gone left pinned elsewhere.
 */
#ifndef SF_AGENT_SOLE_H
#define SF_AGENT_SOLE_H

#include <stddef.h>

struct event;
struct host;

struct sole {
	int fd; /* the lock, a listening socket; 0: none */
	struct event *readable, *pause;
};

/**
 * sole_open() - (the namespace's cookie is known) take the lock, look for another's pins.
 * Return: 0; -EBUSY with @err naming who serves this host, by which lock or pin; other -errno.
 */
int sole_open(struct host *h, char *err, size_t errlen);

/** sole_close() - let go of the lock. */
void sole_close(struct host *h);

#endif
