// SPDX-License-Identifier: Apache-2.0
/*
 * crypto.c - see crypto.h. Hashes, MACs, keys; TLS is in tls.c.
 */
#include "util/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/errtext.h"
#include "util/file.h"

#define PEM_MAX 65536 /* no private key file is larger */

/* ---- randomness, comparison ------------------------------------------------------------- */

int sf_random(void *buf, size_t len)
{
	unsigned char *at = buf;
	size_t done = 0;

	while (done < len) {
		ssize_t n = getrandom(at + done, len - done, 0);

		if (n < 0 && errno != EINTR) {
			int rc = -errno;

			OPENSSL_cleanse(buf, len);
			return rc;
		}
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

bool sf_equal(const void *a, const void *b, size_t len)
{
	return !CRYPTO_memcmp(a, b, len);
}

void sf_cleanse(void *secret, size_t len)
{
	OPENSSL_cleanse(secret, len);
}

/* ---- hashes, MACs, derived keys --------------------------------------------------------- */

int sf_sha256(const char *domain, const void *data, size_t len, uint8_t out[SF_SHA256_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t md[SF_SHA256_LEN];
	int ok;

	if (!ctx)
		return -ENOMEM;
	ok = EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
	if (ok && domain && *domain) /* with its NUL, so that no domain is the prefix of another */
		ok = EVP_DigestUpdate(ctx, domain, strlen(domain) + 1);
	if (ok && len)
		ok = EVP_DigestUpdate(ctx, data, len);
	if (ok)
		ok = EVP_DigestFinal_ex(ctx, md, NULL);
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -EIO;
	memcpy(out, md, sizeof(md));
	OPENSSL_cleanse(md, sizeof(md));
	return 0;
}

int sf_hkdf_sha256(const void *secret, size_t secret_len, const void *salt, size_t salt_len,
		   const void *info, size_t info_len, void *out, size_t out_len)
{
	OSSL_PARAM params[5], *p = params;
	char digest[] = "SHA256";
	EVP_KDF_CTX *ctx;
	EVP_KDF *kdf;
	int ok;

	if (!secret_len || !out_len || out_len > 255ul * SF_SHA256_LEN)
		return -EINVAL;
	kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	EVP_KDF_free(kdf);
	if (!ctx)
		return -ENOMEM;
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret,
						 secret_len);
	if (salt_len)
		*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
							 (void *)(uintptr_t)salt, salt_len);
	if (info_len)
		*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO,
							 (void *)(uintptr_t)info, info_len);
	*p = OSSL_PARAM_construct_end();
	ok = EVP_KDF_derive(ctx, out, out_len, params);
	EVP_KDF_CTX_free(ctx);
	return ok > 0 ? 0 : -EIO;
}

struct sf_mac {
	EVP_MAC_CTX *ctx; /* keyed; EVP_MAC_init() without a key begins the next message */
};

int sf_mac_new(const void *key, size_t len, struct sf_mac **out)
{
	OSSL_PARAM params[2];
	char digest[] = "SHA256";
	struct sf_mac *made;
	EVP_MAC *hmac;

	if (len < SF_MAC_LEN)
		return -EINVAL;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	made->ctx = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	EVP_MAC_free(hmac);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	if (!made->ctx || !EVP_MAC_init(made->ctx, key, len, params)) {
		sf_mac_free(made);
		return -ENOMEM;
	}
	*out = made;
	return 0;
}

int sf_mac_compute(struct sf_mac *mac, const void *msg, size_t len, uint8_t tag[SF_MAC_LEN])
{
	uint8_t whole[SF_SHA256_LEN];
	size_t n;

	if (!EVP_MAC_init(mac->ctx, NULL, 0, NULL) ||
	    (len && !EVP_MAC_update(mac->ctx, msg, len)) ||
	    !EVP_MAC_final(mac->ctx, whole, &n, sizeof(whole)))
		return -EIO;
	memcpy(tag, whole, SF_MAC_LEN);
	return 0;
}

