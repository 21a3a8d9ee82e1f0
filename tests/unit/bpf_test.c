// SPDX-License-Identifier: Apache-2.0
/* bpf_test.c - util/bpf.h against the running kernel: pin directory, loading, test runs, probes. */
#include "tests/unit/bpf_fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_pindir(void **state)
{
	char out[256] = "untouched", other[128], tiny[4];
	int lock, fd;

	assert_int_equal(sf_bpf_pindir_make(root, "a.b", false, out, sizeof(out), err, 512),
			 -EINVAL);
	assert_int_equal(sf_bpf_pindir_make(root, "", false, out, sizeof(out), err, 512), -EINVAL);
	assert_int_equal(sf_bpf_pindir_make(root, "sf", false, tiny, sizeof(tiny), err, 512),
			 -ENAMETOOLONG);
	snprintf(other, sizeof(other), "%s/plain", tmp);
	assert_int_equal(sf_bpf_pindir_make(other, "x", false, out, sizeof(out), err, 512),
			 -ENODEV);
	assert_non_null(strstr(err, "bpffs"));
	assert_string_equal(out, "untouched");
	assert_int_equal(sf_bpf_pindir_remove(tmp, err, sizeof(err)), -ENODEV);

	lock = sf_bpf_pindir_lock(dir, false, err, sizeof(err));
	assert_true(lock >= 0);
	assert_int_equal(sf_bpf_pindir_lock(dir, false, err, sizeof(err)), -EWOULDBLOCK);
	close(lock);
	fd = sf_bpf_pindir_lock(dir, false, err, sizeof(err));
	assert_true(fd >= 0);
	close(fd);

	assert_int_equal(sf_bpf_pindir_remove(dir, err, sizeof(err)), 0);
	assert_int_equal(sf_bpf_pindir_remove(dir, err, sizeof(err)), 0);
	assert_int_equal(sf_bpf_pindir_lock(dir, false, err, sizeof(err)), -ENOENT);
}

static void test_load_error(void **state)
{
	struct bpf_object *object = variant(V_SLOT(0) " -DBROKEN");

	assert_true(sf_bpf_object_load(object, err, sizeof(err)) < 0);
	if (!strstr(err, "dereference of modified ctx"))
		fail_msg("verdict missing in: %s", err);
	bpf_object__close(object);
}

static void test_run(void **state)
{
	struct bpf_object *object = loaded(V_SLOT(1));
	uint8_t packet[64] = { [12] = 0x86, [13] = 0xdd }, out[64], tiny[8];
	struct sf_bpf_run run = { .data = packet,
				  .data_len = sizeof(packet),
				  .out = out,
				  .out_len = sizeof(out),
				  .repeat = 10 };

	assert_int_equal(sf_bpf_prog_run(prog_of(object, "cls"), &run), 0);
	assert_int_equal((int32_t)run.retval, -1);
	assert_int_equal(run.out_len, sizeof(packet));
	assert_memory_equal(packet, out, sizeof(out));
	assert_int_equal(counted(1), 10);
	run.out = tiny;
	run.out_len = sizeof(tiny);
	assert_int_equal(sf_bpf_prog_run(prog_of(object, "cls"), &run), -ENOSPC);
	run = (struct sf_bpf_run){ .data = packet, .data_len = 4 };
	assert_int_equal(sf_bpf_prog_run(prog_of(object, "cls"), &run), -EINVAL);
	bpf_object__close(object);
}

static void test_probe(void **state)
{
	struct sf_bpf_feature table[SF_BPF_FEATURES];
	size_t n = sf_bpf_probe(table, SF_BPF_FEATURES);

	assert_true(n > 20);
	for (size_t i = 0; i < n; i++) {
		assert_true(strlen(table[i].found) > 0);
		print_message("%-20s %3d %s\n", table[i].name, table[i].status, table[i].found);
	}
	assert_int_equal(sf_bpf_probe_missing(table, n, err, sizeof(err)), 0);
	table[3].status = -EOPNOTSUPP;
	assert_int_equal(sf_bpf_probe_missing(table, n, err, sizeof(err)), -EOPNOTSUPP);
	assert_non_null(strstr(err, table[3].name));
	assert_int_equal(sf_bpf_probe(table, 3), 3);
}

static void test_probe_unprivileged(void **state)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct sf_bpf_feature table[SF_BPF_FEATURES];
		size_t n;

		if (setgid(65534) || setuid(65534))
			_exit(1);
		n = sf_bpf_probe(table, SF_BPF_FEATURES);
		if (sf_bpf_probe_missing(table, n, err, sizeof(err)) != -EPERM)
			_exit(2);
		_exit(strstr(err, "kernel lacks bpf") ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pindir, fresh),
		cmocka_unit_test_setup(test_load_error, fresh),
		cmocka_unit_test_setup(test_run, fresh),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_probe_unprivileged),
	};

	return BPF_MAIN(tests, "bpf_test");
}
