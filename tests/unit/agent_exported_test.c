// SPDX-License-Identifier: Apache-2.0
/* agent/exported: what is written is read; what is not whole, not of now, or not what an agent
 * writes, is not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/exported.h"
#include "util/crypto.h"

#define NOW    1700000000000ull
#define DOMAIN "scaffold exported connection v1"

static char err[256];

static struct sf_addr address(uint8_t first)
{
	struct sf_addr a;

	for (size_t i = 0; i < sizeof(a.b); i++)
		a.b[i] = (uint8_t)(first + i);
	return a;
}

static struct exported sample(uint32_t received, uint32_t sent, uint32_t unsent)
{
	struct exported e = { .made_ms = NOW, .until_ms = NOW + EXPORTED_LIFE_MS };

	e.tuple = (struct sf_tuple){ .local = address(1),
				     .peer = address(2),
				     .lport = sf_be16(80),
				     .pport = sf_be16(40000),
				     .proto = 6 };
	e.peer_sid = sf_sid_make(7, 8);
	e.peer_host = sf_sid_make(9, 10);
	e.isn = 11;
	e.flags = SF_FLOW_INBOUND;
	e.move.own = (struct sf_view){ 12, 13, 14, 0 };
	e.move.peer = (struct sf_view){ 15, 16, 17, 1 };
	e.move.acked = 18;
	e.move.former = 19;
	e.move.at = address(20);
	e.move.valid = address(21);
	e.move.peer_host = sf_sid_make(22, 23);
	e.move.flags = SF_MOVE_CONFIRMED;
	e.move.moves = 24;
	e.move.peer_moves = 25;
	e.tcp = (struct repair){ .snd_seq = 26,
				 .rcv_seq = 27,
				 .timestamp = 28,
				 .snd_wl1 = 29,
				 .snd_wnd = 30,
				 .max_window = 31,
				 .rcv_wnd = 32,
				 .rcv_wup = 33,
				 .mss = 1440,
				 .options = REPAIR_SACK | REPAIR_WSCALE,
				 .snd_wscale = 7,
				 .rcv_wscale = 8,
				 .received = received,
				 .sent = sent,
				 .unsent = unsent };
	e.tcp.data = malloc(repair_size(&e.tcp) + 1);
	assert_non_null(e.tcp.data);
	for (size_t i = 0; i < repair_size(&e.tcp); i++)
		e.tcp.data[i] = (uint8_t)i;
	return e;
}

/* As bytes, the caller's. */
static uint8_t *bytes(const struct exported *e, size_t *len)
{
	uint8_t *b;

	*len = exported_size(e);
	b = malloc(*len);
	assert_non_null(b);
	assert_int_equal(exported_encode(e, b), 0);
	return b;
}

static void there_and_back(void **state)
{
	struct exported e = sample(100, 2000, 30), got;
	size_t len;
	uint8_t *b = bytes(&e, &len), *data = e.tcp.data;

	assert_int_equal(exported_decode(b, len, NOW + 1, &got, err, sizeof(err)), 0);
	assert_memory_equal(got.tcp.data, data, 2130);
	free(got.tcp.data);
	e.tcp.data = got.tcp.data = NULL;
	assert_memory_equal(&got, &e, sizeof(e));
	free(data);
	free(b);
}

static void cut_anywhere(void **state)
{
	struct exported e = sample(10, 10, 10), got;
	size_t len;
	uint8_t *b = bytes(&e, &len);

	for (size_t n = 0; n < len; n++) {
		/* Of its own, so that a sanitizer sees who reads on. */
		uint8_t *part = malloc(n ? n : 1);

		assert_non_null(part);
		memcpy(part, b, n);
		assert_int_equal(exported_decode(part, n, NOW, &got, err, sizeof(err)), -EBADMSG);
		assert_true(*err);
		free(part);
	}
	exported_free(&e);
	free(b);
}

static void changed_anywhere(void **state)
{
	struct exported e = sample(3, 2, 1), got;
	size_t len;
	uint8_t *b = bytes(&e, &len);

	for (size_t i = 0; i < len; i++) {
		b[i] ^= 1;
		assert_true(exported_decode(b, len, NOW, &got, err, sizeof(err)) < 0);
		b[i] ^= 1;
	}
	assert_int_equal(exported_decode(b, len, NOW, &got, err, sizeof(err)), 0);
	exported_free(&got);
	exported_free(&e);
	free(b);
}

