// SPDX-License-Identifier: Apache-2.0
/*
 * bpf.h - pinned maps, attached programs, probes and test runs, over libbpf.
 *
 * What a daemon loads into the kernel must outlive it (a restart may not disturb a flow), so every
 * map and every attachment is pinned in one directory of a bpffs, the pin directory. On restart
 * the daemon adopts the pinned maps, and swaps the new programs into the pinned links in place:
 * no packet ever passes without a program. Pinned maps carry a layout version, kept beside them
 * in a map pinned as "meta"; a map of another layout is migrated or refused by name.
 *
 * Order of use: sf_bpf_pindir_make(), sf_bpf_pindir_lock(), xxx_bpf__open(), sf_bpf_adoption_map()
 * for each map, sf_bpf_skeleton_load(), sf_bpf_adoption_finish(), sf_bpf_tc_attach() and the like;
 * then close the lock.
 *
 * Every function returns 0 or a negative errno, and leaves its outputs untouched when it fails.
 * `err`/`errlen` receive one line of text on failure (err may be NULL with errlen 0).
 * Nothing here logs; sf_bpf_quiet() takes libbpf's own messages off stderr.
 */
#ifndef SF_UTIL_BPF_H
#define SF_UTIL_BPF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct bpf_map;
struct bpf_object;
struct bpf_object_skeleton;

/* Longest name of a pin (a map, a link), without its NUL. A bpffs allows no dots in names. */
#define SF_BPF_NAME_MAX 31

/* Name of the pinned map that holds the layout versions. */
#define SF_BPF_META "meta"

/* ---- libbpf's messages ------------------------------------------------------------------ */

/**
 * sf_bpf_quiet() - Take libbpf's messages off stderr for the whole process.
 *
 * Errors still reach the caller: the loading functions below catch what libbpf says meanwhile and
 * put the telling part into their error text.
 */
void sf_bpf_quiet(void);

/**
 * sf_bpf_skeleton_load() - Load an opened skeleton; on failure say why.
 * @skel: the `skeleton` member of what xxx_bpf__open() returned.
 * @err: on failure: the last lines of libbpf's messages (the verifier's verdict among them).
 *
 * Use in place of xxx_bpf__load(). Return: 0, or -errno (-EPERM no privilege, -EINVAL/-EACCES
 * refused by the verifier, -ENOMEM, ...).
 */
int sf_bpf_skeleton_load(struct bpf_object_skeleton *skel, char *err, size_t errlen);

/**
 * sf_bpf_object_load() - The same for an opened object without skeleton.
 */
int sf_bpf_object_load(struct bpf_object *obj, char *err, size_t errlen);

/* ---- the pin directory ------------------------------------------------------------------ */

/**
 * sf_bpf_pindir_make() - Make sure that @root is a bpffs and that the directory @sub exists in it.
 * @root: mount point, such as "/sys/fs/bpf"; a directory, made if absent.
 * @sub: path below it, such as "scaffold/h1" (each part made with mode 0700).
 * @may_mount: mount a bpffs on @root if there is none.
 * @dir: receives "@root/@sub".
 * @dirlen: size of @dir.
 *
 * Return: 0; -ENODEV if @root is no bpffs and must not be mounted; -EPERM if it may be but the
 * process cannot; -ENAMETOOLONG; other -errno of the failing call.
 */
int sf_bpf_pindir_make(const char *root, const char *sub, bool may_mount, char *dir, size_t dirlen,
		       char *err, size_t errlen);

/**
 * sf_bpf_pindir_lock() - Keep other processes out while maps are adopted and programs attached.
 * @dir: the pin directory.
 * @wait: wait for the holder, else -EWOULDBLOCK while somebody holds it.
 *
 * The lock ends with the process. Return: a descriptor (close it to unlock), or -errno.
 */
int sf_bpf_pindir_lock(const char *dir, bool wait, char *err, size_t errlen);

/**
 * sf_bpf_pindir_remove() - Unpin everything in the pin directory and remove it.
 *
 * Links that are pinned there are detached by it. clsact filters are not: sf_bpf_tc_detach()
 * them first. Return: 0 (also if it does not exist), or -errno.
 */
int sf_bpf_pindir_remove(const char *dir, char *err, size_t errlen);

/**
 * sf_bpf_unpin() - Remove one pin. Return: 0 (also if absent), or -errno.
 */
int sf_bpf_unpin(const char *dir, const char *name);

/* ---- pinned maps ------------------------------------------------------------------------ */

