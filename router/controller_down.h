// SPDX-License-Identifier: Apache-2.0
/* controller_down.h - what the controller says, executed; shared with controller_link.c only. */
#ifndef SF_ROUTER_CONTROLLER_DOWN_H
#define SF_ROUTER_CONTROLLER_DOWN_H

#include "core/ctrl.h"
#include "util/crypto.h"

struct router;
struct sf_channel;

/* A message that waits for SYNC-END. */
struct kept {
	struct kept *next;
	size_t len;
	uint8_t data[] __attribute__((aligned(8)));
};

struct controller_link {
	struct sf_channel *channel;
	SSL_CTX *tls;
	bool welcomed, synced;
	bool syncing; /* between SYNC-BEGIN and SYNC-END */
	uint64_t synced_ms, since_ms;
	uint32_t generation; /* of the last sync */
	struct kept *kept, **kept_end;
	char failure[512];
	/* the message being gathered */
	uint32_t seq;
	bool gathering;
	uint8_t type;
	uint32_t host;
	struct sf_ctrl_out out;
	uint8_t buf[SF_CTRL_MAX] __attribute__((aligned(8)));
};

/**
 * controller_down_handle() - execute or keep a message.
 * Return: NULL, or why the connection must be closed (static storage).
 */
const char *controller_down_handle(struct router *r, const struct sf_ctrl_in *in, const void *body,
				   size_t len);

/** controller_down_drop() - a sync under way is void. */
void controller_down_drop(struct router *r);

/* In controller_link.c: */
/** controller_link_welcomed() - WELCOME has come: tell which hosts are here. */
void controller_link_welcomed(struct router *r);
/** controller_link_pong() - answer the PING @seq. */
void controller_link_pong(struct router *r, uint32_t seq);

#endif
