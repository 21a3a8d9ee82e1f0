// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - scaffold-router: access router, service router, or both (paper sections 3.2 and 4.1).
 *
 * Stages: set up with all privileges; then serve with those that routes, maps and probes need.
 *
 * SIGTERM ends the daemon alone. What packets need is in the kernel and stays there: an upgrade
 * interrupts nobody, and the next scaffold-router takes over. `scaffold-router --flush` removes it.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/name.h"
#include "router/control.h"
#include "router/controller_link.h"
#include "router/datapath.h"
#include "router/events.h"
#include "router/failures.h"
#include "router/heartbeat.h"
#include "router/hosts.h"
#include "router/join.h"
#include "router/links.h"
#include "router/router.h"
#include "router/routes.h"
#include "router/rules.h"
#include "router/session.h"
#include "router/store.h"
#include "router/transit.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/file.h"
#include "util/log.h"

static const struct sf_priv_stage stage_serve = {
	.name = "serve",
	.caps = SF_CAP(CAP_NET_ADMIN) | SF_CAP(CAP_NET_RAW) | SF_CAP(CAP_BPF),
};

static void on_reload(void *ctx)
{
	struct router *r = ctx;
	char err[512];

	if (config_reload(&r->config, err, sizeof(err))) {
		sf_error("reload: %s; nothing was changed", err);
		return;
	}
	sf_log_set_level((enum sf_log_level)r->config.log);
	if (!r->uplink)
		place_timers(r, r->config.heartbeat_ms, r->config.move_grace_ms,
			     r->config.lease_ms);
	datapath_police(r->datapath, r->config.join_rate, r->config.message_rate);
	links_reload(r);
	sf_info("configuration read again");
}

static int load_key(struct router *r, char *err, size_t errlen)
{
	char path[4096];
	int ret;

	snprintf(path, sizeof(path), "%s/router.key", r->config.state);
	ret = sf_sign_key_obtain(path, &r->key, NULL, err, errlen);
	if (ret)
		return ret;
	sf_sign_key_public(r->key, r->public_key);
	ret = sf_sid_of_key(r->public_key, sizeof(r->public_key), SF_SSID_HOSTS, sf_sha256, &r->id);
	return ret ? sf_errtext(err, errlen, ret, "%s: %s", path, strerror(-ret)) : 0;
}

static int open_tables(struct router *r, char *err, size_t errlen)
{
	if (sf_events_new(EVENTS_KEPT, &r->events) || rules_new(r) || routes_new(r) ||
	    transit_new(r))
		return sf_errtext(err, errlen, -ENOMEM, "out of memory");
	return 0;
}

/* Everything that a router is, in the order in which each needs the ones before. */
static int set_up(struct router *r, char *err, size_t errlen)
{
	int ret = store_open(r->config.state, &r->store, err, errlen);

	if (!ret)
		ret = load_key(r, err, errlen);
	if (!ret && (ret = sf_nl_open(&r->nl)))
		sf_errtext(err, errlen, ret, "netlink: %s", strerror(-ret));
	if (!ret)
		ret = datapath_open(r, err, errlen);
	if (!ret)
		ret = place_load(r, err, errlen);
	if (!ret)
		ret = open_tables(r, err, errlen);
	if (!ret)
		ret = hosts_load(r, err, errlen);
	if (!ret)
		ret = rules_restore(r, err, errlen);
	if (!ret)
		ret = session_open(r, err, errlen);
	if (!ret)
		ret = heartbeat_open(r, err, errlen);
	if (!ret)
		ret = place_set_up(r, err, errlen);
	if (!ret)
		ret = links_open(r, err, errlen);
	if (ret)
		return ret;
	hosts_adopt(r);
	routes_sweep_hosts(r);
	ret = failures_open(r, err, errlen);
	if (!ret)
		ret = controller_link_open(r, err, errlen);
	if (!ret)
		ret = control_open(r, err, errlen);
	return ret;
}

static void tear_down(struct router *r)
{
	control_close(r);
	controller_link_close(r);
	failures_close(r);
	join_forget(r);
	heartbeat_close(r);
	links_close(r);
	session_close(r);
	hosts_free(r);
	rules_free(r);
	routes_free(r);
	transit_free(r);
	sf_events_free(r->events);
	sf_nametable_free(&r->names);
	datapath_close(r->datapath);
	sf_nl_close(r->nl);
	sf_sign_key_free(r->key);
	store_close(r->store);
}

