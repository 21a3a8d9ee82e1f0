// SPDX-License-Identifier: Apache-2.0
/*
 * host.h - the whole state of the agent of one host, and how its parts hang together.
 *
 * A host is a network namespace: where several share a kernel each has its own agent. The parts,
 * each with a header of its own:
 *
 *	attachment an uplink; which one is primary        datapath  programs and maps of this host
 *	uplink     links that may lead to a router        hooks     socket hooks, shared per kernel
 *	join       JOIN until JOINED, and again           sockets   what the kernel's own lists say
 *	session    requests and answers                   flows     flow table: listing, freeing
 *	heartbeat  alive, with load                       runs      control groups of `scaffold run`
 *	setup      addresses, routes, rules, sysctls      control   REST for the CLI
 *	registry   services that are registered           events    the recent past
 *	policy     who may register                       names     what services are called
 *	moves      flows whose ends move                  shed      flows ended, instances drained
 *	handover   connections given away, taken over     probes    silent peers
 *
 * Order of a start: identity, hooks and datapath (adopted where pinned), sockets older than us,
 * control, join. Nothing waits for the router: what is local works without it.
 */
#ifndef SF_AGENT_HOST_H
#define SF_AGENT_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/attachment.h"
#include "agent/config.h"
#include "agent/control.h"
#include "agent/datapath.h"
#include "agent/flows.h"
#include "agent/grace.h"
#include "agent/handover.h"
#include "agent/hooks.h"
#include "agent/join.h"
#include "agent/lookup.h"
#include "agent/moves.h"
#include "agent/names.h"
#include "agent/policy.h"
#include "agent/probes.h"
#include "agent/registry.h"
#include "agent/rouse.h"
#include "agent/runs.h"
#include "agent/setup.h"
#include "agent/shed.h"
#include "agent/sockets.h"
#include "agent/sole.h"
#include "agent/uplink.h"
#include "agent/watch.h"
#include "core/addr.h"
#include "core/datapath.h"
#include "util/bpf.h"
#include "util/crypto.h"
#include "util/daemon.h"
#include "util/events.h"
#include "util/netlink.h"

#define EVENTS_KEPT 1024

struct host {
	struct config config;
	struct sf_daemon daemon;
	bool keep; /* stop without undoing anything */
	char name[256];
	uint64_t cookie; /* of our network namespace */
	uint64_t boot;	 /* boot nonce */
	struct sf_sign_key *key;
	uint8_t public_key[SF_SIGN_PUBLIC_LEN];
	struct sf_sid identity;
	struct sf_net net;   /* prefixes: the defaults until JOINED says others */
	struct sf_addr self; /* own host service address */
	uint64_t started_ms;
	struct sf_nl *nl;
	struct sole sole;
	struct policy policy;
	struct sf_bpf_feature features[SF_BPF_FEATURES];
	size_t n_features;

	struct sf_events *events;
	struct uplink uplink;
	struct datapath datapath;
	struct hooks hooks;
	struct setup setup;
	struct search search;
	struct attachments attachments;
	struct registry registry;
	struct names names;
	struct lookups lookups;
	struct sockets sockets;
	struct runs runs;
	struct flows flows;
	struct moves moves;
	struct rouse rouse;
	struct shed shed;
	struct probes probes;
	struct graces graces;
	struct control control;
	struct handover handover;
	struct watch watch;
	struct {
		uint64_t second;
		unsigned int said, unsaid;
	} denials;	     /* in the log, of this second */
	struct event *flush; /* sends what the registry has collected in this turn of the loop */
};

/**
 * host_open() - everything up to the event loop.
 * @h: zeroed, with @config filled in
 *
 * Return: 0, or -errno with @err naming subject, failure, and what to do. host_close() cleans up in
 * either case.
 */
int host_open(struct host *h, char *err, size_t errlen);

/** host_run() - loop until told to stop. Return: 0 or -errno. */
int host_run(struct host *h);

/**
 * host_close() - leave the network and undo the set-up, or (@h->keep, or a start that failed) only
 * let go of it.
 */
void host_close(struct host *h);

/** host_set_net() - the network's prefixes, as the router says: our service address follows. */
void host_set_net(struct host *h, const struct sf_net *net);

/**
 * host_take_results() - the RESULT items of an answer.
 * @type: of the request; 0: nobody asked (late verdicts)
 */
void host_take_results(struct host *h, uint8_t type, const struct sf_ctrl_in *answer);

/** host_has_room() - the primary uplink's router has answered: there may be room for more requests.
 */
void host_has_room(struct host *h);

/** host_key() - a registration's key in the listeners table of the kernel. */
struct sf_listener_key host_key(const struct host *h, const struct registration_key *key);

#endif
