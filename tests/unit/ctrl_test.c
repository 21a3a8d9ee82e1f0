// SPDX-License-Identifier: Apache-2.0
/* core/ctrl: messages there and back, cut short and bent. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ctrl.h"
#include "core/reason.h"

struct item {
	__u16 type, min;
};

static const struct item items[] = {
#define X(n, sym, min) { n, min },
	SF_ITEMS(X)
#undef X
};

#define ITEMS (sizeof(items) / sizeof(items[0]))

static const struct item *item_of(__u16 type)
{
	for (size_t i = 0; i < ITEMS; i++)
		if (items[i].type == type)
			return &items[i];
	return NULL;
}

static const __u8 message_types[] = {
#define X(n, sym, name) n,
	SF_CTRL_TYPES(X)
#undef X
};

#define TYPES (sizeof(message_types) / sizeof(message_types[0]))

/* A message of @type with every item but the two that must stand last, each @more than its minimum.
 */
static int message_make(__u8 *buf, size_t room, __u8 type, size_t more)
{
	struct sf_ctrl_out o;

	sf_ctrl_begin(&o, buf, room, type, 0x01020304, 0x1122334455667788ull);
	for (size_t i = 0; i < ITEMS; i++) {
		__u8 value[128];

		if (items[i].type == SF_ITEM_MAC || items[i].type == SF_ITEM_SIGNATURE)
			continue;
		memset(value, 0xa0 + (int)i, sizeof(value));
		sf_ctrl_put(&o, items[i].type, value, items[i].min + more);
	}
	sf_ctrl_put(&o, SF_ITEM_SIGNATURE, NULL, 64);
	sf_ctrl_put(&o, SF_ITEM_MAC, NULL, 16);
	return sf_ctrl_end(&o);
}

static void layout(void **state)
{
	__attribute__((aligned(4))) __u8 buf[64];
	struct sf_ctrl_out o;

	memset(buf, 0xee, sizeof(buf));
	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_DENIED, 5, 6);
	sf_ctrl_put(&o, SF_ITEM_TEXT, "no", 2);
	assert_int_equal(sf_ctrl_end(&o), 24);
	assert_memory_equal(buf,
			    "SF\x01\x0c\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x06"
			    "\x00\x0c\x00\x02no\x00\x00\xee",
			    25);
}

static void there_and_back(void **state)
{
	__attribute__((aligned(4))) __u8 buf[2048];
	struct sf_ctrl_in in;
	const char *why;

	for (size_t t = 0; t < TYPES; t++) {
		for (size_t more = 0; more < 9; more++) {
			int n = message_make(buf, sizeof(buf), message_types[t], more);
			const __u8 *at = buf + 16;
			size_t seen = 0;

			assert_true(n > 0 && n % 4 == 0);
			assert_int_equal(sf_ctrl_open(buf, (size_t)n, &in, &why), 0);
			assert_null(why);
			assert_int_equal(in.type, message_types[t]);
			assert_int_equal(in.seq, 0x01020304);
			assert_int_equal(in.session, 0x1122334455667788ull);
			sf_ctrl_foreach (&in, it) {
				const struct item *known = item_of(it.type);

				assert_non_null(known);
				assert_ptr_equal(it.at, at);
				assert_ptr_equal(it.value, at + 4);
				at += 4 + (it.len + 3) / 4 * 4;
				seen++;
				if (it.type == SF_ITEM_MAC || it.type == SF_ITEM_SIGNATURE)
					continue;
				assert_int_equal(it.len, known->min + more);
				for (__u16 i = 0; i < it.len; i++)
					assert_int_equal(((const __u8 *)it.value)[i],
							 0xa0 + (known - items));
			}
			assert_int_equal(seen, ITEMS);
			assert_ptr_equal(at, in.end);
		}
	}
}

