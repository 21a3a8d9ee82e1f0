// SPDX-License-Identifier: Apache-2.0
/*
 * tls.c - the TLS part of crypto.h: contexts for TLS 1.3, and nothing older.
 */
#include "util/crypto.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/errtext.h"
#include "util/text.h"

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

/* ---- files ------------------------------------------------------------------------------ */

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

/* ---- who the peer is -------------------------------------------------------------------- */

#define REFUSAL_LEN 600

static pthread_once_t refusal_once = PTHREAD_ONCE_INIT;
static int refusal_index = -1; /* of each SSL's text */

static void refusal_free(void *parent, void *text, CRYPTO_EX_DATA *ad, int index, long argl,
			 void *argp)
{
	(void)parent;
	(void)ad;
	(void)index;
	(void)argl;
	(void)argp;
	free(text);
}

static void refusal_init(void)
{
	refusal_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, refusal_free);
}

/* One subjectAltName as "DNS:name" or "IP:address"; others are of no use here. */
static bool name_print(const GENERAL_NAME *name, char *buf, size_t len)
{
	const ASN1_OCTET_STRING *ip = name->d.iPAddress;
	char address[INET6_ADDRSTRLEN];

	if (name->type == GEN_DNS) {
		snprintf(buf, len, "DNS:%.*s", ASN1_STRING_length(name->d.dNSName),
			 (const char *)ASN1_STRING_get0_data(name->d.dNSName));
		return true;
	}
	if (name->type != GEN_IPADD ||
	    (ASN1_STRING_length(ip) != 4 && ASN1_STRING_length(ip) != 16))
		return false;
	inet_ntop(ASN1_STRING_length(ip) == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(ip),
		  address, sizeof(address));
	snprintf(buf, len, "IP:%s", address);
	return true;
}

/* "for DNS:a, IP:::1", or that it has no such name. */
static void names_print(const X509 *cert, char *buf, size_t len)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	char one[280], cn[65] = "";
	size_t at = 0;

	buf[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && at < len; i++)
		if (name_print(sk_GENERAL_NAME_value(names, i), one, sizeof(one)))
			at += (size_t)snprintf(buf + at, len - at, "%s%s", at ? ", " : "is for ",
					       one);
	GENERAL_NAMES_free(names);
	if (at)
		return;
	if (X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn,
				      sizeof(cn)) <= 0)
		cn[0] = '\0';
	snprintf(buf, len,
		 "names no host and no address (subjectAltName; its common name '%s' "
		 "does not count)",
		 cn);
}

int sf_cert_dates(const X509 *cert, char *buf, size_t len)
{
	const ASN1_TIME *from = X509_get0_notBefore(cert), *to = X509_get0_notAfter(cert);
	bool early = X509_cmp_current_time(from) > 0, late = X509_cmp_current_time(to) < 0;
	char when[40];
	struct tm tm;

	if (!early && !late)
		return 0;
	if (!ASN1_TIME_to_tm(late ? to : from, &tm) ||
	    !strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm))
		snprintf(when, sizeof(when), "?");
	snprintf(buf, len, late ? "expired at %s" : "is valid only from %s on", when);
	return -EKEYEXPIRED;
}

/* What sf_tls_expect() asked for. */
static void expected_print(SSL *ssl, char *buf, size_t len)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	const char *host = X509_VERIFY_PARAM_get0_host(param, 0);
	char *ip = host ? NULL : X509_VERIFY_PARAM_get1_ip_asc(param), text[INET6_ADDRSTRLEN];
	struct in6_addr addr;

	/* OpenSSL does not shorten zeros. */
	if (ip && inet_pton(AF_INET6, ip, &addr) == 1)
		snprintf(buf, len, "%s", inet_ntop(AF_INET6, &addr, text, sizeof(text)));
	else
		snprintf(buf, len, "%s", host ? host : ip ? ip : "?");
	OPENSSL_free(ip);
}

static void refusal_print(X509_STORE_CTX *store, SSL *ssl, char *text, size_t len)
{
	const X509 *cert = X509_STORE_CTX_get_current_cert(store);
	int code = X509_STORE_CTX_get_error(store);
	char names[280], other[256];

	if (cert &&
	    (code == X509_V_ERR_HOSTNAME_MISMATCH || code == X509_V_ERR_IP_ADDRESS_MISMATCH)) {
		names_print(cert, names, sizeof(names));
		expected_print(ssl, other, sizeof(other));
		snprintf(text, len, "it %s, expected %s", names, other);
	} else if (cert && sf_cert_dates(cert, other, sizeof(other))) {
		snprintf(text, len, "it %s", other);
	} else {
		snprintf(text, len, "%s", X509_verify_cert_error_string(code));
	}
	/* What strangers write into certificates goes to logs and terminals. */
	sf_text_take(text, len, text, len);
}

/* Only keeps the reason: OpenSSL has the certificate no more when the handshake has failed. */
static int on_verify(int good, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	char *text;

	if (good || !ssl || SSL_get_ex_data(ssl, refusal_index))
		return good;
	text = malloc(REFUSAL_LEN);
	if (text)
		refusal_print(store, ssl, text, REFUSAL_LEN);
	if (text && !SSL_set_ex_data(ssl, refusal_index, text))
		free(text);
	return good;
}

const char *sf_tls_refusal(const SSL *ssl)
{
	return SSL_get_ex_data(ssl, refusal_index);
}

static bool is_address(const char *name)
{
	struct in6_addr ip;

	return inet_pton(AF_INET6, name, &ip) == 1 || inet_pton(AF_INET, name, &ip) == 1;
}

bool sf_tls_is_name(const char *name)
{
	size_t len = strlen(name);

	if (is_address(name))
		return true;
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
			return false;
	return len > 0 && len < 254 && name[0] != '.';
}

int sf_tls_expect(SSL *ssl, const char *name)
{
	if (!sf_tls_is_name(name))
		return -EINVAL;
	if (is_address(name))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) ? 0 : -ENOMEM;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
				       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) && SSL_set_tlsext_host_name(ssl, name) ? 0 : -ENOMEM;
}

/* ---- contexts --------------------------------------------------------------------------- */

static int tls_new(const SSL_METHOD *method, const struct sf_tls_files *files, bool verify,
		   SSL_CTX **out, char *err, size_t errlen)
{
	SSL_CTX *tls = SSL_CTX_new(method);
	int rc = 0;

	ERR_clear_error();
	pthread_once(&refusal_once, refusal_init);
	if (!tls)
		return sf_errtext(err, errlen, -ENOMEM, "TLS: no memory");
	SSL_CTX_set_default_passwd_cb_userdata(tls, ""); /* the password: nobody is asked */
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
		on_verify);
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
