// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * reason.h - why a packet was dropped, refused or answered, by name.
 *
 * One table for everything: the counters of both datapaths, the reason byte of a FAIL on the wire
 * and of a DENIED control message, the event log and the CLI. Numbers are wire format: never change
 * one, append only.
 */
#ifndef SF_CORE_REASON_H
#define SF_CORE_REASON_H

#include "core/compat.h"

/* number, symbol, name, text. 1..31 travel in FAIL; 32..95 are local drops; 96.. are DENIED. */
#define SF_REASONS(X)                                                                             \
	X(0, NONE, "none", "no reason")                                                           \
	/* hard: act at once */                                                                   \
	X(1, NO_SUCH_SERVICE, "no-such-service",                                                  \
	  "nobody takes new flows for it: not registered, drained, disabled or weight 0")         \
	X(2, NO_SUCH_SOCKET, "no-such-socket", "the host has no such listener or connection")     \
	X(3, REFUSED, "refused", "the host refuses this flow")                                    \
	X(4, SHED, "shed", "the instance sheds its flows")                                        \
	X(5, SUPERSEDED, "superseded", "another claimant moved this flow first")                  \
	X(6, OTHER_INSTANCE, "other-instance", "the flow is bound to another instance")           \
	/* soft: the peer may be moving */                                                        \
	X(16, HOST_UNREACHABLE, "host-unreachable", "the host is not where it was")               \
	X(17, TOO_MANY_ATTEMPTS, "too-many-attempts", "each instance that was tried refused")     \
	/* parsing */                                                                             \
	X(32, TRUNCATED, "truncated", "the packet ends inside a header")                          \
	X(33, BAD_HEADER, "bad-header", "the SCAFFOLD header's lengths do not fit")               \
	X(34, BAD_VERSION, "bad-version", "unknown version of the SCAFFOLD header")               \
	X(35, BAD_KIND, "bad-kind", "unknown or misplaced kind of SCAFFOLD packet")               \
	X(36, BAD_CHECKSUM, "bad-checksum", "checksum of a stand-alone SCAFFOLD packet is wrong") \
	X(37, BAD_PROTOCOL, "bad-protocol", "transport protocol that SCAFFOLD does not carry")    \
	X(38, FRAGMENT, "fragment", "a fragment whose first one is unknown")                      \
	X(39, TOO_BIG, "too-big", "does not fit the link with its SCAFFOLD header")               \
	X(40, GSO_DATAGRAM, "gso-datagram", "a datagram that the kernel would fragment later")    \
	X(41, NO_HEADER, "no-header", "a service address without a SCAFFOLD header")              \
	X(42, BAD_MTU, "bad-mtu", "a Packet Too Big that names less than IPv6's minimum")         \
	/* flow state */                                                                          \
	X(48, UNKNOWN_SOCKET, "unknown-socket", "no flow has this socketID")                      \
	X(49, WRONG_PEER, "wrong-peer",                                                           \
	  "the socketID is known, the source locator is not its peer")                            \
	X(50, WRONG_STATE, "wrong-state", "kind of packet that the flow does not expect now")     \
	X(51, WRONG_ACK, "wrong-ack", "a SYN-ACK or FAIL that does not quote our SYN")            \
	X(52, HALF_OPEN_LOST, "half-open-lost", "the half-open flow was evicted")                 \
	X(53, NO_FLOW, "no-flow", "a local socket's packet that belongs to no flow")              \
	X(54, FLOWS_FULL, "flows-full", "the flow table is full")                                 \
	X(55, ID_CLASH, "id-clash", "both choices of a key are taken by other flows")             \
	X(56, NOT_REGISTERED, "not-registered", "nobody registered this service and port here")   \
	X(57, DUPLICATE, "duplicate", "repeats what was already done")                            \
	X(58, RATE_LIMITED, "rate-limited", "an answer was due but the limit was reached")        \
	X(59, NOT_JOINED, "not-joined", "the host has no locator yet")                            \
	X(60, ABANDONED_RST, "abandoned-rst",                                                     \
	  "a listener went between SYN and SYN-ACK; SYN is retried")                              \
	X(61, RATE_LIMITED_SYN, "rate-limited-syn", "more FAILs of SYNs than the limit")          \
	X(62, RATE_LIMITED_DATA, "rate-limited-data", "more FAILs of datagrams than the limit")   \
	X(63, RATE_LIMITED_PROBE, "rate-limited-probe", "more FAILs of probes than the limit")    \
	/* routers */                                                                             \
	X(64, SPOOFED_LOCATOR, "spoofed-locator", "source locator is not of a host on this link") \
	X(65, SPOOFED_SERVICE, "spoofed-service",                                                 \
	  "source serviceID is not registered by this host")                                      \
	X(66, NO_INSTANCE, "no-instance", "every instance of the service is drained or disabled") \
	X(67, ABSENT_HOST, "absent-host", "the hostAddr is not assigned to a present host")       \
	X(68, SPOOFED_MAC, "spoofed-mac", "source locator is of another machine on this link")    \
	X(69, POLICED, "policed", "more control messages than a link or a session may send")      \
	X(70, INTERNAL, "internal", "a kernel helper failed")                                     \
	X(71, EVENTS_LOST, "events-lost", "socket events that the agent had to look for itself")  \
	/* moves */                                                                               \
	X(72, UNPROVEN_PLACE, "unproven-place",                                                   \
	  "more than may go to a place that the peer has not proven")                             \
	X(73, CONTROL_LOST, "control-lost",                                                       \
	  "a renegotiation's packet for which the agent's ring has no room")                      \
	/* hand-over */                                                                           \
	X(80, HANDED_OVER, "handed-over", "the connection is, or will be, at another host")       \
	/* control */                                                                             \
	X(96, DENIED_POLICY, "denied-policy",                                                     \
	  "the controller's policy does not let this host register")                              \
	X(97, DENIED_UID, "denied-uid", "this user may not register services on this host")       \
	X(98, DENIED_CGROUP, "denied-cgroup", "this control group may not register services")     \
	X(99, DENIED_KEYED, "denied-keyed", "a keyed serviceID needs proof of its key")           \
	X(100, DENIED_FULL, "denied-full", "a table of the router is full")                       \
	X(101, BAD_MAC, "bad-mac", "the message's authentication code is wrong")                  \
	X(102, REPLAYED, "replayed", "the message's sequence number was already used")            \
	X(103, NO_SESSION, "no-session", "the sender must join first")                            \
	X(104, CLONED, "cloned", "the host key is alive with another boot nonce")                 \
	X(105, BAD_SIGNATURE, "bad-signature", "the signature does not verify")                   \
	X(106, BAD_MESSAGE, "bad-message", "malformed control message")                           \
	X(107, NO_ADDRESS, "no-address", "no free hostAddr in the block")                         \
	X(108, LOWER_TERM, "lower-term", "a controller of an earlier term")                       \
	X(109, ADDRESS_CLASH, "address-clash", "two hosts claim one address")                     \
	X(110, SILENT, "silent", "missed its heartbeats and its datapath does not answer")        \
	X(111, LINK_DOWN, "link-down", "the link to the host lost its carrier")                   \
	X(112, LINK_FULL, "link-full", "as many hosts are on this link as may be")                \
	X(113, TOO_MANY_RUNS, "too-many-runs", "this user has as many runs as one user may")      \
	X(114, HERE_ALREADY, "here-already", "the host has joined here by another link")

enum sf_reason {
#define X(n, sym, name, text) SF_##sym = n,
	SF_REASONS(X)
#undef X
		SF_REASON_MAX = 128, /* size of counter arrays */
};

/** sf_reason_is_hard() - whether a FAIL with this reason acts at once (docs/protocol.md, "FAIL").
 */
SF_INLINE bool sf_reason_is_hard(__u8 r)
{
	return r >= SF_NO_SUCH_SERVICE && r < SF_HOST_UNREACHABLE;
}

#if SF_NATIVE
/** sf_reason_name() - the name of reason @r, "reason-N" style for unknown ones; static storage. */
const char *sf_reason_name(unsigned int r);

/** sf_reason_text() - a sentence for people; "unknown reason" for unknown ones. */
const char *sf_reason_text(unsigned int r);
#endif

#endif
