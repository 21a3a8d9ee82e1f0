// SPDX-License-Identifier: GPL-2.0-only
/*
 * datagram.h - unbound datagrams (docs/protocol.md, "Unbound datagrams"): each carries a header
 * DATA, and neither end keeps more than where a peer was last heard. Those of flows are in
 * egress_udp.h and ingress_udp.h, which ask here about fragments, headers and sizes.
 *
 * Fragments. The kernel fragments a large datagram before we see it, and only the first fragment
 * has ports. Each fragment gets the header, so that each is resolved, alike: the nonce is derived
 * from the fragment's identification, and a target TLV tells protocol and port, which a router
 * cannot see in the later ones. What the first one decided is remembered for those that follow, at
 * either end.
 *
 * Segmentation (UDP_SEGMENT). What one send() made of many datagrams reaches us as one packet. It
 * gets one header, which the kernel repeats in front of each when it segments behind us; so they
 * are all resolved alike. The like of virtual machines' UFO, fragments in one packet, cannot be
 * had so: it is dropped (gso-datagram).
 */
#ifndef SF_BPF_DATAGRAM_H
#define SF_BPF_DATAGRAM_H

#include "bpf/reply.h"

#define DATA_FRAGMENT_LEN (SF_HDR_LEN + sizeof(struct sf_tlv_target))

/** datagram_ports() - the UDP header at w->l4. Return: 0 or a reason. */
static __always_inline int datagram_ports(struct __sk_buff *skb, struct work *w)
{
	struct udp u;

	if (load(skb, w->l4, &u, sizeof(u)))
		return SF_TRUNCATED;
	w->seg.sport = u.sport;
	w->seg.dport = u.dport;
	return 0;
}

/**
 * datagram_fragment() - the fragment header at w->l4, if w->proto says so.
 * @first: out: whether ports follow
 * Return: 0 or a reason; w->proto, w->l4 and the key of w->frag_key's packet are set.
 */
static __always_inline int datagram_fragment(struct __sk_buff *skb, struct work *w, bool *first,
					     __u32 dir)
{
	struct frag6 f;

	*first = true;
	w->frag_key.id = 0;
	if (w->proto != SF_NEXTHDR_FRAG)
		return w->proto == SF_NEXTHDR_UDP ? 0 : SF_BAD_PROTOCOL;
	if (load(skb, w->l4, &f, sizeof(f)))
		return SF_TRUNCATED;
	if (f.nexthdr != SF_NEXTHDR_UDP)
		return SF_BAD_PROTOCOL;
	w->frag_key.src = w->src;
	w->frag_key.dst = w->dst;
	w->frag_key.id = f.id;
	w->frag_key.out = dir;
	*first = !(f.offset & FRAG_OFFSET);
	w->l4 += sizeof(f);
	return 0;
}

/** datagram_nonce() - all fragments of a datagram are resolved alike. */
static __always_inline __u16 datagram_nonce(const struct work *w, bool fragmented)
{
	if (fragmented)
		return (__u16)(w->frag_key.id ^ w->frag_key.id >> 16);
	return (__u16)bpf_get_prandom_u32();
}

/** datagram_size() - bytes of the largest packet that leaves, without our header. */
static __always_inline __u32 datagram_size(struct __sk_buff *skb)
{
	if (skb->gso_size)
		return SF_IPV6_LEN + sizeof(struct udp) + skb->gso_size;
	return skb->len - ETH_HLEN;
}

/** datagram_too_big() - Packet Too Big to the sending socket. It leaves room for the longer header
 * of fragments, so that one answer is enough. */
static __noinline int datagram_too_big(struct __sk_buff *skb, const struct sf_host_config *cfg,
				       struct work *w)
{
	__u32 n = skb->len - ETH_HLEN, mtu = cfg->mtu - DATA_FRAGMENT_LEN;

	count(skb, SF_TOO_BIG);
	if (mtu < IPV6_MTU_MIN)
		mtu = IPV6_MTU_MIN;
	if (n > SF_QUOTE_MAX)
		n = SF_QUOTE_MAX;
	if (OUTSIDE(n, SF_IPV6_LEN + L4_MIN, SF_QUOTE_MAX))
		return TC_ACT_SHOT;
	if (load(skb, IP_AT, &w->build.b[ICMP6_QUOTE_AT], n))
		return TC_ACT_SHOT;
	return reply_icmp6(skb, OUT, ICMP6_TOO_BIG, mtu, n);
}

/** out_datagram_to() - where a datagram goes: w->front.pair, as locators. */
static __always_inline void out_datagram_to(const struct sf_host_config *cfg, struct work *w)
{
	struct sf_peer *p;
	__u64 id;

	id = sf_socket_id_datagram(&cfg->key, &w->src, w->seg.sport, SF_NEXTHDR_UDP);
	w->front.pair[0] = sf_locator(&cfg->net, cfg->host, id);
	w->front.pair[1] = w->dst;
	__builtin_memset(&w->peer_key, 0, sizeof(w->peer_key));
	w->peer_key.peer = w->dst;
	w->peer_key.pport = w->seg.dport;
	w->peer_key.proto = SF_NEXTHDR_UDP;
	p = bpf_map_lookup_elem(&datagrams, &w->peer_key);
	if (p && !((p->flags & SF_PEER_ANSWER) && bpf_ktime_get_ns() - p->used > SF_PEER_FRESH_NS))
		w->front.pair[1] = p->locator;
}

