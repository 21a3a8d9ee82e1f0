// SPDX-License-Identifier: Apache-2.0
/* file.c - files: whole reads, atomic writes, directories, sysctls. */
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int sf_mkdir_p(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t len = strlen(path);
	struct stat st;

	if (len == 0 || len >= sizeof(part))
		return len ? -ENAMETOOLONG : -EINVAL;
	memcpy(part, path, len + 1);
	while (len > 1 && part[len - 1] == '/')
		part[--len] = '\0';
	for (char *c = part + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*c = '/';
	}
	if (mkdir(part, mode) < 0 && errno != EEXIST)
		return -errno;
	if (stat(part, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	/* mkdir() is subject to umask, and the directory may be older than this mode. */
	if (st.st_uid == geteuid() && (st.st_mode & 07777) != mode && chmod(part, mode) < 0)
		return -errno;
	return 0;
}

int sf_file_read(const char *path, size_t limit, char **out, size_t *len)
{
	size_t used = 0, size = 0;
	char *buf = NULL;
	ssize_t n;
	int fd, r;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		if (used == size) {
			char *bigger;

			/* One byte more than the limit tells a file that is larger. */
			size = size ? size * 2 : 4096;
			if (size > limit + 1)
				size = limit + 1;
			bigger = realloc(buf, size + 1);
			if (!bigger) {
				r = -ENOMEM;
				goto fail;
			}
			buf = bigger;
		}
		n = read(fd, buf + used, size - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = -errno;
			goto fail;
		}
		if (n == 0)
			break;
		used += (size_t)n;
		if (used > limit) {
			r = -EFBIG;
			goto fail;
		}
	}
	close(fd);
	buf[used] = '\0';
	*out = buf;
	if (len)
		*len = used;
	return 0;
fail:
	free(buf);
	close(fd);
	return r;
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Makes the new name itself durable. */
static int sync_parent(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd, r = 0;

	if (!slash)
		snprintf(dir, sizeof(dir), ".");
	else
		snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* @place: rename(2), or link(2), which never replaces. @durable: it is to outlive the machine. */
static int file_put(const char *path, const void *data, size_t len, mode_t mode, bool durable,
		    int (*place)(const char *fresh, const char *path))
{
	char tmp[PATH_MAX];
	int fd, r;

	if (snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data, len);
	if (!r && (fchmod(fd, mode) < 0 || (durable && fsync(fd) < 0)))
		r = -errno;
	if (close(fd) < 0 && !r)
		r = -errno;
	if (!r && place(tmp, path) < 0)
		r = -errno;
	if (r || place != rename)
		unlink(tmp);
	return r || !durable ? r : sync_parent(path);
}

int sf_file_write(const char *path, const void *data, size_t len, mode_t mode)
{
	return file_put(path, data, len, mode, true, rename);
}

int sf_file_swap(const char *path, const void *data, size_t len, mode_t mode)
{
	return file_put(path, data, len, mode, false, rename);
}

int sf_file_create(const char *path, const void *data, size_t len, mode_t mode)
{
	return file_put(path, data, len, mode, true, link);
}

static int sysctl_path(const char *key, char *path, size_t len)
{
	if (strstr(key, ".."))
		return -EINVAL;
	return snprintf(path, len, "/proc/sys/%s", key) >= (int)len ? -ENAMETOOLONG : 0;
}

int sf_sysctl_get(const char *key, char *value, size_t len)
{
	char path[PATH_MAX];
	char *text = NULL;
	size_t n = 0;
	int r;

	r = sysctl_path(key, path, sizeof(path));
	if (!r)
		r = sf_file_read(path, 65536, &text, &n);
	if (r)
		return r;
	while (n && text[n - 1] == '\n')
		text[--n] = '\0';
	if (n < len)
		snprintf(value, len, "%s", text);
	else
		r = -ERANGE;
	free(text);
	return r;
}

int sf_sysctl_set(const char *key, const char *value, char *old, size_t old_len)
{
	char path[PATH_MAX], now[256];
	int fd, r;

	r = sf_sysctl_get(key, now, sizeof(now));
	if (r)
		return r;
	if (old && strlen(now) >= old_len)
		return -ERANGE;
	if (strcmp(now, value) != 0) {
		r = sysctl_path(key, path, sizeof(path));
		if (r)
			return r;
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		r = write_all(fd, value, strlen(value));
		close(fd);
		if (r)
			return r;
	}
	if (old)
		memcpy(old, now, strlen(now) + 1);
	return 0;
}

int sf_sysctl_set_if6(const char *ifname, const char *key, const char *value, char *old,
		      size_t old_len)
{
	char path[256];

	/* A link's name never has a slash; the kernel refuses it. */
	if (strchr(ifname, '/') ||
	    snprintf(path, sizeof(path), "net/ipv6/conf/%s/%s", ifname, key) >= (int)sizeof(path))
		return -EINVAL;
	return sf_sysctl_set(path, value, old, old_len);
}
