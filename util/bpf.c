// SPDX-License-Identifier: Apache-2.0
/*
 * bpf.c - loading, the pin directory, test runs. Maps are in bpf_map.c, attachments in
 * bpf_attach.c, probes in bpf_probe.c.
 */
#include "util/bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/bpf_pin.h"
#include "util/errtext.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC 0xcafe4a11
#endif

/* ---- libbpf's messages ------------------------------------------------------------------ */

/* libbpf has one print function per process, so what it says is kept per process too. */
#define CAPTURE_MAX (1u << 20)
static char *capture;
static size_t capture_len;
static bool capturing;

static void capture_add(const char *text, size_t len)
{
	char *grown;

	/* The end of a verifier log tells more than its beginning. */
	if (capture_len + len + 1 > CAPTURE_MAX) {
		size_t keep = CAPTURE_MAX / 2;

		if (len + 1 > CAPTURE_MAX / 2) {
			text += len + 1 - CAPTURE_MAX / 2;
			len = CAPTURE_MAX / 2 - 1;
		}
		if (capture_len > keep) {
			memmove(capture, capture + capture_len - keep, keep);
			capture_len = keep;
		}
	}
	grown = realloc(capture, capture_len + len + 1);
	if (!grown)
		return;
	capture = grown;
	memcpy(capture + capture_len, text, len);
	capture_len += len;
	capture[capture_len] = '\0';
}

static int capture_print(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text;
	int len;

	if (!capturing || level == LIBBPF_DEBUG)
		return 0;
	len = vasprintf(&text, format, args);
	if (len < 0)
		return 0;
	capture_add(text, (size_t)len);
	free(text);
	return len;
}

void sf_bpf_quiet(void)
{
	libbpf_set_print(capture_print);
}

/* Everything that libbpf said during the last load. */
static const char *captured(void)
{
	return capture ? capture : "";
}

static libbpf_print_fn_t capture_begin(void)
{
	free(capture);
	capture = NULL;
	capture_len = 0;
	capturing = true;
	return libbpf_set_print(capture_print);
}

static void capture_end(libbpf_print_fn_t before)
{
	capturing = false;
	libbpf_set_print(before);
}

/* Copies the line that ends before @end, without "libbpf: ", and returns where it begins. */
static const char *line_before(const char *begin, const char *end, char *line, size_t size)
{
	const char *start;

	while (end > begin && (end[-1] == '\n' || end[-1] == ' '))
		end--;
	start = end;
	while (start > begin && start[-1] != '\n')
		start--;
	if (!strncmp(start, "libbpf: ", 8))
		start += 8;
	snprintf(line, size, "%.*s", (int)(end - start), start);
	return start;
}

/* The verifier's verdict if there is a log of it, else libbpf's first complaint. */
static void capture_tell(char *telling, size_t size)
{
	const char *begin = captured();
	const char *end = strstr(begin, "-- END PROG LOAD LOG --");

	if (!end) {
		const char *nl = strchr(begin, '\n');

		line_before(begin, nl ? nl : begin + strlen(begin), telling, size);
		return;
	}
	while (end > begin && end[-1] != '\n')
		end--;
	do
		end = line_before(begin, end, telling, size);
	while (end > begin && (!strncmp(telling, "processed ", 10) || !telling[0]));
}

static int load_failed(int rc, const char *what, char *err, size_t errlen)
{
	char telling[256] = "";

	capture_tell(telling, sizeof(telling));
	if (rc == -EPERM && !strstr(captured(), "PROG LOAD LOG"))
		return sf_errtext(
			err, errlen, rc,
			"load of %s: not permitted (CAP_BPF and CAP_NET_ADMIN needed)%s%s", what,
			telling[0] ? ": " : "", telling);
	return sf_errtext(err, errlen, rc, "load of %s: %s%s%s", what, strerror(-rc),
			  telling[0] ? ": " : "", telling);
}

int sf_bpf_skeleton_load(struct bpf_object_skeleton *skel, char *err, size_t errlen)
{
	libbpf_print_fn_t before = capture_begin();
	int rc = bpf_object__load_skeleton(skel);

	capture_end(before);
	return rc ? load_failed(rc, skel->name, err, errlen) : 0;
}

int sf_bpf_object_load(struct bpf_object *obj, char *err, size_t errlen)
{
	libbpf_print_fn_t before = capture_begin();
	int rc = bpf_object__load(obj);

	capture_end(before);
	return rc ? load_failed(rc, bpf_object__name(obj), err, errlen) : 0;
}

/* ---- the pin directory ------------------------------------------------------------------ */

