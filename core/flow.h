// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * flow.h - the flow entry: what a host knows of one connection (paper section 4.1, Figure 4).
 *
 * A flow is found from both sides by one key of 40 bits: a keyed hash of the connection as the
 * local stack sees it. An outbound packet shows just that; an inbound one names the local socketID,
 * which is the key and, in its low 8 bits, the flow's *incarnation*: a later flow on the same ports
 * has another, so what the network still holds of the earlier one finds nobody.
 *
 *   flows     key -> struct sf_flow
 *   halfopen  key -> struct sf_flow of inbound flows that are half open; it evicts only its own, so
 *             a SYN flood cannot touch what is established
 *
 * States, and what is allowed in each:
 *
 *   CONNECTING  our SYN is out; peer locator unset. SYN-ACK binds, FAIL re-resolves, nothing else.
 *   OPENING     our SYN was answered; our ACK carries the header until the peer shows it has it.
 *   HALF_OPEN   the peer's SYN is in (halfopen table). The peer's ACK, or its RSYN, makes it
 *               BOUND.
 *   BOUND       both locators known. Packets carry no header.
 *   CLOSING     FIN both ways or RST seen. As BOUND; freed when both FINs are acknowledged, else
 * when the kernel has no such socket. DATAGRAM    peers of unbound datagrams (a table that evicts).
 *   EXPORTED    handed over to another host. Nothing passes and nothing is answered but RSYN, by
 *             the agent, so that the peer waits until it hears of the new place; freed some time
 *             after @moved.
 *
 * What moves add (paper section 4.2.2) and packets need: for some time after locators change, or as
 * long as the ends do not agree on them, what is addressed to the former socketIDs of this end, or
 * comes from where the peer was, is taken as well; and to a place that the peer has not proven to
 * be at only so many bytes are sent. The rest of a renegotiation is core/renegotiate.h's.
 */
#ifndef SF_CORE_FLOW_H
#define SF_CORE_FLOW_H

#include "core/addr.h"
#include "core/csum.h"
#include "core/reason.h"
#include "core/siphash.h"

enum sf_flow_state {
	SF_FLOW_FREE = 0,
	SF_FLOW_CONNECTING = 1,
	SF_FLOW_OPENING = 2,
	SF_FLOW_HALF_OPEN = 3,
	SF_FLOW_BOUND = 4,
	SF_FLOW_CLOSING = 5,
	SF_FLOW_DATAGRAM = 6,
	SF_FLOW_EXPORTED = 7,
	SF_FLOW_STATES = 8,
};

#define SF_FLOW_INBOUND 0x01 /* the peer opened it */
#define SF_FLOW_RST	0x02
#define SF_FLOW_OVER	0x04 /* the datapath will free it */
#define SF_FLOW_MOVED	0x08 /* it moved once: @moved, @formers, @before hold */
#define SF_FLOW_OPEN	0x10 /* the ends do not agree yet: what moves leave does not end */
#define SF_FLOW_BUDGET	0x20 /* what is sent costs @budget: the peer's place is not validated */

/* What segments of one direction have said of the end. */
#define SF_END_FIN   0x01 /* a FIN */
#define SF_END_ACK   0x02 /* the acknowledgement of the other direction's FIN */
#define SF_END_FIRST 0x04 /* its FIN went before the other's was seen */

/**
 * struct sf_tuple - a connection as the local stack sees it. Ports in network order.
 * @local: the local socket's address (a service address, or any that the program bound)
 * @peer: the peer's address as shown to the local socket
 */
struct sf_tuple {
	struct sf_addr local;
	struct sf_addr peer;
	__be16 lport;
	__be16 pport;
	__u8 proto;
	__u8 pad[3];
};

