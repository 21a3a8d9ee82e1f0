// SPDX-License-Identifier: Apache-2.0
/*
 * stream.h - the two ends of a measured stream (streammeter.c). The client asks for it: by a
 * request in front of a TCP stream, or by datagrams that begin with the same. The meter is where
 * data arrive; of data that the client sends, the server tells at the end what came, in band.
 */
#ifndef SF_BENCH_STREAM_H
#define SF_BENCH_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "bench/meter.h"

#define SF_STREAM_MAGIC	  0x53464d31u /* "SFM1" */
#define SF_STREAM_CHUNK	  65536
#define SF_STREAM_TICK_US 100000 /* longest that anything waits before it looks at the time */

enum sf_stream_way { SF_STREAM_DOWN = 'D', SF_STREAM_UP = 'U' };

/** struct sf_stream - what is asked for. */
struct sf_stream {
	const char *addr, *port;
	const char *from; /* of the client; NULL: as the kernel chooses */
	enum sf_stream_way way;
	bool udp, mptcp;
	bool live;	/* a line on standard error that shows throughput */
	uint64_t rate;	/* bits per second; 0: as fast as it goes */
	uint64_t bytes; /* where it ends; 0: by time */
	uint64_t ms;	/* when it ends; 0: by bytes */
	uint64_t bucket_ns;
	const char *out; /* CSV of the buckets; NULL: none */
};

/** struct sf_stream_request - the same on the wire, integers big-endian. */
struct sf_stream_request {
	uint32_t magic;
	uint8_t way;
	uint8_t pad[3];
	uint64_t rate;
	uint64_t bytes;
	uint64_t ms;
	uint64_t bucket_ns;
};

/** struct sf_pace - sends not faster than a rate; what an outage held up is not made up for. */
struct sf_pace {
	uint64_t rate;
	uint64_t due_ns; /* of the next byte */
};

/** sf_stream_now - CLOCK_MONOTONIC in ns. */
uint64_t sf_stream_now(void);

/** sf_pace_wait - until when the next @bytes have to wait: 0, or nanoseconds; then they are due. */
uint64_t sf_pace_wait(struct sf_pace *p, uint64_t now_ns, size_t bytes);

/** sf_stream_die - print what failed, with errno's text, and exit with status 1. */
void sf_stream_die(const char *what) __attribute__((noreturn));

/** sf_stream_socket - a socket of @s's kind, connected or listening (bound, with datagrams). */
int sf_stream_socket(const struct sf_stream *s, bool serve);

/** sf_stream_request_make, sf_stream_request_read - to and from the wire; read: 0 or -EBADMSG. */
void sf_stream_request_make(const struct sf_stream *s, struct sf_stream_request *out);
int sf_stream_request_read(const struct sf_stream_request *in, struct sf_stream *s);

/** sf_stream_deliver - into the meter, which must take it; shows the line at times. */
void sf_stream_deliver(struct sf_meter *m, bool live, size_t bytes);

/** sf_stream_show - the line; does nothing more than ten times a second. */
void sf_stream_show(const struct sf_meter *m, uint64_t now_ns);

/**
 * sf_stream_tell - print the JSON line, write the CSV; frees the meter.
 * Returns an exit status: 1 where content was wrong, nothing came, or not @s->bytes.
 */
int sf_stream_tell(const struct sf_stream *s, struct sf_meter *m, const struct sf_sequence *seq);

/** sf_stream_told - the same for a result that the server sent: JSON line, then CSV. */
int sf_stream_told(const struct sf_stream *s, const char *text, size_t len);

/** sf_stream_result - what sf_stream_told() reads, malloc'ed. */
char *sf_stream_result(const struct sf_meter *m, const struct sf_sequence *seq, size_t *len);

/** sf_tcp_serve, sf_udp_serve - serve for ever. */
int sf_tcp_serve(const struct sf_stream *s);
int sf_udp_serve(const struct sf_stream *s);

/** sf_tcp_run, sf_udp_run - the client. Exit status. */
int sf_tcp_run(const struct sf_stream *s);
int sf_udp_run(const struct sf_stream *s);

#endif
