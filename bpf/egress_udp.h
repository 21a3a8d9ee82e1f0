// SPDX-License-Identifier: GPL-2.0-only
/*
 * egress_udp.h - datagrams of local sockets that have a flow, or are to have one: of connected
 * sockets, and answers to those (docs/design/0005-bound-datagrams.md).
 */
#ifndef SF_BPF_EGRESS_UDP_H
#define SF_BPF_EGRESS_UDP_H

#include "bpf/egress_tcp.h"
#include "bpf/flows_udp.h"
#include "bpf/reply.h"

/** out_udp_bound() - the hot path: a datagram of a bound flow. Return: a verdict or UDP_LOOK. */
SUBPROG int out_udp_bound(struct __sk_buff *skb)
{
	struct sf_tuple *t;
	struct sf_flow *f;
	struct udp *udp;
	struct ip6 *ip;
	WITH_WORK(OUT);

	ip = header(skb, L4_AT + sizeof(*udp));
	if (!ip)
		return UDP_LOOK;
	ip = (void *)ip + IP_AT;
	udp = (void *)(ip + 1);
	t = &w->tuple;
	t->local = ip->src;
	t->peer = ip->dst;
	t->lport = udp->sport;
	t->pport = udp->dport;
	t->proto = SF_NEXTHDR_UDP;
	f = flow_here(&flows, sf_flow_key(sf_flow_hash(&cfg->key, t), false), t);
	if (!f || !sf_udp_is_plain(f))
		return UDP_LOOK;
	if (readdress(skb, &f->own, L4_AT + UDP_CSUM, f->csum_out, BPF_F_MARK_MANGLED_0))
		return drop(skb, SF_INTERNAL);
	udp_count_out(f, skb);
	count_traffic(skb, SF_TRAFFIC_OUT_BOUND);
	return sf_locator_same_host(&f->own, &cfg->own) ? TC_ACT_UNSPEC : out_leave(skb, &f->own);
}

/**
 * udp_was_asked() - whether the datagram in hand answers one of @p that came unbound: so it goes
 * unbound, too.
 *
 * A server may answer by another socket than it was asked at; who speaks for the host itself does
 * not, so what an instance once sent to one of its ports is nothing to the others.
 */
static __always_inline bool udp_was_asked(const struct sf_host_config *cfg, const struct work *w,
					  const struct sf_peer *p)
{
	if (!p || (p->flags & SF_PEER_ANSWER))
		return false;
	return !sf_addr_eq(&w->src, &cfg->self) ||
	       p->flags >> SF_PEER_PORT_AT == sf_be16(w->seg.sport);
}

/**
 * out_udp_connected() - whether the datagram in hand is to have a flow: its socket is connected to
 * where it goes, a service, and that peer did not ask us unbound.
 */
static __noinline bool out_udp_connected(struct __sk_buff *skb, const struct sf_host_config *cfg,
					 struct work *w)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk || !sf_addr_is_service(&cfg->net, &w->dst))
		return false;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->family != AF_INET6 || sk->protocol != SF_NEXTHDR_UDP ||
	    sk->state != BPF_TCP_ESTABLISHED || sk->dst_port != w->seg.dport ||
	    sk->dst_ip6[0] != w->dst.w[0] || sk->dst_ip6[1] != w->dst.w[1] ||
	    sk->dst_ip6[2] != w->dst.w[2] || sk->dst_ip6[3] != w->dst.w[3])
		return false;
	__builtin_memset(&w->peer_key, 0, sizeof(w->peer_key));
	w->peer_key.peer = w->dst;
	w->peer_key.pport = w->seg.dport;
	w->peer_key.proto = SF_NEXTHDR_UDP;
	return !udp_was_asked(cfg, w, bpf_map_lookup_elem(&datagrams, &w->peer_key));
}

/** out_udp_syn() - a datagram of a connecting flow @f, or a fragment of one. */
static __noinline int out_udp_syn(struct __sk_buff *skb, const struct sf_host_config *cfg,
				  struct work *w, struct sf_flow *f)
{
	struct sf_sid own = sf_addr_sid_or_none(&cfg->net, &f->tuple.local);
	bool fragmented = w->proto == SF_NEXTHDR_FRAG;
	__u16 attempt;
	int ret;

	if (datagram_size(skb) + (fragmented ? DATA_FRAGMENT_LEN : SF_HDR_LEN) > cfg->mtu)
		return datagram_too_big(skb, cfg, w);
	attempt = sf_udp_attempt(f, bpf_ktime_get_coarse_ns());
	w->front.pair[0] = f->own;
	w->front.pair[1] = f->tuple.peer;
	if (fragmented)
		fragment_remember(w, SF_KIND_SYN, attempt);
	ret = datagram_wrap(skb, w, SF_KIND_SYN << 16 | attempt, &f->peer_sid, &own, fragmented,
			    true);
	if (ret == TC_ACT_SHOT)
		return ret;
	udp_count_out(f, skb);
	count_traffic(skb, SF_TRAFFIC_OUT_SYN);
	return ret;
}

/** out_udp_open() - the first datagram of a flow: enter it. Return: the entry, or NULL where there
 * is no room: then the datagram goes unbound. */
