// SPDX-License-Identifier: Apache-2.0
/*
 * join.c - JOIN (docs/protocol.md section 5.1, util/session.h).
 *
 * Theory of operation
 *
 * A JOIN is proven by its signature, and told from an old one by TIME, which only grows. Then it is
 * decided which entry of the table of hosts it is for:
 *
 *	same key, same boot nonce      that one: the agent was restarted, the host moved, or we
 *				       were; but a host that only wants a second place is DENIED
 *				       one
 *	same key, other boot nonce     a reboot, or a clone. An entry that is absent, or was on
 *				       this very link with this very address, is taken over. Else
 *				       the other one is probed: while its datapath answers, the
 *				       new one is a clone, gets an address of its own and raises
 *				       an alarm
 *	new key                        a new entry
 *
 * What is joined then is an address on a link. Only the first message under the session's key shows
 * that it was the key's owner who joined, here and now, and not somebody who heard a JOIN elsewhere
 * (or a router that was not chosen): host_prove() makes its identity known.
 *
 * While a probe runs the JOIN waits, and repeats of it are ignored: the host repeats it anyway.
 */
#include "router/join.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "router/controller_link.h"
#include "router/datapath.h"
#include "router/events.h"
#include "router/heartbeat.h"
#include "router/hosts.h"
#include "router/links.h"
#include "router/router.h"
#include "router/rules.h"
#include "router/session.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"

#define WAITING_MAX 64

/* A JOIN, taken apart. */
struct join {
	const uint8_t *key;
	uint64_t boot, time;
	const uint8_t *share;
	const char *name;
	uint16_t name_len;
	bool standby;
	uint8_t digest[SF_SHA256_LEN];
};

/* A JOIN that waits until it is known whether a twin lives. */
struct waiting {
	struct router *router;
	struct sockaddr_in6 from;
	int ifindex;
	uint8_t key[SF_SIGN_PUBLIC_LEN];
	uint32_t twin;
	size_t len;
	struct waiting *next;
	uint8_t data[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
};

static struct waiting *waiting_list;
static unsigned int waiting_count;

static uint64_t get64(const struct sf_ctrl_in *in, uint16_t type)
{
	const void *value = sf_ctrl_find(in, type, NULL);
	__be64 be = 0;

	if (value)
		memcpy(&be, value, sizeof(be));
	return sf_be64(be);
}

static int take_apart(const struct request *q, struct join *j)
{
	uint16_t len;

	j->key = sf_ctrl_find(&q->in, SF_ITEM_HOST_KEY, &len);
	if (!j->key || len != SF_SIGN_PUBLIC_LEN)
		return -EBADMSG;
	j->share = sf_ctrl_find(&q->in, SF_ITEM_SHARE, &len);
	if (!j->share || len != SF_DH_LEN)
		return -EBADMSG;
	j->boot = get64(&q->in, SF_ITEM_BOOT);
	j->time = get64(&q->in, SF_ITEM_TIME);
	j->name = sf_ctrl_find(&q->in, SF_ITEM_NAME, &j->name_len);
	j->standby = sf_ctrl_find(&q->in, SF_ITEM_STANDBY, NULL) != NULL;
	return sf_sha256(NULL, q->data, q->len, j->digest);
}

/* Names are for people; who gives none is called by his identity. */
static void set_name(struct host *h, const struct join *j)
{
	if (!j->name || !sf_word_take(h->name, sizeof(h->name), j->name, j->name_len))
		sf_sid_print(&h->identity, h->name);
}

/* ---- JOINED ---- */

static void put_items(struct router *r, const struct host *h, const uint8_t *nonce,
		      const uint8_t *share, struct sf_ctrl_out *o)
{
	struct sf_item_timers timers = { .heartbeat_ms = sf_be32(r->place.heartbeat_ms),
					 .move_grace_ms = sf_be32(r->place.move_grace_ms),
					 .lease_ms = sf_be32(r->place.lease_ms) };
	struct sf_item_router me = { .addr = r->own, .id = r->id, .roles = r->config.roles };

	sf_ctrl_put(o, SF_ITEM_IDENTITY, &h->identity, sizeof(h->identity));
	sf_ctrl_put(o, SF_ITEM_LOCATOR, &h->locator, sizeof(h->locator));
	sf_ctrl_put(o, SF_ITEM_NET, &r->place.net, sizeof(r->place.net));
	sf_ctrl_put(o, SF_ITEM_TIMERS, &timers, sizeof(timers));
	sf_ctrl_put(o, SF_ITEM_NONCE, nonce, SF_SESSION_NONCE_LEN);
	sf_ctrl_put(o, SF_ITEM_ROUTER, &me, sizeof(me));
	sf_ctrl_put(o, SF_ITEM_SHARE, share, SF_DH_LEN);
	sf_ctrl_put(o, SF_ITEM_HOST_KEY, r->public_key, sizeof(r->public_key));
}

/* Our half of the key exchange. The session's id must be free. */
static int make_session(struct router *r, const struct join *j, struct sf_session_terms *terms,
			struct sf_session *out)
{
	uint8_t secret[SF_DH_LEN];
	struct sf_dh *dh;
	int ret = sf_dh_make(&dh);

