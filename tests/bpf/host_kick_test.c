// SPDX-License-Identifier: Apache-2.0
/*
 * host_kick_test.c - a real TCP socket of B's, whose segments are lost (its peer is behind a device
 * that swallows all), and what the kick makes of its timer (RFC 6069) and of
 * what it has sent.
 */
#include "tests/bpf/host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "util/bpf.h"

#define LO 1

static struct sf_tuple tuple;

static int group_setup(void **state)
{
	int ret = host_group_setup(state);

	tuple = (struct sf_tuple){ .local = service,
				   .peer = a.cfg.self,
				   .lport = htons(PORT),
				   .pport = htons(CLIENT),
				   .proto = IPPROTO_TCP };
	return ret ? ret
		   : system("ip link add swallow type veth peer name throat && "
			    "ip link set swallow up && ip link set throat up && "
			    "ip -6 route add local fd5e:0:0:1::/64 dev lo && "
			    "ip -6 route add fd5e:0:8000::/48 via fe80::1 dev swallow && "
			    "ip -6 neigh add fe80::1 lladdr 02:00:00:00:00:01 dev swallow");
}

static struct sockaddr_in6 end(const struct sf_addr *addr, __be16 port)
{
	struct sockaddr_in6 sin = { .sin6_family = AF_INET6, .sin6_port = port };

	memcpy(&sin.sin6_addr, addr, 16);
	return sin;
}

/* A connection that nobody was asked for. */
static int connection(void)
{
	const struct tcp_repair_opt options[] = { { TCPOPT_MAXSEG, 1440 },
						  { TCPOPT_TIMESTAMP, 0 } };
	struct sockaddr_in6 local = end(&tuple.local, tuple.lport);
	struct sockaddr_in6 peer = end(&tuple.peer, tuple.pport);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, off = 0;
	const struct linger reset = { 1, 0 };
	struct tcp_repair_window window;
	socklen_t len = sizeof(window);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &on, sizeof(on)), 0);
	/* No port is held by what is over. */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	assert_int_equal(setsockopt(fd, SOL_TCP, TCP_REPAIR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&peer, sizeof(peer)), 0);
	/* A closed one is probed: that is another timer. */
	assert_int_equal(getsockopt(fd, SOL_TCP, TCP_REPAIR_WINDOW, &window, &len), 0);
	window.snd_wnd = window.max_window = 65535;
	assert_int_equal(setsockopt(fd, SOL_TCP, TCP_REPAIR_WINDOW, &window, len), 0);
	assert_int_equal(setsockopt(fd, SOL_TCP, TCP_REPAIR_OPTIONS, options, sizeof(options)), 0);
	assert_int_equal(setsockopt(fd, SOL_TCP, TCP_REPAIR, &off, sizeof(off)), 0);
	return fd;
}

static struct tcp_info info(int fd)
{
	struct tcp_info i = { 0 };
	socklen_t len = sizeof(i);

	assert_int_equal(getsockopt(fd, SOL_TCP, TCP_INFO, &i, &len), 0);
	return i;
}

/* @received: in and out */
static uint32_t kick_with(enum sf_kick_how how, uint32_t *received)
{
	struct __sk_buff skb = {
		.ifindex = LO, .cb = { [SF_KICK_CB_HOW] = how, [SF_KICK_CB_RECEIVED] = *received }
	};
	struct __sk_buff after;
	uint8_t frame[SF_KICK_LEN];
	struct packet p;
	struct segment s = { .src = tuple.local,
			     .dst = tuple.peer,
			     .sport = ntohs(tuple.lport),
			     .dport = ntohs(tuple.pport),
			     .flags = SF_TCP_ACK };
	struct sf_bpf_run run = { .data = frame,
				  .data_len = sizeof(frame),
				  .ctx = &skb,
				  .ctx_len = sizeof(skb),
				  .ctx_out = &after,
				  .ctx_out_len = sizeof(after) };

	packet_tcp(&p, &s);
	memset(p.b, 0, 12); /* lo's address */
	memcpy(frame, p.b, sizeof(frame));
	assert_int_equal(sf_bpf_prog_run(bpf_program__fd(b.skel->progs.sf_flow_kick), &run), 0);
	*received = after.cb[SF_KICK_CB_RECEIVED];
	return run.retval;
}

