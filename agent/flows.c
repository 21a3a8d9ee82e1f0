// SPDX-License-Identifier: Apache-2.0
/* flows.c - freeing flows that lost their socket, load by service, listing. */
#include "agent/flows.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host.h"
#include "agent/transfer.h"
#include "core/sal_udp.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/sockdiag.h"

#define SCAN_QUICK_MS 1000
#define SCAN_MS	      10000
#define SCAN_SHARE    100 /* a scan may take one part in so many of the agent's time */
#define LOAD_MS	      500

static void arm(struct host *h, unsigned int ms)
{
	struct timeval wait = sf_ms_timeval(ms);

	event_add(h->flows.timer, &wait);
}

/* ---- freeing ---------------------------------------------------------------------------- */

static int scan_flow(const void *key, const void *value, void *ctx)
{
	struct host *h = ctx;
	struct gc_flow flow = { .id = 0 };
	struct sf_flow f;

	memcpy(&f, value, sizeof(f));
	h->flows.seen++;
	/* It has no socket, on purpose. */
	if (f.state == SF_FLOW_EXPORTED &&
	    sf_used_since(f.moved, sf_now_ms() * 1000000) < TRANSFER_TOMB_NS)
		return 0;
	/* What a peer opened to a socket that is not connected has none of its own. */
	if (f.tuple.proto == IPPROTO_UDP && (f.flags & SF_FLOW_INBOUND) &&
	    !sf_udp_is_idle(&f, h->flows.idle_ns, sf_now_ms() * 1000000))
		return 0;
	flow.id = sf_locator_sock(&f.own);
	flow.tuple = f.tuple;
	flow.closing = f.state == SF_FLOW_CLOSING && !(f.flags & SF_FLOW_OVER) &&
		       f.tuple.proto == IPPROTO_TCP;
	return gc_flow(&h->flows.gc, &flow);
}

static int scan_socket(const struct sf_sock *sock, void *ctx)
{
	struct host *h = ctx;
	struct sf_tuple t = { .proto = sock->protocol };

	if (sock->state == SF_TCP_LISTEN || sf_ip6_is_any(&sock->remote))
		return 0;
	memcpy(&t.local, &sock->local, sizeof(t.local));
	memcpy(&t.peer, &sock->remote, sizeof(t.peer));
	t.lport = htons(sock->local_port);
	t.pport = htons(sock->remote_port);
	return gc_socket(&h->flows.gc, &t);
}

static struct flow_load *load_get(struct host *h, const struct registration_key *key)
{
	struct flow_load *l;

	HASH_FIND(hh, h->flows.loads, key, sizeof(*key), l);
	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->key = *key;
	HASH_ADD(hh, h->flows.loads, key, sizeof(l->key), l);
	return l;
}

static struct flow_load *load_of_flow(struct host *h, const struct sf_flow *f)
{
	struct registration_key key = { .addr = f->tuple.local,
					.port = f->tuple.lport,
					.proto = f->tuple.proto };

	return load_get(h, &key);
}

/* Keep a freed flow's counters for its service's totals. */
static void keep_load(struct host *h, const struct sf_flow *f)
{
	struct flow_load *l = f->flags & SF_FLOW_INBOUND ? load_of_flow(h, f) : NULL;

	if (!l)
		return;
	l->freed_packets += f->rx_packets + f->tx_packets;
	l->freed_bytes += f->rx_bytes + f->tx_bytes;
}

int flows_take(int map, uint64_t id, struct sf_flow *out)
{
	uint64_t key = sf_socket_key(id);

	/* Look first: a live flow that has the key now must not be missing even for a moment. */
	if (bpf_map_lookup_elem(map, &key, out))
		return -errno;
	if (sf_locator_sock(&out->own) != id)
		return -ENOENT;
	if (bpf_map_lookup_and_delete_elem(map, &key, out))
		return -errno;
	if (sf_locator_sock(&out->own) == id)
		return 0;
	/* Another incarnation, in between. */
	bpf_map_update_elem(map, &key, out, BPF_NOEXIST);
	return -ENOENT;
}

static void free_flows(struct host *h, const struct gc_flow *gone, size_t n)
{
	int flows = datapath_map(h, "flows");
	struct sf_flow f;

	for (size_t i = 0; i < n; i++) {
		if (flows_take(flows, gone[i].id, &f))
			continue;
		keep_load(h, &f);
		if (f.state == SF_FLOW_EXPORTED)
			transfer_expired(h, &f);
		moves_forget(h, sf_socket_key(gone[i].id));
		h->flows.freed++;
	}
}

