// SPDX-License-Identifier: GPL-2.0-only
/*
 * probe.h - PROBE answered where it arrives, with every daemon dead (docs/protocol.md, "FAIL and
 * silence"): is this instance served here, and which of these socketIDs are dead?
 */
#ifndef SF_BPF_PROBE_H
#define SF_BPF_PROBE_H

#include "bpf/flows_udp.h"
#include "bpf/reply.h"

#define PROBE_SOCKS_MAX 16
#define SOCKS_AT	(SF_IPV6_LEN + SF_PROBE_LEN) /* TLV of socketIDs, in w->build */

/** probe_is_unserved() - whether a flow of datagrams that the prober opened has outlived the last
 * socket of its port: nothing ends it until its peer sends, and that may be one that only listens.
 */
static __noinline bool probe_is_unserved(const struct sf_host_config *cfg, struct work *w,
					 const struct sf_flow *f)
{
	return f->tuple.proto == SF_NEXTHDR_UDP && (f->flags & SF_FLOW_INBOUND) &&
	       !udp_is_served(cfg, w, f);
}

/** probe_is_dead() - whether no flow with the prober's host has this socketID, or had it until one
 * of the two moved. */
static __always_inline bool probe_is_dead(struct __sk_buff *skb, const struct sf_host_config *cfg,
					  struct work *w, const __u8 *at)
{
	__u64 id = 0, now = bpf_ktime_get_coarse_ns();
	struct sf_flow *f;
	__u32 state;

	for (int i = 0; i < SOCK_LEN; i++)
		id = id << 8 | at[i];
	f = flow_named(id, now);
	if (!f)
		f = flow_of(&half_udp, id);
	if (!f)
		return true;
	if (f->state == SF_FLOW_CLOSING &&
	    f->tuple.proto == SF_NEXTHDR_TCP) { /* the entry outlives its socket */
		w->tuple = f->tuple;
		state = socket_of(skb, &w->tuple);
		if (!state || state == BPF_TCP_LISTEN)
			return true;
	}
	if (probe_is_unserved(cfg, w, f))
		return true;
	/* Another host's flow is none of the prober's business. */
	return !sf_locator_same_host(&f->peer, &w->src) &&
	       !(sf_flow_in_grace(f, now) && sf_locator_same_host(&f->before, &w->src));
}

/**
 * probe_socks() - keep of the list of socketIDs the dead ones, padding with zeros.
 *
 * How many they are is counted in memory, so that the verifier does not follow each combination.
 */
static __noinline int probe_socks(struct __sk_buff *skb, const struct sf_host_config *cfg,
				  struct work *w)
{
	__u8 *tlv = &w->build.b[SOCKS_AT], sock[SOCK_LEN];
	__u32 n = tlv[1] / SOCK_LEN, to;

	if (tlv[0] != SF_TLV_SOCKS || tlv[1] % SOCK_LEN || n > PROBE_SOCKS_MAX ||
	    SF_PROBE_LEN + 2 + tlv[1] > w->hlen)
		return SF_BAD_HEADER;
	w->dead = 0;
	for (__u32 i = 0; i < PROBE_SOCKS_MAX && i < n; i++) {
		__builtin_memcpy(sock, &tlv[2 + i * SOCK_LEN], SOCK_LEN);
		__builtin_memset(&tlv[2 + i * SOCK_LEN], 0, SOCK_LEN);
		if (!probe_is_dead(skb, cfg, w, sock))
			continue;
		/* Checked after the call: what the compiler spills around it the verifier of Linux
		 * 6.1 forgets. */
		to = w->dead;
		SF_BARRIER(to);
		if (to >= PROBE_SOCKS_MAX)
			continue;
		__builtin_memcpy(&tlv[2 + to * SOCK_LEN], sock, SOCK_LEN);
		w->dead = to + 1;
	}
	tlv[1] = (__u8)(w->dead * SOCK_LEN);
	return 0;
}

/** in_probe() - a packet with header PROBE: turned round as PROBE-ACK, or refused. */
SUBPROG int in_probe(struct __sk_buff *skb)
{
	struct sf_sid self, prober;
	struct sf_tlv_target *t;
	struct sf_hdr *h;
	struct build *b;
	int bad = 0;
	__u32 n;
	WITH_WORK(IN);

	b = &w->build;
	h = (void *)&b->b[SF_IPV6_LEN];
	t = (void *)&b->b[SF_IPV6_LEN + SF_HDR_LEN];
	self = sf_addr_sid(&cfg->self);
	n = SF_IPV6_LEN + w->plen;
	if (!sf_sock_is_unset(sf_locator_sock(&w->dst)))
		return drop(skb, SF_WRONG_STATE);
	if (w->hlen < SF_PROBE_LEN || w->plen != w->hlen || n > SF_BUILD_MAX)
		return drop(skb, SF_BAD_HEADER);
	if (OUTSIDE(n, SF_IPV6_LEN + SF_PROBE_LEN, SF_BUILD_MAX) || load(skb, IP_AT, b, n))
		return drop(skb, SF_TRUNCATED);
	if (sf_csum_fold(sf_alone_pseudo(&w->src, &w->dst, w->plen) +
			 build_sum(b, SF_IPV6_LEN, n)) != 0xffff)
		return drop(skb, SF_BAD_CHECKSUM);
	if (t->type != SF_TLV_TARGET || t->len != TLV_LEN(*t))
		return drop(skb, SF_BAD_HEADER);
	/* Whoever is here is asked for sockets alone; of services only those that are served. */
	if (!sf_sid_eq(&w->front.hdr.dst, &self) && !sf_sid_is_zero(&w->front.hdr.dst) &&
	    !listener_find(cfg, w, t->proto, t->port))
		return reply_fail(skb, SF_NOT_REGISTERED, SF_NO_SUCH_SOCKET);
	if (w->hlen > SF_PROBE_LEN)
		bad = probe_socks(skb, cfg, w);
	if (bad)
		return drop(skb, bad);
	prober = h->src;
	sf_hdr_init(h, SF_NEXTHDR_NONE, w->hlen, SF_KIND_PROBE_ACK, 0, 0, &prober, &self);
	build_ip(b, &w->dst, &w->src, n, SF_NEXTHDR_DSTOPTS);
	h->aux = (__u16)~sf_csum_fold(sf_alone_pseudo(&w->dst, &w->src, w->plen) +
				      build_sum(b, SF_IPV6_LEN, n));
	count_traffic(skb, SF_TRAFFIC_PROBED);
	return reply_back(skb, w, n);
}

#endif
