// SPDX-License-Identifier: Apache-2.0
/*
 * httpc_test.c: util/httpc.h against the real server (http.h) in a process of its own, by Unix
 * socket and by TLS, and against a server that answers nonsense.
 */
#include "util/httpc.h"

#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/pki.h"
#include "util/crypto.h"
#include "util/http.h"

#define TOKEN "correct-horse-battery"

static char tmp[] = "/tmp/sf-httpc-test-XXXXXX";
static char local[80], remote[80], err[512];
static pid_t server;

static char *at(const char *name)
{
	static char path[6][128];
	static unsigned n;

	n = (n + 1) % 6;
	snprintf(path[n], sizeof(path[n]), "%s/%s", tmp, name);
	return path[n];
}

/* ---- the server ------------------------------------------------------------------------- */

static int echo(struct sf_http_req *req, const char *method, json_t **reply)
{
	const char *name = sf_http_param(req, "name");

	*reply = json_pack("{s:s*, s:s, s:O?, s:b, s:s}", "name", name, "method", method, "body",
			   sf_http_body(req), "local", sf_http_peer(req)->local, "peer",
			   sf_http_peer(req)->address);
	return 200;
}

#define ECHO(method)                                                                 \
	static int echo_##method(struct sf_http_req *req, json_t **reply, void *ctx) \
	{                                                                            \
		return echo(req, #method, reply);                                    \
	}
ECHO(GET)
ECHO(PUT)
ECHO(POST)
ECHO(DELETE)

static int status(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return sf_http_fail(reply, atoi(sf_http_param(req, "code")), "refused", "thing", "another");
}

static int never(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return SF_HTTP_LATER;
}

static int text(struct sf_http_req *req, json_t **reply, void *ctx)
{
	sf_http_reply_text(req, 200, NULL, "up 1\n", 5);
	return SF_HTTP_LATER;
}

static int count(struct sf_http_req *req, json_t **reply, void *ctx)
{
	sf_http_stream_start(req);
	for (int i = 0; i < 1000; i++) {
		json_t *line = json_pack("{s:i}", "n", i);

		sf_http_stream_send(req, line);
		json_decref(line);
	}
	sf_http_stream_end(req);
	return SF_HTTP_LATER;
}

static const struct sf_http_route routes[] = {
	{ "GET", "/v1/echo/{name}", echo_GET, NULL },
	{ "PUT", "/v1/echo/{name}", echo_PUT, NULL },
	{ "POST", "/v1/echo/{name}", echo_POST, NULL },
	{ "DELETE", "/v1/echo/{name}", echo_DELETE, NULL },
	{ "GET", "/v1/status/{code}", status, NULL },
	{ "GET", "/v1/never", never, NULL },
	{ "GET", "/metrics", text, NULL },
	{ "GET", "/v1/count", count, NULL },
	{ 0 },
};

static void serve(int report)
{
	struct event_base *base = event_base_new();
	struct sf_tls_files files = { .cert = at("a.crt"), .key = at("a.key") };
	struct sf_http *http;
	uint16_t port;
	SSL_CTX *tls;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sf_http_new(base, routes, NULL, NULL, &http, err, sizeof(err)) ||
	    sf_http_listen_unix(http, at("sock"), 0600, NULL, err, sizeof(err)) ||
	    sf_tls_server(&files, &tls, err, sizeof(err)) ||
	    sf_http_listen_tcp(http, "[::1]:0", tls, TOKEN, err, sizeof(err))) {
		fprintf(stderr, "server: %s\n", err);
		_exit(1);
	}
	port = sf_http_port(http);
	if (write(report, &port, sizeof(port)) != sizeof(port))
		_exit(1);
	event_base_dispatch(base);
	_exit(0);
}

static int setup(void **state)
{
	uint16_t port = 0;
	int ends[2];

	if (!mkdtemp(tmp) || pipe(ends))
		return -1;
	pki_make(tmp);
	server = fork();
	if (!server)
		serve(ends[1]);
	close(ends[1]);
	if (read(ends[0], &port, sizeof(port)) != sizeof(port))
		return -1;
	close(ends[0]);
	snprintf(local, sizeof(local), "unix:%s", at("sock"));
	snprintf(remote, sizeof(remote), "https://[::1]:%u", port);
	return 0;
}

