// SPDX-License-Identifier: Apache-2.0
/* movers.c - what movers ask for, made of memory; see movers.h. */
#include "movers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/csum.h"

#define QUEUED 65536

struct world world;

/* Not allocated: what is, is filled with a pattern where tests run, and most of this is never used.
 */
static struct packet wire[QUEUED];

uint64_t dice(void)
{
	uint64_t x = world.random += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

struct sf_addr place(uint32_t at)
{
	return sf_locator(&world.net, at, 0);
}

static size_t index_of(uint64_t key)
{
	assert_true(key >= KEY0 && key < KEY0 + world.flows);
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
		p->at = world.now + DELAY + (world.loss ? dice() % 80 * (DELAY / 10) : 0);
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

	if (key < KEY0 || key >= KEY0 + world.flows || !h->flows[key - KEY0].state)
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

static int op_received(void *ctx, const struct sf_tuple *tuple, uint32_t *seq)
{
	struct host *h = ctx;

	*seq = h->received;
	return h->received ? 0 : -ENOENT;
}

/* Nothing that it may send goes before it knows. */
static bool op_hold(void *ctx, const struct sf_tuple *tuple, uint32_t received)
{
	struct host *h = ctx;

	h->held_at = received;
	h->held_before = !(h->flows[0].flags & SF_FLOW_BUDGET);
	return !h->idle;
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
	if (r->own)
		h->own_report = *r;
	assert_true(r->ended >= r->began && r->began);
}

/* ---- hosts ------------------------------------------------------------------------------ */

static void agent_start(struct host *h)
{
	assert_int_equal(mover_open(&h->mover, &h->ops, &h->key, &world.net, &h->id), 0);
	h->dead = false;
	for (size_t i = 0; i < world.flows; i++)
		if (h->has[i])
			mover_load(&h->mover, KEY0 + i, &h->kept[i]);
	mover_flush(&h->mover);
}

void agent_restart(struct host *h)
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
				     .received = op_received,
				     .hold = op_hold,
				     .over = op_over,
				     .moved = op_moved };
	agent_start(h);
}

void half(struct host *h, const struct host *peer, size_t i)
{
	struct sf_flow *f = &h->flows[i];

	f->own = sf_locator(&world.net, h->up, sf_socket_id(KEY0 + i, 7));
	f->peer = sf_locator(&world.net, peer->up, sf_socket_id(KEY0 + i, 7));
	f->peer_host = peer->id;
	f->state = SF_FLOW_BOUND;
	f->tuple.proto = SF_NEXTHDR_TCP;
	f->created = sf_used_of(world.now);
}

void flows_make(size_t n)
{
	world.flows = n + 1; /* and one that comes by hand-over */
	for (int i = 0; i < 3; i++) {
		struct host *h = &world.h[i];

		h->flows = calloc(world.flows, sizeof(*h->flows));
		h->kept = calloc(world.flows, sizeof(*h->kept));
		h->has = calloc(world.flows, sizeof(*h->has));
		assert_true(h->flows && h->kept && h->has);
	}
	for (size_t i = 0; i < n; i++) {
		half(&world.h[0], &world.h[1], i);
		half(&world.h[1], &world.h[0], i);
	}
}

int world_setup(void **state)
{
	memset(&world, 0, sizeof(world));
	world.net = sf_net_default(1);
	world.now = 1000000 * MS;
	world.wire = wire;
	host_make(&world.h[0], 1, 0x10001);
	host_make(&world.h[1], 2, 0x20001);
	host_make(&world.h[2], 1, 0); /* one identity with the first, as copies have */
	return 0;
}

int world_teardown(void **state)
{
	for (int i = 0; i < 3; i++) {
		mover_close(&world.h[i].mover);
		free(world.h[i].flows);
		free(world.h[i].kept);
		free(world.h[i].has);
	}
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
void pass(uint64_t ns)
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

void start(struct host *h, size_t i, uint32_t to)
{
	struct sf_addr at = place(to);

	h->up = to;
	assert_int_equal(mover_start(&h->mover, KEY0 + i, &at, MOVER_ORDERED), 0);
}

static bool settled(const struct host *h, size_t i)
{
	const struct sf_move *m = mover_find(&h->mover, KEY0 + i);

	return m && sf_move_is_settled(m);
}

/* Both ends are through, and know each other's place and socketID. */
void assert_together(size_t i)
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
