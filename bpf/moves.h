// SPDX-License-Identifier: GPL-2.0-only
/*
 * moves.h - renegotiation as far as the kernel has a part in it (paper section 4.2.2;
 * core/renegotiate.h): what it is that the agent hears of, and what the agent has done to a flow.
 *
 * The agent decides, and keeps what it has decided in `moves`; no packet waits for it. With it dead
 * flows stay where they are, and the ring fills. What is of no flow of ours it never sees: who
 * guesses keys reaches no daemon.
 */
#ifndef SF_BPF_MOVES_H
#define SF_BPF_MOVES_H

#include "bpf/flows_udp.h"
#include "bpf/reply.h"

/** kind_is_move() - whether packets of @kind are a renegotiation's, from end to end. */
static __always_inline bool kind_is_move(__u8 kind)
{
	return kind >= SF_KIND_RSYN && kind <= SF_KIND_RACK;
}

/**
 * control_tell() - the packet in hand, whose checksum is right, goes to the agent.
 *
 * Of an ICMPv6 error that is longer than an event the end is left out: the
 * quotation goes before it.
 */
static __noinline int control_tell(struct __sk_buff *skb, struct work *w)
{
	__u32 n = SF_IPV6_LEN + w->plen;

	if (n > SF_BUILD_MAX)
		n = SF_BUILD_MAX;
	if (OUTSIDE(n, SF_IPV6_LEN + L4_MIN, SF_BUILD_MAX) || load(skb, IP_AT, &w->build, n))
		return drop(skb, SF_TRUNCATED);
	if (!budget_take(BUDGET_CONTROL))
		return drop(skb, SF_RATE_LIMITED);
	w->told.ifindex = skb->ifindex;
	w->told.len = n;
	if (bpf_ringbuf_output(&control, &w->told, sizeof(w->told) + n, 0))
		return drop(skb, SF_CONTROL_LOST);
	return TC_ACT_SHOT;
}

/** in_control() - a refusal of a packet of a renegotiation of ours. Its checksum is right. */
SUBPROG int in_control(struct __sk_buff *skb)
{
	__u64 key;
	WITH_WORK(IN);

	key = sf_socket_key(sf_locator_sock(&w->dst));
	if (!bpf_map_lookup_elem(&flows, &key))
		return drop(skb, SF_UNKNOWN_SOCKET);
	return control_tell(skb, w);
}

/**
 * move_key() - the key of the flow that a packet of a renegotiation is about: w->key.
 *
 * An RSYN that a service router brought here names no socket: what its sender knows of ours does.
 * Return: 0 or a reason.
 */
static __always_inline int move_key(struct work *w)
{
	const struct sf_tlv_move *t = (const void *)&w->build.b[SF_IPV6_LEN + SF_HDR_LEN];
	__u64 id = sf_locator_sock(&w->dst);

	if (kind_is_move(w->kind) &&
	    (w->hlen < SF_MOVE_HDR_LEN || (w->plen != w->hlen && w->kind != SF_KIND_RSYN) ||
	     t->type != SF_TLV_MOVE || t->len != TLV_LEN(*t)))
		return SF_BAD_HEADER;
	if (sf_sock_is_unset(id)) {
		if (w->kind != SF_KIND_RSYN)
			return SF_WRONG_STATE;
		id = (__u64)sf_be16(t->you_sock_high) << 32 | sf_be32(t->you_sock_low);
	}
	w->key = sf_socket_key(id);
	return 0;
}

/**
 * move_is_openers() - whether the RSYN in hand is of the opener of half-open @f: it is to who our
 * SYN-ACK says that we are, and was who its SYN says. One of an earlier flow of the same ports has
 * other incarnations; whoever has not got the SYN-ACK does not know ours. So no more flows leave a
 * half-open table by RSYN than by the handshake's end.
 */
static __noinline bool move_is_openers(const struct work *w, const struct sf_flow *f)
{
	const struct sf_tlv_move *t = (const void *)&w->build.b[SF_IPV6_LEN + SF_HDR_LEN];

	return w->kind == SF_KIND_RSYN && sf_be64(t->you) == sf_locator_sock(&f->own) &&
	       sf_be64(t->was) == sf_locator_sock(&f->peer);
}

/** move_promote() - whether an RSYN is about a half-open flow of datagrams: its opener, who knows
 * our socketID, has bound, and moves before it has sent again. */
