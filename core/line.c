// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* line.c - writing the front of a service router's table; see line.h. */
#include "core/line.h"

static bool is_free(const struct sf_line *line)
{
	return !line->seal;
}

/* Others read the line; the seal is what they go by. */
static void seal_set(struct sf_line *line, __u64 seal)
{
	*(volatile __u64 *)&line->seal = seal;
}

static void line_write(struct sf_line *line, const struct sf_service_key *key,
		       const struct sf_rule *rule)
{
	line->key = *key;
	line->rule = *rule;
	seal_set(line, sf_line_seal(line));
}

static struct sf_line *line_at(const struct sf_lines *lines, __u64 hash, int choice)
{
	return &lines->at[sf_line_index(hash, choice, lines->mask)];
}

void sf_lines_clear(struct sf_lines *lines, __u32 count)
{
	lines->mask = count - 1;
	lines->held = 0;
	for (__u32 i = 0; i < count; i++)
		seal_set(&lines->at[i], 0);
}

static struct sf_line *free_line(const struct sf_lines *lines, __u64 hash)
{
	for (int i = 0; i < SF_LINE_CHOICES; i++) {
		struct sf_line *line = line_at(lines, hash, i);

		if (is_free(line))
			return line;
	}
	return NULL;
}

/* Move the service of a line to its other one: it is found in either meanwhile. */
static bool line_vacate(const struct sf_lines *lines, struct sf_line *line)
{
	struct sf_line *other = free_line(lines, sf_line_hash(&line->key));

	if (!other)
		return false;
	line_write(other, &line->key, &line->rule);
	seal_set(line, 0);
	return true;
}

bool sf_lines_put(struct sf_lines *lines, const struct sf_service_key *key,
		  const struct sf_rule *rule)
{
	__u64 hash = sf_line_hash(key);
	struct sf_line *line = free_line(lines, hash);

	for (int i = 0; !line && i < SF_LINE_CHOICES; i++)
		if (line_vacate(lines, line_at(lines, hash, i)))
			line = line_at(lines, hash, i);
	if (!line)
		return false;
	line_write(line, key, rule);
	lines->held++;
	return true;
}

void sf_lines_drop(struct sf_lines *lines, const struct sf_service_key *key)
{
	__u64 hash = sf_line_hash(key);

	for (int i = 0; i < SF_LINE_CHOICES; i++) {
		struct sf_line *line = line_at(lines, hash, i);

		if (is_free(line) || !sf_line_is(line, key))
			continue;
		seal_set(line, 0);
		lines->held--;
	}
}

bool sf_lines_are_dense(const struct sf_lines *lines)
{
	return lines->held > lines->mask / 2;
}
