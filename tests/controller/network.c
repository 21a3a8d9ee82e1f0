// SPDX-License-Identifier: Apache-2.0
#include "tests/controller/network.h"

#include <string.h>

#include "controller/events.h"

struct controller c;
struct config config;
struct peer r1, r2, sr;

int network_setup(void **state)
{
	fixture_open(&c, &config);
	peer_init(&r1, &c, 1, SF_ROLE_ACCESS, "r1");
	peer_init(&r2, &c, 2, SF_ROLE_ACCESS, "r2");
	peer_init(&sr, &c, 3, SF_ROLE_SERVICE, "sr");
	return 0;
}

int network_teardown(void **state)
{
	fixture_close(&c, &config);
	peer_forget(&r1);
	peer_forget(&r2);
	peer_forget(&sr);
	return 0;
}

void three_up(void)
{
	peer_up(&r1, 1);
	peer_up(&r2, 2);
	peer_up(&sr, 0);
}

struct kinds {
	const char *kind, *text;
	unsigned int n;
};

static int count_kind(void *ctx, uint64_t id, json_t *e)
{
	struct kinds *k = ctx;

	if (strcmp(json_string_value(json_object_get(e, "kind")), k->kind))
		return 0;
	k->n += !k->text || strstr(json_string_value(json_object_get(e, "text")), k->text);
	return 0;
}

unsigned int events_of(const char *kind)
{
	struct kinds k = { .kind = kind };

	assert_int_equal(events_each(&c, 0, 100000, count_kind, &k), 0);
	return k.n;
}

unsigned int events_saying(const char *kind, const char *text)
{
	struct kinds k = { .kind = kind, .text = text };

	assert_int_equal(events_each(&c, 0, 100000, count_kind, &k), 0);
	return k.n;
}
