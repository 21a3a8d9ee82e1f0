// SPDX-License-Identifier: Apache-2.0
/* host.c - the agent's parts put together: start, end, and the registry's ties to the others. */
#include "agent/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/proc.h"
#include "agent/sole.h"
#include "agent/tell.h"
#include "core/name.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"
#include "util/netns.h"

#define GROUPS_MAX	 256
#define LEAVE_MS	 400
#define DENIALS_LOGGED	 20 /* a second */
#define REGISTRATION_LEN (sizeof(struct sf_item) + sizeof(struct sf_item_registration))
#define BATCH_MAX	 (SF_CTRL_MAX_UDP / REGISTRATION_LEN)

struct sf_listener_key host_key(const struct host *h, const struct registration_key *key)
{
	return (struct sf_listener_key){
		.host = h->cookie, .addr = key->addr, .port = key->port, .proto = key->proto
	};
}

/* ---- what the registry asks of us ------------------------------------------------------- */

static uint8_t judge(void *ctx, const struct registration *r)
{
	struct host *h = ctx;
	struct policy_subject who = { .uid = r->uid };
	char group[256];
	gid_t gids[GROUPS_MAX];

	if (policy_wants_groups(&h->policy)) {
		who.gids = gids;
		who.n_gids = proc_groups(r->pid, gids, GROUPS_MAX);
	}
	if (policy_wants_cgroup(&h->policy) &&
	    !proc_cgroup(r->cgroup, r->pid, group, sizeof(group)))
		who.cgroup = group;
	return policy_judge(&h->policy, &who);
}

static void apply(void *ctx, const struct registration *r, uint8_t state, uint8_t reason)
{
	struct host *h = ctx;
	struct sf_listener_key key = host_key(h, &r->key);
	struct sf_listener fresh = { .sockets = r->sockets,
				     .state = state,
				     .flags = r->flags,
				     .uid = r->uid,
				     .pid = r->pid,
				     .cgroup = r->cgroup };
	int ret;

	if (!state) {
		hooks_delete(h, &key);
		return;
	}
	ret = hooks_judge(h, &key, state, reason, r->flags);
	if (ret == -ENOENT && r->origin != ORIGIN_SOCKET)
		ret = hooks_put(h, &key, &fresh);
	/* A socket's listener that is gone: its release is on its way to us. */
	if (ret && ret != -ENOENT && ret != -EEXIST)
		sf_error("listeners table: %s", strerror(-ret));
}

static void registry_is_dirty(void *ctx)
{
	struct host *h = ctx;

	event_active(h->flush, EV_TIMEOUT, 0);
}

/* Any program can be denied as often as it likes: that must not fill the disk. */
static bool may_log_denial(struct host *h)
{
	uint64_t second = sf_now_ms() / 1000;

	if (second != h->denials.second) {
		if (h->denials.unsaid)
			sf_warn("%u more registrations were denied", h->denials.unsaid);
		h->denials.second = second;
		h->denials.said = h->denials.unsaid = 0;
	}
	if (h->denials.said < DENIALS_LOGGED) {
		h->denials.said++;
		return true;
	}
	h->denials.unsaid++;
	return false;
}

static void tell(void *ctx, const char *kind, const struct registration *r)
{
	struct host *h = ctx;
	struct sf_event e = { .kind = kind,
			      .reason = r->reason,
			      .service = registration_sid(&r->key),
			      .has_port = true,
			      .proto = r->key.proto,
			      .port = r->key.port };
	char who[64] = "";

	e.service_name = names_of(h, &e.service);
	if (r->comm[0])
		snprintf(who, sizeof(who), "%s, pid %u, uid %u", r->comm, r->pid, r->uid);
	else if (r->origin == ORIGIN_SOCKET)
		snprintf(who, sizeof(who), "uid %u", r->uid);
	host_tell(h, !strcmp(kind, "denied") && may_log_denial(h) ? SF_LOG_WARN : SF_LOG_DEBUG, &e,
		  "%s%s%s", who, *who && r->reason ? ": " : "",
		  r->reason ? sf_reason_text(r->reason) : "");
}

static uint64_t registry_now(void *ctx)
{
	return sf_wall_ms();
}

/* ---- registrations on their way to the router ------------------------------------------- */

void host_take_results(struct host *h, uint8_t type, const struct sf_ctrl_in *answer)
{
	sf_ctrl_foreach (answer, it) {
		const struct sf_item_result *r = it.value;
		struct registration_key key;

		if (it.type != SF_ITEM_RESULT)
			continue;
		memset(&key, 0, sizeof(key));
		key.addr = sf_service_addr(&h->net, &r->sid);
		key.port = r->port;
		key.proto = r->proto;
		registry_answer(&h->registry, type, &key, r->reason);
	}
}

