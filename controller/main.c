// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - scaffold-controller: logically centralized knowledge of who serves what, and where.
 *
 * It joins the parts to one event loop: channels of routers in (util/channel.h), REST beside them,
 * a turn's changes out once per turn, events into the store by and by. It needs no privileges.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/config.h"
#include "controller/controller.h"
#include "controller/events.h"
#include "controller/policies.h"
#include "controller/rest.h"
#include "controller/routers.h"
#include "util/channel.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/crypto.h"
#include "util/daemon.h"
#include "util/log.h"

#define LISTEN_MAX   8
#define FLUSH_MIN_MS 2	/* between two flushes: a burst of changes goes out in few messages */
#define SOON_MS	     50 /* events into the store, rejected routers away */
#define STORE_BATCH  2000
#define SEND_HIGH    (64u << 20) /* a router this far behind gets a whole sync later */
#define SEND_LOW     (8u << 20)
#define SEND_MAX     (512u << 20)

struct program {
	struct controller c;
	struct config config;
	struct sf_daemon daemon;
	struct rest *rest;
	SSL_CTX *tls;
	struct sf_channel_server *servers[LISTEN_MAX];
	struct event *flush, *tick, *soon;
	uint64_t flushed; /* ms, when last */
	bool flush_due;
	bool store_failed;
};

/* ---- routers' channels --------------------------------------------------------------------- */

static int channel_send(void *io, const void *msg, size_t len)
{
	return sf_channel_send(io, msg, len);
}

static void channel_close(void *io, const char *reason)
{
	sf_channel_close(io, reason);
}

static size_t channel_queued(void *io)
{
	return sf_channel_queued(io);
}

static const struct session_ops session_ops = { channel_send, channel_close, channel_queued };

static void on_open(struct sf_channel *ch, void *ctx)
{
	struct program *p = ctx;
	struct session *s = NULL;

	if (session_open(&p->c, &session_ops, ch, sf_channel_peer(ch), sf_channel_peer_cn(ch),
			 &s)) {
		sf_error("router %s: no memory", sf_channel_peer(ch));
		sf_channel_set_ctx(ch, NULL);
		sf_channel_close(ch, "no memory");
		return;
	}
	sf_channel_set_ctx(ch, s);
}

static void on_message(struct sf_channel *ch, const void *body, size_t len, void *ctx)
{
	session_message(ctx, body, len);
}

static void on_close(struct sf_channel *ch, const char *reason, void *ctx)
{
	if (ctx)
		session_closed(ctx, reason);
}

static void on_pressure(struct sf_channel *ch, bool high, void *ctx)
{
	if (ctx)
		session_pressure(ctx, high);
}

static void on_fail(struct sf_channel *ch, const char *reason, unsigned int retry_ms, void *ctx)
{
	sf_warn("router %s: connection refused: %s", sf_channel_peer(ch), reason);
}

static const struct sf_channel_ops channel_ops = {
	.on_open = on_open,
	.on_message = on_message,
	.on_close = on_close,
	.on_pressure = on_pressure,
	.on_fail = on_fail,
};

