// SPDX-License-Identifier: Apache-2.0
/*
 * cli_fake.h - daemons that say what a test wants, for subcommands: a real REST server
 * (util/http.h) in a process of its own, with canned replies. It writes down what it was asked. And
 * a subcommand's standard output and standard error, caught.
 */
#ifndef SF_TESTS_CLI_FAKE_H
#define SF_TESTS_CLI_FAKE_H

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
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/cli.h"
#include "util/file.h"
#include "util/http.h"

/**
 * struct canned - one reply. Several of one method and path are given in turn; the last one stays.
 * @method: NULL ends a table; "STREAM" is a GET that answers with the lines of @reply
 */
struct canned {
	const char *method, *path;
	int status;
	const char *reply;
};

static char fake_dir[] = "/tmp/sf-cli-test-XXXXXX";
static pid_t fake_pids[4];
static size_t fake_count;

struct fake {
	const struct canned *canned;
	bool used[64];
};

static const struct canned *fake_find(struct fake *f, const char *method, const char *path)
{
	const struct canned *last = NULL;

	for (size_t i = 0; f->canned[i].method; i++) {
		const struct canned *c = &f->canned[i];
		const char *m = strcmp(c->method, "STREAM") ? c->method : "GET";

		if (strcmp(m, method) != 0 || strcmp(c->path, path) != 0)
			continue;
		last = c;
		if (!f->used[i]) {
			f->used[i] = true;
			return c;
		}
	}
	return last;
}

/* What came, one request a line: "METHOD /path?a=b {body}". */
static void fake_note(struct sf_http_req *req, const char *method, const char *asked,
		      const char *query)
{
	char path[128], *body = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "%s/asked", fake_dir);
	f = fopen(path, "a");
	if (sf_http_body(req))
		body = json_dumps(sf_http_body(req), JSON_COMPACT | JSON_SORT_KEYS);
	fprintf(f, "%s %s%s%s%s\n", method, asked, query, body ? " " : "", body ? body : "");
	fclose(f);
	free(body);
}

static int fake_stream(struct sf_http_req *req, const char *lines)
{
	json_t *list = json_loads(lines, 0, NULL), *line;
	size_t i;

	sf_http_stream_start(req);
	json_array_foreach (list, i, line)
		sf_http_stream_send(req, line);
	sf_http_stream_end(req);
	json_decref(list);
	return SF_HTTP_LATER;
}

static int fake_handle(struct sf_http_req *req, const char *method, json_t **reply, void *ctx)
{
	static const char *const queries[] = { "service", "state",  "limit", "since",
					       "after",	  "follow", "full",  "hosts" };
	static const char *const segments[] = { "a", "b", "c", "d", "e", "f" };
	const struct canned *c;
	char path[256] = "", query[512] = "";
	size_t at = 0;

	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
		const char *segment = sf_http_param(req, segments[i]);

		if (segment)
			at += (size_t)snprintf(path + at, sizeof(path) - at, "/%s", segment);
	}
	c = fake_find(ctx, method, path);
	at = 0;
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		const char *value = sf_http_query(req, queries[i]);

		if (value)
			at += (size_t)snprintf(query + at, sizeof(query) - at, "%s%s=%s",
					       at ? "&" : "?", queries[i], value);
	}
	fake_note(req, method, path, query);
	if (!c)
		return sf_http_fail(reply, 404, "nobody canned this", path, NULL);
	if (!strcmp(c->method, "STREAM"))
		return fake_stream(req, c->reply);
	if (c->status >= 300)
		return sf_http_fail(reply, c->status, c->reply, NULL, NULL);
	*reply = c->reply ? json_loads(c->reply, 0, NULL) : json_object();
	return *reply ? c->status : sf_http_fail(reply, 500, "canned no JSON", c->path, NULL);
}

#define FAKE_METHOD(method)                                                          \
	static int fake_##method(struct sf_http_req *req, json_t **reply, void *ctx) \
	{                                                                            \
		return fake_handle(req, #method, reply, ctx);                        \
	}
FAKE_METHOD(GET)
FAKE_METHOD(POST)
FAKE_METHOD(PUT)
FAKE_METHOD(PATCH)
FAKE_METHOD(DELETE)

#define FAKE_ROUTES(path)                                                             \
	{ "GET", path, fake_GET, NULL }, { "POST", path, fake_POST, NULL },           \
		{ "PUT", path, fake_PUT, NULL }, { "PATCH", path, fake_PATCH, NULL }, \
	{                                                                             \
		"DELETE", path, fake_DELETE, NULL                                     \
	}

static void fake_serve(const char *socket, const struct canned *canned)
{
	static const struct sf_http_route routes[] = {
		FAKE_ROUTES("/{a}/{b}"),
		FAKE_ROUTES("/{a}/{b}/{c}"),
		FAKE_ROUTES("/{a}/{b}/{c}/{d}"),
		FAKE_ROUTES("/{a}/{b}/{c}/{d}/{e}"),
		FAKE_ROUTES("/{a}/{b}/{c}/{d}/{e}/{f}"),
		{ 0 },
	};
	struct event_base *base = event_base_new();
	struct fake f = { .canned = canned };
	struct sf_http *http;
	char err[256];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sf_http_new(base, routes, NULL, &f, &http, err, sizeof(err)) ||
	    sf_http_listen_unix(http, socket, 0666, NULL, err, sizeof(err))) {
		fprintf(stderr, "%s: %s\n", socket, err);
		_exit(1);
	}
	event_base_dispatch(base);
	_exit(0);
}

