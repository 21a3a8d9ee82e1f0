/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scaffold.h - libscaffold: what programs ask of SCAFFOLD beyond sockets (libscaffold(3)).
 *
 * Programs need nothing of this to serve or to connect: those are sockets as ever. It serves to
 * hand an established TCP connection of a service over to a program on another host, while its
 * other end notices nothing:
 *
 *	A: sf_export(fd, state, &len);          the connection stands still; fd is of no more use
 *	A: pass state, and what the program itself knows of the connection, to B by a safe channel
 *	B: fd = sf_import(state, len);          and goes on
 *
 * Both talk to the agent of their host and need no privilege. All functions are safe to call from
 * several threads, and wait.
 */
#ifndef SCAFFOLD_H
#define SCAFFOLD_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * sf_export() - take a connection out of this host.
 * @fd: an established TCP connection of a service that this host serves, accepted for example
 * @state: where to write it to
 * @len: how much room is there; receives how much was written
 *
 * On success nothing of the connection is left here: close @fd. It exists in @state alone, for a
 * minute; without an import in that time its other end is reset, two minutes after the export.
 * @state is a secret: who has it can have the connection. What the program has not read of it is
 * inside, and so is what it has written and the other end has not acknowledged.
 *
 * Return: 0, or -1 with errno, and the connection goes on as before:
 *	ENOBUFS		the room is too small; *@len is what will do
 *	ENOTCONN	no connection, exported before, or not one of a service
 *	ESHUTDOWN	one side has closed it
 *	EADDRNOTAVAIL	it belongs to the host itself, and not to a service
 *	ECONNREFUSED, ENOENT	no agent runs on this host
 *	ECONNRESET	the agent ended meanwhile: the connection may stand still; export it again
 *	EAGAIN		the agent is busy, or the connection is not ready: try again
 */
int sf_export(int fd, void *state, size_t *len);

/**
 * sf_import() - take over a connection that was exported at another host.
 * @state, @len: as sf_export() wrote it
 *
 * Waits until the other end has heard of it: about a round trip. Options of the socket that the
 * program sets (TCP_NODELAY, timeouts, ...) are as those of a new socket, but for SO_REUSEADDR,
 * which is set.
 *
 * Return: a connected descriptor, close-on-exec, or -1 with errno:
 *	EBADMSG		@state is not what sf_export() wrote
 *	EPROTONOSUPPORT	of another version
 *	ESTALE		it was exported too long ago
 *	EADDRNOTAVAIL	its service and port are not registered on this host: listen there first
 *	EACCES		this user may not register services on this host, another user serves
 *			this one here, or the port wants CAP_NET_BIND_SERVICE, as bind(2) does
 *	EEXIST		it is on this host already
 *	ELOOP		its other end is on this host
 *	ECONNRESET	it was imported elsewhere before, or is over; or the agent ended meanwhile
 *	ETIMEDOUT	its other end does not answer
 *	ECONNREFUSED, ENOENT	no agent runs on this host
 *	ENETDOWN	the host has not joined a network
 * Except for ECONNREFUSED, ENOENT, EADDRNOTAVAIL, EACCES, EAGAIN and ENETDOWN the state is spent,
 * or may be: of ETIMEDOUT, and of an agent that ended, only another import can tell.
 */
int sf_import(const void *state, size_t len);

/**
 * sf_error() - what the last failed call in this thread failed of: the thing, the place, what was
 * expected. Empty where none has. Valid until the next call in this thread.
 */
const char *sf_error(void);

#ifdef __cplusplus
}
#endif

#endif
