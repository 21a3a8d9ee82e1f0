// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* renegotiate.c - views and places of a flow's ends (docs/design/0004-renegotiation.md). */
#include "core/renegotiate.h"

#include <errno.h>

#define HOP_LIMIT 64

/* ---- what an end says of itself --------------------------------------------------------- */

bool sf_move_is_open(const struct sf_move *m)
{
	return m->acked != m->own.name;
}

static bool has_candidate(const struct sf_move *m)
{
	return !sf_addr_is_zero(&m->cand);
}

static bool is_confirmed(const struct sf_move *m)
{
	return m->flags & SF_MOVE_CONFIRMED;
}

bool sf_move_is_settled(const struct sf_move *m)
{
	if (m->flags & SF_MOVE_LEFT) /* what is open is open elsewhere */
		return true;
	return !sf_move_is_open(m) && is_confirmed(m) && !has_candidate(m);
}

/* We moved and the peer does not know, or we do not know where it is. */
static bool is_moving(const struct sf_move *m)
{
	return !is_confirmed(m) && (sf_move_is_open(m) || has_candidate(m));
}

const char *sf_move_state_name(const struct sf_move *m)
{
	if (sf_move_is_settled(m))
		return "settled";
	if (is_moving(m))
		return "moving";
	return is_confirmed(m) ? "answered" : "unconfirmed";
}

/* The newest place that the peer told of, validated or not. */
static const struct sf_addr *newest_place(const struct sf_move *m)
{
	return has_candidate(m) ? &m->cand : &m->valid;
}

/* @place with the socketID by which the peer goes now; where the flow had, or has, another key (it
 * was handed over), with that. */
static struct sf_addr peer_at(const struct sf_move *m, const struct sf_addr *place)
{
	__u64 now = sf_locator_sock(newest_place(m)), there = sf_locator_sock(place);
	struct sf_addr a = *place;

	if (sf_sock_is_unset(there) || sf_socket_key(there) == sf_socket_key(now))
		sf_locator_set_sock(&a, now);
	return a;
}

struct sf_addr sf_move_peer(const struct sf_move *m)
{
	return peer_at(m, m->flags & SF_MOVE_EXPIRED ? &m->valid : newest_place(m));
}

/* Nobody but who is at @place, and who knows the name, learns it. */
static __u64 challenge_of(const struct sf_hashkey *key, __u64 name, const struct sf_addr *place)
{
	struct sf_addr p = sf_locator_place(place);
	__u64 words[3];

	words[0] = (__u64)p.w[0] << 32 | p.w[1];
	words[1] = (__u64)p.w[2] << 32 | p.w[3];
	words[2] = name;
	words[0] = sf_siphash24(key, words, 3);
	return words[0] ? words[0] : 1; /* 0: there is none */
}

static void say(const struct sf_move *m, __u8 kind, const struct sf_addr *to,
		const struct sf_move_env *env, struct sf_move_out *out)
{
	struct sf_addr peer = *newest_place(m);
	struct sf_move_msg *msg = &out->msg;

	memset(msg, 0, sizeof(*msg));
	msg->kind = kind;
	msg->src = m->at;
	msg->dst = *to;
	msg->host = env->self;
	msg->peer = m->peer_host;
	msg->epoch = m->own.epoch;
	msg->claim = m->own.claim;
	msg->was = m->acked;
	msg->name = m->own.name;
	msg->you = m->peer.name;
	msg->your_claim = m->peer.claim;
	msg->you_sock = sf_locator_sock(&peer);
	msg->echo = m->echo;
	if (kind == SF_KIND_RSYN_ACK)
		msg->challenge = challenge_of(env->key, m->peer.name, to);
	if (!is_confirmed(m))
		msg->flags |= SF_MOVE_ASK;
	if (!has_candidate(m) && sf_locator_same_host(to, &m->valid))
		msg->flags |= SF_MOVE_VALID;
	if (m->flags & SF_MOVE_GONE)
		msg->flags |= SF_MOVE_LOST;
	/* Padded only to where the peer is proven to be: others must not be bombed. */
	msg->len = kind == SF_KIND_RSYN && env->padded && !has_candidate(m) &&
				   sf_locator_same_host(to, &m->valid)
			   ? SF_MOVE_PADDED
			   : SF_MOVE_LEN;
	out->acts |= SF_MOVE_SEND;
}

