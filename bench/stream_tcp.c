// SPDX-License-Identifier: Apache-2.0
/* stream_tcp.c - both ends of a measured TCP stream; see stream.h. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/stream.h"

#define RESULT_MS 30000

static void write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			sf_stream_die("send");
		p += n;
		len -= (size_t)n;
	}
}

static void pause_for(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000),
			      .tv_nsec = (long)(ns % 1000000000) };

	nanosleep(&t, NULL);
}

static bool is_over(const struct sf_stream *s, uint64_t done, uint64_t start, uint64_t now)
{
	return (s->bytes && done >= s->bytes) || (s->ms && now - start >= s->ms * 1000000);
}

/* Sends the pattern until it is over, or the other end is gone. Returns the bytes. */
static uint64_t pattern_send(int fd, const struct sf_stream *s)
{
	static uint8_t buf[SF_STREAM_CHUNK];
	struct sf_pace pace = { .rate = s->rate };
	uint64_t start = sf_stream_now(), now = start, offset = 0;
	/* A millisecond's worth at a time, so that the pace is even. */
	size_t piece = s->rate && s->rate / 8000 < sizeof(buf) ? s->rate / 8000 + 1 : sizeof(buf);

	for (; !is_over(s, offset, start, now); now = sf_stream_now()) {
		size_t len = s->bytes && s->bytes - offset < piece ? s->bytes - offset : piece;
		uint64_t wait = sf_pace_wait(&pace, now, len);
		size_t sent = 0;

		if (wait) {
			pause_for(wait < SF_STREAM_TICK_US * 1000ull ? wait
								     : SF_STREAM_TICK_US * 1000ull);
			continue;
		}
		sf_pattern_fill(offset, buf, len);
		while (sent < len && !is_over(s, offset, start, sf_stream_now())) {
			ssize_t n = send(fd, buf + sent, len - sent, MSG_NOSIGNAL);

			if (n < 0 && errno != EAGAIN && errno != EINTR)
				return offset;
			sent += n > 0 ? (size_t)n : 0;
			offset += n > 0 ? (size_t)n : 0;
		}
	}
	return offset;
}

/* Meters the pattern until the stream ends, or its time is over where @by_time. */
static void pattern_receive(int fd, const struct sf_stream *s, bool by_time, struct sf_meter *m)
{
	static uint8_t buf[SF_STREAM_CHUNK];
	uint64_t now;

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		now = sf_stream_now();
		if (n > 0) {
			m->wrong += sf_pattern_check(m->bytes, buf, (size_t)n) != (size_t)n;
			sf_stream_deliver(m, s->live, (size_t)n);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			if (n < 0)
				perror("streammeter: recv");
			break;
		} else if (s->live) {
			sf_stream_show(m, now);
		}
		if (by_time && is_over(s, m->bytes, m->start_ns, now))
			break;
	}
	sf_meter_close(m, now);
}

static void session_serve(int fd)
{
	struct sf_stream_request request;
	struct timeval tick = { .tv_usec = SF_STREAM_TICK_US };
	struct sf_stream s = { .bytes = 0 };
	struct sf_meter m;
	size_t len;
	char *text;

	if (recv(fd, &request, sizeof(request), MSG_WAITALL) != sizeof(request) ||
	    sf_stream_request_read(&request, &s)) {
		fputs("streammeter: a client without a request\n", stderr);
		return;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof(tick));
	if (s.way == SF_STREAM_DOWN) {
		s.ms = 0; /* the client ends it by its own clock */
		(void)pattern_send(fd, &s);
		return;
	}
	sf_meter_open(&m, s.bucket_ns, sf_stream_now());
	pattern_receive(fd, &s, false, &m);
	text = sf_stream_result(&m, NULL, &len);
	write_all(fd, text, len);
	free(text);
	sf_meter_free(&m);
}

int sf_tcp_serve(const struct sf_stream *s)
{
	int listener = sf_stream_socket(s, true);

	signal(SIGCHLD, SIG_IGN); /* nobody waits for them */
	for (;;) {
		int one = 1, fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		if (fork() == 0) {
			close(listener);
			(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			session_serve(fd);
			_exit(0);
		}
		close(fd);
	}
}

/* What the server tells when it has the end of what we sent. */
static int result_read(int fd, const struct sf_stream *s)
{
	uint64_t start = sf_stream_now();
	char *text = NULL;
	size_t len = 0;
	FILE *all = open_memstream(&text, &len);
	char buf[4096];
	ssize_t n = -1;
	int r;

	if (!all)
		sf_stream_die("memory");
	while (n && sf_stream_now() - start < RESULT_MS * 1000000ull) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			sf_stream_die("result");
		if (n > 0)
			fwrite(buf, 1, (size_t)n, all);
	}
	fclose(all);
	r = sf_stream_told(s, text, len);
	free(text);
	return r;
}

int sf_tcp_run(const struct sf_stream *s)
{
	struct timeval tick = { .tv_usec = SF_STREAM_TICK_US };
	struct sf_stream_request request;
	int fd = sf_stream_socket(s, false), one = 1, r;
	struct sf_meter m;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	sf_stream_request_make(s, &request);
	write_all(fd, &request, sizeof(request));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof(tick)))
		sf_stream_die("timeouts");
	if (s->way == SF_STREAM_UP) {
		(void)pattern_send(fd, s);
		shutdown(fd, SHUT_WR);
		r = result_read(fd, s);
	} else {
		sf_meter_open(&m, s->bucket_ns, sf_stream_now());
		pattern_receive(fd, s, true, &m);
		r = sf_stream_tell(s, &m, NULL);
	}
	close(fd);
	return r;
}