/**
 * sf_bpf_map_adopt() - Before load: make a map use what is pinned, or be pinned by the load.
 * @map: map of an opened and not yet loaded object.
 * @dir: pin directory.
 * @name: pin name, usually the map's.
 * @layout: the layout version (> 0) that the caller's code expects of keys and values.
 * @reused: true if a pinned map was adopted, false if the load will make it; may be NULL.
 *
 * A pinned map is adopted if type, key size, value size, flags and layout agree; it keeps its
 * own max_entries then (ask bpf_map__max_entries()). Hold the directory's lock until loaded.
 *
 * Return: 0; -EPROTO if the pinned map disagrees: @err says which map, what was found and what
 * expected (sf_bpf_adoption_map() migrates it); -EINVAL bad name, layout 0 or object loaded
 * already; other -errno.
 */
int sf_bpf_map_adopt(struct bpf_map *map, const char *dir, const char *name, uint32_t layout,
		     bool *reused, char *err, size_t errlen);

/**
 * struct sf_bpf_migration - how a pinned map of another layout becomes one of ours.
 * @map: pin name
 * @from: layout that is pinned
 * @to: layout that the code expects
 * @copy: take over what is worth keeping. The old map is still in use by the programs that made it;
 *        what they put into it after the copy is lost. Return: 0 or -errno.
 */
struct sf_bpf_migration {
	const char *map;
	uint32_t from, to;
	int (*copy)(int old_fd, int new_fd);
};

#define SF_BPF_MIGRATIONS 16 /* maps that can wait for the load at once */

/**
 * struct sf_bpf_adoption - the maps of an object on their way to the pinned ones. Set the first
 * three members, zero the others; then sf_bpf_adoption_map() for each map, load, and
 * sf_bpf_adoption_finish(), or sf_bpf_adoption_drop() where something failed.
 * @dir: pin directory
 * @layout: what the code expects, as for sf_bpf_map_adopt()
 * @migrations: table that ends with an entry without map; NULL: none
 * @reused: out: something pinned was taken over
 * @waiting, @n: the adoption's own
 */
struct sf_bpf_adoption {
	const char *dir;
	uint32_t layout;
	const struct sf_bpf_migration *migrations;
	bool reused;
	struct {
		const struct sf_bpf_migration *how;
		struct bpf_map *map;
		int old_fd;
	} waiting[SF_BPF_MIGRATIONS];
	unsigned n;
};

/**
 * sf_bpf_adoption_map() - sf_bpf_map_adopt() under the map's own name; one of another layout waits
 * for the load if a migration is known.
 *
 * Return: 0; -EPROTO if the pinned map disagrees and nothing migrates it, with @err as
 * sf_bpf_map_adopt() has it; -ENOSPC too many migrations; other -errno.
 */
int sf_bpf_adoption_map(struct sf_bpf_adoption *a, struct bpf_map *map, char *err, size_t errlen);

/**
 * sf_bpf_adoption_finish() - (the object is loaded) copy what waits, then put the new maps in the
 * place of the old ones, each by one rename.
 *
 * A copy that fails leaves all that is pinned as it was. A crash while names change hands leaves
 * a map without layout at worst, which is refused by name. Return: 0 or -errno.
 */
int sf_bpf_adoption_finish(struct sf_bpf_adoption *a, char *err, size_t errlen);

/** sf_bpf_adoption_drop() - give up what waits: the pinned maps stay as they are. */
void sf_bpf_adoption_drop(struct sf_bpf_adoption *a);

/* What a pinned map looks like. */
struct sf_bpf_shape {
	uint32_t type; /* enum bpf_map_type */
	uint32_t key_size;
	uint32_t value_size;
	uint32_t max_entries;
	uint32_t flags;
	uint32_t layout; /* 0: none was recorded */
};

/**
 * sf_bpf_map_open() - Open a pinned map, and say what it is.
 *
 * Return: descriptor (the caller's); -ENOENT; -EPROTO if no map is pinned there; -EINVAL bad name;
 * other -errno.
 */
int sf_bpf_map_open(const char *dir, const char *name, struct sf_bpf_shape *shape, char *err,
		    size_t errlen);

/**
 * sf_bpf_map_memory() - Kernel memory that a map is charged for.
 * @bytes: out, from the "memlock" line of the descriptor's fdinfo.
 *
 * Return: 0, or -errno.
 */
int sf_bpf_map_memory(int map_fd, uint64_t *bytes);

/**
 * sf_bpf_map_put_batch() - Insert or replace @n elements.
 * @keys: @n keys, one behind the other.
 * @values: @n values likewise (for a per-CPU map: one rounded-up value per possible CPU each).
 * @done: how many went in, also on failure; may be NULL.
 *
 * Falls back to single updates for map types without batch calls.
 * Return: 0, -E2BIG if the map is full, or other -errno.
 */
