// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * datapath.h - what daemons and eBPF programs say to each other: pinned maps and their values.
 *
 * Pin directories below the bpffs root (default /sys/fs/bpf/scaffold), COOKIE = the network
 * namespace's cookie as 16 hexadecimal digits:
 *
 *   hooks/         one set per kernel: socket hooks on the root cgroup, shared by all hosts
 *   host-COOKIE/   service access layer of one host
 *   router-COOKIE/ datapath of one router
 *
 * Every directory holds a map "meta", which has the layout number of each map beside it. Values
 * below change only together with their directory's number; a daemon that finds another migrates
 * the map or refuses it by name (util/bpf.h).
 */
#ifndef SF_CORE_DATAPATH_H
#define SF_CORE_DATAPATH_H

#include "core/addr.h"
#include "core/flow.h"
#include "core/reason.h"
#include "core/resolve.h"
#include "core/siphash.h"

#define SF_HOST_LAYOUT	 4
#define SF_ROUTER_LAYOUT 2
#define SF_HOOKS_LAYOUT	 1

/*
 * hooks/
 *   listeners  hash   struct sf_listener_key -> struct sf_listener
 *   hosts      hash   __u64 netns cookie -> struct sf_hook_host: namespaces with a live host
 *   rings      hash of maps  __u64 netns cookie -> ring buffer of struct sf_socket_event
 *   runs       hash   struct sf_run_key -> struct sf_addr: service of wildcard sockets of a cgroup
 *   sockets    sk storage: key that the socket registered
 */
#define SF_LISTENERS_MAX 65536 /* one map, which two objects declare */

struct sf_hook_host {
	struct sf_net net;
	__u32 flags;
};

struct sf_run_key {
	__u64 cgroup; /* id of the control group that `scaffold run` made */
};

/**
 * struct sf_judgement - argument of the program sf_listener_judge (hooks), run by
 * BPF_PROG_TEST_RUN: the agent's verdict on a listener. A whole value written by the agent would
 * race with the count of sockets.
 * @state: enum sf_listener_state
 * @flags: SF_LISTENER_* to add
 */
struct sf_judgement {
	struct sf_listener_key key;
	__u8 state;
	__u8 reason;
	__u8 flags;
	__u8 pad[5];
};

/*
 * host-COOKIE/
 *   config     array[1] struct sf_host_config
 *   flows      hash  __u64 key (core/flow.h) -> struct sf_flow
 *   halfopen   LRU   __u64 key -> struct sf_flow
 *   half_udp   LRU   the same of datagrams (docs/design/0005-bound-datagrams.md)
 *   closed     queue of socketIDs of flows that are over, until their sockets are
 *   moves      hash  __u64 key -> struct sf_move (core/renegotiate.h), the agent's alone
 *   uplinks    hash  struct sf_addr, a locator with socketID 0 -> struct sf_uplink
 *   control    ring buffer of struct sf_control_event: what the agent is to judge
 *   datagrams  LRU   struct sf_peer_key -> struct sf_peer
 *   fragments  LRU   struct sf_frag_key -> struct sf_frag
 *   counters   per-CPU array[SF_REASON_MAX] of struct sf_count, by reason
 *   traffic    per-CPU array[SF_TRAFFIC_MAX] of struct sf_count
 *   budgets, pressure  the datapath's own
 */
struct sf_host_config {
	struct sf_net net;
	__u32 host;	     /* own hostAddr, host order; 0: not joined */
	struct sf_addr own;  /* own locator, socketID unset (low 16 bits 1: the plain address) */
	struct sf_addr self; /* own host service address */
	struct sf_hashkey key;
	__u64 cookie;  /* network namespace */
	__u32 ifindex; /* uplink */
	__u32 mtu;
	__u32 flags; /* 0 */
	__u32 pad;
};

/**
 * struct sf_flow_turn - argument of the program sf_flow_turn, run by BPF_PROG_TEST_RUN: a bound
 * flow is exported, or one whose export failed is bound again. In place: packets pass meanwhile.
 * @id: the own socketID
 * @from, @to: enum sf_flow_state; nothing happens where it is not in @from
 */
struct sf_flow_turn {
	__u64 id;
	__u8 from;
	__u8 to;
	__u8 pad[6];
};

#define SF_UPLINKS_MAX 16

/**
 * struct sf_uplink - a link by which the host is joined; the one of struct sf_host_config is the
 * first among them. Packets that a flow sends from another one's locator leave by that one's link.
 * @router: link-local address of the access router
 */
struct sf_uplink {
	struct sf_addr router;
	__u32 ifindex;
	__u32 mtu;
};

