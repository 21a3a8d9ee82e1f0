// SPDX-License-Identifier: Apache-2.0
/* join.c - JOIN until JOINED; see join.h for the states. */
#include "agent/join.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/if_addr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/host.h"
#include "agent/tell.h"
#include "agent/trust.h"
#include "core/wire.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/ndisc.h"
#include "util/session.h"

#define HINT_MS	   1000
#define SELDOM_MS  10000
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

static void offer_end(struct offer *o)
{
	sf_dh_free(o->dh);
	o->dh = NULL;
	o->len = 0;
}

/* A fresh JOIN: new share, and a TIME above the last one even where the clock was set back. */
static int build(struct host *h, struct offer *o, bool standby)
{
	struct search *s = &h->search;
	uint8_t share[SF_DH_LEN];
	__be64 boot = sf_be64(h->boot), when;
	struct sf_ctrl_out out;
	uint64_t now = sf_wall_ms();
	struct sf_dh *dh;
	int err = sf_dh_make(&dh);

	if (err)
		return err;
	sf_dh_free(o->dh);
	o->dh = dh;
	o->standby = standby;
	sf_dh_public(dh, share);
	s->last_time = now > s->last_time ? now : s->last_time + 1;
	when = sf_be64(s->last_time);
	o->seq = ++s->seq;
	sf_ctrl_begin(&out, o->buf, sizeof(o->buf), SF_CTRL_JOIN, o->seq, 0);
	sf_ctrl_put(&out, SF_ITEM_HOST_KEY, h->public_key, sizeof(h->public_key));
	sf_ctrl_put(&out, SF_ITEM_SHARE, share, sizeof(share));
	sf_ctrl_put(&out, SF_ITEM_BOOT, &boot, sizeof(boot));
	sf_ctrl_put(&out, SF_ITEM_NAME, h->name, strlen(h->name));
	sf_ctrl_put(&out, SF_ITEM_TIME, &when, sizeof(when));
	if (standby)
		sf_ctrl_put(&out, SF_ITEM_STANDBY, NULL, 0);
	o->len = sf_join_sign(&out, h->key);
	return o->len < 0 ? o->len : 0;
}

static int find_link_local(const struct sf_nl_addr *a, void *ctx)
{
	if (!IN6_IS_ADDR_LINKLOCAL(&a->addr) || (a->flags & IFA_F_TENTATIVE))
		return 0;
	*(struct in6_addr *)ctx = a->addr;
	return 1;
}

/* The router knows our link address then, and answers a round trip earlier. */
static void introduce(const struct attachment *a, const struct in6_addr *to)
{
	int err = sf_ndisc_solicit_router(a->host->search.solicit_fd, a->link.ifindex, to,
					  a->link.mac);

	if (err)
		sf_debug("link %s: router solicitation: %s", a->link.name, strerror(-err));
}

/* A router takes a JOIN from link-local addresses alone. Where router= is a global address the
 * kernel would choose another source, so it is told. */
static void send_by(struct attachment *a, const struct offer *o, bool first)
{
	struct host *h = a->host;
	const struct sf_nl_link *link = &a->link;
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_port = htons(SF_CTRL_PORT),
				   .sin6_scope_id = link->ifindex };
	struct in6_pktinfo by = { .ipi6_ifindex = (unsigned int)link->ifindex };
	int err = 0;

	if (o->len <= 0 || !uplink_usable(h, link))
		return;
	to.sin6_addr = h->config.router;
	if (sf_ip6_is_any(&to.sin6_addr))
		inet_pton(AF_INET6, JOIN_GROUP, &to.sin6_addr);
	else if (!IN6_IS_ADDR_LINKLOCAL(&to.sin6_addr) &&
		 sf_ifaddr_list(h->nl, link->ifindex, find_link_local, &by.ipi6_addr) != 1)
		err = -EADDRNOTAVAIL;
	if (!err && first && sf_ip6_is_any(&by.ipi6_addr))
		introduce(a, &to.sin6_addr);
	if (!err)
		err = session_say_by(&a->session, &to, &by, o->buf, o->len);
	if (err) /* no link-local address yet, or the link is just going: the next try will tell */
		sf_debug("link %s: JOIN: %s", link->name, strerror(-err));
}

