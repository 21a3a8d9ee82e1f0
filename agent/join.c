// SPDX-License-Identifier: Apache-2.0
/* join.c - JOIN until JOINED; see join.h for the states. */
#include "agent/join.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/host.h"
#include "agent/tell.h"
#include "agent/trust.h"
#include "core/wire.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/session.h"

#define HINT_MS	   1000
#define SAY_MS	   60000
#define JOIN_GROUP "ff02::5caf"
/* How far ahead of our clock another JOIN's TIME may be believed to have been: further than any
 * clock is wrong, and near enough for clocks to get there. */
#define AHEAD_MS (200ull * 366 * 24 * 3600 * 1000)

const char *join_state_name(enum join_state state)
{
	static const char *const names[] = { "joining", "joined", "lost" };

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

/* ---- sending ---------------------------------------------------------------------------- */

/* A fresh JOIN: new share, and a TIME above the last one even where the clock was set back. */
static int build(struct host *h)
{
	struct join *j = &h->join;
	uint8_t share[SF_DH_LEN];
	__be64 boot = sf_be64(h->boot), when;
	struct sf_ctrl_out out;
	uint64_t now = sf_wall_ms();
	struct sf_dh *dh;
	int err = sf_dh_make(&dh);

	if (err)
		return err;
	sf_dh_free(j->dh);
	j->dh = dh;
	sf_dh_public(dh, share);
	j->last_time = now > j->last_time ? now : j->last_time + 1;
	when = sf_be64(j->last_time);
	sf_ctrl_begin(&out, j->buf, sizeof(j->buf), SF_CTRL_JOIN, ++j->seq, 0);
	sf_ctrl_put(&out, SF_ITEM_HOST_KEY, h->public_key, sizeof(h->public_key));
	sf_ctrl_put(&out, SF_ITEM_SHARE, share, sizeof(share));
	sf_ctrl_put(&out, SF_ITEM_BOOT, &boot, sizeof(boot));
	sf_ctrl_put(&out, SF_ITEM_NAME, h->name, strlen(h->name));
	sf_ctrl_put(&out, SF_ITEM_TIME, &when, sizeof(when));
	j->len = sf_join_sign(&out, h->key);
	return j->len < 0 ? j->len : 0;
}

static int find_link_local(const struct sf_nl_addr *a, void *ctx)
{
	if (!IN6_IS_ADDR_LINKLOCAL(&a->addr) || (a->flags & IFA_F_TENTATIVE))
		return 0;
	*(struct in6_addr *)ctx = a->addr;
	return 1;
}

/* A router takes a JOIN from link-local addresses alone. Where router= is a global address the
 * kernel would choose another source, so it is told. */
static void send_on(struct host *h, const struct sf_nl_link *link)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_port = htons(SF_CTRL_PORT),
				   .sin6_scope_id = link->ifindex };
	struct in6_pktinfo by = { .ipi6_ifindex = (unsigned int)link->ifindex };
	int err = 0;

	to.sin6_addr = h->config.router;
	if (sf_ip6_is_any(&to.sin6_addr))
		inet_pton(AF_INET6, JOIN_GROUP, &to.sin6_addr);
	else if (!IN6_IS_ADDR_LINKLOCAL(&to.sin6_addr) &&
		 sf_ifaddr_list(h->nl, link->ifindex, find_link_local, &by.ipi6_addr) != 1)
		err = -EADDRNOTAVAIL;
	if (!err)
		err = session_say_by(&h->session, &to, &by, h->join.buf, h->join.len);
	if (err) /* no link-local address yet, or the link is just going: the next try will tell */
		sf_debug("link %s: JOIN: %s", link->name, strerror(-err));
}

