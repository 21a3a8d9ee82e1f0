// SPDX-License-Identifier: Apache-2.0
/*
 * streammeter - a stream of TCP or UDP, measured where it arrives: bytes by bucket of time, the
 * longest pauses between deliveries, wrong, lost and late parts.
 *
 *	streammeter serve ADDR PORT [--udp]		until killed
 *	streammeter receive ADDR PORT [OPTION]...	the server sends
 *	streammeter send ADDR PORT [OPTION]...		the client sends, the server measures
 *	streammeter pipe [OPTION]...			what comes in by standard input goes out
 *
 * A JSON line on standard output tells what came (meter.h). Exit status: 0; 1 where nothing came,
 * not all, or something else than was sent; 2 for a wrong command line.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/stream.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define LIVE_NS	     100000000ull
#define LIVE_COLUMNS 60
#define UDP_RATE     10000000

static const char usage[] =
	"usage: streammeter serve ADDR PORT [--udp]\n"
	"       streammeter receive|send ADDR PORT [OPTION]...\n"
	"       streammeter pipe [OPTION]...    standard input to standard output\n"
	"\n"
	"  --udp            datagrams (by default 10 Mbit/s)\n"
	"  --mptcp          Multipath TCP\n"
	"  --rate MBIT      megabits per second; without, as fast as it goes\n"
	"  --seconds S      how long (default 10)\n"
	"  --bytes N        until so many have come\n"
	"  --bucket MS      of the CSV (default 10)\n"
	"  --out FILE       CSV: time (CLOCK_MONOTONIC in ns), bytes, deliveries, longest pause\n"
	"  --live           show throughput on standard error\n"
	"  --from ADDR      the client's address\n";

void sf_stream_die(const char *what)
{
	fprintf(stderr, "streammeter: %s: %s\n", what, strerror(errno));
	exit(1);
}

uint64_t sf_stream_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t sf_pace_wait(struct sf_pace *p, uint64_t now_ns, size_t bytes)
{
	if (!p->rate)
		return 0;
	if (p->due_ns > now_ns)
		return p->due_ns - now_ns;
	if (p->due_ns + 2000000 < now_ns) /* behind by what is more than a scheduler's delay */
		p->due_ns = now_ns;
	p->due_ns += bytes * 8000000000ull / p->rate;
	return 0;
}

static void from_bind(int fd, const struct sf_stream *s)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST }, *a;

	if (!s->from)
		return;
	if (getaddrinfo(s->from, NULL, &hints, &a)) {
		fprintf(stderr, "streammeter: --from %s: no address\n", s->from);
		exit(2);
	}
	if (bind(fd, a->ai_addr, a->ai_addrlen))
		sf_stream_die("bind");
	freeaddrinfo(a);
}

int sf_stream_socket(const struct sf_stream *s, bool serve)
{
	struct addrinfo hints = { .ai_socktype = s->udp ? SOCK_DGRAM : SOCK_STREAM,
				  .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV },
			*a;
	int fd, one = 1, r = getaddrinfo(s->addr, s->port, &hints, &a);

	if (r) {
		fprintf(stderr, "streammeter: %s %s: %s\n", s->addr, s->port, gai_strerror(r));
		exit(2);
	}
	fd = socket(a->ai_family, a->ai_socktype, s->mptcp ? IPPROTO_MPTCP : a->ai_protocol);
	if (fd < 0)
		sf_stream_die("socket");
	if (serve) {
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, a->ai_addr, a->ai_addrlen))
			sf_stream_die("bind");
		if (!s->udp && listen(fd, 128))
			sf_stream_die("listen");
	} else {
		from_bind(fd, s);
		if (connect(fd, a->ai_addr, a->ai_addrlen))
			sf_stream_die("connect");
	}
	freeaddrinfo(a);
	return fd;
}

void sf_stream_request_make(const struct sf_stream *s, struct sf_stream_request *out)
{
	*out = (struct sf_stream_request){ .magic = htobe32(SF_STREAM_MAGIC),
					   .way = (uint8_t)s->way,
					   .rate = htobe64(s->rate),
					   .bytes = htobe64(s->bytes),
					   .ms = htobe64(s->ms),
					   .bucket_ns = htobe64(s->bucket_ns) };
}

