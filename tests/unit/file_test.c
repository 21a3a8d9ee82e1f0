// SPDX-License-Identifier: Apache-2.0
/* util/file: directories, whole reads, atomic writes, sysctls. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/file.h"

static char dir[] = "/tmp/scaffold_file_test.XXXXXX";

static const char *in(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void directories(void **state)
{
	struct stat st;

	umask(077);
	assert_int_equal(sf_mkdir_p(in("a/b/c/"), 0750), 0);
	umask(022);
	assert_int_equal(stat(in("a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(sf_mkdir_p(in("a/b/c"), 0700), 0);
	assert_int_equal(stat(in("a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(sf_file_write(in("a/file"), "", 0, 0600), 0);
	assert_int_equal(sf_mkdir_p(in("a/file"), 0700), -ENOTDIR);
	assert_int_equal(sf_mkdir_p(in("a/file/b"), 0700), -ENOTDIR);
	assert_int_equal(sf_mkdir_p("", 0700), -EINVAL);
	unlink(in("a/file"));
	rmdir(in("a/b/c"));
	rmdir(in("a/b"));
	rmdir(in("a"));
}

static void write_then_read(void **state)
{
	char big[10000], *text = NULL;
	struct stat st;
	size_t len;

	memset(big, 'x', sizeof(big));
	assert_int_equal(sf_file_write(in("f"), "old", 3, 0600), 0);
	assert_int_equal(sf_file_write(in("f"), big, sizeof(big), 0664), 0);
	assert_int_equal(stat(in("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0664);
	assert_int_equal(sf_file_read(in("f"), sizeof(big), &text, &len), 0);
	assert_int_equal(len, sizeof(big));
	assert_memory_equal(text, big, len);
	assert_int_equal(text[len], 0);
	free(text);
	text = NULL;
	assert_int_equal(sf_file_read(in("f"), sizeof(big) - 1, &text, &len), -EFBIG);
	assert_null(text);
	assert_int_equal(sf_file_read(in("none"), 10, &text, &len), -ENOENT);
	assert_int_equal(sf_file_read(dir, 10, &text, &len), -EISDIR);
	assert_int_equal(sf_file_read("/proc/self/stat", 4096, &text, NULL), 0);
	assert_true(strlen(text) > 10);
	free(text);
	assert_int_equal(sf_file_swap(in("f"), "new", 3, 0640), 0);
	assert_int_equal(stat(in("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(sf_file_read(in("f"), 10, &text, NULL), 0);
	assert_string_equal(text, "new");
	free(text);
	assert_int_equal(sf_file_swap(in("no/such/f"), "x", 1, 0644), -ENOENT);
	unlink(in("f"));
}

/* Never over a file that is there, and the temporary one goes either way. */
static void create_replaces_nothing(void **state)
{
	char *text = NULL;
	struct stat st;

	assert_int_equal(sf_mkdir_p(in("c"), 0755), 0);
	assert_int_equal(sf_file_create(in("c/f"), "first", 5, 0640), 0);
	assert_int_equal(sf_file_create(in("c/f"), "second", 6, 0600), -EEXIST);
	assert_int_equal(stat(in("c/f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(sf_file_read(in("c/f"), 100, &text, NULL), 0);
	assert_string_equal(text, "first");
	free(text);
	assert_int_equal(unlink(in("c/f")), 0);
	assert_int_equal(rmdir(in("c")), 0);
}

/* A write that cannot be finished leaves what is there, and no temporary file. */
static void failed_write_changes_nothing(void **state)
{
	assert_int_equal(sf_mkdir_p(in("d/inner"), 0755), 0);
	assert_int_equal(sf_file_write(in("d/inner"), "x", 1, 0644), -EISDIR);
	assert_int_equal(rmdir(in("d/inner")), 0);
	assert_int_equal(rmdir(in("d")), 0);
	assert_int_equal(sf_file_write(in("no/such/f"), "x", 1, 0644), -ENOENT);
}

static void sysctls(void **state)
{
	char value[64], small[2];

	assert_int_equal(sf_sysctl_get("kernel/ostype", value, sizeof(value)), 0);
	assert_string_equal(value, "Linux");
	assert_int_equal(sf_sysctl_get("kernel/ostype", small, sizeof(small)), -ERANGE);
	assert_int_equal(sf_sysctl_get("no/such/key", value, sizeof(value)), -ENOENT);
	assert_int_equal(sf_sysctl_get("../../etc/passwd", value, sizeof(value)), -EINVAL);
	/* The value that it has already is not written: this key refuses every write. */
	assert_int_equal(sf_sysctl_set("kernel/ostype", "Linux", value, sizeof(value)), 0);
	assert_string_equal(value, "Linux");
	assert_int_not_equal(sf_sysctl_set("kernel/ostype", "Hurd", NULL, 0), 0);
	assert_int_equal(sf_sysctl_set_if6("a/b", "mtu", "1", NULL, 0), -EINVAL);
}

static int make_dir(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directories),
		cmocka_unit_test(write_then_read),
		cmocka_unit_test(create_replaces_nothing),
		cmocka_unit_test(failed_write_changes_nothing),
		cmocka_unit_test(sysctls),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
