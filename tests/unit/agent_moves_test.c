// SPDX-License-Identifier: Apache-2.0
/*
 * Two movers over a network that loses, delays and repeats, under virtual time: in which order
 * things are done, what survives a kill at any step, what thousands of flows cost.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/mover.h"
#include "core/csum.h"

#define MS     1000000ull
#define FLOWS  10000
#define QUEUED 65536
#define DELAY  (5 * MS)
#define KEY0   0x1234000000ull /* of the first flow; the others follow */

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
	bool idle;   /* its sockets wait for nothing */
	int dies_at; /* after so many more steps; 0: it does not */
	bool dead;
	char log[64]; /* of the last flush: K, C, S */
	unsigned int keeps, kicks, overs, told, own_told;
	uint64_t kick_at[8];
	char kicked[9]; /* Timer, Resend, Ack */
	uint8_t why;
};

struct packet {
	uint64_t at;
	uint8_t data[SF_MOVE_PADDED];
	int len;
};

static struct {
	struct host h[3]; /* client, server, and who claims to be the client, too */
	struct sf_net net;
	uint64_t now, random;
	struct packet *wire;
	size_t n;
	unsigned int loss, copies; /* percent */
	uint64_t delivered;
} world;

static uint64_t dice(void)
{
	uint64_t x = world.random += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static struct sf_addr place(uint32_t at)
{
	return sf_locator(&world.net, at, 0);
}

static size_t index_of(uint64_t key)
{
	assert_true(key >= KEY0 && key < KEY0 + FLOWS);
	return key - KEY0;
}

/* ---- the network ------------------------------------------------------------------------ */

static void transmit(struct host *from, const void *data, int len)
{
	const struct sf_addr *src = (const void *)((const uint8_t *)data + 8);
	unsigned int copies = 1 + (dice() % 100 < world.copies);

	if (sf_locator_host(src) != from->up)
		return; /* it leaves by no link, or a router's filter takes it */
	for (unsigned int i = 0; i < copies; i++) {
		struct packet *p = &world.wire[world.n];

		if (dice() % 100 < world.loss)
			continue;
		assert_true(world.n++ < QUEUED);
		p->at = world.now + DELAY + (world.loss ? dice() % (8 * DELAY) : 0);
		p->len = len;
		memcpy(p->data, data, (size_t)len);
	}
}

static struct host *host_at(struct packet *p)
{
	struct sf_addr dst;
	struct sf_sid sid;
	bool service;

	memcpy(&dst, p->data + 24, sizeof(dst));
	service = sf_addr_is_service(&world.net, &dst);
	sid = sf_addr_sid(&dst);

	for (int i = 0; i < 3; i++) {
		struct host *h = &world.h[i];

		if (!h->up)
			continue;
		if (service && sf_sid_eq(&sid, &h->id)) { /* as a service router does it */
			struct sf_addr to = place(h->up);

			sf_csum_neutral(&dst, &to);
			memcpy(p->data + 24, &to, sizeof(to));
			return h;
		}
		if (!service && sf_locator_host(&dst) == h->up)
			return h;
	}
	return NULL;
}

static void deliver(struct packet *p)
{
	struct host *h = host_at(p);
	struct rsyn_in in;
	uint8_t reason;

	if (!h || h->dead)
		return;
	assert_int_equal(rsyn_decode(p->data, (size_t)p->len, &in, &reason), 0);
	world.delivered++;
	mover_in(&h->mover, &in);
	mover_flush(&h->mover);
}

/* ---- what a mover asks for -------------------------------------------------------------- */

/* Whether the agent dies with this step; from then on nothing it does has an effect. */
static bool dies(struct host *h, char step)
{
	size_t n = strlen(h->log);

	if (!h->dead && h->dies_at && !--h->dies_at)
		h->dead = true;
	if (n + 1 < sizeof(h->log))
		h->log[n] = step;
	return h->dead;
}

static uint64_t op_now(void *ctx)
{
	return world.now;
}

static int op_random(void *ctx, uint64_t out[2])
{
	out[0] = dice();
	out[1] = dice();
	return 0;
}

static int op_flow(void *ctx, uint64_t key, struct sf_flow *out)
{
	struct host *h = ctx;

	if (key < KEY0 || key >= KEY0 + FLOWS || !h->flows[key - KEY0].state)
		return -ENOENT;
	*out = h->flows[key - KEY0];
	return 0;
}

static bool op_usable(void *ctx, const struct sf_addr *at)
{
	struct host *h = ctx;

	return h->up && (sf_locator_host(at) == h->up || sf_locator_host(at) == h->both);
}

static int op_keep(void *ctx, const uint64_t *keys, const struct sf_move *moves, size_t n)
{
	struct host *h = ctx;

	memset(h->log, 0, sizeof(h->log));
	if (dies(h, 'K'))
		return 0;
	if (h->fails_keep)
		return -E2BIG;
	h->keeps++;
	for (size_t i = 0; i < n; i++) {
		h->kept[index_of(keys[i])] = moves[i];
		h->has[index_of(keys[i])] = true;
	}
	return 0;
}

static void op_forget(void *ctx, uint64_t key)
{
	struct host *h = ctx;

	if (!h->dead)
		h->has[index_of(key)] = false;
}

static int op_change(void *ctx, const struct sf_flow_change *c)
{
	struct host *h = ctx;
	struct sf_flow *f = &h->flows[index_of(sf_socket_key(c->id))];

	if (dies(h, 'C'))
		return 0;
	if (!f->state || sf_locator_sock(&f->own) != c->id)
		return -ENOENT;
	sf_flow_change(f, c, world.now);
	return 0;
}

static size_t op_send(void *ctx, const struct sf_move_msg *messages, size_t n)
{
	struct host *h = ctx;
	uint8_t data[SF_MOVE_PADDED];

	for (size_t i = 0; i < n; i++) {
		uint64_t key = sf_socket_key(sf_locator_sock(&messages[i].src));

		if (dies(h, 'S'))
			return i;
		/* What is said was kept before. */
		assert_true(h->has[index_of(key)]);
		assert_int_equal(h->kept[index_of(key)].own.name, messages[i].name);
		assert_int_equal(sf_move_encode(data, sizeof(data), &messages[i]), messages[i].len);
		transmit(h, data, (int)messages[i].len);
	}
	return n;
}

static void op_refuse(void *ctx, const struct rsyn_in *in, uint8_t reason)
{
	struct host *h = ctx;
	uint8_t data[RSYN_QUOTING_MAX];
	int len = rsyn_fail_encode(data, sizeof(data), in, &h->id, reason);

	if (len > 0 && !h->dead)
		transmit(h, data, len);
}

static void op_redirect(void *ctx, const struct rsyn_in *in, const struct sf_addr *to)
{
	struct host *h = ctx;
	uint8_t data[RSYN_QUOTING_MAX];
	int len = rsyn_redirect_encode(data, sizeof(data), in, &h->id, to);

	assert_true(len > 0);
	if (!h->dead)
		transmit(h, data, len);
}

static bool op_kick(void *ctx, const struct sf_tuple *tuple, enum sf_kick_how how)
{
	struct host *h = ctx;

	if (h->kicks < 8) {
		h->kick_at[h->kicks] = world.now;
		h->kicked[h->kicks] = "TRA"[how];
	}
	h->kicks++;
	return how == SF_KICK_ACK || !h->idle;
}

static void op_over(void *ctx, const struct sf_flow *f, uint8_t reason)
{
	struct host *h = ctx;

	h->overs++;
	h->why = reason;
	h->flows[index_of(sf_socket_key(sf_locator_sock(&f->own)))].state = SF_FLOW_FREE;
}

static void op_moved(void *ctx, const struct mover_report *r)
{
	struct host *h = ctx;

	h->told++;
	h->own_told += r->own;
	assert_true(r->ended >= r->began && r->began);
}

/* ---- hosts ------------------------------------------------------------------------------ */

static void agent_start(struct host *h)
{
	assert_int_equal(mover_open(&h->mover, &h->ops, &h->key, &world.net, &h->id), 0);
	h->dead = false;
	for (size_t i = 0; i < FLOWS; i++)
		if (h->has[i])
			mover_load(&h->mover, KEY0 + i, &h->kept[i]);
	mover_flush(&h->mover);
}

static void agent_restart(struct host *h)
{
	mover_close(&h->mover);
	h->dies_at = 0;
	agent_start(h);
}

static void host_make(struct host *h, unsigned int number, uint32_t at)
{
	h->id = sf_sid_make(SF_SSID_HOSTS, number);
	h->key = (struct sf_hashkey){ number, ~(uint64_t)number };
	h->up = at;
	h->flows = calloc(FLOWS, sizeof(*h->flows));
	h->kept = calloc(FLOWS, sizeof(*h->kept));
	h->has = calloc(FLOWS, sizeof(*h->has));
	assert_true(h->flows && h->kept && h->has);
	h->ops = (struct mover_ops){ .ctx = h,
				     .now = op_now,
				     .random = op_random,
				     .flow = op_flow,
				     .usable = op_usable,
				     .keep = op_keep,
				     .forget = op_forget,
				     .change = op_change,
				     .send = op_send,
				     .refuse = op_refuse,
				     .redirect = op_redirect,
				     .kick = op_kick,
				     .over = op_over,
				     .moved = op_moved };
	agent_start(h);
}

static void half(struct host *h, const struct host *peer, size_t i)
{
	struct sf_flow *f = &h->flows[i];

	f->own = sf_locator(&world.net, h->up, sf_socket_id(KEY0 + i, 7));
	f->peer = sf_locator(&world.net, peer->up, sf_socket_id(KEY0 + i, 7));
	f->peer_host = peer->id;
	f->state = SF_FLOW_BOUND;
	f->tuple.proto = SF_NEXTHDR_TCP;
	f->created = sf_used_of(world.now);
}

static void flows_make(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		half(&world.h[0], &world.h[1], i);
		half(&world.h[1], &world.h[0], i);
	}
}