static int teardown(void **state)
{
	char cmd[64];

	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	snprintf(cmd, sizeof(cmd), "rm -r %s", tmp);
	return system(cmd);
}

/* ---- by Unix socket --------------------------------------------------------------------- */

static struct sf_httpc *client_of(const struct sf_httpc_opts *opts)
{
	struct sf_httpc *client;

	if (sf_httpc_new(opts, &client, err, sizeof(err)))
		fail_msg("%s", err);
	return client;
}

static void check_echo(struct sf_httpc *client, const char *method, const json_t *body)
{
	const char *name, *seen;
	json_t *reply, *came;

	assert_int_equal(
		sf_httpc_call(client, method, "/v1/echo/a%20b", body, &reply, err, sizeof(err)), 0);
	assert_int_equal(json_unpack(reply, "{s:s, s:s, s:o}", "name", &name, "method", &seen,
				     "body", &came),
			 0);
	assert_string_equal(name, "a b");
	assert_string_equal(seen, method);
	assert_true(body ? json_equal(body, came) : json_is_null(came));
	json_decref(reply);
}

static void test_calls(void **state)
{
	struct sf_httpc *client = client_of(&(struct sf_httpc_opts){ .endpoint = local });
	json_t *body = json_pack("{s:[iii], s:s}", "list", 1, 2, 3, "text", "\xc3\xa4\n");

	/* In an order that would show what one call leaves behind for the next. */
	check_echo(client, "GET", NULL);
	check_echo(client, "PUT", body);
	check_echo(client, "DELETE", NULL);
	check_echo(client, "POST", body);
	check_echo(client, "GET", NULL);
	check_echo(client, "POST", NULL);
	assert_int_equal(sf_httpc_call(client, "GET", "/v1/echo/x", NULL, NULL, err, 512), 0);
	json_decref(body);
	sf_httpc_free(client);
	sf_httpc_free(NULL);
}

static void test_errors(void **state)
{
	static const struct {
		const char *path;
		int code;
	} cases[] = {
		{ "/v1/status/400", -EINVAL },	  { "/v1/status/401", -EACCES },
		{ "/v1/status/403", -EACCES },	  { "/v1/status/404", -ENOENT },
		{ "/v1/status/409", -EEXIST },	  { "/v1/status/413", -EMSGSIZE },
		{ "/v1/status/503", -EAGAIN },	  { "/v1/status/504", -ETIMEDOUT },
		{ "/v1/status/500", -EREMOTEIO },
	};
	struct sf_httpc *client = client_of(&(struct sf_httpc_opts){ .endpoint = local });
	json_t *reply = NULL;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			sf_httpc_call(client, "GET", cases[i].path, NULL, &reply, err, 512),
			cases[i].code);
		assert_string_equal(err, "refused: thing (expected another)");
		assert_null(reply);
	}
	assert_int_equal(sf_httpc_call(client, "PUT", "/metrics", NULL, NULL, err, 512),
			 -EOPNOTSUPP);
	assert_int_equal(sf_httpc_call(client, "GET", "/none", NULL, NULL, err, 512), -ENOENT);
	assert_non_null(strstr(err, "no such path: /none"));
	assert_int_equal(sf_httpc_call(client, "GET", "/metrics", NULL, &reply, err, 512), -EPROTO);
	assert_null(reply);
	assert_int_equal(sf_httpc_call(client, "GET", "no-slash", NULL, NULL, err, 512), -EINVAL);
	assert_int_equal(sf_httpc_call(client, "GET", "/a b", NULL, NULL, err, 512), -EINVAL);
	assert_int_equal(sf_httpc_call(client, "GET", "/a\r\nX: y", NULL, NULL, err, sizeof(err)),
			 -EINVAL);
	sf_httpc_free(client);
}

