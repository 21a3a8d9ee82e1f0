// SPDX-License-Identifier: Apache-2.0
/* A controller without network: its clock is ours, and its routers are lists of messages. */
#ifndef SF_TESTS_CONTROLLER_FIXTURE_H
#define SF_TESTS_CONTROLLER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "controller/controller.h"
#include "controller/routers.h"
#include "core/ctrl.h"

#define MESSAGES_MAX 4096

struct message {
	size_t len;
	uint8_t *data;
	struct sf_ctrl_in in;
};

/* A router's end of a connection. */
struct peer {
	struct controller *c;
	struct session *s; /* NULL: closed */
	struct sf_sid id;
	struct sf_addr addr;
	uint8_t roles;
	const char *name;
	unsigned int n;
	struct message got[MESSAGES_MAX];
	const char *closed; /* the reason */
	int fail;	    /* what sending returns */
	size_t queued;
	uint32_t seq;
};

/* What a message being built needs. */
struct draft {
	struct sf_ctrl_out out;
	uint8_t buf[SF_CTRL_MAX];
};

extern uint64_t fake_now; /* ms */

/** fixture_open() - a fresh state directory and a controller on it; fixture_close() undoes both. */
void fixture_open(struct controller *c, struct config *config);
void fixture_close(struct controller *c, struct config *config);
/** fixture_restart() - as after kill -9: the same state directory, nothing else. */
void fixture_restart(struct controller *c, struct config *config);

void peer_init(struct peer *p, struct controller *c, unsigned int number, uint8_t roles,
	       const char *name);
void peer_connect(struct peer *p);
void peer_disconnect(struct peer *p);
void peer_forget(struct peer *p); /* messages so far */
void peer_send(struct peer *p, struct draft *d);
/** peer_hello() - connect, HELLO with @block, flush. Expects WELCOME. */
void peer_hello(struct peer *p, uint16_t block);
/** peer_up() - peer_hello(), UP-SYNCED, flush. */
void peer_up(struct peer *p, uint16_t block);

/** message_of() - the @nth (from 0) message of @type, NULL if there are fewer. */
const struct sf_ctrl_in *message_of(const struct peer *p, uint8_t type, unsigned int nth);
unsigned int messages_of(const struct peer *p, uint8_t type);
/** message_last() - the last one of @type; fails the test if none. */
const struct sf_ctrl_in *message_last(const struct peer *p, uint8_t type);
uint32_t number_of(const struct sf_ctrl_in *in);
uint8_t reason_of(const struct sf_ctrl_in *in);

void draft_begin(struct draft *d, uint8_t type);
void draft_host(struct draft *d, uint32_t host, uint64_t identity, uint64_t boot);
void draft_name(struct draft *d, const char *name);
void draft_reg(struct draft *d, uint64_t service, uint16_t port, uint16_t weight);

void join(struct peer *p, uint32_t host, uint64_t identity, const char *name);
void join_boot(struct peer *p, uint32_t host, uint64_t identity, const char *name, uint64_t boot);
void leave(struct peer *p, uint32_t host, uint64_t identity);
void reg(struct peer *p, uint32_t host, uint64_t identity, uint64_t service, uint16_t port,
	 uint16_t weight);
void unreg(struct peer *p, uint32_t host, uint64_t identity, uint64_t service, uint16_t port);

struct sf_sid service_sid(uint64_t service);
struct sf_sid host_sid(uint64_t identity);
struct sf_service_key service_key(uint64_t service, uint16_t port);

/** policy() - put a policy in force, from JSON. */
void policy(struct controller *c, uint64_t service, const char *json);

/**
 * rule_in() - find a service in RULES messages, newest first.
 * Return: number of instances, weights summed up in *@weight; -1 if there is none.
 */
int rule_in(const struct peer *p, uint64_t service, uint16_t port, unsigned int *weight);
/** route_in() - is prefix of @block via @addr in messages of @type? @block 0: AS:0; -1: fd5e::/32
 */
bool route_in(const struct peer *p, uint8_t type, int block, const struct sf_addr *via);

#endif
