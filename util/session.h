// SPDX-License-Identifier: Apache-2.0
/*
 * session.h - how a host and its access router come to trust each other's messages
 * (docs/protocol.md, "Host <-> access router").
 *
 * Theory of operation
 *
 * JOIN carries the host's Ed25519 key, a fresh X25519 share and a signature; JOINED carries the
 * router's key, its share, a random NONCE and a signature that covers the JOIN, too. From the
 * shared secret both derive one key for each direction:
 *
 *	secret = X25519(own share, peer's share)
 *	keys   = HKDF-SHA256(ikm = secret,
 *			     salt = NONCE (16) | BOOT (8, big-endian) | host SHARE | router SHARE,
 *			     info = "scaffold session v1", 64 bytes)
 *	host -> router: HMAC key keys[0..31]; router -> host: keys[32..63]
 *	session id = the first 8 bytes of NONCE, big-endian, never 0; JOINED's header carries it.
 *
 * The router picks another NONCE where the id is taken or 0.
 *
 * Signatures are the message's last item. Their input:
 *
 *	JOIN:   "scaffold join v1" | NUL | header and all items before SIGNATURE
 *	JOINED: "scaffold joined v1" | NUL | SHA-256 of the whole JOIN datagram |
 *		header and all items before SIGNATURE
 *
 * Every later message ends with a MAC over header and all items before it, except those that a
 * router without the session must send (DENIED no-session, REFRESH): these only hint, and the
 * host answers them with a JOIN.
 *
 * Sequence numbers: the host's requests count 1, 2, ... below SF_SESSION_UNSOLICITED from each
 * JOINED on; an answer carries its request's number; what a router says unasked (REFRESH,
 * REGISTERED with late verdicts) counts from SF_SESSION_UNSOLICITED + 1. A receiver of requests
 * keeps a window (RFC 6479's idea) of the last 64: what it has seen is answered again from what it
 * holds *now*, and never executed again; what is older is dropped. So a replayed REGISTER cannot
 * raise the dead, and a lost answer costs nothing.
 *
 * JOIN's TIME grows strictly within one boot nonce; a router refuses a JOIN whose TIME is not newer
 * than the last one of that host key and boot nonce (DENIED replayed, with a TIME item that says
 * what it has seen, so that a host whose clock was set back goes on from there), unless it is the
 * very same datagram, which gets the very same JOINED.
 */
#ifndef SF_UTIL_SESSION_H
#define SF_UTIL_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ctrl.h"
#include "util/crypto.h"

#define SF_SESSION_NONCE_LEN   16
#define SF_SESSION_WINDOW      64
#define SF_SESSION_UNSOLICITED 0x80000000u /* sequence numbers above are the router's own */

enum sf_session_side { SF_SESSION_HOST, SF_SESSION_ROUTER };

/** struct sf_seq_window - which of the last 64 sequence numbers came in. Zeroed: none. */
struct sf_seq_window {
	uint32_t top;  /* highest seen */
	uint64_t seen; /* bit n: top - n was seen */
};

/** struct sf_session - one end of a session. Zeroed: none. */
struct sf_session {
	uint64_t id; /* 0: no session */
	struct sf_mac *send, *recv;
	uint32_t sent;		     /* last own sequence number */
	struct sf_seq_window window; /* of the peer's requests (host: of the unsolicited ones) */
};

/** struct sf_session_terms - all that a session's keys depend on, besides the secret. */
struct sf_session_terms {
	uint8_t nonce[SF_SESSION_NONCE_LEN];
	uint64_t boot; /* host order */
	uint8_t host_share[SF_DH_LEN];
	uint8_t router_share[SF_DH_LEN];
};

/**
 * sf_session_derive() - the two keys of a session.
 * @shared: of sf_dh_shared(); the caller cleanses it
 * @to_router, @to_host: 32 bytes each
 *
 * Return: 0, or what sf_hkdf_sha256() says.
 */
