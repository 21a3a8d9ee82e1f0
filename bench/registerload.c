// SPDX-License-Identifier: Apache-2.0
/*
 * registerload - a host with very many services: how fast registrations go through.
 *
 *   registerload IFACE COUNT SOCKET...
 *
 * Joins at the access router on IFACE as a host of its own, registers COUNT services (as many to a
 * message as fit, sealed by the session's MAC, up to OUTSTANDING messages under way), and watches
 * each daemon whose REST SOCKET is named until it knows all of them. Prints "answered RATE" when
 * the last is answered, then "SOCKET RATE" for each daemon, in registrations per second since the
 * first. Then it stays, with heartbeats, until standard input ends, and leaves.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <jansson.h>

#include "bench/frames.h"
#include "core/wire.h"
#include "util/crypto.h"
#include "util/httpc.h"
#include "util/session.h"

#define OUTSTANDING  32
#define SPAN	     48 /* sequence numbers under way, below the router's window */
#define REPEAT_NS    500000000ull
#define HEARTBEAT_NS 500000000ull
#define WATCH_NS     10000000ull
#define GIVE_UP_NS   120000000000ull
#define JOIN_GROUP   "ff02::5caf"

struct message {
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	int len;
	uint32_t seq; /* 0: none under way */
	uint32_t registrations;
	uint64_t sent;
};

/* A daemon that is watched. */
struct watch {
	const char *name;
	struct sf_httpc *client;
	uint64_t before; /* services that it knew */
	bool done;
};

static int fd;
static struct sockaddr_in6 router;
static struct sf_session session;
static struct message messages[OUTSTANDING];

static uint64_t now(void)
{
	return bench_now(CLOCK_MONOTONIC);
}

static void send_datagram(const void *data, int len)
{
	if (len < 0)
		bench_die(len, "building a message");
	if (sendto(fd, data, (size_t)len, 0, (struct sockaddr *)&router, sizeof(router)) < 0 &&
	    errno != EAGAIN && errno != ENOBUFS)
		bench_die(-errno, "sending to the access router");
}

