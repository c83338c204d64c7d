// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DISCARD and WRITE ZEROES of an overlay.  Zeros must hide all data under the
 * overlay.  Where no layer has data, down to the bottom of the chain, nothing
 * is written at all, however large the range is.
 *
 * The chain has three images.  The bottom has data in its first tables.  The
 * middle has another cluster size, and data in other tables.  The overlay is
 * empty.  QEMU reads the result.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tests/lib/helpers.h"
#include "qcow/qcow.h"

#define SIZE	(1ull << 40) /* bytes; beyond the middle's data, 2 T entries */
#define PIECE	(1ull << 30)
#define MIB	(1ull << 20)
#define TABLES	6u /* at most, of the overlay */
#define CLUSTER 65536u

static char *top;

static void make_chain(void)
{
	const char *dir = scratch();

	must_run("cd %s && rm -f *.qcow2 &&"
		 "qemu-img create -q -f qcow2 bottom.qcow2 600G &&"
		 "qemu-io -c 'write -P 1 3M 1M' -c 'write -P 1 599G 1M' "
		 "bottom.qcow2 >/dev/null &&"
		 "qemu-img create -q -f qcow2 -o cluster_size=4k "
		 "-b bottom.qcow2 -F qcow2 middle.qcow2 1T &&"
		 "qemu-io -c 'write -P 2 700G 64k' middle.qcow2 >/dev/null &&"
		 "qemu-img create -q -f qcow2 -b middle.qcow2 -F qcow2 "
		 "top.qcow2 1T",
		 dir);
}

static struct qcow_image *open_top(void)
{
	struct qcow_options options = {
		.journal_dir = scratch(),
		.cache = QCOW_CACHE_WRITEBACK,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image;

	if (qcow_open(top, &options, &image, &error))
		die("open: %s", error.text);
	return image;
}

static int change(struct qcow_image *image, bool zeroes, uint64_t offset,
		  uint64_t length)
{
	return zeroes ? qcow_write_zeroes(image, offset, length, false) :
			qcow_discard(image, offset, length);
}

/* Changes all of the disk, from a place that is not the beginning of a
   table. */
static void change_all(bool zeroes)
{
	struct qcow_image *image = open_top();
	uint64_t offset = 5 * MIB, length;

	if (change(image, zeroes, 0, offset))
		die("the beginning cannot be changed");
	for (; offset < SIZE; offset += length) {
		length = SIZE - offset < PIECE ? SIZE - offset : PIECE;
		if (change(image, zeroes, offset, length))
			die("%llu cannot be changed",
			    (unsigned long long)offset);
	}
	if (qcow_close(image))
		die("close fails");
}

static void check(const char *what)
{
	struct stat st;

	must_run("qemu-img check -q %s", top);
	must_run("qemu-io -r -c 'read -P 0 0 16M' -c 'read -P 0 599G 16M' "
		 "-c 'read -P 0 700G 16M' -c 'read -P 0 1023G 16M' %s "
		 ">%s/read && ! grep -q 'verification failed' %s/read",
		 top, scratch(), scratch());
	if (stat(top, &st))
		die("no image");
	if (st.st_size > (TABLES + 8) * CLUSTER)
		die("%s: the overlay has %lld bytes", what,
		    (long long)st.st_size);
}

int main(void)
{
	top = scratch_path("top.qcow2");
	make_chain();
	change_all(false);
	check("discard");
	make_chain();
	change_all(true);
	check("write zeroes");
	free(top);
}
