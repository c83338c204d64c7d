// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DISCARD and WRITE ZEROES of a range in bytes: the whole clusters in it are
 * unlinked (unlink.c); zeros are written to the parts of clusters at its ends,
 * if they hold anything else, and a discard leaves those parts alone.
 *
 * An image of version 2 has no zero clusters.  Where to unlink a cluster would
 * let a backing file show through, a discard does nothing there, and zeros are
 * written as data.
 */
#include <errno.h>
#include "qcow/io.h"
#include "qcow/layers.h"
#include "qcow/mapped.h"
#include "qcow/provide.h"
#include "qcow/unlink.h"

/* The whole clusters in a range; the last one may be cut by the disk's end. */
static void whole_clusters(const struct qcow_image *image, uint64_t offset,
			   uint64_t length, uint64_t *first, uint64_t *end)
{
	uint64_t stop = offset + length;

	*first = (offset + cluster_size(image) - 1) >>
		 image->geometry.cluster_bits;
	*end = stop >> image->geometry.cluster_bits;
	if (stop == image->geometry.size)
		*end = image->geometry.clusters;
	if (*end < *first)
		*end = *first;
}

static int check_change(const struct qcow_image *image, uint64_t offset,
			uint64_t length)
{
	if (image->read_only)
		return -EROFS;
	return io_check_range(image, offset, length);
}

/* The clusters [first, end) are to be discarded; perhaps none. */
static int clusters_to_discard(const struct qcow_image *image, uint64_t offset,
			       uint64_t length, uint64_t *first, uint64_t *end)
{
	int ret = check_change(image, offset, length);

	*first = *end = 0;
	if (ret)
		return ret;
	/* An unlink would let the backing show through. */
	if (!image->backing || image->geometry.version >= 3)
		whole_clusters(image, offset, length, first, end);
	return 0;
}

int qcow_discard(struct qcow_image *image, uint64_t offset, uint64_t length)
{
	uint64_t first, end;
	int ret = clusters_to_discard(image, offset, length, &first, &end);

	if (ret || first == end)
		return ret;
	return io_explain(image,
			  unlink_clusters(image, first, end, UNLINK_DISCARD));
}

/* Does the guest cluster hold bytes that may not be zero? */
static int has_data(struct qcow_image *image, uint64_t guest, bool *data)
{
	struct cluster c;
	int ret;

	LOCKED(image);
	ret = cluster_look_up_wait(image, guest, &c);
	/* Of subclusters, some may. */
	*data = c.kind == CLUSTER_DATA || c.kind == CLUSTER_COMPRESSED ||
		c.bitmap & ALL_SUBCLUSTERS ||
		(image->geometry.extended && c.bitmap != ALL_ZERO &&
		 cluster_shows_under(image, guest)) ||
		(c.kind == CLUSTER_UNALLOCATED &&
		 cluster_shows_under(image, guest));
	return ret;
}

/* Part of a cluster, or all of it. */
static int write_zero_bytes(struct qcow_image *image, uint64_t offset,
			    uint64_t length)
{
	static const char zeroes[64u << 10] __attribute__((aligned(4096)));

	while (length) {
		size_t n = min_u64(length, sizeof(zeroes));
		int ret = qcow_write(image, zeroes, offset, n);

		if (ret)
			return ret;
		offset += n;
		length -= n;
	}
	return 0;
}

/* A growth of the disk may ask for some TiB of zeros. */
static uint64_t skip_holes(struct qcow_image *image, uint64_t offset,
			   uint64_t end)
{
	const unsigned int bits = image->geometry.cluster_bits;
	uint64_t guest = offset >> bits;

	LOCKED(image);
	guest = unlink_skip_holes(image, guest, ((end - 1) >> bits) + 1);
	return min_u64(max_u64(offset, guest << bits), end);
}

/* Writes zeros where there is something else. */
static int zero_bytes(struct qcow_image *image, uint64_t offset,
		      uint64_t length)
{
	const uint64_t end = offset + length;

	while (offset < end &&
	       (offset = skip_holes(image, offset, end)) < end) {
		uint64_t guest = offset >> image->geometry.cluster_bits;
		uint64_t next = (guest + 1) << image->geometry.cluster_bits;
		bool data;
		int ret = has_data(image, guest, &data);

		next = min_u64(next, end);
		if (!ret && data)
			ret = write_zero_bytes(image, offset, next - offset);
		if (ret)
			return ret;
		offset = next;
	}
	return 0;
}

/* Head, whole clusters, tail. */
int qcow_write_zeroes(struct qcow_image *image, uint64_t offset,
		      uint64_t length, bool unmap)
{
	uint64_t stop = offset + length;
	uint64_t first, end, head_end, tail;
	int ret = check_change(image, offset, length);

	if (ret)
		return ret;
	whole_clusters(image, offset, length, &first, &end);
	if (first == end ||
	    (image->geometry.version < 3 && (!unmap || image->backing)))
		return io_explain(image, zero_bytes(image, offset, length));
	head_end = first << image->geometry.cluster_bits;
	tail = min_u64(end << image->geometry.cluster_bits, stop);
	ret = zero_bytes(image, offset, head_end - offset);
	if (!ret)
		ret = unlink_clusters(image, first, end,
				      unmap ? UNLINK_ZERO : UNLINK_ZERO_KEEP);
	if (!ret)
		ret = zero_bytes(image, tail, stop - tail);
	return io_explain(image, ret);
}

/* ---- without blocking ---- */

int qcow_map_discard(struct qcow_image *image, uint64_t offset, uint64_t length)
{
	uint64_t first, end;
	int ret = clusters_to_discard(image, offset, length, &first, &end);

	if (ret || first == end)
		return ret;
	return unlink_at_once(image, first, end, UNLINK_DISCARD);
}

int qcow_map_zeroes(struct qcow_image *image, uint64_t offset, uint64_t length,
		    bool unmap)
{
	const uint64_t stop = offset + length;
	uint64_t first, end;
	int ret = check_change(image, offset, length);

	if (ret)
		return ret;
	whole_clusters(image, offset, length, &first, &end);
	if (first == end || image->geometry.version < 3 ||
	    first << image->geometry.cluster_bits != offset ||
	    min_u64(end << image->geometry.cluster_bits, stop) != stop)
		return QCOW_MUST_BLOCK;
	return unlink_at_once(image, first, end,
			      unmap ? UNLINK_ZERO : UNLINK_ZERO_KEEP);
}
