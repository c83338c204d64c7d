// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The images that are broken, each sound to begin with, and the checks that
 * every test makes: a refused image is not written to, and no journal is left.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/broken.h"
#include "tests/lib/helpers.h"

char *bases[BASES];
unsigned int checks;
char broken_notice[512];

/* ---- making and poking ---- */

uint64_t broken_load(const uint8_t *bytes, unsigned int width)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < width; i++)
		value = value << 8 | bytes[i];
	return value;
}

void broken_store(uint8_t *bytes, unsigned int width, uint64_t value)
{
	while (width--) {
		bytes[width] = value;
		value >>= 8;
	}
}

static void check_layout(const char *path)
{
	size_t size;
	uint8_t *bytes = read_file(path, &size);

	if (broken_load(bytes + HEADER_REFCOUNT_TABLE_OFFSET, 8) != TABLE ||
	    broken_load(bytes + TABLE, 8) != BLOCK ||
	    broken_load(bytes + HEADER_L1_OFFSET, 8) != L1 ||
	    broken_load(bytes + L1, 8) != (L2 | COPIED) ||
	    broken_load(bytes + L2, 8) != (DATA | COPIED) || size != END)
		die("qemu-img puts things elsewhere than this test thinks");
	free(bytes);
}

static void check_snapshots(const char *path)
{
	size_t size;
	uint8_t *bytes = read_file(path, &size);

	if (broken_load(bytes + HEADER_SNAPSHOTS_OFFSET, 8) != SNAPSHOTS ||
	    broken_load(bytes + SNAPSHOTS, 8) != SNAPSHOT_L1)
		die("qemu-img puts snapshots elsewhere than this test thinks");
	free(bytes);
}

static void check_bitmaps(const char *path)
{
	size_t size;
	uint8_t *bytes = read_file(path, &size);

	if (size < BITMAPS + 8 ||
	    broken_load(bytes + BITMAPS, 8) != BITMAP_TABLE)
		die("qemu-img puts bitmaps elsewhere than this test thinks");
	free(bytes);
}

static char *create(const char *name, const char *options)
{
	char *path = scratch_path(name);

	must_run("qemu-img create -q -f qcow2 -o cluster_size=%u%s %s %u",
		 CLUSTER, options, path, DISK_SIZE);
	must_run(
		"qemu-io -f qcow2 -c 'write -q -P 0x11 0 4096' -c 'write -q -P 0x22 4096 8192' %s",
		path);
	return path;
}

void broken_make_bases(void)
{
	char *base = scratch_path("base.raw");

	must_run("head -c %u /dev/zero | tr '\\0' b >%s", DISK_SIZE, base);
	bases[PLAIN] = create("plain", "");
	check_layout(bases[PLAIN]);
	bases[OLD] = create("old", ",compat=0.10");
	check_layout(bases[OLD]);
	bases[OVERLAY] = scratch_path("overlay");
	must_run("qemu-img create -q -f qcow2 -b base.raw -F raw %s",
		 bases[OVERLAY]);
	bases[PACKED] = scratch_path("packed");
	must_run("qemu-img convert -c -O qcow2 -o cluster_size=%u %s %s",
		 CLUSTER, bases[PLAIN], bases[PACKED]);
	bases[SNAPSHOT] = create("snapshot", "");
	must_run("qemu-img snapshot -c one %s", bases[SNAPSHOT]);
	check_snapshots(bases[SNAPSHOT]);
	bases[BITMAP] = create("bitmap", "");
	must_run(
		"qemu-img bitmap --add %s one; qemu-io -f qcow2 -c 'write -q -P 0x11 0 4096' %s; truncate -s %%%u %s",
		bases[BITMAP], bases[BITMAP], CLUSTER, bases[BITMAP]);
	check_bitmaps(bases[BITMAP]);
	bases[EXTENDED] = scratch_path("extended");
	must_run(
		"qemu-img create -q -f qcow2 -o extended_l2=on,cluster_size=%u %s 1M",
		EXTENDED_CLUSTER, bases[EXTENDED]);
	must_run(
		"qemu-io -f qcow2 -c 'write -q -P 0x11 0 %u' -c 'write -q -P 0x22 %u %u' %s",
		EXTENDED_CLUSTER, EXTENDED_CLUSTER, EXTENDED_CLUSTER,
		bases[EXTENDED]);
	free(base);
}

