// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files that a disk consists of.  A later server opens these very files,
 * wherever they have been moved to, and no others.  Each file has its locks.
 * An image that consists of too many files is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tests/engine/layers.h"
#include "tests/lib/model.h"
#include "tests/lib/helpers.h"
#include "qcow/image.h"

struct known {
	struct qcow_layer layers[4];
	unsigned int count;
};

/* Opens the image like a server that follows another one, when the admin allows
   no image to name a file any more.  With a text, the image must be refused in
   these words. */
static void open_again(const char *path, const struct known *known,
		       enum qcow_locking locking, const char *text)
{
	static const struct qcow_references nothing = { .none = true };
	const struct qcow_options options = {
		.journal_dir = scratch(),
		.references = &nothing,
		.cache = QCOW_CACHE_WRITEBACK,
		.locking = locking,
		.layers = known->layers,
		.nr_layers = known->count,
	};
	struct qcow_error error = { "" };
	struct qcow_image *image;
	int ret = qcow_open(path, &options, &image, &error);

	if (!ret != !text || (text && !strstr(error.text, text)))
		die("layers: %s", ret ? error.text : "opened");
	if (!ret)
		model_close(image);
}

/* Learns the layers from qcow_layers(); the caller frees their paths. */
static void learn(const char *path, struct known *known)
{
	struct qcow_image *image = model_open(path, QCOW_CACHE_WRITEBACK);

	known->count = qcow_layers(image, known->layers, 4);
	for (unsigned int i = 0; i < known->count; i++)
		known->layers[i].path = strdup(known->layers[i].path);
	model_close(image);
}

static void expect_layer(const struct qcow_layer *layer, const char *path,
			 bool written)
{
	struct qcow_identity identity;

	if (strcmp(layer->path, path) || layer->written != written ||
	    qcow_identify_path(path, &identity) ||
	    memcmp(&identity, &layer->identity, sizeof(identity)))
		die("layers: %s where %s is", layer->path, path);
}

/* Puts the same bytes into another file; the image is refused until the first
   file is back. */
static void replace(const char *path, const struct known *known, unsigned int i)
{
	const char *layer = known->layers[i].path;

	must_run("mv %s %s.away && cp %s.away %s", layer, layer, layer, layer);
	open_again(path, known, QCOW_LOCK_TEST, "another file has taken");
	must_run("mv %s.away %s", layer, layer);
	open_again(path, known, QCOW_LOCK_TEST, NULL);
}

/* Moves the file to another name; its old name leads there. */
static void move(const char *path, const struct known *known, unsigned int i)
{
	const char *layer = known->layers[i].path;

	must_run("mv %s %s.moved && ln -s %s.moved %s", layer, layer, layer,
		 layer);
	open_again(path, known, QCOW_LOCK_TEST, NULL);
	must_run("mv %s.moved %s", layer, layer);
}

/* Somebody holds the locks of a layer.  An open may join the locks that its own
   disk holds. */
static void lock(const char *path, const struct known *known)
{
	const struct qcow_layer *data = &known->layers[0];
	struct qcow_lock *held;

	if (qcow_lock(data->path, &data->identity, false, true, &held, NULL))
		die("layers: cannot be locked");
	open_again(path, known, QCOW_LOCK_TEST, "in use");
	open_again(path, known, QCOW_LOCK_JOIN, NULL);
	if (!run("qemu-io -f raw -c 'write -q 0 512' %s >/dev/null 2>&1",
		 data->path))
		die("layers: QEMU writes to the data file");
	qcow_unlock(held);
	must_run("qemu-io -f raw -c 'read -q 0 512' %s", data->path);
	if (!qcow_lock(data->path, &known->layers[1].identity, false, true,
		       &held, NULL))
		die("layers: another file has been locked");
}

/* A supervisor has locked the layer for a merge, and its server cannot write to
   that: the server reads it all the same. */
static void lock_unmerged(const char *path, const struct known *known)
{
	const struct qcow_layer *middle = &known->layers[1];
	struct known merged = *known;
	struct qcow_lock *held;

	if (qcow_lock(middle->path, &middle->identity, false, true, &held,
		      NULL))
		die("layers: cannot be locked");
	open_again(path, known, QCOW_LOCK_JOIN, "in use");
	merged.layers[1].written = true;
	open_again(path, &merged, QCOW_LOCK_JOIN, NULL);
	qcow_unlock(held);
}

static void expect_where(const struct qcow_lock *lock, const char *expected)
{
	char path[512];

	if (qcow_lock_where(lock, path, sizeof(path)) || strcmp(path, expected))
		die("layers: a locked file is at %s, not at %s", expected,
		    path);
}

