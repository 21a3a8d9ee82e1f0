// SPDX-License-Identifier: Apache-2.0
/*
 * importer.h - what a program may take over from another host (docs/protocol.md, "Who may import").
 *
 * An exported connection is a string of bytes that any program can make up: its digest tells of
 * damage, not of who wrote it. So an import gives a program no more than it could have by itself,
 * with bind(2) and listen(2) and a registration. It is judged by who connected to the socket, not
 * by what the state says; and what the state says of the peer gives it nothing: no renegotiation
 * succeeds without what the peer and the exporter alone know.
 */
#ifndef SF_AGENT_IMPORTER_H
#define SF_AGENT_IMPORTER_H

#include <stddef.h>

#include "agent/exported.h"
#include "util/http.h"

struct host;

/**
 * importer_may() - whether program @peer may take over connections at all: as if it wanted to
 * register a service. Return: 0, or -EACCES with @err.
 */
int importer_may(const struct host *h, const struct sf_http_peer *peer, char *err, size_t errlen);

/**
 * importer_check() - whether @who may take over @e here.
 * @err: what is refused, and who may
 * Return: 0; -ENETDOWN not joined; -EADDRNOTAVAIL its service and port are not registered here;
 * -EACCES another user serves them, or the port is privileged and @who is not; -EBADMSG its peer is
 * nowhere in the network, or is called otherwise than it is shown; -ELOOP its peer is this host.
 */
int importer_check(struct host *h, const struct sf_http_peer *who, const struct exported *e,
		   char *err, size_t errlen);

#endif
