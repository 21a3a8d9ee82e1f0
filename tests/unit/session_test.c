// SPDX-License-Identifier: Apache-2.0
/* Sessions of host and access router: both ends derive alike, and nothing else is believed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "util/session.h"

struct pair {
	struct sf_session host, router;
	struct sf_sign_key *host_key, *router_key;
	struct sf_session_terms terms;
	uint8_t secret[SF_DH_LEN];
};

static int setup(void **state)
{
	static struct pair p;

	memset(&p, 0, sizeof(p));
	memset(p.secret, 7, sizeof(p.secret));
	memset(p.terms.nonce, 0x5c, sizeof(p.terms.nonce));
	memset(p.terms.host_share, 1, SF_DH_LEN);
	memset(p.terms.router_share, 2, SF_DH_LEN);
	p.terms.boot = 0x1122334455667788ull;
	assert_int_equal(sf_session_open(&p.host, SF_SESSION_HOST, p.secret, &p.terms), 0);
	assert_int_equal(sf_session_open(&p.router, SF_SESSION_ROUTER, p.secret, &p.terms), 0);
	assert_int_equal(sf_sign_key_make(&p.host_key), 0);
	assert_int_equal(sf_sign_key_make(&p.router_key), 0);
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	sf_session_close(&p->host);
	sf_session_close(&p->router);
	sf_sign_key_free(p->host_key);
	sf_sign_key_free(p->router_key);
	return 0;
}

static int request(const struct sf_session *s, void *buf, size_t room)
{
	struct sf_ctrl_out o;

	sf_session_begin(s, &o, buf, room, SF_CTRL_HEARTBEAT, 1);
	sf_ctrl_put(&o, SF_ITEM_TEXT, "hello", 5);
	return sf_session_seal(s, &o);
}

static void open_in(const void *buf, int len, struct sf_ctrl_in *in)
{
	const char *why;

	assert_true(len > 0);
	assert_int_equal(sf_ctrl_open(buf, (size_t)len, in, &why), 0);
}

static void both_ends_agree(void **state)
{
	struct pair *p = *state;
	uint8_t buf[256] __attribute__((aligned(8)));
	struct sf_ctrl_in in;

	assert_int_equal(p->host.id, 0x5c5c5c5c5c5c5c5cull);
	open_in(buf, request(&p->host, buf, sizeof(buf)), &in);
	assert_int_equal(sf_session_check(&p->router, &in), 0);
	/* The directions have keys of their own: a message cannot be sent back to its sender. */
	assert_int_equal(sf_session_check(&p->host, &in), -EBADMSG);
	open_in(buf, request(&p->router, buf, sizeof(buf)), &in);
	assert_int_equal(sf_session_check(&p->host, &in), 0);
}

static void each_byte_counts(void **state)
{
	struct pair *p = *state;
	uint8_t buf[256] __attribute__((aligned(8)));
	int len = request(&p->host, buf, sizeof(buf));

	for (int i = 0; i < len; i++) {
		struct sf_ctrl_in in;
		const char *why;

		buf[i] ^= 1;
		if (!sf_ctrl_open(buf, (size_t)len, &in, &why))
			assert_int_not_equal(sf_session_check(&p->router, &in), 0);
		buf[i] ^= 1;
	}
}

static void mac_must_be_there_and_last(void **state)
{
	struct pair *p = *state;
	uint8_t buf[256] __attribute__((aligned(8)));
	struct sf_ctrl_out o;
	struct sf_ctrl_in in;
	const char *why;
	int len;

	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_LEAVE, 1, p->host.id);
	open_in(buf, sf_ctrl_end(&o), &in);
	assert_int_equal(sf_session_check(&p->router, &in), -EBADMSG);
	len = request(&p->host, buf, sizeof(buf));
	o = (struct sf_ctrl_out){ .start = buf, .at = buf + len, .end = buf + sizeof(buf) };
	assert_non_null(sf_ctrl_put(&o, SF_ITEM_TEXT, "more", 4));
	assert_int_equal(sf_ctrl_open(buf, (size_t)sf_ctrl_end(&o), &in, &why), -EBADMSG);
}

