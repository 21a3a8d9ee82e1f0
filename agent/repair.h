// SPDX-License-Identifier: Apache-2.0
/*
 * repair.h - an established TCP connection taken out of one kernel and put into another
 * (tcp(7), TCP_REPAIR; docs/protocol.md, "Exported connection").
 *
 * Theory of operation
 *
 * A socket in repair mode can be asked for all that its peer believes of it: sequence numbers, the
 * bytes that were sent and not acknowledged, those that were received and not read, what was
 * negotiated. A new socket in repair mode takes them, and neither says a word to the network.
 *
 * Nothing may come in meanwhile: the datapath drops what does (enum sf_flow_state, EXPORTED). What
 * had passed it a moment before may still change the socket, so a dump is taken again until two
 * looks at the sequence numbers agree.
 *
 * What is not sent yet is written after repair mode, as the program wrote it. Segments that came
 * out of order are not taken along: the peer sends them again.
 *
 * Nothing here knows of SCAFFOLD. Needs CAP_NET_ADMIN.
 */
#ifndef SF_AGENT_REPAIR_H
#define SF_AGENT_REPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/flow.h"

#define REPAIR_SACK	  0x1 /* negotiated */
#define REPAIR_TIMESTAMPS 0x2
#define REPAIR_WSCALE	  0x4
#define REPAIR_OPTIONS	  0x7

/**
 * struct repair - what the peer of a connection believes of this end. Host order.
 * @snd_seq: of the first byte that is not acknowledged
 * @rcv_seq: of the first byte that was received and not read
 * @received: bytes of the receive queue; @sent, @unsent: of the send queue, in this order
 * @data: all three, one behind the other; malloc'ed
 */
struct repair {
	uint32_t snd_seq, rcv_seq;
	uint32_t timestamp;
	uint32_t snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup;
	uint16_t mss;
	uint16_t options;
	uint8_t snd_wscale, rcv_wscale;
	uint32_t received, sent, unsent;
	uint8_t *data;
};

/** repair_free() - a zeroed one is fine. */
void repair_free(struct repair *r);

/** repair_size() - bytes of @r->data. */
size_t repair_size(const struct repair *r);

/**
 * repair_tuple() - the connection of a socket.
 * Return: 0; -ENOTSOCK; -EPROTOTYPE no TCP socket of IPv6; -ENOTCONN; -ESHUTDOWN one side has
 * closed; -EOPNOTSUPP another protocol lies on it (kernel TLS).
 */
int repair_tuple(int fd, struct sf_tuple *out);

/** repair_is_frozen() - whether the socket is in repair mode: an export was not finished. */
bool repair_is_frozen(int fd);

/**
 * repair_dump() - put an established socket in repair mode and take what it has.
 * @out: repair_free(); untouched on failure
 * Return: 0; -ESHUTDOWN where it has closed meanwhile; -ENOMEM; other -errno. Whatever it returns,
 * repair_thaw() or repair_end() follows.
 */
int repair_dump(int fd, struct repair *out);

/**
 * repair_thaw() - out of repair mode; the connection goes on. SO_REUSEADDR is set from then on.
 * @probe: ask the peer where it is
 */
int repair_thaw(int fd, bool probe);

/** repair_queued() - bytes that repair_dump() would take, about: the connection goes on. */
int repair_queued(int fd, size_t *bytes);

/** repair_drop() - close a socket of repair_restore(), thawed or not: nothing is said to the peer.
 */
void repair_drop(int fd);

/**
 * repair_end() - end a socket in repair mode, in all hands: nothing is said to the peer.
 *
 * Its other holders could have used repair mode meanwhile: what they made of it ends, too.
 */
void repair_end(int fd);

/**
 * repair_restore() - make a socket of it, in repair mode: silent until repair_thaw().
 * @t: the connection; its local address need not be one of this host's (ip_nonlocal_bind)
 * Return: a descriptor; -EADDRINUSE where this connection is here already; -EINVAL where the kernel
 * does not take what @r says; other -errno.
 */
int repair_restore(const struct sf_tuple *t, const struct repair *r);

/**
 * repair_say() - of what was not sent, write two segments; all in all no more than a first window,
 * so that nothing waits here for acknowledgements.
 * @said: bytes that were written before, and now
 * Return: 0 or -errno.
 */
int repair_say(int fd, const struct repair *r, size_t *said);

/** repair_finish() - write the rest of it. Return: 0 or -errno. */
int repair_finish(int fd, const struct repair *r, size_t said);

#endif
