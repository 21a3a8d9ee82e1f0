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
 *   router_ingress  tc ingress of links to other routers: resolution
 *   access_ingress  tc ingress of links where hosts may join: filter, then resolution
 *   absent_egress   tc egress of the dummy device to which the block's /64 points: packets to
 *                   hosts that are not there; those that may draw one get a soft FAIL
 *   router_xdp      resolution alone, for drivers with native XDP; whatever it cannot resolve it
 *                   leaves to the tc program of the same link, which counts and answers
 *
 * Resolution is one 16-byte store into the destination. It leaves the ones'-complement sum as it
 * was (core/csum.h), so it is right for checksums that are complete, partial or in hardware. Then
 * the kernel forwards by its FIB (TC_ACT_UNSPEC: later filters still see the packet).
 *
 * Nothing here keeps state about packets, and nothing needs the daemon to be alive.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "core/ctrl.h"
#include "core/datapath.h"
#include "core/resolve.h"
#include "core/wire.h"

/* An IPv6 header whose addresses are core's. */
struct ip6 {
	__be32 head; /* version, traffic class, flow label */
	__be16 len;
	__u8 nexthdr;
	__u8 hops;
	struct sf_addr src;
	struct sf_addr dst;
};

SF_STATIC_ASSERT(sizeof(struct ip6) == SF_IPV6_LEN, "IPv6 header");

#define IP_AT	(__u32)sizeof(struct ethhdr)
#define DST_AT	(IP_AT + __builtin_offsetof(struct ip6, dst))
#define HDR_AT	(IP_AT + SF_IPV6_LEN)
#define PULL	(HDR_AT + SF_HDR_MAX + 4) /* longest header and the ports behind it */
#define HOPS	64
#define FAIL_AT (SF_IPV6_LEN + SF_FAIL_LEN) /* what a FAIL puts before its quotation */

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
	__uint(max_entries, 262144);
	__type(key, struct sf_service_key);
	__type(value, struct sf_rule);
} rules SEC(".maps");

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

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SF_REASON_MAX);
	__type(key, __u32);
	__type(value, struct sf_count);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SF_TRAFFIC_MAX);
	__type(key, __u32);
	__type(value, struct sf_count);
} traffic SEC(".maps");

/* How many FAILs went out in the current second. */
struct limit {
	__u64 second;
	__u64 used;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct limit);
} limits SEC(".maps");

/* ---- counting ---- */

static __always_inline void count_in(void *map, __u32 index, __u32 bytes)
{
	struct sf_count *c = bpf_map_lookup_elem(map, &index);

	if (c) {
		c->packets++;
		c->bytes += bytes;
	}
}

static __always_inline int drop(struct __sk_buff *skb, __u32 reason)
{
	count_in(&counters, reason, skb->len);
	return TC_ACT_SHOT;
}

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
	if (kind == SF_KIND_SYN || kind == SF_KIND_DATA) {
		const __be16 *ports = (const void *)h + sf_hdr_bytes(h);

		if (h->nexthdr != SF_NEXTHDR_TCP && h->nexthdr != SF_NEXTHDR_UDP)
			return SF_BAD_PROTOCOL;
		if ((const void *)(ports + 2) > end)
			return SF_TRUNCATED;
		key->proto = h->nexthdr;
		key->port = ports[1];
	} else if (kind == SF_KIND_PROBE) {
		const struct sf_tlv_target *t = (const void *)(h + 1);

		if (sf_hdr_bytes(h) >= SF_PROBE_LEN && (const void *)(t + 1) <= end &&
		    t->type == SF_TLV_TARGET && t->len == sizeof(*t) - 2) {
			key->proto = t->proto;
			key->port = t->port;
		}
	}
	return 0;
}

static __always_inline const struct sf_rule *find_rule(struct sf_service_key *key)
{
	const struct sf_rule *rule = bpf_map_lookup_elem(&rules, key);

	if (rule || !(key->proto | key->port))
		return rule;
	key->proto = 0;
	key->port = 0;
	return bpf_map_lookup_elem(&rules, key);
}

