// SPDX-License-Identifier: Apache-2.0
/*
 * bpf_map.c - pinned maps with layout versions, batches, counters.
 *
 * Theory of operation: the pin directory holds, beside the maps, a hash map pinned as "meta":
 * pin name -> layout version. It is a map rather than BTF because BTF says what the members are
 * called, not what they mean. A layout is recorded before its map is pinned: a crash in between
 * leaves a record without a map, which the next adopt overwrites; a map without a record has a
 * layout of 0, "unknown", and is refused.
 */
#include "util/bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/bpf_pin.h"
#include "util/errtext.h"

#define META_ENTRIES 256

/* The kernel's own "operation not supported", which it lets out of the batch calls. */
#define KERNEL_ENOTSUPP 524

struct meta_key {
	char name[SF_BPF_NAME_MAX + 1];
};

struct meta_value {
	uint32_t layout;
	uint32_t reserved;
};

static int map_info(int fd, struct bpf_map_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len);
}

static const char *type_name(uint32_t type)
{
	const char *name = libbpf_bpf_map_type_str(type);

	return name ? name : "unknown type";
}

/* ---- the meta map ----------------------------------------------------------------------- */

static int meta_open(const char *dir, bool make, char *err, size_t errlen)
{
	struct bpf_map_info info;
	char path[PATH_MAX];
	int fd, rc;

	rc = sf_bpf_pin_path(dir, SF_BPF_META, path, err, errlen);
	if (rc)
		return rc;
	fd = bpf_obj_get(path);
	if (fd == -ENOENT && make) {
		fd = bpf_map_create(BPF_MAP_TYPE_HASH, "sf_meta", sizeof(struct meta_key),
				    sizeof(struct meta_value), META_ENTRIES, NULL);
		if (fd < 0)
			return sf_errtext(err, errlen, fd, "map " SF_BPF_META ": cannot make: %s",
					  strerror(-fd));
		rc = bpf_obj_pin(fd, path);
		if (rc && rc != -EEXIST) {
			close(fd);
			return sf_errtext(err, errlen, rc, "%s: cannot pin: %s", path,
					  strerror(-rc));
		}
		if (rc) { /* another process was faster: take its map */
			close(fd);
			fd = bpf_obj_get(path);
		}
	}
	if (fd < 0)
		return sf_errtext(err, errlen, fd, "%s: %s", path, strerror(-fd));
	rc = map_info(fd, &info);
	if (!rc && (info.type != BPF_MAP_TYPE_HASH || info.key_size != sizeof(struct meta_key) ||
		    info.value_size != sizeof(struct meta_value)))
		rc = -EPROTO;
	if (rc) {
		close(fd);
		return sf_errtext(err, errlen, rc,
				  "%s: not a map of layout versions of this program", path);
	}
	return fd;
}

/* Layout recorded for @name; 0 if none is. */
static int meta_get(const char *dir, const char *name, uint32_t *layout, char *err, size_t errlen)
{
	struct meta_key key = { 0 };
	struct meta_value value = { 0 };
	int fd = meta_open(dir, false, err, errlen), rc;

	if (fd == -ENOENT) {
		*layout = 0;
		return 0;
	}
	if (fd < 0)
		return fd;
	snprintf(key.name, sizeof(key.name), "%s", name);
	rc = bpf_map_lookup_elem(fd, &key, &value);
	close(fd);
	if (rc && rc != -ENOENT)
		return sf_errtext(err, errlen, rc, "%s/" SF_BPF_META ": lookup of %s: %s", dir,
				  name, strerror(-rc));
	*layout = value.layout;
	return 0;
}

