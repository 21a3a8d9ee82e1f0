// SPDX-License-Identifier: Apache-2.0
/*
 * services.h - who serves what.
 *
 *   service   a serviceID: what names and policies are about
 *   endpoint  a service's (protocol, port); what routers have a rule for
 *   instance  an endpoint on a host
 *
 * All of it is soft state of the hosts' routers. A registration costs a few hash look-ups; what it
 * changes for routers is worked out in ctl_flush().
 */
#ifndef SF_CONTROLLER_SERVICES_H
#define SF_CONTROLLER_SERVICES_H

#include <uthash.h>

#include "controller/ctl.h"
#include "core/ctrl.h"
#include "core/resolve.h"

/* Instances of one endpoint: as many as one RULES message holds, since it replaces the endpoint. */
#define CTL_ENDPOINT_INSTANCES 2700

struct ctl_load {
	uint64_t flows, packets, bytes;
};

struct ctl_service {
	struct sf_sid sid;
	struct ctl_endpoint *endpoints; /* list by @service_next */
	UT_hash_handle hh;
	struct ctl_load load; /* ever counted, of instances past and present */
};

struct ctl_endpoint {
	struct sf_service_key key;
	struct ctl_service *service;
	struct ctl_instance *instances; /* list by @next */
	uint32_t n_instances;
	uint32_t n_denied;  /* of these, not for routers */
	uint32_t n_serving; /* of these, taking new flows */
	bool dirty;
	bool published; /* routers have a rule for it */
	struct ctl_endpoint *dirty_next;
	struct ctl_endpoint *service_prev, *service_next;
	UT_hash_handle hh;
};

struct ctl_instance_key {
	struct ctl_endpoint *endpoint;
	struct ctl_host *host;
};

struct ctl_instance {
	struct ctl_instance_key key;
	uint16_t wish;	 /* weight of the registration, 0: none */
	uint16_t weight; /* in force */
	uint8_t denied;	 /* enum sf_reason; SF_NONE: accepted */
	uint32_t generation;
	uint32_t open;	   /* its flows now, as of the last heartbeat */
	uint64_t since_ms; /* since 1970 */
	struct ctl_load load;
	struct ctl_instance *prev, *next;
	struct ctl_instance *host_prev, *host_next;
	UT_hash_handle hh;
};

/**
 * ctl_register() - enter a registration that a router announced, or confirm it.
 * @since_ms: since 1970, by the router's clock; 0: now
 * Return: SF_NONE, or why it is denied (enum sf_reason).
 */
uint8_t ctl_register(struct ctl *c, struct ctl_host *host, const struct sf_item_registration *reg,
		     uint64_t since_ms);

/** ctl_host_register_self() - every host serves its own identity: so it is found after a move. */
void ctl_host_register_self(struct ctl *c, struct ctl_host *host);

/** ctl_unregister() - unknown ones are ignored: it may be repeated. */
void ctl_unregister(struct ctl *c, struct ctl_host *host, const struct sf_item_registration *reg);

/** ctl_instance_remove() - @reason: for the event log. */
void ctl_instance_remove(struct ctl *c, struct ctl_instance *in, uint8_t reason);

/** ctl_instance_load() - take totals from a LOAD message. */
void ctl_instance_load(struct ctl *c, struct ctl_host *host, const struct sf_item_load *load);

/** ctl_service_judge() - apply the service's policy anew to all its instances. */
void ctl_service_judge(struct ctl *c, const struct sf_sid *sid);

/** ctl_instance_given() - its weight, be it in force or drained, disabled, denied. */
unsigned int ctl_instance_given(const struct ctl *c, const struct ctl_instance *in);

/** ctl_service_touch() - routers are told again of all its endpoints. An unknown one is fine. */
void ctl_service_touch(struct ctl *c, const struct sf_sid *sid);

/** ctl_services_sweep() - free what flushed endpoints left empty. Called by ctl_flush(). */
void ctl_services_sweep(struct ctl *c, struct ctl_endpoint *flushed);

/** ctl_service_find() - NULL if nobody registered it. */
struct ctl_service *ctl_service_find(const struct ctl *c, const struct sf_sid *sid);

/** ctl_endpoint_find() */
struct ctl_endpoint *ctl_endpoint_find(const struct ctl *c, const struct sf_service_key *key);

/** ctl_instance_find() */
struct ctl_instance *ctl_instance_find(const struct ctl *c, struct ctl_endpoint *endpoint,
				       struct ctl_host *host);

/** ctl_sid_is_host() - whether a serviceID is a host's identity. */
static inline bool ctl_sid_is_host(const struct sf_sid *sid)
{
	return sid->w[0] == sf_be32(SF_SSID_HOSTS);
}

#endif
