// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files that an image may name (P6).  Each row has an image, the admin's
 * permissions, and whether the image is opened.  A refusal tells the admin how
 * to go on.  The same is then tested for a layer, named by a process that is
 * not trusted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/helpers.h"
#include "qcow/qcow.h"

enum word {
	NOTHING_SAID,
	DIRECTORY, /* the directory of the named file */
	DATA_DIRECTORY,
	DATA_FILE, /* this very file */
	OTHER_DATA_FILE,
	NOT_BESIDE,
	NO_REFERENCES,
};

static const struct row {
	const char *options; /* of qemu-img create */
	enum word word;
	const char *refused; /* NULL: it is opened */
} rows[] = {
	{ "-b base -F raw", NOTHING_SAID, NULL },
	{ "-b base -F file", NOTHING_SAID, NULL },
	{ "-b ./sub/base -F raw", NOTHING_SAID, NULL },
	{ "-b file:$PWD/base -F raw", NOTHING_SAID, NULL },
	{ "-b file:base -F raw", NOTHING_SAID, "by a protocol" },
	{ "-b 'json:{\"driver\":\"file\",\"filename\":\"base\"}' -F raw",
	  NOTHING_SAID, "by a protocol" },
	{ "-b ../elsewhere/base -F raw", NOTHING_SAID, "directories" },
	{ "-b link -F raw", NOTHING_SAID, "directories" },
	{ "-b ../elsewhere/base -F raw", DIRECTORY, NULL },
	{ "-b link -F raw", DIRECTORY, NULL },
	{ "-b ../elsewhere/base -F raw", DATA_DIRECTORY, NULL },
	{ "-b base -F raw", NOT_BESIDE, "directories" },
	{ "-b ../elsewhere/base -F raw", NOT_BESIDE, "directories" },
	{ "-b base -F raw", NO_REFERENCES, "alone" },
	{ "-b ../elsewhere/base -F raw", NO_REFERENCES, "alone" },
	{ "", NO_REFERENCES, NULL },
	{ "-o data_file=data", NOTHING_SAID, "--data-file" },
	{ "-o data_file=data,data_file_raw=on", NOTHING_SAID, "--data-file" },
	{ "-o data_file=data", DIRECTORY, "--data-file" },
	{ "-o data_file=data", DATA_DIRECTORY, "--data-file" },
	{ "-o data_file=data", OTHER_DATA_FILE, "--data-file" },
	{ "-o data_file=data", DATA_FILE, NULL },
	{ "-o data_file=../elsewhere/data", DATA_FILE, "--data-file" },
	{ "-o data_file=../elsewhere/data", DATA_DIRECTORY, NULL },
	{ "-o data_file=data", NO_REFERENCES, "alone" },
	/* Another guest's image is not data, whatever the admin permits. */
	{ "-o data_file=victim", NOTHING_SAID, "--data-file" },
	{ "-o data_file=../elsewhere/victim", DATA_DIRECTORY,
	  "is a qcow2 image itself" },
};

static const struct qcow_references *say(enum word word)
{
	static struct qcow_references references;
	static const char *elsewhere[2];
	static char *data, *other;

	if (!data) {
		elsewhere[0] = scratch_path("elsewhere");
		data = scratch_path("pool/data");
		other = scratch_path("pool/base");
	}
	references = (struct qcow_references){
		.directories = word == DIRECTORY ? elsewhere : NULL,
		.data_directories = word == DATA_DIRECTORY ? elsewhere : NULL,
		.data_file = word == DATA_FILE	     ? data :
			     word == OTHER_DATA_FILE ? other :
						       NULL,
		.not_beside = word == NOT_BESIDE,
		.none = word == NO_REFERENCES,
	};
	return word == NOTHING_SAID ? NULL : &references;
}

static void make(const struct row *row)
{
	/* qemu-img opens data files to make them, and backing files for their
	   size.  It looks for them in the directory where it runs. */
	must_run(
		"cd %s; rm -rf pool elsewhere; mkdir -p pool/sub elsewhere; cd pool; for f in base sub/base ../elsewhere/base; do truncate -s 1M $f; done; ln -s ../elsewhere/base link; qemu-img create -q -f qcow2 ../elsewhere/victim 1M; cp ../elsewhere/victim .; qemu-img create -q -u -f qcow2 %s image 1M",
		scratch(), row->options);
	/* The owner of the victim made it first. */
	must_run(
		"cd %s/pool; qemu-img create -q -f qcow2 victim 1M; qemu-img create -q -f qcow2 ../elsewhere/victim 1M",
		scratch());
}

static void test_open(const struct row *row)
{
	const struct qcow_options options = {
		.journal_dir = scratch(),
		.references = say(row->word),
		.cache = QCOW_CACHE_WRITEBACK,
	};
	char *path = scratch_path("pool/image");
	struct qcow_error error = { "" };
	struct qcow_image *image;
	int ret;

	make(row);
	ret = qcow_open(path, &options, &image, &error);
	if (!ret != !row->refused)
		die("%s, %d: %s", row->options, row->word,
		    ret ? error.text : "opened");
	if (ret && !strstr(error.text, row->refused))
		die("%s, %d: '%s' does not say '%s'", row->options, row->word,
		    error.text, row->refused);
	if (!ret)
		qcow_close(image);
	free(path);
}

/* A process that was taken over names any file that it likes. */
static void test_layer(const char *name, bool written, enum word word,
		       bool allowed)
{
	char *top = scratch_path("pool/image"), *path = scratch_path(name);
	const struct qcow_layer layer = {
		.path = *name == '/' ? name : path,
		.written = written,
	};
	struct qcow_error error = { "" };

	if (!qcow_check_layer(top, &layer, say(word), &error) != allowed)
		die("the layer %s, %d: %s", name, word,
		    allowed ? error.text : "allowed");
	free(path);
	free(top);
}

int main(void)
{
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		test_open(&rows[i]);
	test_layer("pool/base", false, NOTHING_SAID, true);
	test_layer("pool/link", false, NOTHING_SAID, false);
	test_layer("pool/base", true, NOTHING_SAID, false);
	test_layer("pool/data", true, DATA_FILE, false);
	test_layer("pool/base", true, OTHER_DATA_FILE, true);
	test_layer("pool/base", false, NO_REFERENCES, false);
	test_layer("elsewhere/base", false, NOTHING_SAID, false);
	test_layer("elsewhere/base", false, DIRECTORY, true);
	test_layer("/etc/passwd", false, DIRECTORY, false);
	test_layer("/etc/../etc/passwd", false, NOTHING_SAID, false);
	printf("%zu images\n", sizeof(rows) / sizeof(*rows));
	return 0;
}