static void finds(void **state)
{
	__attribute__((aligned(4))) __u8 buf[256];
	struct sf_item_reason reason;
	struct sf_ctrl_out o;
	struct sf_ctrl_in in;
	const char *why;
	__u16 len = 7;
	__u8 *later;

	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_DENIED, 1, 2);
	sf_ctrl_put(&o, 60000, "unknown", 7);
	sf_ctrl_put(&o, SF_ITEM_NAME, "first", 5);
	sf_ctrl_put(&o, SF_ITEM_NAME, "second", 6);
	later = sf_ctrl_put(&o, SF_ITEM_REASON, NULL, 4);
	*later = SF_CLONED;
	sf_ctrl_put(&o, SF_ITEM_TEXT, "", 0);
	assert_int_equal(sf_ctrl_open(buf, (size_t)sf_ctrl_end(&o), &in, &why), 0);
	assert_memory_equal(sf_ctrl_find(&in, SF_ITEM_NAME, &len), "first", 5);
	assert_int_equal(len, 5);
	assert_non_null(sf_ctrl_find(&in, SF_ITEM_TEXT, &len));
	assert_int_equal(len, 0);
	assert_non_null(sf_ctrl_find(&in, SF_ITEM_REASON, NULL));
	assert_null(sf_ctrl_find(&in, SF_ITEM_MAC, &len));

	assert_int_equal(sf_ctrl_get(&in, SF_ITEM_REASON, &reason, sizeof(reason)), 0);
	assert_int_equal(reason.reason, SF_CLONED);
	assert_int_equal(sf_ctrl_get(&in, SF_ITEM_HASHKEY, &reason, sizeof(reason)), -ENOENT);
	assert_int_equal(sf_ctrl_get(&in, SF_ITEM_TEXT, &reason, sizeof(reason)), -EBADMSG);
}

static void every_truncation_is_refused(void **state)
{
	__attribute__((aligned(4))) __u8 buf[2048];
	struct sf_ctrl_in in;
	const char *why;

	for (size_t t = 0; t < TYPES; t++) {
		int n = message_make(buf, sizeof(buf), message_types[t], t % 4);

		for (int len = 0; len < n; len++) {
			__u8 *cut = malloc(len ? (size_t)len : 1);
			bool between = len == 16;

			memcpy(cut, buf, (size_t)len);
			/* Between items a message may end: the sender's length is the datagram's.
			 */
			assert_int_equal(sf_ctrl_open(buf, (size_t)n, &in, &why), 0);
			sf_ctrl_foreach (&in, it)
				between |= it.at == buf + len;
			why = NULL;
			assert_int_equal(sf_ctrl_open(cut, (size_t)len, &in, &why),
					 between ? 0 : -EBADMSG);
			assert_int_equal(why == NULL, between);
			free(cut);
		}
	}
}

static void too_short_for_its_type(void **state)
{
	__attribute__((aligned(4))) __u8 buf[256];
	struct sf_ctrl_out o;
	struct sf_ctrl_in in;
	const char *why;

	for (size_t i = 0; i < ITEMS; i++) {
		assert_int_equal(sf_item_min(items[i].type), items[i].min);
		for (__u16 len = 0; len <= items[i].min; len++) {
			sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_JOIN, 1, 0);
			sf_ctrl_put(&o, items[i].type, NULL, len);
			assert_int_equal(sf_ctrl_open(buf, (size_t)sf_ctrl_end(&o), &in, &why),
					 len < items[i].min ? -EBADMSG : 0);
		}
	}
	assert_int_equal(sf_item_min(0), 0);
	assert_int_equal(sf_item_min(9999), 0);
}

