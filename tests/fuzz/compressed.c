// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: the input is a byte that tells the type and the cluster size,
 * then a compressed stream.
 */
#include <errno.h>
#include <stdlib.h>
#include "memory.h"
#include "qcow/compress.h"

/* The output buffer has the exact size, so that a sanitizer sees a byte too
   many. */
static int unpack(struct decoder *decoder, const uint8_t *bytes, size_t size,
		  uint32_t length)
{
	uint8_t *to = malloc(length);
	int ret = decoder_unpack(decoder, (struct bytes){ bytes, size }, to,
				 length);

	free(to);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct decoder *decoders[2];
	unsigned int type, bits;
	int ret;

	if (!size)
		return 0;
	type = bytes[0] & 1;
	bits = MIN_CLUSTER_BITS + (bytes[0] >> 1) % 13;
	if (!decoders[type] && decoder_create(type, &decoders[type]))
		memory_complain("no decoder");
	ret = unpack(decoders[type], bytes + 1, size - 1, 1u << bits);
	if (ret && ret != -EIO)
		memory_complain("a broken stream is no -EIO");
	return 0;
}