/* ---- changes ---------------------------------------------------------------------------- */

static void timer_start(struct sf_move *m, __u64 now)
{
	m->tries = 0;
	m->wait = SF_MOVE_FIRST_NS;
	m->due = sf_move_is_settled(m) ? 0 : now + m->wait;
}

/* A new name; the first after all was acknowledged opens a series, which has a claim. */
static void draw(struct sf_move *m, const struct sf_move_env *env)
{
	__u64 sock = sf_locator_sock(&m->at), key = sf_socket_key(sock);

	if (!sf_move_is_open(m))
		m->own.claim = env->random[0];
	m->own.name = env->random[1];
	m->own.epoch++;
	m->echo = 0; /* it was for the former name */
	sf_locator_set_sock(&m->at, sf_socket_id(key, (__u8)(sock + 1)));
}

static void candidate_forget(struct sf_move *m)
{
	memset(&m->cand, 0, sizeof(m->cand));
	m->flags &= ~SF_MOVE_EXPIRED;
	m->allow = 0;
	m->cand_since = 0;
}

void sf_move_init(struct sf_move *m, const struct sf_flow *f, __u64 now)
{
	memset(m, 0, sizeof(*m));
	m->at = f->own;
	m->valid = f->peer;
	m->own.name = m->acked = m->former = sf_locator_sock(&f->own);
	m->peer.name = sf_locator_sock(&f->peer);
	m->peer.closed = 1;
	m->peer_host = f->peer_host;
	m->flags = SF_MOVE_CONFIRMED;
	m->heard = now;
}

/* Where nobody answers, each second repetition asks for whoever is the peer's host now. */
static bool is_unresolved(const struct sf_move *m)
{
	return m->tries >= SF_MOVE_UNRESOLVED && (m->tries - SF_MOVE_UNRESOLVED) % 2 == 0 &&
	       !sf_sid_is_zero(&m->peer_host);
}

/* To where an RSYN goes: the newest place; each third to the last validated one, for the candidate
 * may be an attacker's, and so do those that it has not asked for; and where nobody answers, to
 * whoever is the peer's host now. */
static struct sf_addr rsyn_goal(struct sf_move *m, const struct sf_move_env *env)
{
	if (is_unresolved(m))
		return sf_service_addr(env->net, &m->peer_host);
	if (!has_candidate(m))
		return peer_at(m, &m->valid);
	if (m->tries % 3 == 2 || !m->allow)
		return peer_at(m, &m->valid);
	m->allow--;
	return peer_at(m, &m->cand);
}

void sf_move_start(struct sf_move *m, const struct sf_addr *place, bool lost,
		   const struct sf_move_env *env, struct sf_move_out *out)
{
	struct sf_addr at = *place, to;

	memset(out, 0, sizeof(*out));
	if (sf_move_is_settled(m)) {
		m->began = env->now;
		m->flags &= ~SF_MOVE_GONE;
	}
	if (lost)
		m->flags |= SF_MOVE_GONE;
	sf_locator_set_sock(&at, sf_locator_sock(&m->at));
	m->at = at;
	draw(m, env);
	m->flags &= ~SF_MOVE_CONFIRMED;
	m->moves++;
	timer_start(m, env->now);
	to = rsyn_goal(m, env);
	say(m, SF_KIND_RSYN, &to, env, out);
	out->acts |= SF_MOVE_APPLY;
}

void sf_move_rehome(struct sf_move *m, const struct sf_addr *own, __u64 now)
{
	m->at = *own;
	m->former = m->acked; /* sf_move_tell() */
	m->echo = 0;
	m->allow = 0;
	m->began = m->heard = now;
	m->cand_since = has_candidate(m) ? now : 0;
	m->flags &= ~SF_MOVE_CONFIRMED;
	m->flags |= SF_MOVE_GONE | SF_MOVE_BROUGHT; /* gone is what goes to the exporter */
	timer_start(m, now);
}