int sf_bpf_layout_put(const char *dir, const char *name, uint32_t layout, char *err, size_t errlen)
{
	struct meta_key key = { 0 };
	struct meta_value value = { .layout = layout };
	int fd = meta_open(dir, true, err, errlen), rc;

	if (fd < 0)
		return fd;
	snprintf(key.name, sizeof(key.name), "%s", name);
	rc = bpf_map_update_elem(fd, &key, &value, BPF_ANY);
	close(fd);
	if (rc)
		return sf_errtext(err, errlen, rc,
				  "%s/" SF_BPF_META ": cannot record the layout of %s: %s", dir,
				  name, strerror(-rc));
	return 0;
}

/* ---- pinned maps ------------------------------------------------------------------------ */

int sf_bpf_map_open(const char *dir, const char *name, struct sf_bpf_shape *shape, char *err,
		    size_t errlen)
{
	struct bpf_map_info info;
	char path[PATH_MAX];
	uint32_t layout = 0;
	int fd, rc;

	rc = sf_bpf_pin_path(dir, name, path, err, errlen);
	if (rc)
		return rc;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return sf_errtext(err, errlen, fd, "%s: %s", path, strerror(-fd));
	rc = meta_get(dir, name, &layout, err, errlen);
	if (!rc && map_info(fd, &info))
		rc = sf_errtext(err, errlen, -EPROTO, "%s: not a map", path);
	if (rc) {
		close(fd);
		return rc;
	}
	*shape = (struct sf_bpf_shape){
		.type = info.type,
		.key_size = info.key_size,
		.value_size = info.value_size,
		.max_entries = info.max_entries,
		.flags = info.map_flags,
		.layout = layout,
	};
	return fd;
}

/* Says what disagrees. */
static int shape_check(const char *name, const struct sf_bpf_shape *found,
		       const struct sf_bpf_shape *want, char *err, size_t errlen)
{
	if (found->layout != want->layout) {
		if (!found->layout)
			return sf_errtext(
				err, errlen, -EPROTO,
				"pinned map %s: found no layout version, expected layout %u", name,
				want->layout);
		return sf_errtext(err, errlen, -EPROTO,
				  "pinned map %s: found layout %u, expected layout %u", name,
				  found->layout, want->layout);
	}
	if (found->type != want->type)
		return sf_errtext(err, errlen, -EPROTO, "pinned map %s: found type %s, expected %s",
				  name, type_name(found->type), type_name(want->type));
	if (found->key_size != want->key_size)
		return sf_errtext(err, errlen, -EPROTO,
				  "pinned map %s: found keys of %u bytes, expected %u", name,
				  found->key_size, want->key_size);
	if (found->value_size != want->value_size)
		return sf_errtext(err, errlen, -EPROTO,
				  "pinned map %s: found values of %u bytes, expected %u", name,
				  found->value_size, want->value_size);
	return 0;
}

int sf_bpf_map_adopt(struct bpf_map *map, const char *dir, const char *name, uint32_t layout,
		     bool *reused, char *err, size_t errlen)
{
	struct sf_bpf_shape want = {
		.type = bpf_map__type(map),
		.key_size = bpf_map__key_size(map),
		.value_size = bpf_map__value_size(map),
		.layout = layout,
	};
	struct sf_bpf_shape found = { 0 };
	char path[PATH_MAX];
	int fd, rc;

	if (!layout)
		return sf_errtext(err, errlen, -EINVAL, "map %s: layout 0 means none", name);
	if (bpf_map__fd(map) >= 0)
		return sf_errtext(err, errlen, -EINVAL, "map %s: adopted or loaded already", name);
	rc = sf_bpf_pin_path(dir, name, path, err, errlen);
	if (rc)
		return rc;
	fd = sf_bpf_map_open(dir, name, &found, err, errlen);
	if (fd == -ENOENT) {
		rc = sf_bpf_layout_put(dir, name, layout, err, errlen);
		if (!rc)
			rc = bpf_map__set_pin_path(map, path);
		if (rc == -ENOMEM)
			sf_errtext(err, errlen, rc, "map %s: no memory", name);
		if (!rc && reused)
			*reused = false;
		return rc;
	}
	if (fd < 0)
		return fd;
	rc = shape_check(name, &found, &want, err, errlen);
	if (!rc && found.flags != bpf_map__map_flags(map))
		rc = sf_errtext(err, errlen, -EPROTO,
				"pinned map %s: found flags 0x%x, expected 0x%x", name, found.flags,
				bpf_map__map_flags(map));
	if (!rc) {
		rc = bpf_map__reuse_fd(map, fd);
		if (!rc)
			rc = bpf_map__set_pin_path(map, path);
		if (rc)
			sf_errtext(err, errlen, rc, "pinned map %s: cannot reuse: %s", name,
				   strerror(-rc));
	}
	close(fd); /* libbpf has its own copy */
	if (!rc && reused)
		*reused = true;
	return rc;
}