/* The same datagram while waits are short, so that any answer fits; then a fresh one. */
static void refresh(struct host *h, struct offer *o, bool standby, unsigned int waited_ms)
{
	int err;

	if (o->len > 0 && o->standby == standby && waited_ms < SF_CTRL_RETRY_CAP)
		return;
	err = build(h, o, standby);
	if (err)
		sf_error("JOIN: %s", strerror(-err));
}

static void arm(struct event *timer, unsigned int ms)
{
	struct timeval wait = sf_ms_timeval(ms);

	event_add(timer, &wait);
}

static unsigned int longer(unsigned int ms, unsigned int most)
{
	return ms * 2 < most ? ms * 2 : most;
}

/* By all links on which a router may be found. */
static void on_search(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;
	struct search *s = &h->search;

	refresh(h, &s->offer, false, s->wait_ms);
	attachment_foreach (h, a)
		if (a->join.state != JOIN_JOINED)
			send_by(a, &s->offer, s->wait_ms == SF_CTRL_RETRY_MS);
	arm(s->timer, s->wait_ms);
	s->wait_ms = longer(s->wait_ms, SF_CTRL_RETRY_CAP);
}

void search_begin(struct host *h)
{
	struct search *s = &h->search;

	attachment_foreach (h, a)
		if (a->join.state != JOIN_JOINED)
			event_del(a->join.timer);
	s->running = true;
	s->offer.len = 0;
	s->wait_ms = SF_CTRL_RETRY_MS;
	arm(s->timer, 0);
}

void search_end(struct host *h)
{
	h->search.running = false;
	event_del(h->search.timer);
	offer_end(&h->search.offer);
}

/* Whether another attachment than this one is primary, and usable. */
static bool is_standby(const struct attachment *a)
{
	const struct attachment *p = a->host->attachments.primary;

	return p && p != a && attachment_usable(p);
}

/* By one link. Where nobody ever answered, or has said that he knows us elsewhere, that is not
 * asked every second for ever. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct attachment *a = arg;
	struct join *j = &a->join;
	bool known = !sf_addr_is_zero(&j->locator) && !j->elsewhere;

	refresh(a->host, &j->offer, is_standby(a), j->wait_ms);
	send_by(a, &j->offer, j->wait_ms == SF_CTRL_RETRY_MS);
	arm(j->timer, j->wait_ms);
	j->wait_ms = longer(j->wait_ms, known ? SF_CTRL_RETRY_CAP : SELDOM_MS);
}

void join_begin(struct attachment *a)
{
	struct join *j = &a->join;

	if (a->host->search.running && j->state != JOIN_JOINED)
		return; /* it is being asked for by that */
	j->offer.len = 0;
	j->wait_ms = SF_CTRL_RETRY_MS;
	arm(j->timer, 0);
}

void join_hurry(struct attachment *a)
{
	if (a->join.state == JOIN_JOINED)
		return;
	if (a->host->search.running)
		search_begin(a->host);
	else
		join_begin(a);
}

void join_again(struct attachment *a, const char *why)
{
	sf_info("joining again on %s: %s", a->link.name, why);
	a->join.hinted = false;
	if (a->join.state == JOIN_JOINED)
		join_begin(a);
	else
		join_hurry(a);
}

/* An event about this host. */
void join_lost(struct attachment *a, const char *why)
{
	struct sf_event e = { .kind = "router-lost" };

	if (a->join.state == JOIN_JOINED) {
		e.router = a->join.router_id;
		host_tell(a->host, SF_LOG_WARN, &e, "on %s: %s", a->link.name, why);
		a->join.state = JOIN_LOST;
		event_del(a->join.timer);
	}
	attachment_changed(a, why);
	join_hurry(a);
}

