// SPDX-License-Identifier: Apache-2.0
/* shed.c - flows of an instance ended, registrations drained. */
#include "agent/shed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/host.h"
#include "agent/refuse.h"
#include "agent/rsyn.h"
#include "agent/tell.h"
#include "util/clock.h"
#include "util/http.h"
#include "util/log.h"

#define BATCH 1024 /* flows ended in one turn of the event loop */

/* When the table is walked again, after the walk before. */
static const unsigned int pauses_ms[] = { 200, 800, 2000 };
#define TURNS (sizeof(pauses_ms) / sizeof(pauses_ms[0]))

/* ---- flows ------------------------------------------------------------------------------ */

struct batch {
	const struct registration_key *key;
	size_t n;
	struct sf_flow flows[BATCH];
};

/* @key: NULL: any */
static bool concerns(const struct registration_key *key, const struct sf_flow *f)
{
	if (f->state == SF_FLOW_EXPORTED || f->state == SF_FLOW_CONNECTING ||
	    (f->flags & (SF_FLOW_OVER | SF_FLOW_RST)))
		return false;
	if (!key)
		return true;
	if (!(f->flags & SF_FLOW_INBOUND) || !sf_addr_eq(&f->tuple.local, &key->addr))
		return false;
	return !key->proto || (f->tuple.proto == key->proto && f->tuple.lport == key->port);
}

static int collect(const void *id, const void *value, void *ctx)
{
	struct batch *b = ctx;
	struct sf_flow f;

	memcpy(&f, value, sizeof(f));
	if (concerns(b->key, &f))
		b->flows[b->n++] = f;
	return b->n == BATCH;
}

/* The peer hears why before its socket hears of the reset that ours may send. Return: whether it is
 * over here, also where the socket's own word was lost. */
static bool end_flow(struct host *h, const struct sf_flow *f)
{
	int ret;

	refuse_peer(h, f, SF_SHED);
	ret = refuse_local(h, f, SF_SHED);
	return !ret || ret == -EIO;
}

/* Return: whether there may be more of them that can be ended right now. */
static bool walk_table(struct host *h, const char *table, const struct registration_key *key,
		       uint64_t *ended)
{
	static struct batch b;
	uint64_t before = *ended;
	int ret;

	b.key = key;
	b.n = 0;
	ret = sf_bpf_map_walk(datapath_map(h, table), sizeof(uint64_t), sizeof(struct sf_flow),
			      collect, &b);
	for (size_t i = 0; i < b.n; i++)
		*ended += end_flow(h, &b.flows[i]);
	if (ret < 0)
		sf_warn("shed: the table %s cannot be read: %s", table, strerror(-ret));
	return ret > 0 && *ended > before;
}

/* Who asked once and only listens since is half open here, and bound there. */
static bool walk(struct host *h, const struct registration_key *key, uint64_t *ended)
{
	bool more = walk_table(h, "flows", key, ended);

	return walk_table(h, "half_udp", key, ended) || more;
}

static void tell(struct host *h, struct shed_job *job)
{
	struct sf_event e = { .kind = "shed",
			      .reason = SF_SHED,
			      .service = sf_addr_sid(&job->key.addr),
			      .has_port = job->key.proto != 0,
			      .proto = job->key.proto,
			      .port = job->key.port,
			      .count = job->ended - job->told };

	e.service_name = names_of(h, &e.service);
	if (job->told && job->told == job->ended)
		return;
	host_tell(h, SF_LOG_INFO, &e, "%llu flow%s ended", (unsigned long long)e.count,
		  e.count == 1 ? "" : "s");
	job->told = job->ended;
}

/* ---- registrations ---------------------------------------------------------------------- */

static bool matches(const struct registration *r, const struct registration_key *key)
{
	return r->state && r->origin != ORIGIN_HOST && sf_addr_eq(&r->key.addr, &key->addr) &&
	       (!key->proto || (r->key.proto == key->proto && r->key.port == key->port));
}

