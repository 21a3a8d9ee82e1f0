// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * sal.h - what the service access layer decides about a packet (paper section 4.1, Figure 4;
 * docs/protocol.md, "A flow's life" and "What a host accepts").
 *
 * Theory of operation
 *
 * A datapath parses a packet, finds its flow, and asks here what to do. Nothing here touches a
 * packet, a table or a clock, so the kernel's datapath and a native one decide alike and every rule
 * is tested without either. The three questions:
 *
 *   sf_sal_out()      a local socket's segment: plain, with which header, or not at all?
 *   sf_sal_in()       a segment addressed to one of our socketIDs: deliver, bind, promote, refuse?
 *   sf_sal_refused()  a refusal of a connecting flow: another attempt, or the end?
 *
 * and the changes of a flow entry that follow: sf_flow_open(), sf_flow_accept(), sf_flow_bind(),
 * sf_flow_track().
 */
#ifndef SF_CORE_SAL_H
#define SF_CORE_SAL_H

#include "core/csum.h"
#include "core/flow.h"
#include "core/reason.h"
#include "core/wire.h"

#define SF_TCP_FIN 0x01
#define SF_TCP_SYN 0x02
#define SF_TCP_RST 0x04
#define SF_TCP_PSH 0x08
#define SF_TCP_ACK 0x10

/**
 * struct sf_segment - what decisions need to know of a TCP segment.
 * @seq, @ack: host order
 * @len: bytes of payload
 */
struct sf_segment {
	__be16 sport;
	__be16 dport;
	__u32 seq;
	__u32 ack;
	__u32 len;
	__u8 flags;
};

enum sf_action {
	SF_ACT_DROP,	/* count @reason */
	SF_ACT_FAIL,	/* count @reason, answer with FAIL @fail */
	SF_ACT_PLAIN,	/* out: translate, no header */
	SF_ACT_SYN,	/* out: header SYN, destination unresolved */
	SF_ACT_SYN_ACK, /* out: header SYN-ACK */
	SF_ACT_ACK,	/* out: header ACK */
	SF_ACT_OPEN,	/* out: a new flow in place of the one found */
	SF_ACT_DELIVER, /* in: translate */
	SF_ACT_BIND,	/* in: our SYN is answered; bind to the source, then deliver */
	SF_ACT_CONFIRM, /* in: the peer has our ACK; state becomes BOUND, then deliver */
	SF_ACT_PROMOTE, /* in: a half-open flow becomes BOUND, then deliver */
	SF_ACT_RETRY,	/* refused: try the next instance */
	SF_ACT_REFUSE,	/* refused: tell the program */
	SF_ACT_UNBOUND, /* out: a datagram without a flow (core/sal_udp.h) */
};

/**
 * struct sf_verdict - a decision.
 * @act: enum sf_action
 * @reason: enum sf_reason to count
 * @fail: enum sf_reason that the FAIL carries
 */
struct sf_verdict {
	__u8 act;
	__u8 reason;
	__u8 fail;
};

SF_INLINE struct sf_verdict sf_verdict(__u8 act)
{
	struct sf_verdict v = { .act = act };

	return v;
}

SF_INLINE struct sf_verdict sf_verdict_drop(__u8 reason)
{
	struct sf_verdict v = { .act = SF_ACT_DROP, .reason = reason };

	return v;
}

SF_INLINE struct sf_verdict sf_verdict_fail(__u8 reason, __u8 fail)
{
	struct sf_verdict v = { .act = SF_ACT_FAIL, .reason = reason, .fail = fail };

	return v;
}

/** sf_segment_opens() - whether the segment is an opener's SYN. */
SF_INLINE bool sf_segment_opens(const struct sf_segment *s)
{
	return (s->flags & (SF_TCP_SYN | SF_TCP_ACK | SF_TCP_RST)) == SF_TCP_SYN;
}

/**
 * sf_sal_out() - what becomes of a segment of a local socket.
 * @f: its flow, from either table
 *
 * CONNECTING lets out nothing but SYNs. A SYN on a tuple whose flow is older (another initial
 * sequence number) reuses the port: the old flow is dead, whatever its state says. The kernel's RST
 * for a SYN whose listener went away before it answered is held back: the opener's SYN, repeated
 * with the next attempt, finds another instance.
 */