static int scan(struct host *h)
{
	struct gc *gc = &h->flows.gc;
	const struct gc_flow *gone;
	size_t n;
	int ret;

	gc_begin(gc);
	h->flows.idle_ns =
		h->flows.seen > h->config.flows_max / 2 ? SF_UDP_IDLE_SHORT_NS : SF_UDP_IDLE_NS;
	h->flows.seen = 0;
	ret = sf_bpf_map_walk(datapath_map(h, "flows"), sizeof(uint64_t), sizeof(struct sf_flow),
			      scan_flow, h);
	if (!ret && gc->n_flows)
		ret = sf_sockdiag_dump(IPPROTO_TCP, SF_TCP_ANY & ~SF_TCP_LISTENERS, scan_socket, h);
	if (!ret && gc->n_flows)
		ret = sf_sockdiag_dump(IPPROTO_UDP, SF_TCP_BIT(SF_TCP_ESTABLISHED), scan_socket, h);
	if (!ret)
		ret = gc_end(gc, &gone, &n);
	if (ret) {
		gc_abandon(gc);
		return ret;
	}
	free_flows(h, gone, n);
	return 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	uint64_t began = sf_now_ms(), least;
	unsigned int wait;
	int ret = scan(h);

	h->flows.scans++;
	if (ret)
		sf_debug("flow scan: %s", strerror(-ret)); /* -EINTR: the next one will do */
	wait = ret || gc_busy(&h->flows.gc) ? SCAN_QUICK_MS : SCAN_MS;
	least = (sf_now_ms() - began) * SCAN_SHARE;
	arm(h, wait > least ? wait : (unsigned int)least);
}

/* ---- load ------------------------------------------------------------------------------- */

static int sum_flow(const void *key, const void *value, void *ctx)
{
	struct host *h = ctx;
	struct flow_load *l;
	struct sf_flow f;

	memcpy(&f, value, sizeof(f));
	if (!(f.flags & SF_FLOW_INBOUND))
		return 0;
	l = load_of_flow(h, &f);
	if (!l)
		return -ENOMEM;
	l->packets += f.rx_packets + f.tx_packets;
	l->bytes += f.rx_bytes + f.tx_bytes;
	l->open += f.state != SF_FLOW_CLOSING;
	return 0;
}

/* What the datapath counted when it freed flows itself; a key that vanished counts anew. */
static void add_ended(struct host *h)
{
	struct registration *r, *tmp;
	struct sf_listener seen;
	struct flow_load *l;

	HASH_ITER (hh, h->registry.table, r, tmp) {
		struct sf_listener_key key = { .host = h->cookie,
					       .addr = r->key.addr,
					       .port = r->key.port,
					       .proto = r->key.proto };

		if (bpf_map_lookup_elem(hooks_map(h, "listeners"), &key, &seen) || !seen.packets)
			continue;
		l = load_get(h, &r->key);
		if (!l)
			return;
		if (seen.packets < l->ended_packets) {
			l->freed_packets += l->ended_packets;
			l->freed_bytes += l->ended_bytes;
			l->packets += l->ended_packets;
			l->bytes += l->ended_bytes;
		}
		l->ended_packets = seen.packets;
		l->ended_bytes = seen.bytes;
		l->packets += seen.packets;
		l->bytes += seen.bytes;
	}
}

void flows_load(struct host *h)
{
	struct flow_load *l, *tmp;
	uint64_t now = sf_now_ms();
	uint64_t least = h->flows.load_took * SCAN_SHARE;

	if (h->flows.load_ms && now - h->flows.load_ms < (least > LOAD_MS ? least : LOAD_MS))
		return;
	HASH_ITER (hh, h->flows.loads, l, tmp) {
		l->packets = l->freed_packets;
		l->bytes = l->freed_bytes;
		l->open = 0;
	}
	sf_bpf_map_walk(datapath_map(h, "flows"), sizeof(uint64_t), sizeof(struct sf_flow),
			sum_flow, h);
	add_ended(h);
	h->flows.load_ms = sf_now_ms();
	h->flows.load_took = h->flows.load_ms - now;
	/* Totals of services that are no longer registered and have no flow left tell nobody. */
	HASH_ITER (hh, h->flows.loads, l, tmp) {
		if (!l->open && !registry_find(&h->registry, &l->key)) {
			HASH_DEL(h->flows.loads, l);
			free(l);
		}
	}
}

const struct flow_load *flows_load_of(const struct host *h, const struct registration_key *key)
{
	struct flow_load *l;

	HASH_FIND(hh, h->flows.loads, key, sizeof(*key), l);
	return l;
}

/* ---- listing ---------------------------------------------------------------------------- */

/* Who knows the key knows most of the socketID, which is to be known by the ends alone. */
uint32_t flows_id(const struct host *h, uint64_t key)
{
	__u64 words[2] = { 0x666c6f7700000000ull, key };

	return (uint32_t)sf_siphash24(&h->datapath.config.key, words, 2);
}

