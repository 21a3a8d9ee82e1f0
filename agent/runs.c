// SPDX-License-Identifier: Apache-2.0
/* runs.c - control groups of `scaffold run`. */
#include "agent/runs.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/host.h"
#include "util/cgroup.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"

#define DIR_TRIES 20
#define LOOK_MS	  1000
#define HURRY_MS  50
#define UNUSED_MS 30000 /* a group that nobody entered goes after this time */

static void group_name(const struct host *h, unsigned int id, char *buf, size_t len)
{
	int n = sf_cgroup_host(h->cookie, buf, len);

	if (id)
		snprintf(buf + n, len - n, "/run-%u", id);
}

static void arm(struct host *h, unsigned int ms)
{
	struct timeval wait = sf_ms_timeval(ms);

	if (h->runs.list)
		event_add(h->runs.timer, &wait);
}

void runs_hurry(struct host *h)
{
	arm(h, HURRY_MS);
}

bool runs_service(const struct host *h, uint64_t cgroup, struct sf_addr *out)
{
	for (const struct run *r = h->runs.list; r && cgroup; r = r->next) {
		if (r->cgroup == cgroup) {
			*out = r->service;
			return true;
		}
	}
	return false;
}

static void unmap(struct host *h, const struct run *r)
{
	struct sf_run_key key = { .cgroup = r->cgroup };

	bpf_map_delete_elem(hooks_map(h, "runs"), &key);
}

static struct run *link_run(struct host *h, unsigned int id, uint32_t uid)
{
	struct run *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->id = id;
	r->uid = uid;
	r->since_ms = sf_now_ms();
	group_name(h, id, r->group, sizeof(r->group));
	r->next = h->runs.list;
	h->runs.list = r;
	if (id > h->runs.last_id)
		h->runs.last_id = id;
	return r;
}

static void drop_first(struct host *h)
{
	struct run *r = h->runs.list;

	h->runs.list = r->next;
	free(r);
}

/* A run takes a control group, an entry of a table that all hosts of the kernel share, and a place
 * in every scan: no user may have them all. */
static int check_quota(struct host *h, uint32_t uid, char *err, size_t errlen)
{
	unsigned int n = 0;

	for (const struct run *r = h->runs.list; r; r = r->next)
		n += r->uid == uid;
	if (!uid || n < h->config.runs_max)
		return 0;
	h->runs.refused++;
	snprintf(err, errlen, "%s: uid %u has %u runs, runs_max= lets it have %u",
		 sf_reason_name(SF_TOO_MANY_RUNS), uid, n, h->config.runs_max);
	return -EDQUOT;
}

/* If it died meanwhile its number may have been another's, which must not have the service: the
 * caller takes that from the group. */
static int move(const struct run *r, const struct peer *mover)
{
	int ret = peer_lives(mover) ? sf_cgroup_move(r->group, mover->pid) : -ESRCH;

	return !ret && !peer_lives(mover) ? -ESRCH : ret;
}

int runs_add(struct host *h, const struct sf_addr *service, uint32_t uid, const struct peer *mover,
	     struct run **out, char *err, size_t errlen)
{
	int ret = check_quota(h, uid, err, errlen);
	struct sf_run_key key;
	struct run *r;

	if (ret)
		return ret;
	r = link_run(h, h->runs.last_id + 1, uid);
	if (!r) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	r->service = *service;
	ret = sf_cgroup_make(r->group);
	if (!ret)
		ret = sf_cgroup_id(r->group, &r->cgroup);
	if (ret) {
		snprintf(err, errlen, "control group %s: %s", r->group, strerror(-ret));
		goto fail;
	}
	key.cgroup = r->cgroup;
	if (bpf_map_update_elem(hooks_map(h, "runs"), &key, service, BPF_ANY)) {
		ret = -errno;
		snprintf(err, errlen, "map runs: %s", strerror(errno));
		goto fail;
	}
	if (mover) {
		ret = move(r, mover);
		if (ret) {
			snprintf(err, errlen,
				 "process %d: cannot be moved into control group %s: %s",
				 (int)mover->pid, r->group, strerror(-ret));
			unmap(h, r);
			goto fail;
		}
	}
	sf_info("run %u: control group %s", r->id, r->group);
	arm(h, LOOK_MS);
	*out = r;
	return 0;
fail:
	sf_cgroup_remove(r->group);
	drop_first(h);
	return ret;
}

/* Groups that are empty, or that nobody ever entered. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;

	for (struct run **at = &h->runs.list; *at;) {
		struct run *r = *at;
		int populated = sf_cgroup_populated(r->group);

		if (populated == 1 ||
		    (!populated && !r->entered && sf_now_ms() - r->since_ms < UNUSED_MS)) {
			r->entered |= populated == 1;
			at = &r->next;
			continue;
		}
		if (sf_cgroup_remove(r->group) == -EBUSY) {
			at = &r->next; /* its last process is just being reaped */
			continue;
		}
		sf_info("run %u: ended", r->id);
		unmap(h, r);
		*at = r->next;
		free(r);
	}
	arm(h, LOOK_MS);
}

