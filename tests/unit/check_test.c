// SPDX-License-Identifier: Apache-2.0
/* Tests of util/check.c: what a configuration names, good and bad, and where it says so. */
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/pki.h"
#include "util/check.h"

static char tmp[] = "/tmp/scaffold-check-test.XXXXXX";
static char conf[64];
static char told[4096];

static void say(const char *finding)
{
	size_t at = strlen(told);

	snprintf(told + at, sizeof(told) - at, "%s\n", finding);
}

static const char *at(const char *name)
{
	static char paths[8][64];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", tmp, name);
	return path;
}

static void put(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static struct sf_check fresh(void)
{
	told[0] = '\0';
	return (struct sf_check){ .file = conf, .section = "router", .say = say };
}

/* The findings about these files. */
static const char *tls(const char *cert, const char *key, const char *ca, bool server)
{
	struct sf_tls_files files = { at(cert), at(key), at(ca) };
	struct sf_check k = fresh();

	sf_check_tls(&k, &files, server);
	assert_int_equal(k.findings > 0, *told != '\0');
	return told;
}

#define SAYS(text, part)                                                 \
	do {                                                             \
		const char *said_ = (text);                              \
		if (!strstr(said_, part))                                \
			fail_msg("'%s' does not say '%s'", said_, part); \
	} while (0)

static void test_tls_good(void **state)
{
	assert_string_equal(tls("a.crt", "a.key", "ca.crt", true), "");
	assert_string_equal(tls("a.crt", "a.key", "ca.crt", false), "");
	/* Who connects needs no name. */
	assert_string_equal(tls("bare.crt", "bare.key", "ca.crt", false), "");
}

static void test_tls_bad(void **state)
{
	/* Lines of the file, as written by setup(). */
	SAYS(tls("none", "a.key", "ca.crt", false), ".conf:3: tls_cert: ");
	SAYS(told, "/none: No such file or directory\n");
	SAYS(tls("a.crt", "none", "ca.crt", false), ".conf:5: tls_key: ");
	SAYS(tls("a.crt", "a.key", "none", false), ".conf:6: tls_ca: ");
	SAYS(tls(".", "a.key", "ca.crt", false), "expected a file");
	SAYS(tls("a.crt", "b.key", "ca.crt", false), "b.key: does not belong to certificate ");
	SAYS(tls("old.crt", "old.key", "ca.crt", false), "old.crt: expired at 2");
	SAYS(tls("a.crt", "a.key", "old.crt", false), ".conf:6: tls_ca: ");
	SAYS(told, "old.crt: expired at 2");
	SAYS(tls("bare.crt", "bare.key", "ca.crt", true), "bare.crt: names no host and no address");
	SAYS(tls("a.key", "a.key", "ca.crt", false), "expected certificates in PEM form");
	SAYS(tls("a.crt", "a.crt", "ca.crt", false), "expected an unencrypted key in PEM form");
	SAYS(tls("junk", "a.key", "ca.crt", false), "junk: expected certificates in PEM form");
	SAYS(tls("half", "a.key", "ca.crt", false), "half: expected certificates in PEM form");
	SAYS(tls("client.crt", "client.key", "ca.crt", true), "do not let a server use it");
	assert_string_equal(tls("client.crt", "client.key", "ca.crt", false), "");
	chmod(at("a.key"), 0644);
	SAYS(tls("a.crt", "a.key", "ca.crt", false),
	     "a.key: others may read it (mode 0644), expected 0600");
	chmod(at("a.key"), 0600);
}

/* All that is wrong is told, not the first alone. */
static void test_tls_all(void **state)
{
	tls("old.crt", "b.key", "none", true);
	SAYS(told, "conf:3: ");
	SAYS(told, "conf:5: ");
	SAYS(told, "conf:6: ");
}

static const char *token(const char *name)
{
	struct sf_check k = fresh();

	sf_check_token(&k, "rest_token_file", at(name));
	return told;
}

static void test_token(void **state)
{
	put(at("token"), "0123456789abcdef\n", 0600);
	assert_string_equal(token("token"), "");
	put(at("token"), "0123456789abcdef\n", 0640);
	SAYS(token("token"), "others may read it (mode 0640), expected 0600");
	put(at("token"), "0123456789abcde\nf\n", 0600);
	SAYS(token("token"), "at least 16 characters in the first line, found 15");
	SAYS(token("none"), ".conf: rest_token_file: "); /* the file does not set it */
}

static void test_identity(void **state)
{
	struct sf_sign_key *key;
	struct sf_check k = fresh();
	char err[256];

	sf_check_identity(&k, tmp, "host.key"); /* none yet: the start makes it */
	assert_string_equal(told, "");
	assert_int_equal(sf_sign_key_make(&key), 0);
	assert_int_equal(sf_sign_key_store(key, at("host.key"), err, sizeof(err)), 0);
	sf_sign_key_free(key);
	sf_check_identity(&k, tmp, "host.key");
	assert_string_equal(told, "");
	chmod(at("host.key"), 0644);
	sf_check_identity(&k, tmp, "host.key");
	SAYS(told, "host.key");
	told[0] = '\0';
	put(at("host.key"), "nothing\n", 0600);
	sf_check_identity(&k, tmp, "host.key");
	SAYS(told, "host.key");
	assert_int_equal(k.findings, 2);
}

static void test_group(void **state)
{
	struct sf_check k = fresh();

	sf_check_group(&k, "");
	sf_check_group(&k, "scaffold"); /* the default need not be there */
	sf_check_group(&k, "root");
	assert_string_equal(told, "");
	sf_check_group(&k, "no-such-group");
	SAYS(told, ".conf:8: socket_group: got 'no-such-group', expected a group");
}

static int setup(void **state)
{
	char cmd[1024];

	if (!mkdtemp(tmp))
		return -1;
	pki_make(tmp);
	snprintf(conf, sizeof(conf), "%s/a.conf", tmp);
	put(conf,
	    "[host]\n[router]\n  tls_cert = x\n# tls_key = x\ntls_key: x\n\ttls_ca=x\n"
	    "; the end\nsocket_group = x\n[host]\ntls_cert = y\n",
	    0600);
	put(at("junk"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0600);
	snprintf(cmd, sizeof(cmd),
		 "cd %s && cat a.crt junk >half && "
		 "openssl req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=client "
		 "-addext extendedKeyUsage=clientAuth -addext subjectAltName=DNS:c "
		 "-keyout client.key -out client.crt 2>/dev/null",
		 tmp);
	return system(cmd);
}

static int teardown(void **state)
{
	char cmd[64];

	snprintf(cmd, sizeof(cmd), "rm -r %s", tmp);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tls_good), cmocka_unit_test(test_tls_bad),
		cmocka_unit_test(test_tls_all),	 cmocka_unit_test(test_token),
		cmocka_unit_test(test_identity), cmocka_unit_test(test_group),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