void sf_move_tell(const struct sf_move *m, const struct sf_addr *to, const struct sf_move_env *env,
		  struct sf_move_out *out)
{
	memset(out, 0, sizeof(*out));
	say(m, SF_KIND_RSYN, to, env, out);
	/* Which the exporter knows, also when the peer has heard of names that it has not. */
	out->msg.was = m->former;
}

void sf_move_leave(struct sf_move *m)
{
	m->former = m->acked;
	m->acked = m->own.name;
	memset(&m->valid, 0, sizeof(m->valid));
	candidate_forget(m);
	m->flags |= SF_MOVE_CONFIRMED | SF_MOVE_LEFT;
	m->echo = 0;
	m->due = 0;
}

/* ---- judging ---------------------------------------------------------------------------- */

enum judgement { STRANGER, BEHIND, PAST, REPEAT, NEXT };

/* RFC 1982, serial number arithmetic. */
static bool is_newer(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

static bool knows_us(const struct sf_move *m, const struct sf_move_msg *in)
{
	return in->you == m->own.name || in->you == m->acked ||
	       (sf_move_is_open(m) && m->own.claim && in->your_claim == m->own.claim);
}

static enum judgement judge(const struct sf_move *m, const struct sf_move_msg *in)
{
	bool repeat = in->epoch == m->peer.epoch && in->name == m->peer.name;

	if (!knows_us(m, in))
		return in->you == m->former && !repeat ? BEHIND : STRANGER;
	if (repeat)
		return REPEAT;
	if (!is_newer(in->epoch, m->peer.epoch))
		return PAST;
	if (in->was == m->peer.name || (!m->peer.closed && in->claim == m->peer.claim))
		return NEXT;
	return PAST;
}

/* The peer's next view. @open: our series was before this message came. */
static void take(struct sf_move *m, const struct sf_move_msg *in, const struct sf_move_env *env,
		 bool open, struct sf_move_out *out)
{
	struct sf_addr was = *newest_place(m);
	bool elsewhere = !sf_locator_same_host(&in->src, &was);

	if (sf_move_is_settled(m))
		m->began = env->now;
	m->peer.name = in->name;
	m->peer.claim = in->claim;
	m->peer.epoch = in->epoch;
	m->peer.closed = 0;
	if (!sf_sid_is_zero(&in->host))
		m->peer_host = in->host;
	if (sf_locator_same_host(&in->src, &m->valid)) {
		candidate_forget(m);
		m->valid = in->src;
	} else {
		m->flags &= ~SF_MOVE_EXPIRED;
		if (!sf_locator_same_host(&in->src, &m->cand))
			m->allow = 0; /* it was another place's */
		m->cand = in->src;
		m->cand_since = env->now;
	}
	if (elsewhere) {
		m->peer_moves++;
		out->acts |= SF_MOVE_PEER;
		if (in->flags & SF_MOVE_LOST)
			out->acts |= SF_MOVE_RESEND;
	}
	/* A name that only who is taken learns: copies of it, made before, do not know it. */
	if (!open || (elsewhere && in->kind == SF_KIND_RSYN))
		draw(m, env);
	out->acts |= SF_MOVE_APPLY;
	timer_start(m, env->now);
}

/* What an accepted message says about ourselves. */
static void hear(struct sf_move *m, const struct sf_move_msg *in, const struct sf_move_env *env,
		 struct sf_move_out *out)
{
	bool open = sf_move_is_open(m), confirmed = is_confirmed(m);

	m->heard = env->now;
	if (in->you != m->own.name)
		return;
	if (open) {
		m->former = m->acked;
		m->acked = m->own.name;
		m->flags &= ~SF_MOVE_BROUGHT;
		out->acts |= SF_MOVE_APPLY | (confirmed ? 0 : SF_MOVE_ARRIVED);
		if (!confirmed && (m->flags & SF_MOVE_GONE))
			out->acts |= SF_MOVE_RESEND;
	}
	/* What is said of another place of ours, or of one that was, is not of this one. */
	if (!sf_locator_same_host(&in->dst, &m->at))
		return;
	if (in->flags & SF_MOVE_VALID)
		m->flags |= SF_MOVE_CONFIRMED;
	if (in->challenge)
		m->echo = in->challenge;
}

/* Who repeats what was sent to one place alone is there. */
static void validate(struct sf_move *m, const struct sf_move_msg *in, const struct sf_move_env *env,
		     struct sf_move_out *out)
{
	bool known = !has_candidate(m) && sf_locator_same_host(&in->src, &m->valid);

	if (known || !in->echo || in->echo != challenge_of(env->key, m->peer.name, &in->src))
		return;
	if (!sf_locator_same_host(&in->src, newest_place(m)))
		out->acts |= SF_MOVE_PEER;
	m->valid = in->src;
	if (!sf_sid_is_zero(&in->host)) /* another one's, if it was handed over */
		m->peer_host = in->host;
	candidate_forget(m);
	out->acts |= SF_MOVE_APPLY | SF_MOVE_REACHED;
	if (in->flags & SF_MOVE_LOST)
		out->acts |= SF_MOVE_RESEND;
}

/* More than an answer to each message may not go to a place that is not validated. */
static void allow(struct sf_move *m, const struct sf_move_msg *in, struct sf_move_out *out)
{
	__u32 len = in->len < SF_MOVE_PADDED ? in->len : SF_MOVE_PADDED;
	__u32 bytes = len * SF_MOVE_AMPLIFY;

	if (!has_candidate(m) || !sf_locator_same_host(&in->src, &m->cand))
		return;
	if (in->kind == SF_KIND_RSYN && m->allow < SF_MOVE_AMPLIFY)
		m->allow++;
	out->credit = bytes > 2 * SF_MOVE_LEN ? bytes - 2 * SF_MOVE_LEN : 0;
	if (out->credit)
		out->acts |= SF_MOVE_APPLY;
}

static void answer(struct sf_move *m, const struct sf_move_msg *in, const struct sf_move_env *env,
		   struct sf_move_out *out)
{
	bool unproven = has_candidate(m) || !sf_locator_same_host(&in->src, &m->valid);

	if (in->kind == SF_KIND_RSYN || unproven)
		say(m, SF_KIND_RSYN_ACK, &in->src, env, out);
	else if (in->kind == SF_KIND_RSYN_ACK || (in->flags & SF_MOVE_ASK))
		say(m, SF_KIND_RACK, &in->src, env, out);
}

void sf_move_in(struct sf_move *m, const struct sf_move_msg *in, const struct sf_move_env *env,
		struct sf_move_out *out)
{
	bool settled = sf_move_is_settled(m), open = sf_move_is_open(m);
	enum judgement j = judge(m, in);

	memset(out, 0, sizeof(*out));
	if (j != REPEAT && j != NEXT) {
		/* What is newer than what we know may be so to a copy of ours, and we be stale. */
		if (in->kind == SF_KIND_RSYN &&
		    (j == BEHIND || (j == PAST && !is_newer(in->epoch, m->peer.epoch))))
			out->fail = SF_SUPERSEDED;
		out->acts = SF_MOVE_STALE;
		return;
	}
	/* What it knows of us it says of the name that we had, before a new one is drawn. */
	hear(m, in, env, out);
	if (j == NEXT)
		take(m, in, env, open, out);
	if (in->was == in->name)
		m->peer.closed = 1;
	validate(m, in, env, out);
	allow(m, in, out);
	answer(m, in, env, out);
	if (sf_move_is_settled(m)) {
		m->due = 0;
		if (!settled) /* and what moves leave begins to end */
			out->acts |= SF_MOVE_SETTLED | SF_MOVE_APPLY;
	} else if (!m->due) {
		timer_start(m, env->now);
	}
}

bool sf_move_follow(struct sf_move *m, const struct sf_move_msg *in)
{
	bool ours = in->was == m->own.name || in->was == m->acked || in->was == m->former ||
		    (m->own.claim && in->claim == m->own.claim);

	if (in->kind != SF_KIND_RSYN || !ours || !(m->flags & SF_MOVE_LEFT))
		return false;
	/* Its name is new with each of its places: what is sent again from elsewhere is a forgery.
	 */
	if (is_newer(in->epoch, m->own.epoch)) {
		m->former = m->own.name;
		m->acked = in->was; /* the peer may have heard of nothing since */
		m->own.name = in->name;
		m->own.claim = in->claim;
		m->own.epoch = in->epoch;
		m->valid = in->src;
	}
	return true;
}

bool sf_move_is_asked(const struct sf_move *m, const struct sf_move_msg *in)
{
	return (m->flags & SF_MOVE_LEFT) && !sf_addr_is_zero(&m->valid) &&
	       (in->you == m->own.name || in->you == m->acked || in->you == m->former ||
		(m->own.claim && in->your_claim == m->own.claim));
}

/* ---- time ------------------------------------------------------------------------------- */

static void expire(struct sf_move *m, __u64 now, struct sf_move_out *out)
{
	if (!has_candidate(m) || (m->flags & SF_MOVE_EXPIRED) ||
	    now - m->cand_since < SF_MOVE_CANDIDATE_NS)
		return;
	m->flags |= SF_MOVE_EXPIRED;
	out->acts |= SF_MOVE_APPLY;
}

/* Whether RSYN is repeated. Who stays unconfirmed for long asks a peer that has moved before it
 * heard; who has a candidate, one that may be settled with a copy of ours and need not ask us
 * anything. */
static bool asks(const struct sf_move *m)
{
	return is_moving(m) || (!is_confirmed(m) && m->tries >= SF_MOVE_UNRESOLVED) ||
	       (has_candidate(m) && is_unresolved(m));
}

void sf_move_timer(struct sf_move *m, const struct sf_move_env *env, struct sf_move_out *out)
{
	struct sf_addr to;

	memset(out, 0, sizeof(*out));
	if (!m->due || env->now < m->due)
		return;
	expire(m, env->now, out);
	if (asks(m)) {
		to = rsyn_goal(m, env);
		say(m, SF_KIND_RSYN, &to, env, out);
	} else if (has_candidate(m)) {
		bool home = m->tries % 3 == 2 || (m->flags & SF_MOVE_EXPIRED);

		to = peer_at(m, home ? &m->valid : &m->cand);
		if (home || m->allow) {
			m->allow -= !home;
			say(m, SF_KIND_RSYN_ACK, &to, env, out);
		}
	} else {
		to = peer_at(m, &m->valid);
		say(m, sf_move_is_open(m) ? SF_KIND_RSYN_ACK : SF_KIND_RACK, &to, env, out);
	}
	m->tries++;
	m->wait = m->wait * 2 < SF_MOVE_LONGEST_NS ? m->wait * 2 : SF_MOVE_LONGEST_NS;
	m->due = env->now + m->wait;
}

/* ---- refusals --------------------------------------------------------------------------- */

/* Whoever is at a candidate's place need not be the peer: an attacker chose it, perhaps. */
static bool is_validated(const struct sf_move *m, const struct sf_addr *src)
{
	return !has_candidate(m) && sf_locator_same_host(src, &m->valid);
}

void sf_move_failed(struct sf_move *m, __u8 reason, const struct sf_move_msg *quoted,
		    const struct sf_addr *src, const struct sf_sid *host, struct sf_move_out *out)
{
	memset(out, 0, sizeof(*out));
	if (quoted->name != m->own.name)
		return;
	if (reason == SF_SUPERSEDED) {
		/* Drawn by what we said before we learned the peer's present name, it may be out of
		 * date: we may have been taken since. */
		if (!sf_move_is_open(m) || quoted->you != m->peer.name)
			return;
	} else if (!sf_reason_is_hard(reason) || !is_validated(m, src) ||
		   !sf_flow_is_host(&m->peer_host, host)) {
		return;
	}
	out->acts = SF_MOVE_OVER;
	out->fail = reason;
}

void sf_move_redirected(struct sf_move *m, const struct sf_move_msg *quoted,
			const struct sf_addr *place, const struct sf_move_env *env,
			struct sf_move_out *out)
{
	struct sf_addr to = *place;

	memset(out, 0, sizeof(*out));
	/* Who redirects what was redirected speaks of the flow as it is called there. */
	if (sf_sock_is_unset(sf_locator_sock(&to)) && !sf_addr_is_service(env->net, &quoted->dst))
		sf_locator_set_sock(&to, sf_locator_sock(&quoted->dst));
	to = peer_at(m, &to);
	if (quoted->kind == SF_KIND_RSYN && quoted->name == m->own.name && !is_confirmed(m))
		say(m, SF_KIND_RSYN, &to, env, out);
}

void sf_move_apply(const struct sf_move *m, __u64 id, __u32 credit, struct sf_flow_change *out)
{
	bool candidate = has_candidate(m) && !(m->flags & SF_MOVE_EXPIRED);

	memset(out, 0, sizeof(*out));
	out->id = id;
	out->own = m->at;
	out->peer = sf_move_peer(m);
	out->peer_host = m->peer_host;
	if (has_candidate(m))
		out->before = candidate ? m->valid : m->cand;
	if (candidate) {
		out->flags |= SF_FLOW_BUDGET;
		out->credit = credit;
	}
	if (!sf_move_is_settled(m))
		out->flags |= SF_FLOW_OPEN;
}

/* ---- packets ---------------------------------------------------------------------------- */

int sf_move_encode(void *packet, size_t room, const struct sf_move_msg *msg)
{
	static const __u8 padding[SF_MOVE_PADDED - SF_MOVE_LEN];
	struct sf_tlv_move t = { .type = SF_TLV_MOVE, .len = sizeof(t) - 2 };
	size_t more = msg->len > SF_MOVE_LEN ? msg->len - SF_MOVE_LEN : 0;

	if (more > sizeof(padding))
		return -EMSGSIZE;
	t.flags = sf_be16(msg->flags);
	t.epoch = sf_be32(msg->epoch);
	t.you_sock_high = sf_be16(msg->you_sock >> 32);
	t.you_sock_low = sf_be32(msg->you_sock);
	t.claim = sf_be64(msg->claim);
	t.was = sf_be64(msg->was);
	t.name = sf_be64(msg->name);
	t.you = sf_be64(msg->you);
	t.your_claim = sf_be64(msg->your_claim);
	t.challenge = sf_be64(msg->challenge);
	t.echo = sf_be64(msg->echo);
	t.received = sf_be32(msg->received);
	return sf_alone_encode(packet, room, &msg->src, &msg->dst, HOP_LIMIT, msg->kind, 0,
			       &msg->peer, &msg->host, &t, sizeof(t), padding, more);
}

static int decode(const struct sf_packet *p, struct sf_move_msg *msg)
{
	struct sf_tlv_move t;
	const __u8 *value;
	__u8 kind = sf_hdr_kind(&p->hdr);

	if (kind < SF_KIND_RSYN || kind > SF_KIND_RACK)
		return -EBADMSG;
	if (sf_tlv_find(p->tlvs, p->tlvs_len, SF_TLV_MOVE, &value) != sizeof(t) - 2)
		return -EBADMSG;
	memcpy((__u8 *)&t + 2, value, sizeof(t) - 2);
	memset(msg, 0, sizeof(*msg));
	msg->src = p->src;
	msg->dst = p->dst;
	msg->host = p->hdr.src;
	msg->peer = p->hdr.dst;
	msg->kind = kind;
	msg->flags = sf_be16(t.flags);
	msg->epoch = sf_be32(t.epoch);
	msg->len = SF_IPV6_LEN + p->plen;
	msg->you_sock = (__u64)sf_be16(t.you_sock_high) << 32 | sf_be32(t.you_sock_low);
	msg->claim = sf_be64(t.claim);
	msg->was = sf_be64(t.was);
	msg->name = sf_be64(t.name);
	msg->you = sf_be64(t.you);
	msg->your_claim = sf_be64(t.your_claim);
	msg->challenge = sf_be64(t.challenge);
	msg->echo = sf_be64(t.echo);
	msg->received = sf_be32(t.received);
	return 0;
}

int sf_move_decode(const void *packet, size_t len, struct sf_move_msg *msg, __u8 *reason)
{
	struct sf_packet p;
	int ret;

	*reason = SF_NONE;
	ret = sf_packet_decode(packet, len, &p, reason);

	if (!ret)
		ret = decode(&p, msg);
	if (!ret)
		return 0;
	if (!*reason)
		*reason = SF_BAD_HEADER;
	return -EBADMSG;
}
