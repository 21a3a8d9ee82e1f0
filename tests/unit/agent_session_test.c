// SPDX-License-Identifier: Apache-2.0
/* The host's end of a session: what ends a request, and what shows that the router lives. */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/session.h"

struct place {
	struct event_base *base;
	struct session host;
	struct sf_session router; /* the other end, at fd */
	int fd;
	struct sockaddr_in6 at; /* of the host's socket */
	struct session_ops ops;
	int answered, unasked, rooms, losses;
	uint8_t last; /* type of the last answer */
};

static void on_stranger(void *ctx, const struct sf_ctrl_in *in, const struct sockaddr_in6 *from)
{
	fail();
}

static void on_unasked(void *ctx, const struct sf_ctrl_in *in)
{
	((struct place *)ctx)->unasked++;
}

static void on_lost(void *ctx)
{
	((struct place *)ctx)->losses++;
}

static void on_room(void *ctx)
{
	((struct place *)ctx)->rooms++;
}

static void on_answer(void *ctx, const struct sf_ctrl_in *request, const struct sf_ctrl_in *answer)
{
	struct place *p = ctx;

	p->answered++;
	p->last = answer->type;
}

static int setup(void **state)
{
	static struct place p;
	struct sf_session_terms terms = { .boot = 7 };
	struct sockaddr_in6 addr = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	uint8_t secret[SF_DH_LEN] = { 3 };
	socklen_t len = sizeof(addr);
	char err[256];

	memset(&p, 0, sizeof(p));
	memset(terms.nonce, 0x5c, sizeof(terms.nonce));
	p.ops = (struct session_ops){ on_stranger, on_unasked, on_lost, on_room };
	p.base = event_base_new();
	p.fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(getsockname(p.fd, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(session_open(&p.host, p.base, &p.ops, &p, 0, err, sizeof(err)), 0);
	assert_int_equal(session_start(&p.host, secret, &terms, &addr), 0);
	assert_int_equal(sf_session_open(&p.router, SF_SESSION_ROUTER, secret, &terms), 0);
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	session_close(&p->host);
	sf_session_close(&p->router);
	event_base_free(p->base);
	close(p->fd);
	return 0;
}

/* Send a request; the router's end takes it. Return: its number. */
static uint32_t ask(struct place *p, uint8_t type)
{
	struct session_request *q = session_request(&p->host, type);
	uint32_t seq = q->seq;
	uint8_t buf[2048];
	socklen_t len = sizeof(p->at);

	assert_int_equal(session_send(q, on_answer), 0);
	assert_true(recvfrom(p->fd, buf, sizeof(buf), 0, (struct sockaddr *)&p->at, &len) > 0);
	return seq;
}

/* A message of the router, and what the host does with it. */
static void say(struct place *p, uint8_t type, uint32_t seq)
{
	struct sf_ctrl_out o;
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	uint64_t before = p->host.received;
	int len;

	sf_session_begin(&p->router, &o, buf, sizeof(buf), type, seq);
	len = sf_session_seal(&p->router, &o);
	assert_true(len > 0);
	assert_int_equal(
		sendto(p->fd, buf, (size_t)len, 0, (struct sockaddr *)&p->at, sizeof(p->at)), len);
	while (p->host.received == before)
		event_base_loop(p->base, EVLOOP_ONCE);
}

static void test_answer_of_another_type(void **state)
{
	static const uint8_t pairs[][2] = { { SF_CTRL_REGISTER, SF_CTRL_REGISTERED },
					    { SF_CTRL_UNREGISTER, SF_CTRL_UNREGISTERED },
					    { SF_CTRL_HEARTBEAT, SF_CTRL_ALIVE },
					    { SF_CTRL_LOOKUP, SF_CTRL_FOUND } };
	static const uint8_t others[] = { SF_CTRL_LEFT, SF_CTRL_REFRESH, SF_CTRL_JOINED };
	const size_t n = sizeof(pairs) / sizeof(pairs[0]);
	struct place *p = *state;

	for (size_t i = 0; i < n; i++) {
		uint32_t seq = ask(p, pairs[i][0]);
		int answered = p->answered;

		for (size_t j = 0; j < n; j++)
			if (j != i)
				say(p, pairs[j][1], seq);
		for (size_t j = 0; j < sizeof(others); j++)
			say(p, others[j], seq);
		assert_int_equal(p->answered, answered);
		assert_non_null(p->host.pending);
		assert_int_equal(p->host.bad, (i + 1) * (n - 1 + sizeof(others)));
		say(p, pairs[i][1], seq);
		assert_int_equal(p->answered, answered + 1);
		assert_int_equal(p->last, pairs[i][1]);
		assert_null(p->host.pending);
	}
	assert_int_equal(p->rooms, n);
}

static void test_denied_answers_all(void **state)
{
	static const uint8_t types[] = { SF_CTRL_REGISTER, SF_CTRL_UNREGISTER, SF_CTRL_HEARTBEAT,
					 SF_CTRL_LOOKUP };
	struct place *p = *state;

	for (size_t i = 0; i < sizeof(types); i++)
		say(p, SF_CTRL_DENIED, ask(p, types[i]));
	assert_int_equal(p->answered, sizeof(types));
	assert_null(p->host.pending);
}

static void test_replay_is_no_life(void **state)
{
	struct place *p = *state;
	uint32_t seq = ask(p, SF_CTRL_HEARTBEAT);

	p->host.answered_ms = 0;
	say(p, SF_CTRL_ALIVE, seq);
	assert_true(p->host.answered_ms > 0);
	p->host.answered_ms = 0;
	say(p, SF_CTRL_ALIVE, seq);
	assert_int_equal(p->host.answered_ms, 0);

	say(p, SF_CTRL_REGISTERED, SF_SESSION_UNSOLICITED + 1);
	assert_int_equal(p->unasked, 1);
	assert_true(p->host.answered_ms > 0);
	p->host.answered_ms = 0;
	say(p, SF_CTRL_REGISTERED, SF_SESSION_UNSOLICITED + 1);
	assert_int_equal(p->unasked, 1);
	assert_int_equal(p->host.answered_ms, 0);
}

/* A router that does not answer is lost; who does not answer a question that it passes on is not.
 */
static void test_questions_are_given_up(void **state)
{
	struct place *p = *state;
	uint32_t seq;

	ask(p, SF_CTRL_LOOKUP);
	seq = ask(p, SF_CTRL_HEARTBEAT);
	while (!p->losses || p->host.pending->seq != seq)
		event_base_loop(p->base, EVLOOP_ONCE);
	assert_int_equal(p->losses, 1);
	assert_null(p->host.pending->next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answer_of_another_type, setup, teardown),
		cmocka_unit_test_setup_teardown(test_denied_answers_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replay_is_no_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_questions_are_given_up, setup, teardown),
	};

	return cmocka_run_group_tests_name("agent_session", tests, NULL, NULL);
}
