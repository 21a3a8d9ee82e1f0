// SPDX-License-Identifier: Apache-2.0
/*
 * crypto.h - the few cryptographic operations that SCAFFOLD needs, over OpenSSL 3.
 *
 * Host and service keys are Ed25519 (RFC 8032); session keys come from X25519 (RFC 7748) through
 * HKDF-SHA256 (RFC 5869); control messages carry HMAC-SHA256 truncated to 16 bytes (RFC 2104);
 * control channels are TLS 1.3 (RFC 8446) with certificates on both sides.
 *
 * Every function returns 0 or a negative errno and leaves its outputs untouched when it fails.
 * `err`/`errlen` receive one line of text on failure (err may be NULL with errlen 0).
 * Secrets are cleansed when freed. Objects are not to be shared between threads.
 */
#ifndef SF_UTIL_CRYPTO_H
#define SF_UTIL_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;
typedef struct x509_st X509;

#define SF_SIGN_PUBLIC_LEN 32 /* Ed25519 public key, raw */
#define SF_SIGN_LEN	   64 /* Ed25519 signature */
#define SF_DH_LEN	   32 /* X25519 public key or shared secret */
#define SF_SHA256_LEN	   32
#define SF_MAC_LEN	   16 /* truncated HMAC-SHA256 */

/* ---- randomness, comparison ------------------------------------------------------------- */

/**
 * sf_random() - Fill @buf with random bytes of the kernel (getrandom(2)).
 *
 * Return: 0, or -errno; never part of the bytes.
 */
int sf_random(void *buf, size_t len);

/**
 * sf_equal() - Are two byte strings equal? The time taken does not tell where they differ.
 */
bool sf_equal(const void *a, const void *b, size_t len);

/**
 * sf_cleanse() - Overwrite a secret, so that the compiler cannot leave it out.
 */
void sf_cleanse(void *secret, size_t len);

/* ---- hashes, MACs, derived keys --------------------------------------------------------- */

/**
 * sf_sha256() - SHA-256 (@domain, one NUL byte, @data).
 * @domain: what the hash is for, such as "scaffold service key v1": hashes for different uses
 *          never collide. NULL or "": plain SHA-256 of @data, without the NUL byte.
 */
int sf_sha256(const char *domain, const void *data, size_t len, uint8_t out[SF_SHA256_LEN]);

/**
 * sf_hkdf_sha256() - Derive @out_len bytes (at most 255 * 32) from a secret.
 * @salt: may be NULL with length 0.
 * @info: names the use of the derived key.
 *
 * Return: 0, -EINVAL bad length, -EIO OpenSSL failed.
 */
int sf_hkdf_sha256(const void *secret, size_t secret_len, const void *salt, size_t salt_len,
		   const void *info, size_t info_len, void *out, size_t out_len);

/* A keyed MAC, set up once and used for many messages. */
struct sf_mac;

/**
 * sf_mac_new() - Set up HMAC-SHA256 under @key.
 * @len: bytes, at least 16.
 *
 * Return: 0, -EINVAL short key, -ENOMEM.
 */
int sf_mac_new(const void *key, size_t len, struct sf_mac **out);

/**
 * sf_mac_compute() - MAC of a message, its first SF_MAC_LEN bytes.
 */
int sf_mac_compute(struct sf_mac *mac, const void *msg, size_t len, uint8_t tag[SF_MAC_LEN]);

/**
 * sf_mac_check() - Check a message's MAC in constant time. Return: 0, -EBADMSG, other -errno.
 */
int sf_mac_check(struct sf_mac *mac, const void *msg, size_t len, const uint8_t tag[SF_MAC_LEN]);

/** sf_mac_free() - Cleanse and free; NULL is fine. */
void sf_mac_free(struct sf_mac *mac);

/* ---- Ed25519 ---------------------------------------------------------------------------- */

/* A key pair that signs. */
struct sf_sign_key;

/**
 * sf_sign_key_make() - A new key pair, in memory.
 */
int sf_sign_key_make(struct sf_sign_key **out);

/**
 * sf_sign_key_load() - Read a private key from a PEM file (PKCS#8, as `openssl genpkey` writes it).
 *
 * Return: 0; -ENOENT and other errors of open; -EINVAL if the file holds no Ed25519 private key;
 * -EACCES if others than the owner may read it.
 */
int sf_sign_key_load(const char *path, struct sf_sign_key **out, char *err, size_t errlen);

/**
 * sf_sign_key_store() - Write the private key as PEM: mode 0600, atomically, and never over an
 * existing file (-EEXIST).
 */
int sf_sign_key_store(const struct sf_sign_key *key, const char *path, char *err, size_t errlen);