#define SF_CONTROL_MAX 512

/**
 * struct sf_control_event - a packet of a renegotiation, or a refusal of one, whose checksum is
 * right. In the ring are the two numbers and @len bytes, no more.
 * @ifindex: where it came in
 * @len: bytes of @packet, which begins with its IPv6 header
 */
struct sf_control_event {
	__u32 ifindex;
	__u32 len;
	__u8 packet[SF_CONTROL_MAX];
};

/*
 * The program sf_flow_refuse, run by BPF_PROG_TEST_RUN: a flow is over, its local socket is reset.
 * Its context has the uplink's ifindex, and in cb[] the socketID and enum sf_reason; its packet is
 * an Ethernet frame of SF_REFUSAL_LEN bytes from the uplink's own address. Returns one of:
 */
enum sf_refusal {
	SF_REFUSAL_DONE = 0,
	SF_REFUSAL_NONE = 1, /* there is no such flow, or it is not answered yet */
	SF_REFUSAL_LOST = 2, /* the flow is over, the socket could not be told: it is, when it next
				sends */
};

enum sf_refusal_cb { SF_REFUSAL_ID_HIGH, SF_REFUSAL_ID_LOW, SF_REFUSAL_REASON };
#define SF_REFUSAL_LEN 74 /* Ethernet, IPv6 and TCP header */

/*
 * The program sf_flow_kick, run by BPF_PROG_TEST_RUN: what a TCP socket of ours has sent arrives
 * again. Its context has the uplink's ifindex; its packet is an Ethernet frame from the uplink's
 * own address, with a segment as the socket sends it: IPv6 and TCP header, of which addresses and
 * ports count; cb[SF_KICK_CB_HOW] is one of enum sf_kick_how. Returns one of enum sf_kick.
 */
enum sf_kick_cb { SF_KICK_CB_HOW, SF_KICK_CB_RECEIVED };

enum sf_kick_how {
	SF_KICK_TIMER = 0,  /* it need not wait longer than before the loss */
	SF_KICK_RESEND = 1, /* and all that is not acknowledged is lost: it sends it anew */
	SF_KICK_ACK = 2,    /* it tells the peer what it has received */
	SF_KICK_LOOK = 3,   /* out: cb[SF_KICK_CB_RECEIVED], the sequence number it expects next */
	SF_KICK_HOLD = 4,   /* the peer has received all before cb[SF_KICK_CB_RECEIVED]; it sends
			       nothing new until the peer itself says so */
};

enum sf_kick {
	SF_KICK_DONE = 0,
	SF_KICK_NONE = 1, /* there is no such connection */
	SF_KICK_IDLE = 2, /* (not ACK, LOOK) nothing of it waits for an acknowledgement */
	SF_KICK_LOST = 3, /* it could not be told */
};

#define SF_KICK_LEN 74 /* Ethernet, IPv6 and TCP header */

/** struct sf_peer_key - a peer of unbound datagrams as local sockets see it. */
struct sf_peer_key {
	struct sf_addr peer;
	__be16 pport;
	__u8 proto;
	__u8 pad[5];
};

/**
 * struct sf_peer - where a datagram peer was last heard.
 * @flags: SF_PEER_ANSWER, else the local port that it asked << SF_PEER_PORT_AT
 * @used: when, in nanoseconds of CLOCK_MONOTONIC
 */
struct sf_peer {
	struct sf_addr locator;
	struct sf_sid sid;
	__u32 flags;
	__u64 used;
};

/* Learned from an answer to a local socket: stale after SF_PEER_FRESH_NS of silence, so that a
 * service whose instance fell silent is resolved again. Whoever asked us is answered for ever. */
#define SF_PEER_ANSWER	 0x1
#define SF_PEER_PORT_AT	 16
#define SF_PEER_FRESH_NS 5000000000ull

struct sf_frag_key {
	struct sf_addr src, dst;
	__be32 id;
	__u32 out; /* 1: outbound */
};

struct sf_frag {
	struct sf_addr src, dst; /* after translation */
	__be16 port;		 /* destination's, of the whole datagram */
	__u8 proto;
	__u8 kind; /* of the header that each carries, SF_KIND_NONE without */
	__u16 aux; /* out, SYN: the attempt */
	__u8 pad[2];
};

struct sf_count {
	__u64 packets;
	__u64 bytes;
};

