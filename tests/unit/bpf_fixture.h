// SPDX-License-Identifier: Apache-2.0
/*
 * bpf_fixture.h - what the tests of util/bpf.h share.
 *
 * Everything happens in a mount and a network namespace of its own, with a bpffs of its own. The
 * BPF objects are compiled when the test runs, in the variants that a daemon's versions would be.
 */
#ifndef SF_TESTS_UNIT_BPF_FIXTURE_H
#define SF_TESTS_UNIT_BPF_FIXTURE_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "util/bpf.h"

#define LAYOUT 7

extern char tmp[], root[64], dir[256]; /* of this test; bpffs in it; pin directory in that */
extern char err[512];

/*
 * A version of the program: a map "things" of 100 elements of 8 bytes, and a per-CPU array
 * "counts", in whose element @n each program (cls: tc, xdp_count, rel: cgroup/sock_release) counts
 * its runs. With " -DBROKEN" it has one that no kernel loads.
 */
#define V_SLOT(n) "-DMAPTYPE=1 -DENTRIES=100 -DKEY=__u32 -DVALUE=8 -DSLOT=" #n

/** variant() - compile a version, given as definitions, and open it. */
struct bpf_object *variant(const char *defines);

/** loaded() - the same, both maps adopted from @dir with layout LAYOUT, and loaded. */
struct bpf_object *loaded(const char *defines);

struct bpf_map *map_of(struct bpf_object *object, const char *name);

/** prog_of() - descriptor of a program. */
int prog_of(struct bpf_object *object, const char *name);

/** pinned_map() - descriptor of what is pinned in @dir under @name, which is of that shape. */
int pinned_map(const char *name, uint32_t value_size, uint32_t layout);

/** counted() - how often the program of a version V_SLOT(@slot) ran. */
uint64_t counted(uint32_t slot);

/** shell() - a command that succeeds. */
void shell(const char *cmd);

/** traffic() - one datagram to ourselves over lo. */
void traffic(void);

/** fresh() - set-up of a test: an empty pin directory. */
int fresh(void **state);

/** bpf_main() - run the tests. Return: of main(); 77, said loudly, without root or clang. */
int bpf_main(const struct CMUnitTest *tests, size_t n, const char *name);

#define BPF_MAIN(tests, name) bpf_main(tests, sizeof(tests) / sizeof((tests)[0]), name)

#endif
