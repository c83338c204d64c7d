// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An image that was merged into the image below it, and is marked.  It is not
 * opened any more, nor is an image on top of it, and the refusal names the
 * image that has all the data.  qemu-img sees no change.  A loss of power may
 * keep any sectors of the mark's write; if the first sector is there, the image
 * is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "qcow/bits.h"
#include "qcow/create.h"
#include "qcow/lock.h"
#include "qcow/merge.h"
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"

static const char *const kinds[] = {
	"compat=1.1",
	"compat=0.10",
	"cluster_size=512",
	"cluster_size=512,compat=0.10",
	"cluster_size=2M,extended_l2=on",
	NULL, /* one of our own */
};

static char *top, *base, *above;

static void make(const char *options)
{
	const struct qcow_overlay overlay = {
		.backing = base,
		.format = "qcow2",
		.size = 1 << 20,
	};
	struct qcow_error error;

	must_run("rm -f %s %s %s", top, base, above);
	must_run("qemu-img create -q -f qcow2 %s 1M && "
		 "qemu-io -c 'write -q -P 1 0 1M' %s",
		 base, base);
	if (!options && qcow_create_overlay(top, &overlay, &error))
		die("%s", error.text);
	if (options)
		must_run("qemu-img create -q -f qcow2 -o %s -F qcow2 -b %s %s",
			 options, base, top);
	must_run("qemu-io -c 'write -q -P 2 256K 64K' %s", top);
	must_run("qemu-img create -q -f qcow2 -F qcow2 -b %s %s", top, above);
	must_run("qemu-img info %s | grep -v 'disk size' >%s/info; "
		 "qemu-img map %s >%s/map",
		 top, scratch(), top, scratch());
}

static int mark(const char *into, struct qcow_error *error)
{
	struct qcow_identity identity;

	if (qcow_identify_path(top, &identity))
		die("%s cannot be identified", top);
	return qcow_mark_merged(top, &identity, into, error);
}

static int open_it(const char *path, bool read_only, struct qcow_error *error)
{
	const struct qcow_options options = {
		.read_only = read_only,
		.cache = QCOW_CACHE_WRITEBACK,
		.references = &model_references,
		.inline_checkpoint = true,
		.journal_dir = scratch(),
	};
	struct qcow_image *image;
	int ret = qcow_open(path, &options, &image, error);

	if (!ret)
		qcow_close(image);
	return ret;
}

static void must_be_refused(const char *path, const char *into)
{
	char words[600];
	struct qcow_error error;

	snprintf(words, sizeof(words), "merged into %s, which has all", into);
	for (int read_only = 0; read_only < 2; read_only++) {
		int ret = open_it(path, read_only, &error);

		if (ret != -ESTALE || !strstr(error.text, words) ||
		    !strstr(error.text, "delete this one"))
			die("%s is opened, or refused so: %s", path,
			    ret ? error.text : "");
	}
}

static void must_be_open(const char *path)
{
	struct qcow_error error;

	if (open_it(path, false, &error))
		die("%s: %s", path, error.text);
}

static void must_be_the_same(void)
{
	must_run("qemu-img check -q %s && "
		 "qemu-img info %s | grep -v 'disk size' | diff %s/info - && "
		 "qemu-img map %s | diff %s/map -",
		 top, top, scratch(), top, scratch());
}

static void test_kind(const char *options)
{
	struct qcow_error error = { "" };
	size_t size, size_again;
	uint8_t *bytes, *again;

	make(options);
	must_be_open(top);
	must_be_open(above);
	if (qcow_is_merged(top))
		die("%s: it is marked before", options);
	if (mark(base, &error))
		die("%s: %s", options, error.text);
	must_be_refused(top, base);
	must_be_refused(above, base);
	if (!qcow_is_merged(top) || qcow_is_merged(base) ||
	    qcow_is_merged("/nonexistent"))
		die("%s: it is not told from others", options);
	must_be_open(base);
	must_be_the_same();
	bytes = read_file(top, &size);
	if (mark("/another", &error))
		die("%s: %s", options, error.text);
	again = read_file(top, &size_again);
	if (size != size_again || memcmp(bytes, again, size))
		die("%s: it is marked twice", options);
	free(bytes);
	free(again);
}

/* The name is too long, so the mark is written without the name. */
static void test_no_room(void)
{
	struct qcow_error error = { "" };
	char into[500];

	memset(into, 'x', sizeof(into) - 1);
	into[0] = '/';
	into[sizeof(into) - 1] = 0;
	make("cluster_size=512");
	if (mark(into, &error))
		die("no room: %s", error.text);
	must_be_refused(top, "the image below it");
	must_be_the_same();
}

static void test_torn(void)
{
	struct qcow_error error = { "" };
	uint8_t *before, *after;
	size_t size;

	make(NULL);
	must_run("truncate -s %%64K %s", top);
	before = read_file(top, &size);
	if (mark(base, &error))
		die("torn: %s", error.text);
	after = read_file(top, &size);
	memcpy(before, after, 512);
	write_file(top, before, size);
	must_be_refused(top, base);
	free(before);
	free(after);
}

static void test_not_marked(void)
{
	struct qcow_identity identity;
	struct qcow_error error;
	struct qcow_lock *lock;
	size_t size, size_now;
	uint8_t *bytes, *now;

	make(NULL);
	bytes = read_file(top, &size);
	if (qcow_lock(top, NULL, true, true, &lock, &error))
		die("%s", error.text);
	if (mark(base, &error) != -EBUSY)
		die("an image that somebody reads is marked");
	qcow_unlock(lock);
	if (qcow_identify_path(above, &identity) ||
	    qcow_mark_merged(top, &identity, base, &error) != -ESTALE)
		die("another file is marked");
	now = read_file(top, &size_now);
	if (size != size_now || memcmp(bytes, now, size))
		die("it has changed");
	must_be_open(top);
	free(bytes);
	free(now);
}

int main(void)
{
	top = scratch_path("top.qcow2");
	base = scratch_path("base.qcow2");
	above = scratch_path("above.qcow2");
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++)
		test_kind(kinds[i]);
	test_no_room();
	test_torn();
	test_not_marked();
	free(top);
	free(base);
	free(above);
	return 0;
}