static __noinline bool move_promote(const struct sf_host_config *cfg, struct work *w)
{
	struct sf_flow *f = flow_of(&half_udp, sf_locator_sock(&w->dst));

	if (!f || !move_is_openers(w, f))
		return false;
	f = udp_promote(cfg, w, f);
	return f && f->state == SF_FLOW_BOUND;
}

/** move_is_late() - whether an RSYN is about a flow whose entry has outlived its socket: who agreed
 * to it would leave its sender with half a connection. */
static __noinline bool move_is_late(struct __sk_buff *skb, struct work *w, const struct sf_flow *f)
{
	__u32 state;

	if (w->kind != SF_KIND_RSYN || f->state != SF_FLOW_CLOSING ||
	    f->tuple.proto != SF_NEXTHDR_TCP)
		return false;
	w->tuple = f->tuple;
	state = socket_of(skb, &w->tuple);
	return !state || state == BPF_TCP_LISTEN;
}

/**
 * tcp_promote() - whether an RSYN is about a half-open connection: its opener, who knows our
 * socketID, has our SYN-ACK, and moves before its ACK has come. As in_promote(), but that
 * the kernel is still to hear of it: by the next segment, from wherever that comes.
 */
static __noinline bool tcp_promote(const struct sf_host_config *cfg, struct work *w)
{
	struct sf_flow *f = bpf_map_lookup_elem(&halfopen, &w->key), *old;

	if (!f)
		return false;
	w->flow = *f;
	/* It may have been evicted meanwhile. */
	if (sf_socket_key(sf_locator_sock(&w->flow.own)) != w->key || !move_is_openers(w, &w->flow))
		return false;
	old = bpf_map_lookup_elem(&flows, &w->key);
	if (old && !sf_tuple_eq(&old->tuple, &w->flow.tuple))
		return false;
	if (old)
		flow_account(cfg, w, old);
	w->flow.state = SF_FLOW_BOUND;
	if (bpf_map_update_elem(&flows, &w->key, &w->flow, BPF_ANY))
		return false;
	bpf_map_delete_elem(&halfopen, &w->key);
	return true;
}

/**
 * in_move() - a packet with header RSYN, RSYN-ACK, RACK or REDIRECT.
 *
 * An RSYN of a flow that is over is refused, so that its sender does not wait for ever; all that it
 * says is quoted.
 */
SUBPROG int in_move(struct __sk_buff *skb)
{
	struct sf_flow *f;
	__u32 n;
	int bad;
	WITH_WORK(IN);

	/* The padding of an RSYN is zero, and adds nothing to its checksum. */
	n = SF_IPV6_LEN + (w->kind == SF_KIND_RSYN ? w->hlen : w->plen);
	if (n > SF_BUILD_MAX)
		return drop(skb, SF_BAD_HEADER);
	/* It counts for what is sent in return, so all of it must be there. */
	if (skb->len < IP_AT + SF_IPV6_LEN + w->plen)
		return drop(skb, SF_TRUNCATED);
	if (OUTSIDE(n, SF_IPV6_LEN + SF_HDR_LEN, SF_BUILD_MAX) || load(skb, IP_AT, &w->build, n))
		return drop(skb, SF_TRUNCATED);
	build_pad(&w->build, n);
	if (sf_csum_fold(sf_alone_pseudo(&w->src, &w->dst, w->plen) +
			 build_sum(&w->build, SF_IPV6_LEN, n)) != 0xffff)
		return drop(skb, SF_BAD_CHECKSUM);
	bad = move_key(w);
	if (bad)
		return drop(skb, bad);
	/* A half-open flow first: one of the same ports may have been there before it. */
	if (tcp_promote(cfg, w))
		return control_tell(skb, w);
	f = bpf_map_lookup_elem(&flows, &w->key);
	if (f && move_is_late(skb, w, f))
		return reply_fail(skb, SF_WRONG_STATE, SF_NO_SUCH_SOCKET);
	if (f || move_promote(cfg, w))
		return control_tell(skb, w);
	if (w->kind != SF_KIND_RSYN)
		return drop(skb, SF_UNKNOWN_SOCKET);
	/* A stranger to it, or there is no room. */
	if (bpf_map_lookup_elem(&halfopen, &w->key))
		return drop(skb, SF_WRONG_STATE);
	if (half_open_may_be_lost())
		return drop(skb, SF_HALF_OPEN_LOST);
	return reply_fail(skb, SF_UNKNOWN_SOCKET, SF_NO_SUCH_SOCKET);
}

