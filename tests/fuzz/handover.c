// SPDX-License-Identifier: Apache-2.0
/* Exported connections, as a program hands them to the agent: as they are, and with their lengths
 * and digest put right, so that what lies behind those is reached. What is taken is written again
 * as it was. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/exported.h"
#include "util/crypto.h"

#define DOMAIN	 "scaffold exported connection v1"
#define HEAD	 288
#define TOTAL_AT 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try(const uint8_t *data, size_t size)
{
	struct exported e;
	char err[128] = "";
	uint8_t *again;
	int ret = exported_decode(data, size, 1700000000000ull, &e, err, sizeof(err));

	if (ret) {
		if (ret > 0 || !*err)
			abort();
		return;
	}
	again = malloc(size);
	if (!again || exported_size(&e) != size || exported_encode(&e, again) ||
	    memcmp(again, data, size))
		abort();
	free(again);
	exported_free(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *b;

	try(data, size);
	if (size < HEAD + SF_SHA256_LEN)
		return 0;
	b = malloc(size);
	if (!b)
		return 0;
	memcpy(b, data, size);
	for (int i = 0; i < 8; i++)
		b[TOTAL_AT + i] = (uint8_t)((uint64_t)size >> (56 - 8 * i));
	if (!sf_sha256(DOMAIN, b, size - SF_SHA256_LEN, b + size - SF_SHA256_LEN))
		try(b, size);
	free(b);
	return 0;
}
