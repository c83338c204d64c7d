// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two readers that have nothing to do with QEMU, nor with us.  Both read only
 * some kinds of qcow2 images.  7zz says so when it cannot read one.  libqcow
 * reads something else, or reads for ever.  So the test looks at an image
 * first.  A reader gets the image only if the reader alone can be blamed for a
 * wrong result:
 *
 *	both	no incompatible features but the dirty bit; every cluster
 *		wholly in its file
 *	7zz	no layers
 *	libqcow	no entry with the zero flag; layers of qcow2 only, each as
 *		long as the image above it; and a read must not cross a
 *		cluster of any of them
 *
 * libqcow runs in a process of its own, which is killed if it hangs.
 */
#include <libqcow.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/engine/readers.h"
#include "qcow/bits.h"
#include "qcow/format.h"

#define PATIENCE_S 120
#define SMALL	   (64u << 20) /* so much can be read whole */

const char *const reader_names[NR_READERS] = { "7zz", "libqcow" };

/* ---- the kind of an image ---- */

/* The findings in the active tables. */
struct look {
	uint32_t cluster_bits;
	bool cut; /* an entry names bytes past the file's end */
	bool zero_flag;
};

static void look_at_entry(struct look *look, uint64_t entry, size_t size)
{
	uint32_t bits = look->cluster_bits;
	uint64_t offset = entry & ENTRY_OFFSET, end = 0;

	if (entry & ENTRY_COMPRESSED) {
		uint32_t shift = 70 - bits;
		uint64_t sectors = (entry & ~(3ull << 62)) >> shift;

		offset = entry & ((1ull << shift) - 1);
		end = round_down(offset, 512) + (sectors + 1) * 512;
	} else {
		look->zero_flag |= entry & ENTRY_ZERO;
		/* 7zz takes the flag for a part of the offset, and so wants one
		   byte more. */
		if (offset)
			end = offset + (1ull << bits) + (entry & ENTRY_ZERO);
	}
	look->cut |= end > size;
}

static void look_at_tables(struct look *look, const uint8_t *file, size_t size)
{
	uint32_t entries = 1u << (look->cluster_bits - 3);
	uint32_t l1_size = load_be32(file + HEADER_L1_SIZE);
	const uint8_t *l1 = file + load_be64(file + HEADER_L1_OFFSET);

	for (uint32_t i = 0; i < l1_size; i++) {
		uint64_t l2 = load_be64(l1 + i * 8ull) & ENTRY_OFFSET;

		look->cut |= l2 + entries * 8ull > size;
		for (uint32_t n = 0; l2 && !look->cut && n < entries; n++)
			look_at_entry(look, load_be64(file + l2 + n * 8ull),
				      size);
	}
}

/* Returns false if the image is cut off, or has features that neither reader
   knows. */
static bool look_at(const char *path, struct look *look)
{
	size_t size;
	uint8_t *file = read_file(path, &size);
	bool known;

	*look = (struct look){
		.cluster_bits = load_be32(file + HEADER_CLUSTER_BITS),
	};
	known = load_be32(file + HEADER_VERSION) < 3 ||
		!(load_be64(file + HEADER_INCOMPATIBLE) & ~INCOMPATIBLE_DIRTY);
	if (known)
		look_at_tables(look, file, size);
	free(file);
	return known && !look->cut;
}

/* ---- 7zz ---- */

static bool read_with_7zz(const struct recipe *recipe,
			  const struct contents *contents)
{
	struct look look;

	if (recipe->size > SMALL || recipe->nr_layers ||
	    !look_at(recipe->path, &look))
		return false;
	if (run("7zz x -tqcow -so %s >%s/7zz", recipe->path, recipe->directory))
		die("%s: 7zz (package 7zip) fails", recipe->what);
	if (run("cmp %s/7zz %s", recipe->directory, contents->path))
		die("%s: 7zz reads something else", recipe->what);
	return true;
}

/* ---- libqcow ---- */

static libqcow_file_t *open_file(const struct recipe *recipe, const char *path,
				 libqcow_file_t *under)
{
	libqcow_file_t *file = NULL;

	if (libqcow_file_initialize(&file, NULL) != 1 ||
	    libqcow_file_open(file, path, LIBQCOW_OPEN_READ, NULL) != 1)
		die("%s: libqcow does not open %s", recipe->what, path);
	if (under && libqcow_file_set_parent_file(file, under, NULL) != 1)
		die("%s: libqcow does not take the layer under %s",
		    recipe->what, path);
	return file;
}

static void read_file_at(void *reader, void *bytes, uint64_t offset,
			 size_t length)
{
	if (libqcow_file_read_buffer_at_offset(reader, bytes, length, offset,
					       NULL) != (ssize_t)length)
		die("libqcow does not read at %lu", offset);
}

static void close_file(libqcow_file_t *file)
{
	libqcow_file_close(file, NULL);
	libqcow_file_free(&file, NULL);
}

/* Runs in a child. */
static void read_chain(const struct recipe *recipe,
		       const struct contents *contents)
{
	libqcow_file_t *files[LAYERS_MAX + 2] = { NULL };
	unsigned int n = recipe->nr_layers;
	struct subject subject = {
		.read = read_file_at,
		.unit = recipe->cluster,
		.what = recipe->what,
	};

	while (n--) {
		const struct layer *layer = &recipe->layers[n];

		files[n + 1] = open_file(recipe, layer->path, files[n + 2]);
		subject.unit = min_u64(subject.unit, layer->cluster);
	}
	files[0] = open_file(recipe, recipe->path, files[1]);
	subject.reader = files[0];
	contents_compare(contents, &subject);
	for (n = 0; n <= recipe->nr_layers; n++)
		close_file(files[n]);
}

static bool is_for_libqcow(const struct recipe *recipe)
{
	uint64_t size = recipe->size;
	struct look look;

	if (!look_at(recipe->path, &look) || look.zero_flag)
		return false;
	for (unsigned int n = 0; n < recipe->nr_layers; n++) {
		const struct layer *layer = &recipe->layers[n];

		if (strcmp(layer->format, "qcow2") || layer->size < size ||
		    !look_at(layer->path, &look) || look.zero_flag)
			return false;
		size = layer->size;
	}
	return true;
}

static bool read_with_libqcow(const struct recipe *recipe,
			      const struct contents *contents)
{
	pid_t child;
	int status;

	if (!is_for_libqcow(recipe))
		return false;
	fflush(NULL);
	child = fork();
	if (!child) {
		alarm(PATIENCE_S);
		read_chain(recipe, contents);
		_exit(0);
	}
	waitpid(child, &status, 0);
	if (status)
		die("%s: libqcow %s", recipe->what,
		    WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ?
			    "hangs" :
			    "fails");
	return true;
}

bool reader_read(enum reader reader, const struct recipe *recipe,
		 const struct contents *contents)
{
	if (reader == READER_7ZZ)
		return read_with_7zz(recipe, contents);
	return read_with_libqcow(recipe, contents);
}
