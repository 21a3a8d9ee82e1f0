// SPDX-License-Identifier: Apache-2.0
/* session.c - sessions of hosts at their access router; see session.h for the derivation. */
#include "util/session.h"

#include <errno.h>
#include <stdlib.h>

#define SESSION_INFO   "scaffold session v1"
#define JOIN_DOMAIN    "scaffold join v1"
#define JOINED_DOMAIN  "scaffold joined v1"
#define DIGEST_DOMAIN  "scaffold registration v1"
#define MAC_ITEM_LEN   (sizeof(struct sf_item) + SF_MAC_LEN)
#define SIGN_INPUT_MAX (32 + SF_SHA256_LEN + SF_CTRL_MAX_UDP)

int sf_session_derive(const uint8_t shared[SF_DH_LEN], const struct sf_session_terms *terms,
		      uint8_t to_router[32], uint8_t to_host[32])
{
	struct {
		uint8_t nonce[SF_SESSION_NONCE_LEN];
		__be64 boot;
		uint8_t host_share[SF_DH_LEN];
		uint8_t router_share[SF_DH_LEN];
	} SF_PACKED salt;
	uint8_t keys[64];
	int err;

	memcpy(salt.nonce, terms->nonce, sizeof(salt.nonce));
	salt.boot = sf_be64(terms->boot);
	memcpy(salt.host_share, terms->host_share, SF_DH_LEN);
	memcpy(salt.router_share, terms->router_share, SF_DH_LEN);
	err = sf_hkdf_sha256(shared, SF_DH_LEN, &salt, sizeof(salt), SESSION_INFO,
			     sizeof(SESSION_INFO) - 1, keys, sizeof(keys));
	if (err)
		return err;
	memcpy(to_router, keys, 32);
	memcpy(to_host, keys + 32, 32);
	sf_cleanse(keys, sizeof(keys));
	return 0;
}

uint64_t sf_session_id(const uint8_t nonce[SF_SESSION_NONCE_LEN])
{
	__be64 id;

	memcpy(&id, nonce, sizeof(id));
	return sf_be64(id);
}

int sf_session_open(struct sf_session *s, enum sf_session_side side,
		    const uint8_t shared[SF_DH_LEN], const struct sf_session_terms *terms)
{
	struct sf_session fresh = { .id = sf_session_id(terms->nonce) };
	uint8_t to_router[32], to_host[32];
	int err;

	if (!fresh.id)
		return -EINVAL;
	err = sf_session_derive(shared, terms, to_router, to_host);
	if (err)
		return err;
	err = sf_mac_new(side == SF_SESSION_HOST ? to_router : to_host, 32, &fresh.send);
	if (!err)
		err = sf_mac_new(side == SF_SESSION_HOST ? to_host : to_router, 32, &fresh.recv);
	sf_cleanse(to_router, sizeof(to_router));
	sf_cleanse(to_host, sizeof(to_host));
	if (err) {
		sf_session_close(&fresh);
		return err;
	}
	*s = fresh;
	return 0;
}

void sf_session_close(struct sf_session *s)
{
	sf_mac_free(s->send);
	sf_mac_free(s->recv);
	memset(s, 0, sizeof(*s));
}

uint32_t sf_session_next(struct sf_session *s, enum sf_session_side side)
{
	s->sent++;
	return side == SF_SESSION_HOST ? s->sent : SF_SESSION_UNSOLICITED + s->sent;
}

void sf_session_begin(const struct sf_session *s, struct sf_ctrl_out *o, void *buf, size_t room,
		      uint8_t type, uint32_t seq)
{
	sf_ctrl_begin(o, buf, room > MAC_ITEM_LEN ? room - MAC_ITEM_LEN : 0, type, seq, s->id);
}

int sf_session_seal(const struct sf_session *s, struct sf_ctrl_out *o)
{
	uint8_t tag[SF_MAC_LEN];
	int len = sf_ctrl_end(o);
	int err;

	if (len < 0)
		return len;
	err = sf_mac_compute(s->send, o->start, len, tag);
	if (err)
		return err;
	o->end += MAC_ITEM_LEN; /* held back by sf_session_begin() */
	if (!sf_ctrl_put(o, SF_ITEM_MAC, tag, sizeof(tag)))
		return -EMSGSIZE;
	return sf_ctrl_end(o);
}

/* The last item of a message if it is of @type, and stands there only. */
static bool last_item(const struct sf_ctrl_in *in, uint16_t type, size_t len,
		      struct sf_ctrl_item *out)
{
	struct sf_ctrl_item last = { 0 };
	int count = 0;

	sf_ctrl_foreach (in, it) {
		last = it;
		count += it.type == type;
	}
	if (count != 1 || last.type != type || last.len != len)
		return false;
	*out = last;
	return true;
}