static int setup(void **state)
{
	memset(&world, 0, sizeof(world));
	world.net = sf_net_default(1);
	world.now = 1000000 * MS;
	world.wire = calloc(QUEUED, sizeof(*world.wire));
	assert_non_null(world.wire);
	host_make(&world.h[0], 1, 0x10001);
	host_make(&world.h[1], 2, 0x20001);
	host_make(&world.h[2], 1, 0); /* one identity with the first, as copies have */
	return 0;
}

static int teardown(void **state)
{
	for (int i = 0; i < 3; i++) {
		mover_close(&world.h[i].mover);
		free(world.h[i].flows);
		free(world.h[i].kept);
		free(world.h[i].has);
	}
	free(world.wire);
	return 0;
}

/* ---- time ------------------------------------------------------------------------------- */

static uint64_t next_time(void)
{
	uint64_t at = 0;

	for (size_t i = 0; i < world.n; i++)
		if (!at || world.wire[i].at < at)
			at = world.wire[i].at;
	for (int i = 0; i < 3; i++) {
		uint64_t due = world.h[i].dead ? 0 : mover_due(&world.h[i].mover);

		if (due && (!at || due < at))
			at = due;
	}
	return at;
}

/* Let @ns pass. */
static void pass(uint64_t ns)
{
	uint64_t end = world.now + ns, at;

	while ((at = next_time()) && at <= end) {
		if (at > world.now)
			world.now = at;
		for (size_t i = 0; i < world.n; i++) {
			if (world.wire[i].at > world.now)
				continue;
			struct packet p = world.wire[i];

			world.wire[i--] = world.wire[--world.n];
			deliver(&p);
		}
		for (int i = 0; i < 3; i++)
			if (!world.h[i].dead)
				mover_run(&world.h[i].mover, 64);
	}
	world.now = end;
}

