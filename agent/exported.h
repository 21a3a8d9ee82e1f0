// SPDX-License-Identifier: Apache-2.0
/*
 * exported.h - a connection as a string of bytes, which one host's agent makes and another's reads
 * (docs/protocol.md, "Exported connection").
 *
 * It travels by programs, as they like, and so is read as strictly as what comes from the network.
 * It contains what moves the flow, so whoever has it can have the connection: it is a secret, and
 * good for one import, for as long as it says.
 *
 * Pure.
 */
#ifndef SF_AGENT_EXPORTED_H
#define SF_AGENT_EXPORTED_H

#include <stddef.h>
#include <stdint.h>

#include "agent/repair.h"
#include "core/flow.h"
#include "core/renegotiate.h"

#define EXPORTED_VERSION   1
#define EXPORTED_LIFE_MS   60000
#define EXPORTED_QUEUE_MAX (64ull * 1024 * 1024)
/* Nothing is longer. */
#define EXPORTED_MAX (3ull * EXPORTED_QUEUE_MAX + 4096)

/**
 * struct exported - a connection between two hosts.
 * @made_ms, @until_ms: of the wall clock; it is not imported later
 * @tuple: as the program's end sees it
 * @flags: SF_FLOW_INBOUND or 0
 * @move: what the ends know of each other. Its @echo, @allow and times are the exporter's own and
 *        not part of it
 */
struct exported {
	uint64_t made_ms, until_ms;
	struct sf_tuple tuple;
	struct sf_sid peer_sid, peer_host;
	uint32_t isn;
	uint8_t flags;
	struct sf_move move;
	struct repair tcp;
};

/** exported_free() - a zeroed one is fine. */
void exported_free(struct exported *e);

/** exported_take_move() - @e->move of @m, but for what is this host's alone. */
void exported_take_move(struct exported *e, const struct sf_move *m);

/** exported_size() - bytes that exported_encode() makes. */
size_t exported_size(const struct exported *e);

/**
 * exported_encode() - write @e.
 * @out: room for exported_size() bytes
 * Return: 0, -EMSGSIZE where a queue is longer than EXPORTED_QUEUE_MAX, or -errno of the digest.
 */
int exported_encode(const struct exported *e, uint8_t *out);

/**
 * exported_decode() - read what another agent wrote.
 * @now_ms: of the wall clock
 * @out: exported_free(); untouched on failure
 * @err: what is wrong, where, what was expected
 * Return: 0; -EBADMSG; -EPROTONOSUPPORT another version; -ESTALE too old; -ENOMEM.
 */
int exported_decode(const uint8_t *data, size_t len, uint64_t now_ms, struct exported *out,
		    char *err, size_t errlen);

#endif
