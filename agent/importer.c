// SPDX-License-Identifier: Apache-2.0
/* importer.c - see importer.h. */
#include "agent/importer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host.h"
#include "agent/peer.h"
#include "core/sal.h"
#include "util/errtext.h"
#include "util/file.h"

#define GROUPS_MAX	256
#define PRIVILEGED_PORT "net/ipv4/ip_unprivileged_port_start"
#define PRIVILEGED	1024 /* where the kernel does not say */

/* Nothing here asks the user database, which may take its time. */
int importer_may(const struct host *h, const struct sf_http_peer *peer, char *err, size_t errlen)
{
	struct policy_subject who = { .uid = peer->uid };
	gid_t gids[GROUPS_MAX + 1];
	char group[256];
	uint8_t reason;

	who.gids = gids;
	gids[0] = peer->gid;
	who.n_gids = 1 + peer_groups(peer, gids + 1, GROUPS_MAX);
	if (!peer_cgroup(peer, group, sizeof(group)))
		who.cgroup = group;
	reason = policy_judge(&h->policy, &who);
	return reason ? sf_errtext(err, errlen, -EACCES, "%s", sf_reason_text(reason)) : 0;
}

/* ---- the service and its port ----------------------------------------------------------- */

static const struct registration *served(struct host *h, const struct exported *e)
{
	struct registration_key key;
	const struct registration *r;

	memset(&key, 0, sizeof(key));
	key.addr = e->tuple.local;
	key.port = e->tuple.lport;
	key.proto = e->tuple.proto;
	if (!sf_addr_is_service(&h->net, &key.addr) || sf_addr_eq(&key.addr, &h->self))
		return NULL;
	r = registry_find(&h->registry, &key);
	if (!r || (r->state != SF_LISTENER_LIVE && r->state != SF_LISTENER_DRAINING) ||
	    r->at == AT_REFUSED)
		return NULL;
	return r;
}

static bool is_privileged(__be16 port)
{
	char first[16];

	if (sf_sysctl_get(PRIVILEGED_PORT, first, sizeof(first)))
		return ntohs(port) < PRIVILEGED;
	return ntohs(port) < strtoul(first, NULL, 10);
}

/* What it is given stays bound to the port, whatever it does with it. */
static int check_port(const struct sf_http_peer *who, __be16 port, char *err, size_t errlen)
{
	int ret = is_privileged(port) ? peer_can(who, CAP_NET_BIND_SERVICE) : 0;

	if (!ret)
		return 0;
	return sf_errtext(
		err, errlen, -EACCES,
		"port %u of the connection: expected a program with CAP_NET_BIND_SERVICE, "
		"as to bind it%s",
		ntohs(port), ret == -ESRCH ? "; this one has ended" : "");
}

static int check_service(struct host *h, const struct sf_http_peer *who, const struct exported *e,
			 char *err, size_t errlen)
{
	const struct registration *r = served(h, e);

	if (!r)
		return sf_errtext(
			err, errlen, -EADDRNOTAVAIL,
			"service of the connection, port %u: expected to be registered here",
			ntohs(e->tuple.lport));
	if (who->uid && who->uid != r->uid)
		return sf_errtext(
			err, errlen, -EACCES,
			"service of the connection, port %u: user %u serves it here, expected that "
			"one or root, not user %u",
			ntohs(e->tuple.lport), r->uid, who->uid);
	return check_port(who, e->tuple.lport, err, errlen);
}

/* ---- the peer --------------------------------------------------------------------------- */

static bool is_place(const struct host *h, const struct sf_addr *a)
{
	return sf_addr_in_as(&h->net, a) || a->h[0] == sf_be16(SF_LOCATOR_PREFIX);
}

/* How a socket sees its peer is a service address, or a locator: other addresses go by other ways
 * than the flow's, with a service's address as their source. */
static bool is_shown(const struct host *h, const struct exported *e)
{
	struct sf_sid sid;

	if (!sf_addr_is_service(&h->net, &e->tuple.peer))
		return is_place(h, &e->tuple.peer) &&
		       !sf_sock_is_unset(sf_locator_sock(&e->tuple.peer));
	sid = sf_addr_sid(&e->tuple.peer);
	return sf_sid_eq(&sid, &e->peer_sid);
}

static bool is_here(const struct host *h, const struct sf_addr *a)
{
	return sf_addr_eq(a, &h->self) || sf_locator_same_host(a, &h->datapath.config.own) ||
	       attachment_of_place(h, a);
}

static int check_peer(const struct host *h, const struct exported *e, char *err, size_t errlen)
{
	const struct sf_addr *valid = &e->move.valid, *cand = &e->move.cand;
	bool has_cand = !sf_addr_is_zero(cand);

	if (!is_place(h, valid) || (has_cand && !is_place(h, cand)))
		return sf_errtext(err, errlen, -EBADMSG,
				  "state: its peer: expected a locator of the network");
	if (!is_shown(h, e))
		return sf_errtext(err, errlen, -EBADMSG,
				  "state: address of its peer: expected its service address, or a "
				  "locator of the network");
	if (is_here(h, valid) || (has_cand && is_here(h, cand)) ||
	    sf_addr_eq(&e->tuple.peer, &h->self))
		return sf_errtext(err, errlen, -ELOOP, "connection: its other end is on this host");
	return 0;
}

int importer_check(struct host *h, const struct sf_http_peer *who, const struct exported *e,
		   char *err, size_t errlen)
{
	int ret;

	if (!h->datapath.config.host)
		return sf_errtext(err, errlen, -ENETDOWN, "host: it has not joined a network");
	ret = check_service(h, who, e, err, errlen);
	return ret ? ret : check_peer(h, e, err, errlen);
}
