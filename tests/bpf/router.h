// SPDX-License-Identifier: Apache-2.0
/*
 * router.h - what the tests of the router's datapath share: its maps, filled, and packets.
 */
#ifndef SF_TESTS_BPF_ROUTER_H
#define SF_TESTS_BPF_ROUTER_H

#include <stdbool.h>

#include "bpf/service_router.skel.h"
#include "core/ctrl.h"
#include "core/datapath.h"
#include "core/line.h"
#include "core/wire.h"

#define ETH	 14
#define IFINDEX	 1 /* lo: a test run's packet must come from a device that is there */
#define HOST	 0x00010007u
#define OTHER	 0x00010008u
#define VARIANTS 5 /* instances of the service with slots */
#define SLOTS	 101
#define LINES	 64 /* a page of them */

extern struct service_router_bpf *skel;
extern struct sf_net net;
extern struct sf_router_config cfg;
extern const struct sf_sid web;
extern const struct sf_sid many;
extern const struct sf_sid drained;
extern const struct sf_sid client;
extern const struct sf_sid other_sid;
extern struct sf_addr table[SLOTS + VARIANTS];
extern struct sf_lines front;

/* A packet under construction or as it came out. */
struct packet {
	__u8 b[2048];
	__u32 len;
};

/* What a packet is made of; see syn() for the usual one. */
struct wish {
	struct sf_addr src, dst;
	struct sf_sid src_sid, dst_sid;
	__u8 kind, proto;
	__u16 aux;
	__u16 port;
	__u32 payload;
	bool bare; /* no SCAFFOLD header */
};

int map_fd(struct bpf_map *map);
__u64 counted(struct bpf_map *map, __u32 index);
/** build() - an Ethernet frame as a host's uplink would send it. */
void build(struct packet *p, const struct wish *w);
/** syn() - a SYN of HOST to port 80 of a service. */
struct wish syn(const struct sf_sid *service);
/** run() - a program; @p becomes what comes out. Return: its verdict. */
int run(struct bpf_program *prog, struct packet *p);
int send_wish(struct bpf_program *prog, const struct wish *w, struct packet *p);
struct sf_addr dst_of(const struct packet *p);
void check_sum(const struct packet *p);
/** put_rule(), delete_rule() - in the map and its front, as the router does it. */
void put_rule(const struct sf_sid *sid, __u8 proto, __u16 port, const struct sf_rule *rule);
void delete_rule(const struct sf_service_key *key);
struct sf_addr instance_of(const struct sf_sid *sid, __u32 host);
void fill_maps(void);
int router_setup(void **state);
int router_teardown(void **state);
void build_probe_to(struct packet *p, const struct sf_addr *src, const struct sf_addr *dst,
		    __u8 proto, __u16 port);
void check_fail(const struct packet *p, const struct packet *was, __u8 reason, __u8 kind);

#endif
