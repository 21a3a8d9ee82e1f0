// SPDX-License-Identifier: Apache-2.0
/*
 * services.h - who serves what.
 *
 *   service   a serviceID: what names and policies are about
 *   endpoint  a service's (protocol, port); what routers have a rule for
 *   instance  an endpoint on a host
 *
 * All of it is soft state of the hosts' routers. A registration costs a few hash look-ups; what it
 * changes for routers is worked out in controller_flush().
 */
#ifndef SF_CONTROLLER_SERVICES_H
#define SF_CONTROLLER_SERVICES_H

#include <uthash.h>

#include "controller/controller.h"
#include "core/ctrl.h"
#include "core/resolve.h"

/* Instances of one endpoint: as many as one RULES message holds, since it replaces the endpoint. */
#define ENDPOINT_INSTANCES 2700

struct load {
	uint64_t flows, packets, bytes;
};

struct service {
	struct sf_sid sid;
	struct endpoint *endpoints; /* list by @service_next */
	UT_hash_handle hh;
	struct load load; /* ever counted, of instances past and present */
};

struct endpoint {
	struct sf_service_key key;
	struct service *service;
	struct instance *instances; /* list by @next */
	uint32_t n_instances;
	uint32_t n_denied;  /* of these, not for routers */
	uint32_t n_serving; /* of these, taking new flows */
	bool dirty;
	bool published; /* routers have a rule for it */
	struct endpoint *dirty_next;
	struct endpoint *service_prev, *service_next;
	UT_hash_handle hh;
};

struct instance_key {
	struct endpoint *endpoint;
	struct host *host;
};

struct instance {
	struct instance_key key;
	uint16_t wish;	 /* weight of the registration, 0: none */
	uint16_t weight; /* in force */
	uint8_t denied;	 /* enum sf_reason; SF_NONE: accepted */
	uint32_t generation;
	uint32_t open;	   /* its flows now, as of the last heartbeat */
	uint64_t since_ms; /* since 1970 */
	struct load load;
	struct instance *prev, *next;
	struct instance *host_prev, *host_next;
	UT_hash_handle hh;
};

/**
 * instance_register() - enter a registration that a router announced, or confirm it.
 * @since_ms: since 1970, by the router's clock; 0: now
 * Return: SF_NONE, or why it is denied (enum sf_reason).
 */
uint8_t instance_register(struct controller *c, struct host *host,
			  const struct sf_item_registration *reg, uint64_t since_ms);

/** host_register_self() - every host serves its own identity, where it is in the first place: so it
 * is found after a move. */
void host_register_self(struct controller *c, struct host *host);

/** host_serves_first() - what it serves here, it does not at its places that are standby. */
void host_serves_first(struct controller *c, struct host *host);

/** instance_unregister() - unknown ones are ignored: it may be repeated. */
void instance_unregister(struct controller *c, struct host *host,
			 const struct sf_item_registration *reg);

/** instance_remove() - @reason: for the event log. */
void instance_remove(struct controller *c, struct instance *in, uint8_t reason);

/** instance_load() - take totals from a LOAD message. */
void instance_load(struct controller *c, struct host *host, const struct sf_item_load *load);

/** service_judge() - apply the service's policy anew to all its instances. */
void service_judge(struct controller *c, const struct sf_sid *sid);

/** instance_given() - its weight, be it in force or drained, disabled, denied. */
unsigned int instance_given(const struct controller *c, const struct instance *in);

/** service_touch() - routers are told again of all its endpoints. An unknown one is fine. */
void service_touch(struct controller *c, const struct sf_sid *sid);

/** services_sweep() - free what flushed endpoints left empty. Called by controller_flush(). */
void services_sweep(struct controller *c, struct endpoint *flushed);

/** service_find() - NULL if nobody registered it. */
struct service *service_find(const struct controller *c, const struct sf_sid *sid);

/** sid_is_host() - whether a serviceID is a host's identity. */
static inline bool sid_is_host(const struct sf_sid *sid)
{
	return sid->w[0] == sf_be32(SF_SSID_HOSTS);
}

#endif
