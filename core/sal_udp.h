// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * sal_udp.h - what the service access layer decides about bound datagrams: those of a flow
 * (docs/protocol.md, "Bound datagrams"; docs/design/0005-bound-datagrams.md).
 *
 * As core/sal.h, of which this is the part for UDP. A connected socket's flow is CONNECTING while
 * its datagrams carry SYN, and BOUND from the first SYN-ACK on. An acceptor's is HALF_OPEN until a
 * datagram without header comes. CLOSING is: an opener's flow that was refused, so the next
 * datagram opens another in its place; an acceptor's whose opener's host uses the ports again.
 */
#ifndef SF_CORE_SAL_UDP_H
#define SF_CORE_SAL_UDP_H

#include "core/sal.h"

/* An attempt that is not answered so long is followed by the next. */
#define SF_UDP_ATTEMPT_NS 1000000000ull
/* A bound flow whose peer the network does not find for so long is opened anew: where the agent,
 * which asks the peer and knows the service's move_grace, has not done it before. */
#define SF_UDP_UNREACHED_NS 30000000000ull
#define SF_UDP_OUTAGE_NS    120000000000ull /* what is further apart is another outage */
/* An acceptor's flow that carried nothing for so long is over; the shorter time holds while the
 * table is more than half full. */
#define SF_UDP_IDLE_NS	     180000000000ull
#define SF_UDP_IDLE_SHORT_NS 30000000000ull

/** sf_udp_is_plain() - whether a datagram of @f needs nothing but translation: the hot path's
 * question. */
SF_INLINE bool sf_udp_is_plain(const struct sf_flow *f)
{
	return sf_flow_is_quiet(f) && f->tuple.proto == SF_NEXTHDR_UDP;
}

/** sf_udp_is_plain_in() - the same of a datagram of the peer; as sf_flow_is_plain_in(). */
SF_INLINE bool sf_udp_is_plain_in(const struct sf_flow *f)
{
	return sf_udp_is_plain(f) && !f->fail;
}

/**
 * sf_sal_out_udp() - what becomes of a datagram of a local socket.
 * @f: its flow, from either table, or NULL
 * @connected: the socket is connected to where the datagram goes, and is to have a flow
 */
SF_INLINE struct sf_verdict sf_sal_out_udp(const struct sf_flow *f, bool connected)
{
	if (!f)
		return sf_verdict(connected ? SF_ACT_OPEN : SF_ACT_UNBOUND);
	switch (f->state) {
	case SF_FLOW_CONNECTING:
		return sf_verdict(SF_ACT_SYN);
	case SF_FLOW_OPENING: /* being bound on another CPU */
	case SF_FLOW_HALF_OPEN:
	case SF_FLOW_BOUND:
		return sf_verdict(SF_ACT_PLAIN);
	case SF_FLOW_CLOSING:
		if (f->flags & SF_FLOW_INBOUND)
			return sf_verdict(SF_ACT_PLAIN);
		return sf_verdict(connected ? SF_ACT_OPEN : SF_ACT_UNBOUND);
	case SF_FLOW_EXPORTED:
		return sf_verdict_drop(SF_HANDED_OVER);
	}
	return sf_verdict_drop(SF_WRONG_STATE);
}

