// SPDX-License-Identifier: Apache-2.0
/* daemons.c - whom a subcommand asks, and how it is told that nobody answers. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/names.h"
#include "util/crypto.h"
#include "util/httpc.h"

#define PAGES_AGAIN 3 /* times that a list is begun anew */

static const char *const names[] = { "agent", "router", "controller" };

const char *sf_cli_daemon_name(enum sf_daemon_kind kind)
{
	return kind < SF_ANYBODY ? names[kind] : "daemon";
}

static void endpoint_of(const struct sf_cli *cli, enum sf_daemon_kind kind, char *buf, size_t len)
{
	if (kind == SF_CONTROLLER && cli->controller)
		snprintf(buf, len, "%s", cli->controller);
	else
		snprintf(buf, len, "unix:%s/%s.sock", cli->run, names[kind]);
}

enum sf_daemon_found sf_cli_find(const struct sf_cli *cli, enum sf_daemon_kind kind)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	enum sf_daemon_found found = SF_DAEMON_DEAD;
	char endpoint[PATH_MAX];
	const char *path;
	int fd;

	endpoint_of(cli, kind, endpoint, sizeof(endpoint));
	if (strncmp(endpoint, "unix:", 5) != 0)
		return SF_DAEMON_LISTENS;
	path = endpoint + 5;
	if (access(path, F_OK))
		return errno == EACCES ? SF_DAEMON_FORBIDDEN : SF_DAEMON_NONE;
	if ((size_t)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path) >= sizeof(at.sun_path))
		return SF_DAEMON_NONE;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return SF_DAEMON_DEAD;
	/* EAGAIN: its backlog is full, so it lives. */
	if (!connect(fd, (struct sockaddr *)&at, sizeof(at)) || errno == EAGAIN)
		found = SF_DAEMON_LISTENS;
	else if (errno == EACCES || errno == EPERM)
		found = SF_DAEMON_FORBIDDEN;
	close(fd);
	return found;
}

bool sf_cli_has(const struct sf_cli *cli, enum sf_daemon_kind kind)
{
	return sf_cli_find(cli, kind) == SF_DAEMON_LISTENS;
}

enum sf_daemon_kind sf_cli_who(const struct sf_cli *cli)
{
	static const enum sf_daemon_kind order[] = { SF_CONTROLLER, SF_ROUTER, SF_AGENT };
	enum sf_daemon_kind who = SF_ANYBODY;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		enum sf_daemon_found found = sf_cli_find(cli, order[i]);

		if (found == SF_DAEMON_LISTENS)
			return order[i];
		if (found == SF_DAEMON_FORBIDDEN && who == SF_ANYBODY)
			who = order[i];
	}
	return who;
}

struct sf_httpc *sf_cli_client(const struct sf_cli *cli, enum sf_daemon_kind kind)
{
	struct sf_httpc_opts opts = { .token = cli->token, .ca = cli->ca };
	struct sf_httpc *client = NULL;
	char endpoint[PATH_MAX], err[256];

	if (kind == SF_ANYBODY)
		kind = SF_AGENT;
	endpoint_of(cli, kind, endpoint, sizeof(endpoint));
	opts.endpoint = endpoint;
	if (sf_httpc_new(&opts, &client, err, sizeof(err)))
		sf_cli_fail(cli, "%s: %s", endpoint, err);
	return client;
}

int sf_cli_try(const struct sf_cli *cli, enum sf_daemon_kind kind, const char *method,
	       const char *path, const json_t *body, json_t **reply, char *err, size_t errlen)
{
	struct sf_httpc_opts opts = { .token = cli->token, .ca = cli->ca };
	struct sf_httpc *client = NULL;
	char endpoint[PATH_MAX], text[512] = "";
	bool anybody = kind == SF_ANYBODY;
	int ret;

	if (anybody)
		kind = SF_AGENT;
	endpoint_of(cli, kind, endpoint, sizeof(endpoint));
	opts.endpoint = endpoint;
	ret = sf_httpc_new(&opts, &client, text, sizeof(text));
	if (!ret)
		ret = sf_httpc_call(client, method, path, body, reply, text, sizeof(text));
	sf_httpc_free(client);
	if (ret == -ECONNREFUSED && strncmp(endpoint, "unix:", 5) == 0)
		snprintf(err, errlen,
			 "no %s answers in %s (is it running? --run DIR or $SCAFFOLD_RUN says "
			 "where)",
			 anybody ? "agent, router or controller" : names[kind], cli->run);
	else if (ret && sf_cli_find(cli, kind) == SF_DAEMON_FORBIDDEN)
		snprintf(err, errlen,
			 "%s: this user may not ask it (%s): root may, and members of its "
			 "socket_group",
			 names[kind], endpoint);
	else if (ret)
		snprintf(err, errlen, "%s: %s", names[kind], *text ? text : strerror(-ret));
	return ret;
}

