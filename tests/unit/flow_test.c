// SPDX-License-Identifier: Apache-2.0
/* core/flow: names, and socketIDs that are set, differ where they should and repeat where they
 * must. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/flow.h"

static const struct sf_hashkey key = { 0x0123456789abcdefull, 0xfedcba9876543210ull };
static const struct sf_hashkey other_key = { 0x0123456789abcdeeull, 0xfedcba9876543210ull };

static void names(void **state)
{
	__u8 proto = 99;

	assert_string_equal(sf_flow_state_name(SF_FLOW_CONNECTING), "connecting");
	assert_string_equal(sf_flow_state_name(SF_FLOW_HALF_OPEN), "half-open");
	for (unsigned int s = 0; s < SF_FLOW_STATES; s++) {
		assert_string_not_equal(sf_flow_state_name(s), "?");
		for (unsigned int t = 0; t < s; t++)
			assert_string_not_equal(sf_flow_state_name(s), sf_flow_state_name(t));
	}
	assert_string_equal(sf_flow_state_name(SF_FLOW_STATES), "?");
	assert_string_equal(sf_flow_state_name(1000), "?");

	assert_int_equal(sf_proto_parse("tcp", &proto), 0);
	assert_int_equal(proto, 6);
	assert_int_equal(sf_proto_parse("udp", &proto), 0);
	assert_int_equal(proto, 17);
	assert_int_equal(sf_proto_parse("any", &proto), 0);
	assert_int_equal(proto, 0);
	proto = 99;
	assert_int_equal(sf_proto_parse("?", &proto), -EINVAL);
	assert_int_equal(sf_proto_parse("", &proto), -EINVAL);
	assert_int_equal(sf_proto_parse("TCP", &proto), -EINVAL);
	assert_int_equal(proto, 99);
	assert_string_equal(sf_proto_name(6), "tcp");
	assert_string_equal(sf_proto_name(17), "udp");
	assert_string_equal(sf_proto_name(0), "any");
	assert_string_equal(sf_proto_name(132), "?");
}

/* One hash in 2^32 reads as unset: no key leads there in a test's time. */
static void ids_are_never_unset(void **state)
{
	assert_int_equal(sf_socket_id_of(0), 0x10000);
	assert_int_equal(sf_socket_id_of(0xffff), 0x1ffff);
	assert_int_equal(sf_socket_id_of(0xabcd00000000ffffull), 0x1ffff);
	assert_int_equal(sf_socket_id_of(0x10000), 0x10000);
	assert_int_equal(sf_socket_id_of(~0ull), SF_SOCK_MASK);
}

static struct sf_tuple tuple(void)
{
	struct sf_net net = sf_net_default(1);
	struct sf_sid sid = sf_sid_make(1, 42);
	struct sf_tuple t = { .local = sf_service_addr(&net, &sid),
			      .peer = sf_locator(&net, 0x10002, 0x123456789abcull),
			      .lport = sf_be16(80),
			      .pport = sf_be16(40000),
			      .proto = 6 };

	return t;
}

static void hash_depends_on_every_field(void **state)
{
	struct sf_tuple t = tuple(), u;
	__u64 hash = sf_flow_hash(&key, &t);

	assert_int_not_equal(sf_flow_hash(&other_key, &t), hash);
	/* pad is no field */
	for (size_t bit = 0; bit < 8 * offsetof(struct sf_tuple, pad); bit++) {
		u = t;
		((__u8 *)&u)[bit / 8] ^= (__u8)(1 << bit % 8);
		assert_int_not_equal(sf_flow_hash(&key, &u), hash);
		assert_false(sf_tuple_eq(&t, &u));
	}
	u = t;
	u.pad[1] = 1;
	assert_int_equal(sf_flow_hash(&key, &u), hash);
	assert_true(sf_tuple_eq(&t, &u));
}

static void socket_ids_hold_key_and_incarnation(void **state)
{
	__u64 hash = 0xfedcba9876543210ull, k = sf_flow_key(hash, false);

	assert_int_equal(k, 0x9876543210ull);
	assert_int_equal(sf_flow_key(hash, true), 0xfedcba9876ull);
	assert_int_equal(sf_socket_id(k, 0xab), 0x9876543210abull);
	assert_int_equal(sf_socket_key(0x9876543210abull), k);
	/* Whatever the hash, the socketID does not read as unset, and its key leads back. */
	for (int shift = 0; shift < 64; shift++) {
		for (int other = 0; other < 2; other++) {
			k = sf_flow_key(1ull << shift, other);
			assert_false(sf_sock_is_unset(sf_socket_id(k, 0)));
			assert_int_equal(sf_socket_id(k, 255) & ~SF_SOCK_MASK, 0);
			assert_int_equal(sf_socket_key(sf_socket_id(k, 255)), k);
		}
	}
	assert_false(sf_sock_is_unset(sf_socket_id(sf_flow_key(0, false), 0)));
}

