// SPDX-License-Identifier: Apache-2.0
/* check.c - see check.h. */
#include "util/check.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/conf.h"
#include "util/file.h"
#include "util/http.h"

#define PEM_LIMIT (1u << 20)

void sf_check_say(struct sf_check *k, const char *key, const char *fmt, ...)
{
	char what[1024], line[PATH_MAX + 1200];
	unsigned int number = k->file && key ? sf_conf_line(k->file, k->section, key) : 0;
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	if (number)
		snprintf(line, sizeof(line), "%s:%u: %s: %s", k->file, number, key, what);
	else
		snprintf(line, sizeof(line), "%s%s%s%s%s", k->file && key ? k->file : "",
			 k->file && key ? ": " : "", key ? key : "", key ? ": " : "", what);
	k->findings++;
	k->say(line);
}

/* ---- files ------------------------------------------------------------------------------ */

/* Bits of its mode that a file with a secret may not have. */
static void mode_check(struct sf_check *k, const char *key, const char *path, mode_t refused,
		       const char *expected)
{
	struct stat st;

	if (!stat(path, &st) && (st.st_mode & refused))
		sf_check_say(k, key, "%s: others may read it (mode %04o), expected %s", path,
			     st.st_mode & 07777, expected);
}

/* A regular file: the others block, or never end. */
static int whole_read(struct sf_check *k, const char *key, const char *path, char **text,
		      size_t *len)
{
	struct stat st;
	int r = stat(path, &st) ? -errno : 0;

	if (!r && !S_ISREG(st.st_mode)) {
		sf_check_say(k, key, "%s: expected a file", path);
		return -EINVAL;
	}
	if (!r)
		r = sf_file_read(path, PEM_LIMIT, text, len);
	if (r)
		sf_check_say(k, key, "%s: %s", path, strerror(-r));
	return r;
}

static BIO *pem_open(struct sf_check *k, const char *key, const char *path)
{
	char *text = NULL;
	size_t len = 0;
	BIO *bio;

	if (whole_read(k, key, path, &text, &len))
		return NULL;
	bio = BIO_new(BIO_s_secmem()); /* keeps a copy, and cleanses it */
	if (bio && len && BIO_write(bio, text, (int)len) != (int)len) {
		BIO_free(bio);
		bio = NULL;
	}
	sf_cleanse(text, len);
	free(text);
	if (!bio)
		sf_check_say(k, key, "%s: out of memory", path);
	return bio;
}

/* ---- certificates ----------------------------------------------------------------------- */

/* All certificates of a file. Return: the first, to be freed; NULL where there is none. */
static X509 *certs_check(struct sf_check *k, const char *key, const char *path)
{
	BIO *bio = pem_open(k, key, path);
	char which[40] = "", dates[80], why[128];
	X509 *first = NULL, *cert;
	unsigned int n = 0;

	if (!bio)
		return NULL;
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		if (++n > 1)
			snprintf(which, sizeof(which), "certificate %u in it ", n);
		if (sf_cert_dates(cert, dates, sizeof(dates)))
			sf_check_say(k, key, "%s: %s%s", path, which, dates);
		if (first)
			X509_free(cert);
		else
			first = cert;
	}
	if (!first || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		sf_check_say(k, key, "%s: expected certificates in PEM form (%s)", path,
			     sf_tls_error(why, sizeof(why)));
	ERR_clear_error();
	BIO_free(bio);
	return first;
}

static bool has_name(const X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		int type = sk_GENERAL_NAME_value(names, i)->type;

		found = found || type == GEN_DNS || type == GEN_IPADD;
	}
	GENERAL_NAMES_free(names);
	return found;
}

static void use_check(struct sf_check *k, const char *path, X509 *cert, bool server)
{
	if (!X509_check_purpose(cert, server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT,
				0))
		sf_check_say(k, "tls_cert",
			     "%s: its extensions (keyUsage, extendedKeyUsage) do "
			     "not let a %s use it",
			     path, server ? "server" : "client");
	if (server && !has_name(cert))
		sf_check_say(k, "tls_cert",
			     "%s: names no host and no address: expected a subjectAltName with "
			     "those by which it is called, such as IP:2001:db8::1",
			     path);
}

static void key_check(struct sf_check *k, const char *path, const char *cert_path, X509 *cert)
{
	BIO *bio = pem_open(k, "tls_key", path);
	EVP_PKEY *pair;
	char why[128];

	if (!bio)
		return;
	mode_check(k, "tls_key", path, S_IRWXO, "0600");
	pair = PEM_read_bio_PrivateKey(bio, NULL, NULL, ""); /* the password: nobody is asked */
	if (!pair)
		sf_check_say(k, "tls_key", "%s: expected an unencrypted key in PEM form (%s)", path,
			     sf_tls_error(why, sizeof(why)));
	else if (cert && X509_check_private_key(cert, pair) != 1)
		sf_check_say(k, "tls_key", "%s: does not belong to certificate %s", path,
			     cert_path);
	ERR_clear_error();
	EVP_PKEY_free(pair);
	BIO_free(bio);
}

void sf_check_tls(struct sf_check *k, const struct sf_tls_files *files, bool server)
{
	X509 *cert = NULL;

	ERR_clear_error();
	if (files->cert && *files->cert)
		cert = certs_check(k, "tls_cert", files->cert);
	if (cert)
		use_check(k, files->cert, cert, server);
	if (files->key && *files->key)
		key_check(k, files->key, files->cert, cert);
	X509_free(cert);
	if (files->ca && *files->ca)
		X509_free(certs_check(k, "tls_ca", files->ca));
}

/* ---- tokens, identities, groups --------------------------------------------------------- */

void sf_check_token(struct sf_check *k, const char *key, const char *path)
{
	char *text = NULL;
	size_t len = 0;

	if (whole_read(k, key, path, &text, &len))
		return;
	mode_check(k, key, path, S_IRWXG | S_IRWXO, "0600");
	if (strcspn(text, "\r\n") < SF_HTTP_TOKEN_MIN)
		sf_check_say(k, key,
			     "%s: expected a token of at least %d characters in the first "
			     "line, found %zu",
			     path, SF_HTTP_TOKEN_MIN, strcspn(text, "\r\n"));
	sf_cleanse(text, len);
	free(text);
}

void sf_check_identity(struct sf_check *k, const char *state, const char *name)
{
	struct sf_sign_key *key = NULL;
	char path[PATH_MAX], why[PATH_MAX + 200];
	int r;

	if (snprintf(path, sizeof(path), "%s/%s", state, name) >= PATH_MAX)
		return; /* the start says so */
	r = sf_sign_key_load(path, &key, why, sizeof(why));
	if (r && r != -ENOENT)
		sf_check_say(k, NULL, "%s", why);
	sf_sign_key_free(key);
}

void sf_check_group(struct sf_check *k, const char *group)
{
	if (*group && strcmp(group, SF_SOCKET_GROUP) != 0 && !getgrnam(group))
		sf_check_say(k, "socket_group", "got '%s', expected a group that there is", group);
}