static bool is_shed(const struct shed *s, const struct registration *r)
{
	for (size_t i = 0; i < s->n; i++)
		if (matches(r, &s->jobs[i].key))
			return true;
	return false;
}

/* A job about @key begins, or has ended. While one is under way a service router that has not heard
 * yet may lead clients here that have just lost their flow: they are refused, and go on elsewhere.
 */
static void hold(struct host *h, const struct registration_key *key)
{
	struct registration *r, *tmp;

	HASH_ITER (hh, h->registry.table, r, tmp)
		if (matches(r, key))
			registry_hold(&h->registry, r, is_shed(&h->shed, r));
}

/* ---- jobs ------------------------------------------------------------------------------- */

static void arm(struct host *h, unsigned int ms)
{
	struct timeval wait = sf_ms_timeval(ms);

	if (!evtimer_pending(h->shed.timer, NULL))
		event_add(h->shed.timer, &wait);
}

/* One walk, or a part of one. Return: milliseconds until the next. */
static unsigned int go_on(struct host *h, struct shed_job *job)
{
	if (walk(h, &job->key, &job->ended))
		return 0;
	if (!job->turn || job->told != job->ended)
		tell(h, job);
	return job->turn++ < TURNS ? pauses_ms[job->turn - 1] : 0;
}

static void job_end(struct host *h, struct shed_job *job)
{
	struct registration_key key = job->key;

	*job = h->shed.jobs[--h->shed.n];
	hold(h, &key);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	struct shed *s = &h->shed;
	unsigned int least = pauses_ms[TURNS - 1];

	for (size_t i = 0; i < s->n;) {
		unsigned int wait = go_on(h, &s->jobs[i]);

		if (s->jobs[i].turn > TURNS) {
			job_end(h, &s->jobs[i]);
			continue;
		}
		least = wait < least ? wait : least;
		i++;
	}
	if (s->n)
		arm(h, least);
}

static struct shed_job *job_of(struct shed *s, const struct registration_key *key)
{
	for (size_t i = 0; i < s->n; i++)
		if (!memcmp(&s->jobs[i].key, key, sizeof(*key)))
			return &s->jobs[i];
	return NULL;
}

int64_t shed_begin(struct host *h, const struct registration_key *key)
{
	struct shed *s = &h->shed;
	struct shed_job *job = job_of(s, key);
	uint64_t before;

	if (!job && s->n == SHED_JOBS)
		return -EBUSY;
	if (!job) {
		job = &s->jobs[s->n++];
		*job = (struct shed_job){ .key = *key };
		hold(h, key);
	}
	job->turn = 0;
	before = job->ended;
	arm(h, go_on(h, job));
	return (int64_t)(job->ended - before);
}

void shed_all(struct host *h)
{
	struct registration *r, *tmp;
	uint64_t ended = 0;

	/* Service routers have yet to hear that we leave. */
	HASH_ITER (hh, h->registry.table, r, tmp)
		registry_hold(&h->registry, r, true);
	while (walk(h, NULL, &ended))
		;
	if (ended)
		sf_info("%llu flows ended", (unsigned long long)ended);
}

/* ---- the router's word ------------------------------------------------------------------ */

void shed_restart(struct host *h)
{
	h->shed.done = 0;
}

void shed_take(struct host *h, const struct sf_ctrl_in *in)
{
	sf_ctrl_foreach (in, it) {
		const struct sf_item_shed *item = it.value;
		struct registration_key key;
		uint32_t number;

		if (it.type != SF_ITEM_SHED)
			continue;
		number = sf_be32(item->number);
		if ((int32_t)(number - h->shed.done) <= 0 && h->shed.done)
			continue;
		memset(&key, 0, sizeof(key));
		key.addr = sf_service_addr(&h->net, &item->sid);
		key.proto = item->proto;
		key.port = item->port;
		if (shed_begin(h, &key) < 0)
			return; /* told again with the next answer */
		h->shed.done = number;
	}
}

void shed_put(struct host *h, struct sf_ctrl_out *out)
{
	struct sf_item_shed item = { .number = sf_be32(h->shed.done) };

	if (h->shed.done)
		sf_ctrl_put(out, SF_ITEM_SHED, &item, sizeof(item));
}