static void incarnations_follow_the_opener(void **state)
{
	struct sf_tuple t = tuple();
	__u8 first = sf_incarnation_of(&key, &t.peer);
	int others = 0;

	for (int bit = 0; bit < 128; bit++) {
		struct sf_addr peer = t.peer;

		peer.b[bit / 8] ^= (__u8)(1 << bit % 8);
		others += sf_incarnation_of(&key, &peer) != first;
	}
	/* One in 256 is alike by chance. */
	assert_in_range(others, 122, 128);
	assert_int_equal(sf_incarnation_of(&key, &t.peer), first);
}

static void last_use_is_kept_coarsely(void **state)
{
	const __u64 ms = 1000000, wrap = 1ull << (32 + SF_USED_SHIFT);

	assert_int_equal(sf_used_since(sf_used_of(5000 * ms), 5000 * ms), 0);
	assert_in_range(sf_used_since(sf_used_of(5000 * ms), 65000 * ms), 59980 * ms, 60020 * ms);
	/* A clock that is coarser, or another CPU's, may lie behind. */
	assert_int_equal(sf_used_since(sf_used_of(5000 * ms), 4900 * ms), 0);
	assert_in_range(sf_used_since(sf_used_of(wrap - 500 * ms), wrap + 500 * ms), 980 * ms,
			1020 * ms);
}

static int compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

static void keys_rarely_meet(void **state)
{
	enum { N = 100000 };
	__u64 *ids = calloc(N, sizeof(*ids));
	int ones[40] = { 0 };

	for (int i = 0; i < N; i++) {
		struct sf_tuple t = tuple();

		t.local.w[3] = (__u32)i;
		ids[i] = sf_socket_id(sf_flow_key(sf_flow_hash(&key, &t), false), 0);
		assert_false(sf_sock_is_unset(ids[i]));
		assert_int_equal(ids[i] & ~SF_SOCK_MASK, 0);
		for (int bit = 0; bit < 40; bit++)
			ones[bit] += sf_socket_key(ids[i]) >> bit & 1;
	}
	/* 100,000 of 2^40: one pair alike in 220 keys; this key has none. */
	qsort(ids, N, sizeof(*ids), compare);
	for (int i = 1; i < N; i++)
		assert_int_not_equal(ids[i - 1], ids[i]);
	/* Six standard deviations of a fair coin. */
	for (int bit = 0; bit < 40; bit++)
		assert_in_range(ones[bit], N / 2 - 950, N / 2 + 950);
	free(ids);
}

static void datagram_ids(void **state)
{
	struct sf_addr a = { .b = { 0xfd, 0x5e } };
	__u64 id = sf_socket_id_datagram(&key, &a, sf_be16(53), 17);

	assert_int_equal(sf_socket_id_datagram(&key, &a, sf_be16(53), 17), id);
	assert_int_not_equal(sf_socket_id_datagram(&key, &a, sf_be16(54), 17), id);
	assert_int_not_equal(sf_socket_id_datagram(&key, &a, sf_be16(53), 6), id);
	assert_int_not_equal(sf_socket_id_datagram(&other_key, &a, sf_be16(53), 17), id);
	assert_false(sf_sock_is_unset(id));
	a.b[15] = 1;
	assert_int_not_equal(sf_socket_id_datagram(&key, &a, sf_be16(53), 17), id);
}

static bool may_refuse(const struct sf_flow *f, const struct sf_addr *src, bool unknown)
{
	return sf_flow_may_refuse(f, src, &f->peer_host, &f->own, &f->peer, unknown);
}