static void start(struct host *h, size_t i, uint32_t to)
{
	struct sf_addr at = place(to);

	h->up = to;
	assert_int_equal(mover_start(&h->mover, KEY0 + i, &at), 0);
}

static bool settled(const struct host *h, size_t i)
{
	const struct sf_move *m = mover_find(&h->mover, KEY0 + i);

	return m && sf_move_is_settled(m);
}

/* Both ends are through, and know each other's place and socketID. */
static void assert_together(size_t i)
{
	const struct sf_flow *a = &world.h[0].flows[i], *b = &world.h[1].flows[i];

	assert_true(settled(&world.h[0], i));
	assert_true(settled(&world.h[1], i));
	assert_int_equal(sf_locator_host(&a->own), world.h[0].up);
	assert_int_equal(sf_locator_host(&b->own), world.h[1].up);
	assert_memory_equal(&a->own, &b->peer, sizeof(a->own));
	assert_memory_equal(&b->own, &a->peer, sizeof(a->own));
	assert_false((a->flags | b->flags) & (SF_FLOW_OPEN | SF_FLOW_BUDGET));
}

/* ---- tests ------------------------------------------------------------------------------ */

static void test_move(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];

	flows_make(1);
	start(a, 0, 0x10002);
	assert_int_equal(a->flows[0].own.h[4], sf_be16(1)); /* not before the flush */
	mover_flush(&a->mover);
	assert_string_equal(a->log, "KCS");
	assert_int_equal(sf_locator_host(&a->flows[0].own), 0x10002);
	pass(DELAY);
	assert_string_equal(b->log, "KCS");
	assert_true(b->flows[0].flags & SF_FLOW_BUDGET);
	pass(DELAY);
	/* What each sends arrives, and what was under way is lost, acknowledgements as well. */
	assert_string_equal(a->kicked, "AR");
	assert_string_equal(b->kicked, "A");
	pass(2 * DELAY);
	assert_together(0);
	assert_int_equal(world.n, 0);
	assert_string_equal(b->kicked, "AR");
	assert_int_equal(a->told, 1);
	assert_int_equal(a->own_told, 1);
	assert_int_equal(b->told, 1);
	assert_int_equal(b->own_told, 0);
	/* And the other two kicks, 10 and 50 ms after the first. */
	pass(1000 * MS);
	assert_string_equal(a->kicked, "ARTT");
	assert_int_equal(a->kick_at[2] - a->kick_at[1], 10 * MS);
	assert_int_equal(a->kick_at[3] - a->kick_at[1], 50 * MS);
	assert_int_equal(mover_due(&a->mover), 0);
	assert_int_equal(mover_due(&b->mover), 0);
	assert_int_equal(a->mover.counts.repeated + b->mover.counts.repeated, 0);
}

