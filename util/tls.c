// SPDX-License-Identifier: Apache-2.0
/*
 * tls.c - the TLS part of crypto.h: contexts for TLS 1.3, and nothing older.
 */
#include "util/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>
#include <unistd.h>

#include "util/errtext.h"

const char *sf_tls_error(char *buf, size_t len)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	if (reason)
		snprintf(buf, len, "%s", reason);
	else if (code)
		snprintf(buf, len, "error %08lx", code);
	else
		snprintf(buf, len, "unknown TLS error");
	ERR_clear_error();
	return buf;
}

/* OpenSSL's own words for an unreadable file do not say which. */
static int readable(const char *what, const char *path, char *err, size_t errlen)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return sf_errtext(err, errlen, -errno, "%s %s: %s", what, path, strerror(errno));
	close(fd);
	return 0;
}

static int no_password(char *buf, int size, int rwflag, void *ctx)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)ctx;
	return -1;
}

static int load_own(SSL_CTX *tls, const struct sf_tls_files *files, char *err, size_t errlen)
{
	char text[128];
	int rc;

	if (!files->cert || !files->key)
		return sf_errtext(err, errlen, -EINVAL,
				  "TLS: expected both a certificate and its key, found only the %s",
				  files->cert ? "certificate" : "key");
	rc = readable("certificate", files->cert, err, errlen);
	if (!rc)
		rc = readable("private key", files->key, err, errlen);
	if (rc)
		return rc;
	if (SSL_CTX_use_certificate_chain_file(tls, files->cert) != 1)
		return sf_errtext(err, errlen, -EINVAL,
				  "certificate %s: expected a certificate in PEM form (%s)",
				  files->cert, sf_tls_error(text, sizeof(text)));
	if (SSL_CTX_use_PrivateKey_file(tls, files->key, SSL_FILETYPE_PEM) != 1) {
		unsigned long code = ERR_peek_last_error();

		/* The certificate is there already, so OpenSSL compares at once. */
		if (ERR_GET_LIB(code) == ERR_LIB_X509) {
			ERR_clear_error();
			return sf_errtext(err, errlen, -EINVAL,
					  "private key %s does not belong to certificate %s",
					  files->key, files->cert);
		}
		return sf_errtext(err, errlen, -EINVAL,
				  "private key %s: expected an unencrypted key in PEM form (%s)",
				  files->key, sf_tls_error(text, sizeof(text)));
	}
	return 0;
}

static int load_ca(SSL_CTX *tls, const char *ca, char *err, size_t errlen)
{
	char text[128];
	int rc = readable("CA", ca, err, errlen);

	if (rc)
		return rc;
	if (SSL_CTX_load_verify_file(tls, ca) != 1)
		return sf_errtext(err, errlen, -EINVAL,
				  "CA %s: expected certificates in PEM form (%s)", ca,
				  sf_tls_error(text, sizeof(text)));
	return 0;
}

static int tls_new(const SSL_METHOD *method, const struct sf_tls_files *files, bool verify,
		   SSL_CTX **out, char *err, size_t errlen)
{
	SSL_CTX *tls = SSL_CTX_new(method);
	int rc = 0;

	ERR_clear_error();
	if (!tls)
		return sf_errtext(err, errlen, -ENOMEM, "TLS: no memory");
	SSL_CTX_set_default_passwd_cb(tls, no_password);
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	if (!SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION))
		rc = sf_errtext(err, errlen, -EOPNOTSUPP, "TLS: this OpenSSL has no TLS 1.3");
	if (!rc && (files->cert || files->key))
		rc = load_own(tls, files, err, errlen);
	if (!rc && files->ca)
		rc = load_ca(tls, files->ca, err, errlen);
	if (rc) {
		SSL_CTX_free(tls);
		return rc;
	}
	SSL_CTX_set_verify(
		tls, verify ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE,
		NULL);
	*out = tls;
	return 0;
}

int sf_tls_server(const struct sf_tls_files *files, SSL_CTX **out, char *err, size_t errlen)
{
	int rc;

	if (!files->cert || !files->key)
		return sf_errtext(err, errlen, -EINVAL,
				  "TLS: a server needs a certificate and its key");
	rc = tls_new(TLS_server_method(), files, files->ca != NULL, out, err, errlen);
	if (rc)
		return rc;
	/* Every connection proves itself: no tickets, no sessions to come back with. */
	SSL_CTX_set_num_tickets(*out, 0);
	SSL_CTX_set_session_cache_mode(*out, SSL_SESS_CACHE_OFF);
	return 0;
}

int sf_tls_client(const struct sf_tls_files *files, SSL_CTX **out, char *err, size_t errlen)
{
	if (!files->ca)
		return sf_errtext(err, errlen, -EINVAL,
				  "TLS: a client needs the CA that it trusts");
	return tls_new(TLS_client_method(), files, true, out, err, errlen);
}

void sf_tls_free(SSL_CTX *tls)
{
	SSL_CTX_free(tls);
}