static int serve(struct router *r, char *err, size_t errlen)
{
	const struct sf_daemon_options options = {
		.name = "scaffold-router", .run_dir = r->config.run, .reload = on_reload, .ctx = r
	};
	char why[256];
	int ret = sf_daemon_open(&r->daemon, &options, err, errlen), failed;

	if (ret)
		return ret;
	r->base = r->daemon.base;
	r->started_ms = sf_now_ms();
	r->started_wall_ms = sf_wall_ms();
	memcpy(&r->underlay, &r->config.underlay, sizeof(r->underlay));
	r->names.max = NAMES_MAX;
	ret = set_up(r, err, errlen);
	failed = ret;
	if (!ret && (ret = sf_priv_enter(&stage_serve)))
		sf_errtext(err, errlen, ret, "privileges: %s", strerror(-ret));
	if (!ret) {
		sf_info("%s: %s, %u hosts, %u services", r->config.name,
			r->restarted ? "taken over" : "started", r->hosts->here, rules_count(r));
		ret = sf_daemon_run(&r->daemon);
		if (ret)
			sf_errtext(err, errlen, ret, "event loop: %s", strerror(-ret));
		sf_info("%s: ends; the datapath stays", r->config.name);
	}
	tear_down(r);
	/* What did not come up leaves nothing; what it took over goes on. */
	if (failed && !r->restarted && datapath_remove(r->config.bpffs, why, sizeof(why)))
		sf_warn("datapath: %s", why);
	sf_daemon_close(&r->daemon);
	return ret;
}

/* --flush: as if no router had been here. Addresses given to hosts stay theirs. */
static int flush(struct router *r, char *err, size_t errlen)
{
	const struct sf_daemon_options options = { .name = "scaffold-router",
						   .run_dir = r->config.run };
	int ret = sf_daemon_open(&r->daemon, &options, err, errlen);

	if (ret)
		return ret;
	ret = sf_nl_open(&r->nl);
	if (ret)
		sf_errtext(err, errlen, ret, "netlink: %s", strerror(-ret));
	if (!ret)
		ret = datapath_remove(r->config.bpffs, err, errlen);
	if (!ret) {
		ret = routes_remove_all(r->nl);
		if (ret < 0)
			sf_errtext(err, errlen, ret, "routes: %s", strerror(-ret));
		place_remove(r);
	}
	sf_nl_close(r->nl);
	sf_daemon_close(&r->daemon);
	return ret < 0 ? ret : 0;
}

static int check_privileges(char *err, size_t errlen)
{
	if (!geteuid() && sf_priv_have(SF_CAP(CAP_NET_ADMIN) | SF_CAP(CAP_BPF)))
		return 0;
	return sf_errtext(err, errlen, -EPERM,
			  "no privileges: expected to be started as root (CAP_NET_ADMIN, CAP_BPF)");
}

static void say(const char *finding)
{
	sf_error("%s", finding);
}

/* --check: what the configuration names. */
static int check(const struct config *c)
{
	struct sf_tls_files files = { c->tls_cert, c->tls_key, c->tls_ca };
	struct sf_check k = { .file = c->file, .section = "router", .say = say };

	if (c->controller[0] && !c->plain)
		sf_check_tls(&k, &files, false);
	sf_check_group(&k, c->socket_group);
	sf_check_identity(&k, c->state, "router.key");
	return k.findings ? 2 : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static struct router router;
	struct router *r = &router;
	char err[1024] = "";
	int ret;

	sf_close_stray();
	sf_log_open("scaffold-router", SF_LOG_INFO);
	ret = config_load(&r->config, argc, argv, err, sizeof(err));
	if (ret > 0) {
		config_free(&r->config);
		return EXIT_SUCCESS;
	}
	if (ret) {
		sf_error("%s", err);
		config_free(&r->config);
		return 2;
	}
	sf_log_set_level((enum sf_log_level)r->config.log);
	if (r->config.check) {
		ret = check(&r->config);
		config_free(&r->config);
		return ret;
	}
	ret = check_privileges(err, sizeof(err));
	if (!ret)
		ret = r->config.flush ? flush(r, err, sizeof(err)) : serve(r, err, sizeof(err));
	if (ret)
		sf_error("%s", err);
	config_free(&r->config);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
