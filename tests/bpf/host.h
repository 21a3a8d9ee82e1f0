// SPDX-License-Identifier: Apache-2.0
/*
 * host.h - hosts for tests: the host object loaded once for each, with maps of its own, and packets
 * that are carried between them by hand.
 *
 * Two hosts of one AS: A is a client, whose identity is U; B serves X on port 80. host_setup() puts
 * the process into a network namespace of its own, with sockets that listen on X.
 */
#ifndef SF_TEST_HOST_H
#define SF_TEST_HOST_H

#include "bpf/host.skel.h"
#include "core/datapath.h"
#include "tests/bpf/packet.h"

#define PORT	   80
#define CLIENT	   40000	  /* its port */
#define CLOSED	   8		  /* flows in TIME_WAIT that a host keeps */
#define VERDICT_UP ((uint32_t)-1) /* TC_ACT_UNSPEC */
#define DROPPED	   2
#define REDIRECTED 7

struct host {
	struct host_bpf *skel;
	struct sf_host_config cfg;
	int egress, ingress;
};

extern struct host a, b;
extern struct sf_addr service;		    /* X */
extern struct sf_sid service_sid, user_sid; /* X and U */

/** host_load() - a host's own copy of the object. @addr: hostAddr, also its namespace cookie. */
int host_load(struct host *h, uint32_t addr, const struct sf_sid *identity, uint64_t key);

/** host_group_setup(), host_group_teardown() - of cmocka's groups: load A and B. */
int host_group_setup(void **state);
int host_group_teardown(void **state);

/** host_clear() - cmocka's setup of each test: empty tables, zero counters. B's listener is live.
 */
int host_clear(void **state);

/** host_mtu() - another MTU of the uplink, until the next host_clear(). */
void host_mtu(struct host *h, uint32_t mtu);

/** host_privileged() - 0, or 77 after saying why the tests are skipped. */
int host_privileged(void);

/** host_out(), host_in() - run a host's program. Return: its verdict; @p becomes what comes out. */
uint32_t host_out(struct host *h, struct packet *p);
uint32_t host_in(struct host *h, struct packet *p);
uint32_t host_out_gso(struct host *h, struct packet *p, uint32_t segs, uint32_t size);

/** host_sends(), host_sends_udp() - a segment or datagram of a socket of @h, as it leaves: in @p.
 */
void host_sends(struct host *h, struct packet *p, const struct segment *s);
void host_sends_udp(struct host *h, struct packet *p, const struct segment *s);

/**
 * host_refuse() - the agent of @h ends the flow that has locator @own.
 * @told: NULL, or receives what the local socket is told
 * Return: SF_REFUSAL_*
 */
int host_refuse(struct host *h, struct packet *told, const struct sf_addr *own, uint8_t reason);

/** host_count() - packets counted under @reason; host_traffic() likewise. */
uint64_t host_count(struct host *h, uint32_t reason);
uint64_t host_traffic(struct host *h, uint32_t what);

/** host_drops() - packets counted under any reason. */
uint64_t host_drops(struct host *h);

/** host_listener() - enter or change a listener of @h. State 0 removes it. */
void host_listener(struct host *h, const struct sf_addr *addr, uint8_t proto, uint16_t port,
		   uint8_t state);

/** host_flow() - the flow of socketID @id, from flows or (@half) halfopen. Return: whether found.
 */
bool host_flow(struct host *h, uint64_t id, bool half, struct sf_flow *out);

/** host_flow_set() - change a flow of flows. */
void host_flow_set(struct host *h, const struct sf_flow *f);

/** host_flows() - how many flows, and half-open ones, there are. */
uint32_t host_flows(struct host *h, uint32_t *half);

/** host_flow_of() - the flow whose own locator is @own; fails the test without one. */
struct sf_flow host_flow_of(struct host *h, const struct sf_addr *own);
/** host_at() - @host's locator with the socketID of @of, @later incarnations on. */
struct sf_addr host_at(uint32_t host, const struct sf_addr *of, uint8_t later);
/** host_place_add() - hostAddr @host becomes one of @h's places, on link @ifindex. */
void host_place_add(struct host *h, uint32_t host, uint32_t ifindex);

/** struct talk - one TCP connection of A to X on B, as the test has carried it so far. */
struct talk {
	struct sf_addr local, peer;    /* as A's socket sees them */
	struct sf_addr seen;	       /* A as B's socket sees it */
	struct sf_addr client, server; /* locators */
	uint16_t sport, dport;
	uint32_t isn, server_isn;
};

/** talk_init() - ports and numbers, nothing sent. */
void talk_init(struct talk *t);

/* The steps of a connection, each asserting what must hold; packets are handed out for tampering.
 */
void talk_syn(struct talk *t, struct packet *p);     /* A's SYN as it leaves A */
void talk_syn_in(struct talk *t, struct packet *p);  /* resolved, into B */
void talk_syn_ack(struct talk *t, struct packet *p); /* B's SYN-ACK as it leaves B */
void talk_bind(struct talk *t, struct packet *p);    /* into A */
void talk_ack(struct talk *t, struct packet *p);     /* A's ACK as it leaves A */
void talk_promote(struct talk *t, struct packet *p); /* into B */
void talk_open(struct talk *t);			     /* all of it, and B's first data into A */

/* From talk_init() to: B has the SYN; its SYN-ACK is in @p; all of it. */
void talk_ask(struct talk *t, struct packet *p);
void talk_answer(struct talk *t, struct packet *p);
void talk_start(struct talk *t);

/* A segment of A's or B's socket. */
struct segment talk_from_a(const struct talk *t, uint8_t flags, uint32_t payload);
struct segment talk_from_b(const struct talk *t, uint8_t flags, uint32_t payload);

#endif