int sf_bpf_map_memory(int map_fd, uint64_t *bytes)
{
	char path[64], line[128];
	unsigned long long found;
	int rc = -ENODATA;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", map_fd);
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? -EBADF : -errno;
	while (rc && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "memlock: %llu", &found) == 1) {
			*bytes = found;
			rc = 0;
		}
	}
	fclose(file);
	return rc;
}

/* ---- batches ---------------------------------------------------------------------------- */

static bool no_batch(int rc)
{
	return rc == -KERNEL_ENOTSUPP || rc == -EOPNOTSUPP;
}

unsigned sf_bpf_cpus(void)
{
	int n = libbpf_num_possible_cpus();

	return n > 0 ? (unsigned)n : 1;
}

static bool is_percpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

/* Bytes that one element's value takes in user space. */
static size_t value_room(const struct bpf_map_info *info)
{
	if (!is_percpu(info->type))
		return info->value_size;
	return (((size_t)info->value_size + 7) & ~(size_t)7) * sf_bpf_cpus();
}

static int put_each(int fd, const struct bpf_map_info *info, const char *keys, const char *values,
		    uint32_t n, uint32_t *done)
{
	size_t room = value_room(info);

	for (*done = 0; *done < n; ++*done) {
		int rc = bpf_map_update_elem(fd, keys + (size_t)*done * info->key_size,
					     values + *done * room, BPF_ANY);

		if (rc)
			return rc;
	}
	return 0;
}

int sf_bpf_map_put_batch(int map_fd, const void *keys, const void *values, uint32_t n,
			 uint32_t *done)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = BPF_ANY);
	struct bpf_map_info info;
	uint32_t count = n;
	int rc;

	if (!n) {
		if (done)
			*done = 0;
		return 0;
	}
	rc = map_info(map_fd, &info);
	if (rc)
		return rc;
	rc = bpf_map_update_batch(map_fd, keys, values, &count, &opts);
	if (no_batch(rc))
		rc = put_each(map_fd, &info, keys, values, n, &count);
	else if (rc && count >= n) /* refused before the first one: the kernel wrote no count */
		count = 0;
	if (done)
		*done = count;
	return rc;
}

int sf_bpf_map_delete_batch(int map_fd, const void *keys, uint32_t n, uint32_t *deleted)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = 0);
	struct bpf_map_info info;
	uint32_t at = 0, gone = 0;
	bool single = false;
	int rc = map_info(map_fd, &info);

	while (!rc && at < n) {
		const char *from = (const char *)keys + (size_t)at * info.key_size;
		uint32_t count = n - at;

		if (single) {
			rc = bpf_map_delete_elem(map_fd, from);
			count = rc ? 0 : 1;
		} else {
			rc = bpf_map_delete_batch(map_fd, from, &count, &opts);
			if (no_batch(rc)) {
				single = true;
				rc = 0;
				continue;
			}
		}
		if (rc == -ENOENT && count <= n - at) { /* the key behind the last deleted one */
			at++;
			rc = 0;
		}
		if (!rc) {
			at += count;
			gone += count;
		}
	}
	if (deleted)
		*deleted = gone;
	return rc;
}

