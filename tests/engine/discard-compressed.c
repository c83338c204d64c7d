// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DISCARD of a range in which compressed clusters stand between plain clusters.
 *
 * The engine must look up the refcount of a compressed cluster's bytes, and the
 * refcount block may not be in the cache.  The plain clusters that the engine
 * collected before it must not be lost over that.  So each compressed cluster
 * has a refcount block of its own here.  The two plain clusters before it lie
 * apart, in an order that makes no run.  QEMU looks for leaked clusters, and
 * reads the disk.
 */
#include <stdlib.h>
#include "tests/lib/helpers.h"
#include "qcow/qcow.h"

#define CLUSTER 512u
#define TRIPLES 20u	   /* as many as fit into one L2 table of 64 entries */
#define BLOCK	32768u	   /* bytes that one refcount block counts */
#define FILLER	(1u << 19) /* the filler's place; it keeps the triples apart */
#define FREED	(1u << 18)

static char *image_path;

/*
 * Writes the plain clusters backwards, then a compressed cluster, then the
 * filler.  Each QEMU process puts its first compressed cluster into a host
 * cluster of its own.
 */
static void write_triple(unsigned int k)
{
	unsigned int at = k * 3 * CLUSTER;

	must_run("qemu-io -c 'write -P 1 %u %u' -c 'write -P 2 %u %u' "
		 "-c 'write -c -P 3 %u %u' -c 'write -P 4 %u %u' %s >/dev/null",
		 at + CLUSTER, CLUSTER, at, CLUSTER, at + 2 * CLUSTER, CLUSTER,
		 FILLER + k * BLOCK, BLOCK, image_path);
}

/*
 * After the open, the engine searches for a free cluster.  Without the free
 * cluster near the beginning, this search would fill the cache with all blocks.
 */
static void make_image(void)
{
	must_run("qemu-img create -q -f qcow2 "
		 "-o cluster_size=512,refcount_bits=64 %s 2M && "
		 "qemu-io -c 'write %u %u' %s >/dev/null",
		 image_path, FREED, CLUSTER, image_path);
	for (unsigned int k = 0; k < TRIPLES; k++)
		write_triple(k);
	must_run("qemu-io -c 'discard %u %u' %s >/dev/null", FREED, CLUSTER,
		 image_path);
}

static void discard_all(void)
{
	struct qcow_options options = {
		.journal_dir = scratch(),
		.cache = QCOW_CACHE_WRITEBACK,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image;

	if (qcow_open(image_path, &options, &image, &error))
		die("open: %s", error.text);
	if (qcow_discard(image, 0, TRIPLES * 3 * CLUSTER))
		die("the range cannot be discarded");
	if (qcow_close(image))
		die("close fails");
}

int main(void)
{
	image_path = scratch_path("image.qcow2");
	make_image();
	discard_all();
	must_run("qemu-img check -q %s", image_path);
	must_run("qemu-io -r -c 'read -P 0 0 %u' -c 'read -P 4 %u %u' %s "
		 ">%s/read && ! grep -q 'verification failed' %s/read",
		 TRIPLES * 3 * CLUSTER, FILLER, TRIPLES * BLOCK, image_path,
		 scratch(), scratch());
	free(image_path);
}
