// SPDX-License-Identifier: Apache-2.0
/*
 * bpf_adopt.c - taking over the pinned maps of an earlier version, see bpf.h.
 *
 * Theory of operation: maps of the expected layout are reused by the load. One of another layout
 * that a migration knows stays pinned, and open, while the load makes a new one beside it. Only
 * when the programs are in the kernel and everything is copied do the new maps take the old ones'
 * names: a version that cannot be loaded, or a copy that fails, has then changed nothing, and the
 * version before can be started again. While a name changes hands its layout is recorded as
 * unknown.
 */
#include "util/bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/bpf_pin.h"
#include "util/errtext.h"

#define NEW_PIN "migrating"

static const struct sf_bpf_migration *migration_find(const struct sf_bpf_adoption *a,
						     const char *map, uint32_t from)
{
	for (const struct sf_bpf_migration *m = a->migrations; m && m->map; m++)
		if (!strcmp(m->map, map) && m->from == from && m->to == a->layout)
			return m;
	return NULL;
}

int sf_bpf_adoption_map(struct sf_bpf_adoption *a, struct bpf_map *map, char *err, size_t errlen)
{
	const char *name = bpf_map__name(map);
	const struct sf_bpf_migration *how;
	struct sf_bpf_shape shape;
	bool reused = false;
	int fd, ret = sf_bpf_map_adopt(map, a->dir, name, a->layout, &reused, err, errlen);

	if (!ret)
		a->reused |= reused;
	if (ret != -EPROTO)
		return ret;
	fd = sf_bpf_map_open(a->dir, name, &shape, NULL, 0);
	how = fd < 0 ? NULL : migration_find(a, name, shape.layout);
	if (!how) {
		if (fd >= 0)
			close(fd);
		return ret;
	}
	if (a->n == SF_BPF_MIGRATIONS) {
		close(fd);
		return sf_errtext(err, errlen, -ENOSPC, "map %s: more than %d migrations", name,
				  SF_BPF_MIGRATIONS);
	}
	a->waiting[a->n].how = how;
	a->waiting[a->n].map = map;
	a->waiting[a->n++].old_fd = fd;
	a->reused = true;
	return 0;
}

/* The new map takes the old one's name. */
static int pin_replace(const struct sf_bpf_adoption *a, struct bpf_map *map, char *err,
		       size_t errlen)
{
	const char *name = bpf_map__name(map);
	char path[PATH_MAX], new_path[PATH_MAX];
	int ret = sf_bpf_pin_path(a->dir, name, path, err, errlen);

	if (!ret)
		ret = sf_bpf_pin_path(a->dir, NEW_PIN, new_path, err, errlen);
	if (!ret)
		ret = sf_bpf_unpin(a->dir, NEW_PIN); /* what a crash left */
	if (!ret)
		ret = bpf_obj_pin(bpf_map__fd(map), new_path);
	if (ret)
		return sf_errtext(err, errlen, ret, "map %s: cannot pin: %s", name, strerror(-ret));
	ret = sf_bpf_layout_put(a->dir, name, 0, err, errlen);
	if (!ret && rename(new_path, path))
		ret = sf_errtext(err, errlen, -errno, "map %s: cannot pin: %s", name,
				 strerror(errno));
	return ret ? ret : sf_bpf_layout_put(a->dir, name, a->layout, err, errlen);
}

int sf_bpf_adoption_finish(struct sf_bpf_adoption *a, char *err, size_t errlen)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < a->n; i++) {
		const struct sf_bpf_migration *how = a->waiting[i].how;

		ret = how->copy(a->waiting[i].old_fd, bpf_map__fd(a->waiting[i].map));
		if (ret)
			sf_errtext(err, errlen, ret, "map %s: migration from layout %u to %u: %s",
				   how->map, how->from, how->to, strerror(-ret));
	}
	for (unsigned i = 0; !ret && i < a->n; i++)
		ret = pin_replace(a, a->waiting[i].map, err, errlen);
	sf_bpf_adoption_drop(a);
	return ret;
}

void sf_bpf_adoption_drop(struct sf_bpf_adoption *a)
{
	while (a->n)
		close(a->waiting[--a->n].old_fd);
}
