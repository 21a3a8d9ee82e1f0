// SPDX-License-Identifier: GPL-2.0-only
/*
 * service_router.bpf.c - a router's datapath: resolution, access filter, answers for absent hosts
 * (docs/protocol.md section 4; paper section 4.1, "Service router").
 *
 * Theory of operation
 *
 * A packet of a bound flow carries locators only and is forwarded by the kernel like any IPv6
 * packet. What the programs here do to it is: one compare of its destination, and on access links
 * one look-up of its source.
 *
 *   sf_router_ingress  tc ingress of links to other routers: resolution
 *   sf_access_ingress  tc ingress of links where hosts may join: filter, then resolution
 *   sf_absent_egress   tc egress of the dummy device to which the block's /64 points: packets to
 *                      hosts that are not there; an RSYN follows its host to where that is, and of
 *                      the others those that may draw one get a soft FAIL
 *   sf_router_xdp      resolution, for drivers with native XDP; whatever it does not resolve it
 *                      leaves to the tc program of the same link, which counts and answers
 *   sf_access_xdp      likewise, of access links: what the filter will drop is not resolved first
 *   sf_control_filter  of the socket that hosts talk to: how much each may say (bpf/police.h)
 *
 * Resolution is one 16-byte store into the destination. It leaves the ones'-complement sum as it
 * was (core/csum.h), so it is right for checksums that are complete, partial or in hardware. Then
 * the kernel forwards by its FIB (TC_ACT_UNSPEC: later filters still see the packet).
 *
 * Nothing here keeps state about packets, and nothing needs the daemon to be alive.
 */
#include "bpf/count.h"
#include "bpf/fail.h"
#include "bpf/packet.h"
#include "bpf/parse.h"
#include "bpf/police.h"
#include "core/ctrl.h"
#include "core/datapath.h"
#include "core/line.h"
#include "core/resolve.h"
#include "core/wire.h"

#define PULL (L4_AT + SF_HDR_MAX + 4) /* longest header and the ports behind it */

/* ---- maps (core/datapath.h); sizes are defaults, the daemon's configuration sets them ---- */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sf_router_config);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct sf_service_key);
	__type(value, struct sf_rule);
} rules SEC(".maps");

/* The front of the rules (core/line.h); the daemon writes it through a mapping of its memory. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 262144);
	__type(key, __u32);
	__type(value, struct sf_line);
} lines SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1048576);
	__type(key, __u32);
	__type(value, struct sf_addr);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct sf_link);
} links SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct sf_presence);
} present SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct sf_source_key);
	__type(value, __u8);
} sources SEC(".maps");

/* Drops by link, beside the counters by reason: whose neighbour it is that misbehaves. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct sf_link_drop);
	__type(value, struct sf_count);
} drops SEC(".maps");

/* Where a FAIL is built: it does not fit the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct build);
} builds SEC(".maps");

/* ---- the choice, shared by tc and XDP ---- */

/** meant_for_us() - whether @dst asks for resolution here: a service, or our AS without a host. */
static __always_inline bool meant_for_us(const struct sf_router_config *cfg,
					 const struct sf_addr *dst)
{
	if (sf_addr_is_service(&cfg->net, dst))
		return true;
	return sf_addr_in_as(&cfg->net, dst) && !sf_locator_host(dst);
}

/** attempt_slot() - the walk of core/resolve.h: the destination of attempt @want > 0. */
static __noinline __u32 attempt_slot(const struct sf_rule *rule, const struct sf_pick *pick,
				     __u32 want)
{
	struct sf_addr *first, *slot;
	struct sf_addr chosen;
	__u32 at, found;

	if (!rule || !pick)
		return 0;
	found = at = rule->at + pick->slot;
	first = bpf_map_lookup_elem(&slots, &at);
	if (!first)
		return found;
	chosen = *first;
	for (int i = 0; i < SF_RETRY_MAX; i++) {
		at = sf_pick_other(rule, pick, i);
		slot = bpf_map_lookup_elem(&slots, &at);
		if (!slot)
			break;
		if (sf_pick_takes(slot, &chosen, &want)) {
			found = at;
			break;
		}
	}
	return found;
}

