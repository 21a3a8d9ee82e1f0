// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * hooks.h - what the socket hooks know of a host beside its listeners, and what they count
 * (maps in hooks/, core/datapath.h).
 *
 *   counts   hash  __u64 netns cookie -> struct sf_hook_counts, entered by the host's agent
 *   senders  LPM   struct sf_sender_key -> __u8 enum sf_sender_verdict: who may use service
 *                  addresses as source, the policy of who may register them
 */
#ifndef SF_CORE_HOOKS_H
#define SF_CORE_HOOKS_H

#include "core/addr.h"

/* flags of struct sf_hook_host */
#define SF_HOOK_SENDERS	       0x1 /* senders has this host's policy; else anybody may */
#define SF_HOOK_SENDER_GIDS    0x2 /* it has groups */
#define SF_HOOK_SENDER_CGROUPS 0x4 /* it has control groups */

/**
 * struct sf_hook_counts - what went wrong at a host's sockets.
 * @lost: events that the host's ring had no room for, and sockets that could not be entered: the
 *        agent has to look for itself
 * @denied, @denied_cgroup: sends and connects from a service address by a user, or from a control
 *          group, that may not use it; the rest says of the last one who and what
 */
struct sf_hook_counts {
	__u64 lost;
	__u64 denied;
	__u64 denied_cgroup;
	struct sf_addr addr;
	__u32 uid;
	__u32 pid;
	char comm[16];
};

/*
 * SO_MARK of a socket that goes on with an exported connection, while it is made: so many segments
 * (low 16 bits) may be under way, for those that its predecessor had sent count as its own.
 */
#define SF_HOOK_IMPORTED      0x5f480000u
#define SF_HOOK_IMPORTED_SEGS 0xffffu

enum sf_sender_kind { SF_SENDER_UID = 1, SF_SENDER_GID = 2, SF_SENDER_CGROUP = 3 };

enum sf_sender_verdict { SF_SENDER_ALLOWED = 1, SF_SENDER_DENIED = 2 };

/**
 * struct sf_sender_key - a range of users, groups or control groups of a host.
 * @prefixlen: bits that count, from @kind on
 * @id: uid, gid or control group, big-endian so that ranges are prefixes
 */
struct sf_sender_key {
	__u32 prefixlen;
	__u32 kind;
	__u64 host;
	__be64 id;
};

#define SF_SENDER_BITS 160 /* of kind, host and id */

SF_STATIC_ASSERT(sizeof(struct sf_sender_key) == 24, "sender key");

#endif
