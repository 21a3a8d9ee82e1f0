// SPDX-License-Identifier: Apache-2.0
/*
 * probe.h - ask the network for an instance of a service, as a first packet would (PROBE).
 *
 * A probe is resolved by service routers like a SYN and answered by the instance's datapath, so it
 * tells what a connect() would meet without making one. It leaves from a plain address of the host
 * (socketID unset, random low 16 bits: the choice among instances is a hash of the source).
 * Answers are read from the uplink before any local delivery. Needs CAP_NET_RAW.
 */
#ifndef SF_CLI_PROBE_H
#define SF_CLI_PROBE_H

#include <stdint.h>
#include "core/addr.h"

/**
 * struct sf_prober - where probes leave and answers are read.
 * @locator: own locator; @identity: own host serviceID; @net: the network's prefixes
 * @place: low 16 bits of the source for every probe, so that all meet one instance; 0: random each
 */
struct sf_prober {
	struct sf_net net;
	struct sf_addr locator;
	struct sf_sid identity;
	uint16_t place;
	int out; /* raw IPv6, header included */
	int in;	 /* packets of the uplink */
};

/** struct sf_probe_target - what is asked for; @proto and @port 0 mean any. @port in host order. */
struct sf_probe_target {
	struct sf_sid sid;
	uint8_t proto;
	uint16_t port;
	uint8_t hop_limit;
};

enum sf_probe_outcome {
	SF_PROBE_NOTHING, /* no answer in time */
	SF_PROBE_ANSWER,  /* PROBE-ACK: @who at @from */
	SF_PROBE_FAIL,	  /* FAIL with @reason, from @from */
	SF_PROBE_ICMP,	  /* ICMPv6 error @icmp_type, @icmp_code from @from */
};

struct sf_probe_result {
	enum sf_probe_outcome outcome;
	struct sf_addr from;
	struct sf_sid who;     /* host serviceID of the instance */
	struct sf_addr quoted; /* destination as the reporting router saw it; zero when unknown */
	uint8_t reason;
	uint8_t icmp_type, icmp_code;
	uint8_t hop_limit; /* of the answer */
	uint64_t rtt_ns;
};

/**
 * sf_prober_open() - open the sockets on @uplink.
 * Return: 0, -EPERM without CAP_NET_RAW, -ENODEV without such an interface, or another -errno.
 */
int sf_prober_open(struct sf_prober *p, const char *uplink);

/** sf_prober_close() - close; harmless on a zeroed or closed prober. */
void sf_prober_close(struct sf_prober *p);

/**
 * sf_probe() - send one probe and wait for what becomes of it, at most @timeout_ms.
 * Return: 0 with @result set (SF_PROBE_NOTHING after the time), or -errno when sending failed.
 */
int sf_probe(struct sf_prober *p, const struct sf_probe_target *target, int timeout_ms,
	     struct sf_probe_result *result);

/**
 * sf_probe_match() - whether @packet (from its IPv6 header on) answers the probe @ident sent from
 * @source, and how. Pure, for tests and fuzzing.
 */
bool sf_probe_match(const void *packet, size_t len, const struct sf_addr *source, uint16_t ident,
		    struct sf_probe_result *result);

#endif