SF_INLINE struct sf_verdict sf_sal_out(const struct sf_flow *f, const struct sf_segment *s)
{
	if (sf_segment_opens(s)) {
		if (!(f->flags & SF_FLOW_INBOUND) && s->seq == f->isn &&
		    (f->state == SF_FLOW_CONNECTING || f->state == SF_FLOW_OPENING))
			return sf_verdict(SF_ACT_SYN);
		return sf_verdict(SF_ACT_OPEN);
	}
	switch (f->state) {
	case SF_FLOW_CONNECTING:
		return sf_verdict_drop(SF_WRONG_STATE);
	case SF_FLOW_OPENING:
		return sf_verdict(!s->len && !(s->flags & SF_TCP_RST) ? SF_ACT_ACK : SF_ACT_PLAIN);
	case SF_FLOW_HALF_OPEN:
		if (s->flags & SF_TCP_SYN)
			return sf_verdict(SF_ACT_SYN_ACK);
		if ((s->flags & SF_TCP_RST) && !f->tx_packets)
			return sf_verdict_drop(SF_ABANDONED_RST);
		return sf_verdict(SF_ACT_PLAIN);
	case SF_FLOW_BOUND:
	case SF_FLOW_CLOSING:
		return sf_verdict(SF_ACT_PLAIN);
	case SF_FLOW_EXPORTED:
		return sf_verdict_drop(SF_HANDED_OVER);
	}
	return sf_verdict_drop(SF_WRONG_STATE);
}

/** sf_sal_in_syn_ack() - the part of sf_sal_in() for packets with a SYN-ACK header. */
SF_INLINE struct sf_verdict sf_sal_in_syn_ack(const struct sf_flow *f, const struct sf_addr *src,
					      const struct sf_segment *s, __u64 now)
{
	if (f->flags & SF_FLOW_INBOUND)
		return sf_verdict_drop(SF_WRONG_STATE);
	if (f->state == SF_FLOW_CONNECTING) {
		/* It acknowledges the SYN, with what data that carried or without. */
		if ((s->flags & (SF_TCP_SYN | SF_TCP_ACK | SF_TCP_RST)) !=
			    (SF_TCP_SYN | SF_TCP_ACK) ||
		    s->ack - (f->isn + 1) > f->syn_end - (f->isn + 1))
			return sf_verdict_drop(SF_WRONG_ACK);
		return sf_verdict(SF_ACT_BIND);
	}
	if (sf_flow_is_peer(f, src, now))
		return sf_verdict(SF_ACT_DELIVER);
	if (sf_flow_has_keys(f, sf_locator_sock(&f->own), src))
		return sf_verdict_drop(SF_WRONG_PEER);
	return sf_verdict_fail(SF_WRONG_PEER, SF_OTHER_INSTANCE);
}

/**
 * sf_sal_in() - what becomes of a segment that is addressed to the socketID of a flow, or to a
 * former one in grace.
 * @f: the flow, from either table
 * @kind: of its header; SF_KIND_NONE without one
 * @src: source locator
 * @now: nanoseconds
 *
 * A flow that was handed over is silent to all: a FAIL would end the connection at its peer.
 * Ports must be the flow's: else a peer could reach through its own flow what is not registered.
 * Unknown sockets and wrong peers draw the same FAIL, so a guesser of socketIDs learns nothing. The
 * peer draws none from where it is not expected: it moves, and will say so.
 */
SF_INLINE struct sf_verdict sf_sal_in(const struct sf_flow *f, __u8 kind, const struct sf_addr *src,
				      const struct sf_segment *s, __u64 now)
{
	if (f->state == SF_FLOW_EXPORTED)
		return sf_verdict_drop(SF_HANDED_OVER);
	if (s->sport != f->tuple.pport || s->dport != f->tuple.lport ||
	    f->tuple.proto != SF_NEXTHDR_TCP)
		return sf_verdict_drop(SF_WRONG_STATE);
	if (kind == SF_KIND_SYN_ACK)
		return sf_sal_in_syn_ack(f, src, s, now);
	if (f->state == SF_FLOW_CONNECTING) {
		/* The peer speaks to what had this socketID before. */
		if (kind == SF_KIND_NONE && !(s->flags & SF_TCP_RST))
			return sf_verdict_fail(SF_WRONG_STATE, SF_NO_SUCH_SOCKET);
		return sf_verdict_drop(SF_WRONG_STATE);
	}
	if (!sf_flow_is_peer(f, src, now)) {
		if (kind == SF_KIND_NONE && !(s->flags & SF_TCP_RST) &&
		    !sf_flow_has_keys(f, sf_locator_sock(&f->own), src))
			return sf_verdict_fail(SF_WRONG_PEER, SF_NO_SUCH_SOCKET);
		return sf_verdict_drop(SF_WRONG_PEER);
	}
	switch (f->state) {
	case SF_FLOW_OPENING:
		return sf_verdict(SF_ACT_CONFIRM);
	case SF_FLOW_HALF_OPEN:
		if (s->flags & SF_TCP_SYN)
			return sf_verdict_drop(SF_WRONG_STATE);
		if (s->flags & SF_TCP_RST)
			return sf_verdict(SF_ACT_DELIVER);
		if (!(s->flags & SF_TCP_ACK))
			return sf_verdict_drop(SF_WRONG_STATE);
		return sf_verdict(SF_ACT_PROMOTE);
	case SF_FLOW_BOUND:
	case SF_FLOW_CLOSING:
		return sf_verdict(SF_ACT_DELIVER);
	}
	return sf_verdict_drop(SF_WRONG_STATE);
}

