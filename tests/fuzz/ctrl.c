// SPDX-License-Identifier: Apache-2.0
/* Control messages: opened, read, and written again to the same bytes. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/ctrl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool truth)
{
	if (!truth)
		abort();
}

static void check(const uint8_t *data, size_t size)
{
	struct sf_ctrl_out out;
	struct sf_ctrl_in in;
	const char *why = NULL;
	int r = sf_ctrl_open(data, size, &in, &why);
	uint8_t *again;

	expect(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
	expect((r == 0) == (why == NULL));
	if (r)
		return;
	again = malloc(size);
	sf_ctrl_begin(&out, again, size, in.type, in.seq, in.session);
	sf_ctrl_foreach (&in, it) {
		const void *first;
		__u16 len;

		expect((const uint8_t *)it.value + it.len <= data + size);
		expect(it.len >= sf_item_min(it.type));
		first = sf_ctrl_find(&in, it.type, &len);
		expect(first && first <= it.value);
		expect(sf_ctrl_put(&out, it.type, it.value, it.len) != NULL);
	}
	expect(sf_ctrl_end(&out) == (int)size && !memcmp(again, data, size));
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *mended;

	check(data, size);
	if (size < sizeof(struct sf_ctrl_hdr))
		return 0;
	mended = malloc(size);
	memcpy(mended, data, size);
	memcpy(mended, "SF\x01", 3);
	check(mended, size);
	free(mended);
	return 0;
}
