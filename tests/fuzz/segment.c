// SPDX-License-Identifier: Apache-2.0
/* Large packets as the link emulator gets them: left alone, or cut into segments that hold them
 * all. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lab/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_net_hdr vh, out;
	struct sf_segments s;
	uint8_t *frame;
	size_t sum = 0;

	if (size < sizeof(vh))
		return 0;
	memcpy(&vh, data, sizeof(vh));
	size -= sizeof(vh);
	frame = malloc(size + !size); /* of its own, so that a byte too far is noticed */
	memcpy(frame, data + sizeof(vh), size);
	if (!sf_segments_begin(&s, frame, size, &vh)) {
		for (size_t i = 0; i < s.count; i++) {
			size_t len = sf_segments_size(&s, i);
			uint8_t *segment = malloc(len);

			if (len <= s.head || len > s.head + s.mss)
				abort();
			sf_segments_make(&s, i, segment, &out);
			sum += len - s.head;
			free(segment);
		}
		if (sum != size - s.head)
			abort();
	}
	free(frame);
	return 0;
}
