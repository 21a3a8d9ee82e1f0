// SPDX-License-Identifier: GPL-2.0-only
/*
 * ingress_udp.h - datagrams of flows for local sockets: SYNs, which this host answers itself,
 * SYN-ACKs, and bound ones (docs/protocol.md, "Bound datagrams").
 */
#ifndef SF_BPF_INGRESS_UDP_H
#define SF_BPF_INGRESS_UDP_H

#include "bpf/flows_udp.h"
#include "bpf/ingress_tcp.h"
#include "bpf/reply.h"

/** in_udp_bound() - the hot path: a datagram of a bound flow. Return: a verdict or UDP_LOOK. */
SUBPROG int in_udp_bound(struct __sk_buff *skb)
{
	struct sf_addr pair[2];
	struct sf_flow *f;
	struct udp *udp;
	struct ip6 *ip;
	__u64 id;

	ip = header(skb, L4_AT + sizeof(*udp));
	if (!ip)
		return UDP_LOOK;
	ip = (void *)ip + IP_AT;
	udp = (void *)(ip + 1);
	id = sf_locator_sock(&ip->dst);
	if (sf_sock_is_unset(id))
		return UDP_LOOK;
	f = flow_of(&flows, id);
	if (!f || !sf_udp_is_plain_in(f) || !sf_addr_eq(&f->own, &ip->dst) ||
	    !sf_addr_eq(&f->peer, &ip->src) || udp->sport != f->tuple.pport ||
	    udp->dport != f->tuple.lport)
		return UDP_LOOK;
	/* Once in a while it is looked up whether anybody is still there. */
	if ((f->flags & SF_FLOW_INBOUND) && f->used != sf_used_of(bpf_ktime_get_coarse_ns()))
		return UDP_LOOK;
	pair[0] = f->tuple.peer;
	pair[1] = f->tuple.local;
	if (readdress(skb, pair, L4_AT + UDP_CSUM, sf_csum_undo(f->csum_out), BPF_F_MARK_MANGLED_0))
		return drop(skb, SF_INTERNAL);
	flow_count(f, skb, false);
	count_traffic(skb, SF_TRAFFIC_IN_BOUND);
	return TC_ACT_UNSPEC;
}

/** in_udp_pair() - the addresses that the local socket knows, into w->front.pair. */
static __always_inline void in_udp_pair(struct work *w, const struct sf_tuple *t)
{
	w->front.pair[0] = t->peer;
	w->front.pair[1] = t->local;
}

/** in_udp_write() - write w->front.pair over the addresses of a datagram without header. */
static __always_inline int in_udp_write(struct __sk_buff *skb, struct work *w, bool first)
{
	__u32 delta = sf_csum_delta(&w->src, &w->dst, &w->front.pair[0], &w->front.pair[1]);

	if (readdress(skb, w->front.pair, first ? w->l4 + UDP_CSUM : 0, delta,
		      BPF_F_MARK_MANGLED_0))
		return drop(skb, SF_INTERNAL);
	count_traffic(skb, SF_TRAFFIC_IN_BOUND);
	return TC_ACT_UNSPEC;
}

/** in_udp_first() - a datagram for a socketID, or its first fragment, by its flow.
 * Return: a verdict; -reason where a FAIL no-such-socket is due, counted under that. */
