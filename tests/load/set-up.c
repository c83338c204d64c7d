// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The set-up of a load: its disk, its ledger, its ring, and room for as many
 * requests as the load or the verification has under way.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "tests/load/load-inside.h"

static uint64_t disk_size(void)
{
	struct stat st;
	uint64_t size;

	if (fstat(disk, &st) < 0)
		die(errno, "%s", options.path);
	is_device = S_ISBLK(st.st_mode);
	if (!is_device)
		return (uint64_t)st.st_size;
	if (ioctl(disk, BLKGETSIZE64, &size) < 0)
		die(errno, "%s", options.path);
	return size;
}

static void check_geometry(uint64_t size)
{
	struct geometry *g = &options.geometry;

	if (!g->stride)
		g->stride = g->block;
	if (g->offset >= size)
		die(0, "offset beyond the end");
	if (!g->size || g->size > size - g->offset)
		g->size = size - g->offset;
	g->size -= g->size % SECTOR;
	if (!g->block || g->block % SECTOR || g->stride < g->block ||
	    g->stride % SECTOR || g->offset % SECTOR)
		die(0, "block, stride and offset are multiples of %u", SECTOR);
	if (options.max_blocks > 1 && g->stride != g->block)
		die(0, "--max-blocks and --stride exclude each other");
	if (!options.discard_align)
		options.discard_align = g->block;
	if (options.mix[DISCARD] && (g->stride % options.discard_align &&
				     options.discard_align % g->stride))
		die(0, "discards do not fit the blocks");
	if (options.mix[DISCARD] && g->offset % options.discard_align)
		die(0, "--offset is not aligned to --discard-align");
}

static void make_ops(void)
{
	size_t length = (size_t)options.geometry.block * options.max_blocks;
	unsigned int i, nr = options.depth;
	struct op *op;

	/* Verification has its own depth and size of requests. */
	if (nr < VERIFY_DEPTH)
		nr = VERIFY_DEPTH;
	if (length < VERIFY_BYTES)
		length = VERIFY_BYTES;
	for (i = 0; i < nr; i++) {
		op = calloc(1, sizeof(*op));
		if (op)
			op->buffer = aligned_alloc(4096,
						   (length + 4095) & ~4095UL);
		if (!op || !op->buffer)
			die(ENOMEM, "buffers");
		op->next = free_ops;
		free_ops = op;
	}
}

void set_up(void)
{
	int ret, flags = options.verify_only ? O_RDONLY : O_RDWR;

	disk = open(options.path, flags | O_DIRECT | O_CLOEXEC);
	if (disk < 0)
		die(errno, "%s", options.path);
	if (options.verify_only && options.ledger) {
		ret = ledger_geometry(options.ledger, &options.geometry);
		if (ret)
			die(-ret, "ledger %s", options.ledger);
	}
	check_geometry(disk_size());
	ret = ledger_open(&ledger, &options.geometry, options.ledger);
	if (ret)
		die(-ret, "ledger %s", options.ledger ? options.ledger : "");
	random_begin(ledger_past(&ledger));
	ret = options.later ? ledger_allow(&ledger, options.later) : 0;
	if (ret)
		die(-ret, "ledger %s", options.later);
	busy = calloc(ledger.blocks, 1);
	if (!busy)
		die(ENOMEM, "%" PRIu64 " blocks", ledger.blocks);
	ret = io_uring_queue_init(options.depth * 2 + VERIFY_DEPTH, &ring, 0);
	if (ret)
		die(-ret, "io_uring_queue_init");
	make_ops();
	helper_pipe = helpers_start(disk, is_device, &ledger);
	listen_to_helpers();
}