static void test_timeout(void **state)
{
	struct sf_httpc *client =
		client_of(&(struct sf_httpc_opts){ .endpoint = local, .timeout_ms = 100 });

	assert_int_equal(sf_httpc_call(client, "GET", "/v1/never", NULL, NULL, err, 512),
			 -ETIMEDOUT);
	check_echo(client, "GET", NULL);
	sf_httpc_free(client);
}

static int each(const json_t *line, void *ctx)
{
	int *next = ctx;

	assert_int_equal(json_integer_value(json_object_get(line, "n")), *next);
	++*next;
	return 0;
}

static int stop_at_3(const json_t *line, void *ctx)
{
	return ++*(int *)ctx == 3 ? 33 : 0;
}

static void test_stream(void **state)
{
	struct sf_httpc *client = client_of(&(struct sf_httpc_opts){ .endpoint = local });
	int n = 0;

	assert_int_equal(sf_httpc_stream(client, "/v1/count", each, &n, err, sizeof(err)), 0);
	assert_int_equal(n, 1000);
	n = 0;
	assert_int_equal(sf_httpc_stream(client, "/v1/count", stop_at_3, &n, err, 512), 33);
	assert_int_equal(n, 3);
	assert_int_equal(sf_httpc_stream(client, "/v1/status/404", each, &n, err, 512), -ENOENT);
	assert_string_equal(err, "refused: thing (expected another)");
	assert_int_equal(sf_httpc_stream(client, "/metrics", each, &n, err, 512), -EPROTO);
	sf_httpc_free(client);
}