/** sf_sal_in_udp_bound() - the part of sf_sal_in_udp() for datagrams without header. */
SF_INLINE struct sf_verdict sf_sal_in_udp_bound(const struct sf_flow *f, const struct sf_addr *src,
						__u64 now)
{
	/* Answers that overtook their SYN-ACK; a FAIL would end the peer's flow. */
	if (f->state == SF_FLOW_CONNECTING)
		return sf_verdict_drop(SF_WRONG_STATE);
	if (!sf_flow_is_peer(f, src, now)) {
		/* The peer's socket at another place: it moved, and its data came first. */
		if (sf_flow_has_keys(f, sf_locator_sock(&f->own), src))
			return sf_verdict_drop(SF_WRONG_PEER);
		return sf_verdict_fail(SF_WRONG_PEER, SF_NO_SUCH_SOCKET);
	}
	switch (f->state) {
	case SF_FLOW_HALF_OPEN:
		return sf_verdict(SF_ACT_PROMOTE);
	case SF_FLOW_CLOSING:
		/* The agent ended it: it was shed. */
		if ((f->flags & SF_FLOW_INBOUND) && (f->flags & SF_FLOW_RST))
			return sf_verdict_fail(SF_WRONG_STATE, SF_NO_SUCH_SOCKET);
		return sf_verdict(f->flags & SF_FLOW_INBOUND ? SF_ACT_CONFIRM : SF_ACT_DELIVER);
	case SF_FLOW_OPENING:
	case SF_FLOW_BOUND:
		return sf_verdict(SF_ACT_DELIVER);
	}
	return sf_verdict_drop(SF_WRONG_STATE);
}

/**
 * sf_sal_in_udp() - what becomes of a datagram that is addressed to the socketID of a flow.
 * @f: the flow, from either table
 * @kind: of its header: SF_KIND_NONE or SF_KIND_SYN_ACK
 * @src: source locator
 * @sport, @dport: its ports
 *
 * What a SYN-ACK is to prove it proves by its destination: nobody else knows the socketID.
 */
SF_INLINE struct sf_verdict sf_sal_in_udp(const struct sf_flow *f, __u8 kind,
					  const struct sf_addr *src, __be16 sport, __be16 dport,
					  __u64 now)
{
	if (f->state == SF_FLOW_EXPORTED)
		return sf_verdict_drop(SF_HANDED_OVER);
	if (f->tuple.proto != SF_NEXTHDR_UDP || sport != f->tuple.pport || dport != f->tuple.lport)
		return sf_verdict_drop(SF_WRONG_STATE);
	if (kind == SF_KIND_NONE)
		return sf_sal_in_udp_bound(f, src, now);
	if (kind != SF_KIND_SYN_ACK || (f->flags & SF_FLOW_INBOUND))
		return sf_verdict_drop(SF_WRONG_STATE);
	if (f->state == SF_FLOW_CONNECTING)
		return sf_verdict(SF_ACT_BIND);
	if (f->state == SF_FLOW_CLOSING)
		return sf_verdict_drop(SF_WRONG_STATE);
	/* The same answer to each of several SYNs. */
	if (sf_flow_is_peer(f, src, now) || sf_flow_has_keys(f, sf_locator_sock(&f->own), src))
		return sf_verdict_drop(SF_DUPLICATE);
	return sf_verdict_fail(SF_WRONG_PEER, SF_OTHER_INSTANCE);
}

/** enum sf_meeting - what a SYN meets under the tuple that its flow would have. */
enum sf_meeting {
	SF_MEET_NONE,  /* nothing */
	SF_MEET_SAME,  /* its own flow */
	SF_MEET_OLDER, /* a flow of the same host: it uses the port again */
	SF_MEET_OTHER, /* a flow of an opener on another host */
};

/** sf_sal_meets_udp() - which meeting a SYN from @src has with @f. */
SF_INLINE enum sf_meeting sf_sal_meets_udp(const struct sf_flow *f, const struct sf_addr *src)
{
	if (sf_addr_eq(&f->peer, src))
		return f->flags & SF_FLOW_INBOUND ? SF_MEET_SAME : SF_MEET_OTHER;
	return sf_locator_same_host(&f->peer, src) ? SF_MEET_OLDER : SF_MEET_OTHER;
}

/** sf_udp_open() - make the entry of an outbound flow; as sf_flow_open(). */
SF_INLINE void sf_udp_open(struct sf_flow *f, const struct sf_net *net, const struct sf_tuple *t,
			   const struct sf_addr *own, __u64 now)
{
	const struct sf_segment none = { .seq = 0 };

	sf_flow_open(f, net, t, own, &none, now);
	f->tried = f->created;
	f->unreached = 0;
}