static __noinline int in_udp_first(struct __sk_buff *skb, const struct sf_host_config *cfg,
				   struct work *w)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct sf_flow *f = udp_of(sf_locator_sock(&w->dst), now);
	struct sf_verdict v;

	if (!f) {
		/* As in_overtakes() has it. */
		f = udp_keyed(sf_locator_sock(&w->dst));
		return f && sf_flow_has_keys(f, sf_locator_sock(&w->dst), &w->src)
			       ? drop(skb, SF_WRONG_PEER)
			       : -SF_UNKNOWN_SOCKET;
	}
	v = sf_sal_in_udp(f, SF_KIND_NONE, &w->src, w->seg.sport, w->seg.dport, now);
	if (v.act == SF_ACT_DROP)
		return drop(skb, v.reason);
	if (v.act == SF_ACT_FAIL)
		return -(int)v.reason;
	if ((f->flags & SF_FLOW_INBOUND) && !udp_is_served(cfg, w, f)) {
		udp_forget(cfg, w, f);
		return -SF_NOT_REGISTERED;
	}
	if (v.act == SF_ACT_PROMOTE)
		f = udp_promote(cfg, w, f);
	if (!f)
		return drop(skb, SF_HALF_OPEN_LOST);
	if (v.act == SF_ACT_CONFIRM)
		f->state = SF_FLOW_BOUND;
	if (sf_locator_same_host(&f->peer, &w->src)) {
		sf_flow_heard(f);
		if (f->flags & SF_FLOW_BUDGET)
			__sync_fetch_and_add(&f->budget,
					     ((__s64)skb->len - ETH_HLEN) * SF_MOVE_AMPLIFY);
	}
	in_udp_pair(w, &f->tuple);
	flow_count(f, skb, false);
	if (w->proto == SF_NEXTHDR_FRAG)
		fragment_remember(w, SF_KIND_NONE, 0);
	return in_udp_write(skb, w, true);
}

/** in_udp() - a datagram without header for a socketID, or a fragment of one. */
SUBPROG int in_udp(struct __sk_buff *skb)
{
	bool first;
	int ret;
	WITH_WORK(IN);

	ret = datagram_fragment(skb, w, &first, IN);
	if (!ret && !first) {
		if (!fragment_recall(w) || w->frag.kind != SF_KIND_NONE)
			return drop(skb, SF_FRAGMENT);
		return in_udp_write(skb, w, false);
	}
	if (!ret)
		ret = datagram_ports(skb, w);
	if (ret)
		return drop(skb, ret);
	ret = in_udp_first(skb, cfg, w);
	if (ret >= TC_ACT_UNSPEC)
		return ret;
	return reply_fail(skb, (__u32)-ret, SF_NO_SUCH_SOCKET);
}

/**
 * in_udp_meet() - look for flows with w->tuple; w->key is where a new one goes.
 * @known: receives the flow where the SYN repeats one
 */
static __noinline enum sf_meeting in_udp_meet(const struct sf_host_config *cfg, struct work *w,
					      struct sf_flow **known)
{
	enum sf_meeting m = SF_MEET_NONE;
	struct sf_flow *f;

	*known = NULL;
	if (key_choose(cfg, &w->tuple, &w->key, &f))
		return SF_MEET_OTHER;
	if (f)
		m = sf_sal_meets_udp(f, &w->src);
	/* Put aside: what is half open is found first, and it if its peer still speaks. */
	if (f && m == SF_MEET_OLDER && (f->flags & SF_FLOW_INBOUND))
		f->state = SF_FLOW_CLOSING;
	if (m != SF_MEET_SAME && m != SF_MEET_OTHER) {
		f = flow_here(&half_udp, w->key, &w->tuple);
		m = f ? sf_sal_meets_udp(f, &w->src) : SF_MEET_NONE;
	}
	if (m == SF_MEET_SAME)
		*known = f;
	return m;
}

