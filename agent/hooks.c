// SPDX-License-Identifier: Apache-2.0
/* hooks.c - the kernel-wide set of socket hooks, and our place in it. */
#include "agent/hooks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/host.h"
#include "agent/senders.h"
#include "bpf/socket_events.skel.h"
#include "util/cgroup.h"
#include "util/log.h"

#define RING_BYTES (256 * 1024)
#define RING_PIN   "ring"
#define STALE_MAX  64

/* ---- the lock --------------------------------------------------------------------------- */

/* Make the directory and lock it; again, if somebody removed it meanwhile. */
static int lock_dir(struct host *h, char *err, size_t errlen)
{
	for (;;) {
		int fd, ret = datapath_dir(h, "hooks", h->hooks.dir, sizeof(h->hooks.dir), err,
					   errlen);

		if (ret)
			return ret;
		fd = sf_bpf_pindir_lock(h->hooks.dir, true, err, errlen);
		if (fd == -ENOENT)
			continue;
		if (fd < 0 || datapath_dir_is(h->hooks.dir, fd))
			return fd;
		close(fd);
	}
}

/* ---- maps ------------------------------------------------------------------------------- */

int hooks_map(const struct host *h, const char *name)
{
	const struct bpf_map *map =
		h->hooks.skel ? bpf_object__find_map_by_name(h->hooks.skel->obj, name) : NULL;

	return map ? bpf_map__fd(map) : -ENOENT;
}

int hooks_get(const struct host *h, const struct sf_listener_key *key, struct sf_listener *out)
{
	return bpf_map_lookup_elem(hooks_map(h, "listeners"), key, out) ? -errno : 0;
}

int hooks_put(struct host *h, const struct sf_listener_key *key, const struct sf_listener *value)
{
	return bpf_map_update_elem(hooks_map(h, "listeners"), key, value, BPF_NOEXIST) ? -errno : 0;
}

void hooks_delete(struct host *h, const struct sf_listener_key *key)
{
	bpf_map_delete_elem(hooks_map(h, "listeners"), key);
}

int hooks_judge(struct host *h, const struct sf_listener_key *key, uint8_t state, uint8_t reason,
		uint8_t flags)
{
	struct sf_judgement j = { .key = *key, .state = state, .reason = reason, .flags = flags };
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &j, .ctx_size_in = sizeof(j));

	if (bpf_prog_test_run_opts(bpf_program__fd(h->hooks.skel->progs.sf_listener_judge), &run))
		return -errno;
	return run.retval ? -ENOENT : 0;
}

struct walk {
	struct host *h;
	void (*fn)(struct host *h, const struct sf_listener_key *key,
		   const struct sf_listener *value, void *ctx);
	void *ctx;
};

static int walk_one(const void *key, const void *value, void *ctx)
{
	struct sf_listener_key k;
	struct sf_listener v;
	struct walk *w = ctx;

	memcpy(&k, key, sizeof(k));
	memcpy(&v, value, sizeof(v));
	if (k.host == w->h->cookie)
		w->fn(w->h, &k, &v, w->ctx);
	return 0;
}

int hooks_walk(struct host *h,
	       void (*fn)(struct host *h, const struct sf_listener_key *key,
			  const struct sf_listener *value, void *ctx),
	       void *ctx)
{
	struct walk w = { h, fn, ctx };

	return sf_bpf_map_walk(hooks_map(h, "listeners"), sizeof(struct sf_listener_key),
			       sizeof(struct sf_listener), walk_one, &w);
}

/* ---- leftovers of hosts that are gone --------------------------------------------------- */

struct cookies {
	uint64_t own;
	uint64_t found[STALE_MAX];
	int n;
};

static int collect_cookie(const void *key, const void *value, void *ctx)
{
	struct cookies *c = ctx;
	uint64_t cookie;

	memcpy(&cookie, key, sizeof(cookie));
	if (cookie != c->own && c->n < STALE_MAX)
		c->found[c->n++] = cookie;
	return 0;
}

struct keys {
	uint64_t host;
	struct sf_listener_key *list;
	size_t n, room;
};

