// SPDX-License-Identifier: Apache-2.0
/* emulation.c - settings of a link as text and back; see emulation.h. */
#include "lab/emulation.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	uint64_t scale;
};

/* Largest scale first: printing takes the first that divides without rest. */
static const struct unit times[] = { { "s", 1000000 }, { "ms", 1000 }, { "us", 1 }, { NULL, 0 } };
static const struct unit rates[] = {
	{ "gbit", 1000000000 }, { "mbit", 1000000 }, { "kbit", 1000 }, { "bit", 1 }, { NULL, 0 }
};
static const struct unit shares[] = { { "%", SF_PPM / 100 }, { NULL, 0 } };
static const struct unit counts[] = { { "", 1 }, { NULL, 0 } };

struct setting {
	const char *key;
	const struct unit *units;
	size_t offset;
	bool wide; /* uint64_t, else uint32_t */
	uint64_t max;
	const char *expected;
};

#define FIELD(f) offsetof(struct sf_emulation, f)
#define MINUTE	 60000000u

static const struct setting settings[] = {
	{ "rate", rates, FIELD(rate), true, 1000000000000,
	  "a rate up to 1000gbit, such as 100mbit" },
	{ "delay", times, FIELD(delay_us), false, MINUTE,
	  "a time up to 60s, such as 20ms or 500us" },
	{ "jitter", times, FIELD(jitter_us), false, MINUTE, "a time up to 60s, such as 2ms" },
	{ "loss", shares, FIELD(loss_ppm), false, SF_PPM, "a share from 0% to 100%, such as 0.5%" },
	{ "burst", counts, FIELD(burst), false, 1000, "packets in a row, from 1 to 1000" },
	{ "reorder", shares, FIELD(reorder_ppm), false, SF_PPM, "a share from 0% to 100%" },
	{ "hold", times, FIELD(hold_us), false, MINUTE, "a time up to 60s, such as 2ms" },
	{ "duplicate", shares, FIELD(duplicate_ppm), false, SF_PPM, "a share from 0% to 100%" },
	{ "queue", times, FIELD(queue_us), false, MINUTE, "a time up to 60s, such as 50ms" },
};

#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

/* Reads "12.5ms". "0" needs no unit: zero is zero in any. */
static int scaled_parse(const char *text, const struct unit *units, uint64_t max, uint64_t *out)
{
	uint64_t whole = 0, fraction = 0, place = 1, value;
	const char *p = text;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++) {
		whole = whole * 10 + (uint64_t)(*p - '0');
		if (whole > 1000000000000)
			return -EINVAL;
	}
	if (*p == '.') {
		if (!isdigit((unsigned char)*++p))
			return -EINVAL;
		for (; isdigit((unsigned char)*p); p++) {
			if (place == 1000000)
				return -EINVAL;
			place *= 10;
			fraction = fraction * 10 + (uint64_t)(*p - '0');
		}
	}
	if (!*p && !whole && !fraction) {
		*out = 0;
		return 0;
	}
	for (; units->name; units++)
		if (strcasecmp(p, units->name) == 0)
			break;
	if (!units->name || whole > max / units->scale)
		return -EINVAL;
	value = fraction * units->scale;
	if (value % place) /* finer than what is kept: refused, not rounded */
		return -EINVAL;
	value = whole * units->scale + value / place;
	if (value > max)
		return -EINVAL;
	*out = value;
	return 0;
}

static uint64_t setting_value(const struct setting *s, const struct sf_emulation *e)
{
	const char *field = (const char *)e + s->offset;
	uint64_t wide;
	uint32_t narrow;

	if (s->wide) {
		memcpy(&wide, field, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, field, sizeof(narrow));
	return narrow;
}

int sf_emulation_set(struct sf_emulation *e, const char *key, const char *value,
		     const char **expected)
{
	for (size_t i = 0; i < N_SETTINGS; i++) {
		const struct setting *s = &settings[i];
		char *field = (char *)e + s->offset;
		uint64_t wide;
		uint32_t narrow;

		if (strcmp(key, s->key) != 0)
			continue;
		if (scaled_parse(value, s->units, s->max, &wide)) {
			*expected = s->expected;
			return -EINVAL;
		}
		narrow = (uint32_t)wide;
		if (s->wide)
			memcpy(field, &wide, sizeof(wide));
		else
			memcpy(field, &narrow, sizeof(narrow));
		return 0;
	}
	return -ENOENT;
}

const char *sf_emulation_keys(void)
{
	return "rate, delay, jitter, loss, burst, reorder, hold, duplicate, queue";
}

/* The shortest text that reads back as @value. */
static int scaled_print(char *buf, size_t len, const struct unit *units, uint64_t value)
{
	const struct unit *u = units;
	int n;

	while (value % u->scale && u[1].name)
		u++;
	n = snprintf(buf, len, "%" PRIu64, value / u->scale);
	if (value % u->scale) { /* only shares: 1 ppm is 0.0001 % */
		n += snprintf(buf + n, len - (size_t)n, ".%04" PRIu64, value % u->scale);
		while (buf[n - 1] == '0')
			n--;
	}
	return n + snprintf(buf + n, len - (size_t)n, "%s", u->name);
}

char *sf_emulation_print(const struct sf_emulation *e, char *buf)
{
	size_t n = 0;

	buf[0] = 0;
	for (size_t i = 0; i < N_SETTINGS; i++) {
		uint64_t value = setting_value(&settings[i], e);

		if (!value)
			continue;
		n += (size_t)snprintf(buf + n, SF_EMULATION_TEXT - n, "%s%s=", n ? " " : "",
				      settings[i].key);
		n += (size_t)scaled_print(buf + n, SF_EMULATION_TEXT - n, settings[i].units, value);
	}
	return buf;
}

bool sf_emulation_is_rate_only(const struct sf_emulation *e)
{
	return !(e->delay_us | e->jitter_us | e->loss_ppm | e->reorder_ppm | e->duplicate_ppm);
}