/* Its file is there a moment before it listens. */
static bool fake_listens(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool listens;

	memcpy(at.sun_path, path, strlen(path) + 1); /* as short as fake_dir */
	listens = !connect(fd, (struct sockaddr *)&at, sizeof(at));
	close(fd);
	return listens;
}

/* A daemon ("agent", "router", "controller") answers from now on. */
static void fake_start(const char *daemon, const struct canned *canned)
{
	char path[128];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s.sock", fake_dir, daemon);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		fake_serve(path, canned);
	fake_pids[fake_count++] = pid;
	for (int i = 0; !fake_listens(path) && i < 10000; i++) {
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
		usleep(1000);
	}
}

/* Ends all daemons; their sockets stay with @keep, as after kill -9. */
static void fake_stop(bool keep)
{
	static const char *const files[] = { "agent.sock", "router.sock", "controller.sock",
					     "asked" };
	char path[128];

	while (fake_count) {
		kill(fake_pids[--fake_count], SIGKILL);
		waitpid(fake_pids[fake_count], NULL, 0);
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !keep; i++) {
		snprintf(path, sizeof(path), "%s/%s", fake_dir, files[i]);
		unlink(path);
	}
}

static int fake_setup(void **state)
{
	(void)state;
	return mkdtemp(fake_dir) ? 0 : -1;
}

static int fake_each_teardown(void **state)
{
	(void)state;
	fake_stop(false);
	return 0;
}

static int fake_teardown(void **state)
{
	char path[128];

	(void)state;
	fake_stop(false);
	snprintf(path, sizeof(path), "%s/out", fake_dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/err", fake_dir);
	unlink(path);
	return rmdir(fake_dir);
}

/* Contents of a file of ours; static storage per name. */
static const char *fake_text(const char *name)
{
	static char *kept[3];
	static unsigned int n;
	char path[128];

	n = (n + 1) % 3;
	free(kept[n]);
	kept[n] = NULL;
	snprintf(path, sizeof(path), "%s/%s", fake_dir, name);
	if (sf_file_read(path, 1 << 20, &kept[n], NULL))
		kept[n] = strdup("");
	return kept[n];
}

static int fake_redirect(int fd, const char *name)
{
	char path[128];
	int saved = dup(fd);
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", fake_dir, name);
	f = fopen(path, "w");
	dup2(fileno(f), fd);
	fclose(f);
	return saved;
}

static void fake_restore(int fd, int saved)
{
	dup2(saved, fd);
	close(saved);
}

typedef int (*fake_command)(struct sf_cli *cli, int argc, char **argv);

/*
 * Run a subcommand against the daemons that were started; its words follow, NULL last.
 * fake_text("out") and ("err") have what it printed. Return: its exit status.
 */
static int fake_run(fake_command command, bool json, const char *name, ...)
{
	struct sf_cli cli = { .run = fake_dir, .command = name, .json = json };
	char *argv[16] = { strdup(name) };
	int argc = 1, out, err, ret;
	const char *word;
	va_list args;

	va_start(args, name);
	while ((word = va_arg(args, const char *)))
		argv[argc++] = strdup(word);
	va_end(args);
	fflush(NULL);
	out = fake_redirect(STDOUT_FILENO, "out");
	err = fake_redirect(STDERR_FILENO, "err");
	optind = 0;
	ret = command(&cli, argc, argv);
	fflush(NULL);
	fake_restore(STDOUT_FILENO, out);
	fake_restore(STDERR_FILENO, err);
	while (argc)
		free(argv[--argc]);
	return ret;
}

/* The command's JSON; the caller's. */
static json_t *fake_json(void)
{
	json_error_t e;
	json_t *v = json_loads(fake_text("out"), JSON_DECODE_ANY, &e);

	if (!v)
		print_error("no JSON: %s: %s\n", e.text, fake_text("out"));
	assert_non_null(v);
	return v;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		print_error("'%s' is not in:\n%s\n", part, text);
	assert_non_null(strstr(text, part));
}

static void assert_has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		print_error("'%s' is in:\n%s\n", part, text);
	assert_null(strstr(text, part));
}

/* ---- what tests say and ask -------------------------------------------------------------- */

#define WEB "00000001:52ac1db85f5ecb14" /* sf_sid_of "web" */

/* A service "web" as the controller has it, and instances of it on "h3", "h4"... */
#define INSTANCE(host, state, weight, open) SHARED(host, state, weight, "null", open)
#define SHARED(host, state, weight, share, open)                                   \
	"{\"host\":\"80000000:000000000000000" host "\",\"host_name\":\"h" host    \
	"\",\"locator\":\"fd5c:0:1:1:" host                                        \
	"::\",\"router\":\"80000000:2\",\"router_name\":\"r2\",\"weight\":" weight \
	",\"share\":" share ",\"state\":\"" state                                  \
	"\",\"reason\":null,\"since\":\"2026-11-22T04:30:22.398Z\","               \
	"\"load\":{\"flows\":250,\"packets\":3000,\"bytes\":2200000},\"open\":" open "}"
#define SERVICE(a, b)                                                                         \
	"{\"id\":\"" WEB "\",\"name\":\"web\",\"endpoints\":[{\"proto\":\"tcp\",\"port\":80," \
	"\"instances\":[" a "," b "]}]}"

static inline const char *text_at(const json_t *rows, size_t i, const char *key)
{
	return json_string_value(json_object_get(json_array_get(rows, i), key));
}

static inline json_int_t number_at(const json_t *rows, size_t i, const char *key)
{
	return json_integer_value(json_object_get(json_array_get(rows, i), key));
}

#endif
