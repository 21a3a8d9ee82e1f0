// SPDX-License-Identifier: Apache-2.0
/*
 * meter.h - what came of a stream, and when: bytes by bucket of time, pauses, wrong and lost parts.
 *
 * Times are arguments, in nanoseconds of one clock. streammeter.c brings the packets.
 */
#ifndef SF_BENCH_METER_H
#define SF_BENCH_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SF_METER_PAUSES 8

/** struct sf_pause - between two deliveries. */
struct sf_pause {
	uint64_t from_ns;
	uint64_t to_ns;
};

struct sf_bucket {
	uint64_t bytes;
	uint32_t deliveries;
	uint32_t longest_us; /* pause that ended in it */
};

/** struct sf_meter - of one stream, one direction. */
struct sf_meter {
	uint64_t bucket_ns;
	uint64_t start_ns, end_ns;
	uint64_t first_ns, last_ns; /* of deliveries; 0: none yet */
	uint64_t bytes, deliveries;
	uint64_t wrong;				 /* deliveries with other content than was sent */
	struct sf_pause pauses[SF_METER_PAUSES]; /* the longest, longest first */
	struct sf_bucket *buckets;
	size_t n, room;
};

/** sf_meter_open - begin. */
void sf_meter_open(struct sf_meter *m, uint64_t bucket_ns, uint64_t start_ns);

/**
 * sf_meter_deliver - @bytes have come.
 * @now_ns: never less than before; what lies before the start is counted in the first bucket
 * Returns 0, -ENOMEM, or -ERANGE where the bucket would be the millionth.
 */
int sf_meter_deliver(struct sf_meter *m, uint64_t now_ns, size_t bytes);

/** sf_meter_close - the end of the measurement; the silence before it is told apart from pauses. */
void sf_meter_close(struct sf_meter *m, uint64_t end_ns);

/** sf_meter_free - free what it holds, and zero it. */
void sf_meter_free(struct sf_meter *m);

/** sf_meter_rate - bits per second between two times, by whole buckets that lie within. */
double sf_meter_rate(const struct sf_meter *m, uint64_t from_ns, uint64_t to_ns);

/**
 * sf_meter_csv - one line a bucket: ns since the clock's zero at which it begins, bytes,
 * deliveries, longest pause in ms that ended in it. With a line of names. Returns 0 or -EIO.
 */
int sf_meter_csv(const struct sf_meter *m, FILE *out);

/* ---- the content: 64-bit words that count, each scattered over all its bits ---- */

/** sf_pattern_fill - @len bytes of the stream from @offset on. */
void sf_pattern_fill(uint64_t offset, void *buf, size_t len);

/** sf_pattern_check - how many bytes of @buf are right before the first wrong one; @len: all. */
size_t sf_pattern_check(uint64_t offset, const void *buf, size_t len);

/* ---- datagrams ---- */

/** struct sf_sequence - numbers of datagrams, from 0. All zero: none has come. */
struct sf_sequence {
	uint64_t next; /* the newest plus one */
	uint64_t seen; /* bit i: next - 1 - i has come */
	uint64_t came, late, twice;
};

/**
 * sf_sequence_take - number @seq has come.
 * Returns false where it came before, or is too old (64) to know.
 */
bool sf_sequence_take(struct sf_sequence *s, uint64_t seq);

/** sf_sequence_lost - of those before the newest. */
uint64_t sf_sequence_lost(const struct sf_sequence *s);

/**
 * sf_meter_json - one line: {"bytes", "deliveries", "seconds", "mbit_s", "pause_ms",
 * "pause_from_ns", "pause_to_ns", "pauses_ms": [...], "silent_ms", "ended_ns", "wrong"}, and with
 * @s "lost", "late", "twice". "pause_ms" is the longest, from a delivery to the next. Returns 0 or
 * -EIO.
 */
int sf_meter_json(const struct sf_meter *m, const struct sf_sequence *s, FILE *out);

#endif
