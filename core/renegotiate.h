// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * renegotiate.h - what an end of a flow does when it, or its peer, moves (paper section 4.2.2;
 * docs/design/0004-renegotiation.md, which tests/model searches; docs/protocol.md, "Moving").
 *
 * Theory of operation
 *
 * Each end tells the other of itself: a *view*, which is where it is (the source of what it sends),
 * and under which name. A name is a random token; each change of the view has a new one, and one
 * epoch more. So there are two registers, one for each direction, that do not touch each other:
 * crossing moves are no case of their own. Every message has all that its sender has to say, so any
 * of them may be lost, repeated or overtaken.
 *
 * *Who* the peer is, is settled at once and for good: a newer view is taken if it names the one
 * before it, or, where several follow before the first is acknowledged, if it has their claim.
 * Whoever else says to be the peer (the copy of a virtual machine, one that was handed over twice)
 * is told that it is superseded. *Where* the peer is, is settled when it has repeated a challenge
 * that was sent to that place alone; until then the place is a *candidate*, to which little is sent
 * and which is left again after a while.
 *
 * Pure: time and randomness are arguments; at most one message leaves for each event. The caller
 * keeps struct sf_move before it sends, so that an end never forgets what it has said.
 */
#ifndef SF_CORE_RENEGOTIATE_H
#define SF_CORE_RENEGOTIATE_H

#include "core/flow.h"
#include "core/wire.h"

#define SF_MOVE_FIRST_NS     50000000ull /* first repetition; doubled each time, up to */
#define SF_MOVE_LONGEST_NS   1000000000ull
#define SF_MOVE_CANDIDATE_NS 3000000000ull /* a candidate that does not answer is left */
#define SF_MOVE_UNRESOLVED   2		   /* repetitions of an RSYN before one goes unresolved */
#define SF_MOVE_AMPLIFY	     3		   /* bytes to a candidate for each that came from there */

/* What a message says (flags of the TLV). */
#define SF_MOVE_ASK   0x0001 /* the sender does not know yet that its place is validated */
#define SF_MOVE_VALID 0x0002 /* the receiver's place is validated */
#define SF_MOVE_LOST  0x0004 /* what goes to the place that the sender has left is lost */
#define SF_MOVE_HEARD 0x0008 /* @received counts */

/**
 * struct sf_tlv_move - the TLV of RSYN, RSYN-ACK and RACK.
 * @epoch: of the sender's view
 * @you_sock: high 16 and low 32 bits of the receiver's socketID as last known: finds the flow where
 *            the destination is unresolved
 * @claim: of the sender's series
 * @was: the last name of the sender's that the receiver is known to know
 * @name: the sender's
 * @you, @your_claim: the receiver's name and claim, as last taken
 * @challenge: RSYN-ACK: for the place that this goes to; else 0
 * @echo: the challenge that came to the place that this is sent from
 * @received: with HEARD: of the sender's TCP, the sequence number that it expects next; else 0
 */
struct sf_tlv_move {
	__u8 type; /* SF_TLV_MOVE */
	__u8 len;  /* 78 */
	__be16 flags;
	__be32 epoch;
	__be16 you_sock_high;
	__be16 reserved;
	__be32 you_sock_low;
	__be64 claim;
	__be64 was;
	__be64 name;
	__be64 you;
	__be64 your_claim;
	__be64 challenge;
	__be64 echo;
	__be32 received;
	__be32 zero;
} SF_WIRE;

SF_STATIC_ASSERT(sizeof(struct sf_tlv_move) == 80, "move TLV");

#define SF_MOVE_HDR_LEN (SF_HDR_LEN + sizeof(struct sf_tlv_move)) /* header of a message */
#define SF_MOVE_LEN	(SF_IPV6_LEN + SF_MOVE_HDR_LEN)		  /* and of the packet */
#define SF_MOVE_PADDED	1200 /* of one that allows for two full segments (RFC 9000, 8.1) */

/** struct sf_view - what is known of an end. @closed: its claim is worth nothing any more. */
struct sf_view {
	__u64 name;
	__u64 claim;
	__u32 epoch;
	__u32 closed;
};

/* What an end is through with. */
#define SF_MOVE_CONFIRMED 0x1  /* the peer has validated where we are */
#define SF_MOVE_EXPIRED	  0x2  /* the candidate did not answer in time */
#define SF_MOVE_GONE	  0x4  /* the place that we left was gone when we left it */
#define SF_MOVE_LEFT	  0x8  /* the flow was handed over, and is elsewhere */
#define SF_MOVE_BROUGHT	  0x10 /* it was handed over to here, and the peer has not answered yet */