static void of_another_time_or_version(void **state)
{
	struct exported e = sample(0, 0, 0), got;
	size_t len;
	uint8_t *b = bytes(&e, &len);

	assert_int_equal(
		exported_decode(b, len, NOW + EXPORTED_LIFE_MS - 1, &got, err, sizeof(err)), 0);
	exported_free(&got);
	assert_int_equal(exported_decode(b, len, NOW + EXPORTED_LIFE_MS, &got, err, sizeof(err)),
			 -ESTALE);
	b[5]++;
	assert_int_equal(exported_decode(b, len, NOW, &got, err, sizeof(err)), -EPROTONOSUPPORT);
	free(b);
	e.until_ms++; /* nobody makes it last longer */
	b = bytes(&e, &len);
	assert_int_equal(exported_decode(b, len, NOW, &got, err, sizeof(err)), -EBADMSG);
	exported_free(&e);
	free(b);
}

/* With a right digest, as whoever wants to do harm would write it. */
static void refused(struct exported *e)
{
	struct exported got;
	size_t len;
	uint8_t *b = bytes(e, &len);

	assert_int_equal(exported_decode(b, len, NOW, &got, err, sizeof(err)), -EBADMSG);
	free(b);
	exported_free(e);
	*e = sample(0, 0, 0);
}

static void what_no_agent_writes(void **state)
{
	struct exported e = sample(0, 0, 0);

	e.tuple.proto = 17;
	refused(&e);
	e.tuple.lport = 0;
	refused(&e);
	e.tuple.peer = (struct sf_addr){ 0 };
	refused(&e);
	e.flags = SF_FLOW_OVER;
	refused(&e);
	sf_locator_set_sock(&e.move.at, 1);
	refused(&e);
	e.move.valid = (struct sf_addr){ 0 };
	refused(&e);
	e.move.cand.b[15] = 1;
	refused(&e);
	e.move.flags = 4;
	refused(&e);
	e.move.peer.closed = 2;
	refused(&e);
	e.tcp.options = 8;
	refused(&e);
	e.tcp.rcv_wscale = 15;
	refused(&e);
	e.tcp.mss = 87;
	refused(&e);
	exported_free(&e);
}

/* Lengths that add up to the right sum only if they overflow. */
static void lengths(void **state)
{
	struct exported e = sample(0, 0, 0), got;
	size_t len, at = exported_size(&e) - SF_SHA256_LEN - 12;
	uint8_t *b = bytes(&e, &len);

	b[at] = b[at + 4] = 0x80;
	assert_int_equal(sf_sha256(DOMAIN, b, len - SF_SHA256_LEN, b + len - SF_SHA256_LEN), 0);
	assert_int_equal(exported_decode(b, len, NOW, &got, err, sizeof(err)), -EBADMSG);
	e.tcp.unsent = EXPORTED_QUEUE_MAX + 1;
	assert_int_equal(exported_encode(&e, b), -EMSGSIZE);
	e.tcp.unsent = 0;
	exported_free(&e);
	free(b);
}

/* That the place that we left was gone is no news at another host: what the state says of a move is
 * what both ends agree on. It is not written, and not read. */
static void what_is_this_hosts_alone(void **state)
{
	struct exported e = sample(0, 0, 0), got;
	struct sf_move m = e.move;
	size_t len;
	uint8_t *b;

	m.flags = ~0u;
	m.echo = 1;
	m.allow = m.tries = 2;
	m.began = m.heard = m.cand_since = m.due = m.wait = 3;
	exported_take_move(&e, &m);
	assert_int_equal(e.move.flags, SF_MOVE_CONFIRMED | SF_MOVE_EXPIRED);
	assert_false(e.move.flags & SF_MOVE_GONE);
	b = bytes(&e, &len);
	assert_int_equal(exported_decode(b, len, NOW + 1, &got, err, sizeof(err)), 0);
	m.flags = SF_MOVE_CONFIRMED | SF_MOVE_EXPIRED;
	m.echo = 0;
	m.allow = m.tries = 0;
	m.began = m.heard = m.cand_since = m.due = m.wait = 0;
	assert_memory_equal(&got.move, &m, sizeof(m));
	exported_free(&got);
	free(b);
	e.move.flags = SF_MOVE_CONFIRMED | SF_MOVE_GONE;
	b = bytes(&e, &len);
	assert_int_equal(exported_decode(b, len, NOW + 1, &got, err, sizeof(err)), -EBADMSG);
	assert_non_null(strstr(err, "flags of the move"));
	free(b);
	exported_free(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(changed_anywhere),
		cmocka_unit_test(of_another_time_or_version),
		cmocka_unit_test(what_no_agent_writes),
		cmocka_unit_test(lengths),
		cmocka_unit_test(what_is_this_hosts_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