static uint32_t kick(enum sf_kick_how how)
{
	uint32_t none = 0;

	return kick_with(how, &none);
}

/* What is redirected to a link's ingress is taken up at once, unless the machine is slow. */
#define SOON(condition)                                       \
	do {                                                  \
		for (int t = 0; t < 300 && !(condition); t++) \
			usleep(1000);                         \
		assert_true(condition);                       \
	} while (0)

static void nobody_to_kick(void **state)
{
	int fd;

	assert_int_equal(kick(SF_KICK_TIMER), SF_KICK_NONE); /* there is a listener */
	tuple.pport = htons(CLIENT + 1);
	fd = connection();
	assert_int_equal(kick(SF_KICK_TIMER), SF_KICK_IDLE);
	close(fd);
}

static void kick_takes_the_waiting_back(void **state)
{
	struct tcp_info was, is;
	char line[100] = { 0 };
	int fd;

	tuple.pport = htons(CLIENT + 2);
	fd = connection();
	assert_int_equal(send(fd, line, sizeof(line), 0), sizeof(line));
	do {
		usleep(10000);
		was = info(fd);
	} while (was.tcpi_backoff < 2);
	assert_int_equal(kick(SF_KICK_TIMER), SF_KICK_DONE);
	SOON(info(fd).tcpi_backoff == 0);
	is = info(fd);
	assert_int_equal(is.tcpi_state, TCP_ESTABLISHED);
	assert_int_equal(is.tcpi_unacked, 1);
	assert_int_equal(is.tcpi_backoff, 0);
	assert_true(is.tcpi_rto < was.tcpi_rto);
	/* It tries again after the first wait, not the longer one. */
	do {
		usleep(10000);
		was = info(fd);
	} while (was.tcpi_total_retrans == is.tcpi_total_retrans);
	assert_int_equal(was.tcpi_backoff, 1);
	close(fd);
}