int sf_bpf_map_put_batch(int map_fd, const void *keys, const void *values, uint32_t n,
			 uint32_t *done);

/**
 * sf_bpf_map_delete_batch() - Delete @n keys; absent ones are not an error.
 * @deleted: how many were there; may be NULL.
 *
 * Return: 0, or -errno.
 */
int sf_bpf_map_delete_batch(int map_fd, const void *keys, uint32_t n, uint32_t *deleted);

/* Called for each element; a non-zero return ends the walk and is handed back. */
typedef int (*sf_bpf_map_each)(const void *key, const void *value, void *ctx);

/**
 * sf_bpf_map_walk() - Visit every element, in batches where the map type has them.
 * @key_size: bytes of a key, as the caller understands it (checked against the map).
 * @value_size: bytes of a value likewise; for per-CPU maps the size of one CPU's value.
 * @each: called with key and value (per-CPU maps: sf_bpf_cpus() values, each rounded up to 8
 *        bytes). It may delete the element. Elements that others add or delete meanwhile may
 *        be seen or missed; none is seen twice in a batch.
 *
 * Return: 0, what @each returned, -EPROTO if the sizes disagree, or -errno.
 */
int sf_bpf_map_walk(int map_fd, uint32_t key_size, uint32_t value_size, sf_bpf_map_each each,
		    void *ctx);

/**
 * sf_bpf_cpus() - Number of possible CPUs, that is of values in an element of a per-CPU map.
 */
unsigned sf_bpf_cpus(void);

/**
 * sf_bpf_percpu_sum() - Sum the counters of one element of a per-CPU map over all CPUs.
 * @key: the element's key.
 * @sums: out: @n sums.
 * @n: how many u64 a value holds (8 * @n must be the map's value size).
 *
 * Return: 0, -ENOENT, -EPROTO if the size disagrees, or -errno.
 */
int sf_bpf_percpu_sum(int map_fd, const void *key, uint64_t *sums, size_t n);

/* ---- attachments ------------------------------------------------------------------------ */

enum sf_bpf_side { SF_BPF_INGRESS, SF_BPF_EGRESS };

/* How a program came to sit on a device. */
enum sf_bpf_how { SF_BPF_HOW_NONE, SF_BPF_HOW_TCX, SF_BPF_HOW_CLSACT, SF_BPF_HOW_XDP };

/**
 * sf_bpf_how_name() - "none", "tcx", "clsact" or "xdp".
 */
const char *sf_bpf_how_name(enum sf_bpf_how how);

/* Where a sched_cls program goes. */
struct sf_bpf_tc {
	const char *dir;  /* pin directory */
	const char *name; /* pin name of this attachment, such as "uplink_egress" */
	int ifindex;
	enum sf_bpf_side side;
	bool no_tcx;	   /* clsact even where the kernel has tcx */
	uint32_t handle;   /* clsact filter's; 0: 0x5caf */
	uint32_t priority; /* clsact filter's (1..65535); 0: 100 */
};

/**
 * sf_bpf_tc_attach() - Attach a sched_cls program, or swap it in for the one attached before.
 * @how: out: tcx (kernel 6.6 and later) or clsact; may be NULL.
 *
 * tcx: the link is pinned under @at->name; if it is there already, on the same device, its
 * program is replaced in place (BPF_LINK_UPDATE); a link of a device that is gone is replaced.
 * clsact: the qdisc is made if absent, the filter is replaced in place; the program is pinned
 * under @at->name to tell our filter from another's.
 *
 * Return: 0; -ENODEV no such device; -EEXIST if a filter that is not ours has the handle and
 * priority (clsact); -EPERM; other -errno with reason.
 */
int sf_bpf_tc_attach(const struct sf_bpf_tc *at, int prog_fd, enum sf_bpf_how *how, char *err,
		     size_t errlen);

/**
 * sf_bpf_tc_detach() - Undo sf_bpf_tc_attach(): link or filter, pin, and the clsact qdisc if we
 * made it and no filter is left on it.
 *
 * Return: 0 (also if nothing is attached or the device is gone), or -errno.
 */
int sf_bpf_tc_detach(const struct sf_bpf_tc *at, char *err, size_t errlen);

/**
 * sf_bpf_xdp_attach() - Attach an XDP program in the driver, or swap it in for the pinned one.
 * @dir: pin directory.
 * @name: pin name.
 *
 * Never falls back to generic XDP. On a veth it works up to the MTU that the kernel takes; the peer
 * then sends without segmentation offload.
 *
 * Return: 0; -EOPNOTSUPP if the driver has no XDP; -EBUSY if another's program holds the device;
 * -ENODEV; other -errno with reason.
 */
