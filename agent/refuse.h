// SPDX-License-Identifier: Apache-2.0
/*
 * refuse.h - a flow is over, and both of its ends are told (docs/protocol.md, "FAIL and silence").
 *
 * The peer gets a FAIL that quotes a packet of the flow, as its own datapath's word would be; the
 * local socket a reset, which the datapath makes (sf_flow_refuse): it knows the number that the
 * socket expects. A datagram socket gets an ICMPv6 error, as of a closed port.
 */
#ifndef SF_AGENT_REFUSE_H
#define SF_AGENT_REFUSE_H

#include <stddef.h>
#include <stdint.h>

#include "core/flow.h"
#include "core/wire.h"

struct host;

#define REFUSE_FAIL_MAX (SF_IPV6_LEN + SF_HDR_LEN + 24 + SF_IPV6_LEN + 20)

/**
 * refuse_encode() - the FAIL about @f for its peer.
 * @room: REFUSE_FAIL_MAX or more
 * @self: serviceID of this host
 * @reason: enum sf_reason, one that travels
 *
 * What is quoted is the head of a segment, or datagram, as the peer sends them: it says which flow
 * is meant, and no more.
 * Return: length, or -errno as sf_alone_encode().
 */
int refuse_encode(void *out, size_t room, const struct sf_flow *f, const struct sf_sid *self,
		  uint8_t reason);

/** refuse_peer() - send it. Lost ones are not repeated: what the peer sends next draws another.
 * Return: 0 or -errno. */
int refuse_peer(struct host *h, const struct sf_flow *f, uint8_t reason);

/** refuse_send() - send a packet of ours by the link of its source. Return: 0 or -errno. */
int refuse_send(struct host *h, const void *packet, size_t len, const struct sf_addr *src);

/**
 * refuse_local() - end a flow here: its socket is reset, and its entry waits to be freed; that of
 * datagrams is told, and its entry freed at once, so that the next one is resolved.
 * @f: as it was seen; its socketID counts
 * Return: 0; -ENOENT where there is none, or it still connects; -errno.
 */
int refuse_local(struct host *h, const struct sf_flow *f, uint8_t reason);

#endif
