// SPDX-License-Identifier: GPL-2.0-only
/*
 * moves.h - renegotiation as far as the kernel has a part in it (paper section 4.2.2;
 * core/renegotiate.h): what it is that the agent hears of, and what the agent has done to a flow.
 *
 * The agent decides, and keeps what it has decided in `moves`; no program waits for it. With it
 * dead, flows stay where they are and the ring fills.
 */
#ifndef SF_BPF_MOVES_H
#define SF_BPF_MOVES_H

#include "bpf/flows.h"

/**
 * sf_flow_alter - change a flow's entry as a renegotiation has it, run by the agent
 * (BPF_PROG_TEST_RUN). A whole value written by the agent would race with what packets write.
 * Return: 0, or 1 when there is no flow of that socketID.
 */
SEC("syscall")
int sf_flow_alter(struct sf_flow_change *ctx)
{
	struct sf_flow_change c = *ctx;
	struct sf_flow *f = flow_of(&flows, c.id);

	/* Not while it has one locator alone. */
	if (!f || f->state == SF_FLOW_CONNECTING || f->state == SF_FLOW_HALF_OPEN)
		return 1;
	sf_flow_change(f, &c, bpf_ktime_get_ns());
	return 0;
}

#endif