/**
 * struct sf_move - what an end keeps of a flow from its first renegotiation on; value of the pinned
 * map `moves`, by the flow's key.
 * @own: our view; its @closed is not used
 * @peer: the peer's, as last taken
 * @acked: the last name of ours that the peer is known to know; the series is open while that is
 *         not @own's
 * @former: the one acknowledged before it, or @acked where there is none
 * @echo: the challenge that the peer sent to this place; 0: none
 * @at: our locator
 * @valid: the peer's, its place validated
 * @cand: the peer's where its newest place is not validated; 0: there is no candidate
 * @peer_host: serviceID of the peer's host, under which it is found wherever it is; 0: not known
 * @allow: messages that we may send to the candidate without having been asked
 * @began: when it last stopped being settled, in nanoseconds
 * @heard: when the peer last said something that was taken or a repeat
 * @cand_since: when the candidate was taken
 * @due: when the timer fires; 0: it does not run
 * @wait: until it fires again, in nanoseconds
 * @tries: how often it fired since something changed
 * @moves, @peer_moves: how often either end moved, for people
 */
struct sf_move {
	struct sf_view own;
	struct sf_view peer;
	__u64 acked;
	__u64 former;
	__u64 echo;
	struct sf_addr at;
	struct sf_addr valid;
	struct sf_addr cand;
	struct sf_sid peer_host;
	__u32 flags;
	__u32 allow;
	__u32 tries;
	__u64 began;
	__u64 heard;
	__u64 cand_since;
	__u64 due;
	__u64 wait;
	__u32 moves;
	__u32 peer_moves;
};

SF_STATIC_ASSERT(sizeof(struct sf_move) == 192, "move");

#if SF_NATIVE
/** struct sf_move_msg - a message of a renegotiation, decoded; host order. @len: bytes of its
 * packet. */
struct sf_move_msg {
	struct sf_addr src, dst;
	struct sf_sid host; /* the sender's */
	struct sf_sid peer; /* the receiver's host, as far as known */
	__u8 kind;
	__u16 flags;
	__u32 epoch;
	__u32 len;
	__u64 you_sock;
	__u64 claim, was, name;
	__u64 you, your_claim;
	__u64 challenge, echo;
	__u32 received;
};

/* What an event has brought about. */
#define SF_MOVE_SEND	0x01  /* @msg is to be sent */
#define SF_MOVE_APPLY	0x02  /* locators, or what may be sent, changed: sf_move_apply() */
#define SF_MOVE_PEER	0x04  /* the peer is where it was not before */
#define SF_MOVE_ARRIVED 0x08  /* our own move was answered: what we send arrives */
#define SF_MOVE_SETTLED 0x10  /* both ends know all of each other */
#define SF_MOVE_REACHED 0x20  /* the peer's new place is validated: no budget any more */
#define SF_MOVE_OVER	0x40  /* we are superseded: the flow is over here */
#define SF_MOVE_STALE	0x80  /* the message was of the past, or a stranger's: count duplicate */
#define SF_MOVE_RESEND	0x100 /* with PEER, ARRIVED or REACHED: what was under way is lost */

/**
 * struct sf_move_env - what the core cannot know.
 * @now: nanoseconds of CLOCK_MONOTONIC
 * @random: two numbers from the kernel's generator, used once
 * @key: of this host, for challenges
 * @net: for the peer's host service address
 * @self: serviceID of this host
 * @padded: an RSYN is as long as SF_MOVE_PADDED, so that data need not wait until our place is
 *          validated
 */
struct sf_move_env {
	__u64 now;
	__u64 random[2];
	const struct sf_hashkey *key;
	const struct sf_net *net;
	struct sf_sid self;
	bool padded;
};

/**
 * struct sf_move_out - what an event has brought about.
 * @acts: SF_MOVE_*
 * @fail: SF_SUPERSEDED where the message is to be answered by that FAIL, which quotes it
 * @credit: bytes of data that what came allows to the candidate
 * @msg: to send, with its source and destination; an unresolved destination is a service address
 */
struct sf_move_out {
	__u32 acts;
	__u8 fail;
	__u32 credit;
	struct sf_move_msg msg;
};

/** sf_move_init() - the state of a flow that was never renegotiated. @f: bound or closing. */
void sf_move_init(struct sf_move *m, const struct sf_flow *f, __u64 now);

/** sf_move_is_open() - whether the peer is not known to know our newest name. */
bool sf_move_is_open(const struct sf_move *m);

/** sf_move_is_settled() - whether nothing is under way. */
bool sf_move_is_settled(const struct sf_move *m);