static void every_term_changes_the_keys(void **state)
{
	struct pair *p = *state;
	uint8_t was[32], now[32], back[32];
	struct sf_session_terms t;

	assert_int_equal(sf_session_derive(p->secret, &p->terms, was, back), 0);
	assert_memory_not_equal(was, back, 32);
	for (int i = 0; i < 4; i++) {
		t = p->terms;
		if (i == 0)
			t.nonce[15] ^= 1;
		else if (i == 1)
			t.boot ^= 1;
		else if (i == 2)
			t.host_share[31] ^= 1;
		else
			t.router_share[31] ^= 1;
		assert_int_equal(sf_session_derive(p->secret, &t, now, back), 0);
		assert_memory_not_equal(was, now, 32);
	}
}

static void nonce_without_id_is_refused(void **state)
{
	struct pair *p = *state;
	struct sf_session_terms t = p->terms;
	struct sf_session s = { .id = 9 };

	memset(t.nonce, 0, 8);
	assert_int_equal(sf_session_open(&s, SF_SESSION_HOST, p->secret, &t), -EINVAL);
	assert_int_equal(s.id, 9);
}

static void room_for_the_mac_is_held_back(void **state)
{
	struct pair *p = *state;
	uint8_t buf[96] __attribute__((aligned(8)));
	struct sf_ctrl_out o;

	sf_session_begin(&p->host, &o, buf, sizeof(buf), SF_CTRL_HEARTBEAT, 1);
	while (sf_ctrl_put(&o, SF_ITEM_TEXT, "1234", 4))
		;
	assert_int_equal(sf_session_seal(&p->host, &o), -EMSGSIZE);
	sf_session_begin(&p->host, &o, buf, sizeof(buf), SF_CTRL_HEARTBEAT, 1);
	while (sf_ctrl_room(&o) >= 8)
		sf_ctrl_put(&o, SF_ITEM_TEXT, "1234", 4);
	assert_true(sf_session_seal(&p->host, &o) > 0);
}

static void window_tells_new_from_seen(void **state)
{
	struct sf_seq_window w = { 0 };

	assert_int_equal(sf_seq_accept(&w, 0), -ESTALE);
	assert_int_equal(sf_seq_accept(&w, 5), 0);
	assert_int_equal(sf_seq_accept(&w, 5), -EALREADY);
	assert_int_equal(sf_seq_accept(&w, 3), 0);
	assert_int_equal(sf_seq_accept(&w, 3), -EALREADY);
	assert_int_equal(sf_seq_accept(&w, 68), 0);
	assert_int_equal(sf_seq_accept(&w, 5), -EALREADY);
	assert_int_equal(sf_seq_accept(&w, 4), -ESTALE);
	assert_int_equal(sf_seq_accept(&w, 6), 0);
	assert_int_equal(sf_seq_accept(&w, 5000), 0);
	assert_int_equal(sf_seq_accept(&w, 4999), 0);
	assert_int_equal(sf_seq_accept(&w, 68), -ESTALE);
}

static int make_join(struct pair *p, void *buf, size_t room)
{
	uint8_t key[SF_SIGN_PUBLIC_LEN], share[SF_DH_LEN] = { 3 };
	__be64 eight = 0;
	struct sf_ctrl_out o;

	sf_sign_key_public(p->host_key, key);
	sf_ctrl_begin(&o, buf, room, SF_CTRL_JOIN, 1, 0);
	sf_ctrl_put(&o, SF_ITEM_HOST_KEY, key, sizeof(key));
	sf_ctrl_put(&o, SF_ITEM_SHARE, share, sizeof(share));
	sf_ctrl_put(&o, SF_ITEM_BOOT, &eight, sizeof(eight));
	sf_ctrl_put(&o, SF_ITEM_TIME, &eight, sizeof(eight));
	return sf_join_sign(&o, p->host_key);
}