/* Before any timer has run out, all full segments leave anew, and what is shorter does not. */
static void what_is_lost_is_repeated_at_once(void **state)
{
	struct tcp_info was, is;
	char *data;
	size_t len;
	int fd;

	tuple.pport = htons(CLIENT + 3);
	fd = connection();
	/* The socket looks at its path anew, and need not stay below what any path carries. */
	assert_int_equal(system("ip -6 route change fd5e:0:8000::/48 via fe80::1 dev swallow "
				"mtu 1450"),
			 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(send(fd, "", 1, 0), 1);
	was = info(fd);
	len = 3 * was.tcpi_snd_mss + 100;
	data = calloc(1, len);
	assert_non_null(data);
	assert_int_equal(send(fd, data, len, 0), len);
	free(data);
	assert_int_equal(kick(SF_KICK_TIMER), SF_KICK_DONE);
	assert_int_equal(info(fd).tcpi_total_retrans, 0);
	assert_int_equal(kick(SF_KICK_RESEND), SF_KICK_DONE);
	SOON(info(fd).tcpi_total_retrans >= 3);
	is = info(fd);
	assert_int_equal(is.tcpi_state, TCP_ESTABLISHED);
	assert_int_equal(is.tcpi_backoff, 0);
	assert_int_equal(is.tcpi_retransmits, 0);
	assert_true(is.tcpi_total_retrans >= 3);
	assert_int_equal(is.tcpi_snd_cwnd, was.tcpi_snd_cwnd);
	assert_int_equal(is.tcpi_snd_mss, was.tcpi_snd_mss - 1);
	/* What was sent anew may be lost as well (on a slow machine a timer has run out by now, and
	 * less is sent). */
	is = info(fd);
	assert_int_equal(kick(SF_KICK_RESEND), SF_KICK_DONE);
	SOON(info(fd).tcpi_total_retrans > is.tcpi_total_retrans);
	assert_int_equal(info(fd).tcpi_snd_mss, was.tcpi_snd_mss - 2);
	close(fd);
}

/* tcpi_segs_out, which the C library's structure does not reach. */
#define SEGS_OUT_AT 136

static uint32_t segments_out(int fd)
{
	uint8_t raw[SEGS_OUT_AT + sizeof(uint32_t)] = { 0 };
	socklen_t len = sizeof(raw);
	uint32_t n;

	assert_int_equal(getsockopt(fd, SOL_TCP, TCP_INFO, raw, &len), 0);
	assert_int_equal(len, sizeof(raw));
	memcpy(&n, raw + SEGS_OUT_AT, sizeof(n));
	return n;
}

static void ack_is_told_anew(void **state)
{
	uint32_t was;
	int fd;

	tuple.pport = htons(CLIENT + 4);
	fd = connection();
	was = segments_out(fd);
	assert_int_equal(kick(SF_KICK_TIMER), SF_KICK_IDLE);
	assert_int_equal(segments_out(fd), was);
	assert_int_equal(kick(SF_KICK_ACK), SF_KICK_DONE);
	SOON(segments_out(fd) == was + 1);
	assert_int_equal(info(fd).tcpi_state, TCP_ESTABLISHED);
	assert_int_equal(info(fd).tcpi_unacked, 0);
	close(fd);
}

/* Sequence numbers of @fd: what it sends next, or (@which TCP_RECV_QUEUE) expects. */
static uint32_t sequence(int fd, int which)
{
	int on = TCP_REPAIR_ON, off = TCP_REPAIR_OFF_NO_WP, none = TCP_NO_QUEUE;
	uint32_t seq;
	socklen_t len = sizeof(seq);

	assert_int_equal(setsockopt(fd, SOL_TCP, TCP_REPAIR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_TCP, TCP_REPAIR_QUEUE, &which, sizeof(which)), 0);
	assert_int_equal(getsockopt(fd, SOL_TCP, TCP_QUEUE_SEQ, &seq, &len), 0);
	assert_int_equal(setsockopt(fd, SOL_TCP, TCP_REPAIR_QUEUE, &none, sizeof(none)), 0);
	assert_int_equal(setsockopt(fd, SOL_TCP, TCP_REPAIR, &off, sizeof(off)), 0);
	return seq;
}

/* The peer has the first of two segments, and says so by RSYN: the second leaves, and nothing new.
 */
static void what_the_peer_has_is_not_sent_again(void **state)
{
	char *data = calloc(1, 65536);
	uint32_t received = 0, end;
	struct tcp_info was;
	int fd;

	assert_non_null(data);
	tuple.pport = htons(CLIENT + 5);
	fd = connection();
	assert_int_equal(kick_with(SF_KICK_LOOK, &received), SF_KICK_DONE);
	assert_int_equal(received, sequence(fd, TCP_RECV_QUEUE));
	assert_int_equal(kick_with(SF_KICK_HOLD, &received), SF_KICK_IDLE);
	was = info(fd);
	assert_int_equal(send(fd, data, was.tcpi_snd_mss, 0), was.tcpi_snd_mss);
	assert_int_equal(send(fd, data, was.tcpi_snd_mss, 0), was.tcpi_snd_mss);
	end = sequence(fd, TCP_SEND_QUEUE);
	assert_int_equal(info(fd).tcpi_unacked, 2);
	/* What it has not sent, and what was acknowledged, nobody can have received now. */
	for (int i = 0; i < 2; i++) {
		received = i ? end : end - 2 * was.tcpi_snd_mss - 1;
		assert_int_equal(kick_with(SF_KICK_HOLD, &received), SF_KICK_IDLE);
	}
	received = end - was.tcpi_snd_mss;
	assert_int_equal(kick_with(SF_KICK_HOLD, &received), SF_KICK_DONE);
	SOON(info(fd).tcpi_unacked == 1);
	assert_int_equal(send(fd, data, 4096, MSG_DONTWAIT), 4096);
	assert_int_equal(info(fd).tcpi_unacked, 1);
	assert_int_equal(sequence(fd, TCP_SEND_QUEUE), end + 4096);
	was = info(fd);
	assert_int_equal(kick(SF_KICK_RESEND), SF_KICK_DONE);
	SOON(info(fd).tcpi_total_retrans > was.tcpi_total_retrans);
	assert_int_equal(info(fd).tcpi_unacked, 1);
	assert_int_equal(info(fd).tcpi_state, TCP_ESTABLISHED);
	free(data);
	close(fd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, host_clear)
	const struct CMUnitTest tests[] = {
		T(nobody_to_kick),
		T(kick_takes_the_waiting_back),
		T(what_is_lost_is_repeated_at_once),
		T(ack_is_told_anew),
		T(what_the_peer_has_is_not_sent_again),
	};
	int skip = host_privileged();

	return skip ? skip : cmocka_run_group_tests(tests, group_setup, host_group_teardown);
}
