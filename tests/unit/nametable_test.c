// SPDX-License-Identifier: Apache-2.0
/* util/nametable: names that were said, found by serviceID; the oldest goes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/crypto.h"
#include "util/nametable.h"

static struct sf_sid sid_of(const char *text)
{
	struct sf_net net = sf_net_default(1);
	struct sf_sid sid;
	const char *why;

	assert_int_equal(sf_sid_parse(&net, text, sf_sha256, &sid, &why), 0);
	return sid;
}

static void learning(void **state)
{
	struct sf_nametable t = { .max = 8 };
	struct sf_sid web = sid_of("web"), other = sid_of("web@2a"), mail = sid_of("mail");
	struct sf_named *n;

	assert_int_equal(sf_nametable_learn(&t, "WEB.scaffold", &n), 1);
	assert_false(n->told);
	n->told = true;
	assert_int_equal(sf_nametable_learn(&t, "web", &n), 0);
	assert_true(n->told);
	assert_int_equal(sf_nametable_learn(&t, "web@2a", NULL), 1);
	assert_string_equal(sf_nametable_find(&t, &web), "web");
	assert_string_equal(sf_nametable_find(&t, &other), "web@2a");
	assert_null(sf_nametable_find(&t, &mail));
	assert_int_equal(sf_nametable_learn(&t, "fd5e::1:2:3", NULL), -EINVAL);
	assert_int_equal(sf_nametable_learn(&t, "00000001:0123456789abcdef", NULL), -EINVAL);
	assert_int_equal(sf_nametable_learn(&t, "two words", NULL), -EINVAL);
	sf_nametable_free(&t);
	assert_null(sf_nametable_find(&t, &web));
}

static void the_oldest_goes(void **state)
{
	struct sf_nametable t = { .max = 3 };
	static const char *const names[] = { "a", "b", "c", "d", "e" };
	struct sf_sid sid;
	json_t *json;

	for (size_t i = 0; i < 5; i++)
		assert_int_equal(sf_nametable_learn(&t, names[i], NULL), 1);
	for (size_t i = 0; i < 5; i++) {
		sid = sid_of(names[i]);
		assert_int_equal(sf_nametable_find(&t, &sid) != NULL, i >= 2);
	}
	json = sf_nametable_json(&t);
	assert_int_equal(json_array_size(json), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(json, 0), "name")),
			    "c");
	json_decref(json);
	sf_nametable_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(learning),
		cmocka_unit_test(the_oldest_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