static int listen_routers(struct program *p, char *err, size_t errlen)
{
	const struct config *cfg = &p->config;
	struct sf_tls_files files = { cfg->tls_cert, cfg->tls_key, cfg->tls_ca };
	struct sf_channel_opts opts = { .plain = cfg->plain,
					.send_high = SEND_HIGH,
					.send_low = SEND_LOW,
					.send_max = SEND_MAX,
					.max_peers = ROUTERS_MAX };
	char endpoint[128];
	int ret = 0;

	if (!cfg->listen.count) {
		snprintf(err, errlen,
			 "%s: [controller] listen is not set: say where routers connect, such as "
			 "listen = [::]:24159 (with tls_cert, tls_key, tls_ca)",
			 cfg->file ? cfg->file : "no --config");
		return -EINVAL;
	}
	if (cfg->listen.count > LISTEN_MAX) {
		snprintf(err, errlen, "[controller] listen: got %zu addresses, expected at most %d",
			 cfg->listen.count, LISTEN_MAX);
		return -EINVAL;
	}
	if (!cfg->plain) {
		ret = sf_tls_server(&files, &p->tls, err, errlen);
		opts.tls = p->tls;
	}
	for (size_t i = 0; !ret && i < cfg->listen.count; i++) {
		ret = config_endpoint(cfg->listen.items[i], endpoint, sizeof(endpoint));
		if (!ret)
			ret = sf_channel_listen(p->daemon.base, endpoint, &opts, &channel_ops, p,
						&p->servers[i], err, errlen);
		if (!ret)
			sf_info("routers: listening on %s%s", endpoint,
				cfg->plain ? " WITHOUT TLS" : "");
	}
	return ret;
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* Changes arrive in bursts; each burst is told once, at latest FLUSH_MIN_MS after the last one. */
static void wake(struct controller *c)
{
	struct program *p = c->ctx;
	struct timeval wait = { 0 };
	uint64_t now;

	if (p->flush_due || !p->flush)
		return;
	p->flush_due = true;
	now = c->clock();
	if (now - p->flushed < FLUSH_MIN_MS)
		wait.tv_usec = (suseconds_t)(FLUSH_MIN_MS - (now - p->flushed)) * 1000;
	event_add(p->flush, &wait);
}

/* What needs somebody's eye is a warning; what happens thousands of times a second is for
 * debugging. */
static enum sf_log_level level_of(const struct event_entry *e)
{
	switch (e->kind) {
	case EVENT_ALARM:
	case EVENT_FAILURES:
	case EVENT_DENIED:
	case EVENT_SAME_NAME:
	case EVENT_ROUTER_REJECTED:
	case EVENT_ROUTER_LOST:
	case EVENT_ROUTER_GONE:
		return SF_LOG_WARN;
	case EVENT_REGISTERED:
	case EVENT_UNREGISTERED:
		return SF_LOG_DEBUG;
	default:
		return SF_LOG_INFO;
	}
}

static void log_event(struct controller *c, const struct event_entry *e)
{
	json_t *o;
	char *text;

	if (!sf_log_enabled(level_of(e)))
		return;
	o = event_json(c, e);
	json_object_del(o, "time"); /* the log has its own */
	text = json_dumps(o, JSON_COMPACT);
	sf_log(level_of(e), "event %s", text ? text : event_kind_name(e->kind));
	free(text);
	json_decref(o);
}

static void on_flush(evutil_socket_t fd, short what, void *ctx)
{
	struct program *p = ctx;

	p->flush_due = false;
	p->flushed = p->c.clock();
	controller_flush(&p->c);
	rest_follow(p->rest);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct program *p = ctx;

	controller_tick(&p->c);
	controller_flush(&p->c);
}

static void on_soon(evutil_socket_t fd, short what, void *ctx)
{
	struct program *p = ctx;
	int ret = events_store(&p->c, STORE_BATCH);

	if (ret >= 0) {
		int names = names_store(&p->c, STORE_BATCH);

		ret = names < 0 ? names : ret;
	}
	sessions_reap(&p->c);
	if (ret < 0 && !p->store_failed)
		sf_error("%s: events and names are not stored: %s (%s)", store_path(p->c.store),
			 strerror(-ret), store_error(p->c.store));
	p->store_failed = ret < 0;
}

static struct event *timer(struct program *p, event_callback_fn fn, unsigned int ms)
{
	struct timeval every = sf_ms_timeval(ms);
	struct event *ev = event_new(p->daemon.base, -1, ms ? EV_PERSIST : 0, fn, p);

	if (ev && ms)
		event_add(ev, &every);
	return ev;
}

static int start(struct program *p, char *err, size_t errlen)
{
	struct sf_daemon_options options = { .name = "scaffold-controller",
					     .run_dir = p->config.run };
	struct sf_priv_stage nothing = { .name = "serve" };
	int ret = sf_daemon_open(&p->daemon, &options, err, errlen);

	if (ret)
		return ret;
	p->c.wake = wake;
	p->c.log = log_event;
	p->c.ctx = p;
	/* Ports first: a start that fails there must not begin a term. */
	ret = listen_routers(p, err, errlen);
	if (!ret)
		ret = controller_open(&p->c, &p->config, err, errlen);
	if (!ret)
		ret = rest_new(p->daemon.base, &p->c, &p->rest, err, errlen);
	if (ret)
		return ret;
	ret = sf_priv_enter(&nothing);
	if (ret) {
		snprintf(err, errlen, "cannot drop capabilities: %s", strerror(-ret));
		return ret;
	}
	p->flush = timer(p, on_flush, 0);
	p->tick = timer(p, on_tick, 1000);
	p->soon = timer(p, on_soon, SOON_MS);
	if (!p->flush || !p->tick || !p->soon) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	sf_info("term %u; state %s; REST %s/controller.sock", p->c.term, p->config.state,
		p->config.run);
	return 0;
}

static void stop(struct program *p)
{
	p->c.stopping = true;
	for (int i = 0; i < LISTEN_MAX; i++) {
		if (p->servers[i])
			sf_channel_server_free(p->servers[i]);
	}
	rest_free(p->rest);
	if (p->flush)
		event_free(p->flush);
	if (p->tick)
		event_free(p->tick);
	if (p->soon)
		event_free(p->soon);
	p->flush = NULL;
	controller_close(&p->c);
	sf_tls_free(p->tls);
	sf_daemon_close(&p->daemon);
}

static void say(const char *finding)
{
	sf_error("%s", finding);
}

/* --check: what the configuration names. */
static int check(const struct config *c)
{
	bool tls = c->listen.count && !c->plain;
	struct sf_tls_files files = { c->tls_cert, c->tls_key, tls ? c->tls_ca : NULL };
	struct sf_check k = { .file = c->file, .section = "controller", .say = say };

	if (tls || *c->rest_listen)
		sf_check_tls(&k, &files, true);
	if (*c->rest_listen)
		sf_check_token(&k, "rest_token_file", c->rest_token_file);
	sf_check_group(&k, c->socket_group);
	return k.findings ? 2 : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static struct program p;
	char err[1024] = "";
	int ret;

	sf_close_stray();
	sf_log_open("scaffold-controller", SF_LOG_INFO);
	ret = config_args(&p.config, argc, argv, err, sizeof(err));
	if (ret) {
		if (ret < 0)
			sf_error("%s", err);
		config_free(&p.config);
		return ret < 0 ? 2 : EXIT_SUCCESS;
	}
	sf_log_set_level((enum sf_log_level)p.config.log);
	if (p.config.check) {
		ret = check(&p.config);
		config_free(&p.config);
		return ret;
	}
	if (p.config.restore) {
		ret = store_restore(p.config.state, p.config.restore, err, sizeof(err));
		if (ret)
			sf_error("restore: %s", err);
		else
			sf_info("restored %s from %s", p.config.state, p.config.restore);
		config_free(&p.config);
		return ret ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	ret = start(&p, err, sizeof(err));
	if (ret)
		sf_error("%s", err);
	else
		ret = sf_daemon_run(&p.daemon);
	stop(&p);
	config_free(&p.config);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
