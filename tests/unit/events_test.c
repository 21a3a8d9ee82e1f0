// SPDX-License-Identifier: Apache-2.0
/* events_test.c - util/events.h: the ring, what of it is given to whom, and followers that lag,
 * leave or return. */
#include "util/events.h"

#include <event2/event.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/http.h"

#define KEPT	8
#define BACKLOG 65536 /* bytes that a follower may leave unread */

static char dir[] = "/tmp/sf-events-test-XXXXXX", path[64], err[256];
static struct event_base *base;
static struct sf_events *log_;
static struct sf_http *http;

static int get_events(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return sf_events_get(log_, req, reply);
}

static const struct sf_http_route routes[] = { { "GET", "/v1/events", get_events, NULL }, { 0 } };

static int setup(void **state)
{
	const struct sf_http_limits limits = { .backlog = BACKLOG };

	if (!base) {
		assert_non_null(mkdtemp(dir));
		snprintf(path, sizeof(path), "%s/sock", dir);
		base = event_base_new();
	}
	alarm(30);
	assert_int_equal(sf_events_new(KEPT, &log_), 0);
	assert_int_equal(sf_http_new(base, routes, &limits, NULL, &http, err, sizeof(err)), 0);
	return sf_http_listen_unix(http, path, 0600, NULL, err, sizeof(err));
}

static int teardown(void **state)
{
	sf_events_free(log_);
	sf_http_free(http);
	return 0;
}

static int group_teardown(void **state)
{
	event_base_free(base);
	return rmdir(dir);
}

static void add(unsigned int n)
{
	struct sf_event e = { .kind = "tick", .host_name = "h1" };

	while (n--)
		sf_events_add(log_, &e, "again");
}

/* ---- a client, and turns of the loop meanwhile -------------------------------------------- */

static int ask(const char *query)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[128];

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	snprintf(request, sizeof(request), "GET /v1/events?%s HTTP/1.1\r\nHost: x\r\n\r\n", query);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	return fd;
}

static void turn(void)
{
	for (int i = 0; i < 20; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		poll(NULL, 0, 1);
	}
}

static char heard[1 << 20];

/* Reads until @stop stands in what was heard; NULL: until the server ends the connection. */
static void hear(int fd, const char *stop)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	heard[0] = '\0';
	while (!stop || !strstr(heard, stop)) {
		ssize_t n;

		while (poll(&p, 1, 0) != 1)
			turn();
		n = recv(fd, heard + len, sizeof(heard) - 1 - len, 0);
		if (n <= 0 && stop)
			fail_msg("ended before \"%s\": %s", stop, heard);
		if (n <= 0)
			return;
		len += (size_t)n;
		heard[len] = '\0';
	}
}

/* The ids in what was heard, as "1,2,3". */
static const char *ids(void)
{
	static char list[sizeof(heard)];
	size_t len = 0;

	list[0] = '\0';
	for (const char *p = heard; (p = strstr(p, "\"id\":")); p += 5) {
		while (p[5] == ' ')
			p++;
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%lu", len ? "," : "",
					strtoul(p + 5, NULL, 10));
	}
	return list;
}

/* What an ordinary request gets. */
static const char *listed(const char *query)
{
	int fd = ask(query);

	hear(fd, "\"last\"");
	close(fd);
	turn();
	return ids();
}

/* ---- the ring --------------------------------------------------------------------------- */

static void test_list(void **state)
{
	assert_string_equal(listed(""), "");
	add(3);
	assert_string_equal(listed(""), "1,2,3");
	assert_non_null(strstr(heard, "\"kind\":\"tick\""));
	assert_non_null(strstr(heard, "\"host_name\":\"h1\""));
	assert_non_null(strstr(heard, "\"last\":3"));
	assert_string_equal(listed("since=2"), "3");
	assert_string_equal(listed("since=3"), "");
	assert_string_equal(listed("since=4000000000"), "");
	assert_string_equal(listed("limit=2"), "2,3"); /* the newest */
	assert_string_equal(listed("limit=0"), "");
}

static void test_overflow(void **state)
{
	add(KEPT);
	assert_string_equal(listed(""), "1,2,3,4,5,6,7,8");
	add(1);
	assert_string_equal(listed(""), "2,3,4,5,6,7,8,9");
	assert_string_equal(listed("since=0&limit=3"), "7,8,9");
	add(3 * KEPT);
	assert_string_equal(listed(""), "26,27,28,29,30,31,32,33");
	assert_string_equal(listed("since=1"), "26,27,28,29,30,31,32,33");
	assert_string_equal(listed("since=31"), "32,33");
	assert_non_null(strstr(heard, "\"last\":33"));
}