/* Make before break: nothing is lost, and nothing need be sent twice. */
static void test_gentle_move(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];

	flows_make(1);
	a->both = a->up;
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	pass(1000 * MS);
	assert_together(0);
	assert_string_equal(a->kicked, "TTT");
	assert_string_equal(b->kicked, "TTT");
}

/* A socket that waits for nothing is not asked again. */
static void test_idle_is_kicked_once(void **state)
{
	flows_make(1);
	world.h[0].idle = true;
	start(&world.h[0], 0, 0x10002);
	mover_flush(&world.h[0].mover);
	pass(1000 * MS);
	assert_together(0);
	assert_string_equal(world.h[0].kicked, "AR");
	assert_string_equal(world.h[1].kicked, "ARTT");
}

static void test_no_kick_of_datagrams(void **state)
{
	flows_make(1);
	world.h[0].flows[0].tuple.proto = world.h[1].flows[0].tuple.proto = SF_NEXTHDR_UDP;
	start(&world.h[0], 0, 0x10002);
	mover_flush(&world.h[0].mover);
	pass(1000 * MS);
	assert_together(0);
	assert_int_equal(world.h[0].kicks + world.h[1].kicks, 0);
}

static void test_not_established(void **state)
{
	struct sf_addr to = place(0x10002);

	flows_make(1);
	assert_int_equal(mover_start(&world.h[0].mover, KEY0 + 1, &to), -ENOENT);
	world.h[0].flows[0].state = SF_FLOW_CONNECTING;
	assert_int_equal(mover_start(&world.h[0].mover, KEY0, &to), -EAGAIN);
	assert_int_equal(mover_size(&world.h[0].mover, NULL), 0);
}

static void test_hostile_network(void **state)
{
	for (unsigned int run = 0; run < 300; run++) {
		setup(NULL);
		world.random = run;
		world.loss = run % 60;
		world.copies = 30;
		flows_make(3);
		for (uint32_t move = 0; move < 4; move++) {
			struct host *h = &world.h[dice() % 2];

			h->up = 0x30000 + (uint32_t)(dice() % 0xffff);
			for (size_t i = 0; i < 3; i++)
				start(h, i, h->up);
			mover_flush(&h->mover);
			pass(dice() % (400 * MS));
		}
		world.loss = world.copies = 0;
		pass(10000 * MS);
		for (size_t i = 0; i < 3; i++)
			assert_together(i);
		assert_int_equal(mover_due(&world.h[0].mover), 0);
		teardown(NULL);
	}
	setup(NULL);
}

/* Both move at once: neither finds the other but by its host's name. */
static void test_both_at_once(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];

	flows_make(1);
	start(a, 0, 0x10002);
	start(b, 0, 0x20002);
	mover_flush(&a->mover);
	mover_flush(&b->mover);
	pass(10000 * MS);
	assert_together(0);
	assert_int_equal(a->own_told, 1);
	assert_int_equal(a->told, 2);
}