/* The whole request was refused: so is each of its registrations. */
static void refuse_all(struct host *h, const struct sf_ctrl_in *request, uint8_t reason)
{
	sf_ctrl_foreach (request, it) {
		const struct sf_item_registration *r = it.value;
		struct registration_key key;

		if (it.type != SF_ITEM_REGISTRATION)
			continue;
		memset(&key, 0, sizeof(key));
		key.addr = sf_service_addr(&h->net, &r->sid);
		key.port = r->port;
		key.proto = r->proto;
		registry_answer(&h->registry, request->type, &key, reason);
	}
}

static void on_registered(void *ctx, const struct sf_ctrl_in *request,
			  const struct sf_ctrl_in *answer)
{
	struct attachment *a = ctx;
	struct host *h = a->host;
	const struct sf_item_reason *r;

	if (a != attachment_primary(h))
		return; /* another router counts now */
	if (answer->type != SF_CTRL_DENIED) {
		host_take_results(h, request->type, answer);
		return;
	}
	r = sf_ctrl_find(answer, SF_ITEM_REASON, NULL);
	if (r && (r->reason == SF_NO_SESSION || r->reason == SF_REPLAYED)) {
		join_hint(a, "the router does not know our session"); /* all begins anew */
		return;
	}
	refuse_all(h, request, r && r->reason ? r->reason : SF_INTERNAL);
}

/* How many of the entries that wait, with their names, fit into @room; at least one does. */
static size_t batch_size(const struct host *h, size_t room)
{
	size_t n = 0, used = 0;

	for (const struct registration *r = h->registry.dirty_first; r; r = r->next) {
		struct sf_sid sid = registration_sid(&r->key);

		used += REGISTRATION_LEN + names_room(h, &sid);
		if (used > room || n == BATCH_MAX)
			break;
		n++;
	}
	return n;
}

/* The session with the router at which services are registered. */
static struct session *session_of(struct host *h)
{
	struct attachment *a = attachment_primary(h);

	return a ? &a->session : NULL;
}

/* Names of what was registered before they were used, or is registered elsewhere. A request under
 * way could be overtaken, and the router know the service by then no more than before. */
static void tell_names(struct host *h, struct session *s)
{
	while (h->names.untold && registry_settled(&h->registry)) {
		struct session_request *q = session_request(s, SF_CTRL_REGISTER);

		if (!q)
			break;
		names_put_untold(h, &q->out);
		session_send(q, on_registered);
	}
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	struct session *s = session_of(h);
	struct sf_item_registration items[BATCH_MAX];

	h->registry.told = false; /* whatever changes from now on calls us again */
	while (s && session_has_room(s)) {
		struct session_request *q;
		uint8_t type;
		size_t n;

		/* A request's sequence number is taken first, so look before whether there is any.
		 */
		if (!h->registry.dirty_first)
			break;
		q = session_request(s, SF_CTRL_REGISTER);
		if (!q)
			break;
		n = registry_take(&h->registry, &type, items, batch_size(h, sf_ctrl_room(&q->out)));
		if (!n) {
			session_drop(q);
			break;
		}
		session_retype(q, type);
		for (size_t i = 0; i < n; i++) {
			sf_ctrl_put(&q->out, SF_ITEM_REGISTRATION, &items[i], sizeof(items[i]));
			if (type == SF_CTRL_REGISTER)
				names_put(h, &q->out, &items[i].sid);
		}
		session_send(q, on_registered);
	}
	if (s)
		tell_names(h, s);
	/* Without a session all is sent on JOINED; without room, on the next answer. */
}

void host_has_room(struct host *h)
{
	if (h->registry.dirty_first || h->names.untold)
		event_active(h->flush, EV_TIMEOUT, 0);
	else
		attachments_settled(h);
}

static const struct registry_ops registry_ops_template = { .judge = judge,
							   .apply = apply,
							   .dirty = registry_is_dirty,
							   .tell = tell,
							   .now_ms = registry_now };

/* ---- identity --------------------------------------------------------------------------- */

/* Random at each start of the kernel, and another one in each of its namespaces. */
static int boot_nonce(struct host *h)
{
	char *text;
	uint8_t hash[SF_SHA256_LEN];
	char input[128];
	int n, ret = sf_file_read("/proc/sys/kernel/random/boot_id", 64, &text, NULL);

	if (ret)
		return ret;
	n = snprintf(input, sizeof(input), "%s%016llx", text, (unsigned long long)h->cookie);
	free(text);
	ret = sf_sha256("scaffold boot nonce v1", input, (size_t)n, hash);
	if (!ret)
		memcpy(&h->boot, hash, sizeof(h->boot));
	return ret;
}

