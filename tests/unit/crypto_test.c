// SPDX-License-Identifier: Apache-2.0
/*
 * crypto_test.c: util/crypto.h: known answers of the RFCs, files good and bad, TLS contexts.
 */
#include "util/crypto.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/pki.h"

static char tmp[] = "/tmp/sf-crypto-test-XXXXXX";
static char err[512];

static const char *at(const char *name)
{
	static char path[4][128];
	static unsigned n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", tmp, name);
	return path[n];
}

static void put(const char *name, const char *text, mode_t mode)
{
	FILE *f = fopen(at(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(at(name), mode), 0);
}

static size_t hex(const char *text, uint8_t *out)
{
	size_t n = 0;

	for (; text[0] && text[1]; text += 2) {
		unsigned byte;

		assert_int_equal(sscanf(text, "%2x", &byte), 1);
		out[n++] = (uint8_t)byte;
	}
	return n;
}

static void assert_hex(const uint8_t *found, const char *expected)
{
	uint8_t bytes[256];
	size_t n = hex(expected, bytes);

	assert_memory_equal(found, bytes, n);
}

static int setup(void **state)
{
	return mkdtemp(tmp) ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -r %s", tmp);
	return system(cmd);
}

/* ---- hashes, MACs, randomness ----------------------------------------------------------- */

static void test_random(void **state)
{
	uint8_t a[1000] = { 0 }, b[1000] = { 0 };
	unsigned zeros = 0;

	assert_int_equal(sf_random(a, sizeof(a)), 0);
	assert_int_equal(sf_random(b, sizeof(b)), 0);
	assert_false(sf_equal(a, b, sizeof(a)));
	assert_true(sf_equal(a, a, sizeof(a)));
	b[999] = (uint8_t)(a[999] ^ 1);
	memcpy(b, a, 999);
	assert_false(sf_equal(a, b, 1000));
	assert_true(sf_equal(a, b, 999));
	for (unsigned i = 0; i < sizeof(a); i++)
		zeros += !a[i];
	assert_true(zeros < 100); /* all of it was filled */
	sf_cleanse(a, sizeof(a));
	for (unsigned i = 0; i < sizeof(a); i++)
		assert_int_equal(a[i], 0);
}

static void test_sha256(void **state)
{
	uint8_t plain[32], one[32], two[32], joined[32];

	/* FIPS 180-2, appendix B.1 */
	assert_int_equal(sf_sha256(NULL, "abc", 3, plain), 0);
	assert_hex(plain, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(sf_sha256("", NULL, 0, plain), 0);
	assert_hex(plain, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	/* The domain ends with its NUL: "ab" + "c" is not "a" + "bc" nor plain "ab\0c". */
	assert_int_equal(sf_sha256("ab", "c", 1, one), 0);
	assert_int_equal(sf_sha256("a", "bc", 2, two), 0);
	assert_memory_not_equal(one, two, 32);
	assert_int_equal(sf_sha256(NULL, "ab\0c", 4, joined), 0);
	assert_memory_equal(one, joined, 32);
}

static void test_mac(void **state)
{
	static const char text[] = "what do ya want for nothing?";
	struct sf_mac *mac = NULL, *rfc = NULL;
	uint8_t key[131], tag[16], again[16];

	assert_int_equal(sf_mac_new("short", 5, &mac), -EINVAL);
	assert_null(mac);
	/* RFC 4231, test cases 1 (20 bytes of 0x0b, "Hi There") and 6 (a key above the block). */
	memset(key, 0x0b, 20);
	assert_int_equal(sf_mac_new(key, 20, &rfc), 0);
	assert_int_equal(sf_mac_compute(rfc, "Hi There", 8, tag), 0);
	assert_hex(tag, "b0344c61d8db38535ca8afceaf0bf12b");
	memset(key, 0xaa, sizeof(key));
	assert_int_equal(sf_mac_new(key, sizeof(key), &mac), 0);
	assert_int_equal(sf_mac_compute(mac,
					"Test Using Larger Than Block-Size Key - Hash Key First",
					54, tag),
			 0);
	assert_hex(tag, "60e431591ee0b67f0d8a26aacbf5b77f");

	/* The object serves any number of messages. */
	assert_int_equal(sf_mac_compute(rfc, text, sizeof(text), tag), 0);
	assert_int_equal(sf_mac_compute(rfc, "", 0, again), 0);
	assert_memory_not_equal(tag, again, 16);
	assert_int_equal(sf_mac_compute(rfc, text, sizeof(text), again), 0);
	assert_memory_equal(tag, again, 16);
	assert_int_equal(sf_mac_check(rfc, text, sizeof(text), tag), 0);
	assert_int_equal(sf_mac_check(mac, text, sizeof(text), tag), -EBADMSG);
	assert_int_equal(sf_mac_check(rfc, text, sizeof(text) - 1, tag), -EBADMSG);
	for (unsigned bit = 0; bit < 128; bit++) {
		memcpy(again, tag, 16);
		again[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(sf_mac_check(rfc, text, sizeof(text), again), -EBADMSG);
	}
	sf_mac_free(mac);
	sf_mac_free(rfc);
	sf_mac_free(NULL);
}

static void test_hkdf(void **state)
{
	uint8_t ikm[22], salt[13], info[10], out[82], large[255 * 32];

	/* RFC 5869, test cases 1 and 3 */
	memset(ikm, 0x0b, sizeof(ikm));
	hex("000102030405060708090a0b0c", salt);
	hex("f0f1f2f3f4f5f6f7f8f9", info);
	assert_int_equal(sf_hkdf_sha256(ikm, 22, salt, 13, info, 10, out, 42), 0);
	assert_hex(out, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
			"34007208d5b887185865");
	assert_int_equal(sf_hkdf_sha256(ikm, 22, NULL, 0, NULL, 0, out, 42), 0);
	assert_hex(out, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
			"9d201395faa4b61a96c8");
	assert_int_equal(sf_hkdf_sha256(ikm, 22, NULL, 0, NULL, 0, large, sizeof(large)), 0);
	assert_int_equal(sf_hkdf_sha256(ikm, 22, NULL, 0, NULL, 0, large, sizeof(large) + 1),
			 -EINVAL);
	assert_int_equal(sf_hkdf_sha256(ikm, 22, NULL, 0, NULL, 0, large, 0), -EINVAL);
	assert_int_equal(sf_hkdf_sha256(ikm, 0, NULL, 0, NULL, 0, large, 1), -EINVAL);
}

/* ---- keys ------------------------------------------------------------------------------- */

/* RFC 8032, section 7.1, test 3, as a PKCS#8 file (RFC 8410). */
static const char rfc8032_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MC4CAQAwBQYDK2VwBCIEIMWqjfQ/n4N77bdELzHct7Fm04U1B28JS4XOOi4LRFj3\n"
	"-----END PRIVATE KEY-----\n";

static void test_sign_known(void **state)
{
	struct sf_sign_key *key = NULL;
	uint8_t pub[32], sig[64], msg[2] = { 0xaf, 0x82 };

	put("rfc.pem", rfc8032_pem, 0600);
	assert_int_equal(sf_sign_key_load(at("rfc.pem"), &key, err, sizeof(err)), 0);
	sf_sign_key_public(key, pub);
	assert_hex(pub, "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
	assert_int_equal(sf_sign(key, msg, 2, sig), 0);
	assert_hex(sig, "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
			"18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
	assert_int_equal(sf_verify(pub, msg, 2, sig), 0);
	sf_sign_key_free(key);
}

static void test_sign_rejects(void **state)
{
	struct sf_sign_key *key = NULL, *other = NULL;
	uint8_t pub[32], pub2[32], sig[64], bad[64];

	assert_int_equal(sf_sign_key_make(&key), 0);
	assert_int_equal(sf_sign_key_make(&other), 0);
	sf_sign_key_public(key, pub);
	sf_sign_key_public(other, pub2);
	assert_memory_not_equal(pub, pub2, 32);
	assert_int_equal(sf_sign(key, "message", 7, sig), 0);
	assert_int_equal(sf_verify(pub, "message", 7, sig), 0);
	assert_int_equal(sf_verify(pub, "messagf", 7, sig), -EKEYREJECTED);
	assert_int_equal(sf_verify(pub, "message", 6, sig), -EKEYREJECTED);
	assert_int_equal(sf_verify(pub2, "message", 7, sig), -EKEYREJECTED);
	for (unsigned i = 0; i < 64; i++) {
		memcpy(bad, sig, 64);
		bad[i] ^= 0x40;
		assert_int_equal(sf_verify(pub, "message", 7, bad), -EKEYREJECTED);
	}
	memset(pub2, 0xff, 32); /* no point of the curve */
	assert_int_equal(sf_verify(pub2, "message", 7, sig), -EKEYREJECTED);
	sf_sign_key_free(key);
	sf_sign_key_free(other);
	sf_sign_key_free(NULL);
}

static void test_key_files(void **state)
{
	struct sf_sign_key *one = NULL, *two = NULL;
	uint8_t a[32], b[32];
	struct stat st;
	bool made = false;

	assert_int_equal(sf_sign_key_obtain(at("host.key"), &one, &made, err, sizeof(err)), 0);
	assert_true(made);
	assert_int_equal(stat(at("host.key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(sf_sign_key_obtain(at("host.key"), &two, &made, err, sizeof(err)), 0);
	assert_false(made);
	sf_sign_key_public(one, a);
	sf_sign_key_public(two, b);
	assert_memory_equal(a, b, 32);
	/* Nothing is ever replaced, and nothing is left over. */
	assert_int_equal(sf_sign_key_store(one, at("host.key"), err, sizeof(err)), -EEXIST);
	assert_int_equal(system("test $(ls /tmp/sf-crypto-test-*/host.key* | wc -l) = 1"), 0);
	assert_int_equal(sf_sign_key_store(one, at("no/such/dir"), err, sizeof(err)), -ENOENT);
	assert_non_null(strstr(err, "no/such/dir"));
	sf_sign_key_free(one);
	sf_sign_key_free(two);
}

static void test_key_race(void **state)
{
	uint8_t keys[4][32];
	int pipes[4][2];

	for (int i = 0; i < 4; i++) {
		assert_int_equal(pipe(pipes[i]), 0);
		if (!fork()) {
			struct sf_sign_key *key;
			uint8_t pub[32];

			if (sf_sign_key_obtain(at("race.key"), &key, NULL, err, sizeof(err)))
				_exit(1);
			sf_sign_key_public(key, pub);
			_exit(write(pipes[i][1], pub, 32) != 32);
		}
		close(pipes[i][1]);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(read(pipes[i][0], keys[i], 32), 32);
		close(pipes[i][0]);
		assert_memory_equal(keys[i], keys[0], 32);
		wait(NULL);
	}
}

static void test_key_bad_files(void **state)
{
	struct sf_sign_key *key = (void *)1;
	static const char *const bad[] = {
		"",
		"no key at all\n",
		"-----BEGIN PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\n"
		"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
		"-----END PUBLIC KEY-----\n",
	};
	char cmd[512];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put("bad.key", bad[i], 0600);
		assert_int_equal(sf_sign_key_obtain(at("bad.key"), &key, NULL, err, sizeof(err)),
				 -EINVAL);
		assert_non_null(strstr(err, "bad.key"));
	}
	/* Another kind of key, an encrypted one, a readable one, none, a directory. */
	snprintf(cmd, sizeof(cmd),
		 "openssl genpkey -algorithm X25519 -out %s/x.key && chmod 600 %s/x.key && "
		 "openssl genpkey -algorithm ED25519 -aes256 -pass pass:secret -out %s/enc.key && "
		 "chmod 600 %s/enc.key",
		 tmp, tmp, tmp, tmp);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(sf_sign_key_load(at("x.key"), &key, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "X25519"));
	assert_int_equal(sf_sign_key_load(at("enc.key"), &key, err, sizeof(err)), -EINVAL);
	put("open.key", rfc8032_pem, 0644);
	assert_int_equal(sf_sign_key_load(at("open.key"), &key, err, sizeof(err)), -EACCES);
	assert_non_null(strstr(err, "0644"));
	assert_int_equal(sf_sign_key_load(at("absent.key"), &key, err, sizeof(err)), -ENOENT);
	assert_int_equal(sf_sign_key_load(tmp, &key, err, sizeof(err)), -EINVAL);
	assert_ptr_equal(key, (void *)1);
}

static void test_dh(void **state)
{
	struct sf_dh *a, *b;
	uint8_t pa[32], pb[32], sa[32], sb[32], low[32] = { 0 };

	assert_int_equal(sf_dh_make(&a), 0);
	assert_int_equal(sf_dh_make(&b), 0);
	sf_dh_public(a, pa);
	sf_dh_public(b, pb);
	assert_memory_not_equal(pa, pb, 32);
	assert_int_equal(sf_dh_shared(a, pb, sa), 0);
	assert_int_equal(sf_dh_shared(b, pa, sb), 0);
	assert_memory_equal(sa, sb, 32);
	/* Points of low order: 0 and 1 (RFC 7748, section 6.1). */
	assert_int_equal(sf_dh_shared(a, low, sb), -EPROTO);
	low[0] = 1;
	assert_int_equal(sf_dh_shared(a, low, sb), -EPROTO);
	assert_memory_equal(sa, sb, 32);
	sf_dh_free(a);
	sf_dh_free(b);
	sf_dh_free(NULL);
}

/* ---- TLS -------------------------------------------------------------------------------- */

static void test_tls_files(void **state)
{
	struct sf_tls_files good, files;
	SSL_CTX *tls = NULL;
	char cmd[512];

	pki_make(tmp);
	good = (struct sf_tls_files){ at("a.crt"), at("a.key"), at("ca.crt") };
	assert_int_equal(sf_tls_server(&good, &tls, err, sizeof(err)), 0);
	sf_tls_free(tls);
	assert_int_equal(sf_tls_client(&good, &tls, err, sizeof(err)), 0);
	sf_tls_free(tls);
	tls = NULL;
	put("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0600);

#define REFUSED(make, code, says)                                                        \
	do {                                                                             \
		assert_int_equal(make(&files, &tls, err, sizeof(err)), code);            \
		if (!strstr(err, says))                                                  \
			fail_msg("\"%s\" does not say \"%s\"", err, says);               \
		assert_null(tls);                                                        \
		files = (struct sf_tls_files){ at("a.crt"), at("a.key"), at("ca.crt") }; \
	} while (0)

	files = good;
	files.cert = at("none.crt");
	REFUSED(sf_tls_server, -ENOENT, "none.crt");
	files.key = at("none.key");
	REFUSED(sf_tls_server, -ENOENT, "none.key");
	/* Nobody is asked for its password. */
	snprintf(cmd, sizeof(cmd),
		 "openssl pkey -in %s/a.key -aes256 -passout pass:secret -out %s/locked.key", tmp,
		 tmp);
	assert_int_equal(system(cmd), 0);
	files.key = at("locked.key");
	REFUSED(sf_tls_server, -EINVAL, "locked.key");
	files.ca = at("none.ca");
	REFUSED(sf_tls_client, -ENOENT, "none.ca");
	files.cert = at("junk.pem");
	REFUSED(sf_tls_server, -EINVAL, "junk.pem");
	files.key = at("junk.pem");
	REFUSED(sf_tls_client, -EINVAL, "junk.pem");
	files.ca = at("junk.pem");
	REFUSED(sf_tls_client, -EINVAL, "junk.pem");
	files.key = at("b.key");
	REFUSED(sf_tls_server, -EINVAL, "does not belong to certificate");
	files.key = NULL;
	REFUSED(sf_tls_server, -EINVAL, "needs a certificate and its key");
	files.key = NULL;
	REFUSED(sf_tls_client, -EINVAL, "found only the certificate");
	files.ca = NULL;
	REFUSED(sf_tls_client, -EINVAL, "CA");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),	      cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_mac),	      cmocka_unit_test(test_hkdf),
		cmocka_unit_test(test_sign_known),    cmocka_unit_test(test_sign_rejects),
		cmocka_unit_test(test_key_files),     cmocka_unit_test(test_key_race),
		cmocka_unit_test(test_key_bad_files), cmocka_unit_test(test_dh),
		cmocka_unit_test(test_tls_files),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