static int collect_key(const void *key, const void *value, void *ctx)
{
	struct keys *k = ctx;
	uint64_t host;

	memcpy(&host, key, sizeof(host));
	if (host != k->host)
		return 0;
	if (k->n == k->room) {
		size_t room = k->room ? 2 * k->room : 64;
		struct sf_listener_key *more = reallocarray(k->list, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		k->list = more;
		k->room = room;
	}
	memcpy(&k->list[k->n++], key, sizeof(*k->list));
	return 0;
}

static void forget_host(struct host *h, uint64_t cookie)
{
	struct keys keys = { .host = cookie };
	int listeners = hooks_map(h, "listeners");

	sf_bpf_map_walk(listeners, sizeof(struct sf_listener_key), sizeof(struct sf_listener),
			collect_key, &keys);
	if (keys.n)
		sf_bpf_map_delete_batch(listeners, keys.list, keys.n, NULL);
	free(keys.list);
	bpf_map_delete_elem(hooks_map(h, "hosts"), &cookie);
	bpf_map_delete_elem(hooks_map(h, "rings"), &cookie);
	bpf_map_delete_elem(hooks_map(h, "counts"), &cookie);
	senders_forget(h, cookie);
}

/* Remove a host without agent whose programs are attached nowhere any more. */
static bool remove_if_stale(struct host *h, uint64_t cookie)
{
	char dir[600], err[256] = "";
	bool stale;
	int fd, n;

	n = snprintf(dir, sizeof(dir), "%.*s/host-%016llx",
		     (int)(strrchr(h->hooks.dir, '/') - h->hooks.dir), h->hooks.dir,
		     (unsigned long long)cookie);
	if (n < 0 || (size_t)n >= sizeof(dir))
		return false;
	fd = sf_bpf_pindir_lock(dir, false, NULL, 0);
	if (fd < 0 && fd != -ENOENT)
		return false; /* its agent lives */
	stale = fd < 0 || !datapath_dir_is_attached(dir);
	if (stale) {
		sf_info("host %016llx: gone without leaving; its leftovers are removed",
			(unsigned long long)cookie);
		forget_host(h, cookie);
		if (sf_bpf_pindir_remove(dir, err, sizeof(err)))
			sf_warn("host %016llx: %s", (unsigned long long)cookie, err);
	}
	if (fd >= 0)
		close(fd);
	return stale;
}

/* Return: how many other hosts there are still. */
static int remove_stale(struct host *h)
{
	struct cookies c = { .own = h->cookie };
	int left;

	sf_bpf_map_walk(hooks_map(h, "hosts"), sizeof(uint64_t), sizeof(struct sf_hook_host),
			collect_cookie, &c);
	left = c.n;
	for (int i = 0; i < c.n; i++)
		left -= remove_if_stale(h, c.found[i]);
	return left;
}

/* ---- life ------------------------------------------------------------------------------- */

static int load(struct host *h, char *err, size_t errlen)
{
	struct bpf_map *map;
	int ret;

	h->hooks.skel = socket_events_bpf__open();
	if (!h->hooks.skel) {
		snprintf(err, errlen, "socket hooks: %s", strerror(errno));
		return -errno;
	}
	bpf_object__for_each_map(map, h->hooks.skel->obj)
	{
		/* The shape of the hosts' rings is nobody's ring. */
		if (bpf_map__is_internal(map) || !strcmp(bpf_map__name(map), "ring_shape"))
			continue;
		ret = sf_bpf_map_adopt(map, h->hooks.dir, bpf_map__name(map), SF_HOOKS_LAYOUT, NULL,
				       err, errlen);
		if (ret) {
			size_t n = strlen(err);

			if (ret == -EPROTO)
				snprintf(err + n, errlen - n,
					 "; stop all agents of this kernel by SIGTERM first");
			return ret;
		}
	}
	return sf_bpf_skeleton_load(h->hooks.skel->skeleton, err, errlen);
}

static int attach(struct host *h, char *err, size_t errlen)
{
	struct bpf_program *prog;
	int cgroup = sf_cgroup_open("/");
	int ret = 0;

	if (cgroup < 0) {
		snprintf(err, errlen,
			 "cgroup v2: %s: expected it mounted (mount -t cgroup2 none "
			 "/sys/fs/cgroup)",
			 strerror(-cgroup));
		return cgroup;
	}
	bpf_object__for_each_program(prog, h->hooks.skel->obj)
	{
		if (bpf_program__type(prog) == BPF_PROG_TYPE_SYSCALL)
			continue; /* ours to run, attached nowhere */
		ret = sf_bpf_cgroup_attach(h->hooks.dir, bpf_program__name(prog), cgroup,
					   bpf_program__expected_attach_type(prog),
					   bpf_program__fd(prog), err, errlen);
		if (ret)
			break;
	}
	close(cgroup);
	return ret;
}

/* Our ring: the one that an earlier agent of this host pinned, with what it did not read, or new.
 */
static int open_ring(struct host *h, char *err, size_t errlen)
{
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", h->datapath.dir, RING_PIN);
	fd = bpf_obj_get(path);
	if (fd < 0) {
		fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "sf_ring", 0, 0, RING_BYTES, NULL);
		if (fd < 0 || bpf_obj_pin(fd, path)) {
			int ret = -errno;

			snprintf(err, errlen, "%s: ring of socket events: %s", path,
				 strerror(errno));
			if (fd >= 0)
				close(fd);
			return ret;
		}
	}
	h->hooks.ring_fd = fd;
	return 0;
}