static __noinline struct sf_flow *out_udp_open(const struct sf_host_config *cfg, struct work *w)
{
	struct sf_flow *f = &w->flow, *old;
	struct sf_addr own;
	__u8 incarnation;
	__u64 key;

	if (key_choose(cfg, &w->tuple, &key, &old))
		return NULL;
	incarnation = (__u8)(old ? sf_locator_sock(&old->own) + 1 : bpf_get_prandom_u32());
	own = sf_locator(&cfg->net, cfg->host, sf_socket_id(key, incarnation));
	__builtin_memset(f, 0, sizeof(*f));
	sf_udp_open(f, &cfg->net, &w->tuple, &own, bpf_ktime_get_coarse_ns());
	if (bpf_map_update_elem(&flows, &key, f, BPF_ANY))
		return NULL;
	return bpf_map_lookup_elem(&flows, &key);
}

/** out_udp_write() - send a datagram between w->front.pair, or a fragment of one. @f: its flow, if
 * there is still one; @csum_at: as in csum_fix(). */
static __noinline int out_udp_write(struct __sk_buff *skb, const struct sf_host_config *cfg,
				    struct work *w, struct sf_flow *f, __u32 csum_at)
{
	w->seg.len = skb->gso_segs > 1 ? skb->len - w->l4 - sizeof(struct udp) : 0;
	if (f && (f->flags & SF_FLOW_BUDGET) && !out_pay(skb, w, f))
		return drop(skb, SF_UNPROVEN_PLACE);
	if (readdress(skb, w->front.pair, csum_at,
		      sf_csum_delta(&w->src, &w->dst, &w->front.pair[0], &w->front.pair[1]),
		      BPF_F_MARK_MANGLED_0))
		return drop(skb, SF_INTERNAL);
	if (f)
		udp_count_out(f, skb);
	count_traffic(skb, SF_TRAFFIC_OUT_BOUND);
	if (sf_locator_same_host(&w->front.pair[0], &cfg->own))
		return TC_ACT_UNSPEC;
	return out_leave(skb, &w->front.pair[0]);
}

/** out_udp_rest() - a fragment that follows: as its first one went. */
static __noinline int out_udp_rest(struct __sk_buff *skb, const struct sf_host_config *cfg,
				   struct work *w)
{
	struct sf_sid dst, src;
	int ret;

	if (!fragment_recall(w))
		return drop(skb, SF_FRAGMENT);
	if (w->frag.kind == SF_KIND_DATA)
		return UDP_UNBOUND;
	if (w->frag.kind == SF_KIND_NONE)
		return out_udp_write(skb, cfg, w,
				     flow_of(&flows, sf_locator_sock(&w->front.pair[0])), 0);
	if (datagram_size(skb) + DATA_FRAGMENT_LEN > cfg->mtu)
		return datagram_too_big(skb, cfg, w);
	dst = sf_addr_sid_or_none(&cfg->net, &w->dst);
	src = sf_addr_sid_or_none(&cfg->net, &w->src);
	ret = datagram_wrap(skb, w, SF_KIND_SYN << 16 | w->frag.aux, &dst, &src, true, false);
	if (ret != TC_ACT_SHOT)
		count_traffic(skb, SF_TRAFFIC_OUT_SYN);
	return ret;
}

/** out_udp_plain() - a datagram of a bound flow, or the first fragment of one. */
static __noinline int out_udp_plain(struct __sk_buff *skb, const struct sf_host_config *cfg,
				    struct work *w, struct sf_flow *f)
{
	w->front.pair[0] = f->own;
	w->front.pair[1] = f->peer;
	if (w->proto == SF_NEXTHDR_FRAG)
		fragment_remember(w, SF_KIND_NONE, 0);
	return out_udp_write(skb, cfg, w, f, w->l4 + UDP_CSUM);
}

/** out_udp() - a datagram of a local socket, or a fragment of one, that is not plain.
 * Return: a verdict or UDP_UNBOUND. */
SUBPROG int out_udp(struct __sk_buff *skb)
{
	struct sf_verdict v;
	struct sf_flow *f;
	bool first;
	int bad;
	WITH_WORK(OUT);

	if (!cfg->host)
		return drop(skb, SF_NOT_JOINED);
	/* Who has no name has its plain address, as out_datagram() says. */
	if (!sf_addr_is_service(&cfg->net, &w->src) && !sf_addr_eq(&w->src, &cfg->own))
		return drop(skb, SF_NO_FLOW);
	bad = datagram_fragment(skb, w, &first, OUT);
	if (!bad && !first)
		return out_udp_rest(skb, cfg, w);
	if (!bad)
		bad = datagram_ports(skb, w);
	if (bad)
		return drop(skb, bad);
	udp_tuple(w, &w->src, &w->dst, true);
	f = udp_of_tuple(cfg, &w->tuple);
	v = sf_sal_out_udp(f,
			   (!f || f->state == SF_FLOW_CLOSING) && out_udp_connected(skb, cfg, w));
	if (v.act == SF_ACT_OPEN) {
		f = out_udp_open(cfg, w);
		v.act = f ? SF_ACT_SYN : SF_ACT_UNBOUND;
	}
	if (v.act == SF_ACT_DROP)
		return drop(skb, v.reason);
	if (!f || v.act == SF_ACT_UNBOUND)
		return UDP_UNBOUND;
	return v.act == SF_ACT_SYN ? out_udp_syn(skb, cfg, w, f) : out_udp_plain(skb, cfg, w, f);
}

#endif