void host_set_net(struct host *h, const struct sf_net *net)
{
	struct registration_key key;
	struct registration *r;

	if (!memcmp(&h->net, net, sizeof(*net)))
		return;
	memset(&key, 0, sizeof(key));
	key.addr = h->self;
	r = registry_find(&h->registry, &key);
	if (r && h->net.service != net->service)
		registry_remove(&h->registry, r);
	h->net = *net;
	h->self = sf_service_addr(net, &h->identity);
	if (graces_open(h))
		sf_error("service_move_grace: no memory");
	if (hooks_set_net(h))
		sf_error("socket hooks: the network's prefix could not be set");
	key.addr = h->self;
	if (!registry_add(&h->registry, &key, ORIGIN_HOST, NULL, true))
		sf_error("host identity: no memory");
}

static int open_identity(struct host *h, char *err, size_t errlen)
{
	char path[512];
	bool made = false;
	int ret;

	if (h->config.name[0])
		snprintf(h->name, sizeof(h->name), "%s", h->config.name);
	else if (gethostname(h->name, sizeof(h->name) - 1))
		snprintf(h->name, sizeof(h->name), "host");
	ret = sf_netns_cookie(&h->cookie);
	if (!ret)
		ret = boot_nonce(h);
	if (ret) {
		snprintf(err, errlen, "network namespace: %s", strerror(-ret));
		return ret;
	}
	ret = sf_mkdir_p(h->config.state, 0755);
	if (ret) {
		snprintf(err, errlen, "%s: %s", h->config.state, strerror(-ret));
		return ret;
	}
	snprintf(path, sizeof(path), "%s/host.key", h->config.state);
	ret = sf_sign_key_obtain(path, &h->key, &made, err, errlen);
	if (ret)
		return ret;
	if (made)
		sf_info("host key %s: made", path);
	sf_sign_key_public(h->key, h->public_key);
	ret = sf_sid_of_key(h->public_key, sizeof(h->public_key), SF_SSID_HOSTS, sf_sha256,
			    &h->identity);
	if (ret) {
		snprintf(err, errlen, "host identity: %s", strerror(-ret));
		return ret;
	}
	h->net = sf_net_default(0);
	h->self = sf_service_addr(&h->net, &h->identity);
	return 0;
}

/* ---- start ------------------------------------------------------------------------------ */

static int check_system(struct host *h, char *err, size_t errlen)
{
	int ret;

	if (geteuid() || !sf_priv_have(SF_CAP(CAP_NET_ADMIN) | SF_CAP(CAP_BPF))) {
		snprintf(err, errlen,
			 "no privileges: expected to be started as root (CAP_NET_ADMIN, CAP_BPF)");
		return -EPERM;
	}
	sf_bpf_quiet();
	h->n_features = sf_bpf_probe(h->features, SF_BPF_FEATURES);
	ret = sf_bpf_probe_missing(h->features, h->n_features, err, errlen);
	if (ret) {
		size_t n = strlen(err);

		snprintf(err + n, errlen - n, " (SCAFFOLD needs Linux 6.1 or later)");
	}
	return ret;
}

/* The prefix of an earlier agent's network: its sockets and listeners are known by it. */
static void adopt_net(struct host *h)
{
	if (h->datapath.config.host)
		host_set_net(h, &h->datapath.config.net);
}

/* In this order, once the datapath is there. */
static int (*const openers[])(struct host *h, char *err, size_t errlen) = {
	setup_open,  search_open,  attachments_open, runs_open,	    sockets_open,
	flows_open,  moves_open,   shed_open,	     probes_open,   watch_open,
	uplink_open, hooks_listen, control_open,     handover_open,
};

static int open_parts(struct host *h, char *err, size_t errlen)
{
	static struct registry_ops registry_ops;
	struct registration_key self;
	int ret;

	registry_ops = registry_ops_template;
	registry_ops.ctx = h;
	h->flush = evtimer_new(h->daemon.base, on_flush, h);
	if (!h->flush) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	registry_open(&h->registry, &registry_ops);
	names_open(h);
	ret = graces_open(h);
	if (ret) {
		snprintf(err, errlen, "service_move_grace: no memory");
		return ret;
	}
	ret = datapath_prepare(h, err, errlen);
	if (!ret)
		ret = hooks_open(h, err, errlen);
	if (!ret)
		ret = datapath_open(h, err, errlen);
	if (ret)
		return ret;
	adopt_net(h);
	for (size_t i = 0; !ret && i < sizeof(openers) / sizeof(openers[0]); i++)
		ret = openers[i](h, err, errlen);
	if (ret)
		return ret;
	memset(&self, 0, sizeof(self));
	self.addr = h->self;
	if (!registry_add(&h->registry, &self, ORIGIN_HOST, NULL, true)) {
		snprintf(err, errlen, "host identity: no memory");
		return -ENOMEM;
	}
	return 0;
}

