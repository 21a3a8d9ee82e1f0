// SPDX-License-Identifier: Apache-2.0
/* meter.c - what came of a stream, and when; see meter.h. */
#include "bench/meter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MAX 1000000

void sf_meter_open(struct sf_meter *m, uint64_t bucket_ns, uint64_t start_ns)
{
	*m = (struct sf_meter){ .bucket_ns = bucket_ns, .start_ns = start_ns, .end_ns = start_ns };
}

void sf_meter_free(struct sf_meter *m)
{
	free(m->buckets);
	*m = (struct sf_meter){ 0 };
}

static uint64_t pause_length(const struct sf_pause *p)
{
	return p->to_ns - p->from_ns;
}

/* Insertion: most pauses are shorter than the shortest that is kept. */
static void pause_note(struct sf_meter *m, struct sf_pause p)
{
	size_t i = SF_METER_PAUSES;

	while (i && pause_length(&p) > pause_length(&m->pauses[i - 1]))
		i--;
	if (i == SF_METER_PAUSES)
		return;
	memmove(&m->pauses[i + 1], &m->pauses[i], (SF_METER_PAUSES - 1 - i) * sizeof(m->pauses[0]));
	m->pauses[i] = p;
}

/* Makes buckets up to the one of @now_ns. */
static int bucket_at(struct sf_meter *m, uint64_t now_ns, struct sf_bucket **out)
{
	uint64_t i = now_ns > m->start_ns ? (now_ns - m->start_ns) / m->bucket_ns : 0;

	if (i >= BUCKETS_MAX)
		return -ERANGE;
	if (i >= m->room) {
		size_t room = m->room ? m->room : 4096;
		void *grown;

		while (room <= i)
			room *= 2;
		grown = realloc(m->buckets, room * sizeof(*m->buckets));
		if (!grown)
			return -ENOMEM;
		m->buckets = grown;
		memset(m->buckets + m->room, 0, (room - m->room) * sizeof(*m->buckets));
		m->room = room;
	}
	if (i >= m->n)
		m->n = i + 1;
	*out = &m->buckets[i];
	return 0;
}

int sf_meter_deliver(struct sf_meter *m, uint64_t now_ns, size_t bytes)
{
	struct sf_bucket *b;
	int r = bucket_at(m, now_ns, &b);

	if (r)
		return r;
	if (m->deliveries) {
		struct sf_pause p = { .from_ns = m->last_ns, .to_ns = now_ns };
		uint64_t us = pause_length(&p) / 1000;

		pause_note(m, p);
		if (us > b->longest_us)
			b->longest_us = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
	} else {
		m->first_ns = now_ns;
	}
	b->bytes += bytes;
	b->deliveries++;
	m->bytes += bytes;
	m->deliveries++;
	m->last_ns = now_ns;
	if (now_ns > m->end_ns)
		m->end_ns = now_ns;
	return 0;
}

void sf_meter_close(struct sf_meter *m, uint64_t end_ns)
{
	if (end_ns > m->end_ns)
		m->end_ns = end_ns;
}

double sf_meter_rate(const struct sf_meter *m, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t first, end, bytes = 0;

	if (from_ns < m->start_ns)
		from_ns = m->start_ns;
	first = (from_ns - m->start_ns + m->bucket_ns - 1) / m->bucket_ns;
	end = to_ns > m->start_ns ? (to_ns - m->start_ns) / m->bucket_ns : 0;
	if (end <= first)
		return 0;
	for (uint64_t i = first; i < end && i < m->n; i++)
		bytes += m->buckets[i].bytes;
	return (double)bytes * 8e9 / (double)((end - first) * m->bucket_ns);
}

int sf_meter_csv(const struct sf_meter *m, FILE *out)
{
	fputs("ns,bytes,deliveries,longest_pause_ms\n", out);
	for (size_t i = 0; i < m->n; i++)
		fprintf(out, "%" PRIu64 ",%" PRIu64 ",%" PRIu32 ",%.3f\n",
			m->start_ns + i * m->bucket_ns, m->buckets[i].bytes,
			m->buckets[i].deliveries, m->buckets[i].longest_us / 1e3);
	return ferror(out) ? -EIO : 0;
}

int sf_meter_json(const struct sf_meter *m, const struct sf_sequence *s, FILE *out)
{
	double seconds = (double)(m->end_ns - m->start_ns) / 1e9;
	uint64_t last = m->deliveries ? m->last_ns : m->start_ns;

	fprintf(out,
		"{\"bytes\": %" PRIu64 ", \"deliveries\": %" PRIu64
		", \"seconds\": %.3f, \"mbit_s\": %.3f, \"pause_ms\": %.3f, \"pause_from_ns\": "
		"%" PRIu64 ", \"pause_to_ns\": %" PRIu64 ", \"pauses_ms\": [",
		m->bytes, m->deliveries, seconds,
		seconds > 0 ? (double)m->bytes * 8 / 1e6 / seconds : 0,
		(double)pause_length(&m->pauses[0]) / 1e6, m->pauses[0].from_ns,
		m->pauses[0].to_ns);
	for (size_t i = 0; i < SF_METER_PAUSES && m->pauses[i].to_ns; i++)
		fprintf(out, "%s%.3f", i ? ", " : "", (double)pause_length(&m->pauses[i]) / 1e6);
	fprintf(out, "], \"silent_ms\": %.3f, \"ended_ns\": %" PRIu64 ", \"wrong\": %" PRIu64,
		(double)(m->end_ns - last) / 1e6, m->end_ns, m->wrong);
	if (s)
		fprintf(out, ", \"lost\": %" PRIu64 ", \"late\": %" PRIu64 ", \"twice\": %" PRIu64,
			sf_sequence_lost(s), s->late, s->twice);
	fputs("}\n", out);
	return ferror(out) ? -EIO : 0;
}

/* ---- the content ------------------------------------------------------------------------ */

/* An odd factor: no two words are alike, and each bit counts. */
static uint64_t word_at(uint64_t offset)
{
	return htobe64((offset / 8 + 1) * 0x9e3779b97f4a7c15ull);
}

void sf_pattern_fill(uint64_t offset, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		uint64_t word = word_at(offset);
		size_t skip = offset % 8, n = len < 8 - skip ? len : 8 - skip;

		memcpy(p, (const uint8_t *)&word + skip, n);
		p += n;
		offset += n;
		len -= n;
	}
}

size_t sf_pattern_check(uint64_t offset, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t at = 0;

	while (at < len) {
		uint64_t word = word_at(offset + at);
		size_t skip = (offset + at) % 8, n = len - at < 8 - skip ? len - at : 8 - skip;
		const uint8_t *want = (const uint8_t *)&word + skip;

		if (memcmp(p + at, want, n) != 0) {
			while (p[at] == *want++)
				at++;
			return at;
		}
		at += n;
	}
	return len;
}

/* ---- datagrams -------------------------------------------------------------------------- */

bool sf_sequence_take(struct sf_sequence *s, uint64_t seq)
{
	if (seq >= s->next) {
		uint64_t ahead = seq + 1 - s->next;

		s->seen = (ahead < 64 ? s->seen << ahead : 0) | 1;
		s->next = seq + 1;
		s->came++;
		return true;
	}
	if (s->next - 1 - seq >= 64 || s->seen >> (s->next - 1 - seq) & 1) {
		s->twice++;
		return false;
	}
	s->seen |= 1ull << (s->next - 1 - seq);
	s->came++;
	s->late++;
	return true;
}

uint64_t sf_sequence_lost(const struct sf_sequence *s)
{
	return s->next - s->came;
}