	if (ret)
		return ret;
	terms->boot = j->boot;
	memcpy(terms->host_share, j->share, SF_DH_LEN);
	sf_dh_public(dh, terms->router_share);
	do {
		ret = sf_random(terms->nonce, sizeof(terms->nonce));
	} while (!ret &&
		 (!sf_session_id(terms->nonce) || host_of_session(r, sf_session_id(terms->nonce))));
	if (!ret)
		ret = sf_dh_shared(dh, j->share, secret);
	if (!ret)
		ret = sf_session_open(out, SF_SESSION_ROUTER, secret, terms);
	sf_cleanse(secret, sizeof(secret));
	sf_dh_free(dh);
	return ret;
}

/* Build JOINED for a session, and keep it for repeats. */
static int make_joined(struct router *r, struct host *h, const struct request *q,
		       const struct sf_session_terms *terms, uint64_t id)
{
	uint8_t buf[SF_CTRL_MAX_UDP] __attribute__((aligned(8)));
	struct sf_ctrl_out o;
	uint8_t *copy;
	int len;

	sf_ctrl_begin(&o, buf, sizeof(buf), SF_CTRL_JOINED, q->in.seq, id);
	put_items(r, h, terms->nonce, terms->router_share, &o);
	len = sf_joined_sign(&o, r->key, q->data, q->len);
	if (len < 0)
		return len;
	copy = malloc((size_t)len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, buf, (size_t)len);
	free(h->joined);
	h->joined = copy;
	h->joined_len = len;
	return 0;
}

/* ---- the decision is made: this host, here ---- */

/* What a reboot or an absence ended. */
static void start_anew(struct router *r, struct host *h, const struct join *j)
{
	bool fresh = h->state == HOST_ABSENT || h->boot != j->boot;
	bool was_unsettled;

	if (fresh) {
		if (h->state != HOST_ABSENT)
			events_add(r, "host-rebooted", h, NULL, 0, "joins with another boot nonce");
		rules_unregister_all(r, h, false);
		was_unsettled = h->state != HOST_ABSENT && !h->settled;
		h->settled = true;
		if (was_unsettled) /* no list says any more what it serves */
			rules_settled(r, h);
	} else {
		rules_mark_stale(h);
	}
	h->mismatches = 0;
}

static void refuse(struct router *r, const struct request *q, struct host *h, bool made,
		   uint8_t reason, int err)
{
	sf_error("host %s: JOIN: %s", h->name, strerror(-err));
	session_deny(r, q, reason, NULL, 0);
	if (made)
		host_free(r, h);
}

/* Return: whether the host is joined; if not, @h may be gone. */
static bool complete(struct router *r, struct request *q, const struct join *j, struct host *h)
{
	struct sf_session_terms terms;
	struct sf_session session = { 0 };
	struct sf_link_address from;
	bool was_absent = h->state == HOST_ABSENT, made = was_absent && !h->time;
	bool moved = !was_absent && (h->ifindex != q->ifindex ||
				     !IN6_ARE_ADDR_EQUAL(&h->peer.sin6_addr, &q->from.sin6_addr));
	int ret;

	set_name(h, j);
	ret = datapath_joiner(r->datapath, q->ifindex, &q->from.sin6_addr, q->in.end, &from);
	if (ret) { /* pushed out by others; it is noted when the host says it again */
		refuse(r, q, h, made, SF_INTERNAL, ret);
		return false;
	}
	ret = make_session(r, j, &terms, &session);
	if (!ret)
		ret = make_joined(r, h, q, &terms, session.id);
	if (ret) {
		sf_session_close(&session);
		refuse(r, q, h, made, SF_BAD_MESSAGE, ret);
		return false;
	}
	start_anew(r, h, j);
	h->boot = j->boot;
	h->time = j->time;
	/* What a standby has registered so far goes with its first digest, which is proven. */
	h->standby = j->standby;
	ret = host_arrive(r, h, q->ifindex, &q->from, &from);
	if (!ret && h->kept) /* its TIME, before the host hears that it counts */
		ret = host_store(r, h);
	if (ret) {
		sf_session_close(&session);
		if (h->state != HOST_ABSENT)
			host_leave(r, h, SF_INTERNAL);
		refuse(r, q, h, made, SF_INTERNAL, ret);
		return false;
	}
	host_end_session(r, h);
	h->session = session;
	host_enter_session(r, h);
	h->state = HOST_JOINED;
	h->seen_ms = sf_now_ms();
	if (was_absent)
		h->joined_ms = h->seen_ms;
	memcpy(h->join_digest, j->digest, sizeof(h->join_digest));
	if (h->proven)
		host_serve_self(r, h);
	rules_flush(r);
	/* Else it would ask for our link address before it can use its place. */
	if (link_by_index(r, h->ifindex))
		session_solicit(r, &h->peer, link_by_index(r, h->ifindex));
	session_send(r, &h->peer, h->ifindex, h->joined, (size_t)h->joined_len);
	r->stats.joins++;
	if (moved)
		events_add(r, "host-moved", h, NULL, 0, "on link %s", link_name(r, h->ifindex));
	/* Each time: the controller may have heard of it from elsewhere in between. */
	if (h->proven)
		controller_link_joined(r, h);
	return true;
}

/* Refused for what others take up. One event a second tells of it, all are counted. */
static void deny_full(struct router *r, const struct request *q, uint8_t reason)
{
	static uint64_t told_ms;
	uint64_t now = sf_now_ms();

	if (!told_ms || now - told_ms >= 1000)
		events_add(r, "denied", NULL, NULL, reason, "JOIN on link %s: %s",
			   link_name(r, q->ifindex), sf_reason_text(reason));
	told_ms = told_ms && now - told_ms < 1000 ? told_ms : now;
	session_deny(r, q, reason, NULL, 0);
}

/*
 * Whether there is room on the link. Who has only asked for an address gives way, the oldest first:
 * its owner, if it has one, uses it within a round trip.
 * @h: whose JOIN it is; NULL: a new host's
 */
static bool admit(struct router *r, const struct request *q, const struct host *h)
{
	const struct link *l = link_by_index(r, q->ifindex);
	struct host *other;

	if (h && h->state != HOST_ABSENT && h->ifindex == q->ifindex)
		return true;
	if (hosts_on(r, q->ifindex, &other) < (l ? l->hosts_max : 0))
		return true;
	for (; other; other = other->on_next)
		if (!other->proven) {
			host_dismiss(r, other, SF_LINK_FULL);
			return true;
		}
	deny_full(r, q, SF_LINK_FULL);
	return false;
}

/* A new address: for a new key, or for a clone of @twin. */
static void join_new(struct router *r, struct request *q, const struct join *j,
		     const struct host *twin)
{
	uint8_t reason;
	struct host *h;

	if (!admit(r, q, NULL))
		return;
	h = host_new(r, j->key, &reason);
	if (!h) {
		deny_full(r, q, reason);
		return;
	}
	if (complete(r, q, j, h) && twin) {
		events_add(r, "alarm", h, NULL, SF_CLONED, "its key is alive on link %s too",
			   link_name(r, twin->ifindex));
		controller_link_alarm(r, h, SF_CLONED, "the host key is alive elsewhere");
	}
}

/* ---- reboot or clone ---- */

static void waiting_unlink(struct waiting *w)
{
	struct waiting **at = &waiting_list;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	waiting_count--;
}

static void waiting_drop(struct waiting *w)
{
	waiting_unlink(w);
	free(w);
}

void join_forget(struct router *r)
{
	while (waiting_list)
		waiting_drop(waiting_list);
}

static void decide(struct router *r, struct request *q, const struct join *j);

static void on_probed(struct router *r, struct host *twin, bool alive, void *ctx)
{
	struct waiting *w = ctx;
	struct request q = {
		.data = w->data, .len = w->len, .from = w->from, .ifindex = w->ifindex
	};
	struct join j;
	const char *why;

	/* It was checked when it came; the world may have changed since, but not the bytes. */
	if (!sf_ctrl_open(q.data, q.len, &q.in, &why) && !take_apart(&q, &j) &&
	    link_access(r, q.ifindex) != LINK_ACCESS_NO) {
		waiting_unlink(w); /* it may have to wait again */
		if (!twin)
			decide(r, &q, &j);
		else if (alive)
			join_new(r, &q, &j, twin);
		else if (admit(r, &q, twin))
			complete(r, &q, &j, twin);
	} else {
		waiting_unlink(w);
	}
	free(w);
}

static void join_wait(struct router *r, const struct request *q, const struct join *j,
		      struct host *twin)
{
	struct waiting *w;

