// SPDX-License-Identifier: Apache-2.0
/*
 * stream_udp.c - both ends of a measured stream of datagrams; see stream.h.
 *
 * The client's socket is connected. HELLO, which has the request, is repeated until the first data
 * come, then once a second, so that the server knows that somebody listens; after what the client
 * sends, END asks for the result piece by piece. So each datagram may be lost.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/stream.h"

#define PAYLOAD	    1000
#define SESSIONS    64
#define ABSENT_MS   10000 /* after which a session is over */
#define HELLO_MS    100
#define KEEP_MS	    1000
#define PIECE	    1000
#define END_TRIES   100
#define END_WAIT_MS 100

enum kind { HELLO = 'H', DATA = 'D', END = 'E', RESULT = 'R' };

/* In front of each datagram. */
struct head {
	uint32_t magic;
	uint8_t kind;
	uint8_t pad[3];
	uint64_t number; /* DATA: sequence; END, RESULT: offset of the piece */
};

struct datagram {
	struct head head;
	union {
		struct sf_stream_request request;
		uint8_t data[PAYLOAD];
	};
};

/* ---- data ------------------------------------------------------------------------------- */

static size_t data_make(struct datagram *d, uint64_t number)
{
	d->head = (struct head){ .magic = htobe32(SF_STREAM_MAGIC),
				 .kind = DATA,
				 .number = htobe64(number) };
	sf_pattern_fill(number * PAYLOAD, d->data, PAYLOAD);
	return sizeof(d->head) + PAYLOAD;
}

static void data_take(struct sf_meter *m, struct sf_sequence *seq, bool live,
		      const struct datagram *d, size_t len)
{
	uint64_t number = be64toh(d->head.number);

	if (len != sizeof(d->head) + PAYLOAD ||
	    sf_pattern_check(number * PAYLOAD, d->data, PAYLOAD) != PAYLOAD)
		m->wrong++;
	else if (sf_sequence_take(seq, number))
		sf_stream_deliver(m, live, PAYLOAD);
}

static bool is_of(const struct datagram *d, ssize_t len, enum kind kind)
{
	return len >= (ssize_t)sizeof(d->head) && be32toh(d->head.magic) == SF_STREAM_MAGIC &&
	       d->head.kind == kind;
}

/* ---- server ----------------------------------------------------------------------------- */

struct session {
	struct sockaddr_storage peer;
	socklen_t peer_len; /* 0: free */
	struct sf_stream asked;
	uint64_t heard_ns;
	struct sf_pace pace;
	uint64_t next; /* sent so far */
	struct sf_meter meter;
	struct sf_sequence sequence;
	char *result;
	size_t result_len;
};

static void session_end(struct session *s)
{
	sf_meter_free(&s->meter);
	free(s->result);
	*s = (struct session){ 0 };
}

static struct session *session_of(struct session *all, const struct sockaddr_storage *peer,
				  socklen_t len)
{
	for (size_t i = 0; i < SESSIONS; i++)
		if (all[i].peer_len == len && memcmp(&all[i].peer, peer, len) == 0)
			return &all[i];
	return NULL;
}

static void session_begin(struct session *all, const struct datagram *d,
			  const struct sockaddr_storage *peer, socklen_t len, uint64_t now)
{
	struct sf_stream asked = { .udp = true };

	if (sf_stream_request_read(&d->request, &asked) || !asked.rate)
		return;
	for (size_t i = 0; i < SESSIONS; i++) {
		struct session *s = &all[i];

		if (s->peer_len)
			continue;
		*s = (struct session){ .peer = *peer, .peer_len = len, .asked = asked };
		s->heard_ns = now;
		s->pace.rate = asked.rate;
		sf_meter_open(&s->meter, asked.bucket_ns, now);
		return;
	}
	fputs("streammeter: too many sessions\n", stderr);
}

static void result_answer(int fd, struct session *s, uint64_t offset, uint64_t now)
{
	struct datagram d = { .head = { .magic = htobe32(SF_STREAM_MAGIC), .kind = RESULT } };
	size_t len;

	if (!s->result) {
		sf_meter_close(&s->meter, now);
		s->result = sf_stream_result(&s->meter, &s->sequence, &s->result_len);
	}
	if (offset > s->result_len)
		return;
	len = s->result_len - offset < PIECE ? s->result_len - offset : PIECE;
	d.head.number = htobe64(offset);
	memcpy(d.data, s->result + offset, len);
	(void)sendto(fd, &d, sizeof(d.head) + len, 0, (const struct sockaddr *)&s->peer,
		     s->peer_len); /* asked for again where it is lost */
}

static void datagram_serve(int fd, struct session *all)
{
	struct sockaddr_storage peer = { 0 };
	socklen_t peer_len = sizeof(peer);
	struct datagram d;
	ssize_t len =
		recvfrom(fd, &d, sizeof(d), MSG_DONTWAIT, (struct sockaddr *)&peer, &peer_len);
	uint64_t now = sf_stream_now();
	struct session *s;

	if (len < 0)
		return;
	s = session_of(all, &peer, peer_len);
	if (s)
		s->heard_ns = now;
	if (!s && is_of(&d, len, HELLO) && len == sizeof(d.head) + sizeof(d.request))
		session_begin(all, &d, &peer, peer_len, now);
	else if (s && is_of(&d, len, DATA) && !s->result)
		data_take(&s->meter, &s->sequence, false, &d, (size_t)len);
	else if (s && is_of(&d, len, END))
		result_answer(fd, s, be64toh(d.head.number), now);
}