/* What the loop still needs: netlink and tc, maps and the judging program. The root of the control
 * groups is writable to nobody, so runs_remove() takes up what it needs for that one call; so does
 * transfer_import() for a connection of a low port. */
static int drop_privileges(char *err, size_t errlen)
{
	const uint64_t low_ports = SF_CAP(CAP_NET_BIND_SERVICE);
	const struct sf_priv_stage serve = {
		.name = "serve",
		.caps = SF_CAP(CAP_NET_ADMIN) | SF_CAP(CAP_BPF) | SF_CAP(CAP_PERFMON),
		.held = SF_CAP(CAP_DAC_OVERRIDE) | (sf_priv_have(low_ports) ? low_ports : 0)
	};
	int ret = sf_priv_enter(&serve);

	if (ret)
		snprintf(err, errlen, "privileges: %s", strerror(-ret));
	return ret;
}

static void on_stop(void *ctx)
{
	struct host *h = ctx;

	h->keep = h->config.keep;
}

int host_open(struct host *h, char *err, size_t errlen)
{
	struct sf_daemon_options options = {
		.name = "scaffoldd", .run_dir = h->config.run, .stop = on_stop, .ctx = h
	};
	int ret;

	h->keep = true; /* until all is up, what is there is an earlier agent's */
	h->started_ms = sf_now_ms();
	ret = sf_events_new(EVENTS_KEPT, &h->events);
	if (ret) {
		snprintf(err, errlen, "out of memory");
		return ret;
	}
	ret = policy_parse(&h->config.allow_uid, &h->config.allow_gid, &h->config.allow_cgroup,
			   &h->config.deny_cgroup, &h->policy, err, errlen);
	if (!ret)
		ret = check_system(h, err, errlen);
	if (!ret)
		ret = sf_daemon_open(&h->daemon, &options, err, errlen);
	if (ret)
		return ret;
	ret = sf_nl_open(&h->nl);
	if (ret) {
		snprintf(err, errlen, "netlink: %s", strerror(-ret));
		return ret;
	}
	ret = open_identity(h, err, errlen);
	if (!ret)
		ret = sole_open(h, err, errlen);
	if (!ret)
		ret = open_parts(h, err, errlen);
	if (!ret)
		ret = drop_privileges(err, errlen);
	if (ret)
		h->keep = !h->datapath.fresh;
	return ret;
}

/* ---- loop and end ----------------------------------------------------------------------- */

static void on_keep(evutil_socket_t sig, short what, void *arg)
{
	struct host *h = arg;

	h->config.keep = true;
	sf_daemon_stop(&h->daemon);
}

int host_run(struct host *h)
{
	char id[SF_ADDR_STRLEN];
	struct event *usr2 = evsignal_new(h->daemon.base, SIGUSR2, on_keep, h);
	int ret;

	if (!usr2 || event_add(usr2, NULL))
		return -ENOMEM;
	sf_info("host %s is %s", h->name, sf_addr_print(&h->self, id));
	attachments_begin(h);
	ret = sf_daemon_run(&h->daemon);
	event_free(usr2);
	return ret;
}

void host_close(struct host *h)
{
	if (h->daemon.base) {
		handover_close(h);
		lookups_close(h);
		control_close(h);
		search_close(h);
		uplink_close(h);
		watch_close(h);
		rouse_close(h);
		moves_close(h);
		probes_close(h);
		graces_close(h);
		if (!h->keep)
			shed_all(h);
		shed_close(h);
		flows_close(h);
		sockets_close(h);
	}
	if (!h->keep) {
		attachments_leave(h, LEAVE_MS);
		runs_remove(h);
		hooks_leave(h);
		datapath_remove(h);
		datapath_dir_done(h);
		setup_remove(h);
	}
	runs_close(h);
	hooks_close(h);
	datapath_close(h);
	setup_close(h);
	attachments_close(h);
	registry_close(&h->registry);
	names_close(h);
	if (h->flush)
		event_free(h->flush);
	sf_events_free(h->events);
	h->events = NULL;
	sf_nl_close(h->nl);
	sf_sign_key_free(h->key);
	policy_free(&h->policy);
	sole_close(h);
	sf_daemon_close(&h->daemon);
	config_free(&h->config);
}
