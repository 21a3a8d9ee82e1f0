// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * handover.h - what programs (by libscaffold) and their host's agent say to each other on
 * RUN/handover.sock, a Unix socket of type SOCK_SEQPACKET: one request and one answer for each
 * connection, either with at most one descriptor (SCM_RIGHTS). In the host's byte order: both ends
 * are on it.
 *
 *	EXPORT  descriptor: the connection        answer: a memfd that holds its state
 *	IMPORT  descriptor: a sealed memfd        answer: the connection
 */
#ifndef SF_CORE_HANDOVER_H
#define SF_CORE_HANDOVER_H

#include "core/compat.h"

#define SF_HANDOVER_SOCKET  "handover.sock"
#define SF_HANDOVER_VERSION 1

enum sf_handover_kind { SF_HANDOVER_EXPORT = 1, SF_HANDOVER_IMPORT = 2 };

/** struct sf_handover_request - @room: EXPORT: bytes that the caller has room for. */
struct sf_handover_request {
	__u32 version;
	__u32 kind;
	__u64 room;
};

/**
 * struct sf_handover_answer - the answer.
 * @error: 0, or a number of errno(3): then there is no descriptor
 * @len: EXPORT: bytes of the state; with ENOBUFS, room that will do
 * @text: what went wrong, where, what was expected; ends with a zero
 */
struct sf_handover_answer {
	__u32 version;
	__u32 error;
	__u64 len;
	char text[240];
};

#endif
