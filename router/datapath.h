// SPDX-License-Identifier: Apache-2.0
/*
 * datapath.h - the router's maps and programs in the kernel (core/datapath.h,
 * bpf/service_router.bpf.c), pinned in BPFFS/router-COOKIE.
 */
#ifndef SF_ROUTER_DATAPATH_H
#define SF_ROUTER_DATAPATH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/datapath.h"
#include "core/resolve.h"
#include "util/bpf.h"

struct datapath;
struct router;

/**
 * datapath_open() - load the programs, adopt or make the pinned maps.
 * @r: config is there. Sets @r->datapath and @r->restarted.
 * Return: 0 or -errno with @err; -EPROTO for pinned maps of another layout.
 */
int datapath_open(struct router *r, char *err, size_t errlen);

/** datapath_close() - let go; everything in the kernel stays. NULL is fine. */
void datapath_close(struct datapath *dp);

/** datapath_remove() - detach and unpin everything there is in this network namespace (--flush). */
int datapath_remove(const char *bpffs, char *err, size_t errlen);

/** datapath_configure() - tell the programs our place, roles and key. */
int datapath_configure(struct router *r);

/**
 * datapath_attach() - put the ingress program on a link, or swap it.
 * @filter: the one that knows the access filter
 * @xdp: the resolver in the driver, too; *@xdp_err: 0 or why it is not there, with @err
 */
int datapath_attach(struct datapath *dp, int ifindex, bool filter, bool xdp, enum sf_bpf_how *how,
		    int *xdp_err, char *err, size_t errlen);
void datapath_detach(struct datapath *dp, int ifindex);

/** datapath_attach_absent() - the program that answers for absent hosts. */
int datapath_attach_absent(struct datapath *dp, int ifindex, char *err, size_t errlen);

/** datapath_sweep() - undo attachments to links that are not wanted any more. */
void datapath_sweep(struct datapath *dp, bool (*wanted)(int ifindex, void *ctx), void *ctx);

/* Entries of the maps. NULL as value: take it away. Return: 0 or -errno. */
int datapath_link(struct datapath *dp, uint32_t ifindex, const struct sf_link *link);
int datapath_present(struct datapath *dp, uint32_t host, const struct sf_presence *here);
int datapath_present_get(struct datapath *dp, uint32_t host, struct sf_presence *out);
int datapath_source(struct datapath *dp, uint32_t host, const struct sf_sid *sid, bool allowed);

/** datapath_rules_put() - Return: 0, -E2BIG when the table is full, or -errno. */
int datapath_rules_put(struct datapath *dp, const struct sf_service_key *keys,
		       const struct sf_rule *rules, uint32_t n);
int datapath_rules_del(struct datapath *dp, const struct sf_service_key *keys, uint32_t n);
int datapath_rules_each(struct datapath *dp, sf_bpf_map_each each, void *ctx);
uint32_t datapath_rules_max(const struct datapath *dp);

/** datapath_front_held() - services that packets find without a search (core/line.h). */
uint32_t datapath_front_held(const struct datapath *dp);

int datapath_slots_put(struct datapath *dp, uint32_t at, const struct sf_addr *slots, uint32_t n);
int datapath_slots_get(struct datapath *dp, uint32_t at, struct sf_addr *slots, uint32_t n);
uint32_t datapath_slots_max(const struct datapath *dp);

/** datapath_present_each() - keys are hostAddrs, values struct sf_presence. */
int datapath_present_each(struct datapath *dp, sf_bpf_map_each each, void *ctx);

/** datapath_counter(), datapath_traffic() - sums over CPUs. */
void datapath_counter(struct datapath *dp, uint32_t reason, struct sf_count *out);
void datapath_traffic(struct datapath *dp, uint32_t what, struct sf_count *out);

/**
 * datapath_police() - how many messages a second the daemon hears of the strangers of each link,
 * and of each session (bpf/police.h). In effect at once. Return: 0 or -errno.
 */
int datapath_police(struct datapath *dp, uint32_t link_rate, uint32_t session_rate);

/** datapath_police_attach() - put the filter on the control socket. Return: 0 or -errno. */
int datapath_police_attach(struct datapath *dp, int fd);

/**
 * datapath_talk() - a session begins, with the link address that the host joined from, or ends.
 * @from: NULL: it ends
 * Return: 0 or -errno.
 */
int datapath_talk(struct datapath *dp, uint64_t session, const struct sf_link_address *from);

/**
 * datapath_joiner() - from which link address a JOIN came, when it was first heard; or a message of
 * a session that did not come from the session's own.
 * @end: of the datagram
 * Return: 0 or -errno.
 */
int datapath_joiner(struct datapath *dp, int ifindex, const struct in6_addr *addr,
		    const uint8_t *end, struct sf_link_address *out);

/** datapath_drops_each() - keys are struct sf_link_drop, values struct sf_count. */
int datapath_drops_each(struct datapath *dp, sf_bpf_map_each each, void *ctx);

/** datapath_memory() - kernel memory of all maps, bytes. */
uint64_t datapath_memory(struct datapath *dp);

#endif