int sf_mac_check(struct sf_mac *mac, const void *msg, size_t len, const uint8_t tag[SF_MAC_LEN])
{
	uint8_t right[SF_MAC_LEN];
	int rc = sf_mac_compute(mac, msg, len, right);

	if (!rc && !sf_equal(right, tag, SF_MAC_LEN))
		rc = -EBADMSG;
	OPENSSL_cleanse(right, sizeof(right)); /* a right MAC must not be found on the stack */
	return rc;
}

void sf_mac_free(struct sf_mac *mac)
{
	if (!mac)
		return;
	EVP_MAC_CTX_free(mac->ctx); /* cleanses the key */
	free(mac);
}

/* ---- Ed25519 ---------------------------------------------------------------------------- */

struct sf_sign_key {
	EVP_PKEY *pkey; /* cleansed by OpenSSL when freed */
	uint8_t pub[SF_SIGN_PUBLIC_LEN];
};

/* Takes the reference to @pkey, also when it fails. */
static int sign_key_wrap(EVP_PKEY *pkey, struct sf_sign_key **out)
{
	struct sf_sign_key *key = calloc(1, sizeof(*key));
	size_t len = sizeof(key->pub);

	if (!key || EVP_PKEY_get_raw_public_key(pkey, key->pub, &len) <= 0) {
		free(key);
		EVP_PKEY_free(pkey);
		return -ENOMEM;
	}
	key->pkey = pkey;
	*out = key;
	return 0;
}

int sf_sign_key_make(struct sf_sign_key **out)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	return pkey ? sign_key_wrap(pkey, out) : -EIO;
}

static int sign_key_parse(const char *path, const char *pem, size_t len, struct sf_sign_key **out,
			  char *err, size_t errlen)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	EVP_PKEY *pkey;
	int rc;

	if (!bio)
		return sf_errtext(err, errlen, -ENOMEM, "%s: no memory", path);
	/* "": the password, else OpenSSL would ask for one on the terminal. */
	pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, "");
	BIO_free(bio);
	ERR_clear_error();
	if (!pkey)
		return sf_errtext(err, errlen, -EINVAL,
				  "%s: expected an unencrypted private key in PEM form", path);
	if (!EVP_PKEY_is_a(pkey, "ED25519")) {
		rc = sf_errtext(err, errlen, -EINVAL,
				"%s: found a key of type %s, expected Ed25519", path,
				EVP_PKEY_get0_type_name(pkey));
		EVP_PKEY_free(pkey);
		return rc;
	}
	rc = sign_key_wrap(pkey, out);
	return rc ? sf_errtext(err, errlen, rc, "%s: no memory", path) : 0;
}

int sf_sign_key_load(const char *path, struct sf_sign_key **out, char *err, size_t errlen)
{
	char *pem = NULL;
	struct stat st;
	ssize_t n = 0;
	size_t len = 0;
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st)) {
		rc = sf_errtext(err, errlen, -errno, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > PEM_MAX) {
		rc = sf_errtext(err, errlen, -EINVAL, "%s: expected a private key file", path);
		goto out;
	}
	if (st.st_mode & 077) {
		rc = sf_errtext(err, errlen, -EACCES,
				"%s: found mode %04o, expected that only its owner may read it"
				" (chmod 600)",
				path, st.st_mode & 07777);
		goto out;
	}
	pem = malloc(PEM_MAX);
	if (!pem) {
		rc = sf_errtext(err, errlen, -ENOMEM, "%s: no memory", path);
		goto out;
	}
	while (len < PEM_MAX && (n = read(fd, pem + len, PEM_MAX - len)) > 0)
		len += (size_t)n;
	rc = n < 0 ? sf_errtext(err, errlen, -errno, "%s: %s", path, strerror(errno))
		   : sign_key_parse(path, pem, len, out, err, errlen);
	OPENSSL_cleanse(pem, PEM_MAX);
out:
	free(pem);
	if (fd >= 0)
		close(fd);
	return rc;
}

int sf_sign_key_store(const struct sf_sign_key *key, const char *path, char *err, size_t errlen)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	int rc = -ENOMEM;
	char *pem;
	long len;

	if (bio && PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL)) {
		len = BIO_get_mem_data(bio, &pem);
		rc = sf_file_create(path, pem, (size_t)len, 0600);
	}
	BIO_free(bio); /* secure memory: cleansed */
	if (rc)
		return sf_errtext(err, errlen, rc, "%s: cannot store the key: %s", path,
				  strerror(-rc));
	return 0;
}

