// SPDX-License-Identifier: Apache-2.0
/* left.c - see left.h. */
#include "cli/left.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/services.h"
#include "util/table.h"

#define SETTLE_MS 3000
#define LOOK_MS	  500

static bool concerns(const struct sf_left *l, const json_t *row)
{
	const char *proto = json_string_value(json_object_get(row, "proto"));

	if (l->host && !sf_services_is_on(row, l->host))
		return false;
	return !l->proto || (proto && !strcmp(proto, l->proto) &&
			     json_integer_value(json_object_get(row, "port")) == l->port);
}

json_int_t sf_left(const struct sf_left *l, unsigned int *instances)
{
	json_t *rows = NULL, *row;
	json_int_t left = -1;
	size_t i;
	int err = sf_services_rows(l->cli, l->who, l->service, true, &rows);

	*instances = 0;
	if (err)
		return err < -1 ? err : -EIO;
	json_array_foreach (rows, i, row) {
		const json_t *open = json_object_get(row, "open");

		if (!concerns(l, row))
			continue;
		++*instances;
		if (json_is_integer(open))
			left = (left < 0 ? 0 : left) + json_integer_value(open);
	}
	json_decref(rows);
	return *instances ? left : 0;
}

static void progress(const struct sf_left *l, json_int_t left, unsigned int waited_ms, bool end)
{
	char time[SF_HUMAN_LEN];

	if (l->cli->json || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%" JSON_INTEGER_FORMAT " flow%s left after %s \033[K%s", left,
		left == 1 ? "" : "s", sf_human_duration(waited_ms, time), end ? "\n" : "");
}

json_int_t sf_left_wait(const struct sf_left *l, json_int_t left, unsigned int *instances,
			unsigned int *waited_ms)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	unsigned int none_ms = 0;

	for (*waited_ms = 0; left >= 0; *waited_ms += LOOK_MS) {
		progress(l, left, *waited_ms, false);
		none_ms = left ? 0 : none_ms + LOOK_MS;
		if (!*instances || none_ms > SETTLE_MS ||
		    (l->timeout_ms && *waited_ms >= (unsigned int)l->timeout_ms))
			break;
		nanosleep(&pause, NULL);
		left = sf_left(l, instances);
	}
	progress(l, left, *waited_ms, true);
	return left;
}

const char *sf_left_whom(const struct sf_left *l, char *buf, size_t len)
{
	snprintf(buf, len, l->host ? "%s on %s" : "%s", l->service, l->host);
	return buf;
}
