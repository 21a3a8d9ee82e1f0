// SPDX-License-Identifier: Apache-2.0
/*
 * http_test.c: util/http.h and util/listen.h, with raw sockets as clients in the server's own loop.
 * TLS and tokens are tested in httpc_test.c, with a real client.
 */
#include "util/http.h"

#include <errno.h>
#include <grp.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char tmp[] = "/tmp/sf-http-test-XXXXXX";
static char path[64], err[512], out[1 << 20];
static struct event_base *base;
static struct sf_http *http;

/* ---- the server's side ------------------------------------------------------------------ */

static struct sf_http_req *held; /* by the deferring handlers */
static int gone;

static void note_gone(struct sf_http_req *req, void *ctx)
{
	assert_ptr_equal(ctx, &gone);
	gone++;
}

static void end_gone(struct sf_http_req *req, void *ctx)
{
	gone++;
	assert_int_equal(sf_http_reply(req, 200, NULL), -EPIPE);
	held = NULL;
}

/* A local connection can be asked for more, and was accepted before now. */
static void check_local(const struct sf_http_peer *peer)
{
	struct timespec now;
	struct ucred cred;
	socklen_t len = sizeof(cred);

	assert_int_equal(getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len), 0);
	assert_int_equal(cred.pid, peer->pid);
	clock_gettime(CLOCK_BOOTTIME, &now);
	assert_true(peer->since_ns > 0);
	assert_true(peer->since_ns <= (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
}

static int get_thing(struct sf_http_req *req, json_t **reply, void *ctx)
{
	const char *colour = sf_http_query(req, "colour");

	assert_string_equal(ctx, "context");
	if (sf_http_peer(req)->local)
		check_local(sf_http_peer(req));
	*reply = json_pack("{s:s, s:s*, s:i, s:b}", "name", sf_http_param(req, "name"), "colour",
			   colour, "uid", (int)sf_http_peer(req)->uid, "local",
			   sf_http_peer(req)->local);
	assert_null(sf_http_param(req, "absent"));
	return 200;
}

static int get_special(struct sf_http_req *req, json_t **reply, void *ctx)
{
	*reply = json_pack("{s:s}", "special", "yes");
	return 200;
}

static int put_thing(struct sf_http_req *req, json_t **reply, void *ctx)
{
	json_t *weight = json_object_get(sf_http_body(req), "weight");

	if (!json_is_integer(weight))
		return sf_http_fail(reply, 400, "no weight", "weight", "an integer");
	*reply = json_pack("{s:O}", "weight", weight);
	return 201;
}

static int get_text(struct sf_http_req *req, json_t **reply, void *ctx)
{
	sf_http_reply_text(req, 200, "text/plain; version=0.0.4", "up 1\n", 5);
	return SF_HTTP_LATER;
}

static int get_later(struct sf_http_req *req, json_t **reply, void *ctx)
{
	assert_null(held);
	held = req;
	sf_http_on_gone(req, sf_http_query(req, "end") ? end_gone : note_gone, &gone);
	return SF_HTTP_LATER;
}

static int get_stream(struct sf_http_req *req, json_t **reply, void *ctx)
{
	assert_int_equal(sf_http_stream_start(req), 0);
	return get_later(req, reply, ctx);
}

static int get_empty(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return 202;
}

static int get_not_utf8(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return sf_http_fail(reply, 400, "bad \xff name", NULL, NULL);
}

static const struct sf_http_route routes[] = {
	{ "GET", "/v1/things/{name}", get_thing, "One thing." },
	{ "PUT", "/v1/things/{name}", put_thing, "Change it." },
	{ "GET", "/v1/things/special", get_special, "Not a name." },
	{ "GET", "/metrics", get_text, "Metrics." },
	{ "GET", "/v1/later", get_later, NULL },
	{ "GET", "/v1/stream", get_stream, NULL },
	{ "GET", "/v1/empty", get_empty, NULL },
	{ "GET", "/v1/notutf8", get_not_utf8, NULL },
	{ 0 },
};

static const struct sf_http_limits limits = { .body = 4096, .headers = 2048, .backlog = 100000 };

static void start(void)
{
	assert_int_equal(sf_http_new(base, routes, &limits, (void *)(uintptr_t) "context", &http,
				     err, sizeof(err)),
			 0);
	assert_int_equal(sf_http_listen_unix(http, path, 0600, NULL, err, sizeof(err)), 0);
	held = NULL;
	gone = 0;
}

static int setup(void **state)
{
	start();
	return 0;
}

static int teardown(void **state)
{
	sf_http_free(http);
	http = NULL;
	return 0;
}

/* ---- the client's side ------------------------------------------------------------------ */

static int dial(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Turns of the loop until @until holds. A test that hangs is ended by the alarm. */
#define TURN_UNTIL(until)                                       \
	do {                                                    \
		while (!(until)) {                              \
			event_base_loop(base, EVLOOP_NONBLOCK); \
			poll(NULL, 0, 1);                       \
		}                                               \
	} while (0)

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* Reads what is there until @stop appears (NULL: the end of the connection). */
static void hear(int fd, const char *stop)
{
	size_t len = 0;
	ssize_t n;

	out[0] = '\0';
	while (!stop || !strstr(out, stop)) {
		TURN_UNTIL(readable(fd));
		n = recv(fd, out + len, sizeof(out) - 1 - len, 0);
		if (n <= 0) {
			if (stop)
				fail_msg("connection ended before \"%s\": %s", stop, out);
			break;
		}
		len += (size_t)n;
		out[len] = '\0';
	}
}

static const char *ask(const char *request, const char *body)
{
	static char text[65536];
	int fd = dial();

	snprintf(text, sizeof(text),
		 "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
		 request, strlen(body), body);
	say(fd, text);
	hear(fd, NULL);
	close(fd);
	return out;
}

static void assert_says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in: %s", part, text);
}

/* ---- requests --------------------------------------------------------------------------- */

static void test_routes(void **state)
{
	char uid[32];

	ask("GET /v1/things/a%20b?colour=dark%20red&x=1", "");
	assert_says(out, "HTTP/1.1 200 OK\r\n");
	assert_says(out, "Content-Type: application/json\r\n");
	assert_says(out, "\"name\":\"a b\"");
	assert_says(out, "\"colour\":\"dark red\"");
	assert_says(out, "\"local\":true");
	snprintf(uid, sizeof(uid), "\"uid\":%d,", (int)getuid());
	assert_says(out, uid);
	assert_says(ask("GET /v1/things/special", ""), "{\"special\":\"yes\"}");
	assert_says(ask("GET /v1/things/specials", ""), "\"name\":\"specials\"");
	assert_says(ask("GET /v1/things/a%2Fb", ""), "\"name\":\"a/b\"");
	assert_says(ask("PUT /v1/things/x", "{\"weight\": 7}"), "201 Created");
	assert_says(out, "{\"weight\":7}");
	assert_says(ask("GET /metrics", ""), "text/plain; version=0.0.4");
	assert_says(out, "\r\n\r\nup 1\n");
	assert_says(ask("GET /v1/empty", ""), "202 Accepted");
	assert_says(out, "\r\n\r\n{}\n");
	assert_says(ask("GET /v1/routes", ""),
		    "{\"method\":\"PUT\",\"path\":\"/v1/things/{name}\",\"help\":\"Change it.\"}");
}

static void test_refusals(void **state)
{
	assert_says(ask("GET /nowhere", ""), "404 Not Found");
	assert_says(out, "{\"error\":{\"what\":\"no such path\",\"where\":\"/nowhere\",");
	assert_says(ask("GET /v1/things/", ""), "404");
	assert_says(ask("GET /v1/things", ""), "404");
	assert_says(ask("GET /v1/things/a/b", ""), "404");
	assert_says(ask("GET /a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", ""), "400");
	assert_says(ask("GET /v1/things/a%00b", ""), "malformed path");
	assert_says(ask("DELETE /v1/things/x", ""), "405 Method");
	assert_says(out, "Allow: GET, PUT\r\n");
	assert_says(ask("OPTIONS /v1/things/x", ""), "405 Method");
	assert_says(ask("PUT /v1/things/x", "{}"),
		    "{\"error\":{\"what\":\"no weight\",\"where\":\"weight\",\"expected\":\"an "
		    "integer\"}}");
	assert_says(ask("PUT /v1/things/x", ""), "no weight");
	assert_says(ask("PUT /v1/things/x", "{\"weight\": 1,\n \"x\" }"), "400 Bad Request");
	assert_says(out, "malformed JSON");
	assert_says(out, "line 2");
	assert_says(ask("PUT /v1/things/x", "{\"weight\":1,\"weight\":2}"), "malformed JSON");
	assert_says(ask("PUT /v1/things/x", "7"), "malformed JSON");
	assert_says(ask("GET /v1/notutf8", ""), "not UTF-8");
	assert_says(ask("NONSENSE /", ""), "HTTP/1.1 501");
}

static void test_broken_http(void **state)
{
	static char big[8000];
	int fd = dial();

	say(fd, "this is no HTTP\r\n\r\n");
	hear(fd, NULL);
	close(fd);
	memset(big, 'x', sizeof(big) - 1);
	assert_says(ask("PUT /v1/things/x", big), "413");
	fd = dial();
	say(fd, "GET / HTTP/1.1\r\nX: ");
	say(fd, big);
	say(fd, "\r\n\r\n");
	hear(fd, NULL);
	close(fd);
	/* It goes on serving. */
	assert_says(ask("GET /metrics", ""), "up 1");
}

static void test_keep_alive(void **state)
{
	int fd = dial();

	for (int i = 0; i < 3; i++) {
		say(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
		hear(fd, "up 1\n");
	}
	/* Two at once. */
	say(fd, "GET /v1/things/one HTTP/1.1\r\nHost: x\r\n\r\n"
		"GET /v1/things/two HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	hear(fd, NULL);
	assert_says(out, "\"one\"");
	assert_says(out, "\"two\"");
	close(fd);
}

/* Neither half a request nor none keeps others from being served. */
static void test_slow_clients(void **state)
{
	int idle = dial(), half = dial();

	say(half, "PUT /v1/things/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"wei");
	for (int i = 0; i < 5; i++)
		assert_says(ask("GET /metrics", ""), "up 1");
	close(half);
	close(idle);
	assert_says(ask("GET /metrics", ""), "up 1");
}

/* ---- deferred replies ------------------------------------------------------------------- */

static void test_deferred(void **state)
{
	int fd = dial();

	say(fd, "GET /v1/later HTTP/1.1\r\nHost: x\r\n\r\n");
	TURN_UNTIL(held);
	assert_says(ask("GET /metrics", ""), "up 1"); /* others meanwhile */
	/* The next request may come before the answer. */
	say(fd, "GET /v1/things/next HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_false(readable(fd));
	assert_int_equal(sf_http_reply(held, 200, json_pack("{s:i}", "answer", 42)), 0);
	hear(fd, "\"next\"");
	assert_says(out, "{\"answer\":42}");
	assert_int_equal(gone, 0);
	close(fd);
}

static void test_deferred_gone(void **state)
{
	int fd = dial();

	say(fd, "GET /v1/later HTTP/1.1\r\nHost: x\r\n\r\n");
	TURN_UNTIL(held);
	close(fd);
	TURN_UNTIL(gone);
	assert_int_equal(gone, 1);
	assert_int_equal(sf_http_reply(held, 200, json_pack("{s:i}", "answer", 42)), -EPIPE);

	/* The owner ends it when told. */
	held = NULL;
	fd = dial();
	say(fd, "GET /v1/later?end=1 HTTP/1.1\r\nHost: x\r\n\r\n");
	TURN_UNTIL(held);
	close(fd);
	TURN_UNTIL(gone == 2);
	assert_null(held);
}

static void test_server_gone(void **state)
{
	struct sf_http_req *first;
	int one = dial(), two = dial();

	say(one, "GET /v1/later HTTP/1.1\r\nHost: x\r\n\r\n");
	TURN_UNTIL(held);
	first = held;
	held = NULL;
	say(two, "GET /v1/later HTTP/1.1\r\nHost: x\r\n\r\n");
	TURN_UNTIL(held);
	close(two); /* gone before the server goes */
	TURN_UNTIL(gone == 1);
	sf_http_free(http);
	http = NULL;
	assert_int_equal(gone, 2);
	assert_int_equal(sf_http_reply(first, 200, NULL), -EPIPE);
	assert_int_equal(sf_http_reply_text(held, 200, NULL, "x", 1), -EPIPE);
	close(one);
}

/* ---- streams ---------------------------------------------------------------------------- */

static void test_stream(void **state)
{
	json_t *line = json_pack("{s:s}", "event", "joined");
	int fd = dial();

	say(fd, "GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n");
	TURN_UNTIL(held);
	hear(fd, "\r\n\r\n");
	assert_says(out, "application/x-ndjson");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sf_http_stream_send(held, line), 0);
		hear(fd, "{\"event\":\"joined\"}\n");
	}
	sf_http_stream_end(held);
	hear(fd, "0\r\n\r\n");
	/* The connection is good for another request. */
	say(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(fd, "up 1\n");
	close(fd);
	json_decref(line);
}

static void test_stream_gone(void **state)
{
	json_t *line = json_pack("{s:s}", "event", "joined");
	int fd = dial();

	say(fd, "GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n");
	TURN_UNTIL(held);
	hear(fd, "\r\n\r\n");
	assert_int_equal(sf_http_stream_send(held, line), 0);
	close(fd);
	TURN_UNTIL(gone);
	assert_int_equal(sf_http_stream_send(held, line), -EPIPE);
	sf_http_stream_end(held);
	json_decref(line);
}

/* A follower that does not read is cut off at the limit, and nobody waits for it. */
static void test_stream_slow(void **state)
{
	json_t *line = json_pack("{s:s%}", "event", memset(out, 'x', 9000), (size_t)9000);
	int fd = dial(), rc = 0, sent = 0;

	say(fd, "GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n");
	TURN_UNTIL(held);
	while (!rc) {
		rc = sf_http_stream_send(held, line);
		event_base_loop(base, EVLOOP_NONBLOCK);
		assert_true(++sent < 10000);
	}
	assert_int_equal(rc, -ENOBUFS);
	assert_int_equal(sf_http_stream_send(held, line), -EPIPE);
	assert_says(ask("GET /metrics", ""), "up 1");
	TURN_UNTIL(gone);
	assert_int_equal(sf_http_stream_send(held, line), -EPIPE);
	sf_http_stream_end(held);
	close(fd);

	/* The same, ended by its owner at once. */
	held = NULL;
	fd = dial();
	say(fd, "GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n");
	TURN_UNTIL(held);
	while (!sf_http_stream_send(held, line))
		;
	sf_http_stream_end(held);
	hear(fd, NULL);
	assert_int_equal(gone, 1);
	close(fd);
	json_decref(line);
}

/* ---- listening -------------------------------------------------------------------------- */

static void test_bad_routes(void **state)
{
	static const struct {
		struct sf_http_route routes[3];
		const char *says;
	} bad[] = {
		{ { { "TRACE", "/x", get_empty, NULL } }, "method" },
		{ { { "GET", "x", get_empty, NULL } }, "slash" },
		{ { { "GET", "/x//y", get_empty, NULL } }, "segments" },
		{ { { "GET", "/x/{}", get_empty, NULL } }, "segments" },
		{ { { "GET", "/x/{y", get_empty, NULL } }, "segments" },
		{ { { "GET", "/x", NULL, NULL } }, "handler" },
		{ { { "GET", "/x/{a}", get_empty, NULL }, { "GET", "/x/{b}", get_empty, NULL } },
		  "twice" },
	};
	struct sf_http *server = NULL;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
			sf_http_new(base, bad[i].routes, NULL, NULL, &server, err, sizeof(err)),
			-EINVAL);
		assert_says(err, bad[i].says);
		assert_null(server);
	}
}

static void test_socket_file(void **state)
{
	struct sf_http *other;
	char name[64], name2[160];
	struct stat st;
	FILE *f;

	assert_int_equal(sf_http_new(base, routes, NULL, NULL, &other, err, sizeof(err)), 0);
	/* A live one. */
	assert_int_equal(sf_http_listen_unix(other, path, 0600, NULL, err, sizeof(err)),
			 -EADDRINUSE);
	assert_says(err, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Something that is no socket. */
	snprintf(name, sizeof(name), "%s/file", tmp);
	f = fopen(name, "w");
	fclose(f);
	assert_int_equal(sf_http_listen_unix(other, name, 0600, NULL, err, sizeof(err)), -EEXIST);
	assert_int_equal(stat(name, &st), 0);
	snprintf(name, sizeof(name), "%s/none/sock", tmp);
	assert_int_equal(sf_http_listen_unix(other, name, 0600, NULL, err, sizeof(err)), -ENOENT);
	memset(name2, 'x', sizeof(name2) - 1);
	name2[sizeof(name2) - 1] = '\0';
	assert_int_equal(sf_http_listen_unix(other, name2, 0600, NULL, err, sizeof(err)),
			 -ENAMETOOLONG);
	assert_int_equal(sf_http_listen_unix(other, "", 0600, NULL, err, sizeof(err)), -EINVAL);
	snprintf(name, sizeof(name), "%s/sock2", tmp);
	assert_int_equal(sf_http_listen_unix(other, name, 0600, "no-such-group", err, sizeof(err)),
			 -EINVAL);
	assert_says(err, "no-such-group");
	/* The default alone need not exist. */
	assert_null(sf_http_group(""));
	assert_string_equal(sf_http_group("no-such-group"), "no-such-group");
	assert_int_equal(sf_http_group(SF_SOCKET_GROUP) != NULL,
			 getgrnam(SF_SOCKET_GROUP) != NULL && !geteuid());
	assert_int_equal(sf_http_listen_unix(other, name, 0660, NULL, err, sizeof(err)), 0);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	sf_http_free(other);
	assert_int_equal(stat(name, &st), -1);
}

/* A process is killed; its socket file stays behind. */
static void test_stale_socket(void **state)
{
	struct stat before, after;
	int fd, status;
	pid_t pid;

	sf_http_free(http);
	http = NULL;
	pid = fork();
	if (!pid) {
		struct sockaddr_un sun = { .sun_family = AF_UNIX };

		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
		if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) || listen(fd, 1))
			_exit(1);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(stat(path, &before), 0);
	start();
	assert_says(ask("GET /metrics", ""), "up 1");
	/* Another takes the name over: it is not ours to remove any more. */
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(stat(path, &before), 0);
	sf_http_free(http);
	http = NULL;
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(unlink(path), 0);
}

static void test_tcp_needs(void **state)
{
	void *tls = &gone; /* not used before the address and the token are right */

	assert_int_equal(
		sf_http_listen_tcp(http, "[::1]:0", NULL, "0123456789abcdef", err, sizeof(err)),
		-EINVAL);
	assert_says(err, "TLS");
	assert_int_equal(sf_http_listen_tcp(http, "[::1]:0", tls, NULL, err, sizeof(err)), -EINVAL);
	assert_int_equal(sf_http_listen_tcp(http, "[::1]:0", tls, "short", err, sizeof(err)),
			 -EINVAL);
	assert_says(err, "token");
	static const char *const addresses[] = { "",	    "::1",	   "::1:80",
						 "[::1]",   "1.2.3.4",	   "1.2.3:80",
						 "[::1]:x", "[::1]:99999", "host:80" };
	for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		assert_int_equal(sf_http_listen_tcp(http, addresses[i], tls, "0123456789abcdef",
						    err, sizeof(err)),
				 -EINVAL);
		assert_says(err, "expected [IPv6]:port");
	}
	assert_int_equal(sf_http_port(http), 0);
}

/* Without descriptors the listener rests; with them it serves again. */
static void test_no_descriptors(void **state)
{
	struct rlimit before, few;
	int fd = dial(), probe = dup(0);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = (rlim_t)probe;
	close(probe);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	say(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	for (int i = 0; i < 100; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_false(readable(fd));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	hear(fd, "up 1\n");
	close(fd);
	/* Freed while it rests. */
	fd = dial();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int i = 0; i < 100; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	sf_http_free(http);
	http = NULL;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(fd);
	for (int i = 0; i < 400; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		poll(NULL, 0, 1);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_routes),	   TEST(test_refusals),	    TEST(test_broken_http),
		TEST(test_keep_alive),	   TEST(test_slow_clients), TEST(test_deferred),
		TEST(test_deferred_gone),  TEST(test_server_gone),  TEST(test_stream),
		TEST(test_stream_gone),	   TEST(test_stream_slow),  TEST(test_bad_routes),
		TEST(test_socket_file),	   TEST(test_stale_socket), TEST(test_tcp_needs),
		TEST(test_no_descriptors),
	};
	int rc;

	alarm(50);
	if (!mkdtemp(tmp))
		return 1;
	snprintf(path, sizeof(path), "%s/sock", tmp);
	base = event_base_new();
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	event_base_free(base);
	snprintf(err, sizeof(err), "rm -r %s", tmp);
	return system(err) ? 1 : rc;
}
