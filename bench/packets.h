// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * packets.h - the traffic of the packet benchmarks, as a pure function of a number.
 *
 * Each packet belongs to another service or flow. What service or flow number i is follows from i
 * alone, so the program that fills the maps and the eBPF program that writes the packets agree
 * without sharing memory: a list of packets would compete for the caches with what is measured.
 * Numbers are walked by a stride near the golden section, which no prefetcher follows and which
 * meets each one once before any a second time.
 */
#ifndef SF_BENCH_PACKETS_H
#define SF_BENCH_PACKETS_H

#include "core/flow.h"
#include "core/wire.h"

#define BENCH_ROUTER	 0x00010000u /* hostAddr of the router */
#define BENCH_CLIENT	 0x00010007u
#define BENCH_SERVER	 0x00020001u
#define BENCH_PORT	 80
#define BENCH_CLIENT_SID 0xc11e47u /* local part of the client's identity */
#define BENCH_IFINDEX	 1	   /* lo: where a test run's packets come from */

/** enum bench_traffic - what the packets are. */
enum bench_traffic {
	BENCH_UNRESOLVED, /* SYNs to service i */
	BENCH_RESOLVED,	  /* the same behind a service router */
	BENCH_BOUND,	  /* segments of bound flow i, on the wire */
	BENCH_OUTBOUND,	  /* segments of bound flow i, as the client's socket sends them */
	BENCH_INBOUND,	  /* segments of bound flow i, as they come back to the client's host */
};

/** bench_mix() - a bijection of 64 bits that looks random (the finalizer of SplitMix64). */
SF_INLINE __u64 bench_mix(__u64 x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/** bench_next() - the number after @i of @n, by stride @step (see bench_step()). */
SF_INLINE __u64 bench_next(__u64 i, __u64 n, __u64 step)
{
	i += step;
	return i >= n ? i - n : i;
}

/** bench_service() - serviceID of service @i. */
SF_INLINE struct sf_sid bench_service(__u64 i)
{
	return sf_sid_make(SF_SSID_DEFAULT, bench_mix(i));
}

/** bench_peer() - the server's locator in flow @i. */
SF_INLINE struct sf_addr bench_peer(const struct sf_net *net, __u64 i)
{
	return sf_locator(net, BENCH_SERVER, sf_socket_id_of(bench_mix(i ^ 0x5eb7ull << 40)));
}

/** bench_lport() - the client's port in flow @i, network order. */
SF_INLINE __be16 bench_lport(__u64 i)
{
	return sf_be16(1024 + i % 60000);
}

/** bench_tuple() - flow @i as the client's stack sees it. */
SF_INLINE struct sf_tuple bench_tuple(const struct sf_net *net, __u64 i)
{
	struct sf_sid client = sf_sid_make(SF_SSID_HOSTS, BENCH_CLIENT_SID), sid = bench_service(i);
	struct sf_tuple t = { .local = sf_service_addr(net, &client),
			      .peer = sf_service_addr(net, &sid),
			      .lport = bench_lport(i),
			      .pport = sf_be16(BENCH_PORT),
			      .proto = SF_NEXTHDR_TCP };

	return t;
}

/** bench_own() - the client's locator in flow @i, whose host's key is zero. */
SF_INLINE struct sf_addr bench_own(const struct sf_net *net, __u64 i)
{
	struct sf_hashkey key = { 0, 0 };
	struct sf_tuple t = bench_tuple(net, i);
	__u64 hash = sf_flow_hash(&key, &t);

	return sf_locator(net, BENCH_CLIENT, sf_socket_id(sf_flow_key(hash, false), (__u8)i));
}

#endif