static bool receive(void *buf, struct sf_ctrl_in *in, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct sockaddr_in6 from;
	socklen_t from_len = sizeof(from);
	const char *why;
	ssize_t n;

	if (timeout_ms && poll(&p, 1, timeout_ms) <= 0)
		return false;
	n = recvfrom(fd, buf, SF_CTRL_MAX_UDP, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
	if (n < 0 || sf_ctrl_open(buf, (size_t)n, in, &why))
		return false;
	if (!session.id)
		router.sin6_addr = from.sin6_addr;
	return true;
}

/* ---- JOIN ---- */

static int join_build(struct message *m, struct sf_sign_key *key, const uint8_t *share,
		      uint64_t boot)
{
	uint8_t public_key[SF_SIGN_PUBLIC_LEN];
	__be64 boot_be = sf_be64(boot);
	__be64 when = sf_be64(bench_now(CLOCK_REALTIME) / 1000000);
	struct sf_ctrl_out out;

	sf_sign_key_public(key, public_key);
	sf_ctrl_begin(&out, m->buf, sizeof(m->buf), SF_CTRL_JOIN, 1, 0);
	sf_ctrl_put(&out, SF_ITEM_HOST_KEY, public_key, sizeof(public_key));
	sf_ctrl_put(&out, SF_ITEM_SHARE, share, SF_DH_LEN);
	sf_ctrl_put(&out, SF_ITEM_BOOT, &boot_be, sizeof(boot_be));
	sf_ctrl_put(&out, SF_ITEM_NAME, "load", 4);
	sf_ctrl_put(&out, SF_ITEM_TIME, &when, sizeof(when));
	return sf_join_sign(&out, key);
}

static void joined(const struct message *join, const struct sf_ctrl_in *in, struct sf_dh *dh,
		   struct sf_session_terms *terms)
{
	uint8_t shared[SF_DH_LEN];
	int err = sf_joined_verify(in, join->buf, (size_t)join->len);

	if (!err)
		err = sf_ctrl_get(in, SF_ITEM_NONCE, terms->nonce, sizeof(terms->nonce));
	if (!err)
		err = sf_ctrl_get(in, SF_ITEM_SHARE, terms->router_share, SF_DH_LEN);
	if (!err)
		err = sf_dh_shared(dh, terms->router_share, shared);
	if (!err)
		err = sf_session_open(&session, SF_SESSION_HOST, shared, terms);
	if (err)
		bench_die(err, "JOINED");
}

static void join(void)
{
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	struct sf_session_terms terms = { 0 };
	struct sf_sign_key *key;
	struct sf_ctrl_in in;
	struct message m;
	struct sf_dh *dh;

	if (sf_sign_key_make(&key) || sf_dh_make(&dh) || sf_random(&terms.boot, sizeof(terms.boot)))
		bench_die(0, "keys cannot be made");
	sf_dh_public(dh, terms.host_share);
	m.len = join_build(&m, key, terms.host_share, terms.boot);
	for (int i = 0; i < 100 && !session.id; i++) {
		inet_pton(AF_INET6, JOIN_GROUP, &router.sin6_addr);
		send_datagram(m.buf, m.len);
		if (receive(buf, &in, 100) && in.type == SF_CTRL_JOINED && in.seq == 1)
			joined(&m, &in, dh, &terms);
	}
	if (!session.id)
		bench_die(0, "no access router let us join");
	sf_dh_free(dh);
	sf_sign_key_free(key);
}

/* ---- registrations ---- */

/* A place for one message more under way, or NULL. */
static struct message *place(void)
{
	struct message *m = NULL;

	for (int i = 0; i < OUTSTANDING; i++) {
		if (!messages[i].seq)
			m = &messages[i];
		else if (session.sent + 1 - messages[i].seq >= SPAN)
			return NULL;
	}
	return m;
}

/* A message with as many of the services from @from on as fit. */
static void register_send(struct message *m, uint64_t from, uint64_t count)
{
	struct sf_item_registration item = { .proto = SF_NEXTHDR_TCP, .port = sf_be16(BENCH_PORT) };
	struct sf_ctrl_out out;

	m->seq = sf_session_next(&session, SF_SESSION_HOST);
	m->registrations = 0;
	sf_session_begin(&session, &out, m->buf, sizeof(m->buf), SF_CTRL_REGISTER, m->seq);
	while (from + m->registrations < count &&
	       sf_ctrl_room(&out) >= sizeof(item) + sizeof(struct sf_item)) {
		item.sid = bench_service(from + m->registrations++);
		sf_ctrl_put(&out, SF_ITEM_REGISTRATION, &item, sizeof(item));
	}
	m->len = sf_session_seal(&session, &out);
	send_datagram(m->buf, m->len);
	m->sent = now();
}

/* Take an answer. Return: how many registrations it accepts. */
static uint32_t answer_take(const struct sf_ctrl_in *in)
{
	uint32_t accepted = 0;

	if (sf_session_check(&session, in))
		return 0;
	if (in->type == SF_CTRL_DENIED || in->type == SF_CTRL_REFRESH)
		bench_die(0, "the router answered %s", sf_ctrl_name(in->type));
	if (in->type != SF_CTRL_REGISTERED)
		return 0;
	for (int i = 0; i < OUTSTANDING; i++) {
		if (messages[i].seq != in->seq || in->seq >= SF_SESSION_UNSOLICITED)
			continue;
		sf_ctrl_foreach (in, it) {
			const struct sf_item_result *r = it.value;

			if (it.type != SF_ITEM_RESULT)
				continue;
			if (r->reason)
				bench_die(0, "a registration was denied: %s",
					  sf_reason_name(r->reason));
			accepted++;
		}
		if (accepted != messages[i].registrations)
			bench_die(0, "%u results for %u registrations", accepted,
				  messages[i].registrations);
		messages[i].seq = 0;
	}
	return accepted;
}

static void heartbeat(void)
{
	static uint64_t last;
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	struct sf_ctrl_out out;

	if (now() - last < HEARTBEAT_NS)
		return;
	last = now();
	sf_session_begin(&session, &out, buf, sizeof(buf), SF_CTRL_HEARTBEAT,
			 sf_session_next(&session, SF_SESSION_HOST));
	send_datagram(buf, sf_session_seal(&session, &out));
}

static void repeat_lost(void)
{
	for (int i = 0; i < OUTSTANDING; i++)
		if (messages[i].seq && now() - messages[i].sent > REPEAT_NS) {
			send_datagram(messages[i].buf, messages[i].len);
			messages[i].sent = now();
		}
}

/* ---- watching ---- */

static uint64_t services(struct watch *w)
{
	json_t *status = NULL;
	char err[256];
	uint64_t n;

	if (sf_httpc_call(w->client, "GET", "/v1/status", NULL, &status, err, sizeof(err)))
		bench_die(0, "%s: %s", w->name, err);
	n = (uint64_t)json_integer_value(json_object_get(status, "services"));
	json_decref(status);
	return n;
}

static void watch_open(struct watch *w, const char *path)
{
	struct sf_httpc_opts opts = { .timeout_ms = 60000 };
	char endpoint[512], err[256];

	w->name = path;
	snprintf(endpoint, sizeof(endpoint), "unix:%s", path);
	opts.endpoint = endpoint;
	if (sf_httpc_new(&opts, &w->client, err, sizeof(err)))
		bench_die(0, "%s: %s", path, err);
	w->before = services(w);
}

/* Return: whether all know @count services more. */
static bool watch_all(struct watch *list, int n, uint64_t count, uint64_t start)
{
	static uint64_t last;
	bool all = true;

	if (now() - last < WATCH_NS)
		return false;
	for (int i = 0; i < n; i++) {
		if (!list[i].done && services(&list[i]) >= list[i].before + count) {
			list[i].done = true;
			printf("%s %.0f\n", list[i].name, count * 1e9 / (double)(now() - start));
			fflush(stdout);
		}
		all &= list[i].done;
	}
	last = now();
	return all;
}

/* ---- all of it ---- */

static void run(uint64_t count, struct watch *list, int n)
{
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	uint64_t start = now(), next = 0, accepted = 0;
	struct sf_ctrl_in in;

	while (accepted < count) {
		struct message *m = next < count ? place() : NULL;

		if (now() - start > GIVE_UP_NS)
			bench_die(0, "%llu of %llu registrations answered in time",
				  (unsigned long long)accepted, (unsigned long long)count);
		heartbeat();
		if (m) {
			register_send(m, next, count);
			next += m->registrations;
		}
		if (receive(buf, &in, m ? 0 : 20))
			accepted += answer_take(&in);
		repeat_lost();
	}
	printf("answered %.0f\n", count * 1e9 / (double)(now() - start));
	fflush(stdout);
	while (!watch_all(list, n, count, start)) {
		heartbeat();
		if (now() - start > GIVE_UP_NS)
			bench_die(0, "not every daemon learned of all registrations in time");
		receive(buf, &in, 5);
	}
}

static void stay(void)
{
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	struct pollfd p = { .events = POLLIN };
	struct sf_ctrl_out out;
	struct sf_ctrl_in in;
	char byte;

	while (poll(&p, 1, 50) <= 0 || read(STDIN_FILENO, &byte, 1) > 0) {
		heartbeat();
		while (receive(buf, &in, 0))
			answer_take(&in);
	}
	sf_session_begin(&session, &out, buf, sizeof(buf), SF_CTRL_LEAVE,
			 sf_session_next(&session, SF_SESSION_HOST));
	send_datagram(buf, sf_session_seal(&session, &out));
}

int main(int argc, char **argv)
{
	struct watch list[8] = { 0 };
	int n = argc - 3, buffer = 4 << 20;
	uint64_t count;

	if (argc < 3 || n > 8) {
		fputs("usage: registerload IFACE COUNT SOCKET...\n", stderr);
		return 2;
	}
	count = bench_number("COUNT", argv[2], 1, 1000000);
	router = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					.sin6_port = htons(SF_CTRL_PORT),
					.sin6_scope_id = if_nametoindex(argv[1]) };
	if (!router.sin6_scope_id)
		bench_die(-errno, "interface %s", argv[1]);
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		bench_die(-errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	join();
	for (int i = 0; i < n; i++)
		watch_open(&list[i], argv[3 + i]);
	run(count, list, n);
	stay();
	return 0;
}
