// SPDX-License-Identifier: Apache-2.0
/* util/log: what reaches stderr, in a terminal's and in the journal's form. */
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

#include "util/log.h"

static int pipes[2], saved_stderr;
static char text[8192];

static void begin(void)
{
	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	saved_stderr = dup(2);
	dup2(pipes[1], 2);
}

static const char *end(void)
{
	ssize_t n = read(pipes[0], text, sizeof(text) - 1);

	dup2(saved_stderr, 2);
	close(saved_stderr);
	close(pipes[0]);
	close(pipes[1]);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void lines_name_program_and_level(void **state)
{
	const char *line;
	int y, mo, d, h, mi, s, ms, pid, used = 0;

	unsetenv("JOURNAL_STREAM");
	sf_log_open("testd", SF_LOG_INFO);
	begin();
	errno = ENOENT;
	sf_warn("link %s: %m\nforged", "eth0");
	assert_int_equal(errno, ENOENT);
	line = end();
	assert_int_equal(sscanf(line, "%d-%d-%d %d:%d:%d.%d testd[%d] %n", &y, &mo, &d, &h, &mi, &s,
				&ms, &pid, &used),
			 8);
	assert_int_equal(pid, getpid());
	assert_string_equal(line + used, "warn: link eth0: No such file or directory?forged\n");
}

static void levels_filter(void **state)
{
	int evaluated = 0;

	begin();
	sf_log_set_level(SF_LOG_WARN);
	sf_info("unseen");
	sf_debug("unseen %d", ++evaluated);
	assert_string_equal(end(), "");
	assert_int_equal(evaluated, 0);
	assert_false(sf_log_enabled(SF_LOG_INFO));
	sf_log_set_level(SF_LOG_DEBUG);
	begin();
	sf_debug("seen %d", ++evaluated);
	assert_non_null(strstr(end(), "debug: seen 1\n"));
}

static void journal_gets_priorities(void **state)
{
	char stream[64];
	struct stat st;

	sf_log_set_level(SF_LOG_DEBUG);
	begin();
	assert_int_equal(fstat(2, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	sf_error("a");
	sf_warn("b");
	sf_info("c");
	sf_debug("d");
	assert_string_equal(end(), "<3>a\n<4>b\n<6>c\n<7>d\n");
	/* Inherited by a child whose stderr is another one. */
	begin();
	setenv("JOURNAL_STREAM", "1:1", 1);
	sf_error("a");
	assert_null(strstr(end(), "<3>"));
	begin();
	assert_int_equal(fstat(2, &st), 0);
	snprintf(stream, sizeof(stream), "1:%llu", (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	sf_error("a");
	assert_null(strstr(end(), "<3>"));
	unsetenv("JOURNAL_STREAM");
}

static void long_lines_are_cut(void **state)
{
	char big[4096];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	begin();
	sf_info("%s", big);
	end();
	assert_int_equal(strlen(text), 2047);
	assert_int_equal(text[2046], '\n');
	assert_int_equal(text[2045], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_name_program_and_level),
		cmocka_unit_test(levels_filter),
		cmocka_unit_test(journal_gets_priorities),
		cmocka_unit_test(long_lines_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