/* Indices of the traffic array. */
enum sf_traffic {
	SF_TRAFFIC_OUT_BOUND,
	SF_TRAFFIC_OUT_SYN,
	SF_TRAFFIC_OUT_DATA, /* unbound datagrams */
	SF_TRAFFIC_IN_BOUND,
	SF_TRAFFIC_IN_SYN,
	SF_TRAFFIC_IN_DATA,
	SF_TRAFFIC_FAIL_SENT,
	SF_TRAFFIC_FAIL_TAKEN, /* acted upon */
	SF_TRAFFIC_RETRIED,    /* SYNs turned round by a FAIL */
	SF_TRAFFIC_RESOLVED,   /* routers: destinations chosen */
	SF_TRAFFIC_PROBED,     /* probes answered */
	SF_TRAFFIC_FOLLOWED,   /* routers: RSYNs sent on after a host that has left */
	SF_TRAFFIC_MAX,
};

#if SF_NATIVE
/** sf_traffic_name() - "out-bound", "fail-sent", ...; "?" for unknown kinds. */
const char *sf_traffic_name(unsigned int kind);
#endif

/*
 * router-COOKIE/
 *   config   array[1] struct sf_router_config
 *   rules    hash  struct sf_service_key -> struct sf_rule
 *   lines    array of struct sf_line, the front of rules
 *   slots    array of struct sf_addr
 *   links    hash  __u32 ifindex -> struct sf_link: links with joined hosts
 *   present  hash  __u32 hostAddr -> struct sf_presence
 *   sources  hash  struct sf_source_key -> __u8: serviceIDs that a host may send from
 *   counters, traffic: as above
 * and, not pinned, anew with each daemon:
 *   drops          LRU   struct sf_link_drop -> struct sf_count
 *   police_config  array[1] struct sf_police_config
 *   strangers      LRU   __u32 ifindex -> __u64: bucket of messages without a session
 *   talks          hash  __be64 session -> struct sf_talk: sessions that are alive
 *   joiners        LRU   struct sf_joiner_key -> struct sf_link_address
 */
struct sf_router_config {
	struct sf_net net;
	__u32 roles;	    /* SF_ROLE_* of core/ctrl.h */
	struct sf_addr own; /* locator of the router itself, source of its FAILs */
	struct sf_sid id;
	__u32 lines;	       /* number of lines less one; 0: they are not filled yet */
	struct sf_hashkey key; /* of the choice; shared by all service routers */
};

/** struct sf_link - an access link: packets from here must come from its hosts. */
struct sf_link {
	__u32 host; /* the only hostAddr on this link, host order; 0: many, look in present */
	__u32 flags;
};

struct sf_link_address {
	__u8 mac[6]; /* 0: not known */
	__u8 pad[2];
};

/** struct sf_presence - a host that is here. @from: its link address, as it was when it joined. */
struct sf_presence {
	__u32 ifindex;
	__u32 flags;
	struct sf_sid identity;
	struct sf_link_address from;
};

struct sf_source_key {
	__u32 host;
	struct sf_sid sid;
};

/** struct sf_police_limit - a token bucket: nanoseconds from token to token, and as which it holds.
 */
struct sf_police_limit {
	__u64 gap_ns;
	__u64 burst_ns;
};

/** struct sf_police_config - what the daemon hears of each link's strangers, and of each session.
 */
struct sf_police_config {
	struct sf_police_limit link;
	struct sf_police_limit session;
};

/** struct sf_talk - a session's bucket, for what comes from the link address that it was made from.
 */
struct sf_talk {
	__u64 full; /* when the bucket is full, in nanoseconds of CLOCK_MONOTONIC */
	struct sf_link_address from;
	__be32 heartbeat; /* seq of the last one that came from there */
	__u32 pad;
};

#define SF_JOIN_TAIL 16

/** struct sf_joiner_key - a JOIN, by the end of its signature: nobody knows it beforehand. */
struct sf_joiner_key {
	__u32 ifindex;
	struct sf_addr addr;
	__u8 tail[SF_JOIN_TAIL];
};

/** struct sf_link_drop - what came in from a link and was dropped for a reason that is about it. */
struct sf_link_drop {
	__u32 ifindex;
	__u32 reason; /* enum sf_reason */
};

SF_STATIC_ASSERT(sizeof(struct sf_host_config) == 88, "host config");
SF_STATIC_ASSERT(sizeof(struct sf_router_config) == 64, "router config");
SF_STATIC_ASSERT(sizeof(struct sf_presence) == 28, "presence");
SF_STATIC_ASSERT(sizeof(struct sf_peer_key) == 24, "peer key");
SF_STATIC_ASSERT(sizeof(struct sf_judgement) == 40, "judgement");
SF_STATIC_ASSERT(sizeof(struct sf_source_key) == 16, "source key");

#endif