/* An agent that is killed at any step, and whose successor has what was kept and nothing else. */
static void test_killed(void **state)
{
	for (int who = 0; who < 2; who++) {
		for (int step = 1; step < 14; step++) {
			struct host *h;

			setup(NULL);
			h = &world.h[who];
			flows_make(1);
			h->dies_at = step;
			start(&world.h[0], 0, 0x10002);
			mover_flush(&world.h[0].mover);
			pass(20 * MS);
			agent_restart(h);
			pass(10000 * MS);
			if (!h->has[0]) { /* killed before anything was kept: nobody knows of it */
				assert_int_equal(step, 1);
				start(&world.h[0], 0, 0x10002);
				mover_flush(&world.h[0].mover);
				pass(10000 * MS);
			}
			assert_together(0);
			teardown(NULL);
		}
	}
	setup(NULL);
}

/* Nothing is said, and no entry changed, that was not kept. */
static void test_cannot_keep(void **state)
{
	struct host *a = &world.h[0];

	flows_make(1);
	a->fails_keep = 1;
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	pass(200 * MS);
	assert_int_equal(world.delivered, 0);
	assert_int_equal(sf_locator_host(&a->flows[0].own), 0x10001);
	a->fails_keep = 0;
	pass(2000 * MS);
	assert_together(0);
}

/* The flow was freed at the other end, or here. */
static void test_gone(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];

	flows_make(2);
	for (size_t i = 0; i < 2; i++)
		start(a, i, 0x10002);
	mover_flush(&a->mover);
	b->flows[0].state = SF_FLOW_FREE;
	pass(100 * MS);
	assert_int_equal(a->overs, 1);
	assert_int_equal(a->why, SF_NO_SUCH_SOCKET);
	assert_null(mover_find(&a->mover, KEY0));
	assert_false(a->has[0]);
	assert_together(1);
	/* Its ports are used again: another flow with the same key, which never moved. */
	world.now += 1000 * MS;
	half(a, b, 1);
	half(b, a, 1);
	start(b, 1, 0x20002);
	mover_flush(&b->mover);
	assert_int_equal(mover_find(&b->mover, KEY0 + 1)->own.epoch, 1);
	pass(1000 * MS);
	assert_together(1);
	a->flows[1].state = b->flows[1].state = SF_FLOW_FREE;
	assert_int_equal(mover_sweep(&a->mover, 0, 100), 0);
	assert_int_equal(mover_size(&a->mover, NULL), 0);
	assert_false(a->has[1]);
}

/* A copy of the client moves after the client itself did. */
static void test_superseded(void **state)
{
	struct host *a = &world.h[0], *copy = &world.h[2];

	flows_make(1);
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	pass(1000 * MS);
	assert_together(0);
	copy->flows[0] = a->flows[0];
	copy->kept[0] = a->kept[0];
	copy->has[0] = true;
	copy->up = 0x40001;
	agent_restart(copy);
	start(a, 0, 0x10003);
	mover_flush(&a->mover);
	pass(1000 * MS);
	start(copy, 0, 0x40001);
	mover_flush(&copy->mover);
	pass(1000 * MS);
	assert_int_equal(copy->overs, 1);
	assert_int_equal(copy->why, SF_SUPERSEDED);
	assert_int_equal(world.h[1].mover.counts.refused, 1);
	assert_int_equal(a->overs + world.h[1].overs, 0);
	assert_together(0);
}

/* In a tunnel: nothing is sent, however long, and nothing is lost when it ends. */
static void test_parked(void **state)
{
	struct host *a = &world.h[0];

	flows_make(1);
	start(a, 0, 0x10002);
	a->up = 0;
	mover_flush(&a->mover);
	pass(600000 * MS);
	assert_int_equal(mover_due(&a->mover), 0);
	assert_int_equal(a->mover.counts.sent, 1); /* into the void */
	a->up = 0x10002;
	mover_resume(&a->mover);
	assert_int_equal(mover_due(&a->mover), world.now);
	pass(4 * DELAY);
	assert_together(0);
}