/* Whose a group is that an earlier agent made: nobody else's program is in it. */
static uint32_t owner_of(const char *group)
{
	char path[512], *text = NULL;
	uint32_t uid = 0;
	struct stat st;
	size_t n;

	if (sf_cgroup_path(group, path, sizeof(path)))
		return 0;
	n = strlen(path);
	snprintf(path + n, sizeof(path) - n, "/cgroup.procs");
	if (sf_file_read(path, 65536, &text, NULL))
		return 0;
	snprintf(path, sizeof(path), "/proc/%lu", strtoul(text, NULL, 10));
	if (*text && !stat(path, &st))
		uid = st.st_uid;
	free(text);
	return uid;
}

/* A group of before our time: its service is in the map, or it is a leftover. */
static void adopt(struct host *h, unsigned int id)
{
	struct run *r = link_run(h, id, 0);
	struct sf_run_key key;

	if (!r)
		return;
	r->entered = true;
	r->uid = owner_of(r->group);
	if (!sf_cgroup_id(r->group, &r->cgroup)) {
		key.cgroup = r->cgroup;
		if (!bpf_map_lookup_elem(hooks_map(h, "runs"), &key, &r->service))
			return;
		sf_cgroup_remove(r->group);
	}
	drop_first(h);
}

/* A directory of control groups, and what to do with each entry. */
static void each_entry(const char *path, void (*fn)(struct host *h, const char *name, void *ctx),
		       struct host *h, void *ctx)
{
	struct dirent *e;
	DIR *d = opendir(path);

	while (d && (e = readdir(d)))
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			fn(h, e->d_name, ctx);
	if (d)
		closedir(d);
}

static void adopt_entry(struct host *h, const char *name, void *ctx)
{
	unsigned int id;
	char more;

	if (sscanf(name, "run-%u%c", &id, &more) == 1 && id)
		adopt(h, id);
}

/* A host's directory whose agent is gone: what is empty of it goes. */
static void clean_entry(struct host *h, const char *name, void *ctx)
{
	char group[128];
	int fd;

	(void)h;
	(void)ctx;
	snprintf(group, sizeof(group), SF_CGROUP_TOP "/%.64s", name);
	fd = sf_cgroup_open(group);
	if (fd < 0)
		return;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		sf_cgroup_remove_tree(group);
	close(fd);
}

/* Make the host's directory, and hold its lock for the agent's life: others may clean up around
 * us. */
static int make_dir(struct host *h, const char *group, char *path, size_t len)
{
	int ret = 0;

	for (int i = 0; i < DIR_TRIES; i++) {
		int fd;

		ret = sf_cgroup_make(group);
		if (!ret)
			ret = sf_cgroup_path(group, path, len);
		fd = ret ? ret : sf_cgroup_open(group);
		if (fd < 0) {
			ret = fd;
			if (ret != -ENOENT)
				return ret;
			continue; /* removed while we made it */
		}
		if (!flock(fd, LOCK_EX | LOCK_NB) && datapath_dir_is(path, fd)) {
			h->runs.lock_fd = fd;
			return 0;
		}
		close(fd);
		ret = -EBUSY;
	}
	return ret;
}

int runs_open(struct host *h, char *err, size_t errlen)
{
	char group[96], path[512];
	int ret;

	h->runs.timer = evtimer_new(h->daemon.base, on_timer, h);
	if (!h->runs.timer) {
		snprintf(err, errlen, "no memory");
		return -ENOMEM;
	}
	/* Made while we are privileged: in the root of the tree nobody may write later on. */
	group_name(h, 0, group, sizeof(group));
	ret = make_dir(h, group, path, sizeof(path));
	if (ret) {
		sf_warn("control group %s: %s; 'scaffold run' will not work", group,
			strerror(-ret));
		return 0;
	}
	each_entry(path, adopt_entry, h, NULL);
	if (!sf_cgroup_path(SF_CGROUP_TOP, path, sizeof(path)))
		each_entry(path, clean_entry, h, NULL);
	arm(h, LOOK_MS);
	return 0;
}

void runs_close(struct host *h)
{
	while (h->runs.list)
		drop_first(h);
	if (h->runs.timer)
		event_free(h->runs.timer);
	if (h->runs.lock_fd > 0)
		close(h->runs.lock_fd);
	h->runs.timer = NULL;
	h->runs.lock_fd = 0;
}

void runs_remove(struct host *h)
{
	char group[96];

	for (const struct run *r = h->runs.list; r; r = r->next) {
		unmap(h, r);
		sf_cgroup_remove(r->group);
	}
	group_name(h, 0, group, sizeof(group));
	sf_cgroup_remove(group);
	if (!sf_priv_raise(SF_CAP(CAP_DAC_OVERRIDE), true)) {
		sf_cgroup_remove(SF_CGROUP_TOP); /* the last host's agent succeeds */
		sf_priv_raise(SF_CAP(CAP_DAC_OVERRIDE), false);
	}
	runs_close(h);
}