/**
 * resolve() - choose the destination of a packet that is meant_for_us().
 * @ip: IPv6 header, in bounds
 * @end: end of the bytes that may be read
 * @room: bytes of the packet behind the IPv6 header, readable or not
 * @to: the new destination, 16 bytes in a map
 * Return: 0 or the reason for which there is none.
 */
static __always_inline __u8 resolve(const struct sf_router_config *cfg, const struct ip6 *ip,
				    const void *end, __u32 room, const struct sf_addr **to)
{
	const struct sf_hdr *h = (const void *)(ip + 1);
	struct sf_service_key key;
	const struct sf_rule *rule;
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
	rule = find_rule(&key);
	if (!rule)
		return SF_NO_SUCH_SERVICE;
	if (rule->size == 1) {
		*to = &rule->only;
		return 0;
	}
	if (!rule->size)
		return SF_NO_INSTANCE;
	aux = sf_be16(h->aux);
	pick = sf_rule_pick(&cfg->key, rule, &ip->src, kind == SF_KIND_DATA ? aux : 0);
	at = rule->at + pick.slot;
	want = kind == SF_KIND_SYN ? sf_pick_want(aux, rule->instances) : 0;
	if (want)
		at = attempt_slot(rule, &pick, want);
	*to = bpf_map_lookup_elem(&slots, &at);
	return *to ? 0 : SF_INTERNAL;
}

/* ---- FAIL ---- */

/** may_answer() - take one of this second's FAILs (SF_FAIL_PER_SEC for the whole router). */
static __always_inline bool may_answer(void)
{
	__u32 zero = 0;
	struct limit *l = bpf_map_lookup_elem(&limits, &zero);
	__u64 second = bpf_ktime_get_ns() >> 30; /* near enough, and no division */

	if (!l)
		return false;
	/* Two CPUs may both open a second: it then has a few more, which does no harm. */
	if (l->second != second) {
		l->second = second;
		l->used = 0;
	}
	return __sync_fetch_and_add(&l->used, 1) < SF_FAIL_PER_SEC;
}

/* What is put before the offending packet, which thereby becomes its own quotation. */
struct fail {
	struct ip6 ip;
	struct sf_hdr hdr;
	struct sf_tlv_reason why;
} SF_PACKED;

SF_STATIC_ASSERT(sizeof(struct fail) == FAIL_AT, "FAIL");

/* Where a FAIL is put together: it does not fit the stack. One for each CPU, as tc runs with
 * preemption by its own kind disabled. */
struct draft {
	struct fail f;
	__u8 quote[SF_QUOTE_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct draft);
} drafts SEC(".maps");

/** fail_seal() - the checksum of a FAIL that is written, over the first @quoted bytes of @skb. */
static __always_inline int fail_seal(struct __sk_buff *skb, struct draft *d, __u32 quoted)
{
	__u64 sum;
	__s64 part;

	if (quoted < 1 || quoted > SF_QUOTE_MAX)
		return SF_TRUNCATED;
	sf_memset(d->quote, 0, sizeof(d->quote));
	if (bpf_skb_load_bytes(skb, IP_AT, d->quote, quoted))
		return SF_TRUNCATED;
	sum = sf_alone_pseudo(&d->f.ip.src, &d->f.ip.dst, SF_FAIL_LEN + quoted);
	part = bpf_csum_diff(NULL, 0, (__be32 *)&d->f.hdr, SF_FAIL_LEN + SF_QUOTE_MAX, 0);
	d->f.hdr.aux = ~sf_csum_fold(sum + (__u32)part);
	return 0;
}

/**
 * fail_make() - turn the packet into a FAIL to its source.
 * @reason: as on the wire
 * Return: 0, or the reason for which there is no answer.
 */