/**
 * struct sf_flow - one flow.
 * @tuple: as the local stack sees it
 * @own: own locator, with the local socketID
 * @peer: peer's locator; while connecting, the service address asked for
 * @peer_sid: as in the headers (0 = anonymous); the own one follows from the local address
 * @peer_host: the peer's host serviceID, under which it is found again after a move (0 = unknown)
 * @csum_out: checksum delta of the outbound translation (core/csum.h); inbound is its inverse
 * @isn: initial sequence number of the opener's SYN, host order
 * @fin_out, @fin_in: what acknowledges our FIN, the peer's; host order, once FIN_OUT, FIN_IN are
 * set
 * @tried: UDP, connecting: since when the present attempt is under way, sf_used_of()
 * @unreached: UDP: since when the network says that the peer is not there; 0: it does not
 * @sent: UDP, inbound: when the local socket last sent
 * @attempt: of the last SYN
 * @created: when, by the datapath's clock (CLOCK_MONOTONIC in the kernel), sf_used_of()
 * @used: the same when the peer was last heard
 * @standing: state, flags and what segments have said, at once: the hot path's question
 * @fail: last FAIL's reason on this flow (enum sf_reason), 0 when none; a soft one is over when the
 * peer is heard again, sf_flow_heard()
 * @formers: incarnations of the own socketID before the present one that are taken, too
 * @before: where the peer was, or is if its new place is not validated
 * @budget: bytes that may still go to a place that is not validated
 * @moved: when either locator last changed, sf_used_of()
 */
struct sf_flow {
	/* First and second cache line: what bound packets of either direction read and, once it is
	 * bound, nobody writes: CPUs that have a direction each keep both. The locators stand as in
	 * an IPv6 header, source first, and are written by one store. */
	struct sf_addr own;
	struct sf_addr peer;
	__u32 csum_out;
	union {
		struct {
			__u8 state;
			__u8 flags;
			__u8 end_out;
			__u8 end_in;
		};
		__u32 standing;
	};
	__u32 epoch;
	__u32 created;
	union {
		__u32 isn;
		__u32 tried;
	};
	union {
		__u32 fin_in;
		__u32 syn_end;
		__u32 unreached;
	};
	union {
		__u32 fin_out;
		__u32 sent;
	};
	__u16 attempt;
	__u8 fail;
	__u8 formers;
	struct sf_tuple tuple;
	struct sf_sid peer_sid;
	struct sf_sid peer_host;
	/* Third: what each packet writes, and moves need. */
	__u64 tx_packets, tx_bytes;
	__u64 rx_packets, rx_bytes;
	struct sf_addr before;
	__s64 budget;
	__u32 used;
	__u32 moved;
};

SF_STATIC_ASSERT(sizeof(struct sf_tuple) == 40, "tuple");
/* In a hash map an entry has 64 bytes before its value: 192 make it 256, a size of the allocator's.
 */
SF_STATIC_ASSERT(sizeof(struct sf_flow) == 192, "flow");
SF_STATIC_ASSERT(__builtin_offsetof(struct sf_flow, peer) ==
			 __builtin_offsetof(struct sf_flow, own) + 16,
		 "locators side by side");

/**
 * struct sf_listener_key - a listening socket on one host of this kernel.
 * @host: network namespace cookie
 * @addr: service address; the kernel's wildcard listeners appear under the service that
 *        `scaffold run` gave them
 */
struct sf_listener_key {
	__u64 host;
	struct sf_addr addr;
	__be16 port; /* 0: any port (native API, host identity) */
	__u8 proto;  /* 0: any protocol */
	__u8 pad[5];
};

/* Listener states. The datapath delivers only to LIVE ones; the agent judges PENDING ones. */
enum sf_listener_state {
	SF_LISTENER_PENDING = 1,
	SF_LISTENER_LIVE = 2,
	SF_LISTENER_DENIED = 3,
	SF_LISTENER_DRAINING = 4, /* unregistered, new flows refused, old ones finish */
};

/**
 * struct sf_listener - value of the listeners table.
 * @sockets: how many sockets share the key (SO_REUSEPORT, fork)
 * @state: enum sf_listener_state
 * @flags: SF_LISTENER_*
 * @flows: new flows delivered since the key appeared
 */
struct sf_listener {
	__s32 sockets;
	__u8 state;
	__u8 flags;
	__u8 reason; /* of DENIED */
	__u8 pad;
	__u32 uid;
	__u32 pid;
	__u64 cgroup;
	__u64 flows;
	__u64 packets;
	__u64 bytes;
};

/* The socket is bound to ::, and delivered to by destination address. */
#define SF_LISTENER_WILDCARD 0x01
/* Registered by the CLI or the API, not by a socket. */
#define SF_LISTENER_MANUAL 0x02

SF_STATIC_ASSERT(sizeof(struct sf_listener_key) == 32, "listener key");