int sf_session_check(const struct sf_session *s, const struct sf_ctrl_in *in)
{
	struct sf_ctrl_item mac;

	if (!s->id || in->session != s->id)
		return -ENOENT;
	if (!last_item(in, SF_ITEM_MAC, SF_MAC_LEN, &mac))
		return -EBADMSG;
	return sf_mac_check(s->recv, in->start, mac.at - in->start, mac.value);
}

int sf_seq_accept(struct sf_seq_window *w, uint32_t seq)
{
	uint32_t behind;

	if (!seq)
		return -ESTALE;
	if (seq > w->top) {
		uint32_t step = seq - w->top;

		w->seen = step < SF_SESSION_WINDOW ? w->seen << step : 0;
		w->seen |= 1;
		w->top = seq;
		return 0;
	}
	behind = w->top - seq;
	if (behind >= SF_SESSION_WINDOW)
		return -ESTALE;
	if (w->seen & (1ull << behind))
		return -EALREADY;
	w->seen |= 1ull << behind;
	return 0;
}

/* What a signature covers: domain, NUL, optional digest of the answered message, the bytes. */
static int sign_input(uint8_t buf[SIGN_INPUT_MAX], const char *domain, const void *join,
		      size_t join_len, const void *msg, size_t len)
{
	size_t n = strlen(domain) + 1;
	int err;

	if (len > SF_CTRL_MAX_UDP)
		return -EMSGSIZE;
	memcpy(buf, domain, n);
	if (join) {
		err = sf_sha256(NULL, join, join_len, buf + n);
		if (err)
			return err;
		n += SF_SHA256_LEN;
	}
	memcpy(buf + n, msg, len);
	return (int)(n + len);
}

static int sign_message(struct sf_ctrl_out *o, struct sf_sign_key *key, const char *domain,
			const void *join, size_t join_len)
{
	uint8_t input[SIGN_INPUT_MAX], sig[SF_SIGN_LEN];
	int len = sf_ctrl_end(o);
	int err;

	if (len < 0)
		return len;
	len = sign_input(input, domain, join, join_len, o->start, len);
	if (len < 0)
		return len;
	err = sf_sign(key, input, len, sig);
	if (err)
		return err;
	sf_ctrl_put(o, SF_ITEM_SIGNATURE, sig, sizeof(sig));
	return sf_ctrl_end(o);
}

static int verify_message(const struct sf_ctrl_in *in, const char *domain, const void *join,
			  size_t join_len, const uint16_t *needed)
{
	uint8_t input[SIGN_INPUT_MAX];
	struct sf_ctrl_item sig;
	const uint8_t *key;
	uint16_t key_len;
	int len;

	for (; *needed; needed++) {
		int count = 0;

		sf_ctrl_foreach (in, it)
			count += it.type == *needed;
		if (count != 1)
			return -EBADMSG;
	}
	key = sf_ctrl_find(in, SF_ITEM_HOST_KEY, &key_len);
	if (!key || key_len != SF_SIGN_PUBLIC_LEN ||
	    !last_item(in, SF_ITEM_SIGNATURE, SF_SIGN_LEN, &sig))
		return -EBADMSG;
	len = sign_input(input, domain, join, join_len, in->start, sig.at - in->start);
	if (len < 0)
		return -EBADMSG;
	return sf_verify(key, input, len, sig.value);
}

int sf_join_sign(struct sf_ctrl_out *o, struct sf_sign_key *key)
{
	return sign_message(o, key, JOIN_DOMAIN, NULL, 0);
}

int sf_join_verify(const struct sf_ctrl_in *in)
{
	static const uint16_t needed[] = { SF_ITEM_HOST_KEY, SF_ITEM_SHARE, SF_ITEM_BOOT,
					   SF_ITEM_TIME, 0 };

	return verify_message(in, JOIN_DOMAIN, NULL, 0, needed);
}

int sf_joined_sign(struct sf_ctrl_out *o, struct sf_sign_key *key, const void *join,
		   size_t join_len)
{
	return sign_message(o, key, JOINED_DOMAIN, join, join_len);
}

int sf_joined_verify(const struct sf_ctrl_in *in, const void *join, size_t join_len)
{
	static const uint16_t needed[] = { SF_ITEM_HOST_KEY, SF_ITEM_IDENTITY,
					   SF_ITEM_LOCATOR,  SF_ITEM_NET,
					   SF_ITEM_TIMERS,   SF_ITEM_NONCE,
					   SF_ITEM_SHARE,    0 };

	return verify_message(in, JOINED_DOMAIN, join, join_len, needed);
}

uint64_t sf_registration_digest(const struct sf_sid *sid, uint8_t proto, uint16_t port_be)
{
	struct {
		struct sf_sid sid;
		uint8_t proto;
		uint16_t port;
	} SF_PACKED input = { *sid, proto, port_be };
	uint8_t hash[SF_SHA256_LEN];
	__be64 part = 0;

	/* A failing hash (no memory) makes a digest that differs: the router asks for a refresh. */
	if (!sf_sha256(DIGEST_DOMAIN, &input, sizeof(input), hash))
		memcpy(&part, hash, sizeof(part));
	return sf_be64(part);
}