/**
 * sf_sal_refused() - what becomes of a connecting flow that was refused.
 * @attempt: that of the quoted SYN; a later one is under way when it is not the flow's last
 * @reason: of the FAIL; SF_HOST_UNREACHABLE for an ICMPv6 error
 * @whole: the SYN is quoted whole and can be turned round
 */
SF_INLINE struct sf_verdict sf_sal_refused(const struct sf_flow *f, __u16 attempt, __u8 reason,
					   bool whole)
{
	if (f->state != SF_FLOW_CONNECTING)
		return sf_verdict_drop(SF_WRONG_STATE);
	if (attempt != f->attempt)
		return sf_verdict_drop(SF_DUPLICATE);
	switch (reason) {
	case SF_NO_SUCH_SERVICE:
		return sf_verdict(SF_ACT_REFUSE);
	case SF_NO_SUCH_SOCKET:
	case SF_REFUSED:
	case SF_SHED:
	case SF_HOST_UNREACHABLE:
	case SF_TOO_MANY_ATTEMPTS:
		break;
	default:
		return sf_verdict_drop(SF_WRONG_STATE);
	}
	if (attempt >= SF_ATTEMPT_MAX)
		return sf_verdict(SF_ACT_REFUSE);
	/* Without the SYN at hand TCP's own repetition makes the next attempt. */
	return whole ? sf_verdict(SF_ACT_RETRY) : sf_verdict_drop(SF_TRUNCATED);
}

/** sf_sid_shown() - the address by which a peer is shown: its service's, or its locator when it is
 * anonymous. */
SF_INLINE struct sf_addr sf_sid_shown(const struct sf_net *net, const struct sf_sid *sid,
				      const struct sf_addr *locator)
{
	return sf_sid_is_zero(sid) ? *locator : sf_service_addr(net, sid);
}

/** sf_addr_sid_or_none() - the serviceID of @a, or the anonymous one when it is no service address.
 */
SF_INLINE struct sf_sid sf_addr_sid_or_none(const struct sf_net *net, const struct sf_addr *a)
{
	struct sf_sid none = { .w = { 0, 0, 0 } };

	return sf_addr_is_service(net, a) ? sf_addr_sid(a) : none;
}

/**
 * sf_flow_open() - make the entry of an outbound flow.
 * @f: zeroed
 * @t: tuple; its peer is the service address asked for
 * @own: own locator with the new socketID
 * @syn: the opener's SYN
 * @now: nanoseconds
 */
SF_INLINE void sf_flow_open(struct sf_flow *f, const struct sf_net *net, const struct sf_tuple *t,
			    const struct sf_addr *own, const struct sf_segment *syn, __u64 now)
{
	f->tuple = *t;
	f->own = *own;
	f->peer = t->peer;
	f->peer_sid = sf_addr_sid_or_none(net, &t->peer);
	f->csum_out = sf_csum_delta(&t->local, &t->peer, own, &t->peer);
	f->isn = syn->seq;
	f->syn_end = syn->seq + 1 + syn->len;
	f->state = SF_FLOW_CONNECTING;
	f->created = f->used = sf_used_of(now);
}

/**
 * sf_flow_accept() - make the entry of an inbound flow.
 * @f: zeroed
 * @t: tuple as the local stack will see it
 * @own: own locator with the flow's socketID
 * @peer: the opener's locator
 * @peer_sid: the opener's serviceID, 0 when anonymous
 */
SF_INLINE void sf_flow_accept(struct sf_flow *f, const struct sf_tuple *t,
			      const struct sf_addr *own, const struct sf_addr *peer,
			      const struct sf_sid *peer_sid, __u32 isn, __u64 now)
{
	f->tuple = *t;
	f->own = *own;
	f->peer = *peer;
	f->peer_sid = *peer_sid;
	if (peer_sid->w[0] == sf_be32(SF_SSID_HOSTS)) /* most openers go by their host's name */
		f->peer_host = *peer_sid;
	f->csum_out = sf_csum_delta(&t->local, &t->peer, own, peer);
	f->isn = isn;
	f->epoch = 1;
	f->state = SF_FLOW_HALF_OPEN;
	f->flags = SF_FLOW_INBOUND;
	f->created = f->used = sf_used_of(now);
}