void join_hint(struct attachment *a, const char *why)
{
	uint64_t now = sf_now_ms();

	if (a->join.state != JOIN_JOINED || now - a->join.hinted_ms < HINT_MS)
		return;
	a->join.hinted_ms = now;
	join_again(a, why);
	a->join.hinted = true;
}

/* ---- JOINED ----------------------------------------------------------------------------- */

/* Take what JOINED says; all items are there and of sufficient length. */
static void take_items(struct attachment *a, const struct sf_ctrl_in *in)
{
	struct join *j = &a->join;
	const struct sf_item_timers *t = sf_ctrl_find(in, SF_ITEM_TIMERS, NULL);
	const struct sf_item_router *r = sf_ctrl_find(in, SF_ITEM_ROUTER, NULL);

	memcpy(&j->net, sf_ctrl_find(in, SF_ITEM_NET, NULL), sizeof(j->net));
	memcpy(&j->locator, sf_ctrl_find(in, SF_ITEM_LOCATOR, NULL), sizeof(j->locator));
	memcpy(j->router_key, sf_ctrl_find(in, SF_ITEM_HOST_KEY, NULL), sizeof(j->router_key));
	j->heartbeat_ms = sf_be32(t->heartbeat_ms);
	j->move_grace_ms = sf_be32(t->move_grace_ms);
	j->lease_ms = sf_be32(t->lease_ms);
	if (j->heartbeat_ms < 50 || j->heartbeat_ms > 60000)
		j->heartbeat_ms = SF_HEARTBEAT_MS;
	if (r)
		j->router_id = r->id;
}

/* Who makes us join by an unproven hint must not become our router by it: ours is, as long as it is
 * not lost. */
static int check_same(const struct attachment *a, const uint8_t *key, char *why, size_t len)
{
	char theirs[TRUST_KEY_STRLEN], ours[TRUST_KEY_STRLEN];

	if (!a->join.hinted || a->join.state != JOIN_JOINED ||
	    !memcmp(key, a->join.router_key, sizeof(a->join.router_key)))
		return 0;
	snprintf(why, len, "its key is %s, that of the router that we joined and did not lose %s",
		 trust_key_print(key, theirs), trust_key_print(a->join.router_key, ours));
	return -EKEYREJECTED;
}

/* Whether to believe it. @why: what is wrong with it. */
static int check_joined(struct attachment *a, const struct offer *o, const struct sf_ctrl_in *in,
			const struct sockaddr_in6 *from, char *why, size_t len)
{
	struct host *h = a->host;
	const struct sf_sid *identity;
	const struct sf_addr *locator;
	const struct sf_net *net;
	int err;

	snprintf(why, len, "its signature");
	err = sf_joined_verify(in, o->buf, o->len);
	if (err)
		return err;
	err = trust_key(&h->config, sf_ctrl_find(in, SF_ITEM_HOST_KEY, NULL), why, len);
	if (err)
		return err;
	err = check_same(a, sf_ctrl_find(in, SF_ITEM_HOST_KEY, NULL), why, len);
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
	snprintf(why, len, "its service addresses are not those of the primary uplink's network");
	if (is_standby(a) && net->service != h->net.service)
		return -EBADMSG;
	snprintf(why, len, "its locator is not one of its network");
	if (!sf_addr_in_as(net, locator) || !sf_locator_host(locator) ||
	    !sf_sock_is_unset(sf_locator_sock(locator)))
		return -EBADMSG;
	return 0;
}

