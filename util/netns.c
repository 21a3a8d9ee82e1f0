// SPDX-License-Identifier: Apache-2.0
/* netns.c - network namespaces as iproute2 keeps them (ip-netns(8)). */
#include "util/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/file.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static int name_path(const char *name, char *path, size_t len)
{
	if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	return snprintf(path, len, SF_NETNS_DIR "/%s", name) >= (int)len || strlen(name) > NAME_MAX
		       ? -EINVAL
		       : 0;
}

/* Opens a namespace file; anything else, such as a name whose mount is gone, is -EPERM. */
static int open_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

int sf_netns_open(const char *name)
{
	char path[PATH_MAX];
	int r = name_path(name, path, sizeof(path));

	return r ? r : open_path(path);
}

int sf_netns_open_pid(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	return open_path(path);
}

int sf_netns_open_self(void)
{
	return open_path("/proc/thread-self/ns/net");
}

int sf_netns_enter(int netns_fd)
{
	return setns(netns_fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

/* Binds each file of /etc/netns/NAME over the one of the same name in /etc. */
static void bind_etc(const char *name)
{
	char dir[PATH_MAX], from[PATH_MAX + NAME_MAX + 2], to[NAME_MAX + 8];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "/etc/netns/%s", name);
	d = opendir(dir);
	if (!d)
		return;
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(from, sizeof(from), "%s/%s", dir, e->d_name);
		snprintf(to, sizeof(to), "/etc/%s", e->d_name);
		/* As iproute2: a file that /etc lacks cannot be bound, and is left out. */
		(void)mount(from, to, NULL, MS_BIND, NULL);
	}
	closedir(d);
}

/*
 * /sys shows the network devices of the namespace that it was mounted in. The new one hides what is
 * mounted below, so the cgroup mount that `scaffold run` and the agent need is kept by a descriptor
 * and moved along.
 */
static int remount_sys(void)
{
	static const char *const below[] = { "/sys/fs/cgroup", "/sys/fs/bpf" };
	int fds[2], r = 0;
	struct statfs fs;
	char from[64];

	for (size_t i = 0; i < 2; i++) {
		fds[i] = open(below[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fds[i] >= 0 && (fstatfs(fds[i], &fs) < 0 || fs.f_type == SYSFS_MAGIC)) {
			close(fds[i]); /* nothing is mounted there */
			fds[i] = -1;
		}
	}
	if (mount("sysfs", "/sys", "sysfs", 0, NULL) < 0)
		r = -errno;
	for (size_t i = 0; i < 2; i++) {
		if (fds[i] < 0)
			continue;
		snprintf(from, sizeof(from), "/proc/self/fd/%d", fds[i]);
		if (!r && mount(from, below[i], NULL, MS_BIND | MS_REC, NULL) < 0)
			r = -errno;
		close(fds[i]);
	}
	return r;
}

int sf_netns_enter_named(const char *name)
{
	int fd = sf_netns_open(name), r;

	if (fd < 0)
		return fd;
	r = sf_netns_enter(fd);
	close(fd);
	if (r)
		return r;
	/* Slave: mounts of the host still appear here, ours not there. */
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", "none", MS_SLAVE | MS_REC, NULL) < 0)
		return -errno;
	r = remount_sys();
	if (r)
		return r;
	bind_etc(name);
	return 0;
}

/* The directory must be a shared mount point, so that names appear in every mount namespace. */
static int prepare_dir(void)
{
	int r = sf_mkdir_p(SF_NETNS_DIR, 0755);

	if (r)
		return r;
	if (mount("", SF_NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	if (errno != EINVAL) /* EINVAL: not a mount point yet */
		return -errno;
	if (mount(SF_NETNS_DIR, SF_NETNS_DIR, "none", MS_BIND | MS_REC, NULL) < 0 ||
	    mount("", SF_NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) < 0)
		return -errno;
	return 0;
}

/* Makes a namespace and mounts it on @path; the thread returns to the one it came from. */
static int make_and_mount(const char *path)
{
	int back = sf_netns_open_self(), r = 0;

	if (back < 0)
		return back;
	if (unshare(CLONE_NEWNET) < 0) {
		r = -errno;
		close(back);
		return r;
	}
	if (mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL) < 0)
		r = -errno;
	if (setns(back, CLONE_NEWNET) < 0)
		abort(); /* see sf_netns_run() */
	close(back);
	return r;
}

int sf_netns_create(const char *name)
{
	char path[PATH_MAX];
	int fd, r;

	r = name_path(name, path, sizeof(path));
	if (!r)
		r = prepare_dir();
	if (r)
		return r;
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	close(fd);
	r = make_and_mount(path);
	if (r)
		unlink(path);
	return r;
}

int sf_netns_delete(const char *name)
{
	char path[PATH_MAX];
	int r = name_path(name, path, sizeof(path));

	if (r)
		return r;
	/* EINVAL: a left-over name without its mount */
	if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL)
		return -errno;
	return unlink(path) < 0 ? -errno : 0;
}

int sf_netns_run(int netns_fd, int (*fn)(void *ctx), void *ctx)
{
	int back = sf_netns_open_self(), r;

	if (back < 0)
		return back;
	r = sf_netns_enter(netns_fd);
	if (!r) {
		r = fn(ctx);
		if (sf_netns_enter(back))
			abort();
	}
	close(back);
	return r;
}

int sf_netns_cookie(uint64_t *cookie)
{
	socklen_t len = sizeof(*cookie);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &len) < 0)
		r = -errno;
	close(fd);
	return r;
}

int sf_netns_list(int (*fn)(const char *name, void *ctx), void *ctx)
{
	struct dirent *e;
	DIR *d = opendir(SF_NETNS_DIR);
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (!r && (e = readdir(d)))
		if (e->d_name[0] != '.')
			r = fn(e->d_name, ctx);
	closedir(d);
	return r;
}

/* Whether /proc/@pid/ns/net is the namespace @want. A process that ended meanwhile is in none. */
static bool process_is_in(const char *pid, const struct stat *want)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
	return stat(path, &st) == 0 && st.st_ino == want->st_ino && st.st_dev == want->st_dev;
}

int sf_netns_processes(int netns_fd, int (*fn)(pid_t pid, const char *comm, void *ctx), void *ctx)
{
	char path[PATH_MAX], *comm;
	struct stat want;
	struct dirent *e;
	int r = 0;
	DIR *d;

	if (fstat(netns_fd, &want) < 0)
		return -errno;
	d = opendir("/proc");
	if (!d)
		return -errno;
	while (!r && (e = readdir(d))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' || !process_is_in(e->d_name, &want))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		if (sf_file_read(path, 4096, &comm, NULL))
			continue;
		comm[strcspn(comm, "\n")] = '\0';
		r = fn((pid_t)strtol(e->d_name, NULL, 10), comm, ctx);
		free(comm);
	}
	closedir(d);
	return r;
}
