// SPDX-License-Identifier: Apache-2.0
/* cgroup.c - cgroup v2 groups (Documentation/admin-guide/cgroup-v2.rst). */
#include "util/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/file.h"

int sf_cgroup_mount(char *buf, size_t len)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	char text[4 * PATH_MAX];
	struct mntent m;
	int r = -ENOENT;

	if (!mounts)
		return -errno;
	while (r == -ENOENT && getmntent_r(mounts, &m, text, sizeof(text))) {
		if (strcmp(m.mnt_type, "cgroup2") != 0)
			continue;
		r = snprintf(buf, len, "%s", m.mnt_dir) < (int)len ? 0 : -ERANGE;
	}
	endmntent(mounts);
	return r;
}

int sf_cgroup_path(const char *group, char *buf, size_t len)
{
	int r = sf_cgroup_mount(buf, len);
	size_t used;

	if (r)
		return r;
	if (group[0] != '/' || strstr(group, "/.."))
		return -EINVAL;
	used = strlen(buf);
	if (strcmp(group, "/") == 0)
		return 0;
	return snprintf(buf + used, len - used, "%s", group) < (int)(len - used) ? 0 : -ERANGE;
}

/* The path of a control file in the group. */
static int file_path(const char *group, const char *file, char *buf, size_t len)
{
	int r = sf_cgroup_path(group, buf, len);
	size_t used;

	if (r)
		return r;
	used = strlen(buf);
	return snprintf(buf + used, len - used, "/%s", file) < (int)(len - used) ? 0 : -ERANGE;
}

static int file_write(const char *group, const char *file, const char *text)
{
	char path[PATH_MAX];
	int fd, r;

	r = file_path(group, file, path, sizeof(path));
	if (r)
		return r;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	close(fd);
	return r;
}

int sf_cgroup_open(const char *group)
{
	char path[PATH_MAX];
	int fd, r;

	r = sf_cgroup_path(group, path, sizeof(path));
	if (r)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sf_cgroup_make(const char *group)
{
	char path[PATH_MAX];
	int r = sf_cgroup_path(group, path, sizeof(path));

	return r ? r : sf_mkdir_p(path, 0755);
}

int sf_cgroup_remove(const char *group)
{
	char path[PATH_MAX];
	int r = sf_cgroup_path(group, path, sizeof(path));

	if (r)
		return r;
	return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Removes the directory @path, of whose length there is room for @len, and those in it. */
static int tree_remove(char *path, size_t len)
{
	size_t used = strlen(path);
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0)
			continue;
		if (snprintf(path + used, len - used, "/%s", e->d_name) < (int)(len - used))
			(void)tree_remove(path, len); /* what is left is told of for its parent */
		path[used] = 0;
	}
	if (d)
		closedir(d);
	return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

int sf_cgroup_remove_tree(const char *group)
{
	char path[PATH_MAX];
	int r = sf_cgroup_path(group, path, sizeof(path));

	return r ? r : tree_remove(path, sizeof(path));
}

int sf_cgroup_host(uint64_t cookie, char *buf, size_t len)
{
	return snprintf(buf, len, SF_CGROUP_TOP "/%016llx", (unsigned long long)cookie);
}

int sf_cgroup_move(const char *group, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return file_write(group, "cgroup.procs", text);
}

/* The id is the directory's file handle, which cgroupfs makes 64 bits wide (on 64-bit hosts also
 * the inode number). */
int sf_cgroup_id(const char *group, uint64_t *id)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + sizeof(uint64_t)];
	} handle = { .h.handle_bytes = sizeof(uint64_t) };
	char path[PATH_MAX];
	int mount_id, r;

	r = sf_cgroup_path(group, path, sizeof(path));
	if (r)
		return r;
	if (name_to_handle_at(AT_FDCWD, path, &handle.h, &mount_id, 0) < 0)
		return -errno;
	if (handle.h.handle_bytes != sizeof(uint64_t))
		return -EOPNOTSUPP;
	memcpy(id, handle.h.f_handle, sizeof(*id));
	return 0;
}

int sf_cgroup_of(pid_t pid, char *buf, size_t len)
{
	char path[64], *text, *line, *rest;
	int r;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	else
		snprintf(path, sizeof(path), "/proc/self/cgroup");
	r = sf_file_read(path, 65536, &text, NULL);
	if (r)
		return r == -ENOENT ? -ESRCH : r;
	r = -ENOENT;
	for (line = strtok_r(text, "\n", &rest); line && r == -ENOENT;
	     line = strtok_r(NULL, "\n", &rest))
		if (strncmp(line, "0::", 3) == 0) /* the v2 hierarchy */
			r = snprintf(buf, len, "%s", line + 3) < (int)len ? 0 : -ERANGE;
	free(text);
	return r;
}

int sf_cgroup_populated(const char *group)
{
	char path[PATH_MAX], *text;
	int r;

	r = file_path(group, "cgroup.events", path, sizeof(path));
	if (!r)
		r = sf_file_read(path, 4096, &text, NULL);
	if (r)
		return r;
	r = strstr(text, "populated 1") != NULL;
	free(text);
	return r;
}
