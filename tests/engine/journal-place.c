// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The place of a journal, and its room there (R13).  It may lie on a tmpfs
 * only: the pages outlive a process, and after a loss of power they are gone.
 * All its bytes are set aside: a page that is missing later would kill the
 * process that writes there.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include "tests/lib/helpers.h"
#include "qcow/bits.h"
#include "qcow/qcow.h"

static int open_image(const char *journals, struct qcow_image **image,
		      struct qcow_error *error)
{
	const struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = journals,
		.inline_checkpoint = true,
	};
	char *path = scratch_path("image");
	int ret = qcow_open(path, &options, image, error);

	free(path);
	return ret;
}

/* A directory on a disk. */
static const char *find_other_place(void)
{
	static const char *const places[] = { ".", "/var/tmp", "/root", "/" };
	struct statfs fs;

	for (unsigned int i = 0; i < ARRAY_SIZE(places); i++)
		if (!statfs(places[i], &fs) && fs.f_type != TMPFS_MAGIC)
			return places[i];
	die("all directories are on a tmpfs");
}

static void test_other_place(void)
{
	const char *place = find_other_place();
	struct qcow_error error = { "" };
	struct qcow_image *image;

	if (!open_image(place, &image, &error))
		die("a journal lies in %s", place);
	/* Some file systems have no files without a name. */
	if (!strstr(error.text, "must be on a tmpfs") &&
	    !strstr(error.text, strerror(EOPNOTSUPP)))
		die("refused with '%s'", error.text);
}

static void test_set_aside(void)
{
	struct qcow_error error = { "" };
	struct qcow_image *image;
	char *path;
	struct stat st;

	if (open_image(scratch(), &image, &error))
		die("open: %s", error.text);
	path = scratch_find("*.journal");
	if (stat(path, &st))
		die("%s: %s", path, strerror(errno));
	if (st.st_blocks * 512 < st.st_size)
		die("only %lu of its %lu bytes are set aside",
		    st.st_blocks * 512, st.st_size);
	if (qcow_close(image))
		die("the close fails");
	free(path);
}

int main(void)
{
	must_run("qemu-img create -q -f qcow2 %s/image 1M", scratch());
	test_other_place();
	test_set_aside();
	return 0;
}