	for (w = waiting_list; w; w = w->next)
		if (!memcmp(w->key, j->key, sizeof(w->key)))
			return;
	if (waiting_count == WAITING_MAX)
		return;
	w = calloc(1, sizeof(*w));
	if (!w)
		return;
	w->router = r;
	w->from = q->from;
	w->ifindex = q->ifindex;
	w->len = q->len;
	memcpy(w->key, j->key, sizeof(w->key));
	memcpy(w->data, q->data, q->len);
	w->next = waiting_list;
	waiting_list = w;
	waiting_count++;
	if (heartbeat_ask(r, twin, on_probed, w))
		waiting_drop(w);
}

/* The entry that a JOIN is for. Return: it; NULL: none, *@rival is one that may be alive. */
static struct host *choose(struct router *r, const struct request *q, const struct join *j,
			   struct host **rival)
{
	struct host *absent = NULL;

	*rival = NULL;
	for (struct host *h = host_of_key(r, j->key); h; h = h->twin) {
		if (h->boot == j->boot && h->time)
			return h;
		if (h->state == HOST_ABSENT) {
			absent = absent ? absent : h;
			continue;
		}
		if (h->ifindex == q->ifindex &&
		    IN6_ARE_ADDR_EQUAL(&h->peer.sin6_addr, &q->from.sin6_addr))
			return h;
		*rival = h;
	}
	/* An absent entry beside a living one was a clone's, and may be this one's again. */
	if (absent && !*rival)
		return absent;
	return NULL;
}

/* A place in reserve is of no use where the host is by another link of ours already. */
static bool is_here_already(const struct request *q, const struct join *j, const struct host *h)
{
	return j->standby && h && h->state != HOST_ABSENT && !h->dying && h->ifindex != q->ifindex;
}

static void decide(struct router *r, struct request *q, const struct join *j)
{
	struct host *rival, *h = choose(r, q, j, &rival);

	if (is_here_already(q, j, h)) {
		session_deny(r, q, SF_HERE_ALREADY, link_name(r, h->ifindex), 0);
		return;
	}
	if (h && !admit(r, q, h))
		return;
	if (h)
		complete(r, q, j, h);
	else if (rival)
		join_wait(r, q, j, rival);
	else
		join_new(r, q, j, NULL);
}

/* TIME must be newer than anything that this key said before. */
static uint64_t newest_time(struct router *r, const struct join *j)
{
	uint64_t newest = 0;

	for (struct host *h = host_of_key(r, j->key); h; h = h->twin)
		if (h->time > newest)
			newest = h->time;
	return newest;
}

static bool is_repeat(struct router *r, const struct request *q, const struct join *j)
{
	for (struct host *h = host_of_key(r, j->key); h; h = h->twin) {
		if (h->state != HOST_JOINED || !h->joined ||
		    memcmp(h->join_digest, j->digest, sizeof(j->digest)))
			continue;
		session_send(r, &q->from, q->ifindex, h->joined, (size_t)h->joined_len);
		return true;
	}
	return false;
}

void join_handle(struct router *r, struct request *q)
{
	struct join j;
	uint64_t newest;
	int ret;

	if (!(r->config.roles & SF_ROLE_ACCESS))
		return; /* another router may answer */
	if (take_apart(q, &j)) {
		session_deny(r, q, SF_BAD_MESSAGE, NULL, 0);
		return;
	}
	if (is_repeat(r, q, &j))
		return;
	ret = sf_join_verify(&q->in);
	if (ret) {
		session_deny(r, q, ret == -EKEYREJECTED ? SF_BAD_SIGNATURE : SF_BAD_MESSAGE, NULL,
			     0);
		return;
	}
	if (!has_place(r)) {
		session_deny(r, q, SF_NO_ADDRESS, "this router waits for a block of addresses", 0);
		return;
	}
	newest = newest_time(r, &j);
	if (j.time <= newest) {
		session_deny(r, q, SF_REPLAYED, "TIME is not newer than that of an earlier JOIN",
			     newest);
		return;
	}
	decide(r, q, &j);
}