/* A hand-over that comes to nothing holds up no move: the flow is EXPORTED when a timer fires. */
static void test_stays(void **state)
{
	struct host *a = &world.h[0];

	flows_make(1);
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	world.n = 0; /* the RSYN is lost */
	a->flows[0].state = SF_FLOW_EXPORTED;
	pass(300 * MS);
	assert_int_equal(a->mover.counts.sent, 1);
	assert_true(mover_due(&a->mover) > world.now);
	a->flows[0].state = SF_FLOW_BOUND;
	mover_stay(&a->mover, KEY0);
	assert_int_equal(mover_due(&a->mover), world.now);
	pass(4 * DELAY);
	assert_together(0);
	/* Nothing is under way, or there is no such flow: nothing happens. */
	pass(1000 * MS);
	mover_stay(&a->mover, KEY0);
	mover_stay(&a->mover, KEY0 + 1);
	assert_int_equal(mover_due(&a->mover), 0);
}

/* Whoever was left tells where the peer went; without it this would wait for the rendezvous. */
static void test_redirect(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];
	uint8_t data[RSYN_QUOTING_MAX], ours[SF_MOVE_LEN], reason;
	struct rsyn_in rsyn, in;
	struct sf_addr there = place(0x20002);
	int len;

	flows_make(1);
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	assert_int_equal(world.n, 1);
	memcpy(ours, world.wire[0].data, sizeof(ours));
	assert_int_equal(rsyn_decode(ours, sizeof(ours), &rsyn, &reason), 0);
	world.n = 0;
	start(b, 0, 0x20002);
	mover_flush(&b->mover);
	world.n = 0; /* b's does not reach a's old place */
	len = rsyn_redirect_encode(data, sizeof(data), &rsyn, &b->id, &there);
	assert_int_equal(len, SF_IPV6_LEN + SF_HDR_LEN + 24 + SF_MOVE_LEN);
	assert_int_equal(rsyn_decode(data, (size_t)len, &in, &reason), 0);
	assert_int_equal(in.kind, SF_KIND_REDIRECT);
	mover_in(&a->mover, &in);
	mover_flush(&a->mover);
	assert_int_equal(world.n, 1);
	pass(8 * DELAY); /* before any timer */
	assert_together(0);
	/* One that quotes what is past suggests nothing. */
	mover_in(&a->mover, &in);
	mover_flush(&a->mover);
	assert_int_equal(world.n, 0);
	data[len - 1] ^= 1;
	assert_int_equal(rsyn_decode(data, (size_t)len, &in, &reason), -EBADMSG);
	assert_int_equal(reason, SF_BAD_CHECKSUM);
}

/* Flow 0 of @from goes to @to, where it is flow 1. */
static void hand_over(struct host *from, struct host *to)
{
	struct sf_flow *was = &from->flows[0], *f = &to->flows[1];
	const struct sf_move *known = mover_find(&from->mover, KEY0);
	struct sf_addr at = place(to->up);
	struct sf_move m;

	if (known)
		m = *known;
	else
		sf_move_init(&m, was, world.now);
	was->state = SF_FLOW_EXPORTED;
	assert_int_equal(mover_leave(&from->mover, KEY0), 0);
	mover_flush(&from->mover);
	*f = *was;
	f->own = sf_locator(&world.net, to->up, sf_socket_id(KEY0 + 1, 3));
	f->state = SF_FLOW_BOUND;
	sf_move_rehome(&m, &f->own, world.now);
	assert_int_equal(mover_load(&to->mover, KEY0 + 1, &m), 0);
	assert_int_equal(mover_start(&to->mover, KEY0 + 1, &at), 0);
	mover_flush(&to->mover);
}

/* The peer of a flow that is handed over moves: who exported it sends it on, as soon as it knows
 * where to, even if its agent has been restarted. */
static void test_sent_on(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1], *c = &world.h[2];
	struct sf_addr left;
	const struct sf_move *m;

	c->id = sf_sid_make(SF_SSID_HOSTS, 3);
	c->up = 0x30001;
	agent_restart(c);
	flows_make(1);
	sf_locator_set_sock(&b->flows[0].own,
			    sf_socket_id(KEY0, 9)); /* as names must: it differs */
	a->flows[0].peer = b->flows[0].own;
	left = b->flows[0].own;
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	hand_over(b, c);
	pass(3 * DELAY);
	/* Nobody has told it: it says nothing, least of all that there is no such flow. */
	assert_int_equal(b->mover.counts.unknown, 1);
	assert_int_equal(world.n, 0);
	mover_tell(&c->mover, KEY0 + 1, &left);
	pass(2 * DELAY);
	assert_int_equal(b->mover.counts.taken, 1);
	assert_int_equal(world.n, 0);
	agent_restart(b);
	assert_int_equal(mover_due(&b->mover), 0);
	pass(75 * MS); /* one repetition, before either asks for the other by its host */
	assert_int_equal(b->mover.counts.sent_on, 1);
	assert_int_equal(a->mover.counts.redirected, 1);
	m = mover_find(&a->mover, KEY0);
	assert_true(m && sf_move_is_settled(m));
	assert_int_equal(sf_locator_host(&m->valid), c->up);
	assert_int_equal(sf_socket_key(sf_locator_sock(&m->valid)), KEY0 + 1);
	m = mover_find(&c->mover, KEY0 + 1);
	assert_true(m && sf_move_is_settled(m));
	assert_int_equal(a->overs + b->overs + c->overs, 0);
	/* The state goes with the entry. */
	b->flows[0].state = SF_FLOW_FREE;
	mover_sweep(&b->mover, 0, 1);
	assert_false(b->has[0]);
}

