// SPDX-License-Identifier: Apache-2.0
/*
 * channel.h - framed messages over TCP and TLS 1.3, between router and controller.
 *
 * Wire: each frame is a 32-bit big-endian length and as many bytes of body. A frame of length 0
 * is a keep-alive and is not delivered. Each side sends one at once when the transport (TLS
 * included) is up, and again whenever it has sent nothing for `ping_ms`; a side that hears
 * nothing for `dead_ms` closes. A channel is open, to its user, when the first frame has come:
 * only then is it known that the peer speaks this protocol and has accepted our certificate.
 * A length above SF_CHANNEL_FRAME_MAX closes the connection.
 *
 * The connecting side reconnects for ever, with jittered exponential back-off; the accepting side
 * has one channel object per peer, freed when it closes. Callbacks run in the event loop;
 * sending, closing and freeing is allowed from within them.
 *
 * Use has a side effect: SIGPIPE is ignored from the first channel on.
 *
 * Every function returns 0 or a negative errno; `err`/`errlen` receive one line of text on
 * failure (err may be NULL with errlen 0).
 */
#ifndef SF_UTIL_CHANNEL_H
#define SF_UTIL_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct sf_channel;
struct sf_channel_server;
typedef struct ssl_ctx_st SSL_CTX;

#define SF_CHANNEL_FRAME_MAX 65536u /* bytes of a frame's body */

/* Any may be NULL, except on_message. `ctx` is the channel's (sf_channel_set_ctx()). */
struct sf_channel_ops {
	/* Open in both directions. */
	void (*on_open)(struct sf_channel *ch, void *ctx);
	/* A frame came; @body is valid during the call, @len is 1..SF_CHANNEL_FRAME_MAX. */
	void (*on_message)(struct sf_channel *ch, const void *body, size_t len, void *ctx);
	/* Closed, once after each on_open. An accepted channel is freed when this returns. */
	void (*on_close)(struct sf_channel *ch, const char *reason, void *ctx);
	/* Send queue: true above send_high (from within sf_channel_send()), false again below
	 * send_low. */
	void (*on_pressure)(struct sf_channel *ch, bool high, void *ctx);
	/* Could not open (either side), or, connecting side only, was closed: the next attempt is
	 * in @retry_ms (accepting side: 0, and the channel, of which no on_open was told, goes). */
	void (*on_fail)(struct sf_channel *ch, const char *reason, unsigned retry_ms, void *ctx);
};

/* Zero means the default. */
struct sf_channel_opts {
	SSL_CTX *tls;	       /* of crypto.h; the caller's, must outlive the channel */
	bool plain;	       /* no TLS: only if the configuration says so; else tls is required */
	const char *peer_name; /* connecting side: what the peer's certificate must be for
				* (sf_tls_expect()). NULL: the address's host. Copied. */
	unsigned ping_ms;      /* 2000 */
	unsigned dead_ms;      /* 10000; also bounds connecting and the TLS handshake */
	unsigned backoff_min_ms; /* 100 */
	unsigned backoff_max_ms; /* 5000 */
	size_t send_high;	 /* bytes queued: 4 MiB */
	size_t send_low;	 /* 1 MiB */
	size_t send_max;	 /* more is refused: 64 MiB */
	unsigned max_peers;	 /* accepting side: 1024 */
};

/* ---- connecting side -------------------------------------------------------------------- */

/**
 * sf_channel_connect() - Make a channel that connects now and reconnects until it is freed.
 * @address: "[2001:db8::1]:24159", "192.0.2.1:24159" or "name:24159" (resolved without blocking).
 * @ops: must outlive the channel.
 * @ctx: for the callbacks, none of which runs before this returns.
 *
 * Return: 0, -EINVAL bad address or neither TLS nor plain, -ENOMEM.
 */
int sf_channel_connect(struct event_base *base, const char *address,
		       const struct sf_channel_opts *opts, const struct sf_channel_ops *ops,
		       void *ctx, struct sf_channel **out, char *err, size_t errlen);

/* ---- accepting side --------------------------------------------------------------------- */

/**
 * sf_channel_listen() - Accept channels.
 * @address: "[::]:24159" (IPv4 too), "192.0.2.1:24159"; port 0 picks one.
 * @ctx: the first ctx of each accepted channel.
 *
 * Return: 0; -EINVAL bad address or neither TLS nor plain; -EADDRINUSE; other -errno.
 */
int sf_channel_listen(struct event_base *base, const char *address,
		      const struct sf_channel_opts *opts, const struct sf_channel_ops *ops,
		      void *ctx, struct sf_channel_server **out, char *err, size_t errlen);

/** sf_channel_server_port() - The port listened on. */
uint16_t sf_channel_server_port(const struct sf_channel_server *server);

/** sf_channel_server_free() - Stop accepting and close every channel (on_close is called). */
void sf_channel_server_free(struct sf_channel_server *server);

/* ---- both ------------------------------------------------------------------------------- */

/**
 * sf_channel_send() - Queue one frame.
 *
 * Frames arrive whole and in order, or the channel closes. Nothing is sent before the loop's next
 * turn, so many sends in one go fill whole packets.
 *
 * Return: 0; -EMSGSIZE if @len is 0 or above SF_CHANNEL_FRAME_MAX; -ENOTCONN if not open;
 * -ENOBUFS if send_max bytes are queued.
 */
int sf_channel_send(struct sf_channel *ch, const void *body, size_t len);

/**
 * sf_channel_close() - Close the connection; what is queued may be lost.
 * @reason: for on_close.
 *
 * on_close (or on_fail) runs before this returns. An accepted channel is freed; a connecting one
 * backs off and connects again.
 */
void sf_channel_close(struct sf_channel *ch, const char *reason);

/**
 * sf_channel_free() - Close without callbacks and free; no reconnecting. NULL is fine.
 */
void sf_channel_free(struct sf_channel *ch);

/** sf_channel_is_open() - Would a send be taken? */
bool sf_channel_is_open(const struct sf_channel *ch);

/** sf_channel_queued() - Bytes that wait to be sent. */
size_t sf_channel_queued(const struct sf_channel *ch);

/** sf_channel_peer() - The peer's address as text; "" before the first connection. */
const char *sf_channel_peer(const struct sf_channel *ch);

/**
 * sf_channel_peer_cn() - Common name of the peer's verified certificate; "" if plain or not open.
 */
const char *sf_channel_peer_cn(const struct sf_channel *ch);

/** sf_channel_set_ctx() - Replace the callbacks' ctx, such as by the peer's object in on_open. */
void sf_channel_set_ctx(struct sf_channel *ch, void *ctx);

#endif