/**
 * sf_flow_bind() - late binding: the SYN-ACK told where the peer is.
 * @host: the peer's host serviceID
 *
 * The state changes last: whoever sees it sees the rest. Until then nothing but a repeated SYN may
 * leave, whose loss TCP mends.
 */
SF_INLINE void sf_flow_bind(struct sf_flow *f, const struct sf_addr *peer,
			    const struct sf_sid *host, __u64 now)
{
	f->peer = *peer;
	f->peer_host = *host;
	f->csum_out = sf_csum_delta(&f->tuple.local, &f->tuple.peer, &f->own, peer);
	f->epoch = 1;
	f->used = sf_used_of(now);
	*(volatile __u8 *)&f->state = SF_FLOW_OPENING;
}

/** sf_flow_unbind() - our SYN is repeated although it was answered: the answer was not taken. */
SF_INLINE void sf_flow_unbind(struct sf_flow *f)
{
	f->peer = f->tuple.peer;
	f->csum_out = sf_csum_delta(&f->tuple.local, &f->tuple.peer, &f->own, &f->peer);
	f->state = SF_FLOW_CONNECTING;
	f->epoch = 0;
}

/** sf_flow_is_quiet() - whether a flow is bound, pays for nothing, and no end has closed it: one
 * comparison. */
SF_INLINE bool sf_flow_is_quiet(const struct sf_flow *f)
{
	return (f->standing & sf_be32(0xff000000 | SF_FLOW_BUDGET << 16 | 0xffff)) ==
	       sf_be32(SF_FLOW_BOUND << 24);
}

/** sf_flow_is_plain() - whether a segment with these TCP flags needs nothing but translation: the
 * hot path's question. */
SF_INLINE bool sf_flow_is_plain(const struct sf_flow *f, __u8 tcp_flags)
{
	return sf_flow_is_quiet(f) && !(tcp_flags & (SF_TCP_SYN | SF_TCP_FIN | SF_TCP_RST));
}

/** sf_flow_is_plain_in() - the same of a segment of the peer, which may be the first after somebody
 * said that it is not there. */
SF_INLINE bool sf_flow_is_plain_in(const struct sf_flow *f, __u8 tcp_flags)
{
	return sf_flow_is_plain(f, tcp_flags) && !f->fail;
}

/** sf_flow_is_over() - whether each end knows that the other has all: nothing that matters can come
 * any more. */
SF_INLINE bool sf_flow_is_over(const struct sf_flow *f)
{
	return f->state == SF_FLOW_CLOSING && (f->end_out & f->end_in & SF_END_ACK);
}

/** sf_flow_waits() - whether a flow that is over leaves its socket in TIME_WAIT: our FIN went
 * before we had seen the peer's. */
SF_INLINE bool sf_flow_waits(const struct sf_flow *f)
{
	return f->end_out & SF_END_FIRST;
}

/** sf_flow_reset() - a reset passed. */
SF_INLINE void sf_flow_reset(struct sf_flow *f)
{
	f->flags |= SF_FLOW_RST;
	if (f->state != SF_FLOW_HALF_OPEN)
		f->state = SF_FLOW_CLOSING;
}

/**
 * sf_flow_track() - follow FIN and RST and what acknowledges them. @out: the segment is ours.
 *
 * A FIN that was seen need not have been taken, and what went before it neither; that shows when it
 * is acknowledged.
 */
SF_INLINE void sf_flow_track(struct sf_flow *f, const struct sf_segment *s, bool out)
{
	__u8 *end = out ? &f->end_out : &f->end_in, other = out ? f->end_in : f->end_out;

	if (s->flags & SF_TCP_FIN) {
		if (out)
			f->fin_out = s->seq + s->len + 1;
		else
			f->fin_in = s->seq + s->len + 1;
		*end |= other & SF_END_FIN ? SF_END_FIN : SF_END_FIN | SF_END_FIRST;
	}
	if ((s->flags & SF_TCP_ACK) && (other & SF_END_FIN) &&
	    s->ack == (out ? f->fin_in : f->fin_out))
		*end |= SF_END_ACK;
	if (s->flags & SF_TCP_RST)
		sf_flow_reset(f);
	if (f->state != SF_FLOW_HALF_OPEN && (f->end_out & f->end_in & SF_END_FIN))
		f->state = SF_FLOW_CLOSING;
}

/**
 * sf_flow_yields() - whether an old flow gives way to a new SYN that would look like it.
 * @src: source locator of the SYN
 *
 * The opener's host reused the port, so its end of the old flow is gone; a reset flow is gone for
 * all.
 */
SF_INLINE bool sf_flow_yields(const struct sf_flow *old, const struct sf_addr *src)
{
	return old->state == SF_FLOW_CLOSING &&
	       ((old->flags & SF_FLOW_RST) || sf_locator_same_host(&old->peer, src));
}

#endif
