// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory that a merge keeps for the process after this one.  It names only
 * copies that a sync has vouched for (R17), and only of the same granules.  A
 * granule that the guest has written to since is not among them.
 */
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "qcow/bits.h"
#include "qcow/merge.h"
#include "tests/engine/counted.h"
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"

#define SIZE	(4u << 20)
#define GRANULE (64u << 10)

static struct qcow_merge_kept kept;

struct opened {
	struct counted top, layer;
	struct qcow_image *image;
	struct qcow_merge *merge;
};

static void make_chain(uint32_t cluster)
{
	must_run("cd %s && rm -rf * && mkdir journals && "
		 "qemu-img create -q -f qcow2 -o cluster_size=%u layer %u && "
		 "qemu-img create -q -f qcow2 -F qcow2 -b layer top && "
		 "qemu-io -c 'write -q -P 7 0 %u' top",
		 scratch(), cluster, SIZE, SIZE);
}

static void open_chain(struct opened *opened)
{
	char *top = scratch_path("top"), *layer = scratch_path("layer");
	char *journals = scratch_path("journals");
	struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = journals,
		.references = &model_references,
		.inline_checkpoint = true,
		.merge_into = 1,
		.test = &opened->top.hooks,
	};
	struct qcow_error error = { "" };

	counted_open(&opened->top, top);
	counted_open(&opened->layer, layer);
	opened->top.hooks.under = &opened->layer.hooks;
	if (qcow_open(top, &options, &opened->image, &error) ||
	    qcow_merge_open(opened->image, &kept, &opened->merge, &error))
		die("open: %s", error.text);
	free(top);
	free(layer);
	free(journals);
}

static void close_chain(struct opened *opened)
{
	qcow_merge_close(opened->merge);
	if (qcow_close(opened->image))
		die("close");
	counted_close(&opened->top);
	counted_close(&opened->layer);
}

/* Merges all, and returns how many bytes were copied. */
static uint64_t merge_all(struct opened *opened)
{
	struct qcow_merge_progress progress;
	uint64_t moved = 0;

	do {
		if (qcow_merge_step(opened->merge, &progress))
			die("step");
		moved += progress.moved;
	} while (progress.done < progress.total);
	return moved;
}

static void expect(uint64_t copied, bool settled, const char *when)
{
	struct opened opened;
	uint64_t moved;

	open_chain(&opened);
	moved = merge_all(&opened);
	if (moved != copied)
		die("%s: %lu bytes are copied and not %lu", when, moved,
		    copied);
	if (settled && qcow_merge_settle(opened.merge))
		die("settle");
	close_chain(&opened);
}

/* Dies of that. */
static void fail_to_settle(void)
{
	struct opened opened;

	open_chain(&opened);
	merge_all(&opened);
	opened.layer.cannot_sync = true;
	if (!qcow_merge_settle(opened.merge))
		die("a sync that fails is not told");
}

static void write_a_byte(void)
{
	struct opened opened;
	uint8_t sector[512] = { 9 };

	open_chain(&opened);
	if (qcow_write(opened.image, sector, SIZE / 2, sizeof(sector)))
		die("write");
	close_chain(&opened);
}

int main(void)
{
	kept.size = qcow_merge_kept_size(SIZE);
	kept.memory = mmap(NULL, kept.size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	make_chain(65536);
	expect(SIZE, false, "at first");
	expect(SIZE, false, "not settled");
	counted_dies_at(INT_MAX, fail_to_settle);
	expect(SIZE, true, "not synced");
	expect(0, false, "settled");
	write_a_byte();
	expect(GRANULE, true, "written");
	qcow_merge_forget(&kept);
	expect(SIZE, true, "forgotten");
	make_chain(2 << 20);
	expect(SIZE, true, "other granules");
	kept.size -= 8;
	make_chain(65536);
	expect(SIZE, true, "too small");
	expect(SIZE, true, "too small again");
	return 0;
}