/* Socket events, kernel -> agent, one ring per host. */
enum sf_socket_event_kind {
	SF_SOCKET_LISTEN = 1,  /* a new key, or one more socket on it */
	SF_SOCKET_RELEASE = 2, /* one socket less; @left tells how many remain */
};

struct sf_socket_event {
	struct sf_listener_key key;
	__u64 cookie; /* of the socket */
	__u64 cgroup;
	__u32 uid;
	__u32 pid;
	__s32 left;
	__u8 kind;
	__u8 flags;
	__u8 pad[2];
	char comm[16];
};

SF_STATIC_ASSERT(sizeof(struct sf_socket_event) == 80, "socket event");

/* Last use is kept in units of 2^24 ns (17 ms), which last for two years. */
#define SF_USED_SHIFT 24

/** sf_used_of() - a time in nanoseconds as it is kept in @used. */
SF_INLINE __u32 sf_used_of(__u64 ns)
{
	return (__u32)(ns >> SF_USED_SHIFT);
}

/** sf_used_since() - nanoseconds from @used to @now, 0 if it lies ahead. */
SF_INLINE __u64 sf_used_since(__u32 used, __u64 now)
{
	__s32 units = (__s32)(sf_used_of(now) - used);

	return units > 0 ? (__u64)units << SF_USED_SHIFT : 0;
}

#define SF_INCARNATION_BITS 8

/* How long, and how many, socketIDs and places are taken after they were left. */
#define SF_GRACE_NS	 2000000000ull
#define SF_GRACE_FORMERS 4

/** sf_socket_id_of() - a hash's 48 bits as a socketID, never one that reads as unset. */
SF_INLINE __u64 sf_socket_id_of(__u64 hash)
{
	__u64 id = hash & SF_SOCK_MASK;

	return sf_sock_is_unset(id) ? id | 0x10000 : id;
}

/**
 * sf_flow_hash() - what the keys of a flow are made of: SipHash-1-3 of its tuple.
 *
 * It is a function of what every packet of the local socket shows, and of what an acceptor learns
 * from a SYN or a handshake ACK: so an evicted half-open entry can be checked and rebuilt, and no
 * table leads from tuples to flows.
 */
SF_INLINE __u64 sf_flow_hash(const struct sf_hashkey *key, const struct sf_tuple *t)
{
	__u64 words[5];

	words[0] = (__u64)t->peer.w[0] << 32 | t->peer.w[1];
	words[1] = (__u64)t->peer.w[2] << 32 | t->peer.w[3];
	words[2] = (__u64)t->local.w[0] << 32 | t->local.w[1];
	words[3] = (__u64)t->local.w[2] << 32 | t->local.w[3];
	words[4] = (__u64)t->lport << 32 | (__u64)t->pport << 16 | t->proto;
	return sf_siphash13(key, words, 5);
}

/**
 * sf_flow_key() - a flow's key.
 * @hash: sf_flow_hash()
 * @other: the second choice, where another flow has the first
 *
 * Return: 40 bits that make a socketID which does not read as unset.
 */
SF_INLINE __u64 sf_flow_key(__u64 hash, bool other)
{
	__u64 id = (other ? hash >> 16 : hash << SF_INCARNATION_BITS) & SF_SOCK_MASK;

	return sf_socket_id_of(id) >> SF_INCARNATION_BITS;
}

/** sf_socket_id() - the socketID of a flow: its key and its incarnation. */
SF_INLINE __u64 sf_socket_id(__u64 flow_key, __u8 incarnation)
{
	return flow_key << SF_INCARNATION_BITS | incarnation;
}

/** sf_socket_key() - the key of the flow that has this socketID. */
SF_INLINE __u64 sf_socket_key(__u64 id)
{
	return id >> SF_INCARNATION_BITS;
}

/**
 * sf_incarnation_of() - the incarnation of an inbound flow: a keyed function of the opener's
 * locator, which has an incarnation of its own.
 */
SF_INLINE __u8 sf_incarnation_of(const struct sf_hashkey *key, const struct sf_addr *peer)
{
	__u64 words[2];

	words[0] = (__u64)peer->w[0] << 32 | peer->w[1];
	words[1] = (__u64)peer->w[2] << 32 | peer->w[3];
	return (__u8)sf_siphash13(key, words, 2);
}

