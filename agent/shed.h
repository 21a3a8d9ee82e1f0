// SPDX-License-Identifier: Apache-2.0
/*
 * shed.h - an instance of this host takes no new flows (drain), and ends those that it has (shed;
 * paper section 4.2.1).
 *
 * Who asks: the controller, by way of the access router (SHED, docs/protocol.md section 5.1), which
 * sees to new flows itself; or somebody here, by REST, for whom the registration is taken back
 * until undrain, or until the program's socket is closed.
 *
 * A flow that is accepted while we look would be missed: so the table is walked again for a while.
 * As long the kernel refuses new ones, for service routers may not have heard yet, and clients that
 * have lost their flow ask at once.
 */
#ifndef SF_AGENT_SHED_H
#define SF_AGENT_SHED_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/registry.h"

struct event;
struct host;
struct sf_ctrl_in;
struct sf_ctrl_out;
struct sf_http_req;

#define SHED_JOBS 32

/**
 * struct shed_job - a service whose flows are being ended.
 * @key: protocol and port 0: all of the service
 * @turn: how often the table was walked
 * @ended: flows so far, of which @told were told to the event log
 */
struct shed_job {
	struct registration_key key;
	unsigned int turn;
	uint64_t ended, told;
};

struct shed {
	int fd; /* to send FAILs by */
	struct event *timer;
	struct shed_job jobs[SHED_JOBS];
	size_t n;
	uint32_t done; /* highest number of the router's SHEDs in this session */
};

/** shed_open() - before privileges are dropped: a raw socket. Return: 0 or -errno with @err. */
int shed_open(struct host *h, char *err, size_t errlen);
void shed_close(struct host *h);

/**
 * shed_begin() - end the flows of a service.
 * Return: how many at once, or -EBUSY where SHED_JOBS are under way.
 */
int64_t shed_begin(struct host *h, const struct registration_key *key);

/** shed_all() - the host leaves: all its flows end, in either direction, and their peers need not
 * wait for it. */
void shed_all(struct host *h);

/** shed_restart() - a new session: the router counts anew. */
void shed_restart(struct host *h);

/** shed_take() - SHED items of the router's; those that were done are passed over. */
void shed_take(struct host *h, const struct sf_ctrl_in *in);

/** shed_put() - into a HEARTBEAT: which of them are done. */
void shed_put(struct host *h, struct sf_ctrl_out *out);

/* REST: POST /v1/services/{service}/{proto}/{port}/... */
int shed_post(struct sf_http_req *req, json_t **reply, void *ctx);
int shed_post_drain(struct sf_http_req *req, json_t **reply, void *ctx);
int shed_post_undrain(struct sf_http_req *req, json_t **reply, void *ctx);

#endif
