// SPDX-License-Identifier: Apache-2.0
/*
 * transfer.h - one connection leaves this host, or comes to it (docs/protocol.md, "Hand-over").
 *
 * Theory of operation
 *
 * Out: the flow is stopped in the datapath (EXPORTED: nothing passes, nobody is answered), the
 * socket is put in repair mode and read, the state is written. Once the program has it, the socket
 * ends without a word, and the flow's entry stays for a while: the peer, which knows no other place
 * yet, must hear nothing from here that it would take for the end. If the program cannot be given
 * the state, all goes on as before.
 *
 *	BOUND --stop--> EXPORTED, socket frozen --state is with the program--> EXPORTED, no socket
 *	  ^------------------ not ------------------'
 *
 * An agent that is killed in between leaves a stopped flow and a frozen socket; whoever
 * exports that socket again finishes it.
 *
 * In: a socket is made of the state, still frozen; then the flow's entry, with a key of this host;
 * then its renegotiation begins (agent/moves.h), and the exporter is told where it is, so that it
 * sends on whoever asks there. The socket thaws a moment later, and what it brought unsent
 * follows the RSYN; the program has it when the peer has answered. If another host was first, or
 * nobody answers, nothing is left here, and nothing was said that the peer takes. Where the
 * exporter itself was to take the flow back, it keeps quiet on as it did before: another host may
 * import it.
 *
 * An agent that is killed meanwhile takes the socket with it. Its successor must not go on with a
 * flow that nobody has here (SF_MOVE_BROUGHT): it makes its entry as quiet as an exporter's.
 */
#ifndef SF_AGENT_TRANSFER_H
#define SF_AGENT_TRANSFER_H

#include <stddef.h>
#include <stdint.h>

#include "agent/exported.h"
#include "util/http.h"

struct host;

/* How long the entry of an exported flow keeps quiet: longer than its state can be imported. */
#define TRANSFER_TOMB_NS (2ull * EXPORTED_LIFE_MS * 1000000)
/* How long the peer may take to answer. */
#define TRANSFER_WAIT_MS 15000

/** struct transfer_out - a connection that is on its way out. */
struct transfer_out {
	int fd;	     /* the caller's */
	uint64_t id; /* socketID */
	struct sf_tuple tuple;
	uint8_t *state;
	size_t len;
};

/**
 * transfer_export() - stop and write a connection.
 * @room: bytes that the program can take
 * @out: transfer_done() or transfer_undo() ends it; on failure there is nothing to end
 * @len: what the state has, also with -ENOBUFS
 * Return: 0; -ENOTCONN no connection, or not of a service on this host; -ESHUTDOWN; -EADDRNOTAVAIL
 * what cannot be elsewhere; -ENOBUFS; other -errno with @err. All goes on as before then.
 */
int transfer_export(struct host *h, int fd, size_t room, struct transfer_out *out, size_t *len,
		    char *err, size_t errlen);

/** transfer_done() - the program has the state: end the connection here. */
void transfer_done(struct host *h, struct transfer_out *out);

/** transfer_undo() - it does not: the connection goes on. */
void transfer_undo(struct host *h, struct transfer_out *out);

/** struct transfer_in - a connection that is on its way in. */
struct transfer_in {
	int fd;	     /* -1: none */
	size_t said; /* of what it brought unsent */
	bool speaks; /* it is not frozen any more */
	uint64_t key;
	uint64_t id;
	uint64_t began_ms;
	uint64_t tell_ms; /* when the exporter is told next where the flow is */
	uint32_t created; /* of its entry */
	bool has_tomb, has_left;
	struct sf_flow tomb; /* what this host had of it, where it is the exporter: */
	struct sf_move left; /* its entry, and how its end was left */
	struct exported e;
};

/**
 * transfer_import() - begin to take a connection over.
 * @who: asks; importer_may()
 * @in: transfer_finish() or transfer_abandon() ends it; on failure there is nothing to end
 * Return: 0, or -errno with @err: as exported_decode(), importer_check(); -EEXIST the connection is
 * here.
 */
int transfer_import(struct host *h, const struct sf_http_peer *who, const uint8_t *state,
		    size_t len, struct transfer_in *in, char *err, size_t errlen);

/**
 * transfer_state() - how far it is.
 * Return: 0 the peer has answered; -EINPROGRESS; -ECONNRESET another host was first, or the peer
 * is gone; -ETIMEDOUT.
 */
int transfer_state(struct host *h, struct transfer_in *in, char *err, size_t errlen);

/**
 * transfer_speak() - while the peer has not answered let the socket say a little already, and with
 * each further call a little more: what arrives behind the RSYN does so a round trip sooner than
 * behind the answer to it. The peer takes it from who it has committed to alone.
 * Return: 0 or -errno.
 */
int transfer_speak(struct transfer_in *in);

/** transfer_finish() - let it go on. Return: its descriptor, or -errno (it is abandoned then). */
int transfer_finish(struct host *h, struct transfer_in *in);

/** transfer_abandon() - as if it had not come. */
void transfer_abandon(struct host *h, struct transfer_in *in);

/**
 * transfer_expired() - the entry of an exported flow, @f, has kept quiet for long enough, and was
 * taken out of the table: unless somebody has told that the flow is elsewhere its peer need not
 * wait any more.
 */
void transfer_expired(struct host *h, const struct sf_flow *f);

/**
 * transfer_recover() - an earlier agent's state of a flow, before it is gone on with: one that was
 * on its way in then is over here. @m: may be changed.
 */
void transfer_recover(struct host *h, uint64_t key, struct sf_move *m);

#endif