static int start_session(struct attachment *a, const struct offer *o, const struct sf_ctrl_in *in,
			 const struct sockaddr_in6 *from)
{
	struct sf_session_terms terms = { .boot = a->host->boot };
	uint8_t secret[SF_DH_LEN];
	int err;

	memcpy(terms.nonce, sf_ctrl_find(in, SF_ITEM_NONCE, NULL), sizeof(terms.nonce));
	memcpy(terms.router_share, sf_ctrl_find(in, SF_ITEM_SHARE, NULL), SF_DH_LEN);
	sf_dh_public(o->dh, terms.host_share);
	if (in->session != sf_session_id(terms.nonce))
		return -EBADMSG;
	err = sf_dh_shared(o->dh, terms.router_share, secret);
	if (err)
		return err;
	err = session_start(&a->session, secret, &terms, from);
	sf_cleanse(secret, sizeof(secret));
	return err;
}

static void say_joined(const struct attachment *a, bool moved)
{
	struct sf_event e = { .kind = "host-joined" };
	char via[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, &a->join.router.sin6_addr, via, sizeof(via));
	e.locator = a->join.locator;
	e.router = a->join.router_id;
	host_tell(a->host, SF_LOG_INFO, &e, "by router %s on %s%s", via, a->link.name,
		  moved ? ", at another locator than before" : "");
}

/* Anybody on the link can answer as often as he likes: said once a minute. */
static void say_refused(const struct attachment *a, const struct sockaddr_in6 *from,
			const char *why, int err)
{
	struct sf_event e = { .kind = "router-refused" };
	char via[INET6_ADDRSTRLEN];
	struct search *s = &a->host->search;
	uint64_t now = sf_now_ms();

	if (s->refused_ms && now - s->refused_ms < SAY_MS)
		return;
	s->refused_ms = now;
	inet_ntop(AF_INET6, &from->sin6_addr, via, sizeof(via));
	host_tell(a->host, SF_LOG_WARN, &e, "%s on %s: %s (%s)", via, a->link.name, why,
		  strerror(-err));
}

/* The JOIN under way with this number; NULL: it is an earlier one's. */
static struct offer *offer_of(struct attachment *a, uint32_t seq)
{
	struct offer *o = &a->join.offer;

	if (o->len > 0 && o->seq == seq)
		return o;
	o = &a->host->search.offer;
	return o->len > 0 && o->seq == seq ? o : NULL;
}

static void handle_joined(struct attachment *a, const struct sf_ctrl_in *in,
			  const struct sockaddr_in6 *from)
{
	struct offer *o = offer_of(a, in->seq);
	struct join *j = &a->join;
	struct sf_addr before = j->locator;
	char why[256];
	int err;

	if (!o)
		return;
	if (!o->standby && is_standby(a)) {
		join_begin(a); /* another router was faster: as standby, then */
		return;
	}
	err = check_joined(a, o, in, from, why, sizeof(why));
	if (!err) {
		snprintf(why, sizeof(why), "its session");
		err = start_session(a, o, in, from);
	}
	if (err) {
		say_refused(a, from, why, err);
		return;
	}
	event_del(j->timer);
	offer_end(&j->offer);
	j->router = *from;
	take_items(a, in);
	j->elsewhere = false;
	j->hinted = false;
	j->state = JOIN_JOINED;
	j->count++;
	j->joined_wall_ms = sf_wall_ms();
	say_joined(a, !sf_addr_is_zero(&before) && !sf_locator_same_host(&before, &j->locator));
	attachment_joined(a, &before);
}

/* Whether an unproven word comes from the router that we joined, as far as an address tells. */
static bool is_our_router(const struct attachment *a, const struct sockaddr_in6 *from)
{
	return from->sin6_scope_id == a->join.router.sin6_scope_id &&
	       IN6_ARE_ADDR_EQUAL(&from->sin6_addr, &a->join.router.sin6_addr);
}

/* Our clock was set back: go on from what the router has seen. */
static void take_time(struct search *s, struct offer *o, const __be64 *when)
{
	uint64_t seen;

	memcpy(&seen, when, sizeof(seen));
	seen = sf_be64(seen);
	if (seen < s->last_time || seen >= sf_wall_ms() + AHEAD_MS)
		return;
	s->last_time = seen;
	o->len = 0; /* the next JOIN is a fresh one */
}

