// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * datapath.c - names of the kinds of traffic.
 */
#include "core/datapath.h"

const char *sf_traffic_name(unsigned int kind)
{
	static const char *const names[] = {
		[SF_TRAFFIC_OUT_BOUND] = "out-bound", [SF_TRAFFIC_OUT_SYN] = "out-syn",
		[SF_TRAFFIC_OUT_DATA] = "out-data",   [SF_TRAFFIC_IN_BOUND] = "in-bound",
		[SF_TRAFFIC_IN_SYN] = "in-syn",	      [SF_TRAFFIC_IN_DATA] = "in-data",
		[SF_TRAFFIC_FAIL_SENT] = "fail-sent", [SF_TRAFFIC_FAIL_TAKEN] = "fail-taken",
		[SF_TRAFFIC_RETRIED] = "retried",     [SF_TRAFFIC_RESOLVED] = "resolved",
		[SF_TRAFFIC_PROBED] = "probed",	      [SF_TRAFFIC_FOLLOWED] = "followed",
	};

	SF_STATIC_ASSERT(sizeof(names) / sizeof(names[0]) == SF_TRAFFIC_MAX, "a name for each");
	return kind < SF_TRAFFIC_MAX ? names[kind] : "?";
}
