// SPDX-License-Identifier: Apache-2.0
/* A registration's machine: what the kernel and the router are told, and never told too early. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/registry.h"
#include "core/reason.h"
#include "util/session.h"

struct world {
	struct registry g;
	struct registry_ops ops;
	uint8_t verdict; /* of the policy */
	int dirty;	 /* calls */
	uint8_t state, reason;
	int applied;
	char last[32]; /* event */
	int told;
};

static uint8_t judge(void *ctx, const struct registration *r)
{
	return ((struct world *)ctx)->verdict;
}

static void apply(void *ctx, const struct registration *r, uint8_t state, uint8_t reason)
{
	struct world *w = ctx;

	w->state = state;
	w->reason = reason;
	w->applied++;
}

static void dirty(void *ctx)
{
	((struct world *)ctx)->dirty++;
}

static void tell(void *ctx, const char *kind, const struct registration *r)
{
	struct world *w = ctx;

	strcpy(w->last, kind);
	w->told++;
}

static uint64_t now(void *ctx)
{
	return 1;
}

static int setup(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	w.ops = (struct registry_ops){ judge, apply, dirty, tell, now, &w };
	registry_open(&w.g, &w.ops);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	registry_close(&((struct world *)*state)->g);
	return 0;
}

static struct sf_socket_event event(uint16_t port)
{
	struct sf_socket_event e = { .uid = 33, .pid = 7, .kind = SF_SOCKET_LISTEN, .left = 1 };

	e.key.addr.w[0] = sf_be32(SF_SERVICE_PREFIX);
	e.key.addr.w[3] = sf_be32(0x77);
	e.key.port = sf_be16(port);
	e.key.proto = 6;
	strcpy(e.comm, "nginx");
	return e;
}

static struct registration_key key(uint16_t port)
{
	struct sf_socket_event e = event(port);
	struct registration_key k;

	memset(&k, 0, sizeof(k));
	k.addr = e.key.addr;
	k.port = e.key.port;
	k.proto = e.key.proto;
	return k;
}

static struct registration *listens(struct world *w, uint16_t port)
{
	struct sf_socket_event e = event(port);

	return registry_listen(&w->g, &e);
}

/* Take a batch; expect @n entries of @type. */
static void takes(struct world *w, uint8_t type, size_t n)
{
	struct sf_item_registration items[16];
	uint8_t got = 0xff;

	assert_int_equal(registry_take(&w->g, &got, items, 16), n);
	assert_int_equal(got, n ? type : 0);
}

static void answers(struct world *w, uint8_t type, uint16_t port, uint8_t reason)
{
	struct registration_key k = key(port);

	registry_answer(&w->g, type, &k, reason);
}

static void releases(struct world *w, uint16_t port, int left)
{
	struct registration_key k = key(port);

	registry_release(&w->g, &k, left);
}

static void names_are_text(void **state)
{
	struct world *w = *state;
	struct sf_socket_event e = event(80);

	strcpy(e.comm, "\xff\xfe\nnginx\x7f");
	assert_string_equal(registry_listen(&w->g, &e)->comm, "???nginx?");
}

static void life_of_a_listener(void **state)
{
	struct world *w = *state;
	struct registration *r = listens(w, 80);
	struct registration_key k = key(80);
	struct sf_sid sid = registration_sid(&k);

	assert_int_equal(w->state, SF_LISTENER_LIVE); /* before the router has answered */
	assert_int_equal(w->dirty, 1);
	assert_false(registry_settled(&w->g));
	takes(w, SF_CTRL_REGISTER, 1);
	assert_int_equal(r->at, AT_ENTERING);
	assert_false(registry_settled(&w->g));
	answers(w, SF_CTRL_REGISTER, 80, 0);
	assert_int_equal(r->at, AT_IN);
	assert_string_equal(w->last, "registered");
	assert_true(registry_settled(&w->g));
	assert_int_equal(w->g.digest, sf_registration_digest(&sid, 6, sf_be16(80)));
	releases(w, 80, 0);
	takes(w, SF_CTRL_UNREGISTER, 1);
	answers(w, SF_CTRL_UNREGISTER, 80, 0);
	assert_null(registry_find(&w->g, &k));
	assert_int_equal(w->g.digest, 0);
	assert_true(registry_settled(&w->g));
}