/**
 * service_key() - what the packet asks for besides the serviceID: protocol and port.
 * @h: checked header
 * Return: 0 or the reason for which the packet is dropped.
 */
static __always_inline __u8 service_key(const struct sf_hdr *h, const void *end,
					struct sf_service_key *key)
{
	__u8 kind = sf_hdr_kind(h);

	key->sid = h->dst;
	key->port = 0;
	key->proto = 0;
	key->pad = 0;
	if (kind == SF_KIND_PROBE ||
	    ((kind == SF_KIND_DATA || kind == SF_KIND_SYN) && h->nexthdr == SF_NEXTHDR_FRAG)) {
		/* Fragments tell in a target what only the first of them could show. */
		const struct sf_tlv_target *t = (const void *)(h + 1);

		if (sf_hdr_bytes(h) >= SF_PROBE_LEN && (const void *)(t + 1) <= end &&
		    t->type == SF_TLV_TARGET && t->len == sizeof(*t) - 2) {
			key->proto = t->proto;
			key->port = t->port;
		}
	} else if (kind == SF_KIND_SYN || kind == SF_KIND_DATA) {
		const __be16 *ports = (const void *)h + sf_hdr_bytes(h);

		if (h->nexthdr != SF_NEXTHDR_TCP && h->nexthdr != SF_NEXTHDR_UDP)
			return SF_BAD_PROTOCOL;
		if ((const void *)(ports + 2) > end)
			return SF_TRUNCATED;
		key->proto = h->nexthdr;
		key->port = ports[1];
	}
	return 0;
}

/** line_read() - whether line @at is @key's; then *@rule is what it says. */
static __always_inline bool line_read(__u32 at, const struct sf_service_key *key,
				      struct sf_rule *rule)
{
	const volatile __u64 *from = bpf_map_lookup_elem(&lines, &at);
	struct sf_line line;
	__u64 *to = (void *)&line;

	if (!from)
		return false;
	/* Each word once: what is judged must be what is used. */
	SF_UNROLL
	for (__u32 i = 0; i < sizeof(line) / sizeof(*to); i++)
		to[i] = from[i];
	*rule = line.rule;
	return sf_line_is(&line, key);
}

/** exact_rule() - the rule of just this key. */
static __always_inline bool exact_rule(const struct sf_router_config *cfg,
				       const struct sf_service_key *key, struct sf_rule *rule)
{
	__u64 hash = sf_line_hash(key);
	const struct sf_rule *found;

	for (int i = 0; cfg->lines && i < SF_LINE_CHOICES; i++)
		if (line_read(sf_line_index(hash, i, cfg->lines), key, rule))
			return true;
	found = bpf_map_lookup_elem(&rules, key);
	if (!found)
		return false;
	*rule = *found;
	return true;
}

static __always_inline bool find_rule(const struct sf_router_config *cfg,
				      struct sf_service_key *key, struct sf_rule *rule)
{
	if (exact_rule(cfg, key, rule))
		return true;
	if (!(key->proto | key->port))
		return false;
	key->proto = 0;
	key->port = 0;
	return exact_rule(cfg, key, rule);
}

/**
 * resolve() - choose the destination of a packet that is meant_for_us().
 * @ip: IPv6 header, in bounds
 * @end: end of the bytes that may be read
 * @room: bytes of the packet behind the IPv6 header, readable or not
 * @to: the new destination
 * Return: 0 or the reason for which there is none.
 */