/** sf_udp_accept() - make the entry of an inbound flow; as sf_flow_accept(). */
SF_INLINE void sf_udp_accept(struct sf_flow *f, const struct sf_tuple *t, const struct sf_addr *own,
			     const struct sf_addr *peer, const struct sf_sid *peer_sid, __u64 now)
{
	sf_flow_accept(f, t, own, peer, peer_sid, 0, now);
	f->sent = f->created;
}

/** sf_udp_bind() - late binding: the SYN-ACK told where the peer is; as sf_flow_bind(). */
SF_INLINE void sf_udp_bind(struct sf_flow *f, const struct sf_addr *peer, const struct sf_sid *host,
			   __u64 now)
{
	sf_flow_bind(f, peer, host, now);
	*(volatile __u8 *)&f->state = SF_FLOW_BOUND;
}

/** sf_udp_attempt() - a datagram of a connecting flow leaves: the next attempt where the present
 * one was silent. Return: the attempt that its SYN carries. */
SF_INLINE __u16 sf_udp_attempt(struct sf_flow *f, __u64 now)
{
	if (sf_used_since(f->tried, now) >= SF_UDP_ATTEMPT_NS) {
		f->attempt++;
		f->tried = sf_used_of(now);
	}
	return f->attempt;
}

/** sf_udp_unbind() - an opener's flow was refused: the next datagram opens anew. */
SF_INLINE void sf_udp_unbind(struct sf_flow *f, __u8 reason)
{
	f->fail = reason;
	f->state = SF_FLOW_CLOSING;
}

/**
 * sf_sal_refused_udp() - what becomes of a connecting flow of which a SYN was refused.
 * @attempt, @reason, @whole: as in sf_sal_refused()
 *
 * Several SYNs may be under way: the first refusal of an attempt makes the next one, to which the
 * others follow. With RETRY the quoted datagram goes out again, with @f->attempt; without it, it is
 * lost, as datagrams may be.
 */
SF_INLINE struct sf_verdict sf_sal_refused_udp(struct sf_flow *f, __u16 attempt, __u8 reason,
					       bool whole, __u64 now)
{
	if (f->state != SF_FLOW_CONNECTING)
		return sf_verdict_drop(SF_DUPLICATE);
	if (attempt > f->attempt)
		return sf_verdict_drop(SF_WRONG_ACK);
	switch (reason) {
	case SF_NO_SUCH_SERVICE:
		sf_udp_unbind(f, reason);
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
	if (attempt == f->attempt) {
		if (attempt >= SF_ATTEMPT_MAX) {
			sf_udp_unbind(f, reason);
			return sf_verdict(SF_ACT_REFUSE);
		}
		f->attempt++;
		f->tried = sf_used_of(now);
	}
	return whole ? sf_verdict(SF_ACT_RETRY) : sf_verdict_drop(SF_TRUNCATED);
}

/**
 * sf_udp_unreached() - the network says that the peer of a bound flow is not where it was.
 *
 * It may be moving: an opener leaves it only when that has been so for a while, in which it was not
 * heard either. Return: whether the flow was unbound.
 */
SF_INLINE bool sf_udp_unreached(struct sf_flow *f, __u64 now)
{
	if (f->state != SF_FLOW_BOUND || (f->flags & SF_FLOW_INBOUND))
		return false;
	if (!f->unreached || (__s32)(f->used - f->unreached) > 0 ||
	    sf_used_since(f->unreached, now) >= SF_UDP_OUTAGE_NS) {
		f->unreached = sf_used_of(now);
		return false;
	}
	if (sf_used_since(f->unreached, now) < SF_UDP_UNREACHED_NS)
		return false;
	sf_udp_unbind(f, SF_HOST_UNREACHABLE);
	return true;
}

/** sf_udp_is_idle() - whether an acceptor's flow carried nothing for @limit nanoseconds. */
SF_INLINE bool sf_udp_is_idle(const struct sf_flow *f, __u64 limit, __u64 now)
{
	return sf_used_since(f->used, now) >= limit && sf_used_since(f->sent, now) >= limit;
}

#endif