static void handle_denied(struct attachment *a, const struct sf_ctrl_in *in,
			  const struct sockaddr_in6 *from)
{
	const struct sf_item_reason *r = sf_ctrl_find(in, SF_ITEM_REASON, NULL);
	const __be64 *when = sf_ctrl_find(in, SF_ITEM_TIME, NULL);
	struct offer *o = in->session ? NULL : offer_of(a, in->seq);
	struct search *s = &a->host->search;
	uint8_t reason = r ? r->reason : SF_NONE;
	struct sf_event e = { .kind = "denied" };
	uint64_t now = sf_now_ms();
	uint16_t len = 0;
	const char *text = sf_ctrl_find(in, SF_ITEM_TEXT, &len);

	if (!o) {
		/* Not if it speaks of a session that we have left behind ourselves. */
		if (reason == SF_NO_SESSION && in->session == a->session.keys.id &&
		    is_our_router(a, from))
			join_hint(a, "the router does not know our session");
		return;
	}
	if (reason == SF_HERE_ALREADY) {
		a->join.elsewhere = o->standby;
		return;
	}
	if (reason == SF_REPLAYED && when)
		take_time(s, o, when);
	if (now - s->denied_ms < SAY_MS && s->denied_ms)
		return;
	s->denied_ms = now;
	e.reason = reason;
	host_tell(a->host, SF_LOG_WARN, &e, "JOIN on %s: %s%s%.*s", a->link.name,
		  sf_reason_text(reason), text && len ? ": " : "", text ? len : 0,
		  text ? text : "");
}

void join_stranger(struct attachment *a, const struct sf_ctrl_in *in,
		   const struct sockaddr_in6 *from)
{
	/* Nothing of this is proven, JOINED apart. So nobody off the link may say it. */
	bool near = IN6_IS_ADDR_LINKLOCAL(&from->sin6_addr);

	if (in->type == SF_CTRL_JOINED)
		handle_joined(a, in, from);
	else if (in->type == SF_CTRL_DENIED && near)
		handle_denied(a, in, from);
	else if (in->type == SF_CTRL_REFRESH && is_our_router(a, from))
		join_hint(a, "the router asks for it");
	else
		a->session.bad++;
}

int search_open(struct host *h, char *err, size_t errlen)
{
	if (trust_is_blind(&h->config))
		sf_warn("neither uplink= nor router_key= is set: whichever router answers first, "
			"on "
			"any link, is believed, and can read, answer and redirect what this host "
			"sends to services and locators; set router_key= to the router's public "
			"key");
	/* An answer that is not signed is known by this number alone. */
	sf_random(&h->search.seq, sizeof(h->search.seq));
	h->search.timer = evtimer_new(h->daemon.base, on_search, h);
	if (!h->search.timer) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	h->search.solicit_fd = sf_ndisc_open();
	if (h->search.solicit_fd < 0) {
		snprintf(err, errlen, "raw socket: %s", strerror(-h->search.solicit_fd));
		return h->search.solicit_fd;
	}
	return 0;
}

void search_close(struct host *h)
{
	if (h->search.timer)
		event_free(h->search.timer);
	h->search.timer = NULL;
	if (h->search.solicit_fd > 0)
		close(h->search.solicit_fd);
	h->search.solicit_fd = 0;
	offer_end(&h->search.offer);
}

int join_open(struct attachment *a)
{
	a->join.timer = evtimer_new(a->host->daemon.base, on_timer, a);
	return a->join.timer ? 0 : -ENOMEM;
}

void join_close(struct attachment *a)
{
	if (a->join.timer)
		event_free(a->join.timer);
	a->join.timer = NULL;
	offer_end(&a->join.offer);
}