/** sf_move_state_name() - "settled", "moving", "answered", "unconfirmed" (design 0004). */
const char *sf_move_state_name(const struct sf_move *m);

/** sf_move_peer() - the locator that data goes to: the candidate, else where it is validated. */
struct sf_addr sf_move_peer(const struct sf_move *m);

/**
 * sf_move_start() - we have moved, or were handed over to here.
 * @place: our new locator, whatever its socketID
 * @lost: the former place is gone, and what is under way to it
 * Brings about an RSYN. To where we are already: a new name, as after a hand-over.
 */
void sf_move_start(struct sf_move *m, const struct sf_addr *place, bool lost,
		   const struct sf_move_env *env, struct sf_move_out *out);

/**
 * sf_move_rehome() - the flow was handed over to this host, where other keys hold and another clock
 * runs. sf_move_start() follows, which tells the peer.
 * @own: our locator, with a socketID of this host's
 */
void sf_move_rehome(struct sf_move *m, const struct sf_addr *own, __u64 now);

/**
 * sf_move_tell() - an RSYN that says what we say, to who handed the flow over to us: so that it
 * knows where to send on whoever looks for the flow there. It changes nothing. The name that it
 * follows is the one that was acknowledged when we got the flow, which the exporter knows.
 * @to: where the exporter had the flow, with its socketID
 */
void sf_move_tell(const struct sf_move *m, const struct sf_addr *to, const struct sf_move_env *env,
		  struct sf_move_out *out);

/**
 * sf_move_leave() - the flow was handed over from here. From now on the state says no more than how
 * its end is called, and, in @valid, where it has gone; 0: that is not known. It is settled.
 */
void sf_move_leave(struct sf_move *m);

/**
 * sf_move_follow() - a message has come to where the flow was left (sf_move_leave()).
 *
 * Who names our name as its former one, or has our claim, goes on with our end: it knows what we
 * exported. It is believed as far as REDIRECT goes, which changes nothing.
 * Return: whether it says where the end is now; else it is the peer's, or a stranger's.
 */
bool sf_move_follow(struct sf_move *m, const struct sf_move_msg *in);

/** sf_move_is_asked() - whether an RSYN is of who knows the end that was left, and may be told
 * where it is now, @valid: that is known. */
bool sf_move_is_asked(const struct sf_move *m, const struct sf_move_msg *in);

/** sf_move_in() - an RSYN, RSYN-ACK or RACK has come, and its key is this flow's. */
void sf_move_in(struct sf_move *m, const struct sf_move_msg *in, const struct sf_move_env *env,
		struct sf_move_out *out);

/** sf_move_timer() - @due has passed. Harmless at other times. */
void sf_move_timer(struct sf_move *m, const struct sf_move_env *env, struct sf_move_out *out);

/**
 * sf_move_failed() - a FAIL quotes a message of ours.
 * @quoted: the message as we sent it
 * @src, @host: who refuses: locator, and serviceID of the host
 * Brings about OVER where it is superseded, or refused for good by the peer itself, at a place that
 * is validated and not in question; @out->fail is the reason then.
 */
void sf_move_failed(struct sf_move *m, __u8 reason, const struct sf_move_msg *quoted,
		    const struct sf_addr *src, const struct sf_sid *host, struct sf_move_out *out);

/**
 * sf_move_redirected() - somebody who knew the peer suggests where it is.
 * @quoted: the RSYN of ours that is answered
 * @place: the suggestion; with a socketID where the flow has another key there
 * Brings about one RSYN to there, if the quoted one is our newest.
 */
void sf_move_redirected(struct sf_move *m, const struct sf_move_msg *quoted,
			const struct sf_addr *place, const struct sf_move_env *env,
			struct sf_move_out *out);

/**
 * sf_move_apply() - what the flow's entry is to become: sf_flow_change().
 * @id: the own socketID that the entry has now
 * @credit: of the event, struct sf_move_out
 */
void sf_move_apply(const struct sf_move *m, __u64 id, __u32 credit, struct sf_flow_change *out);

/** sf_move_encode() - a message as a packet, of @msg->len bytes. @room: that, or more. Return: the
 * length, or -EMSGSIZE. */
int sf_move_encode(void *packet, size_t room, const struct sf_move_msg *msg);

/**
 * sf_move_decode() - a packet as a message.
 * @packet: from its IPv6 header on; also one that a FAIL or REDIRECT quotes whole
 * Return: 0, or -EBADMSG with *@reason set (enum sf_reason); the checksum is verified.
 */
int sf_move_decode(const void *packet, size_t len, struct sf_move_msg *msg, __u8 *reason);
#endif

#endif
