// SPDX-License-Identifier: Apache-2.0
/* certs.c - certificates of a lab, by OpenSSL; see certs.h. X.509 v3: RFC 5280; Ed25519: RFC 8410.
 */
#include "lab/certs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "util/crypto.h"
#include "util/errtext.h"
#include "util/file.h"

#define TEN_YEARS (10L * 365 * 24 * 3600)
#define AN_HOUR	  3600L /* before now: clocks of others */

static int extension_add(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	int ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	return ok ? 0 : -EIO;
}

/* A certificate of @key under the name @cn. @san NULL: an authority's, signed by itself. */
static X509 *cert_make(EVP_PKEY *key, const char *cn, const char *san, X509 *issuer,
		       EVP_PKEY *issuer_key)
{
	X509 *cert = X509_new();
	unsigned char serial[16];
	BIGNUM *number = NULL;
	int r = -EIO;

	if (!cert || sf_random(serial, sizeof(serial)))
		goto out;
	serial[0] &= 0x7f; /* positive */
	number = BN_bin2bn(serial, sizeof(serial), NULL);
	if (!number || !BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) ||
	    !X509_set_version(cert, X509_VERSION_3) || !X509_set_pubkey(cert, key) ||
	    !X509_gmtime_adj(X509_getm_notBefore(cert), -AN_HOUR) ||
	    !X509_gmtime_adj(X509_getm_notAfter(cert), TEN_YEARS) ||
	    !X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
					(const unsigned char *)cn, -1, -1, 0) ||
	    !X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert)))
		goto out;
	if (issuer) {
		if (extension_add(cert, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
		    extension_add(cert, issuer, NID_key_usage, "critical,digitalSignature") ||
		    extension_add(cert, issuer, NID_ext_key_usage, "serverAuth,clientAuth") ||
		    extension_add(cert, issuer, NID_subject_alt_name, san))
			goto out;
	} else if (extension_add(cert, cert, NID_basic_constraints, "critical,CA:TRUE") ||
		   extension_add(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
		   extension_add(cert, cert, NID_subject_key_identifier, "hash")) {
		goto out;
	}
	/* Ed25519 has its own digest. */
	r = X509_sign(cert, issuer ? issuer_key : key, NULL) > 0 ? 0 : -EIO;
out:
	BN_free(number);
	if (r) {
		X509_free(cert);
		cert = NULL;
	}
	return cert;
}

/* Writes what PEM_write_bio_* put into @bio. */
static int bio_store(BIO *bio, const char *dir, const char *name, const char *suffix,
		     unsigned int mode, char *err, size_t err_len)
{
	char path[PATH_MAX], *data;
	long len = BIO_get_mem_data(bio, &data);
	int r = -ENAMETOOLONG;

	if (snprintf(path, sizeof(path), "%s/%s%s", dir, name, suffix) < PATH_MAX)
		r = sf_file_write(path, data, (size_t)len, mode);
	return r ? sf_errtext(err, err_len, r, "%s: %s", path, strerror(-r)) : 0;
}

static int pem_store(const char *dir, const char *name, X509 *cert, EVP_PKEY *key, char *err,
		     size_t err_len)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	int r = -ENOMEM;

	if (bio && PEM_write_bio_X509(bio, cert))
		r = bio_store(bio, dir, name, ".pem", 0644, err, err_len);
	if (!r && key) {
		(void)BIO_reset(bio);
		r = PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
			    ? bio_store(bio, dir, name, ".key", 0600, err, err_len)
			    : -ENOMEM;
	}
	BIO_free(bio);
	return r;
}

static int one_make(const char *dir, const struct sf_cert_name *who, X509 *ca, EVP_PKEY *ca_key,
		    char *err, size_t err_len)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	char why[256], san[300], address[INET6_ADDRSTRLEN];
	X509 *cert;
	int r;

	snprintf(san, sizeof(san), "DNS:%s,IP:%s", who->name,
		 inet_ntop(AF_INET6, &who->address, address, sizeof(address)));
	cert = key ? cert_make(key, who->name, san, ca, ca_key) : NULL;
	if (cert)
		r = pem_store(dir, who->name, cert, key, err, err_len);
	else
		r = sf_errtext(err, err_len, -EIO, "certificate of %s: %s", who->name,
			       sf_tls_error(why, sizeof(why)));
	X509_free(cert);
	EVP_PKEY_free(key);
	return r;
}

int sf_certs_make(const char *dir, const struct sf_cert_name *names, size_t n, char *err,
		  size_t err_len)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *ca = key ? cert_make(key, "SCAFFOLD lab", NULL, NULL, NULL) : NULL;
	char why[256];
	int r = sf_mkdir_p(dir, 0700);

	if (r)
		sf_errtext(err, err_len, r, "%s: %s", dir, strerror(-r));
	else if (!ca)
		r = sf_errtext(err, err_len, -EIO, "certificate authority: %s",
			       sf_tls_error(why, sizeof(why)));
	else
		r = pem_store(dir, "ca", ca, NULL, err, err_len);
	for (size_t i = 0; i < n && !r; i++)
		r = one_make(dir, &names[i], ca, key, err, err_len);
	X509_free(ca);
	EVP_PKEY_free(key);
	return r;
}