static __always_inline __u8 resolve(const struct sf_router_config *cfg, const struct ip6 *ip,
				    const void *end, __u32 room, struct sf_addr *to)
{
	const struct sf_hdr *h = (const void *)(ip + 1);
	const struct sf_addr *slot;
	struct sf_service_key key;
	struct sf_rule rule;
	struct sf_pick pick;
	__u32 at, want;
	__u16 aux;
	__u8 reason, kind;

	if (ip->nexthdr != SF_NEXTHDR_DSTOPTS)
		return SF_NO_HEADER;
	if ((const void *)(h + 1) > end)
		return SF_TRUNCATED;
	if (!sf_hdr_is_ours(h))
		return SF_NO_HEADER;
	reason = sf_hdr_check(h, room);
	if (reason)
		return reason;
	kind = sf_hdr_kind(h);
	if (!sf_kind_is_resolved(kind))
		return SF_BAD_KIND;
	/* The adjustment in the slot is for the address that the header names. */
	if (sf_addr_is_service(&cfg->net, &ip->dst)) {
		if (h->dst.w[0] != ip->dst.w[1] || h->dst.w[1] != ip->dst.w[2] ||
		    h->dst.w[2] != ip->dst.w[3])
			return SF_BAD_HEADER;
	}
	reason = service_key(h, end, &key);
	if (reason)
		return reason;
	if (!find_rule(cfg, &key, &rule))
		return SF_NO_SUCH_SERVICE;
	if (rule.size == 1) {
		*to = rule.only;
		return 0;
	}
	if (!rule.size)
		return SF_NO_INSTANCE;
	aux = sf_be16(h->aux);
	pick = sf_rule_pick(&cfg->key, &rule, &ip->src, kind == SF_KIND_DATA ? aux : 0);
	at = rule.at + pick.slot;
	want = kind == SF_KIND_SYN && aux ? sf_pick_want(aux, rule.instances) : 0;
	if (want)
		at = attempt_slot(&rule, &pick, want);
	slot = bpf_map_lookup_elem(&slots, &at);
	if (!slot)
		return SF_INTERNAL;
	*to = *slot;
	return 0;
}

/* ---- FAIL ---- */

/**
 * answer() - send FAIL @wire for a packet that may draw one, else drop; counted under @reason.
 * @flags: of bpf_redirect(), to the device that the packet is on
 */
static __always_inline int answer(struct __sk_buff *skb, __u32 reason, __u32 wire, __u64 flags)
{
	struct sf_router_config *cfg;
	struct sf_addr own;
	struct sf_sid id;
	struct build *b;
	__u32 zero = 0;

	count(skb, reason);
	cfg = bpf_map_lookup_elem(&config, &zero);
	b = bpf_map_lookup_elem(&builds, &zero);
	if (!cfg || !b)
		return TC_ACT_SHOT;
	if (!fail_allowed(skb, &cfg->net, b))
		return TC_ACT_SHOT;
	own = cfg->own;
	id = cfg->id;
	if (fail_make(skb, b, &id, &own, wire) || macs_swap(skb))
		return drop(skb, SF_INTERNAL);
	count_traffic(skb, SF_TRAFFIC_FAIL_SENT);
	return bpf_redirect(skb->ifindex, flags);
}

/* ---- tc ---- */

/** drop_of_link() - drop(), counted under the packet's link, too. */
static __noinline int drop_of_link(struct __sk_buff *skb, __u32 reason)
{
	struct sf_link_drop key = { .ifindex = skb->ifindex, .reason = reason };
	struct sf_count none = { 0 }, *c = bpf_map_lookup_elem(&drops, &key);

	if (!c) {
		bpf_map_update_elem(&drops, &key, &none, BPF_NOEXIST);
		c = bpf_map_lookup_elem(&drops, &key);
	}
	if (c) {
		__sync_fetch_and_add(&c->packets, 1);
		__sync_fetch_and_add(&c->bytes, skb->len);
	}
	return drop(skb, reason);
}

/** is_from() - whether the frame's source is @a, or that is not known. */
static __always_inline bool is_from(const struct ethhdr *eth, const struct sf_link_address *a)
{
	const __u16 *got = (const void *)eth->h_source, *want = (const void *)a->mac;

	if (!(want[0] | want[1] | want[2]))
		return true;
	return got[0] == want[0] && got[1] == want[1] && got[2] == want[2];
}