/* What a place earned is not for the next one, and who is asked there by mistake ends nothing. */
static void budget_is_of_one_place(void **state)
{
	struct sf_net net = sf_net_default(1);
	struct sf_flow f = { .own = sf_locator(&net, 1, 0x12345678ull),
			     .peer = sf_locator(&net, 2, 0x23456789ull) };
	struct sf_flow_change c = {
		.own = f.own, .peer = f.peer, .peer_host = sf_sid_make(1, 2), .credit = 100
	};
	struct sf_sid other = sf_sid_make(1, 3);

	assert_true(may_refuse(&f, &c.peer, true));
	c.flags = SF_FLOW_OPEN | SF_FLOW_BUDGET;
	c.peer = sf_locator(&net, 3, 0x23456789ull);
	sf_flow_change(&f, &c, 0);
	sf_flow_change(&f, &c, 0);
	assert_int_equal(f.budget, 200);
	assert_false(may_refuse(&f, &c.peer, true));
	c.peer = sf_locator(&net, 4, 0x23456789ull);
	sf_flow_change(&f, &c, 0);
	assert_int_equal(f.budget, 100);
	assert_false(may_refuse(&f, &c.peer, false));
	c.flags = SF_FLOW_OPEN;
	sf_flow_change(&f, &c, 0);
	assert_true(may_refuse(&f, &c.peer, false));
	assert_false(may_refuse(&f, &c.peer, true));
	c.flags = 0;
	sf_flow_change(&f, &c, 0);
	assert_true(may_refuse(&f, &c.peer, true));
	assert_false(may_refuse(&f, &c.own, true));
	/* About what had other names it was said before these were known. */
	assert_false(sf_flow_may_refuse(&f, &f.peer, &f.peer_host, &f.peer, &f.peer, true));
	assert_false(sf_flow_may_refuse(&f, &f.peer, &f.peer_host, &f.own, &f.own, true));
	assert_true(sf_flow_may_refuse(&f, &f.peer, &f.peer_host, &f.peer, &f.own, false));
	/* Its address is another's by now. */
	assert_false(sf_flow_may_refuse(&f, &f.peer, &other, &f.own, &f.peer, true));
}

/* That a peer is not there is over when both ends know where it is; that a flow is over is not. */
static void agreement_ends_a_soft_fail(void **state)
{
	struct sf_flow f = { .fail = SF_HOST_UNREACHABLE, .state = SF_FLOW_BOUND };
	struct sf_flow_change c = { .flags = SF_FLOW_OPEN };

	sf_flow_change(&f, &c, 0);
	assert_int_equal(f.fail, SF_HOST_UNREACHABLE);
	c.flags = SF_FLOW_BUDGET;
	sf_flow_change(&f, &c, 0);
	assert_int_equal(f.fail, SF_HOST_UNREACHABLE);
	c.flags = 0;
	f.flags |= SF_FLOW_RST;
	sf_flow_change(&f, &c, 0);
	assert_int_equal(f.fail, SF_HOST_UNREACHABLE);
	f.flags &= ~SF_FLOW_RST;
	sf_flow_change(&f, &c, 0);
	assert_int_equal(f.fail, 0);
	f.fail = SF_NO_SUCH_SOCKET;
	sf_flow_change(&f, &c, 0);
	assert_int_equal(f.fail, SF_NO_SUCH_SOCKET);
}

/* Who was handed over has another key: each place is known by its own. */
static void keys_belong_to_places(void **state)
{
	struct sf_net net = sf_net_default(1);
	struct sf_flow f = { .own = sf_locator(&net, 1, sf_socket_id(77, 1)),
			     .peer = sf_locator(&net, 2, sf_socket_id(88, 1)),
			     .state = SF_FLOW_BOUND };
	struct sf_flow_change c = { .own = f.own, .flags = SF_FLOW_OPEN };
	struct sf_addr before = sf_locator(&net, 2, sf_socket_id(88, 2)), mixed;

	c.peer = sf_locator(&net, 3, sf_socket_id(99, 1));
	assert_false(sf_flow_is_peer(&f, &c.peer, 0));
	assert_false(sf_flow_has_keys(&f, sf_locator_sock(&f.own), &c.peer));
	sf_flow_change(&f, &c, 0);
	assert_true(sf_flow_is_peer(&f, &c.peer, 0));
	assert_true(sf_flow_is_peer(&f, &before, 0));
	assert_true(sf_flow_has_keys(&f, sf_locator_sock(&f.own), &before));
	mixed = sf_locator(&net, 3, sf_socket_id(88, 1));
	assert_false(sf_flow_is_peer(&f, &mixed, 0));
	mixed = sf_locator(&net, 2, sf_socket_id(99, 1));
	assert_false(sf_flow_is_peer(&f, &mixed, 0));
	/* Back to it: the other one is not forgotten. */
	mixed = c.peer;
	c.before = c.peer;
	c.peer = before;
	sf_flow_change(&f, &c, 0);
	assert_true(sf_flow_is_peer(&f, &mixed, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(ids_are_never_unset),
		cmocka_unit_test(hash_depends_on_every_field),
		cmocka_unit_test(socket_ids_hold_key_and_incarnation),
		cmocka_unit_test(incarnations_follow_the_opener),
		cmocka_unit_test(last_use_is_kept_coarsely),
		cmocka_unit_test(keys_rarely_meet),
		cmocka_unit_test(datagram_ids),
		cmocka_unit_test(budget_is_of_one_place),
		cmocka_unit_test(agreement_ends_a_soft_fail),
		cmocka_unit_test(keys_belong_to_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