static void second_socket_keeps_it(void **state)
{
	struct world *w = *state;
	struct registration *r = listens(w, 80);
	struct sf_socket_event e = event(80);

	e.left = 2;
	registry_listen(&w->g, &e);
	takes(w, SF_CTRL_REGISTER, 1);
	answers(w, SF_CTRL_REGISTER, 80, 0);
	releases(w, 80, 1);
	takes(w, 0, 0);
	assert_true(r->want);
	assert_int_equal(r->sockets, 1);
	releases(w, 80, 0);
	takes(w, SF_CTRL_UNREGISTER, 1);
}

static void release_waits_for_the_answer(void **state)
{
	struct world *w = *state;

	listens(w, 80);
	takes(w, SF_CTRL_REGISTER, 1);
	releases(w, 80, 0);
	takes(w, 0, 0); /* REGISTER may still be repeated: nothing may overtake it */
	answers(w, SF_CTRL_REGISTER, 80, 0);
	takes(w, SF_CTRL_UNREGISTER, 1);
	listens(w, 80);
	takes(w, 0, 0);
	answers(w, SF_CTRL_UNREGISTER, 80, 0);
	takes(w, SF_CTRL_REGISTER, 1);
	answers(w, SF_CTRL_REGISTER, 80, 0);
	assert_true(registry_settled(&w->g));
}

static void gone_before_it_was_sent(void **state)
{
	struct world *w = *state;
	struct registration_key k = key(80);

	listens(w, 80);
	releases(w, 80, 0);
	takes(w, 0, 0);
	assert_null(registry_find(&w->g, &k));
}

static void policy_denies(void **state)
{
	struct world *w = *state;
	struct registration *r;

	w->verdict = SF_DENIED_UID;
	r = listens(w, 80);
	assert_int_equal(w->state, SF_LISTENER_DENIED);
	assert_int_equal(w->reason, SF_DENIED_UID);
	assert_string_equal(w->last, "denied");
	assert_int_equal(r->state, SF_LISTENER_DENIED);
	takes(w, 0, 0);
	/* Another program, whom the policy lets: the same key. */
	w->verdict = 0;
	listens(w, 80);
	assert_int_equal(w->state, SF_LISTENER_LIVE);
	takes(w, SF_CTRL_REGISTER, 1);
}

static void denied_and_gone(void **state)
{
	struct world *w = *state;
	struct registration_key k = key(80);

	w->verdict = SF_DENIED_UID;
	listens(w, 80);
	releases(w, 80, 0);
	assert_null(registry_find(&w->g, &k));
}

static void router_denies(void **state)
{
	struct world *w = *state;
	struct registration *r = listens(w, 80);
	struct registration_key k = key(80);

	takes(w, SF_CTRL_REGISTER, 1);
	answers(w, SF_CTRL_REGISTER, 80, SF_DENIED_POLICY);
	assert_int_equal(r->at, AT_REFUSED);
	assert_int_equal(w->state, SF_LISTENER_DENIED);
	assert_int_equal(w->reason, SF_DENIED_POLICY);
	assert_int_equal(w->g.digest, 0);
	takes(w, 0, 0);
	/* A new session asks again; the policy may have changed. */
	registry_restart(&w->g);
	takes(w, SF_CTRL_REGISTER, 1);
	answers(w, SF_CTRL_REGISTER, 80, 0);
	assert_int_equal(w->state, SF_LISTENER_LIVE);
	releases(w, 80, 0);
	takes(w, SF_CTRL_UNREGISTER, 1);
	answers(w, SF_CTRL_UNREGISTER, 80, 0);
	assert_null(registry_find(&w->g, &k));
}

static void late_verdict(void **state)
{
	struct world *w = *state;
	struct registration *r = listens(w, 80);

	answers(w, 0, 80, SF_DENIED_POLICY); /* about what was never sent: ignored */
	assert_int_equal(w->state, SF_LISTENER_LIVE);
	takes(w, SF_CTRL_REGISTER, 1);
	answers(w, SF_CTRL_REGISTER, 80, 0);
	answers(w, 0, 80, SF_DENIED_POLICY);
	assert_int_equal(r->at, AT_REFUSED);
	assert_int_equal(w->state, SF_LISTENER_DENIED);
	answers(w, 0, 80, 0);
	assert_int_equal(r->at, AT_IN);
	assert_int_equal(w->state, SF_LISTENER_LIVE);
}