/**
 * sf_flow_alter - change a flow's entry as a renegotiation has it, run by the agent
 * (BPF_PROG_TEST_RUN). A whole value written by the agent would race with what packets write.
 * Return: 0, or 1 when there is no flow of that socketID.
 */
SEC("syscall")
int sf_flow_alter(struct sf_flow_change *ctx)
{
	struct sf_flow_change c = *ctx;
	struct sf_flow *f = flow_of(&flows, c.id);

	/* Not while it has one locator alone. */
	if (!f || f->state == SF_FLOW_CONNECTING || f->state == SF_FLOW_HALF_OPEN)
		return 1;
	sf_flow_change(f, &c, bpf_ktime_get_ns());
	return 0;
}

/** sf_flow_answered - the peer's host has answered the agent, who asked for it: as if the peer had
 * been heard. Return: 0, or 1 when there is no flow of that socketID. */
SEC("syscall")
int sf_flow_answered(__u64 *id)
{
	struct sf_flow *f = flow_of(&flows, *id);

	if (!f)
		return 1;
	sf_flow_heard(f);
	return 0;
}

/* More often TCP does not double its timer: from 200 ms, or 20, to its longest, 120 s. */
#define KICKS 12

/* More than a window can have (RFC 7323, 2.3). */
#define BEFORE_ALL ((1u << 30) + 1)

/* What a path must carry for segments of one byte more than a socket's, with timestamps. */
#define KICK_MTU(mss) ((mss) + SF_IPV6_LEN + (__u32)sizeof(struct tcp) + 12)

/** struct kick_state - of a connection. @doubled: how often its timer may have been; @under_way:
 * bytes that it has sent and that are not acknowledged. */
struct kick_state {
	__u32 doubled;
	__u32 under_way;
};

/**
 * kick_look() - how far the connection w->tuple is: @k, and in w->seg, of the peer's next segment,
 * were it without data, sequence number and acknowledgement; and its length is that of a full one
 * of ours.
 * Return: 0 or enum sf_kick; SF_KICK_IDLE: all is acknowledged.
 */
static __noinline int kick_look(struct __sk_buff *skb, struct work *w, struct kick_state *k)
{
	struct bpf_sock_tuple s = {};
	struct bpf_tcp_sock *tcp;
	struct bpf_sock *sk;
	int ret = SF_KICK_NONE;

	__builtin_memcpy(s.ipv6.saddr, &w->tuple.peer, 16);
	__builtin_memcpy(s.ipv6.daddr, &w->tuple.local, 16);
	s.ipv6.sport = w->tuple.pport;
	s.ipv6.dport = w->tuple.lport;
	sk = bpf_sk_lookup_tcp(skb, &s, sizeof(s.ipv6), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return SF_KICK_NONE;
	tcp = sk->state == BPF_TCP_LISTEN ? NULL : bpf_tcp_sock(sk);
	if (tcp) {
		w->seg.seq = tcp->rcv_nxt;
		w->seg.ack = tcp->snd_una;
		w->seg.len = tcp->mss_cache;
		k->doubled = tcp->icsk_retransmits;
		k->under_way = tcp->snd_nxt - tcp->snd_una;
		ret = k->under_way ? 0 : SF_KICK_IDLE;
	}
	bpf_sk_release(sk);
	return ret;
}

/**
 * kick_ack() - the socket of w->tuple tells its peer how far it has received (RFC 9293, 3.10.7.4):
 * what lies before that is answered so, twice a second at most. Nothing lies so far before that it
 * could be taken for what waits for a delayed acknowledgement, and its window with it.
 */
static __always_inline int kick_ack(struct __sk_buff *skb, struct work *w)
{
	if (reply_segment(skb, RUN, w->seg.seq - BEFORE_ALL, w->seg.ack, SF_TCP_ACK) ==
		    TC_ACT_SHOT ||
	    bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS))
		return SF_KICK_LOST;
	return SF_KICK_DONE;
}

/**
 * kick_hold() - an acknowledgement that was lost, as the peer's RSYN repeats it, with a window of
 * 0: the oldest segment that is missing may be sent, and no other (RFC 9293, 3.8.6.1), until the
 * peer's own next one opens it again. What a candidate may be sent is not for what the program
 * writes next.
 */
