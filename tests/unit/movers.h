// SPDX-License-Identifier: Apache-2.0
/* movers.h - movers of two hosts, and of who claims to be one of them, over a network that loses,
 * delays and repeats, under virtual time. */
#ifndef SF_TESTS_MOVERS_H
#define SF_TESTS_MOVERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/mover.h"

#define MS    1000000ull
#define DELAY (5 * MS)
#define KEY0  0x1234000000ull /* of the first flow; the others follow */

/* A host: what its kernel and bpffs keep, and the agent that comes and goes. */
struct host {
	struct mover mover;
	struct mover_ops ops;
	struct sf_sid id;
	struct sf_hashkey key;
	struct sf_flow *flows; /* those that live have a state */
	struct sf_move *kept;
	bool *has, *over;
	uint32_t up;   /* place that packets reach it at, and leave from; 0: none */
	uint32_t both; /* another such; 0: none */
	int fails_keep;
	bool idle;	   /* its sockets wait for nothing */
	uint32_t received; /* by its TCP; 0: not known */
	uint32_t held_at;  /* as its TCP was told last that the peer has received */
	bool held_before;  /* anything could be sent */
	int dies_at;	   /* after so many more steps; 0: it does not */
	bool dead;
	char log[64]; /* of the last flush: K, C, S */
	unsigned int keeps, kicks, overs, told, own_told;
	struct mover_report own_report; /* the last of an own move */
	uint64_t kick_at[8];
	char kicked[9]; /* Timer, Resend, Ack */
	uint8_t why;
};

struct packet {
	uint64_t at;
	uint8_t data[SF_MOVE_PADDED];
	int len;
};

struct world {
	struct host h[3]; /* client, server, and who claims to be the client, too */
	size_t flows;	  /* that were made */
	struct sf_net net;
	uint64_t now, random;
	struct packet *wire;
	size_t n;
	unsigned int loss, copies; /* percent */
	uint64_t delivered;
};

extern struct world world;

uint64_t dice(void);

/** place() - locator of place number @at. */
struct sf_addr place(uint32_t at);

/** flows_make() - @n flows between the first two, once in a world. half() - one end of the @i-th.
 */
void flows_make(size_t n);
void half(struct host *h, const struct host *peer, size_t i);

/** start() - flow @i moves, with its host, to place @to; with the next flush. */
void start(struct host *h, size_t i, uint32_t to);

/** pass() - @ns nanoseconds of the world. */
void pass(uint64_t ns);

/** agent_restart() - the agent is killed, if it does not lie dead already, and another goes on. */
void agent_restart(struct host *h);

/** assert_together() - both ends of flow @i are through, and know each other's place and socketID.
 */
void assert_together(size_t i);

int world_setup(void **state);
int world_teardown(void **state);

#endif