/* What is too long is cut, and what others wrote into it stays out of the next record. */
static void test_long_text(void **state)
{
	char name[200];
	struct sf_event e = { .kind = "tick", .host_name = name, .link = name };

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	sf_events_add(log_, &e, "%s%s", name, name);
	assert_string_equal(listed(""), "1");
	name[63] = '\0';
	assert_non_null(strstr(heard, name));
	name[63] = 'x';
	name[64] = '\0';
	snprintf(err, sizeof(err), "\"host_name\":\"%s\"", name);
	assert_null(strstr(heard, err));
	add(KEPT);
	listed("");
	assert_null(strstr(heard, "xx"));
}

/* ---- followers -------------------------------------------------------------------------- */

static void test_follow(void **state)
{
	int one, two;

	add(3);
	one = ask("follow=1&since=1");
	hear(one, "\"id\":3");
	two = ask("follow=1&limit=0");
	turn();
	add(2);
	hear(one, "\"id\":5");
	assert_string_equal(ids(), "4,5");
	hear(two, "\"id\":5");
	assert_string_equal(ids(), "4,5");
	/* One leaves; the other goes on. */
	close(one);
	turn();
	add(1);
	hear(two, "\"id\":6");
	assert_string_equal(ids(), "6");
	/* And ends with the log. */
	sf_events_free(log_);
	log_ = NULL;
	hear(two, "0\r\n\r\n"); /* the last chunk */
	close(two);
}

/* Who comes back asks for what follows the last that it has: all of it, once, as far as it is kept.
 */
static void test_resume(void **state)
{
	int fd = ask("follow=1");

	turn();
	add(2);
	hear(fd, "\"id\":2");
	close(fd);
	turn();
	add(3);
	fd = ask("follow=1&since=2");
	hear(fd, "\"id\":5");
	assert_string_equal(ids(), "3,4,5");
	add(1);
	hear(fd, "\"id\":6");
	assert_string_equal(ids(), "6");
	close(fd);
	turn();
	add(2 * KEPT);
	fd = ask("follow=1&since=6");
	hear(fd, "\"id\":22");
	assert_string_equal(ids(), "15,16,17,18,19,20,21,22"); /* a gap that it can see */
	close(fd);
}

/* Who does not read is cut off, in the order in which it was told; others hear all meanwhile. */
static void test_slow(void **state)
{
	int slow = ask("follow=1"), quick = ask("follow=1"), n = 0;
	struct pollfd ended = { .fd = slow, .events = POLLRDHUP };
	char last[32];

	turn();
	while (poll(&ended, 1, 0) != 1 || !(ended.revents & (POLLRDHUP | POLLHUP))) {
		add(50);
		n += 50;
		snprintf(last, sizeof(last), "\"id\":%d,", n);
		hear(quick, last);
		assert_true(n < 100000);
	}
	hear(slow, NULL);
	assert_int_equal(strncmp(ids(), "1,2,3,4,5,6,7,8,9,10,", 21), 0);
	close(slow);
	add(1);
	snprintf(last, sizeof(last), "\"id\":%d,", n + 1);
	hear(quick, last);
	close(quick);
	turn();
}

static void test_too_many(void **state)
{
	int fd[64], more;

	for (size_t i = 0; i < 64; i++)
		fd[i] = ask("follow=1");
	turn();
	more = ask("follow=1");
	hear(more, "too many followers");
	assert_non_null(strstr(heard, " 503 "));
	close(more);
	close(fd[7]);
	turn();
	fd[7] = ask("follow=1");
	turn();
	add(1);
	for (size_t i = 0; i < 64; i++) {
		hear(fd[i], "\"id\":1");
		close(fd[i]);
	}
	turn();
}

static void test_bad_query(void **state)
{
	static const char *const bad[] = { "since=x", "limit=10001", "limit=-1", "follow=2" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = ask(bad[i]);

		hear(fd, "\"error\"");
		assert_non_null(strstr(heard, " 400 "));
		close(fd);
	}
	turn();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_list),   TEST(test_overflow), TEST(test_long_text), TEST(test_follow),
		TEST(test_resume), TEST(test_slow),	TEST(test_too_many),  TEST(test_bad_query),
	};

	return cmocka_run_group_tests(tests, NULL, group_teardown);
}