/* The minimum lengths are those of the structures that readers lay over the values. */
static void minimum_lengths(void **state)
{
	assert_int_equal(sf_item_min(SF_ITEM_IDENTITY), sizeof(struct sf_sid));
	assert_int_equal(sf_item_min(SF_ITEM_LOCATOR), sizeof(struct sf_addr));
	assert_int_equal(sf_item_min(SF_ITEM_NET), sizeof(struct sf_net));
	assert_int_equal(sf_item_min(SF_ITEM_TIMERS), sizeof(struct sf_item_timers));
	assert_int_equal(sf_item_min(SF_ITEM_REGISTRATION), sizeof(struct sf_item_registration));
	assert_int_equal(sf_item_min(SF_ITEM_RESULT), sizeof(struct sf_item_result));
	assert_int_equal(sf_item_min(SF_ITEM_REASON), sizeof(struct sf_item_reason));
	assert_int_equal(sf_item_min(SF_ITEM_SERVICE_LOAD), sizeof(struct sf_item_load));
	assert_int_equal(sf_item_min(SF_ITEM_VERSION), sizeof(struct sf_item_version));
	assert_int_equal(sf_item_min(SF_ITEM_ROUTER), sizeof(struct sf_item_router));
	assert_int_equal(sf_item_min(SF_ITEM_BLOCK), sizeof(struct sf_item_block));
	assert_int_equal(sf_item_min(SF_ITEM_SERVICE), sizeof(struct sf_item_service));
	assert_int_equal(sf_item_min(SF_ITEM_INSTANCE), sizeof(struct sf_item_instance));
	assert_int_equal(sf_item_min(SF_ITEM_ROUTE), sizeof(struct sf_item_route));
	assert_int_equal(sf_item_min(SF_ITEM_HASHKEY), sizeof(struct sf_hashkey));
	assert_int_equal(sf_item_min(SF_ITEM_HOST), sizeof(struct sf_item_host));
}

static void malformed(void **state)
{
	__attribute__((aligned(4))) __u8 buf[64];
	static __u8 huge[SF_CTRL_MAX + 4];
	struct sf_ctrl_out o;
	struct sf_ctrl_in in;
	const char *why;
	size_t n;

	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_DENIED, 5, 6);
	sf_ctrl_put(&o, SF_ITEM_TEXT, "no", 2);
	n = (size_t)sf_ctrl_end(&o);
	buf[23] = 1;
	assert_int_equal(sf_ctrl_open(buf, n, &in, &why), -EBADMSG);
	assert_non_null(strstr(why, "padding"));
	buf[23] = 0;
	buf[19] = 5;
	assert_int_equal(sf_ctrl_open(buf, n, &in, &why), -EBADMSG);
	assert_non_null(strstr(why, "longer"));
	buf[18] = buf[19] = 0xff;
	assert_int_equal(sf_ctrl_open(buf, n, &in, &why), -EBADMSG);
	buf[18] = 0, buf[19] = 2;
	assert_int_equal(sf_ctrl_open(buf, n, &in, &why), 0);
	buf[2] = 2;
	assert_int_equal(sf_ctrl_open(buf, n, &in, &why), -EPROTONOSUPPORT);
	assert_non_null(strstr(why, "version"));
	buf[2] = 1, buf[1] = 'G';
	assert_int_equal(sf_ctrl_open(buf, n, &in, &why), -EBADMSG);

	/* The largest frame, of one item that fills it; and one step more. */
	sf_ctrl_begin(&o, huge, sizeof(huge), SF_CTRL_ALARM, 1, 1);
	assert_non_null(sf_ctrl_put(&o, SF_ITEM_TEXT, NULL, SF_CTRL_MAX - 20));
	assert_int_equal(sf_ctrl_open(huge, (size_t)sf_ctrl_end(&o), &in, &why), 0);
	assert_int_equal(sf_ctrl_open(huge, sizeof(huge), &in, &why), -EBADMSG);
	assert_null(sf_ctrl_put(&o, SF_ITEM_TEXT, NULL, 0));
	assert_int_equal(sf_ctrl_end(&o), -EMSGSIZE);
}