/** in_udp_enter() - the flow of a SYN: known, or entered half open. */
static __noinline struct sf_flow *in_udp_enter(const struct sf_host_config *cfg, struct work *w)
{
	struct sf_flow *f;
	struct sf_addr own;

	udp_tuple(w, &w->service, &w->src, false);
	/* An opener on this very host would be answered over lo, past the flow. */
	if (!sf_locator_same_host(&w->src, &cfg->own))
		w->tuple.peer = sf_sid_shown(&cfg->net, &w->front.hdr.src, &w->src);
	if (in_udp_meet(cfg, w, &f) == SF_MEET_OTHER) {
		w->tuple.peer = w->src;
		if (in_udp_meet(cfg, w, &f) == SF_MEET_OTHER)
			return NULL;
	}
	if (f)
		return f;
	own = w->dst; /* whichever of our places that is */
	sf_locator_set_sock(&own, sf_socket_id(w->key, (__u8)flow_incarnation(cfg, &w->src)));
	f = &w->flow;
	__builtin_memset(f, 0, sizeof(*f));
	sf_udp_accept(f, &w->tuple, &own, &w->src, &w->front.hdr.src, bpf_ktime_get_coarse_ns());
	f->attempt = sf_be16(w->front.hdr.aux);
	if (bpf_map_update_elem(&half_udp, &w->key, f, BPF_ANY))
		return NULL;
	return f;
}

/** in_udp_answer() - the SYN-ACK of @f in w->build: an empty datagram between the locators. */
static __always_inline __u32 in_udp_answer(const struct sf_host_config *cfg, struct work *w,
					   const struct sf_flow *f)
{
	__u32 len = SF_IPV6_LEN + SF_HDR_LEN + sizeof(struct udp);
	const struct sf_sid *self = (const void *)&cfg->self.w[1];
	struct build *b = &w->build;
	struct sf_hdr *h = (void *)&b->b[SF_IPV6_LEN];
	struct udp *u = (void *)(h + 1);
	__u64 sum;

	build_ip(b, &f->own, &f->peer, len, SF_NEXTHDR_DSTOPTS);
	sf_hdr_init(h, SF_NEXTHDR_UDP, SF_HDR_LEN, SF_KIND_SYN_ACK, 0, 0, &f->peer_sid, self);
	u->sport = f->tuple.lport;
	u->dport = f->tuple.pport;
	u->len = sf_be16(sizeof(*u));
	u->csum = 0;
	sum = sf_csum_addr(&f->own) + sf_csum_addr(&f->peer) + sf_be32(sizeof(*u)) +
	      sf_be32(SF_NEXTHDR_UDP) + build_sum(b, SF_IPV6_LEN + SF_HDR_LEN, len);
	u->csum = (__u16)~sf_csum_fold(sum);
	if (!u->csum)
		u->csum = 0xffff;
	return len;
}

/**
 * in_udp_deliver_answer() - a copy of the delivered datagram goes up, and what is in hand becomes
 * the SYN-ACK in w->build.
 */
static __noinline int in_udp_deliver_answer(struct __sk_buff *skb, struct work *w, __u32 len)
{
	skb->mark = SF_MARK_OWN;
	if (bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS)) {
		/* The datagram is worth more than the answer, which the next one draws. */
		skb->mark = 0;
		return TC_ACT_UNSPEC;
	}
	skb->mark = 0;
	return reply_back(skb, w, len);
}

/** in_udp_open() - deliver what opens @f, all or the first fragment, and answer. */
static __noinline int in_udp_open(struct __sk_buff *skb, const struct sf_host_config *cfg,
				  struct work *w, struct sf_flow *f)
{
	__u8 nexthdr = w->proto;
	__u32 len;

	f->used = sf_used_of(bpf_ktime_get_coarse_ns());
	/* A refusal by the local stack is to quote the attempt that the opener waits for. */
	f->attempt = sf_be16(w->front.hdr.aux);
	in_udp_pair(w, &f->tuple);
	if (nexthdr == SF_NEXTHDR_FRAG)
		fragment_remember(w, SF_KIND_SYN, 0);
	len = in_udp_answer(cfg, w, f);
	if (datagram_unwrap(skb, w, nexthdr, true))
		return drop(skb, SF_INTERNAL);
	count_traffic(skb, SF_TRAFFIC_IN_SYN);
	return in_udp_deliver_answer(skb, w, len);
}

/** in_udp_listener() - the live listener of a SYN, which counts it: most flows are over with one
 * datagram, and evicted. */
