// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * compat.h - the one place where the core knows that it is compiled twice.
 *
 * Everything in core/ is pure: no I/O, no allocation, no clock, no randomness of its own. The same
 * text becomes eBPF (clang -target bpf) and native code, so a decision is made alike in the kernel
 * datapath, in the user datapath and under test. These are the only #ifdefs of that kind.
 */
#ifndef SF_CORE_COMPAT_H
#define SF_CORE_COMPAT_H

#include <linux/types.h>

#ifdef __bpf__
#define SF_NATIVE	   0
#define SF_UNROLL	   _Pragma("clang loop unroll(full)")
#define sf_memcpy(d, s, n) __builtin_memcpy((d), (s), (n))
#define sf_memset(d, c, n) __builtin_memset((d), (c), (n))
/* LLVM's eBPF backend has no memcmp: compare word by word where it matters (sf_addr_eq). */
#ifndef NULL
#define NULL ((void *)0)
#endif
#ifndef bool
#define bool _Bool
#define true 1
#define false 0
#endif
#else
#define SF_NATIVE 1
#define SF_UNROLL /* the optimizer knows best */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#define sf_memcpy(d, s, n) memcpy((d), (s), (n))
#define sf_memset(d, c, n) memset((d), (c), (n))
#endif

/* Inlined everywhere: the verifier then sees one program, and the hot path makes no calls. */
#define SF_INLINE static inline __attribute__((always_inline, unused))

#define SF_PACKED __attribute__((packed))

/*
 * A structure of a packet or message: no padding, and on a boundary of 4 bytes as all IPv6 headers
 * are. Plain "packed" would make the compiler fetch each field byte by byte.
 */
#define SF_WIRE __attribute__((packed, aligned(4)))

/* Hides a value's origin from the optimizer, which may else undo a bound that the verifier saw. */
#define SF_BARRIER(x) __asm__ volatile("" : "+r"(x))

#define sf_be16(x) __builtin_bswap16((__u16)(x))
#define sf_be32(x) __builtin_bswap32((__u32)(x))
#define sf_be64(x) __builtin_bswap64((__u64)(x))
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#undef sf_be16
#undef sf_be32
#undef sf_be64
#define sf_be16(x) ((__u16)(x))
#define sf_be32(x) ((__u32)(x))
#define sf_be64(x) ((__u64)(x))
#endif

#define SF_STATIC_ASSERT(cond, text) _Static_assert(cond, text)

#endif
