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

static void inbound_ids_depend_on_every_field(void **state)
{
	struct sf_net net = sf_net_default(1);
	struct sf_sid sid = sf_sid_make(1, 42);
	struct sf_addr peer = sf_locator(&net, 0x10002, 0x123456789abcull);
	struct sf_addr local = sf_service_addr(&net, &sid);
	__be16 lport = sf_be16(80), pport = sf_be16(40000);
	__u64 id = sf_socket_id(&key, &peer, &local, lport, pport, 6);

	assert_int_equal(sf_socket_id(&key, &peer, &local, lport, pport, 6), id);
	assert_false(sf_sock_is_unset(id));
	assert_int_equal(id & ~SF_SOCK_MASK, 0);
	assert_int_not_equal(sf_socket_id(&other_key, &peer, &local, lport, pport, 6), id);
	assert_int_not_equal(sf_socket_id(&key, &peer, &local, pport, lport, 6), id);
	assert_int_not_equal(sf_socket_id(&key, &local, &peer, lport, pport, 6), id);
	assert_int_not_equal(sf_socket_id(&key, &peer, &local, lport, pport, 17), id);
	for (int bit = 0; bit < 128; bit++) {
		struct sf_addr p = peer, l = local;

		p.b[bit / 8] ^= 1 << bit % 8;
		l.b[bit / 8] ^= 1 << bit % 8;
		assert_int_not_equal(sf_socket_id(&key, &p, &local, lport, pport, 6), id);
		assert_int_not_equal(sf_socket_id(&key, &peer, &l, lport, pport, 6), id);
	}
	for (int bit = 0; bit < 16; bit++) {
		__be16 flip = (__be16)(1 << bit);

		assert_int_not_equal(sf_socket_id(&key, &peer, &local, lport ^ flip, pport, 6), id);
		assert_int_not_equal(sf_socket_id(&key, &peer, &local, lport, pport ^ flip, 6), id);
	}
}

static int compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

static void outbound_ids_do_not_repeat(void **state)
{
	enum { N = 100000 };
	__u64 *ids = calloc(N, sizeof(*ids));
	int ones[48] = { 0 };

	for (int i = 0; i < N; i++) {
		ids[i] = sf_socket_id_next(&key, (__u64)i);
		assert_false(sf_sock_is_unset(ids[i]));
		assert_int_equal(ids[i] & ~SF_SOCK_MASK, 0);
		for (int bit = 0; bit < 48; bit++)
			ones[bit] += ids[i] >> bit & 1;
	}
	/* 100,000 of 2^48: one pair alike in 56,000 keys; this key has none. */
	qsort(ids, N, sizeof(*ids), compare);
	for (int i = 1; i < N; i++)
		assert_int_not_equal(ids[i - 1], ids[i]);
	/* Six standard deviations of a fair coin. */
	for (int bit = 0; bit < 48; bit++)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(ids_are_never_unset),
		cmocka_unit_test(inbound_ids_depend_on_every_field),
		cmocka_unit_test(outbound_ids_do_not_repeat),
		cmocka_unit_test(datagram_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