/* Who does not know what was exported moves nobody, nor who repeats another's words. */
static void test_sent_on_forged(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1], *c = &world.h[2];
	uint8_t said[SF_MOVE_LEN], reason;
	struct sf_move_msg msg;
	struct rsyn_in in;
	struct sf_addr left;

	c->id = sf_sid_make(SF_SSID_HOSTS, 3);
	c->up = 0x30001;
	agent_restart(c);
	flows_make(1);
	sf_locator_set_sock(&b->flows[0].own,
			    sf_socket_id(KEY0, 9)); /* as names must: it differs */
	a->flows[0].peer = b->flows[0].own;
	left = b->flows[0].own;
	hand_over(b, c);
	world.n = 0;
	mover_tell(&c->mover, KEY0 + 1, &left);
	assert_int_equal(world.n, 1);
	memcpy(said, world.wire[0].data, sizeof(said));
	world.n = 0;
	assert_int_equal(rsyn_decode(said, sizeof(said), &in, &reason), 0);
	msg = in.msg;
	in.msg.was ^= 1; /* a stranger's */
	in.msg.claim ^= 1;
	mover_in(&b->mover, &in);
	assert_true(sf_addr_is_zero(&mover_find(&b->mover, KEY0)->valid));
	in.msg = msg;
	mover_in(&b->mover, &in);
	assert_int_equal(sf_locator_host(&mover_find(&b->mover, KEY0)->valid), c->up);
	in.msg.src = place(0x40001); /* the same again, from elsewhere */
	mover_in(&b->mover, &in);
	assert_int_equal(sf_locator_host(&mover_find(&b->mover, KEY0)->valid), c->up);
	in.msg.epoch--; /* of the past */
	in.msg.name ^= 1;
	mover_in(&b->mover, &in);
	assert_int_equal(sf_locator_host(&mover_find(&b->mover, KEY0)->valid), c->up);
	/* Only what asks is answered. */
	start(a, 0, 0x10002);
	mover_flush(&a->mover);
	assert_int_equal(rsyn_decode(world.wire[0].data, SF_MOVE_LEN, &in, &reason), 0);
	world.n = 0;
	in.kind = in.msg.kind = SF_KIND_RACK;
	mover_in(&b->mover, &in);
	mover_flush(&b->mover);
	assert_int_equal(world.n, 0);
	assert_int_equal(b->mover.counts.sent_on, 0);
}

/* Strangers make us keep nothing. */
static void test_stranger(void **state)
{
	struct host *b = &world.h[1];
	struct sf_move_msg msg = { .kind = SF_KIND_RSYN, .epoch = 9, .name = 3, .you = 4 };
	uint8_t data[SF_MOVE_LEN], reason;
	struct rsyn_in in;

	flows_make(1);
	msg.src = sf_locator(&world.net, 0x50001, sf_socket_id(KEY0, 9));
	msg.dst = b->flows[0].own;
	assert_int_equal(sf_move_encode(data, sizeof(data), &msg), SF_MOVE_LEN);
	assert_int_equal(rsyn_decode(data, sizeof(data), &in, &reason), 0);
	mover_in(&b->mover, &in);
	mover_flush(&b->mover);
	assert_int_equal(mover_size(&b->mover, NULL), 0);
	assert_int_equal(b->mover.counts.stale, 1);
	assert_int_equal(world.n, 0);
	assert_false(b->has[0]);
	for (size_t len = 0; len < sizeof(data); len++)
		assert_int_equal(rsyn_decode(data, len, &in, &reason), -EBADMSG);
	data[6] = SF_NEXTHDR_ICMPV6;
	assert_int_equal(rsyn_decode(data, sizeof(data), &in, &reason), -ENOMSG);
}