/**
 * source_check() - the access filter (docs/protocol.md section 4).
 * @eth: the frame's header, in bounds
 * Return: 0 or the reason for which the packet is dropped.
 */
static __always_inline __u8 source_check(const struct sf_router_config *cfg, __u32 ifindex,
					 const struct ethhdr *eth, const struct ip6 *ip,
					 const void *end)
{
	const struct sf_link *link = bpf_map_lookup_elem(&links, &ifindex);
	const struct sf_hdr *h = (const void *)(ip + 1);
	const struct sf_presence *here;
	struct sf_source_key key;
	__u32 host;
	__u8 kind;

	if (!link)
		return 0;
	if (!sf_addr_in_as(&cfg->net, &ip->src)) {
		/* Other ASes' locators cannot come from here; nor are services ever a source. What
		 * is no address of ours is none of our business, unless it wants resolution. */
		if (ip->src.h[0] == sf_be16(SF_LOCATOR_PREFIX) ||
		    sf_addr_is_service(&cfg->net, &ip->src) || meant_for_us(cfg, &ip->dst))
			return SF_SPOOFED_LOCATOR;
		return 0;
	}
	host = sf_locator_host(&ip->src);
	if (link->host) {
		if (host != link->host)
			return SF_SPOOFED_LOCATOR;
	} else {
		here = bpf_map_lookup_elem(&present, &host);
		if (!here || here->ifindex != ifindex)
			return SF_SPOOFED_LOCATOR;
		/* Neighbours on one wire are told apart by this alone. */
		if (!is_from(eth, &here->from))
			return SF_SPOOFED_MAC;
	}
	if (ip->nexthdr != SF_NEXTHDR_DSTOPTS)
		return 0;
	if ((const void *)(h + 1) > end)
		return SF_TRUNCATED;
	if (!sf_hdr_is_ours(h) || sf_hdr_version(h) != SF_WIRE_VERS)
		return 0;
	kind = sf_hdr_kind(h);
	if ((kind != SF_KIND_SYN && kind != SF_KIND_ACK && kind != SF_KIND_DATA) ||
	    sf_sid_is_zero(&h->src))
		return 0;
	here = bpf_map_lookup_elem(&present, &host);
	if (here && sf_sid_eq(&here->identity, &h->src))
		return 0;
	key.host = host;
	key.sid = h->src;
	return bpf_map_lookup_elem(&sources, &key) ? 0 : SF_SPOOFED_SERVICE;
}

/** ip_of() - the IPv6 header of @skb if it is IPv6, at least @need bytes readable if there. */
static __always_inline struct ip6 *ip_of(struct __sk_buff *skb, __u32 need)
{
	struct ip6 *ip = (void *)(long)skb->data + IP_AT;

	/* A VLAN's packets come again on the VLAN's device. */
	if (skb->protocol != sf_be16(ETH_P_IPV6) || tagged(skb))
		return NULL;
	if ((void *)(long)skb->data + need > (void *)(long)skb->data_end) {
		if (need > skb->len)
			need = skb->len;
		if (bpf_skb_pull_data(skb, need))
			return NULL;
		ip = (void *)(long)skb->data + IP_AT;
	}
	if ((void *)(ip + 1) > (void *)(long)skb->data_end)
		return NULL;
	return ip;
}