/* One element after the other; the next key is fetched first, so that @each may delete its own. */
static int walk_each(int fd, const struct bpf_map_info *info, sf_bpf_map_each each, void *ctx)
{
	char *key = malloc(info->key_size), *next = malloc(info->key_size);
	void *value = malloc(value_room(info));
	uint64_t left = info->max_entries;
	int rc = -ENOMEM, end;

	if (!key || !next || !value)
		goto out;
	rc = 0;
	end = bpf_map_get_next_key(fd, NULL, next);
	/* Bounded: a walk whose key was deleted by another starts again from the first. */
	while (!rc && !end && left--) {
		char *swap = key;
		int found;

		key = next;
		next = swap;
		found = bpf_map_lookup_elem(fd, key, value);
		end = bpf_map_get_next_key(fd, key, next);
		if (!found)
			rc = each(key, value, ctx);
		else if (found != -ENOENT)
			rc = found;
	}
	if (!rc && end && end != -ENOENT)
		rc = end;
out:
	free(key);
	free(next);
	free(value);
	return rc;
}

struct walk {
	char *keys, *values;
	uint32_t room; /* elements */
};

static int walk_grow(struct walk *walk, const struct bpf_map_info *info, uint32_t room)
{
	free(walk->keys);
	free(walk->values);
	walk->room = room;
	walk->keys = calloc(room, info->key_size);
	walk->values = calloc(room, value_room(info));
	return walk->keys && walk->values ? 0 : -ENOMEM;
}

int sf_bpf_map_walk(int map_fd, uint32_t key_size, uint32_t value_size, sf_bpf_map_each each,
		    void *ctx)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = 0);
	struct walk walk = { 0 };
	struct bpf_map_info info;
	char *position = NULL;
	bool first = true;
	int rc = map_info(map_fd, &info), end;

	if (rc)
		return rc;
	if (info.key_size != key_size || info.value_size != value_size)
		return -EPROTO;
	/* The position is a bucket number for hashes, a key for others. */
	position = calloc(1, key_size > 8 ? key_size : 8);
	rc = position ? walk_grow(&walk, &info, 1024) : -ENOMEM;
	while (!rc) {
		uint32_t count = walk.room;

		end = bpf_map_lookup_batch(map_fd, first ? NULL : position, position, walk.keys,
					   walk.values, &count, &opts);
		if (first && no_batch(end)) {
			rc = walk_each(map_fd, &info, each, ctx);
			break;
		}
		if (end == -ENOSPC) { /* a bucket longer than our room */
			rc = walk_grow(&walk, &info, walk.room * 2);
			continue;
		}
		if (end && end != -ENOENT) {
			rc = end;
			break;
		}
		first = false;
		for (uint32_t i = 0; i < count && !rc; i++)
			rc = each(walk.keys + (size_t)i * key_size,
				  walk.values + i * value_room(&info), ctx);
		if (end == -ENOENT)
			break;
	}
	free(position);
	free(walk.keys);
	free(walk.values);
	return rc;
}

int sf_bpf_percpu_sum(int map_fd, const void *key, uint64_t *sums, size_t n)
{
	unsigned cpus = sf_bpf_cpus();
	struct bpf_map_info info;
	uint64_t *values;
	int rc = map_info(map_fd, &info);

	if (rc)
		return rc;
	if (!is_percpu(info.type) || info.value_size != n * sizeof(uint64_t))
		return -EPROTO;
	values = calloc(cpus, n * sizeof(uint64_t));
	if (!values)
		return -ENOMEM;
	rc = bpf_map_lookup_elem(map_fd, key, values);
	if (!rc) {
		memset(sums, 0, n * sizeof(*sums));
		for (unsigned cpu = 0; cpu < cpus; cpu++)
			for (size_t i = 0; i < n; i++)
				sums[i] += values[cpu * n + i];
	}
	free(values);
	return rc;
}
