// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * flow.c - names of flow states and protocols.
 */
#include <errno.h>

#include "core/flow.h"

const char *sf_flow_state_name(unsigned int state)
{
	static const char *const names[SF_FLOW_STATES] = {
		[SF_FLOW_FREE] = "free",	 [SF_FLOW_CONNECTING] = "connecting",
		[SF_FLOW_OPENING] = "opening",	 [SF_FLOW_HALF_OPEN] = "half-open",
		[SF_FLOW_BOUND] = "bound",	 [SF_FLOW_CLOSING] = "closing",
		[SF_FLOW_DATAGRAM] = "datagram", [SF_FLOW_EXPORTED] = "exported",
	};

	return state < SF_FLOW_STATES ? names[state] : "?";
}

static const struct {
	__u8 proto;
	const char *name;
} protocols[] = { { 0, "any" }, { 6, "tcp" }, { 17, "udp" } };

#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

const char *sf_proto_name(unsigned int proto)
{
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (protocols[i].proto == proto)
			return protocols[i].name;
	return "?";
}

int sf_proto_parse(const char *text, __u8 *proto)
{
	for (size_t i = 0; i < PROTOCOLS; i++) {
		if (!strcmp(protocols[i].name, text)) {
			*proto = protocols[i].proto;
			return 0;
		}
	}
	return -EINVAL;
}