static __always_inline int kick_hold(struct __sk_buff *skb, struct work *w,
				     const struct kick_state *k)
{
	__u32 received = skb->cb[SF_KICK_CB_RECEIVED];

	/* What was never sent, or was acknowledged long ago, was not said by this socket's peer. */
	if (received - w->seg.ack >= k->under_way)
		return SF_KICK_IDLE;
	if (reply_segment(skb, RUN, w->seg.seq, received, SF_TCP_ACK) == TC_ACT_SHOT ||
	    bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS))
		return SF_KICK_LOST;
	return SF_KICK_DONE;
}

/** kick_resend() - "packet too big" about the segment in w->build. Return: 0 or SF_KICK_LOST. */
static __noinline int kick_resend(struct __sk_buff *skb, __u32 mtu)
{
	if (reply_icmp6(skb, RUN, ICMP6_TOO_BIG, mtu, SF_IPV6_LEN + sizeof(struct tcp)) ==
	    TC_ACT_SHOT)
		return SF_KICK_LOST;
	/* Turned round again: the next error is written over this one. */
	if (bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS) || macs_swap(skb))
		return SF_KICK_LOST;
	return 0;
}

/**
 * sf_flow_kick - a TCP socket whose segments were lost for a while is told that they arrive again
 * (RFC 6069; core/datapath.h says what the program is given, and what it returns).
 *
 * An ICMPv6 error "no route" about the oldest segment that waits takes back one doubling of the
 * socket's timer; when that has run out, the segment is sent at once. So it does nothing before the
 * first repetition, while a program holds the socket's lock, and for probes of a closed window. To
 * the program it is nothing but a soft error, unless it has asked for each (IPV6_RECVERR).
 *
 * Where all that is under way is lost, an ICMPv6 error "packet too big" comes first, of one byte
 * less than a full segment needs: full segments are sent anew at once, all of them, without a
 * timer, also when a program holds the lock, and the window stays as it was (RFC 8201, 5.4: not by
 * congestion). The next ones are a byte shorter, until the kernel forgets it (10 minutes). A socket
 * without timestamps takes no notice.
 *
 * And a socket can be made to acknowledge anew, for its acknowledgements may be lost, too: else the
 * peer would first send what has arrived already. Before that acknowledgement can have come, a
 * socket learns from its peer's RSYN how far that is: kick_hold().
 */
SEC("tc")
int sf_flow_kick(struct __sk_buff *skb)
{
	struct work *w = work_get(RUN);
	__u32 how = skb->cb[SF_KICK_CB_HOW], mtu;
	struct kick_state k = {};
	struct ip6 *ip;
	struct tcp *t;
	int ret;

	if (!w)
		return SF_KICK_LOST;
	ip = (void *)&w->build.b[ICMP6_QUOTE_AT];
	t = (void *)(ip + 1);
	if (load(skb, IP_AT, ip, SF_IPV6_LEN + sizeof(*t)))
		return SF_KICK_LOST;
	w->tuple.local = ip->src;
	w->tuple.peer = ip->dst;
	w->tuple.lport = t->sport;
	w->tuple.pport = t->dport;
	ret = kick_look(skb, w, &k);
	if (how == SF_KICK_LOOK && ret != SF_KICK_NONE) {
		skb->cb[SF_KICK_CB_RECEIVED] = w->seg.seq;
		return SF_KICK_DONE;
	}
	if (how == SF_KICK_ACK && ret != SF_KICK_NONE)
		return kick_ack(skb, w);
	if (ret)
		return ret;
	if (how == SF_KICK_HOLD)
		return kick_hold(skb, w, &k);
	t->seq = sf_be32(w->seg.ack);
	mtu = KICK_MTU(w->seg.len);
	if (how == SF_KICK_RESEND && mtu > IPV6_MTU_MIN) {
		ret = kick_resend(skb, mtu - 1);
		if (ret)
			return ret;
	}
	/* Redirected to our own ingress, which this kind of run does not do by itself. */
	if (reply_icmp6(skb, RUN, ICMP6_UNREACHABLE, ICMP6_NO_ROUTE, SF_IPV6_LEN + sizeof(*t)) ==
	    TC_ACT_SHOT)
		return SF_KICK_LOST;
	for (__u32 i = 0; i < KICKS && i < k.doubled; i++)
		if (bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS))
			return SF_KICK_LOST;
	return SF_KICK_DONE;
}

#endif