static void join_proves_its_key(void **state)
{
	struct pair *p = *state;
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	int len = make_join(p, buf, sizeof(buf));
	struct sf_ctrl_in in;

	open_in(buf, len, &in);
	assert_int_equal(sf_join_verify(&in), 0);
	buf[7] ^= 1; /* sequence number */
	open_in(buf, len, &in);
	assert_int_equal(sf_join_verify(&in), -EKEYREJECTED);
	buf[7] ^= 1;
	buf[16 + 4] ^= 1; /* the key itself */
	open_in(buf, len, &in);
	assert_int_equal(sf_join_verify(&in), -EKEYREJECTED);
}

static void join_without_share_is_malformed(void **state)
{
	struct pair *p = *state;
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8))), key[SF_SIGN_PUBLIC_LEN];
	struct sf_ctrl_out o;
	struct sf_ctrl_in in;

	sf_sign_key_public(p->host_key, key);
	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_JOIN, 1, 0);
	sf_ctrl_put(&o, SF_ITEM_HOST_KEY, key, sizeof(key));
	open_in(buf, sf_join_sign(&o, p->host_key), &in);
	assert_int_equal(sf_join_verify(&in), -EBADMSG);
}

static void joined_answers_one_join_only(void **state)
{
	struct pair *p = *state;
	uint8_t join[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	uint8_t key[SF_SIGN_PUBLIC_LEN], bytes[64] = { 1 };
	int join_len = make_join(p, join, sizeof(join)), len;
	struct sf_ctrl_out o;
	struct sf_ctrl_in in;

	sf_sign_key_public(p->router_key, key);
	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_JOINED, 1, p->router.id);
	sf_ctrl_put(&o, SF_ITEM_IDENTITY, bytes, 12);
	sf_ctrl_put(&o, SF_ITEM_LOCATOR, bytes, 16);
	sf_ctrl_put(&o, SF_ITEM_NET, bytes, 12);
	sf_ctrl_put(&o, SF_ITEM_TIMERS, bytes, 12);
	sf_ctrl_put(&o, SF_ITEM_NONCE, bytes, 16);
	sf_ctrl_put(&o, SF_ITEM_SHARE, bytes, 32);
	sf_ctrl_put(&o, SF_ITEM_HOST_KEY, key, sizeof(key));
	len = sf_joined_sign(&o, p->router_key, join, (size_t)join_len);
	open_in(buf, len, &in);
	assert_int_equal(sf_joined_verify(&in, join, (size_t)join_len), 0);
	join[join_len - 1] ^= 1;
	assert_int_equal(sf_joined_verify(&in, join, (size_t)join_len), -EKEYREJECTED);
}

static void digest_is_of_all_three(void **state)
{
	struct sf_sid a = sf_sid_make(1, 2), b = sf_sid_make(1, 3);
	uint64_t d = sf_registration_digest(&a, 6, sf_be16(80));

	assert_int_equal(d, sf_registration_digest(&a, 6, sf_be16(80)));
	assert_int_not_equal(d, sf_registration_digest(&b, 6, sf_be16(80)));
	assert_int_not_equal(d, sf_registration_digest(&a, 17, sf_be16(80)));
	assert_int_not_equal(d, sf_registration_digest(&a, 6, sf_be16(81)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_ends_agree, setup, teardown),
		cmocka_unit_test_setup_teardown(each_byte_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(mac_must_be_there_and_last, setup, teardown),
		cmocka_unit_test_setup_teardown(every_term_changes_the_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(nonce_without_id_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(room_for_the_mac_is_held_back, setup, teardown),
		cmocka_unit_test(window_tells_new_from_seen),
		cmocka_unit_test_setup_teardown(join_proves_its_key, setup, teardown),
		cmocka_unit_test_setup_teardown(join_without_share_is_malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(joined_answers_one_join_only, setup, teardown),
		cmocka_unit_test(digest_is_of_all_three),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
