// SPDX-License-Identifier: Apache-2.0
/* Names and serviceIDs as text: what is taken prints as something that means the same. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool truth)
{
	if (!truth)
		abort();
}

/* Any function of the input will do here: FNV-1a, repeated. */
static int digest(const char *domain, const void *data, size_t len, __u8 out[32])
{
	__u64 h = 14695981039346656037ull;

	for (size_t i = 0; i < len; i++)
		h = (h ^ ((const __u8 *)data)[i]) * 1099511628211ull;
	h ^= (__u64)(unsigned char)*domain;
	for (int i = 0; i < 32; i++)
		out[i] = (__u8)(h >> i % 8 * 8);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sf_net net = sf_net_default(1);
	char *text = malloc(size + 1), buf[SF_ADDR_STRLEN];
	struct sf_name name, again;
	struct sf_sid sid, back;
	const char *why = NULL;

	memcpy(text, data, size);
	text[size] = 0;
	if (!sf_name_parse(text, &name, &why)) {
		expect(!why && strlen(name.text) <= SF_NAME_MAX && *name.text);
		expect(!(name.ssid & SF_SSID_KEYED) && name.ssid);
		/* What is canonical stays so, but that a suffix may hide a suffix. */
		if (!strstr(name.text, SF_NAME_SUFFIX)) {
			expect(!sf_name_parse(name.text, &again, &why));
			expect(!strcmp(name.text, again.text));
		}
	} else {
		expect(why != NULL);
	}
	if (!sf_sid_parse(&net, text, digest, &sid, &why)) {
		expect(!why && !sf_sid_is_zero(&sid));
		expect(!sf_sid_parse(&net, sf_sid_print(&sid, buf), digest, &back, &why));
		expect(sf_sid_eq(&sid, &back));
	} else {
		expect(why != NULL);
	}
	free(text);
	return 0;
}