/** fragment_remember() - for the fragments that follow. @kind: of the header that they carry, too,
 * SF_KIND_NONE without; @aux: its aux where that is not the nonce. */
static __always_inline void fragment_remember(struct work *w, __u8 kind, __u16 aux)
{
	__builtin_memset(&w->frag, 0, sizeof(w->frag));
	w->frag.src = w->front.pair[0];
	w->frag.dst = w->front.pair[1];
	w->frag.port = w->seg.dport;
	w->frag.proto = SF_NEXTHDR_UDP;
	w->frag.kind = kind;
	w->frag.aux = aux;
	bpf_map_update_elem(&fragments, &w->frag_key, &w->frag, BPF_ANY);
}

/** fragment_recall() - what the first fragment decided. Return: whether it is known. */
static __always_inline bool fragment_recall(struct work *w)
{
	struct sf_frag *f = bpf_map_lookup_elem(&fragments, &w->frag_key);

	if (!f)
		return false;
	w->frag.kind = f->kind;
	w->frag.aux = f->aux;
	w->front.pair[0] = f->src;
	w->front.pair[1] = f->dst;
	w->seg.dport = f->port;
	return true;
}

/** datagram_wrap() - write the header of @kind into the datagram in hand, and w->front.pair.
 * @first: a transport header follows. Return: a verdict. */
static __always_inline int datagram_wrap(struct __sk_buff *skb, struct work *w, __u32 kind_aux,
					 const struct sf_sid *dst, const struct sf_sid *src,
					 bool fragmented, bool first)
{
	__u32 len = fragmented ? DATA_FRAGMENT_LEN : SF_HDR_LEN, csum_at, delta;

	sf_hdr_init(&w->front.hdr, fragmented ? SF_NEXTHDR_FRAG : SF_NEXTHDR_UDP, len,
		    (__u8)(kind_aux >> 16), 0, (__u16)kind_aux, dst, src);
	__builtin_memset(&w->front.target, 0, sizeof(w->front.target));
	w->front.target.type = SF_TLV_TARGET;
	w->front.target.len = TLV_LEN(w->front.target);
	w->front.target.proto = SF_NEXTHDR_UDP;
	w->front.target.port = w->seg.dport;
	w->front.hops = w->hops;
	csum_at = first ? w->l4 + len + UDP_CSUM : 0;
	delta = sf_csum_delta(&w->src, &w->dst, &w->front.pair[0], &w->front.pair[1]);
	if (fragmented ? packet_wrap(skb, &w->front, w->plen, DATA_FRAGMENT_LEN, csum_at, delta,
				     BPF_F_MARK_MANGLED_0)
		       : packet_wrap(skb, &w->front, w->plen, SF_HDR_LEN, csum_at, delta,
				     BPF_F_MARK_MANGLED_0))
		return drop(skb, skb->gso_size ? SF_GSO_DATAGRAM : SF_INTERNAL);
	return TC_ACT_UNSPEC;
}

/** datagram_unwrap() - the header away from the datagram in hand, and w->front.pair on. @nexthdr:
 * what follows it. */
static __always_inline int datagram_unwrap(struct __sk_buff *skb, struct work *w, __u8 nexthdr,
					   bool first)
{
	w->front.nexthdr = nexthdr;
	w->front.hops = w->hops;
	return packet_unwrap(skb, &w->front, w->plen, w->hlen,
			     first ? w->l4 - w->hlen + UDP_CSUM : 0,
			     sf_csum_delta(&w->src, &w->dst, &w->front.pair[0], &w->front.pair[1]),
			     BPF_F_MARK_MANGLED_0);
}

/** out_datagram() - a UDP datagram of a local socket that has no flow, or a fragment of one. */
SUBPROG int out_datagram(struct __sk_buff *skb)
{
	bool first, fragmented;
	struct sf_sid dst, src;
	__u32 len;
	int bad;
	WITH_WORK(OUT);

	fragmented = w->proto == SF_NEXTHDR_FRAG;
	len = fragmented ? DATA_FRAGMENT_LEN : SF_HDR_LEN;
	dst = sf_addr_sid_or_none(&cfg->net, &w->dst);
	src = sf_addr_sid_or_none(&cfg->net, &w->src);
	if (!cfg->host)
		return drop(skb, SF_NOT_JOINED);
	/* An answer to an anonymous source is checked against its plain address, so no other
	 * address without a name can be a source. */
	if (sf_sid_is_zero(&src) && !sf_addr_eq(&w->src, &cfg->own))
		return drop(skb, SF_NO_FLOW);
	if (datagram_size(skb) + len > cfg->mtu)
		return datagram_too_big(skb, cfg, w);
	w->l4 = L4_AT;
	bad = datagram_fragment(skb, w, &first, OUT);
	if (!bad && first)
		bad = datagram_ports(skb, w);
	if (bad)
		return drop(skb, bad);
	if (first) {
		out_datagram_to(cfg, w);
		if (fragmented)
			fragment_remember(w, SF_KIND_DATA, 0);
	} else if (!fragment_recall(w)) {
		return drop(skb, SF_FRAGMENT);
	}
	bad = datagram_wrap(skb, w, SF_KIND_DATA << 16 | datagram_nonce(w, fragmented), &dst, &src,
			    fragmented, first);
	if (bad == TC_ACT_SHOT)
		return bad;
	count_traffic(skb, SF_TRAFFIC_OUT_DATA);
	return TC_ACT_UNSPEC;
}