int sf_cli_call(const struct sf_cli *cli, enum sf_daemon_kind kind, const char *method,
		const char *path, const json_t *body, json_t **reply)
{
	char err[700] = "";
	int ret = sf_cli_try(cli, kind, method, path, body, reply, err, sizeof(err));

	if (ret)
		sf_cli_fail(cli, "%s", err);
	return ret;
}

static char *path_make(const char *fmt, va_list args)
{
	char *path = NULL;
	size_t len;
	FILE *f = open_memstream(&path, &len);
	bool good = f;

	for (; good && *fmt; fmt++) {
		char *escaped;

		if (fmt[0] != '%' || fmt[1] != 's') {
			good = fputc(*fmt, f) != EOF;
			continue;
		}
		fmt++;
		escaped = sf_httpc_escape(va_arg(args, const char *));
		good = escaped && fputs(escaped, f) >= 0;
		free(escaped);
	}
	if (f && fclose(f))
		good = false;
	if (!good) {
		free(path);
		return NULL;
	}
	return path;
}

char *sf_cli_path(const char *fmt, ...)
{
	va_list args;
	char *path;

	va_start(args, fmt);
	path = path_make(fmt, args);
	va_end(args);
	return path;
}

int sf_cli_get(const struct sf_cli *cli, enum sf_daemon_kind kind, json_t **reply, const char *fmt,
	       ...)
{
	va_list args;
	char *path;
	int ret;

	va_start(args, fmt);
	path = path_make(fmt, args);
	va_end(args);
	if (!path) {
		sf_cli_fail(cli, "out of memory");
		return -ENOMEM;
	}
	ret = sf_cli_call(cli, kind, "GET", path, NULL, reply);
	free(path);
	return ret;
}

/* The page behind the row @after (NULL: the first). Takes @after. */
static int page_get(const struct sf_cli *cli, const char *list, char *after, json_t **reply,
		    char *err, size_t errlen)
{
	char *query = after ? sf_cli_path("after=%s", after) : strdup("");
	char *path = NULL;
	int ret = -ENOMEM;

	if (query && asprintf(&path, "%s%s%s", list,
			      !after		  ? ""
			      : strchr(list, '?') ? "&"
						  : "?",
			      query) < 0)
		path = NULL;
	if (path)
		ret = sf_cli_try(cli, SF_CONTROLLER, "GET", path, NULL, reply, err, errlen);
	else
		snprintf(err, errlen, "out of memory");
	free(path);
	free(query);
	free(after);
	return ret;
}

int sf_cli_pages(const struct sf_cli *cli, const char *path, const char *list, json_t **reply)
{
	json_t *whole = NULL, *page = NULL;
	char err[700] = "", *after = NULL;
	int ret, again = 0;

	do {
		const char *next;

		ret = page_get(cli, path, after, &page, err, sizeof(err));
		after = NULL;
		if (ret == -EEXIST && again++ < PAGES_AGAIN) {
			json_decref(whole);
			whole = NULL;
			continue;
		}
		if (ret)
			break;
		next = json_string_value(json_object_get(page, "next"));
		after = next ? strdup(next) : NULL;
		if (whole) {
			json_array_extend(json_object_get(whole, list),
					  json_object_get(page, list));
			json_decref(page);
		} else {
			whole = page;
		}
	} while (after || ret);
	if (ret) {
		json_decref(whole);
		sf_cli_fail(cli, "%s", err);
		return ret;
	}
	*reply = whole;
	return 0;
}

struct sf_net sf_cli_net(const struct sf_cli *cli)
{
	struct sf_net net = sf_net_default(1);
	const char *service, *as, *what;
	json_t *status = NULL;
	char err[700];
	enum sf_daemon_kind kind = sf_cli_has(cli, SF_AGENT) ? SF_AGENT : sf_cli_who(cli);

	/* Quiet: without a daemon the defaults will do. */
	if (!sf_cli_try(cli, kind, "GET", "/v1/status", NULL, &status, err, sizeof(err))) {
		service = json_string_value(json_object_get(status, "service_prefix"));
		as = json_string_value(json_object_get(status, "as_prefix"));
		if (service && as)
			(void)sf_net_parse(service, as, &net, &what);
	}
	json_decref(status);
	return net;
}

int sf_cli_sid(const struct sf_cli *cli, const char *text, struct sf_sid *out)
{
	struct sf_net net = sf_cli_net(cli);
	const char *why = NULL;
	int err = sf_sid_parse(&net, text, sf_sha256, out, &why);

	if (err)
		sf_cli_fail(cli, "service '%s': %s", text, why ? why : strerror(-err));
	else
		sf_names_say(cli, text);
	return err;
}