/** sf_locator_place() - a locator without its socketID. */
SF_INLINE struct sf_addr sf_locator_place(const struct sf_addr *a)
{
	struct sf_addr place = *a;

	sf_locator_set_sock(&place, 0);
	return place;
}

/**
 * struct sf_flow_change - what a renegotiation changes of a flow's entry.
 * @id: the own socketID as it is now, which finds the entry
 * @own, @peer: locators from now on
 * @before: where the peer is taken from besides; 0: from where it was until now
 * @peer_host: serviceID of the peer's host, which is another one after a hand-over
 * @credit: bytes more that may go to @peer if SF_FLOW_BUDGET is set
 * @flags: SF_FLOW_OPEN, SF_FLOW_BUDGET
 */
struct sf_flow_change {
	__u64 id;
	struct sf_addr own;
	struct sf_addr peer;
	struct sf_addr before;
	struct sf_sid peer_host;
	__u32 pad;
	__u32 credit;
	__u32 flags;
};

SF_STATIC_ASSERT(sizeof(struct sf_flow_change) == 80, "flow change");

/**
 * sf_flow_heard() - the peer was heard where it is said to be: whoever said that it is not there is
 * out of date. What ended the flow stays.
 */
SF_INLINE void sf_flow_heard(struct sf_flow *f)
{
	if (f->fail && !(f->flags & SF_FLOW_RST) && !sf_reason_is_hard(f->fail))
		f->fail = 0;
}

/**
 * sf_flow_change() - change an entry in place.
 *
 * Packets that pass meanwhile on other CPUs may see half of it: their checksum is wrong then, or
 * they go to where they would have gone, and either is a loss as moves have them.
 */
SF_INLINE void sf_flow_change(struct sf_flow *f, const struct sf_flow_change *c, __u64 now)
{
	__u8 drawn = (__u8)(sf_locator_sock(&c->own) - sf_locator_sock(&f->own));
	bool live = f->flags & (SF_FLOW_MOVED | SF_FLOW_OPEN);
	bool there = sf_locator_same_host(&f->peer, &c->peer);
	__u32 formers = drawn + (live ? f->formers : 0);

	if (!sf_addr_is_zero(&c->before))
		f->before = c->before;
	else if (!live || !there)
		f->before = f->peer;
	f->formers = formers > SF_GRACE_FORMERS ? SF_GRACE_FORMERS : (__u8)formers;
	/* What one place has earned is not another's. */
	f->budget = ((f->flags & SF_FLOW_BUDGET) && there ? f->budget : 0) + c->credit;
	f->moved = sf_used_of(now);
	f->csum_out = sf_csum_delta(&f->tuple.local, &f->tuple.peer, &c->own, &c->peer);
	f->own = c->own;
	f->peer = c->peer;
	f->peer_host = c->peer_host;
	f->flags = (f->flags & ~(SF_FLOW_OPEN | SF_FLOW_BUDGET)) | (__u8)c->flags | SF_FLOW_MOVED;
	/* Both ends have named where the other is. */
	if (!(c->flags & (SF_FLOW_OPEN | SF_FLOW_BUDGET)))
		sf_flow_heard(f);
}

/** sf_flow_in_grace() - whether what moves leave is still taken. */
SF_INLINE bool sf_flow_in_grace(const struct sf_flow *f, __u64 now)
{
	return (f->flags & SF_FLOW_OPEN) ||
	       ((f->flags & SF_FLOW_MOVED) && sf_used_since(f->moved, now) < SF_GRACE_NS);
}

/** sf_flow_is_named() - whether socketID @id names the flow, now or in grace. */
SF_INLINE bool sf_flow_is_named(const struct sf_flow *f, __u64 id, __u64 now)
{
	__u64 own = sf_locator_sock(&f->own);

	if (own == id)
		return true;
	return sf_socket_key(own) == sf_socket_key(id) && (__u8)(own - id) <= f->formers &&
	       sf_flow_in_grace(f, now);
}

/**
 * sf_flow_is_peer() - whether data from locator @src is the peer's, now or in grace.
 *
 * While the ends do not agree, another incarnation of the peer's socketID will do: data overtakes
 * the message that tells of it.
 */