/* A copy of the base with the bytes changed, at the path. */
void make_broken(const char *path, enum base base, const struct poke *pokes)
{
	size_t size;
	uint8_t *bytes = read_file(bases[base], &size);

	for (unsigned int i = 0; i < MAX_POKES && pokes[i].width; i++) {
		if (pokes[i].at + pokes[i].width > size)
			die("poke at %#lx", pokes[i].at);
		broken_store(bytes + pokes[i].at, pokes[i].width,
			     pokes[i].value);
	}
	write_file(path, bytes, size);
	free(bytes);
}

/* ---- opening ---- */

static void take_notice(void *opaque, const char *text)
{
	(void)opaque;
	snprintf(broken_notice, sizeof(broken_notice), "%s", text);
}

int open_broken(const char *path, bool read_only, struct qcow_image **image,
		struct qcow_error *error)
{
	const struct qcow_options options = {
		.read_only = read_only,
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = scratch(),
		.inline_checkpoint = true,
		.notice = take_notice,
	};

	*broken_notice = '\0';
	*error = (struct qcow_error){ "" };
	return qcow_open(path, &options, image, error);
}

void expect_text(const char *name, const char *says,
		 const struct qcow_error *error)
{
	if (!strstr(error->text, says))
		die("%s: said \"%s\", not \"%s\"", name, error->text, says);
	checks++;
}

void expect_refused(const char *name, const char *path, bool read_only,
		    const char *says)
{
	struct qcow_image *image;
	struct qcow_error error;

	if (!open_broken(path, read_only, &image, &error))
		die("%s: opened%s, though %s", name,
		    read_only ? " read-only" : "", says);
	expect_text(name, says, &error);
}

void expect_judged(const char *name, const char *path,
		   enum qcow_verdict verdict, const char *says)
{
	const struct qcow_options options = { .journal_dir = scratch() };
	struct qcow_judgement judgement;

	qcow_judge(path, &options, &judgement);
	if (judgement.verdict != verdict)
		die("%s: judged %d: %s", name, judgement.verdict,
		    judgement.why.text);
	expect_text(name, says, &judgement.why);
}

static void note_refusal(void *opaque, const struct qcow_part *part)
{
	struct qcow_error *last = opaque;

	if (last->text[0])
		die("a part after one that is refused: %s", part->path);
	if (part->refused)
		snprintf(last->text, sizeof(last->text), "%s: %s", part->path,
			 part->refused);
}

void expect_last_part(const char *name, const char *path, const char *says)
{
	struct qcow_error last = { "" };

	if (qcow_list_parts(path, NULL, note_refusal, &last, NULL))
		die("%s: qcow_list_parts", name);
	expect_text(name, says, &last);
}

int expect_info(const char *name, const char *path, const char *says)
{
	struct qcow_error error = { "" };
	struct qcow_info info;
	int ret = qcow_read_info(path, &info, &error);

	if (ret)
		expect_text(name, says, &error);
	return ret;
}

struct bytes_of bytes_of(const char *path)
{
	struct bytes_of b;

	b.bytes = read_file(path, &b.size);
	return b;
}

void expect_unchanged(const char *name, const char *path,
		      struct bytes_of before)
{
	struct bytes_of after = bytes_of(path);

	if (after.size != before.size ||
	    memcmp(after.bytes, before.bytes, after.size))
		die("%s: the image was changed", name);
	free(after.bytes);
	checks++;
}

void expect_no_journal(const char *name)
{
	if (!run("ls %s/*.journal >/dev/null 2>&1", scratch()))
		die("%s: a journal was left", name);
	checks++;
}