static __noinline int fail_make(struct __sk_buff *skb, __u32 reason)
{
	__u8 macs[12], swapped[12];
	struct sf_router_config *cfg;
	struct sf_hdr was = {};
	__u32 zero = 0, quoted;
	struct draft *d;
	struct ip6 ip;
	int err;

	cfg = bpf_map_lookup_elem(&config, &zero);
	d = bpf_map_lookup_elem(&drafts, &zero);
	if (!cfg || !d || bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)) ||
	    bpf_skb_load_bytes(skb, IP_AT, &ip, sizeof(ip)))
		return SF_TRUNCATED;
	if (ip.nexthdr == SF_NEXTHDR_DSTOPTS && bpf_skb_load_bytes(skb, HDR_AT, &was, sizeof(was)))
		return SF_TRUNCATED;
	if (!may_answer())
		return SF_RATE_LIMITED;
	quoted = skb->len - IP_AT;
	if (quoted > SF_QUOTE_MAX)
		quoted = SF_QUOTE_MAX;

	d->f.ip.head = sf_be32(6u << 28);
	d->f.ip.len = sf_be16(SF_FAIL_LEN + quoted);
	d->f.ip.nexthdr = SF_NEXTHDR_DSTOPTS;
	d->f.ip.hops = HOPS;
	d->f.ip.src = cfg->own;
	d->f.ip.dst = ip.src;
	sf_hdr_init(&d->f.hdr, SF_NEXTHDR_NONE, SF_FAIL_LEN, SF_KIND_FAIL, 0, 0, &was.src,
		    &was.dst);
	d->f.why.type = SF_TLV_REASON;
	d->f.why.len = sizeof(d->f.why) - 2;
	d->f.why.reason = reason;
	d->f.why.kind = ip.nexthdr == SF_NEXTHDR_DSTOPTS ? sf_hdr_kind(&was) : SF_KIND_NONE;
	d->f.why.quoted = sf_be16(quoted);
	d->f.why.reserved = 0;
	err = fail_seal(skb, d, quoted);
	if (err)
		return err;

	/* Cutting also ends segmentation offload; then the FAIL's headers go before the rest. */
	if (bpf_skb_change_tail(skb, IP_AT + quoted, 0) ||
	    bpf_skb_adjust_room(skb, FAIL_AT, BPF_ADJ_ROOM_MAC, 0))
		return SF_INTERNAL;
	sf_memcpy(swapped, macs + 6, 6);
	sf_memcpy(swapped + 6, macs, 6);
	if (bpf_skb_store_bytes(skb, 0, swapped, sizeof(swapped), 0) ||
	    bpf_skb_store_bytes(skb, IP_AT, &d->f, sizeof(d->f), 0))
		return SF_INTERNAL;
	return 0;
}

/** answer() - send FAIL @wire for a packet that may draw one, else drop; counted under @reason. */
static __always_inline int answer(struct __sk_buff *skb, __u32 reason, __u32 wire, __u64 flags)
{
	int err;

	count_in(&counters, reason, skb->len);
	err = fail_make(skb, wire);
	if (err)
		return drop(skb, err);
	count_in(&traffic, SF_TRAFFIC_FAIL_SENT, skb->len);
	return bpf_redirect(skb->ifindex, flags);
}

/* ---- tc ---- */

/**
 * source_check() - the access filter (docs/protocol.md section 4).
 * Return: 0 or the reason for which the packet is dropped.
 */