static __noinline struct sf_listener *in_udp_listener(const struct sf_host_config *cfg,
						      struct work *w, __u32 len)
{
	struct sf_listener *l = listener_find(cfg, w, SF_NEXTHDR_UDP, w->seg.dport);

	if (l) {
		__sync_fetch_and_add(&l->packets, 1);
		__sync_fetch_and_add(&l->bytes, len);
	}
	return l;
}

/** in_udp_syn() - a datagram with header SYN, or a fragment of one. */
SUBPROG int in_udp_syn(struct __sk_buff *skb)
{
	struct sf_listener *l;
	struct sf_flow *f;
	bool first;
	int ret;
	WITH_WORK(IN);

	if (!sf_sock_is_unset(sf_locator_sock(&w->dst)))
		return drop(skb, SF_WRONG_STATE);
	ret = datagram_fragment(skb, w, &first, IN);
	if (!ret && first)
		ret = datagram_ports(skb, w);
	if (ret)
		return drop(skb, ret);
	if (!first) {
		if (!fragment_recall(w) || w->frag.kind != SF_KIND_SYN)
			return drop(skb, SF_FRAGMENT);
		if (datagram_unwrap(skb, w, SF_NEXTHDR_FRAG, false))
			return drop(skb, SF_INTERNAL);
		count_traffic(skb, SF_TRAFFIC_IN_SYN);
		return TC_ACT_UNSPEC;
	}
	l = in_udp_listener(cfg, w, skb->len);
	if (!l)
		return reply_fail(skb, SF_NOT_REGISTERED, SF_NO_SUCH_SOCKET);
	f = in_udp_enter(cfg, w);
	if (!f)
		return drop(skb, SF_ID_CLASH);
	/* Between a crash and its release there may be a listener without a socket. */
	if (!udp_has_socket(skb, &w->tuple))
		return reply_fail(skb, SF_NOT_REGISTERED, SF_NO_SUCH_SOCKET);
	if (f == &w->flow)
		__sync_fetch_and_add(&l->flows, 1);
	return in_udp_open(skb, cfg, w, f);
}

/** in_udp_syn_ack() - a SYN-ACK for one of our socketIDs: it binds, and is nobody's datagram. */
SUBPROG int in_udp_syn_ack(struct __sk_buff *skb)
{
	struct sf_verdict v;
	struct sf_flow *f;
	struct udp u;
	__u64 now, sum;
	WITH_WORK(IN);

	if (w->plen != w->hlen + sizeof(u) || load(skb, w->l4, &u, sizeof(u)))
		return drop(skb, SF_BAD_HEADER);
	sum = sf_csum_addr(&w->src) + sf_csum_addr(&w->dst) + sf_be32(sizeof(u)) +
	      sf_be32(SF_NEXTHDR_UDP) + u.sport + u.dport + u.len + u.csum;
	if (sf_csum_fold(sum) != 0xffff)
		return drop(skb, SF_BAD_CHECKSUM);
	now = bpf_ktime_get_coarse_ns();
	f = udp_of(sf_locator_sock(&w->dst), now);
	if (!f)
		return drop(skb, SF_UNKNOWN_SOCKET);
	v = sf_sal_in_udp(f, SF_KIND_SYN_ACK, &w->src, u.sport, u.dport, now);
	if (v.act == SF_ACT_DROP)
		return drop(skb, v.reason);
	if (v.act == SF_ACT_FAIL)
		return reply_fail(skb, v.reason, v.fail);
	/* Of two that come at once the first wins: it sets the epoch. */
	if (__sync_val_compare_and_swap(&f->epoch, 0, 1))
		return drop(skb, SF_DUPLICATE);
	sf_udp_bind(f, &w->src, &w->front.hdr.src, now);
	count_traffic(skb, SF_TRAFFIC_IN_BOUND);
	return TC_ACT_SHOT;
}

#endif