/** in_datagram_remember() - where the peer is, so that it is answered directly. */
static __always_inline void in_datagram_remember(struct work *w, __u32 flags)
{
	struct sf_peer *p;

	__builtin_memset(&w->peer_key, 0, sizeof(w->peer_key));
	w->peer_key.peer = w->front.pair[0];
	w->peer_key.pport = w->seg.sport;
	w->peer_key.proto = SF_NEXTHDR_UDP;
	w->peer.locator = w->src;
	w->peer.sid = w->front.hdr.src;
	w->peer.flags = flags;
	w->peer.used = bpf_ktime_get_ns();
	p = bpf_map_lookup_elem(&datagrams, &w->peer_key);
	if (p && sf_addr_eq(&p->locator, &w->src) && p->flags == flags)
		p->used = w->peer.used;
	else
		bpf_map_update_elem(&datagrams, &w->peer_key, &w->peer, BPF_ANY);
}

/**
 * socket_asked() - whether (w->service, port) may have an answer though it does not serve.
 *
 * Under its host's own identity, or none, any socket may ask. One that is bound to a service may
 * speak before it is judged (a TFTP server's, for each transfer) and when it drains.
 */
static __always_inline bool socket_asked(const struct sf_host_config *cfg, struct work *w)
{
	struct sf_listener *l;

	if (sf_addr_eq(&w->service, &cfg->self) || sf_addr_eq(&w->service, &cfg->own))
		return true;
	w->listener.port = w->seg.dport; /* after listener_find() */
	w->listener.proto = SF_NEXTHDR_UDP;
	l = bpf_map_lookup_elem(&listeners, &w->listener);
	return l && l->state != SF_LISTENER_DENIED;
}

/**
 * in_datagram_to() - may the datagram be delivered, and between whom: w->front.pair.
 *
 * Return: 0, or a reason. There must be a live listener. A socket that asked may be answered
 * without (socket_asked()): then the socketID is the hash of the very address and port that it sent
 * from.
 */
static __always_inline int in_datagram_to(struct __sk_buff *skb, const struct sf_host_config *cfg,
					  struct work *w)
{
	__u64 id = sf_locator_sock(&w->dst);
	bool unset = sf_sock_is_unset(id);
	struct sf_listener *l;

	if (sf_sid_is_zero(&w->front.hdr.dst))
		w->service = cfg->own;
	w->front.pair[0] = sf_sid_shown(&cfg->net, &w->front.hdr.src, &w->src);
	w->front.pair[1] = w->service;
	if (!unset &&
	    id != sf_socket_id_datagram(&cfg->key, &w->service, w->seg.dport, SF_NEXTHDR_UDP))
		return SF_WRONG_STATE;
	l = listener_find(cfg, w, SF_NEXTHDR_UDP, w->seg.dport);
	if (l) {
		__sync_fetch_and_add(&l->packets, 1);
		__sync_fetch_and_add(&l->bytes, skb->len);
	} else if (unset || !socket_asked(cfg, w)) {
		return SF_NOT_REGISTERED;
	}
	if (!(w->front.hdr.flags & SF_FLAG_UNBOUND))
		in_datagram_remember(w, unset ? (__u32)sf_be16(w->seg.dport) << SF_PEER_PORT_AT
					      : SF_PEER_ANSWER);
	return 0;
}

/** in_datagram() - a packet with header DATA. */
SUBPROG int in_datagram(struct __sk_buff *skb)
{
	bool first, fragmented;
	__u8 nexthdr;
	int bad;
	WITH_WORK(IN);

	fragmented = w->proto == SF_NEXTHDR_FRAG;
	nexthdr = w->proto;
	bad = datagram_fragment(skb, w, &first, IN);
	if (!bad && first)
		bad = datagram_ports(skb, w);
	if (!bad && first)
		bad = in_datagram_to(skb, cfg, w);
	if (bad == SF_NOT_REGISTERED)
		return reply_fail(skb, SF_NOT_REGISTERED, SF_NO_SUCH_SOCKET);
	if (bad)
		return drop(skb, bad);
	if (!first && (!fragment_recall(w) || w->frag.kind != SF_KIND_DATA))
		return drop(skb, SF_FRAGMENT);
	if (first && fragmented)
		fragment_remember(w, SF_KIND_DATA, 0);
	if (datagram_unwrap(skb, w, nexthdr, first))
		return drop(skb, SF_INTERNAL);
	count_traffic(skb, SF_TRAFFIC_IN_DATA);
	return TC_ACT_UNSPEC;
}

#endif