/* ---- REST ------------------------------------------------------------------------------- */

/* Whom the registrations are of; UINT32_MAX: of several, or none. @n: how many there are. */
static uint32_t owner_of(const struct host *h, const struct registration_key *key, int *n)
{
	uint32_t uid = UINT32_MAX;

	*n = 0;
	for (const struct registration *r = h->registry.table; r; r = r->hh.next) {
		if (!matches(r, key))
			continue;
		uid = *n && uid != r->uid ? UINT32_MAX : r->uid;
		++*n;
	}
	return uid;
}

static json_int_t open_flows(struct host *h, const struct registration_key *key)
{
	json_int_t open = 0;

	flows_load(h);
	for (const struct registration *r = h->registry.table; r; r = r->hh.next) {
		const struct flow_load *load = flows_load_of(h, &r->key);

		if (load && matches(r, key))
			open += (json_int_t)load->open;
	}
	return open;
}

/* New flows from here on are not those that were to end. */
static void drain(struct host *h, const struct registration_key *key, bool drained)
{
	struct shed_job *job = drained ? NULL : job_of(&h->shed, key);
	struct registration *r, *tmp;

	if (job)
		job_end(h, job);
	HASH_ITER (hh, h->registry.table, r, tmp)
		if (matches(r, key))
			registry_drain(&h->registry, r, drained);
	if (!drained)
		sockets_hurry(h); /* whether what was registered by hand is there */
}

/* What of the path is meant, and whether this user may. Return: 0 or an HTTP status. */
static int asked(struct sf_http_req *req, json_t **reply, struct host *h,
		 struct registration_key *key, int *n)
{
	uint32_t uid;
	int status = control_key(h, req, key, reply);

	if (status)
		return status;
	uid = owner_of(h, key, n);
	if (!control_may(h, req) && (!*n || uid != sf_http_peer(req)->uid))
		return sf_http_fail(reply, 403, "not allowed for this user", NULL,
				    "root, a member of the socket group, or the user whose program "
				    "is registered");
	return *n ? 0
		  : sf_http_fail(reply, 404, "not registered here", sf_http_param(req, "service"),
				 "a service, with its protocol and port or any and 0, that "
				 "`scaffold services` lists on this host");
}

static int change(struct sf_http_req *req, json_t **reply, void *ctx, bool drained, bool shed)
{
	struct host *h = ctx;
	struct registration_key key;
	int64_t ended = 0;
	int n, status = asked(req, reply, h, &key, &n);

	if (status)
		return status;
	drain(h, &key, drained);
	if (shed)
		ended = shed_begin(h, &key);
	if (ended < 0)
		return sf_http_fail(reply, 503, "too many sheds are under way", NULL,
				    "that one of them ends, in some seconds");
	*reply = json_pack("{s:i, s:b, s:I, s:I}", "instances", n, "draining", drained, "ended",
			   (json_int_t)ended, "flows_left", open_flows(h, &key));
	return 200;
}

int shed_post(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return change(req, reply, ctx, true, true);
}

int shed_post_drain(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return change(req, reply, ctx, true, false);
}

int shed_post_undrain(struct sf_http_req *req, json_t **reply, void *ctx)
{
	return change(req, reply, ctx, false, false);
}

/* ---- life ------------------------------------------------------------------------------- */

int shed_open(struct host *h, char *err, size_t errlen)
{
	h->shed.fd = rsyn_open();
	if (h->shed.fd < 0) {
		snprintf(err, errlen, "raw socket: %s", strerror(-h->shed.fd));
		return h->shed.fd;
	}
	h->shed.timer = evtimer_new(h->daemon.base, on_timer, h);
	if (h->shed.timer)
		return 0;
	snprintf(err, errlen, "no memory");
	return -ENOMEM;
}

void shed_close(struct host *h)
{
	if (!h->shed.timer)
		return;
	event_free(h->shed.timer);
	close(h->shed.fd);
	memset(&h->shed, 0, sizeof(h->shed));
}