/* A locked file is found wherever it was moved to. */
static void find_locked(void)
{
	char *path = scratch_path("here"), *moved = scratch_path("there");
	char *deleted = scratch_path("there (deleted)");
	struct qcow_lock *held;

	make_raw(path, 65536);
	if (qcow_lock(path, NULL, false, true, &held, NULL))
		die("layers: %s cannot be locked", path);
	expect_where(held, path);
	must_run("mv %s %s", path, moved);
	expect_where(held, moved);
	must_run("rm %s", moved);
	expect_where(held, deleted);
	qcow_unlock(held);
	free(path);
	free(moved);
	free(deleted);
}

/* A dead server's I/O never ends.  The caller decides whether to wait for it,
   and for how long. */
static void lock_fenced(const struct known *known)
{
	const char *data = known->layers[0].path;
	struct flock fence = { .l_type = F_WRLCK, .l_start = 400, .l_len = 1 };
	int fd = open(data, O_RDWR | O_CLOEXEC);
	struct qcow_lock *held;
	time_t before = time(NULL);

	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &fence))
		die("layers: cannot fence %s", data);
	if (qcow_lock(data, NULL, false, true, &held, NULL) != -EINPROGRESS)
		die("layers: a fenced file was locked, or refused otherwise");
	if (time(NULL) - before > 20)
		die("layers: the fence was waited for");
	close(fd);
	if (qcow_lock(data, NULL, false, true, &held, NULL))
		die("layers: cannot be locked when the fence has fallen");
	qcow_unlock(held);
}

/* An image with a data file on an image on a raw file. */
void test_known_layers(void)
{
	char *path = scratch_path("image"), *data = scratch_path("data");
	char *middle = scratch_path("middle"), *base = scratch_path("base");
	struct known known;

	make_raw(base, 65536);
	must_run(
		"rm -f %s %s %s; qemu-img create -q -f qcow2 -b %s -F raw %s && qemu-img create -q -f qcow2 -o data_file=%s -b %s -F qcow2 %s",
		middle, path, data, base, middle, data, middle, path);
	learn(path, &known);
	if (known.count != 3)
		die("layers: %u of them", known.count);
	expect_layer(&known.layers[0], data, true);
	expect_layer(&known.layers[1], middle, false);
	expect_layer(&known.layers[2], base, false);
	open_again(path, &known, QCOW_LOCK_TEST, NULL);
	for (unsigned int i = 0; i < known.count; i++) {
		replace(path, &known, i);
		move(path, &known, i);
	}
	lock(path, &known);
	lock_unmerged(path, &known);
	lock_fenced(&known);
	find_locked();
	known.count = 2;
	open_again(path, &known, QCOW_LOCK_TEST, "no part of the disk");
	known.count = 3;
	must_run("qemu-img rebase -u -f qcow2 -b %s -F raw %s", base, path);
	open_again(path, &known, QCOW_LOCK_TEST, "another file has taken");
	must_run("qemu-img rebase -u -f qcow2 -b '' %s", path);
	open_again(path, &known, QCOW_LOCK_TEST, "3 more files and");
	for (unsigned int i = 0; i < known.count; i++)
		free((char *)known.layers[i].path);
	free(path);
	free(data);
	free(middle);
	free(base);
}

/* Each image has a data file of its own. */
static void make_tower(unsigned int images_in_it)
{
	must_run(
		"cd %s && rm -f tower.* && for i in $(seq %u); do qemu-img create -q -f qcow2 -o cluster_size=512,data_file=$PWD/tower.data.$i $b tower.$i 64k || exit 1; b=\"-b tower.$i -F qcow2\"; done",
		scratch(), images_in_it);
}

/* The table of files is bounded. */
void test_many_files(void)
{
	const struct qcow_options options = {
		.journal_dir = scratch(),
		.references = &model_references,
	};
	struct qcow_error error = { "" };
	struct qcow_layer layers[QCOW_FILES_MAX];
	struct qcow_judgement judgement;
	struct qcow_image *image;
	char *path = scratch_path("tower.33");

	make_tower(33);
	if (!qcow_open(path, &options, &image, &error) ||
	    !strstr(error.text, "consists of 66 files"))
		die("many files: %s", error.text);
	qcow_judge(path, &options, &judgement);
	if (judgement.verdict != QCOW_REFUSED)
		die("many files: judged otherwise");
	free(path);
	path = scratch_path("tower.32");
	if (qcow_open(path, &options, &image, &error))
		die("many files: %s", error.text);
	if (qcow_layers(image, layers, QCOW_FILES_MAX) != QCOW_FILES_MAX - 1)
		die("many files: not all");
	model_close(image);
	free(path);
}