static void refused_and_gone_leaves_nothing(void **state)
{
	struct world *w = *state;
	struct registration_key k = key(80);

	listens(w, 80);
	takes(w, SF_CTRL_REGISTER, 1);
	releases(w, 80, 0);
	answers(w, SF_CTRL_REGISTER, 80, SF_DENIED_FULL);
	takes(w, 0, 0);
	assert_null(registry_find(&w->g, &k));
	assert_true(registry_settled(&w->g));
}

static void new_session_registers_all_and_forgets_the_unwanted(void **state)
{
	struct world *w = *state;
	struct registration_key gone = key(81);

	listens(w, 80);
	listens(w, 81);
	takes(w, SF_CTRL_REGISTER, 2);
	answers(w, SF_CTRL_REGISTER, 80, 0);
	releases(w, 81, 0); /* its REGISTER is under way */
	registry_restart(&w->g);
	assert_int_equal(w->g.digest, 0);
	assert_null(registry_find(&w->g, &gone));
	takes(w, SF_CTRL_REGISTER, 1);
	answers(w, SF_CTRL_REGISTER, 80, 0);
	assert_true(registry_settled(&w->g));
}

static void batches_are_of_one_type(void **state)
{
	struct world *w = *state;
	struct sf_item_registration items[2];
	uint8_t type;

	for (uint16_t p = 1; p <= 3; p++)
		listens(w, p);
	assert_int_equal(w->dirty, 1); /* told once */
	assert_int_equal(registry_take(&w->g, &type, items, 2), 2);
	assert_int_equal(items[1].port, sf_be16(2));
	takes(w, SF_CTRL_REGISTER, 1);
	for (uint16_t p = 1; p <= 3; p++)
		answers(w, SF_CTRL_REGISTER, p, 0);
	releases(w, 1, 0);
	listens(w, 9);
	releases(w, 2, 0);
	takes(w, SF_CTRL_UNREGISTER, 1);
	takes(w, SF_CTRL_REGISTER, 1);
	takes(w, SF_CTRL_UNREGISTER, 1);
	takes(w, 0, 0);
}

static void by_hand(void **state)
{
	struct world *w = *state;
	struct registration_key k = key(80);
	struct registration *r = registry_add(&w->g, &k, ORIGIN_MANUAL, NULL, false);

	assert_int_equal(w->state, SF_LISTENER_DRAINING);
	takes(w, 0, 0);
	registry_set_live(&w->g, r, true);
	assert_int_equal(w->state, SF_LISTENER_LIVE);
	takes(w, SF_CTRL_REGISTER, 1);
	answers(w, SF_CTRL_REGISTER, 80, 0);
	/* A socket on the very key comes and goes: the registration stays. */
	listens(w, 80);
	releases(w, 80, 0);
	takes(w, 0, 0);
	registry_set_live(&w->g, r, false);
	takes(w, SF_CTRL_UNREGISTER, 1);
	answers(w, SF_CTRL_UNREGISTER, 80, 0);
	assert_ptr_equal(registry_find(&w->g, &k), r);
	registry_remove(&w->g, r);
	assert_int_equal(w->state, 0);
	assert_null(registry_find(&w->g, &k));
}

/* Drained by somebody here: neither a further socket nor the router's answer brings it back. */
static void drained_until_told(void **state)
{
	struct world *w = *state;
	struct registration_key k = key(80);
	struct registration *r;

	listens(w, 80);
	takes(w, SF_CTRL_REGISTER, 1);
	r = registry_find(&w->g, &k);
	registry_drain(&w->g, r, true);
	assert_int_equal(w->state, SF_LISTENER_DRAINING);
	answers(w, SF_CTRL_REGISTER, 80, 0);
	assert_int_equal(w->state, SF_LISTENER_DRAINING);
	takes(w, SF_CTRL_UNREGISTER, 1);
	answers(w, SF_CTRL_UNREGISTER, 80, 0);
	listens(w, 80);
	assert_int_equal(w->state, SF_LISTENER_DRAINING);
	takes(w, 0, 0);
	registry_drain(&w->g, r, false);
	assert_int_equal(w->state, SF_LISTENER_LIVE);
	takes(w, SF_CTRL_REGISTER, 1);
	/* A program that is started anew takes flows. */
	registry_drain(&w->g, r, true);
	releases(w, 80, 0);
	answers(w, SF_CTRL_REGISTER, 80, 0);
	takes(w, SF_CTRL_UNREGISTER, 1);
	listens(w, 80);
	assert_int_equal(w->state, SF_LISTENER_LIVE);
}