int sf_bpf_pin_path(const char *dir, const char *name, char path[PATH_MAX], char *err,
		    size_t errlen)
{
	size_t len = strlen(name);

	if (!len || len > SF_BPF_NAME_MAX || strpbrk(name, "./"))
		return sf_errtext(
			err, errlen, -EINVAL,
			"pin name \"%s\": expected 1 to %d characters without dot and slash", name,
			SF_BPF_NAME_MAX);
	if (snprintf(path, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		return sf_errtext(err, errlen, -ENAMETOOLONG, "pin path below %.64s...: too long",
				  dir);
	return 0;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static int mount_bpffs(const char *root, bool may_mount, char *err, size_t errlen)
{
	if (is_bpffs(root))
		return 0;
	if (!may_mount)
		return sf_errtext(err, errlen, -ENODEV,
				  "%s: expected a bpffs (mount -t bpf bpffs %s)", root, root);
	if (mkdir(root, 0700) && errno != EEXIST)
		return sf_errtext(err, errlen, -errno, "%s: %s", root, strerror(errno));
	/* A directory made inside of a bpffs is one, and needs no right to mount. */
	if (is_bpffs(root))
		return 0;
	if (mount("bpffs", root, "bpf", 0, "mode=0700"))
		return sf_errtext(err, errlen, -errno, "%s: cannot mount a bpffs: %s", root,
				  strerror(errno));
	return 0;
}

int sf_bpf_pindir_make(const char *root, const char *sub, bool may_mount, char *dir, size_t dirlen,
		       char *err, size_t errlen)
{
	char path[PATH_MAX];
	size_t at = strlen(root);
	int rc;

	if (!*sub || strchr(sub, '.'))
		return sf_errtext(err, errlen, -EINVAL,
				  "pin directory \"%s\": expected a name without dots", sub);
	if (snprintf(path, sizeof(path), "%s/%s", root, sub) >= (int)sizeof(path) ||
	    strlen(path) >= dirlen)
		return sf_errtext(err, errlen, -ENAMETOOLONG, "pin directory %s/%s: name too long",
				  root, sub);
	rc = mount_bpffs(root, may_mount, err, errlen);
	if (rc)
		return rc;
	for (char *slash = path + at; slash; slash = strchr(slash + 1, '/')) {
		char *next = strchr(slash + 1, '/');

		if (next)
			*next = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			return sf_errtext(err, errlen, -errno, "%s: cannot make directory: %s",
					  path, strerror(errno));
		if (next)
			*next = '/';
	}
	if (!is_bpffs(path))
		return sf_errtext(err, errlen, -ENODEV, "%s: not on a bpffs", path);
	snprintf(dir, dirlen, "%s", path);
	return 0;
}

int sf_bpf_pindir_lock(const char *dir, bool wait, char *err, size_t errlen)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return sf_errtext(err, errlen, -errno, "%s: %s", dir, strerror(errno));
	do
		rc = flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) ? -errno : 0;
	while (rc == -EINTR);
	if (rc) {
		close(fd);
		return sf_errtext(err, errlen, rc, "%s: %s", dir,
				  rc == -EWOULDBLOCK ? "another process is loading programs there"
						     : strerror(-rc));
	}
	return fd;
}

int sf_bpf_pindir_remove(const char *dir, char *err, size_t errlen)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	int rc = 0;

	if (!d)
		return errno == ENOENT
			       ? 0
			       : sf_errtext(err, errlen, -errno, "%s: %s", dir, strerror(errno));
	if (!is_bpffs(dir)) {
		closedir(d);
		return sf_errtext(err, errlen, -ENODEV, "%s: not on a bpffs", dir);
	}
	while ((entry = readdir(d))) {
		char path[PATH_MAX];

		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) < (int)sizeof(path))
			sf_bpf_pin_detach(path); /* at once; if not, then by unpinning */
		if (unlinkat(dirfd(d), entry->d_name, 0) && errno != ENOENT)
			rc = sf_errtext(err, errlen, -errno, "%s/%s: %s", dir, entry->d_name,
					strerror(errno));
	}
	closedir(d);
	if (!rc && rmdir(dir) && errno != ENOENT)
		rc = sf_errtext(err, errlen, -errno, "%s: %s", dir, strerror(errno));
	return rc;
}

int sf_bpf_unpin(const char *dir, const char *name)
{
	char path[PATH_MAX];
	int rc = sf_bpf_pin_path(dir, name, path, NULL, 0);

	if (rc)
		return rc;
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

/* ---- test runs -------------------------------------------------------------------------- */

int sf_bpf_prog_run(int prog_fd, struct sf_bpf_run *run)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = run->data, .data_size_in = run->data_len,
		    .data_out = run->out, .data_size_out = run->out ? run->out_len : 0,
		    .ctx_in = run->ctx, .ctx_size_in = run->ctx ? run->ctx_len : 0,
		    .ctx_out = run->ctx_out, .ctx_size_out = run->ctx_out ? run->ctx_out_len : 0,
		    .repeat = run->repeat > 1 ? (int)run->repeat : 1);
	int rc = bpf_prog_test_run_opts(prog_fd, &opts);

	if (rc)
		return rc;
	run->retval = opts.retval;
	run->duration_ns = opts.duration;
	if (run->out)
		run->out_len = opts.data_size_out;
	if (run->ctx_out)
		run->ctx_out_len = opts.ctx_size_out;
	return 0;
}