int sf_stream_request_read(const struct sf_stream_request *in, struct sf_stream *s)
{
	if (be32toh(in->magic) != SF_STREAM_MAGIC || !in->bucket_ns ||
	    (in->way != SF_STREAM_UP && in->way != SF_STREAM_DOWN))
		return -EBADMSG;
	s->way = in->way;
	s->rate = be64toh(in->rate);
	s->bytes = be64toh(in->bytes);
	s->ms = be64toh(in->ms);
	s->bucket_ns = be64toh(in->bucket_ns);
	return 0;
}

/* ---- the live line ---------------------------------------------------------------------- */

/* A column for each tenth of a second, as high as its share of the highest so far. */
void sf_stream_show(const struct sf_meter *m, uint64_t now_ns)
{
	static const char *const bar[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	static double columns[LIVE_COLUMNS], highest;
	static uint64_t shown_ns, shown_bytes;
	double rate;

	if (!shown_ns)
		shown_ns = m->start_ns;
	if (now_ns - shown_ns < LIVE_NS)
		return;
	rate = (double)(m->bytes - shown_bytes) * 8e3 / (double)(now_ns - shown_ns);
	memmove(columns, columns + 1, sizeof(columns) - sizeof(columns[0]));
	columns[LIVE_COLUMNS - 1] = rate;
	if (rate > highest)
		highest = rate;
	fputs("\r  |", stderr);
	for (size_t i = 0; i < LIVE_COLUMNS; i++)
		fputs(bar[highest > 0 ? (int)(columns[i] / highest * 8 + 0.5) : 0], stderr);
	fprintf(stderr, "| %8.1f Mbit/s ", rate);
	shown_ns = now_ns;
	shown_bytes = m->bytes;
}

/* ---- results ---------------------------------------------------------------------------- */

void sf_stream_deliver(struct sf_meter *m, bool live, size_t bytes)
{
	uint64_t now = sf_stream_now();
	int r = sf_meter_deliver(m, now, bytes);

	if (r) {
		errno = -r;
		sf_stream_die("meter");
	}
	if (live)
		sf_stream_show(m, now);
}

char *sf_stream_result(const struct sf_meter *m, const struct sf_sequence *seq, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	if (!out || sf_meter_json(m, seq, out) || sf_meter_csv(m, out) || fclose(out))
		sf_stream_die("result");
	return text;
}

/* A number of the JSON line, which is our own. */
static uint64_t result_number(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

int sf_stream_told(const struct sf_stream *s, const char *text, size_t len)
{
	const char *end = len ? memchr(text, '\n', len) : NULL;
	uint64_t bytes;
	FILE *out;

	if (!end) {
		fputs("streammeter: no result came\n", stderr);
		return 1;
	}
	if (s->live)
		fputc('\n', stderr);
	printf("%.*s\n", (int)(end - text), text);
	out = s->out ? fopen(s->out, "we") : NULL;
	if (s->out && (!out ||
		       fwrite(end + 1, 1, len - (size_t)(end + 1 - text), out) !=
			       len - (size_t)(end + 1 - text) ||
		       fclose(out)))
		sf_stream_die(s->out);
	bytes = result_number(text, "\"bytes\": ");
	if (s->bytes && bytes < s->bytes && !s->udp)
		fprintf(stderr, "streammeter: %" PRIu64 " of %" PRIu64 " bytes came\n", bytes,
			s->bytes);
	return !bytes || result_number(text, "\"wrong\": ") || (!s->udp && bytes < s->bytes);
}

int sf_stream_tell(const struct sf_stream *s, struct sf_meter *m, const struct sf_sequence *seq)
{
	size_t len;
	char *text = sf_stream_result(m, seq, &len);
	int r = sf_stream_told(s, text, len);

	free(text);
	sf_meter_free(m);
	return r;
}

/* ---- pipe ------------------------------------------------------------------------------- */

static int pipe_run(const struct sf_stream *s)
{
	static uint8_t buf[SF_STREAM_CHUNK];
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	struct sf_meter m;
	ssize_t n;
	int r;

	sf_meter_open(&m, s->bucket_ns, sf_stream_now());
	for (;;) {
		if (poll(&in, 1, SF_STREAM_TICK_US / 1000) == 0) {
			if (s->live)
				sf_stream_show(&m, sf_stream_now());
			continue;
		}
		n = read(STDIN_FILENO, buf, sizeof(buf));
		if (n <= 0)
			break;
		sf_stream_deliver(&m, s->live, (size_t)n);
		for (ssize_t done = 0; done < n;) {
			ssize_t w = write(STDOUT_FILENO, buf + done, (size_t)(n - done));

			if (w < 0)
				sf_stream_die("standard output");
			done += w;
		}
	}
	sf_meter_close(&m, sf_stream_now());
	if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0) /* the line does not belong to the content */
		sf_stream_die("standard error");
	r = sf_stream_tell(s, &m, NULL);
	return n < 0 ? 1 : r;
}

/* ---- command line ----------------------------------------------------------------------- */

static int misuse(const char *what)
{
	fprintf(stderr, "streammeter: %s\n%s", what, usage);
	return 2;
}

/* A positive number times @scale; 0: it is none. */
static uint64_t scaled(const char *text, double scale)
{
	char *end;
	double x = strtod(text, &end);

	return *end || end == text || !(x > 0) || x * scale >= 1e18 ? 0 : (uint64_t)(x * scale);
}

static int options_parse(struct sf_stream *s, int argc, char **argv)
{
	static const struct option options[] = { { "udp", no_argument, NULL, 'u' },
						 { "mptcp", no_argument, NULL, 'm' },
						 { "rate", required_argument, NULL, 'r' },
						 { "seconds", required_argument, NULL, 's' },
						 { "bytes", required_argument, NULL, 'b' },
						 { "bucket", required_argument, NULL, 'k' },
						 { "out", required_argument, NULL, 'o' },
						 { "live", no_argument, NULL, 'l' },
						 { "from", required_argument, NULL, 'f' },
						 { NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		uint64_t ok = 1;

		switch (c) {
		case 'u':
			s->udp = true;
			break;
		case 'm':
			s->mptcp = true;
			break;
		case 'l':
			s->live = true;
			break;
		case 'o':
			s->out = optarg;
			break;
		case 'f':
			s->from = optarg;
			break;
		case 'r':
			ok = s->rate = scaled(optarg, 1e6);
			break;
		case 's':
			ok = s->ms = scaled(optarg, 1e3);
			break;
		case 'b':
			ok = s->bytes = scaled(optarg, 1);
			break;
		case 'k':
			ok = s->bucket_ns = scaled(optarg, 1e6);
			break;
		default:
			ok = 0;
		}
		if (!ok)
			return misuse("wrong option, or not a positive number");
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sf_stream s = { .bucket_ns = 10000000 };
	const char *verb;

	if (options_parse(&s, argc, argv))
		return 2;
	argc -= optind;
	argv += optind;
	verb = argc ? argv[0] : "";
	if (!s.ms && !s.bytes)
		s.ms = 10000;
	if (s.udp && !s.rate)
		s.rate = UDP_RATE;
	if (strcmp(verb, "pipe") == 0 && argc == 1)
		return pipe_run(&s);
	if (argc != 3)
		return misuse("expected serve, receive or send with address and port, or pipe");
	s.addr = argv[1];
	s.port = argv[2];
	if (strcmp(verb, "serve") == 0)
		return s.udp ? sf_udp_serve(&s) : sf_tcp_serve(&s);
	s.way = strcmp(verb, "send") == 0 ? SF_STREAM_UP : SF_STREAM_DOWN;
	if (s.way == SF_STREAM_DOWN && strcmp(verb, "receive") != 0)
		return misuse("expected serve, receive, send or pipe");
	return s.udp ? sf_udp_run(&s) : sf_tcp_run(&s);
}
