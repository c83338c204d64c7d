// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The two ways of a server to clear a range.
 */
#include "qcow/mapped.h"
#include "tests/lib/clear.h"

int clear_discard(struct qcow_image *image, uint64_t offset, uint64_t length)
{
	int ret = qcow_map_discard(image, offset, length);

	return ret == QCOW_MUST_BLOCK ? qcow_discard(image, offset, length) :
					ret;
}

int clear_zeroes(struct qcow_image *image, uint64_t offset, uint64_t length,
		 bool unmap)
{
	int ret = qcow_map_zeroes(image, offset, length, unmap);

	return ret == QCOW_MUST_BLOCK ?
		       qcow_write_zeroes(image, offset, length, unmap) :
		       ret;
}