static void arm(struct host *h, unsigned int ms)
{
	struct timeval wait = sf_ms_timeval(ms);

	event_add(h->join.timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	struct join *j = &h->join;
	int err;

	/* The same datagram while waits are short, so that any answer fits; then a fresh one. */
	if (!j->len || j->wait_ms >= SF_CTRL_RETRY_CAP) {
		err = build(h);
		if (err)
			sf_error("JOIN: %s", strerror(-err));
	}
	if (j->len > 0)
		uplink_each(h, send_on);
	arm(h, j->wait_ms);
	j->wait_ms = j->wait_ms * 2 < SF_CTRL_RETRY_CAP ? j->wait_ms * 2 : SF_CTRL_RETRY_CAP;
}

/* An event about this host. */
static void begin(struct host *h)
{
	h->join.len = 0;
	h->join.wait_ms = SF_CTRL_RETRY_MS;
	arm(h, 0);
}

void join_hurry(struct host *h)
{
	if (h->join.state != JOIN_JOINED)
		begin(h);
}

void join_again(struct host *h, const char *why)
{
	sf_info("joining again: %s", why);
	h->join.hinted = false;
	begin(h);
}

void join_lost(struct host *h, const char *why)
{
	struct sf_event e = { .kind = "router-lost" };

	if (h->join.state == JOIN_JOINED) {
		e.router = h->join.router_id;
		host_tell(h, SF_LOG_WARN, &e, "%s", why);
		h->join.state = JOIN_LOST;
		sf_notify("STATUS=access router lost, joining again");
	}
	begin(h);
}

void join_hint(struct host *h, const char *why)
{
	uint64_t now = sf_now_ms();

	if (h->join.state != JOIN_JOINED || now - h->join.hinted_ms < HINT_MS)
		return;
	h->join.hinted_ms = now;
	join_again(h, why);
	h->join.hinted = true;
}

/* ---- JOINED ----------------------------------------------------------------------------- */

/* Take what JOINED says; all items are there and of sufficient length. */
static void take_items(struct host *h, const struct sf_ctrl_in *in)
{
	struct join *j = &h->join;
	const struct sf_item_timers *t = sf_ctrl_find(in, SF_ITEM_TIMERS, NULL);
	const struct sf_item_router *r = sf_ctrl_find(in, SF_ITEM_ROUTER, NULL);
	const struct sf_net *net = sf_ctrl_find(in, SF_ITEM_NET, NULL);

	memcpy(&j->locator, sf_ctrl_find(in, SF_ITEM_LOCATOR, NULL), sizeof(j->locator));
	memcpy(j->router_key, sf_ctrl_find(in, SF_ITEM_HOST_KEY, NULL), sizeof(j->router_key));
	j->heartbeat_ms = sf_be32(t->heartbeat_ms);
	j->move_grace_ms = sf_be32(t->move_grace_ms);
	j->lease_ms = sf_be32(t->lease_ms);
	if (j->heartbeat_ms < 50 || j->heartbeat_ms > 60000)
		j->heartbeat_ms = SF_HEARTBEAT_MS;
	if (r)
		j->router_id = r->id;
	host_set_net(h, net);
}

/* Who makes us join by an unproven hint must not become our router by it: ours is, as long as it is
 * not lost. */
static int check_same(const struct host *h, const uint8_t *key, char *why, size_t len)
{
	char theirs[TRUST_KEY_STRLEN], ours[TRUST_KEY_STRLEN];

	if (!h->join.hinted || h->join.state != JOIN_JOINED ||
	    !memcmp(key, h->join.router_key, sizeof(h->join.router_key)))
		return 0;
	snprintf(why, len, "its key is %s, that of the router that we joined and did not lose %s",
		 trust_key_print(key, theirs), trust_key_print(h->join.router_key, ours));
	return -EKEYREJECTED;
}

/* Whether to believe it. @why: what is wrong with it. */
static int check_joined(struct host *h, const struct sf_ctrl_in *in,
			const struct sockaddr_in6 *from, char *why, size_t len)
{
	const struct sf_sid *identity;
	const struct sf_addr *locator;
	const struct sf_net *net;
	int err;

	snprintf(why, len, "its signature");
	err = sf_joined_verify(in, h->join.buf, h->join.len);
	if (err)
		return err;
	err = trust_key(&h->config, sf_ctrl_find(in, SF_ITEM_HOST_KEY, NULL), why, len);
	if (err)
		return err;
	err = check_same(h, sf_ctrl_find(in, SF_ITEM_HOST_KEY, NULL), why, len);
	if (err)
		return err;
	snprintf(why, len, "it does not come from a link-local address");
	if (!IN6_IS_ADDR_LINKLOCAL(&from->sin6_addr))
		return -EBADMSG;
	identity = sf_ctrl_find(in, SF_ITEM_IDENTITY, NULL);
	locator = sf_ctrl_find(in, SF_ITEM_LOCATOR, NULL);
	net = sf_ctrl_find(in, SF_ITEM_NET, NULL);
	snprintf(why, len, "it names another identity than ours");
	if (!sf_sid_eq(identity, &h->identity))
		return -EBADMSG;
	err = trust_net(&h->config, net, why, len);
	if (err)
		return err;
	snprintf(why, len, "its locator is not one of its network");
	if (!sf_addr_in_as(net, locator) || !sf_locator_host(locator) ||
	    !sf_sock_is_unset(sf_locator_sock(locator)))
		return -EBADMSG;
	return 0;
}

static int start_session(struct host *h, const struct sf_ctrl_in *in,
			 const struct sockaddr_in6 *from)
{
	struct sf_session_terms terms = { .boot = h->boot };
	uint8_t secret[SF_DH_LEN];
	int err;

	memcpy(terms.nonce, sf_ctrl_find(in, SF_ITEM_NONCE, NULL), sizeof(terms.nonce));
	memcpy(terms.router_share, sf_ctrl_find(in, SF_ITEM_SHARE, NULL), SF_DH_LEN);
	sf_dh_public(h->join.dh, terms.host_share);
	if (in->session != sf_session_id(terms.nonce))
		return -EBADMSG;
	err = sf_dh_shared(h->join.dh, terms.router_share, secret);
	if (err)
		return err;
	err = session_start(&h->session, secret, &terms, from);
	sf_cleanse(secret, sizeof(secret));
	return err;
}

static void say_joined(struct host *h, bool moved)
{
	struct sf_event e = { .kind = "host-joined" };
	char via[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, &h->join.router.sin6_addr, via, sizeof(via));
	e.locator = h->join.locator;
	e.router = h->join.router_id;
	host_tell(h, SF_LOG_INFO, &e, "by router %s on %s%s", via, h->uplink.link.name,
		  moved ? ", at another locator than before" : "");
}

void join_reapply(struct host *h)
{
	char err[512] = "";

	if (h->join.state != JOIN_JOINED || !h->uplink.link.ifindex)
		return;
	if (setup_apply(h, err, sizeof(err)))
		sf_error("set-up: %s", err);
	if (datapath_apply(h, err, sizeof(err)))
		sf_error("datapath: %s", err);
}

/* Anybody on the link can answer as often as he likes: said once a minute. */
static void say_refused(struct host *h, const struct sockaddr_in6 *from, const char *why, int err)
{
	struct sf_event e = { .kind = "router-refused" };
	char via[INET6_ADDRSTRLEN], name[IF_NAMESIZE] = "?";
	uint64_t now = sf_now_ms();

	if (h->join.refused_ms && now - h->join.refused_ms < SAY_MS)
		return;
	h->join.refused_ms = now;
	inet_ntop(AF_INET6, &from->sin6_addr, via, sizeof(via));
	if_indextoname(from->sin6_scope_id, name);
	host_tell(h, SF_LOG_WARN, &e, "%s on %s: %s (%s)", via, name, why, strerror(-err));
}

static void handle_joined(struct host *h, const struct sf_ctrl_in *in,
			  const struct sockaddr_in6 *from)
{
	struct join *j = &h->join;
	struct sf_addr before = j->locator;
	char why[256];
	bool moved;
	int err;

	if (j->len <= 0 || in->seq != j->seq)
		return; /* an answer to an earlier JOIN */
	err = check_joined(h, in, from, why, sizeof(why));
	if (!err) {
		snprintf(why, sizeof(why), "its session");
		err = start_session(h, in, from);
	}
	if (!err) {
		snprintf(why, sizeof(why), "its link");
		err = uplink_choose(h, (int)from->sin6_scope_id);
	}
	if (err) {
		say_refused(h, from, why, err);
		return;
	}
	event_del(j->timer);
	j->len = 0;
	j->router = *from;
	take_items(h, in);
	moved = !sf_addr_is_zero(&before) && !sf_locator_same_host(&before, &j->locator);
	j->state = JOIN_JOINED;
	j->count++;
	j->joined_wall_ms = sf_wall_ms();
	say_joined(h, moved);
	sf_notify("STATUS=joined");
	join_reapply(h);
	registry_restart(&h->registry);
	heartbeat_start(h);
}

/* Whether an unproven word comes from the router that we joined, as far as an address tells. */
static bool is_our_router(const struct host *h, const struct sockaddr_in6 *from)
{
	return from->sin6_scope_id == h->join.router.sin6_scope_id &&
	       IN6_ARE_ADDR_EQUAL(&from->sin6_addr, &h->join.router.sin6_addr);
}

static void handle_denied(struct host *h, const struct sf_ctrl_in *in,
			  const struct sockaddr_in6 *from)
{
	const struct sf_item_reason *r = sf_ctrl_find(in, SF_ITEM_REASON, NULL);
	const __be64 *when = sf_ctrl_find(in, SF_ITEM_TIME, NULL);
	uint8_t reason = r ? r->reason : SF_NONE;
	struct sf_event e = { .kind = "denied" };
	uint64_t now = sf_now_ms();
	uint16_t len = 0;
	const char *text = sf_ctrl_find(in, SF_ITEM_TEXT, &len);

	if (in->session || h->join.len <= 0 || in->seq != h->join.seq) {
		/* Not if it speaks of a session that we have left behind ourselves. */
		if (reason == SF_NO_SESSION && in->session == h->session.keys.id &&
		    is_our_router(h, from))
			join_hint(h, "the router does not know our session");
		return;
	}
	if (reason == SF_REPLAYED && when) {
		uint64_t seen;

		memcpy(&seen, when, sizeof(seen));
		seen = sf_be64(seen);
		if (seen >= h->join.last_time && seen < sf_wall_ms() + AHEAD_MS) {
			h->join.last_time = seen; /* our clock was set back: go on from there */
			h->join.len = 0;	  /* the next JOIN is a fresh one */
		}
	}
	if (now - h->join.denied_ms < SAY_MS && h->join.denied_ms)
		return;
	h->join.denied_ms = now;
	e.reason = reason;
	host_tell(h, SF_LOG_WARN, &e, "JOIN: %s%s%.*s", sf_reason_text(reason),
		  text && len ? ": " : "", text ? len : 0, text ? text : "");
}

void join_stranger(struct host *h, const struct sf_ctrl_in *in, const struct sockaddr_in6 *from)
{
	/* Nothing of this is proven, JOINED apart. So nobody off the link may say it. */
	bool near = IN6_IS_ADDR_LINKLOCAL(&from->sin6_addr);

	if (in->type == SF_CTRL_JOINED)
		handle_joined(h, in, from);
	else if (in->type == SF_CTRL_DENIED && near)
		handle_denied(h, in, from);
	else if (in->type == SF_CTRL_REFRESH && is_our_router(h, from))
		join_hint(h, "the router asks for it");
	else
		h->session.bad++;
}

int join_open(struct host *h, char *err, size_t errlen)
{
	if (trust_is_blind(&h->config))
		sf_warn("neither uplink= nor router_key= is set: whichever router answers first, "
			"on "
			"any link, is believed, and can read, answer and redirect what this host "
			"sends to services and locators; set router_key= to the router's public "
			"key");
	/* An answer that is not signed is known by this number alone. */
	sf_random(&h->join.seq, sizeof(h->join.seq));
	h->join.timer = evtimer_new(h->daemon.base, on_timer, h);
	if (!h->join.timer) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	return 0;
}

void join_close(struct host *h)
{
	if (h->join.timer)
		event_free(h->join.timer);
	h->join.timer = NULL;
	sf_dh_free(h->join.dh);
	h->join.dh = NULL;
}