static __always_inline int ingress(struct __sk_buff *skb, bool access)
{
	const struct sf_router_config *cfg;
	struct sf_addr to;
	struct ip6 *ip;
	__u32 zero = 0;
	__u8 reason;

	ip = ip_of(skb, L4_AT);
	cfg = bpf_map_lookup_elem(&config, &zero);
	if (!ip || !cfg)
		return TC_ACT_UNSPEC;
	if (access) {
		if (ip->nexthdr == SF_NEXTHDR_DSTOPTS) {
			ip = ip_of(skb, L4_AT + SF_HDR_LEN);
			if (!ip)
				return drop(skb, SF_TRUNCATED);
		}
		reason = source_check(cfg, skb->ifindex, (void *)ip - IP_AT, ip,
				      (void *)(long)skb->data_end);
		if (reason)
			return drop_of_link(skb, reason);
	}
	if (!meant_for_us(cfg, &ip->dst) || !(cfg->roles & SF_ROLE_SERVICE))
		return TC_ACT_UNSPEC;
	if (skb->data_end - skb->data < skb->len) {
		ip = ip_of(skb, PULL);
		if (!ip)
			return drop(skb, SF_TRUNCATED);
	}
	reason = resolve(cfg, ip, (void *)(long)skb->data_end, skb->len - L4_AT, &to);
	if (reason == SF_NO_SUCH_SERVICE || reason == SF_NO_INSTANCE)
		return answer(skb, reason, SF_NO_SUCH_SERVICE, 0);
	if (!reason && bpf_skb_store_bytes(skb, DST_AT, &to, sizeof(to), 0))
		reason = SF_INTERNAL;
	if (reason)
		return drop(skb, reason);
	count_traffic(skb, SF_TRAFFIC_RESOLVED);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int sf_router_ingress(struct __sk_buff *skb)
{
	return ingress(skb, false);
}

SEC("tc")
int sf_access_ingress(struct __sk_buff *skb)
{
	return ingress(skb, true);
}

/** draws_fail() - whether a packet to an absent host may be answered. */
static __always_inline bool draws_fail(const struct ip6 *ip, const void *end)
{
	const struct sf_hdr *h = (const void *)(ip + 1);
	bool plain = sf_sock_is_unset(sf_locator_sock(&ip->src));

	/* Tools and daemons probe from their host's plain address; nothing else of it is ours. */
	if (ip->nexthdr == SF_NEXTHDR_DSTOPTS && (const void *)(h + 1) <= end && sf_hdr_is_ours(h))
		return sf_hdr_version(h) == SF_WIRE_VERS && sf_kind_draws_fail(sf_hdr_kind(h)) &&
		       (!plain || sf_hdr_kind(h) == SF_KIND_PROBE);
	/* Without a header: a bound flow's, if both ends are sockets. */
	return !plain && (ip->nexthdr == SF_NEXTHDR_TCP || ip->nexthdr == SF_NEXTHDR_UDP) &&
	       !sf_sock_is_unset(sf_locator_sock(&ip->dst));
}

/** is_for_host() - whether a packet to an absent host is an RSYN from socket to socket that names
 * the host. One that was resolved names no socket: so nothing is followed twice. */
static __always_inline bool is_for_host(const struct ip6 *ip, const struct sf_hdr *h)
{
	return ip->nexthdr == SF_NEXTHDR_DSTOPTS && sf_hdr_is_ours(h) &&
	       sf_hdr_version(h) == SF_WIRE_VERS && sf_hdr_kind(h) == SF_KIND_RSYN &&
	       !sf_sock_is_unset(sf_locator_sock(&ip->dst)) &&
	       !sf_sock_is_unset(sf_locator_sock(&ip->src)) &&
	       h->dst.w[0] == sf_be32(SF_SSID_HOSTS);
}

/**
 * follow() - an RSYN to a host that has left goes on to where the host is, if that is known: as if
 * it had been sent to the service address under which each host is found.
 *
 * A service router resolves it; the new destination has the same sum, as ever. Another router sends
 * it to a service router. A service address has no bits to spare, so the sum in the header makes up
 * for it.
 * Return: 0, or 1 where nobody knows: the packet is as it was.
 */
static __noinline int follow(struct __sk_buff *skb)
{
	const struct sf_router_config *cfg;
	const struct sf_addr *peer;
	struct ip6 *ip = ip_of(skb, PULL);
	struct sf_addr to;
	struct sf_hdr *h;
	__u32 zero = 0;
	__u16 aux;

	cfg = bpf_map_lookup_elem(&config, &zero);
	if (!ip || !cfg)
		return 1;
	h = (void *)(ip + 1);
	if ((void *)(h + 1) > (void *)(long)skb->data_end || !is_for_host(ip, h))
		return 1;
	peer = &ip->dst;
	aux = h->aux;
	if (cfg->roles & SF_ROLE_SERVICE) {
		if (resolve(cfg, ip, (void *)(long)skb->data_end, skb->len - L4_AT, &to) ||
		    sf_locator_same_host(&to, peer))
			return 1;
		sf_csum_neutral(peer, &to);
		count_traffic(skb, SF_TRAFFIC_RESOLVED);
	} else {
		to = sf_service_addr(&cfg->net, &h->dst);
		aux = sf_csum_apply(aux, sf_csum_delta(peer, &ip->src, &to, &ip->src));
	}
	if (bpf_skb_store_bytes(skb, L4_AT + __builtin_offsetof(struct sf_hdr, aux), &aux,
				sizeof(aux), 0) ||
	    bpf_skb_store_bytes(skb, DST_AT, &to, sizeof(to), 0) || macs_swap(skb))
		return 1;
	count_traffic(skb, SF_TRAFFIC_FOLLOWED);
	return 0;
}

SEC("tc")
int sf_absent_egress(struct __sk_buff *skb)
{
	const struct sf_router_config *cfg;
	struct ip6 *ip;
	__u32 zero = 0;

	ip = ip_of(skb, L4_AT + SF_HDR_LEN);
	cfg = bpf_map_lookup_elem(&config, &zero);
	if (!ip || !cfg)
		return TC_ACT_SHOT;
	/* The block's /64 leads here, so the destination is ours; what else is sent here is not. */
	if (!sf_addr_in_as(&cfg->net, &ip->dst))
		return TC_ACT_SHOT;
	/* Either way it comes back in as if the device had received it, and is routed. */
	if (!follow(skb))
		return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
	ip = ip_of(skb, L4_AT + SF_HDR_LEN);
	if (!ip)
		return TC_ACT_SHOT;
	if (!draws_fail(ip, (void *)(long)skb->data_end))
		return drop(skb, SF_ABSENT_HOST);
	return answer(skb, SF_ABSENT_HOST, SF_HOST_UNREACHABLE, BPF_F_INGRESS);
}

/* ---- XDP ---- */

/* Whatever is not resolved here, the tc program of the same link sees as it came: it drops, counts
 * and answers. */
static __always_inline int xdp_ingress(struct xdp_md *ctx, bool access)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	const struct sf_router_config *cfg;
	struct ip6 *ip = data + IP_AT;
	struct ethhdr *eth = data;
	struct sf_addr to;
	__u32 zero = 0, what = SF_TRAFFIC_RESOLVED;
	struct sf_count *c;

	if ((void *)(ip + 1) > end || eth->h_proto != sf_be16(ETH_P_IPV6))
		return XDP_PASS;
	cfg = bpf_map_lookup_elem(&config, &zero);
	if (!cfg || !meant_for_us(cfg, &ip->dst) || !(cfg->roles & SF_ROLE_SERVICE))
		return XDP_PASS;
	if (access && source_check(cfg, ctx->ingress_ifindex, eth, ip, end))
		return XDP_PASS;
	if (resolve(cfg, ip, end, end - (void *)(ip + 1), &to))
		return XDP_PASS;
	ip->dst = to;
	c = bpf_map_lookup_elem(&traffic, &what);
	if (c) {
		c->packets++;
		c->bytes += end - data;
	}
	return XDP_PASS;
}

SEC("xdp")
int sf_router_xdp(struct xdp_md *ctx)
{
	return xdp_ingress(ctx, false);
}

SEC("xdp")
int sf_access_xdp(struct xdp_md *ctx)
{
	return xdp_ingress(ctx, true);
}

/* ---- the control socket ---- */

SEC("socket")
int sf_control_filter(struct __sk_buff *skb)
{
	if (police(skb))
		return -1; /* all of it */
	drop_of_link(skb, SF_POLICED);
	return 0;
}

char _license[] SEC("license") = "GPL";