static void test_many(void **state)
{
	struct host *a = &world.h[0], *b = &world.h[1];
	struct sf_addr to = place(0x10002);
	size_t open;

	flows_make(FLOWS);
	a->up = 0x10002;
	for (size_t i = 0; i < FLOWS; i++)
		assert_int_equal(mover_start(&a->mover, KEY0 + i, &to), 0);
	mover_flush(&a->mover);
	assert_int_equal(a->keeps, (FLOWS + MOVER_BATCH - 1) / MOVER_BATCH);
	assert_int_equal(mover_size(&a->mover, &open), FLOWS);
	assert_int_equal(open, FLOWS);
	world.loss = 20;
	pass(300 * MS);
	world.loss = 0;
	pass(10000 * MS);
	for (size_t i = 0; i < FLOWS; i++)
		assert_together(i);
	mover_size(&a->mover, &open);
	assert_int_equal(open, 0);
	assert_int_equal(mover_due(&a->mover), 0);
	assert_int_equal(mover_due(&b->mover), 0);
	assert_int_equal(a->kicks, 4 * FLOWS);
	for (size_t i = 0; i < FLOWS; i++)
		a->flows[i].state = SF_FLOW_FREE;
	for (uint64_t at = 0; (at = mover_sweep(&a->mover, at, 999));)
		;
	assert_int_equal(mover_size(&a->mover, NULL), 0);
	for (size_t i = 0; i < FLOWS; i++)
		assert_false(a->has[i]);
}

/* Flows of @from and later, as many as may begin now. Return: the next one. */
static size_t begin(struct host *h, size_t from, size_t end)
{
	struct sf_addr to = place(h->up);

	while (from < end && mover_room(&h->mover))
		assert_int_equal(mover_start(&h->mover, KEY0 + from++, &to), 0);
	mover_flush(&h->mover);
	return from;
}

/* As many begin as are answered, and more; what is lost makes them fewer. */
static void test_window(void **state)
{
	struct host *a = &world.h[0];
	size_t first, second, third, at;

	flows_make(FLOWS);
	a->up = 0x10002;
	first = begin(a, 0, FLOWS);
	assert_true(first > 100 && first < 1000);
	assert_int_equal(mover_room(&a->mover), 0);
	pass(2 * DELAY);
	second = begin(a, first, FLOWS);
	assert_int_equal(second - first, 2 * first);
	world.loss = 50;
	pass(2 * DELAY);
	world.loss = 0;
	pass(200 * MS);
	third = begin(a, second, FLOWS);
	assert_true(third > second && third - second < second - first);
	for (at = third; at < FLOWS; at = begin(a, at, FLOWS))
		pass(2 * DELAY);
	pass(10000 * MS);
	for (size_t i = 0; i < FLOWS; i++)
		assert_together(i);
}

/* Peers that are dead do not hold up the others for longer than an answer takes. */
static void test_dead_hold_nobody_up(void **state)
{
	struct host *a = &world.h[0];
	size_t at;

	flows_make(1000);
	a->up = 0x10002;
	world.loss = 100;
	at = begin(a, 0, 1000);
	assert_int_equal(mover_room(&a->mover), 0);
	pass(100 * MS);
	assert_true(mover_room(&a->mover) > 0);
	world.loss = 0;
	for (int i = 0; at < 1000; i++) {
		assert_true(i < 20);
		at = begin(a, at, 1000);
		pass(2 * DELAY);
	}
	pass(10000 * MS);
	for (size_t i = 0; i < 1000; i++)
		assert_together(i);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_move),
		TEST(test_gentle_move),
		TEST(test_idle_is_kicked_once),
		TEST(test_no_kick_of_datagrams),
		TEST(test_not_established),
		TEST(test_hostile_network),
		TEST(test_both_at_once),
		TEST(test_killed),
		TEST(test_cannot_keep),
		TEST(test_gone),
		TEST(test_superseded),
		TEST(test_parked),
		TEST(test_stays),
		TEST(test_redirect),
		TEST(test_sent_on),
		TEST(test_sent_on_forged),
		TEST(test_stranger),
		TEST(test_many),
		TEST(test_window),
		TEST(test_dead_hold_nobody_up),
	};
#undef TEST

	return cmocka_run_group_tests_name("agent_moves", tests, NULL, NULL);
}
