// SPDX-License-Identifier: GPL-2.0-only
/*
 * egress_tcp.h - segments of local sockets: first packets, handshakes, and what has no flow.
 *
 * The hot path (a bound flow) is in host.bpf.c; what is here runs a few times per connection.
 */
#ifndef SF_BPF_EGRESS_TCP_H
#define SF_BPF_EGRESS_TCP_H

#include "bpf/reply.h"

/** out_send() - translate a segment of @f, with the header that @act asks for. */
static __noinline int out_send(struct __sk_buff *skb, const struct sf_host_config *cfg,
			       struct work *w, struct sf_flow *f, __u32 act)
{
	struct sf_sid own = sf_addr_sid_or_none(&cfg->net, &f->tuple.local);
	__u32 l4 = L4_AT;
	__u8 kind = SF_KIND_NONE;

	if (act == SF_ACT_SYN)
		kind = SF_KIND_SYN;
	else if (act == SF_ACT_ACK)
		kind = SF_KIND_ACK;
	else if (act == SF_ACT_SYN_ACK)
		kind = SF_KIND_SYN_ACK;
	if (kind == SF_KIND_SYN_ACK)
		own = sf_addr_sid(&cfg->self);
	if (kind) {
		/* What would not fit the link is not a bare handshake packet: the kernel repeats
		 * the SYN without data. */
		if (skb->len - ETH_HLEN + SF_HDR_LEN > cfg->mtu)
			return drop(skb, SF_TOO_BIG);
		sf_hdr_init(&w->hdr, SF_NEXTHDR_TCP, SF_HDR_LEN, kind, 0,
			    kind == SF_KIND_SYN ? f->attempt : 0, &f->peer_sid, &own);
		if (header_push(skb, &w->hdr, SF_HDR_LEN))
			return drop(skb, SF_INTERNAL);
		l4 += SF_HDR_LEN;
	}
	if (readdress(skb, &f->own, l4 + TCP_CSUM, f->csum_out, 0))
		return drop(skb, SF_INTERNAL);
	flow_count(f, skb, true);
	sf_flow_track(f, w->seg.flags, true);
	count_traffic(skb, kind == SF_KIND_SYN ? SF_TRAFFIC_OUT_SYN : SF_TRAFFIC_OUT_BOUND);
	return TC_ACT_UNSPEC;
}

/** out_open() - a SYN without flow: make one, in place of an older one on the same tuple. */
SUBPROG int out_open(struct __sk_buff *skb)
{
	__u64 now = bpf_ktime_get_ns();
	long err = -17; /* EEXIST */
	__u64 *old, id = 0;
	struct sf_addr own;
	struct sf_flow *f;
	WITH_WORK(OUT);

	f = &w->flow;
	if (!cfg->host)
		return drop(skb, SF_NOT_JOINED);
	if (!sf_addr_is_service(&cfg->net, &w->tuple.peer))
		return drop(skb, SF_NO_FLOW);
	old = bpf_map_lookup_elem(&tuples, &w->tuple);
	if (old) {
		id = *old;
		bpf_map_delete_elem(&flows, &id);
	}
	for (int i = 0; i < 4 && err == -17; i++) {
		id = sf_socket_id_next(&cfg->key, sequence_next(cfg));
		own = sf_locator(&cfg->net, cfg->host, id);
		__builtin_memset(f, 0, sizeof(*f));
		sf_flow_open(f, &cfg->net, &w->tuple, &own, w->seg.seq, now);
		err = bpf_map_update_elem(&flows, &id, f, BPF_NOEXIST);
	}
	if (err)
		return drop(skb, err == -17 ? SF_ID_CLASH : SF_FLOWS_FULL);
	if (bpf_map_update_elem(&tuples, &w->tuple, &id, BPF_ANY)) {
		bpf_map_delete_elem(&flows, &id);
		return drop(skb, SF_FLOWS_FULL);
	}
	f = bpf_map_lookup_elem(&flows, &id);
	if (!f)
		return drop(skb, SF_INTERNAL);
	return out_send(skb, cfg, w, f, SF_ACT_SYN);
}

/** out_repeat() - a repeated SYN: the next attempt, so that a silent instance is left behind. */
static __always_inline void out_repeat(struct sf_flow *f)
{
	/* An instance that answered is asked again: its answer was lost further up. */
	if (f->state == SF_FLOW_OPENING)
		sf_flow_unbind(f);
	else
		f->attempt++;
}

/**
 * out_stray() - a segment that belongs to no flow.
 *
 * A socket that wants to say something would repeat it for minutes: it gets a reset. Bare ACKs come
 * from TIME_WAIT and from request sockets, which must not be told; SYN-ACKs from request sockets
 * whose half-open flow was evicted.
 */
SUBPROG int out_stray(struct __sk_buff *skb)
{
	WITH_WORK(OUT);

	if (w->seg.flags & SF_TCP_SYN)
		return drop(skb, SF_HALF_OPEN_LOST);
	count(skb, SF_NO_FLOW);
	if ((w->seg.flags & SF_TCP_RST) || !(w->seg.flags & SF_TCP_ACK) ||
	    (w->seg.empty && !(w->seg.flags & SF_TCP_FIN)))
		return TC_ACT_SHOT;
	if (!may_answer())
		return drop(skb, SF_RATE_LIMITED);
	return reply_reset(skb, OUT, w->seg.ack, 0, 0);
}

/** out_tcp() - everything but a plain segment of a bound flow. w->tuple is filled in. */
SUBPROG int out_tcp(struct __sk_buff *skb)
{
	struct sf_flow *f = NULL;
	struct sf_verdict v;
	__u64 *id;
	WITH_WORK(OUT);

	w->l4 = L4_AT;
	if (segment_load(skb, w))
		return drop(skb, SF_TRUNCATED);
	id = bpf_map_lookup_elem(&tuples, &w->tuple);
	if (id) {
		f = bpf_map_lookup_elem(&flows, id);
	} else {
		id = bpf_map_lookup_elem(&halftuples, &w->tuple);
		if (id)
			f = bpf_map_lookup_elem(&halfopen, id);
	}
	if (!f) {
		if (sf_segment_opens(&w->seg))
			return out_open(skb);
		return out_stray(skb);
	}
	v = sf_sal_out(f, &w->seg);
	if (v.act == SF_ACT_DROP)
		return drop(skb, v.reason);
	if (v.act == SF_ACT_OPEN)
		return out_open(skb);
	if (v.act == SF_ACT_SYN)
		out_repeat(f);
	return out_send(skb, cfg, w, f, v.act);
}

#endif
