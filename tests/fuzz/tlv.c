// SPDX-License-Identifier: Apache-2.0
/* The TLV area: every type is looked for in it. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int bad = 0;

	for (int type = 0; type < 256; type++) {
		const __u8 *value = NULL;
		int len = sf_tlv_find(data, size, (__u8)type, &value);

		if (len >= 0) {
			if (value < data + 2 || value + len > data + size || value[-1] != len ||
			    value[-2] != type)
				abort();
		} else if (len == -EBADMSG) {
			bad++;
		} else if (len != -ENOENT) {
			abort();
		}
	}
	/* A cut TLV is seen by all searches that reach it; type 0 is padding and never found. */
	if (bad && !(sf_tlv_find(data, size, 0, &(const __u8 *){ NULL }) == -EBADMSG))
		abort();
	return 0;
}