int hooks_set_net(struct host *h)
{
	struct sf_hook_host value = { .net = h->net, .flags = h->hooks.sender_flags };

	if (bpf_map_update_elem(hooks_map(h, "hosts"), &h->cookie, &value, BPF_ANY))
		return -errno;
	return 0;
}

void hooks_counts(const struct host *h, struct sf_hook_counts *out)
{
	if (bpf_map_lookup_elem(hooks_map(h, "counts"), &h->cookie, out))
		memset(out, 0, sizeof(*out));
}

static void apply_senders(struct host *h)
{
	int ret = senders_apply(h, &h->hooks.sender_flags);

	if (ret)
		sf_error("map senders: %s; some users are not allowed to send from service "
			 "addresses",
			 strerror(-ret));
}

void hooks_refresh(struct host *h)
{
	if (policy_wants_cgroup(&h->policy))
		apply_senders(h);
}

static int enter(struct host *h, char *err, size_t errlen)
{
	struct sf_hook_counts counts = { .lost = 0 };
	int ret = open_ring(h, err, errlen);

	if (ret)
		return ret;
	/* Those of an earlier agent go on. What it lost, the first scan finds. */
	bpf_map_update_elem(hooks_map(h, "counts"), &h->cookie, &counts, BPF_NOEXIST);
	hooks_counts(h, &counts);
	h->hooks.lost = counts.lost;
	apply_senders(h);
	/* The ring first: a hook that knows the host must find it. */
	if (bpf_map_update_elem(hooks_map(h, "rings"), &h->cookie, &h->hooks.ring_fd, BPF_ANY)) {
		ret = -errno;
		snprintf(err, errlen, "map rings: %s", strerror(errno));
		return ret;
	}
	ret = hooks_set_net(h);
	if (ret)
		snprintf(err, errlen, "map hosts: %s", strerror(-ret));
	return ret;
}

int hooks_open(struct host *h, char *err, size_t errlen)
{
	int lock = lock_dir(h, err, errlen);
	int ret;

	if (lock < 0)
		return lock;
	ret = load(h, err, errlen);
	if (!ret) {
		remove_stale(h);
		ret = enter(h, err, errlen);
	}
	/* Attach last: the first event finds everything in place. */
	if (!ret)
		ret = attach(h, err, errlen);
	close(lock);
	return ret;
}

static int on_event(void *ctx, void *data, size_t size)
{
	struct host *h = ctx;

	if (size >= sizeof(struct sf_socket_event)) {
		h->hooks.events++;
		sockets_event(h, data);
	}
	return 0;
}

/* Were there events for which the ring had no room? */
static void look_for_lost(struct host *h)
{
	struct sf_hook_counts counts;

	hooks_counts(h, &counts);
	if (counts.lost == h->hooks.lost)
		return;
	h->hooks.lost = counts.lost;
	sockets_resync(h);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct host *h = arg;

	ring_buffer__consume(h->hooks.ring);
	look_for_lost(h);
}

int hooks_listen(struct host *h, char *err, size_t errlen)
{
	struct hooks *k = &h->hooks;

	k->ring = ring_buffer__new(k->ring_fd, on_event, h, NULL);
	if (k->ring)
		k->readable = event_new(h->daemon.base, ring_buffer__epoll_fd(k->ring),
					EV_READ | EV_PERSIST, on_readable, h);
	if (!k->readable || event_add(k->readable, NULL)) {
		snprintf(err, errlen, "ring of socket events: %s", strerror(errno));
		return -ENOMEM;
	}
	ring_buffer__consume(k->ring); /* what came before we looked */
	look_for_lost(h);
	return 0;
}

void hooks_leave(struct host *h)
{
	char err[256] = "";
	int lock;

	if (!h->hooks.skel)
		return;
	lock = lock_dir(h, err, sizeof(err));
	if (lock < 0) {
		sf_warn("socket hooks: %s", err);
		hooks_close(h);
		return;
	}
	forget_host(h, h->cookie);
	if (!remove_stale(h) && sf_bpf_pindir_remove(h->hooks.dir, err, sizeof(err)))
		sf_warn("socket hooks: %s", err);
	close(lock);
	hooks_close(h);
}

void hooks_close(struct host *h)
{
	struct hooks *k = &h->hooks;

	if (k->readable)
		event_free(k->readable);
	ring_buffer__free(k->ring);
	if (k->ring_fd > 0)
		close(k->ring_fd);
	socket_events_bpf__destroy(k->skel);
	k->readable = NULL;
	k->ring = NULL;
	k->ring_fd = 0;
	k->skel = NULL;
}