/* Sends what is due to all. Returns nanoseconds until more is. */
static uint64_t all_send(int fd, struct session *all)
{
	uint64_t soonest = SF_STREAM_TICK_US * 1000ull, now = sf_stream_now();
	struct datagram d;

	for (size_t i = 0; i < SESSIONS; i++) {
		struct session *s = &all[i];
		uint64_t wait = 0;

		if (s->peer_len && now - s->heard_ns > ABSENT_MS * 1000000ull)
			session_end(s);
		if (!s->peer_len || s->asked.way != SF_STREAM_DOWN)
			continue;
		while (!(wait = sf_pace_wait(&s->pace, now, PAYLOAD)))
			(void)sendto(fd, &d, data_make(&d, s->next++), 0,
				     (const struct sockaddr *)&s->peer, s->peer_len);
		if (wait < soonest)
			soonest = wait;
	}
	return soonest;
}

int sf_udp_serve(const struct sf_stream *asked)
{
	static struct session all[SESSIONS];
	struct pollfd p = { .fd = sf_stream_socket(asked, true), .events = POLLIN };

	for (;;) {
		uint64_t ns = all_send(p.fd, all);
		struct timespec wait = { .tv_nsec = (long)ns };

		if (ppoll(&p, 1, &wait, NULL) > 0)
			datagram_serve(p.fd, all);
	}
}

/* ---- client ----------------------------------------------------------------------------- */

static void hello_send(int fd, const struct sf_stream *s)
{
	struct datagram d = { .head = { .magic = htobe32(SF_STREAM_MAGIC), .kind = HELLO } };

	sf_stream_request_make(s, &d.request);
	(void)send(fd, &d, sizeof(d.head) + sizeof(d.request), MSG_NOSIGNAL);
}

static bool is_over(const struct sf_stream *s, uint64_t done, uint64_t start)
{
	return (s->bytes && done >= s->bytes) ||
	       (s->ms && sf_stream_now() - start >= s->ms * 1000000);
}

static int down_run(int fd, const struct sf_stream *s)
{
	struct sf_sequence seq = { 0 };
	uint64_t start = sf_stream_now(), hello = 0;
	struct sf_meter m;
	struct datagram d;

	sf_meter_open(&m, s->bucket_ns, start);
	while (!is_over(s, m.bytes, start)) {
		uint64_t now = sf_stream_now();
		ssize_t len;

		if (now - hello > (m.bytes ? KEEP_MS : HELLO_MS) * 1000000ull) {
			hello_send(fd, s);
			hello = now;
		}
		len = recv(fd, &d, sizeof(d), 0);
		if (is_of(&d, len, DATA))
			data_take(&m, &seq, s->live, &d, (size_t)len);
		else if (s->live)
			sf_stream_show(&m, now);
	}
	sf_meter_close(&m, sf_stream_now());
	return sf_stream_tell(s, &m, &seq);
}

static int result_ask(int fd, const struct sf_stream *s)
{
	struct datagram d, ask = { .head = { .magic = htobe32(SF_STREAM_MAGIC), .kind = END } };
	struct timeval wait = { .tv_usec = END_WAIT_MS * 1000 };
	char *text = NULL;
	size_t len = 0, got = PIECE;
	FILE *all = open_memstream(&text, &len);
	int tries = 0, r;

	if (!all || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)))
		sf_stream_die("result");
	while (got == PIECE && tries++ < END_TRIES) {
		uint64_t offset = (uint64_t)ftell(all);
		ssize_t n;

		ask.head.number = htobe64(offset);
		(void)send(fd, &ask, sizeof(ask.head), MSG_NOSIGNAL);
		n = recv(fd, &d, sizeof(d), 0);
		if (!is_of(&d, n, RESULT) || be64toh(d.head.number) != offset)
			continue;
		got = (size_t)n - sizeof(d.head);
		fwrite(d.data, 1, got, all);
		tries = 0;
	}
	fclose(all);
	r = sf_stream_told(s, text, got == PIECE ? 0 : len);
	free(text);
	return r;
}

static int up_run(int fd, const struct sf_stream *s)
{
	struct sf_pace pace = { .rate = s->rate };
	uint64_t start = sf_stream_now(), number = 0, hello = 0;
	struct datagram d;

	while (!is_over(s, number * PAYLOAD, start)) {
		uint64_t now = sf_stream_now(), wait;

		if (now - hello >
		    (now - start < KEEP_MS * 1000000ull ? HELLO_MS : KEEP_MS) * 1000000ull) {
			hello_send(fd, s);
			hello = now;
		}
		wait = sf_pace_wait(&pace, now, PAYLOAD);
		if (wait) {
			struct timespec t = { .tv_nsec = (long)(wait < 1000000 ? wait : 1000000) };

			nanosleep(&t, NULL);
			continue;
		}
		(void)send(fd, &d, data_make(&d, number++), MSG_NOSIGNAL); /* or it is lost */
	}
	return result_ask(fd, s);
}

int sf_udp_run(const struct sf_stream *s)
{
	struct timeval tick = { .tv_usec = SF_STREAM_TICK_US };
	int fd = sf_stream_socket(s, false), r;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick)))
		sf_stream_die("timeout");
	r = s->way == SF_STREAM_UP ? up_run(fd, s) : down_run(fd, s);
	close(fd);
	return r;
}