int sf_sign_key_obtain(const char *path, struct sf_sign_key **out, bool *made, char *err,
		       size_t errlen)
{
	struct sf_sign_key *key;
	int rc = sf_sign_key_load(path, out, err, errlen);

	if (rc != -ENOENT) {
		if (!rc && made)
			*made = false;
		return rc;
	}
	rc = sf_sign_key_make(&key);
	if (rc)
		return sf_errtext(err, errlen, rc, "%s: cannot make an Ed25519 key", path);
	rc = sf_sign_key_store(key, path, err, errlen);
	if (rc == -EEXIST) { /* another process was faster: its key is the key */
		sf_sign_key_free(key);
		rc = sf_sign_key_load(path, out, err, errlen);
		if (!rc && made)
			*made = false;
		return rc;
	}
	if (rc) {
		sf_sign_key_free(key);
		return rc;
	}
	*out = key;
	if (made)
		*made = true;
	return 0;
}

void sf_sign_key_public(const struct sf_sign_key *key, uint8_t pub[SF_SIGN_PUBLIC_LEN])
{
	memcpy(pub, key->pub, SF_SIGN_PUBLIC_LEN);
}

int sf_sign(struct sf_sign_key *key, const void *msg, size_t len, uint8_t sig[SF_SIGN_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t made[SF_SIGN_LEN];
	size_t n = sizeof(made);
	int ok;

	if (!ctx)
		return -ENOMEM;
	ok = EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) > 0 &&
	     EVP_DigestSign(ctx, made, &n, msg, len) > 0 && n == sizeof(made);
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return -EIO;
	memcpy(sig, made, sizeof(made));
	return 0;
}

void sf_sign_key_free(struct sf_sign_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

int sf_verify(const uint8_t pub[SF_SIGN_PUBLIC_LEN], const void *msg, size_t len,
	      const uint8_t sig[SF_SIGN_LEN])
{
	EVP_PKEY *pkey =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, SF_SIGN_PUBLIC_LEN);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int rc = -ENOMEM;

	if (pkey && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) > 0)
		rc = EVP_DigestVerify(ctx, sig, SF_SIGN_LEN, msg, len) == 1 ? 0 : -EKEYREJECTED;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return rc;
}

/* ---- X25519 ----------------------------------------------------------------------------- */

struct sf_dh {
	EVP_PKEY *pkey;
	uint8_t pub[SF_DH_LEN];
};

int sf_dh_make(struct sf_dh **out)
{
	struct sf_dh *dh = calloc(1, sizeof(*dh));
	size_t len = SF_DH_LEN;

	if (!dh)
		return -ENOMEM;
	dh->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	if (!dh->pkey || EVP_PKEY_get_raw_public_key(dh->pkey, dh->pub, &len) <= 0) {
		sf_dh_free(dh);
		return -EIO;
	}
	*out = dh;
	return 0;
}

void sf_dh_public(const struct sf_dh *dh, uint8_t pub[SF_DH_LEN])
{
	memcpy(pub, dh->pub, SF_DH_LEN);
}

int sf_dh_shared(struct sf_dh *dh, const uint8_t peer[SF_DH_LEN], uint8_t secret[SF_DH_LEN])
{
	EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer, SF_DH_LEN);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(dh->pkey, NULL);
	uint8_t made[SF_DH_LEN];
	size_t len = sizeof(made);
	int rc = -ENOMEM;

	if (theirs && ctx && EVP_PKEY_derive_init(ctx) > 0) {
		rc = -EPROTO; /* OpenSSL refuses an all-zero secret (RFC 7748, section 6.1) */
		if (EVP_PKEY_derive_set_peer(ctx, theirs) > 0 &&
		    EVP_PKEY_derive(ctx, made, &len) > 0 && len == sizeof(made)) {
			memcpy(secret, made, sizeof(made));
			rc = 0;
		}
		OPENSSL_cleanse(made, sizeof(made));
	}
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	ERR_clear_error();
	return rc;
}

void sf_dh_free(struct sf_dh *dh)
{
	if (!dh)
		return;
	EVP_PKEY_free(dh->pkey);
	free(dh);
}
