// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The byte order of slices: the file's is big endian, and the cache holds the
 * host's, so that a look-up need not convert anything.  The width of a
 * number depends on the table.
 */
#include <endian.h>
#include "qcow/cache.h"

static void swap_64(uint64_t *p, size_t count)
{
	for (size_t i = 0; i < count; i++)
		p[i] = be64toh(p[i]);
}

static void swap_32(uint32_t *p, size_t count)
{
	for (size_t i = 0; i < count; i++)
		p[i] = be32toh(p[i]);
}

static void swap_16(uint16_t *p, size_t count)
{
	for (size_t i = 0; i < count; i++)
		p[i] = be16toh(p[i]);
}

void slice_swap(enum slice_type type, unsigned int refcount_order, void *data,
		size_t length)
{
	if (type == SLICE_L2 || refcount_order == 6)
		swap_64(data, length / 8);
	else if (refcount_order == 5)
		swap_32(data, length / 4);
	else if (refcount_order == 4)
		swap_16(data, length / 2);
	/* Counts of a byte or less have no byte order. */
}
