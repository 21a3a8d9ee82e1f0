// SPDX-License-Identifier: Apache-2.0
/* How long a flow waits for a silent peer, as the router's answers change it. Time is the test's.
 */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/grace.h"
#include "agent/host.h"

#define NETWORK_MS 5000
#define NOT_SAID   (-1)

struct place {
	struct host *host;
	struct attachment uplink;
	struct sf_session router; /* the other end, at fd */
	int fd;
	struct sf_flow flow;
	struct sf_sid web;
};

static uint64_t now_ms;

uint64_t __wrap_sf_now_ms(void);

uint64_t __wrap_sf_now_ms(void)
{
	return now_ms;
}

static void on_stranger(void *ctx, const struct sf_ctrl_in *in, const struct sockaddr_in6 *from)
{
	fail();
}

static void on_unasked(void *ctx, const struct sf_ctrl_in *in)
{
	fail();
}

static void on_event(void *ctx)
{
}

static int setup(void **state)
{
	static const struct session_ops ops = { on_stranger, on_unasked, on_event, on_event };
	static struct place p;
	struct sf_session_terms terms = { .boot = 7 };
	struct sockaddr_in6 addr = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	uint8_t secret[SF_DH_LEN] = { 3 };
	socklen_t len = sizeof(addr);
	char err[256];

	memset(terms.nonce, 0x5c, sizeof(terms.nonce));
	now_ms = 1000000;
	memset(&p, 0, sizeof(p));
	p.host = calloc(1, sizeof(*p.host));
	p.host->net = sf_net_default(0);
	p.host->daemon.base = event_base_new();
	p.host->attachments.primary = &p.uplink;
	p.uplink.host = p.host;
	p.uplink.join.move_grace_ms = NETWORK_MS;
	p.web = (struct sf_sid){ .w = { sf_be32(1), sf_be32(2), sf_be32(3) } };
	p.flow.tuple.peer = sf_service_addr(&p.host->net, &p.web);
	p.fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(getsockname(p.fd, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(session_open(&p.uplink.session, p.host->daemon.base, &ops, &p.uplink, 0,
				      err, sizeof(err)),
			 0);
	assert_int_equal(session_start(&p.uplink.session, secret, &terms, &addr), 0);
	assert_int_equal(sf_session_open(&p.router, SF_SESSION_ROUTER, secret, &terms), 0);
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	graces_close(p->host);
	session_close(&p->uplink.session);
	sf_session_close(&p->router);
	event_base_free(p->host->daemon.base);
	close(p->fd);
	free(p->host);
	return 0;
}

/* The question. Return: its number; 0: none was asked. */
static uint32_t asked(struct place *p, struct sockaddr_in6 *from)
{
	uint8_t buf[2048] __attribute__((aligned(8)));
	const struct sf_item_registration *item;
	socklen_t len = sizeof(*from);
	struct sf_ctrl_in in;
	const char *why;
	ssize_t n;

	grace_ask(p->host, &p->flow);
	n = recvfrom(p->fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)from, &len);
	if (n <= 0)
		return 0;
	assert_int_equal(sf_ctrl_open(buf, (size_t)n, &in, &why), 0);
	assert_int_equal(in.type, SF_CTRL_LOOKUP);
	item = sf_ctrl_find(&in, SF_ITEM_REGISTRATION, NULL);
	assert_true(item && sf_sid_eq(&item->sid, &p->web));
	return in.seq;
}

/* A minute later: the host asks, and FOUND says @ms, or (NOT_SAID) nothing of it. */
static void ask_and_say(struct place *p, int64_t ms)
{
	struct sf_item_timers t = { .move_grace_ms = sf_be32((uint32_t)ms) };
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	uint64_t before = p->uplink.session.received;
	struct sockaddr_in6 from;
	struct sf_ctrl_out o;
	uint32_t seq;
	int len;

	now_ms += 60000;
	seq = asked(p, &from);
	assert_int_not_equal(seq, 0);
	sf_session_begin(&p->router, &o, buf, sizeof(buf), SF_CTRL_FOUND, seq);
	if (ms != NOT_SAID)
		sf_ctrl_put(&o, SF_ITEM_TIMERS, &t, sizeof(t));
	len = sf_session_seal(&p->router, &o);
	assert_true(len > 0);
	assert_int_equal(sendto(p->fd, buf, (size_t)len, 0, (struct sockaddr *)&from, sizeof(from)),
			 len);
	while (p->uplink.session.received == before)
		event_base_loop(p->host->daemon.base, EVLOOP_ONCE);
}

static uint32_t grace(const struct place *p)
{
	return grace_of(p->host, &p->flow);
}

static void test_policy_counts_until_another(void **state)
{
	struct place *p = *state;

	assert_int_equal(grace(p), NETWORK_MS);
	ask_and_say(p, 2000);
	assert_int_equal(grace(p), 2000);
	ask_and_say(p, 700);
	assert_int_equal(grace(p), 700);
	ask_and_say(p, 0);
	assert_int_equal(grace(p), 0);
	ask_and_say(p, SF_GRACE_UNSET);
	assert_int_equal(grace(p), NETWORK_MS);
}

/* A router that is without its controller may know nothing of policies. */
static void test_silence_changes_nothing(void **state)
{
	struct place *p = *state;

	ask_and_say(p, NOT_SAID);
	assert_int_equal(grace(p), NETWORK_MS);
	ask_and_say(p, 2000);
	ask_and_say(p, NOT_SAID);
	ask_and_say(p, NOT_SAID);
	assert_int_equal(grace(p), 2000);
	ask_and_say(p, SF_GRACE_UNSET);
	ask_and_say(p, NOT_SAID);
	assert_int_equal(grace(p), NETWORK_MS);
}

static void test_is_not_asked_twice(void **state)
{
	struct place *p = *state;
	struct sockaddr_in6 from;

	ask_and_say(p, 2000);
	assert_int_equal(asked(p, &from), 0);
	now_ms += 59999;
	assert_int_equal(asked(p, &from), 0);
	now_ms++;
	assert_int_not_equal(asked(p, &from), 0);
}

static void test_own_word_counts_more(void **state)
{
	struct place *p = *state;
	char text[128], addr[SF_ADDR_STRLEN];
	char other[] = "other=7s", again[128];
	char *items[] = { other, text, again };

	p->host->config.move_grace_ms = 900;
	assert_int_equal(grace(p), 900);
	ask_and_say(p, 2000);
	assert_int_equal(grace(p), 2000);
	snprintf(text, sizeof(text), "%s=300ms", sf_addr_print(&p->flow.tuple.peer, addr));
	snprintf(again, sizeof(again), "%s=1h", addr);
	p->host->config.service_move_grace = (struct sf_conf_list){ .items = items, .count = 3 };
	assert_int_equal(graces_open(p->host), 0);
	assert_int_equal(grace(p), 300);
	/* Of another network an address is no service. */
	p->host->net.service ^= sf_be32(1);
	assert_int_equal(graces_open(p->host), 0);
	p->flow.tuple.peer = sf_service_addr(&p->host->net, &p->web);
	assert_int_equal(grace(p), 2000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_policy_counts_until_another),
		T(test_silence_changes_nothing),
		T(test_is_not_asked_twice),
		T(test_own_word_counts_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