static int open_order(const __u16 *types, size_t n)
{
	__attribute__((aligned(4))) __u8 buf[512];
	struct sf_ctrl_out o;
	struct sf_ctrl_in in;
	const char *why;

	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_JOIN, 5, 6);
	for (size_t i = 0; i < n; i++)
		sf_ctrl_put(&o, types[i], NULL, 64);
	return sf_ctrl_open(buf, (size_t)sf_ctrl_end(&o), &in, &why);
}

static void nothing_hides_behind_a_proof(void **state)
{
	static const __u16 signature = SF_ITEM_SIGNATURE, mac = SF_ITEM_MAC, text = SF_ITEM_TEXT;

	assert_int_equal(open_order((__u16[]){ text, signature }, 2), 0);
	assert_int_equal(open_order((__u16[]){ text, mac }, 2), 0);
	assert_int_equal(open_order((__u16[]){ text, signature, mac }, 3), 0);
	assert_int_equal(open_order((__u16[]){ signature, text }, 2), -EBADMSG);
	assert_int_equal(open_order((__u16[]){ mac, text }, 2), -EBADMSG);
	assert_int_equal(open_order((__u16[]){ mac, signature }, 2), -EBADMSG);
	assert_int_equal(open_order((__u16[]){ mac, mac }, 2), -EBADMSG);
	assert_int_equal(open_order((__u16[]){ signature, signature }, 2), -EBADMSG);
	assert_int_equal(open_order((__u16[]){ signature, mac, text }, 3), -EBADMSG);
	assert_int_equal(open_order((__u16[]){ mac, 60000 }, 2), -EBADMSG);
}

static void overflow_stays(void **state)
{
	struct sf_ctrl_out o;
	__u8 buf[64];

	for (size_t room = 0; room < 16; room++) {
		sf_ctrl_begin(&o, buf, room, SF_CTRL_JOIN, 1, 0);
		assert_int_equal(sf_ctrl_end(&o), -EMSGSIZE);
		assert_int_equal(sf_ctrl_room(&o), 0);
		assert_null(sf_ctrl_put(&o, SF_ITEM_TEXT, "", 0));
	}
	memset(buf, 0xee, sizeof(buf));
	sf_ctrl_begin(&o, buf, 31, SF_CTRL_JOIN, 1, 0);
	assert_int_equal(sf_ctrl_room(&o), 15);
	assert_null(sf_ctrl_put(&o, SF_ITEM_TEXT, "123456789", 9)); /* fits but for its padding */
	assert_null(sf_ctrl_put(&o, SF_ITEM_TEXT, "1", 1));	    /* once lost, all is lost */
	assert_int_equal(sf_ctrl_end(&o), -EMSGSIZE);
	assert_int_equal(buf[16], 0xee);
	sf_ctrl_begin(&o, buf, 32, SF_CTRL_JOIN, 1, 0);
	assert_non_null(sf_ctrl_put(&o, SF_ITEM_TEXT, "123456789", 9));
	assert_int_equal(sf_ctrl_end(&o), 32);
	assert_int_equal(buf[32], 0xee);
	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_JOIN, 1, 0);
	assert_null(sf_ctrl_put(&o, SF_ITEM_TEXT, NULL, 65536));
}

static void names(void **state)
{
	for (size_t i = 0; i < TYPES; i++) {
		assert_string_not_equal(sf_ctrl_name(message_types[i]), "?");
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(sf_ctrl_name(message_types[i]),
						sf_ctrl_name(message_types[j]));
	}
	assert_string_equal(sf_ctrl_name(SF_CTRL_RULES_GONE), "RULES-GONE");
	assert_string_equal(sf_ctrl_name(0), "?");
	assert_string_equal(sf_ctrl_name(255), "?");
	assert_string_equal(sf_ctrl_name(256 + SF_CTRL_JOIN), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(finds),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(too_short_for_its_type),
		cmocka_unit_test(minimum_lengths),
		cmocka_unit_test(malformed),
		cmocka_unit_test(nothing_hides_behind_a_proof),
		cmocka_unit_test(overflow_stays),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