static void test_nobody(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char endpoint[160];
	struct sf_httpc *client;
	int fd;

	snprintf(endpoint, sizeof(endpoint), "unix:%s", at("absent"));
	client = client_of(&(struct sf_httpc_opts){ .endpoint = endpoint });
	assert_int_equal(sf_httpc_call(client, "GET", "/", NULL, NULL, err, 512), -ECONNREFUSED);
	assert_non_null(strstr(err, "absent"));
	sf_httpc_free(client);
	/* A socket file whose server is dead. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", at("dead"));
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	snprintf(endpoint, sizeof(endpoint), "unix:%s", at("dead"));
	client = client_of(&(struct sf_httpc_opts){ .endpoint = endpoint });
	assert_int_equal(sf_httpc_call(client, "GET", "/", NULL, NULL, err, 512), -ECONNREFUSED);
	sf_httpc_free(client);
	client = client_of(&(struct sf_httpc_opts){ .endpoint = "https://[::1]:1" });
	assert_int_equal(sf_httpc_call(client, "GET", "/", NULL, NULL, err, 512), -ECONNREFUSED);
	sf_httpc_free(client);
}

/* Somebody else listens there, who answers @answer to all. */
static void nonsense(const char *answer, int code, int stream_code)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), n = 0;
	char endpoint[160];
	struct sf_httpc *client;
	pid_t pid;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", at("odd"));
	unlink(sun.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(fd, 5), 0);
	pid = fork();
	if (!pid) {
		char buf[4096];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			int one = accept(fd, NULL, NULL);

			if (recv(one, buf, sizeof(buf), 0) > 0)
				send(one, answer, strlen(answer), MSG_NOSIGNAL);
			close(one);
		}
	}
	close(fd);
	snprintf(endpoint, sizeof(endpoint), "unix:%s", at("odd"));
	client = client_of(&(struct sf_httpc_opts){ .endpoint = endpoint });
	err[0] = '\0';
	assert_int_equal(sf_httpc_call(client, "GET", "/", NULL, &(json_t *){ NULL }, err, 512),
			 code);
	assert_int_not_equal(err[0], '\0');
	assert_int_equal(sf_httpc_stream(client, "/", each, &n, err, 512), stream_code);
	sf_httpc_free(client);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_nonsense(void **state)
{
	nonsense("", -EIO, -EIO);
	nonsense("hello\r\n\r\n", -EIO, -EIO);
	nonsense("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":", -EIO, -EIO);
	nonsense("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"x\":", -EPROTO, -EPROTO);
	nonsense("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n7\n", -EPROTO, -EPROTO);
	nonsense("HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\n<no>", -ENOENT, -ENOENT);
	nonsense("HTTP/1.1 404 No\r\nContent-Length: 11\r\n\r\n{\"error\":1}", -ENOENT, -ENOENT);
}

static void test_bad_options(void **state)
{
	static const char *const endpoints[] = { "",	  "unix:",    "http://[::1]:80",
						 "/path", "https://", "ftp://x" };
	struct sf_httpc *client = NULL;

	for (unsigned i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
		assert_int_equal(sf_httpc_new(&(struct sf_httpc_opts){ .endpoint = endpoints[i] },
					      &client, err, sizeof(err)),
				 -EINVAL);
		assert_non_null(strstr(err, "expected unix:PATH"));
	}
	assert_int_equal(
		sf_httpc_new(&(struct sf_httpc_opts){ .endpoint = remote, .ca = at("none.crt") },
			     &client, err, sizeof(err)),
		-EINVAL);
	assert_non_null(strstr(err, "none.crt"));
	assert_null(client);
}

static void test_escape(void **state)
{
	char *text = sf_httpc_escape("a b/c?d=%\xc3\xa4~._-Z9");

	assert_string_equal(text, "a%20b%2Fc%3Fd%3D%25%C3%A4~._-Z9");
	free(text);
}

/* ---- by TLS ----------------------------------------------------------------------------- */

static int get_remote(const struct sf_httpc_opts *opts, json_t **reply)
{
	struct sf_httpc *client = client_of(opts);
	int rc = sf_httpc_call(client, "GET", "/v1/echo/x", NULL, reply, err, sizeof(err));

	sf_httpc_free(client);
	return rc;
}

static void test_tls(void **state)
{
	struct sf_httpc_opts good = { .endpoint = remote, .token = TOKEN, .ca = at("ca.crt") };
	struct sf_httpc_opts opts = good;
	json_t *reply = NULL;

	assert_int_equal(get_remote(&good, &reply), 0);
	assert_true(json_is_false(json_object_get(reply, "local")));
	assert_int_equal(strncmp(json_string_value(json_object_get(reply, "peer")), "[::1]:", 6),
			 0);
	json_decref(reply);
	reply = NULL;

	opts.token = NULL;
	assert_int_equal(get_remote(&opts, &reply), -EACCES);
	assert_non_null(strstr(err, "no token"));
	opts.token = "correct-horse-batterz";
	assert_int_equal(get_remote(&opts, &reply), -EACCES);
	assert_non_null(strstr(err, "wrong token"));
	opts.token = "correct-horse-batter";
	assert_int_equal(get_remote(&opts, &reply), -EACCES);
	opts.token = "";
	assert_int_equal(get_remote(&opts, &reply), -EACCES);
	opts = good;
	opts.ca = at("other-ca.crt");
	assert_int_equal(get_remote(&opts, &reply), -EKEYREJECTED);
	opts.ca = NULL; /* the system's */
	assert_int_equal(get_remote(&opts, &reply), -EKEYREJECTED);
	assert_null(reply);
}

/* Plain HTTP and broken TLS at the TLS port get nothing, and do not disturb it. */
static void test_tls_plain(void **state)
{
	const char *host = remote + strlen("https://");
	char cmd[512];

	snprintf(cmd, sizeof(cmd),
		 "c() { curl -s -g -o /dev/null --max-time 5 --cacert '%s'"
		 " -H 'Authorization: Bearer " TOKEN "' \"$@\"; }; "
		 "c https://%s/metrics && ! c http://%s/metrics && ! c --tls-max 1.2 "
		 "https://%s/metrics",
		 at("ca.crt"), host, host, host);
	assert_int_equal(system(cmd), 0);
	test_tls(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),	    cmocka_unit_test(test_errors),
		cmocka_unit_test(test_timeout),	    cmocka_unit_test(test_stream),
		cmocka_unit_test(test_nobody),	    cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_bad_options), cmocka_unit_test(test_escape),
		cmocka_unit_test(test_tls),	    cmocka_unit_test(test_tls_plain),
	};

	alarm(50);
	return cmocka_run_group_tests(tests, setup, teardown);
}