static __always_inline __u8 source_check(const struct sf_router_config *cfg, __u32 ifindex,
					 const struct ip6 *ip, const void *end)
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
	}
	if (ip->nexthdr != SF_NEXTHDR_DSTOPTS)
		return 0;
	if ((const void *)(h + 1) > end)
		return SF_TRUNCATED;
	if (!sf_hdr_is_ours(h) || sf_hdr_version(h) != SF_WIRE_VERS)
		return 0;
	kind = sf_hdr_kind(h);
	if ((kind != SF_KIND_SYN && kind != SF_KIND_DATA) || sf_sid_is_zero(&h->src))
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
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || skb->vlan_present)
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
	const struct sf_addr *to;
	struct ip6 *ip;
	__u32 zero = 0;
	__u8 reason;

	ip = ip_of(skb, HDR_AT);
	cfg = bpf_map_lookup_elem(&config, &zero);
	if (!ip || !cfg)
		return TC_ACT_UNSPEC;
	if (access) {
		if (ip->nexthdr == SF_NEXTHDR_DSTOPTS) {
			ip = ip_of(skb, HDR_AT + SF_HDR_LEN);
			if (!ip)
				return drop(skb, SF_TRUNCATED);
		}
		reason = source_check(cfg, skb->ifindex, ip, (void *)(long)skb->data_end);
		if (reason)
			return drop(skb, reason);
	}
	if (!meant_for_us(cfg, &ip->dst) || !(cfg->roles & SF_ROLE_SERVICE))
		return TC_ACT_UNSPEC;
	if (skb->data_end - skb->data < skb->len) {
		ip = ip_of(skb, PULL);
		if (!ip)
			return drop(skb, SF_TRUNCATED);
	}
	reason = resolve(cfg, ip, (void *)(long)skb->data_end, skb->len - HDR_AT, &to);
	if (reason == SF_NO_SUCH_SERVICE || reason == SF_NO_INSTANCE)
		return answer(skb, reason, SF_NO_SUCH_SERVICE, 0);
	if (!reason && bpf_skb_store_bytes(skb, DST_AT, to, sizeof(*to), 0))
		reason = SF_INTERNAL;
	if (reason)
		return drop(skb, reason);
	count_in(&traffic, SF_TRAFFIC_RESOLVED, skb->len);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int router_ingress(struct __sk_buff *skb)
{
	return ingress(skb, false);
}

SEC("tc")
int access_ingress(struct __sk_buff *skb)
{
	return ingress(skb, true);
}

/** draws_fail() - whether a packet to an absent host may be answered. */
static __always_inline bool draws_fail(const struct ip6 *ip, const void *end)
{
	const struct sf_hdr *h = (const void *)(ip + 1);

	if (sf_sock_is_unset(sf_locator_sock(&ip->src)))
		return false;
	if (ip->nexthdr == SF_NEXTHDR_DSTOPTS && (const void *)(h + 1) <= end && sf_hdr_is_ours(h))
		return sf_hdr_version(h) == SF_WIRE_VERS && sf_kind_draws_fail(sf_hdr_kind(h));
	/* Without a header: a bound flow's, if both ends are sockets. */
	return (ip->nexthdr == SF_NEXTHDR_TCP || ip->nexthdr == SF_NEXTHDR_UDP) &&
	       !sf_sock_is_unset(sf_locator_sock(&ip->dst));
}

SEC("tc")
int absent_egress(struct __sk_buff *skb)
{
	const struct sf_router_config *cfg;
	struct ip6 *ip;
	__u32 zero = 0;

	ip = ip_of(skb, HDR_AT + SF_HDR_LEN);
	cfg = bpf_map_lookup_elem(&config, &zero);
	if (!ip || !cfg)
		return TC_ACT_SHOT;
	/* The block's /64 leads here, so the destination is ours; what else is sent here is not. */
	if (!sf_addr_in_as(&cfg->net, &ip->dst))
		return TC_ACT_SHOT;
	if (!draws_fail(ip, (void *)(long)skb->data_end))
		return drop(skb, SF_ABSENT_HOST);
	/* It comes back in as if the device had received it, and is routed to its source. */
	return answer(skb, SF_ABSENT_HOST, SF_HOST_UNREACHABLE, BPF_F_INGRESS);
}

/* ---- XDP ---- */

SEC("xdp")
int router_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	const struct sf_router_config *cfg;
	struct ip6 *ip = data + IP_AT;
	struct ethhdr *eth = data;
	const struct sf_addr *to;
	__u32 zero = 0;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IPV6))
		return XDP_PASS;
	cfg = bpf_map_lookup_elem(&config, &zero);
	if (!cfg || !meant_for_us(cfg, &ip->dst) || !(cfg->roles & SF_ROLE_SERVICE))
		return XDP_PASS;
	if (resolve(cfg, ip, end, end - (void *)(ip + 1), &to))
		return XDP_PASS;
	ip->dst = *to;
	count_in(&traffic, SF_TRAFFIC_RESOLVED, end - data);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