/**
 * sf_sign_key_obtain() - Load the key; make and store it if there is no such file.
 * @made: true if it is new; may be NULL.
 *
 * Two processes that start at once get the same key. A broken file is an error, never replaced.
 */
int sf_sign_key_obtain(const char *path, struct sf_sign_key **out, bool *made, char *err,
		       size_t errlen);

/** sf_sign_key_public() - The raw public key. */
void sf_sign_key_public(const struct sf_sign_key *key, uint8_t pub[SF_SIGN_PUBLIC_LEN]);

/** sf_sign() - Sign a message. Return: 0, or -errno. */
int sf_sign(struct sf_sign_key *key, const void *msg, size_t len, uint8_t sig[SF_SIGN_LEN]);

/** sf_sign_key_free() - Cleanse and free; NULL is fine. */
void sf_sign_key_free(struct sf_sign_key *key);

/**
 * sf_verify() - Check a signature. Return: 0, -EKEYREJECTED wrong signature or key, -ENOMEM.
 */
int sf_verify(const uint8_t pub[SF_SIGN_PUBLIC_LEN], const void *msg, size_t len,
	      const uint8_t sig[SF_SIGN_LEN]);

/* ---- X25519 ----------------------------------------------------------------------------- */

/* An ephemeral key pair. */
struct sf_dh;

/** sf_dh_make() - A new ephemeral key pair. */
int sf_dh_make(struct sf_dh **out);

/** sf_dh_public() - What to send to the peer. */
void sf_dh_public(const struct sf_dh *dh, uint8_t pub[SF_DH_LEN]);

/**
 * sf_dh_shared() - The secret shared with the peer. Put it through sf_hkdf_sha256() with both
 * public keys as salt or info, and cleanse it.
 *
 * Return: 0, -EPROTO if @peer is a point of low order (the secret would be all zero).
 */
int sf_dh_shared(struct sf_dh *dh, const uint8_t peer[SF_DH_LEN], uint8_t secret[SF_DH_LEN]);

/** sf_dh_free() - Cleanse and free; NULL is fine. */
void sf_dh_free(struct sf_dh *dh);

/* ---- TLS -------------------------------------------------------------------------------- */

/* PEM files. */
struct sf_tls_files {
	const char *cert; /* own certificate, its chain behind it */
	const char *key;  /* its private key */
	const char *ca;	  /* who may have signed the peer's certificate */
};

/**
 * sf_tls_server() - TLS 1.3 for the accepting side.
 *
 * With @files->ca the client must show a certificate signed by it; without, none is asked for
 * (the REST server, which wants a token). Free with sf_tls_free().
 *
 * Return: 0; -ENOENT, -EACCES, -EINVAL with a text that names the file; -EINVAL if key and
 * certificate do not belong together.
 */
int sf_tls_server(const struct sf_tls_files *files, SSL_CTX **out, char *err, size_t errlen);

/**
 * sf_tls_client() - TLS 1.3 for the connecting side; @files->ca is needed, cert and key only
 * where the server asks for them.
 */
int sf_tls_client(const struct sf_tls_files *files, SSL_CTX **out, char *err, size_t errlen);

/** sf_tls_free() - NULL is fine. */
void sf_tls_free(SSL_CTX *tls);

/**
 * sf_cert_dates() - Whether a certificate is valid today.
 * @buf: otherwise gets "expired at ..." or "is valid only from ... on"
 *
 * Return: 0 or -EKEYEXPIRED.
 */
int sf_cert_dates(const X509 *cert, char *buf, size_t len);

/** sf_tls_is_name() - Whether @name can stand in a certificate: a DNS name or an IP address. */
bool sf_tls_is_name(const char *name);

/**
 * sf_tls_expect() - What the peer's certificate must be for (RFC 9525): @name, a DNS name or an IP
 * address, is among its subjectAltNames. The common name does not count.
 *
 * For the connecting side, before the handshake; a DNS name is also told to the peer (SNI).
 *
 * Return: 0, -EINVAL if @name is no sf_tls_is_name(), -ENOMEM.
 */
int sf_tls_expect(SSL *ssl, const char *name);

/**
 * sf_tls_refusal() - Why the peer's certificate was refused, and what it says instead.
 *
 * Return: text that lives as long as @ssl, without control characters; NULL if it was not.
 */
const char *sf_tls_refusal(const SSL *ssl);

/**
 * sf_tls_error() - Take the newest error off OpenSSL's queue as text, and empty the queue.
 *
 * Return: @buf; "unknown TLS error" if the queue is empty.
 */
const char *sf_tls_error(char *buf, size_t len);

#endif