/* What is registered for all ports is there as long as nobody takes it back. */
static void drained_for_all_ports(void **state)
{
	struct world *w = *state;
	struct registration_key k = key(0);
	struct registration *r;

	k.proto = 0;
	r = registry_add(&w->g, &k, ORIGIN_MANUAL, NULL, true);
	registry_drain(&w->g, r, true);
	assert_int_equal(w->state, SF_LISTENER_DRAINING);
	registry_drain(&w->g, r, false);
	assert_int_equal(w->state, SF_LISTENER_LIVE);
}

/* The kernel refuses new flows for a moment; to the router it is registered as before. */
static void held_for_a_moment(void **state)
{
	struct world *w = *state;
	struct registration *r = listens(w, 80);

	takes(w, SF_CTRL_REGISTER, 1);
	answers(w, SF_CTRL_REGISTER, 80, 0);
	registry_hold(&w->g, r, true);
	assert_int_equal(w->state, SF_LISTENER_DRAINING);
	listens(w, 80);
	assert_int_equal(w->state, SF_LISTENER_DRAINING);
	takes(w, 0, 0);
	registry_hold(&w->g, r, false);
	assert_int_equal(w->state, SF_LISTENER_LIVE);
	/* Drained meanwhile, it takes none afterwards either. */
	registry_hold(&w->g, r, true);
	registry_drain(&w->g, r, true);
	registry_hold(&w->g, r, false);
	assert_int_equal(w->state, SF_LISTENER_DRAINING);
	takes(w, SF_CTRL_UNREGISTER, 1);
}

/* Its release and the next one's listen() were lost: who listens now is another. */
static void replaced_is_judged_anew(void **state)
{
	struct world *w = *state;
	struct sf_socket_event ev = event(80);
	struct registration *r = listens(w, 80);

	takes(w, SF_CTRL_REGISTER, 1);
	answers(w, SF_CTRL_REGISTER, 80, 0);
	assert_int_equal(r->state, SF_LISTENER_LIVE);
	w->verdict = SF_DENIED_UID;
	ev.uid = 4242;
	w->state = SF_LISTENER_PENDING;
	assert_ptr_equal(registry_replaced(&w->g, &ev), r);
	assert_int_equal(w->state, SF_LISTENER_DENIED);
	assert_int_equal(r->uid, 4242);
	takes(w, SF_CTRL_UNREGISTER, 1);
	answers(w, SF_CTRL_UNREGISTER, 80, 0);
	w->verdict = 0;
	w->state = SF_LISTENER_PENDING;
	registry_replaced(&w->g, &ev);
	assert_int_equal(w->state, SF_LISTENER_LIVE);
	takes(w, SF_CTRL_REGISTER, 1);
}

static void strangers_are_ignored(void **state)
{
	struct world *w = *state;

	answers(w, SF_CTRL_REGISTER, 80, 0);
	answers(w, SF_CTRL_UNREGISTER, 80, 0);
	releases(w, 80, 0);
	assert_int_equal(w->told, 0);
	listens(w, 80);
	answers(w, SF_CTRL_REGISTER, 80, 0); /* not under way yet */
	takes(w, SF_CTRL_REGISTER, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(names_are_text),
		T(life_of_a_listener),
		T(second_socket_keeps_it),
		T(release_waits_for_the_answer),
		T(gone_before_it_was_sent),
		T(policy_denies),
		T(denied_and_gone),
		T(router_denies),
		T(late_verdict),
		T(refused_and_gone_leaves_nothing),
		T(new_session_registers_all_and_forgets_the_unwanted),
		T(batches_are_of_one_type),
		T(by_hand),
		T(drained_until_told),
		T(drained_for_all_ports),
		T(held_for_a_moment),
		T(strangers_are_ignored),
		T(replaced_is_judged_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