int sf_session_derive(const uint8_t shared[SF_DH_LEN], const struct sf_session_terms *terms,
		      uint8_t to_router[32], uint8_t to_host[32]);

/** sf_session_id() - the id that goes with a nonce; 0 means: choose another nonce. */
uint64_t sf_session_id(const uint8_t nonce[SF_SESSION_NONCE_LEN]);

/**
 * sf_session_open() - begin a session.
 * @s: written whole on success; close an older one first
 * @side: which end we are
 *
 * Return: 0, -EINVAL where the nonce makes id 0, or -errno.
 */
int sf_session_open(struct sf_session *s, enum sf_session_side side,
		    const uint8_t shared[SF_DH_LEN], const struct sf_session_terms *terms);

/** sf_session_close() - cleanse and zero it. A zeroed session is fine. */
void sf_session_close(struct sf_session *s);

/** sf_session_next() - the next own sequence number (the router's are unsolicited ones). */
uint32_t sf_session_next(struct sf_session *s, enum sf_session_side side);

/**
 * sf_session_begin() - sf_ctrl_begin() with room for the MAC held back.
 * @seq: sf_session_next(), or the number of the request that is answered
 */
void sf_session_begin(const struct sf_session *s, struct sf_ctrl_out *o, void *buf, size_t room,
		      uint8_t type, uint32_t seq);

/**
 * sf_session_seal() - append the MAC. Only for what sf_session_begin() began.
 * Return: length of the message, -EMSGSIZE after an overflow, or -errno.
 */
int sf_session_seal(const struct sf_session *s, struct sf_ctrl_out *o);

/**
 * sf_session_check() - whether a message belongs to the session: id and MAC (the last item).
 * Return: 0, -ENOENT for another session's id, -EBADMSG where the MAC is missing or wrong.
 */
int sf_session_check(const struct sf_session *s, const struct sf_ctrl_in *in);

/**
 * sf_seq_accept() - enter a checked message's number.
 * Return: 0 new: act; -EALREADY seen: answer again without acting; -ESTALE too old to tell, or 0:
 * drop.
 */
int sf_seq_accept(struct sf_seq_window *w, uint32_t seq);

/**
 * sf_join_sign() - append the SIGNATURE to a JOIN that has all other items.
 * Return: length of the message, -EMSGSIZE, or -errno.
 */
int sf_join_sign(struct sf_ctrl_out *o, struct sf_sign_key *key);

/**
 * sf_join_verify() - check a JOIN's signature by the HOST_KEY that it names.
 * Return: 0; -EBADMSG where HOST_KEY, SHARE, BOOT, TIME or the SIGNATURE at the end is missing or
 * repeated; -EKEYREJECTED.
 */
int sf_join_verify(const struct sf_ctrl_in *in);

/**
 * sf_joined_sign() - append the SIGNATURE to a JOINED.
 * @join, @join_len: the datagram that it answers
 */
int sf_joined_sign(struct sf_ctrl_out *o, struct sf_sign_key *key, const void *join,
		   size_t join_len);

/**
 * sf_joined_verify() - check a JOINED's signature by the HOST_KEY (the router's) that it names.
 * Return: 0; -EBADMSG where HOST_KEY, IDENTITY, LOCATOR, NET, TIMERS, NONCE, SHARE or the SIGNATURE
 * at the end is missing or repeated; -EKEYREJECTED.
 */
int sf_joined_verify(const struct sf_ctrl_in *in, const void *join, size_t join_len);

/**
 * sf_registration_digest() - one registration's part of a host's DIGEST. The parts are joined by
 * exclusive or: the digest of a set does not depend on order, and a part is taken out as it is put
 * in. HEARTBEAT carries it over all registrations that the router has accepted; where the router
 * finds another, it answers REFRESH.
 */
uint64_t sf_registration_digest(const struct sf_sid *sid, uint8_t proto, uint16_t port_be);

#endif