SF_INLINE bool sf_flow_is_peer(const struct sf_flow *f, const struct sf_addr *src, __u64 now)
{
	__u64 key = sf_socket_key(sf_locator_sock(src));

	if (sf_addr_eq(&f->peer, src))
		return true;
	if (!sf_flow_in_grace(f, now))
		return false;
	if (key == sf_socket_key(sf_locator_sock(&f->before)) &&
	    sf_locator_same_host(&f->before, src))
		return true;
	return key == sf_socket_key(sf_locator_sock(&f->peer)) &&
	       sf_locator_same_host(&f->peer, src);
}

/** sf_flow_is_host() - whether @host is the peer's, as far as that is known. An address may be
 * another host's by now. */
SF_INLINE bool sf_flow_is_host(const struct sf_sid *known, const struct sf_sid *host)
{
	return sf_sid_is_zero(known) || sf_sid_eq(known, host);
}

/**
 * sf_flow_may_refuse() - whether a hard FAIL ends the flow: the peer's own does, from a place that
 * it has proven to be at.
 * @src, @host: who refuses
 * @own, @peer: locators of the packet of ours that it quotes
 * @unknown: it says that there is no such socket. While the ends do not agree where they are, so
 *           does whoever is at the wrong place, and who did not know yet where we are now; so it
 *           counts afterwards, and only about names that both knew. What answers RSYN decides else.
 */
SF_INLINE bool sf_flow_may_refuse(const struct sf_flow *f, const struct sf_addr *src,
				  const struct sf_sid *host, const struct sf_addr *own,
				  const struct sf_addr *peer, bool unknown)
{
	if (!sf_addr_eq(&f->peer, src) || !sf_flow_is_host(&f->peer_host, host) ||
	    (f->flags & SF_FLOW_BUDGET))
		return false;
	return !unknown || (!(f->flags & SF_FLOW_OPEN) && sf_addr_eq(&f->own, own) &&
			    sf_addr_eq(&f->peer, peer));
}

/**
 * sf_flow_has_keys() - whether a packet between these socketIDs has the keys of both ends.
 * @id: the destination's, whose key found the flow
 *
 * Who knows 80 bits is no stranger: it is a packet of a time, or from a place, that has passed, or
 * one that overtook the message that tells of it.
 */
SF_INLINE bool sf_flow_has_keys(const struct sf_flow *f, __u64 id, const struct sf_addr *src)
{
	__u64 key = sf_socket_key(sf_locator_sock(src));

	return f->state != SF_FLOW_CONNECTING &&
	       sf_socket_key(sf_locator_sock(&f->own)) == sf_socket_key(id) &&
	       (key == sf_socket_key(sf_locator_sock(&f->peer)) ||
		((f->flags & SF_FLOW_MOVED) && key == sf_socket_key(sf_locator_sock(&f->before))));
}

/** sf_tuple_eq() - whether two tuples are one. */
SF_INLINE bool sf_tuple_eq(const struct sf_tuple *a, const struct sf_tuple *b)
{
	return sf_addr_eq(&a->local, &b->local) && sf_addr_eq(&a->peer, &b->peer) &&
	       a->lport == b->lport && a->pport == b->pport && a->proto == b->proto;
}

/**
 * sf_socket_id_datagram() - the socketID under which a local datagram socket is answered. It
 * depends on address and port alone, so answers are checked without any state.
 */
SF_INLINE __u64 sf_socket_id_datagram(const struct sf_hashkey *key, const struct sf_addr *local,
				      __be16 lport, __u8 proto)
{
	__u64 words[3];

	words[0] = (__u64)local->w[0] << 32 | local->w[1];
	words[1] = (__u64)local->w[2] << 32 | local->w[3];
	words[2] = 0x64670000ull << 32 | (__u64)lport << 8 | proto;
	return sf_socket_id_of(sf_siphash24(key, words, 3));
}

#if SF_NATIVE
/** sf_flow_state_name() - "connecting", "bound", ... */
const char *sf_flow_state_name(unsigned int state);

/** sf_proto_name() - "tcp", "udp", "any" or "?". */
const char *sf_proto_name(unsigned int proto);

/** sf_proto_parse() - inverse of sf_proto_name(). Return: 0 or -EINVAL. */
int sf_proto_parse(const char *text, __u8 *proto);
#endif

#endif