int sf_bpf_xdp_attach(const char *dir, const char *name, int ifindex, int prog_fd, char *err,
		      size_t errlen);

/**
 * sf_bpf_cgroup_attach() - Attach a cgroup program by a pinned link, or swap it in.
 * @dir: pin directory.
 * @name: pin name.
 * @cgroup_fd: the cgroup directory, opened.
 * @attach_type: enum bpf_attach_type, such as BPF_CGROUP_INET_SOCK_RELEASE.
 *
 * Links live beside other programs (the semantics of BPF_F_ALLOW_MULTI). A pinned link of
 * another cgroup or attach type is replaced. A link that another process pins at the same moment
 * is shared and gets @prog_fd.
 *
 * Return: 0; -EPERM also if somebody attached an exclusive program; -E2BIG if the cgroup has 64
 * programs of this type; other -errno with reason.
 */
int sf_bpf_cgroup_attach(const char *dir, const char *name, int cgroup_fd, int attach_type,
			 int prog_fd, char *err, size_t errlen);

/**
 * sf_bpf_link_detach() - Detach and unpin an XDP or cgroup link (tcx: sf_bpf_tc_detach()).
 *
 * Return: 0 (also if absent), or -errno.
 */
int sf_bpf_link_detach(const char *dir, const char *name, char *err, size_t errlen);

/**
 * sf_bpf_link_prog() - Which program a pinned link runs now.
 * @prog_id: out: the kernel's id of the program.
 * @prog_name: out: its name; may be NULL.
 *
 * Return: 0, -ENOENT if there is no such pin, -ENOLINK if its device or cgroup is gone.
 */
int sf_bpf_link_prog(const char *dir, const char *name, uint32_t *prog_id, char prog_name[16]);

/* ---- probes ----------------------------------------------------------------------------- */

enum sf_bpf_need {
	SF_BPF_REQUIRED, /* nothing works without it */
	SF_BPF_WANTED,	 /* something is slower or falls back without it */
};

struct sf_bpf_feature {
	const char *name; /* stable, such as "tcx" */
	const char *use;  /* what SCAFFOLD uses it for, or what happens without it */
	enum sf_bpf_need need;
	int status;	/* 0 there, -EOPNOTSUPP missing, other -errno: could not be found out */
	char found[96]; /* what was found, or why not */
};

/**
 * sf_bpf_probe() - Find out what this kernel can do.
 * @table: receives the features in the order of printing.
 * @max: its size; SF_BPF_FEATURES is enough.
 *
 * Takes some milliseconds; needs the privilege to load programs, else the entries that could not
 * be found out say so. Return: number of entries.
 */
size_t sf_bpf_probe(struct sf_bpf_feature *table, size_t max);
#define SF_BPF_FEATURES 32

/**
 * sf_bpf_probe_missing() - The first required feature that is missing.
 * @err: receives "kernel lacks NAME (USE): FOUND".
 *
 * Return: 0 if none is, -EOPNOTSUPP, or the -errno of one that could not be found out.
 */
int sf_bpf_probe_missing(const struct sf_bpf_feature *table, size_t n, char *err, size_t errlen);

/**
 * sf_bpf_has_tcx() - Does the kernel have tcx? Return: 1, 0, or -errno.
 */
int sf_bpf_has_tcx(void);

/* ---- test runs -------------------------------------------------------------------------- */

/* One BPF_PROG_TEST_RUN. Zero what is not used. */
struct sf_bpf_run {
	const void
		*data; /* packet in, from the Ethernet header; at least 14 bytes for skb programs */
	uint32_t data_len;
	const void *ctx; /* struct __sk_buff or xdp_md in; NULL: none */
	uint32_t ctx_len;
	uint32_t repeat; /* 0: once */

	void *out;	  /* packet out; NULL: not wanted */
	uint32_t out_len; /* in: room, out: bytes */
	void *ctx_out;
	uint32_t ctx_out_len; /* in: room, out: bytes */

	uint32_t retval;      /* out: the program's (last) return value */
	uint32_t duration_ns; /* out: mean of one run */
};

/**
 * sf_bpf_prog_run() - Run a program on a packet.
 *
 * Return: 0, -ENOSPC if @run->out is too small, -EINVAL bad packet or context, other -errno.
 */
int sf_bpf_prog_run(int prog_fd, struct sf_bpf_run *run);

#endif
