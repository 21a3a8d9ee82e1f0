// SPDX-License-Identifier: Apache-2.0
/* flows.h - the host's flow table seen from the agent: freeing (gc.h), load by service, listing. */
#ifndef SF_AGENT_FLOWS_H
#define SF_AGENT_FLOWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/gc.h"
#include "agent/registry.h"

struct host;
struct event;

/** struct flow_load - what flows of a registration carried, freed ones included. */
struct flow_load {
	struct registration_key key;
	uint64_t freed_packets, freed_bytes; /* of flows that the agent freed */
	uint64_t ended_packets,
		ended_bytes;	 /* of those that the datapath did (struct sf_listener) */
	uint64_t packets, bytes; /* all, as of the last look */
	uint64_t open;		 /* flows now */
	UT_hash_handle hh;
};

struct flows {
	struct gc gc;
	struct event *timer;
	struct flow_load *loads;
	uint64_t scans, freed;
	uint64_t seen;	    /* flows in the table, as of the last scan or the one under way */
	uint64_t idle_ns;   /* of flows of datagrams, for the scan under way */
	uint64_t load_ms;   /* when loads were last summed up */
	uint64_t load_took; /* how long that took */
};

/** struct flow_filter - what to list. */
struct flow_filter {
	const struct sf_addr *service; /* either end; NULL: any */
	int state;		       /* enum sf_flow_state; 0: any */
	size_t limit;
};

/** flows_open() - start freeing. Return: 0 or -errno with @err. */
int flows_open(struct host *h, char *err, size_t errlen);
void flows_close(struct host *h);

/**
 * flows_take() - take a flow out of the table; another incarnation under its key stays where it is.
 * @map: descriptor of the flow table
 * @id: its socketID
 * @out: as it was last; overwritten in any case
 * Return: 0, -ENOENT where it is gone, or -errno.
 */
int flows_take(int map, uint64_t id, struct sf_flow *out);

#define FLOWS_ID_STRLEN 9

/** flows_id() - by what people name the flow with key @key, as long as the datapath lives. */
uint32_t flows_id(const struct host *h, uint64_t key);

/** flows_id_print() - as eight hexadecimal digits. Return: @buf, of FLOWS_ID_STRLEN bytes. */
char *flows_id_print(uint32_t id, char *buf);

/** flows_load() - sum up loads now, unless that was done just before. */
void flows_load(struct host *h);

/** flows_load_of() - of one registration; NULL: nothing yet. */
const struct flow_load *flows_load_of(const struct host *h, const struct registration_key *key);

/**
 * flows_list() - flows as JSON.
 * @total: how many fit the filter, listed or not
 * Return: an array, the caller's; NULL where the tables cannot be read.
 */
json_t *flows_list(struct host *h, const struct flow_filter *filter, size_t *total);

#endif
