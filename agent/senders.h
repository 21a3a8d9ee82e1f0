// SPDX-License-Identifier: Apache-2.0
/*
 * senders.h - who may use service addresses as source: the policy of who may register, put where
 * the socket hooks find it (core/hooks.h).
 *
 * Without it any user could bind a service address that another one's program serves (with
 * ip_nonlocal_bind nothing else keeps them from it) and speak in its name. The hooks know uid, gid
 * and control group of who calls; supplementary groups only as far as the user database has them.
 */
#ifndef SF_AGENT_SENDERS_H
#define SF_AGENT_SENDERS_H

#include <stdint.h>

struct host;

/**
 * senders_apply() - enter the policy, and remove what is not of it any more. Control groups are
 * known to the kernel by numbers, which change when one is made anew: call it from time to time.
 * @flags: out: SF_HOOK_SENDER*, for the host's entry in `hosts`
 *
 * Return: 0 or -errno (some entries are missing then: their users are denied).
 */
int senders_apply(struct host *h, uint32_t *flags);

/** senders_forget() - remove all entries of a host. */
void senders_forget(struct host *h, uint64_t cookie);

#endif
