// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * name.h - names of services, and what they may look like.
 *
 * The paper leaves the mapping of human-readable names open (section 3.1). Ours: the serviceID of a
 * name is its ssID followed by the first 64 bits of a domain-separated SHA-256 of the name. Forms
 * accepted wherever a service is asked for:
 *
 *   web                   name under the default ssID (also web.scaffold)
 *   web@2a                name under ssID 0x2a
 *   00000001:0123456789abcdef   serviceID
 *   fd5e:0:0:1:123:...    service address
 */
#ifndef SF_CORE_NAME_H
#define SF_CORE_NAME_H

#include "core/addr.h"

#if SF_NATIVE
#define SF_NAME_MAX    253
#define SF_NAME_TEXT   (SF_NAME_MAX + 20) /* "name.scaffold@ssid" and NUL */
#define SF_NAME_SUFFIX ".scaffold"
#define SF_NAME_DOMAIN "scaffold service name v1" /* SHA-256(domain, 0x00, name) */
#define SF_KEY_DOMAIN  "scaffold public key v1"	  /* SHA-256(domain, 0x00, key) */

/** struct sf_name - a name taken apart: canonical text (lower case, no suffix) and ssID. */
struct sf_name {
	char text[SF_NAME_MAX + 1];
	__u32 ssid;
};

/** sf_digest_fn - 32-byte SHA-256 of domain, a zero byte, and data; the caller brings it. */
typedef int (*sf_digest_fn)(const char *domain, const void *data, size_t len, __u8 out[32]);

/**
 * sf_name_parse() - check and take apart a name: labels of letters, digits and hyphens (not first
 * or last), separated by dots, at most 63 each and 253 in all. Return: 0 or -EINVAL with *@why set
 * (static storage).
 */
int sf_name_parse(const char *text, struct sf_name *out, const char **why);

/** sf_name_sid() - serviceID of a name. Return: 0 or the digest's error. */
int sf_name_sid(const struct sf_name *name, sf_digest_fn digest, struct sf_sid *out);

/**
 * sf_name_print() - canonical text: "web", or "web@2a" beyond the default ssID. A name that itself
 * ends in the suffix is given another one, so that the text is read back as what it was.
 * Return: @buf.
 */
char *sf_name_print(const struct sf_name *name, char buf[SF_NAME_TEXT]);

/**
 * sf_name_take() - a name out of a message: canonical text of @len bytes, without NUL.
 *
 * A name needs no proof beyond itself: it names the one serviceID that is its digest.
 * @sid: that serviceID; @text: the name
 * Return: 0; -EINVAL for what is no name, or not in its canonical form; or the digest's error.
 */
int sf_name_take(const void *data, size_t len, sf_digest_fn digest, struct sf_sid *sid,
		 char text[SF_NAME_TEXT]);

/**
 * sf_sid_parse() - a service in any of the forms above.
 * @net: prefixes, to recognise service addresses
 * Return: 0 or -EINVAL with *@why set (static storage).
 */
int sf_sid_parse(const struct sf_net *net, const char *text, sf_digest_fn digest,
		 struct sf_sid *out, const char **why);

/** sf_sid_of_key() - keyed 96-bit serviceID of a raw public key under @ssid (keyed bit is set). */
int sf_sid_of_key(const void *key, size_t len, __u32 ssid, sf_digest_fn digest, struct sf_sid *out);

#endif

#endif
