// SPDX-License-Identifier: Apache-2.0
/* Whether clang can build a fuzzer at all (meson.build). */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return 0;
}
