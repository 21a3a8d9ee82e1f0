// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * name.c - names of services and the serviceIDs that they stand for.
 */
#include <errno.h>
#include <stdio.h>

#include "core/name.h"

#define LABEL_MAX 63

static char lower(char c)
{
	if (c < 'A' || c > 'Z')
		return c;
	return (char)(c - 'A' + 'a');
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static int hex_digit(char c)
{
	c = lower(c);
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Just @digits hexadecimal digits at @text. */
static bool hex_parse(const char *text, size_t digits, __u64 *out)
{
	__u64 n = 0;

	for (size_t i = 0; i < digits; i++) {
		int d = hex_digit(text[i]);

		if (d < 0)
			return false;
		n = n << 4 | (__u64)d;
	}
	*out = n;
	return true;
}

/* What follows '@': 1 to 8 hexadecimal digits. Named services have no keyed bit. */
static int ssid_parse(const char *text, __u32 *ssid, const char **why)
{
	size_t len = strlen(text);
	__u64 n;

	*why = "the service system after '@' must be a hexadecimal number from 1 to 7fffffff";
	if (!len || len > 8 || !hex_parse(text, len, &n) || !n || (n & SF_SSID_KEYED))
		return -EINVAL;
	*ssid = (__u32)n;
	return 0;
}

/* Labels of @len characters, lower case. */
static int labels_check(const char *text, size_t len, const char **why)
{
	size_t label = 0;

	for (size_t i = 0; i <= len; i++) {
		if (i == len || text[i] == '.') {
			*why = "a name has no empty label";
			if (!label)
				return -EINVAL;
			*why = "a label does not end with a hyphen";
			if (text[i - 1] == '-')
				return -EINVAL;
			label = 0;
			continue;
		}
		*why = "a label does not begin with a hyphen";
		if (text[i] == '-' && !label)
			return -EINVAL;
		*why = "a name has only letters, digits, hyphens and dots";
		if (text[i] != '-' && !is_alnum(text[i]))
			return -EINVAL;
		*why = "a label has at most 63 characters";
		if (++label > LABEL_MAX)
			return -EINVAL;
	}
	return 0;
}

int sf_name_parse(const char *text, struct sf_name *out, const char **why)
{
	const size_t suffix = sizeof(SF_NAME_SUFFIX) - 1;
	const char *at = strchr(text, '@');
	size_t len = at ? (size_t)(at - text) : strlen(text);
	struct sf_name name = { .ssid = SF_SSID_DEFAULT };

	*why = "a name has at most 253 characters";
	if (len > SF_NAME_MAX + suffix)
		return -EINVAL;
	if (at && ssid_parse(at + 1, &name.ssid, why))
		return -EINVAL;
	if (len > suffix) {
		size_t i;

		for (i = 0; i < suffix; i++)
			if (lower(text[len - suffix + i]) != SF_NAME_SUFFIX[i])
				break;
		if (i == suffix)
			len -= suffix;
	}
	*why = "a name has at most 253 characters";
	if (len > SF_NAME_MAX)
		return -EINVAL;
	*why = "a name is not empty";
	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		name.text[i] = lower(text[i]);
	if (labels_check(name.text, len, why))
		return -EINVAL;
	*out = name;
	*why = NULL;
	return 0;
}

/* The first 64 bits of a digest, under @ssid. */
static struct sf_sid sid_of_digest(__u32 ssid, const __u8 digest[32])
{
	struct sf_sid s;

	s.w[0] = sf_be32(ssid);
	memcpy(&s.b[4], digest, 8);
	return s;
}

int sf_name_sid(const struct sf_name *name, sf_digest_fn digest, struct sf_sid *out)
{
	__u8 sum[32];
	int r = digest(SF_NAME_DOMAIN, name->text, strlen(name->text), sum);

	if (r)
		return r;
	*out = sid_of_digest(name->ssid, sum);
	return 0;
}

char *sf_name_print(const struct sf_name *name, char buf[SF_NAME_TEXT])
{
	const size_t suffix = sizeof(SF_NAME_SUFFIX) - 1;
	size_t len = strlen(name->text);
	bool ends = len > suffix && !strcmp(name->text + len - suffix, SF_NAME_SUFFIX);
	int n = snprintf(buf, SF_NAME_TEXT, "%s%s", name->text, ends ? SF_NAME_SUFFIX : "");

	if (name->ssid != SF_SSID_DEFAULT)
		snprintf(buf + n, SF_NAME_TEXT - (size_t)n, "@%x", name->ssid);
	return buf;
}

int sf_name_take(const void *data, size_t len, sf_digest_fn digest, struct sf_sid *sid,
		 char text[SF_NAME_TEXT])
{
	char given[SF_NAME_TEXT];
	struct sf_name name;
	const char *why;

	if (!len || len >= sizeof(given) || memchr(data, '\0', len))
		return -EINVAL;
	memcpy(given, data, len);
	given[len] = '\0';
	if (sf_name_parse(given, &name, &why) || strcmp(sf_name_print(&name, text), given) != 0)
		return -EINVAL;
	return sf_name_sid(&name, digest, sid);
}

int sf_sid_of_key(const void *key, size_t len, __u32 ssid, sf_digest_fn digest, struct sf_sid *out)
{
	__u8 sum[32];
	int r = digest(SF_KEY_DOMAIN, key, len, sum);

	if (r)
		return r;
	*out = sid_of_digest(ssid | SF_SSID_KEYED, sum);
	return 0;
}

/* "ssid:local", 8 and 16 hexadecimal digits. */
static bool sid_digits_parse(const char *text, struct sf_sid *out)
{
	__u64 ssid, local;

	if (strlen(text) != 25 || text[8] != ':' || !hex_parse(text, 8, &ssid) ||
	    !hex_parse(text + 9, 16, &local))
		return false;
	*out = sf_sid_make((__u32)ssid, local);
	return true;
}

int sf_sid_parse(const struct sf_net *net, const char *text, sf_digest_fn digest,
		 struct sf_sid *out, const char **why)
{
	struct sf_name name;
	struct sf_addr addr;
	struct sf_sid sid;
	int r;

	if (!strchr(text, ':')) {
		r = sf_name_parse(text, &name, why);
		if (r)
			return r;
		*why = "the name's digest could not be made";
		r = sf_name_sid(&name, digest, out);
		if (!r)
			*why = NULL;
		return r;
	}
	if (!sid_digits_parse(text, &sid)) {
		*why = "neither a name, nor a serviceID (8 and 16 hexadecimal digits, as in "
		       "00000001:0123456789abcdef), nor an IPv6 address";
		if (sf_addr_parse(text, &addr))
			return -EINVAL;
		*why = "the address is not below this network's prefix of service addresses";
		if (!sf_addr_is_service(net, &addr))
			return -EINVAL;
		sid = sf_addr_sid(&addr);
	}
	*why = "serviceID 0 is no service: it stands for anonymous clients";
	if (sf_sid_is_zero(&sid))
		return -EINVAL;
	*out = sid;
	*why = NULL;
	return 0;
}