char *flows_id_print(uint32_t id, char *buf)
{
	snprintf(buf, FLOWS_ID_STRLEN, "%08x", id);
	return buf;
}

struct listing {
	const struct host *host;
	const struct sf_net *net;
	const struct flow_filter *filter;
	json_t *list;
	size_t total;
	uint64_t now_ns;
};

static bool fits(const struct listing *ls, const struct sf_flow *f)
{
	const struct flow_filter *filter = ls->filter;
	struct sf_addr peer = sf_service_addr(ls->net, &f->peer_sid);

	if (filter->state && f->state != filter->state)
		return false;
	return !filter->service || sf_addr_eq(filter->service, &f->tuple.local) ||
	       sf_addr_eq(filter->service, &f->tuple.peer) || sf_addr_eq(filter->service, &peer);
}

/* The datapath's clock is not ours to the last bit: @then may be later. */
static json_int_t since_ms(const struct listing *ls, uint32_t then)
{
	return (json_int_t)(sf_used_since(then, ls->now_ns) / 1000000);
}

static json_t *to_json(const struct listing *ls, const struct sf_flow *f)
{
	char local[SF_ADDR_STRLEN], peer[SF_ADDR_STRLEN], own[SF_ADDR_STRLEN], at[SF_ADDR_STRLEN];
	bool inbound = f->flags & SF_FLOW_INBOUND;
	uint64_t key = sf_socket_key(sf_locator_sock(&f->own));
	char id[FLOWS_ID_STRLEN];

	return json_pack(
		"{s:s, s:s, s:s, s:i, s:s, s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:I, s:I, "
		"s:I, s:s?, s:s, s:o}",
		"proto", sf_proto_name(f->tuple.proto), "direction", inbound ? "in" : "out",
		"local", sf_addr_print(&f->tuple.local, local), "local_port", ntohs(f->tuple.lport),
		"peer", sf_addr_print(&f->tuple.peer, peer), "peer_port", ntohs(f->tuple.pport),
		"state", sf_flow_state_name(f->state), "own_locator",
		sf_locator_print(&f->own, own), "peer_locator", sf_locator_print(&f->peer, at),
		"tx_packets", (json_int_t)f->tx_packets, "tx_bytes", (json_int_t)f->tx_bytes,
		"rx_packets", (json_int_t)f->rx_packets, "rx_bytes", (json_int_t)f->rx_bytes,
		"attempt", f->attempt, "epoch", (json_int_t)f->epoch, "age_ms",
		since_ms(ls, f->created), "idle_ms", since_ms(ls, f->used), "fail",
		f->fail ? sf_reason_name(f->fail) : NULL, "id",
		flows_id_print(flows_id(ls->host, key), id), "move", moves_json(ls->host, key));
}

static int list_flow(const void *key, const void *value, void *ctx)
{
	struct listing *ls = ctx;
	struct sf_flow f;

	memcpy(&f, value, sizeof(f));
	if (!fits(ls, &f))
		return 0;
	if (ls->total++ < ls->filter->limit)
		json_array_append_new(ls->list, to_json(ls, &f));
	return 0;
}

json_t *flows_list(struct host *h, const struct flow_filter *filter, size_t *total)
{
	struct listing ls = { .host = h,
			      .net = &h->net,
			      .filter = filter,
			      .list = json_array(),
			      .now_ns = sf_now_ms() * 1000000 };
	static const char *const maps[] = { "flows", "halfopen", "half_udp" };

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		if (sf_bpf_map_walk(datapath_map(h, maps[i]), sizeof(uint64_t),
				    sizeof(struct sf_flow), list_flow, &ls)) {
			json_decref(ls.list);
			return NULL;
		}
	}
	*total = ls.total;
	return ls.list;
}

/* ---- life ------------------------------------------------------------------------------- */

int flows_open(struct host *h, char *err, size_t errlen)
{
	struct sf_hashkey key;
	int ret = sf_random(&key, sizeof(key));

	if (ret) {
		snprintf(err, errlen, "random key: %s", strerror(-ret));
		return ret;
	}
	gc_open(&h->flows.gc, &key);
	h->flows.timer = evtimer_new(h->daemon.base, on_timer, h);
	if (!h->flows.timer) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	arm(h, SCAN_QUICK_MS);
	return 0;
}

void flows_close(struct host *h)
{
	struct flow_load *l, *tmp;

	if (h->flows.timer)
		event_free(h->flows.timer);
	h->flows.timer = NULL;
	gc_close(&h->flows.gc);
	HASH_ITER (hh, h->flows.loads, l, tmp) {
		HASH_DEL(h->flows.loads, l);
		free(l);
	}
}
