// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Broken images, a row each: what is poked into a sound image that qemu-img
 * made, and what has to be said of it.
 *
 * Most are refused at the open, by the reason; they are not changed then, no
 * journal is left, and qcow_read_info() either says the same or works.  What
 * is broken deeper is met later: the guest gets an error, never bytes of
 * something else, the image is marked as corrupt and nothing else of it
 * changes; and qemu-img check agrees.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "helpers.h"
#include "qcow/internal.h"

/* Where qemu-img puts what, with clusters of this size. */
#define CLUSTER		4096u
#define TABLE		0x1000ull	/* of refcounts */
#define BLOCK		0x2000ull
#define L1		0x3000ull
#define L2		0x4000ull
#define DATA		0x5000ull	/* of the first guest cluster */
#define END		0x8000ull
#define DISK_SIZE	(4u << 20)	/* two L2 tables; one is there */
#define EXTENDED_CLUSTER 16384u		/* of images with subclusters */

#define COPIED		ENTRY_COPIED

/* A big endian number somewhere; width 0 ends a list. */
struct poke {
	uint64_t at;
	unsigned int width;
	uint64_t value;
};

#define MAX_POKES	5

enum base {
	PLAIN,			/* version 3 */
	OLD,			/* version 2 */
	OVERLAY,
	PACKED,			/* compressed clusters */
	SNAPSHOT,
	EXTENDED,		/* L2 entries, and clusters four times as large */
	BASES,
};

static char *bases[BASES];
static unsigned int checks;

/* ---- making and poking ---- */

static uint64_t load(const uint8_t *bytes, unsigned int width)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < width; i++)
		value = value << 8 | bytes[i];
	return value;
}

static void store(uint8_t *bytes, unsigned int width, uint64_t value)
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

	if (load(bytes + HEADER_REFCOUNT_TABLE_OFFSET, 8) != TABLE ||
	    load(bytes + TABLE, 8) != BLOCK ||
	    load(bytes + HEADER_L1_OFFSET, 8) != L1 ||
	    load(bytes + L1, 8) != (L2 | COPIED) ||
	    load(bytes + L2, 8) != (DATA | COPIED) || size != END)
		die("qemu-img puts things elsewhere than this test thinks");
	free(bytes);
}

static char *create(const char *name, const char *options)
{
	char *path = scratch_path(name);

	must_run("qemu-img create -q -f qcow2 -o cluster_size=%u%s %s %u",
		 CLUSTER, options, path, DISK_SIZE);
	must_run("qemu-io -f qcow2 -c 'write -q -P 0x11 0 4096' -c 'write -q -P 0x22 4096 8192' %s",
		 path);
	return path;
}

static void make_bases(void)
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
	bases[EXTENDED] = scratch_path("extended");
	must_run("qemu-img create -q -f qcow2 -o extended_l2=on,cluster_size=%u %s 1M",
		 EXTENDED_CLUSTER, bases[EXTENDED]);
	must_run("qemu-io -f qcow2 -c 'write -q -P 0x11 0 %u' -c 'write -q -P 0x22 %u %u' %s",
		 EXTENDED_CLUSTER, EXTENDED_CLUSTER, EXTENDED_CLUSTER,
		 bases[EXTENDED]);
	free(base);
}

/* A copy of the base with the bytes changed, at the path. */
static void make_broken(const char *path, enum base base,
			const struct poke *pokes)
{
	size_t size;
	uint8_t *bytes = read_file(bases[base], &size);

	for (unsigned int i = 0; i < MAX_POKES && pokes[i].width; i++) {
		if (pokes[i].at + pokes[i].width > size)
			die("poke at %#lx", pokes[i].at);
		store(bytes + pokes[i].at, pokes[i].width, pokes[i].value);
	}
	write_file(path, bytes, size);
	free(bytes);
}

/* ---- opening ---- */

static int open_broken(const char *path, bool read_only,
		       struct qcow_image **image, struct qcow_error *error)
{
	const struct qcow_options options = {
		.read_only = read_only,
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = scratch(),
		.inline_checkpoint = true,
	};

	*error = (struct qcow_error){ "" };
	return qcow_open(path, &options, image, error);
}

static void expect_text(const char *name, const char *says,
			const struct qcow_error *error)
{
	if (!strstr(error->text, says))
		die("%s: said \"%s\", not \"%s\"", name, error->text, says);
	checks++;
}

static void expect_refused(const char *name, const char *path,
			   bool read_only, const char *says)
{
	struct qcow_image *image;
	struct qcow_error error;

	if (!open_broken(path, read_only, &image, &error))
		die("%s: opened%s, though %s", name,
		    read_only ? " read-only" : "", says);
	expect_text(name, says, &error);
}

/* What `info` says of an open that was not made. */
static void expect_judged(const char *name, const char *path,
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

/* The list of what the image consists of ends in this. */
static void expect_last_part(const char *name, const char *path,
			     const char *says)
{
	struct qcow_error last = { "" };

	if (qcow_list_parts(path, NULL, note_refusal, &last, NULL))
		die("%s: qcow_list_parts", name);
	expect_text(name, says, &last);
}

/* Whatever it says, it says it without a crash. */
static int expect_info(const char *name, const char *path, const char *says)
{
	struct qcow_error error = { "" };
	struct qcow_info info;
	int ret = qcow_read_info(path, &info, &error);

	if (ret)
		expect_text(name, says, &error);
	return ret;
}

static struct bytes_of {
	uint8_t *bytes;
	size_t size;
} bytes_of(const char *path)
{
	struct bytes_of b;

	b.bytes = read_file(path, &b.size);
	return b;
}

static void expect_unchanged(const char *name, const char *path,
			     struct bytes_of before)
{
	struct bytes_of after = bytes_of(path);

	if (after.size != before.size ||
	    memcmp(after.bytes, before.bytes, after.size))
		die("%s: the image was changed", name);
	free(after.bytes);
	checks++;
}

static void expect_no_journal(const char *name)
{
	if (!run("ls %s/*.journal >/dev/null 2>&1", scratch()))
		die("%s: a journal was left", name);
	checks++;
}

/* ---- refused at the open ---- */

enum info {
	INFO_SAYS,		/* qcow_read_info() refuses it, likewise */
	INFO_WORKS,
};

struct refusal {
	const char *name;
	enum base base;
	struct poke pokes[MAX_POKES];
	const char *says;
	enum info info;
	bool read_only_works;
	bool needs_key;			/* and has none */
};

#define H(field, width, value)	{ HEADER_##field, width, value }

/* The first extension, behind the header. */
#define NAMES	{ 112, 4, EXTENSION_FEATURE_NAMES }

static const struct refusal refusals[] = {
	{ "magic", PLAIN, { H(MAGIC, 4, 0x12345678) },
	  .says = "no magic number" },
	{ "version 0", PLAIN, { H(VERSION, 4, 0) },
	  .says = "qcow version 0 is not supported" },
	{ "version 4", PLAIN, { H(VERSION, 4, 4) },
	  .says = "qcow version 4 is not supported" },
	{ "cluster_bits 0", PLAIN, { H(CLUSTER_BITS, 4, 0) },
	  .says = "cluster_bits is 0, must be 9 to 21" },
	{ "cluster_bits 8", PLAIN, { H(CLUSTER_BITS, 4, 8) },
	  .says = "cluster_bits is 8" },
	{ "cluster_bits 22", PLAIN, { H(CLUSTER_BITS, 4, 22) },
	  .says = "cluster_bits is 22" },
	{ "cluster_bits 31, CVE-2014-0142", PLAIN,
	  { H(CLUSTER_BITS, 4, 31) }, .says = "cluster_bits is 31" },
	{ "cluster_bits 2^32 - 1", PLAIN, { H(CLUSTER_BITS, 4, 0xffffffff) },
	  .says = "cluster_bits is 4294967295" },
	{ "cluster_bits of another size", PLAIN, { H(CLUSTER_BITS, 4, 16) },
	  .says = "L1 table: offset 0x3000 is not cluster aligned" },
	{ "size 0", PLAIN, { H(SIZE, 8, 0) }, .says = "virtual size is zero",
	  INFO_WORKS },
	{ "size 2^64 - 512", PLAIN, { H(SIZE, 8, -512ull) },
	  .says = "L1 table is too small" },
	{ "size 2^63", PLAIN, { H(SIZE, 8, 1ull << 63) },
	  .says = "L1 table is too small: 2 entries" },
	{ "header_length 0", PLAIN, { H(LENGTH, 4, 0) },
	  .says = "header_length is 0, must be" },
	{ "header_length 96", PLAIN, { H(LENGTH, 4, 96) },
	  .says = "header_length is 96" },
	{ "header_length 105", PLAIN, { H(LENGTH, 4, 105) },
	  .says = "header_length is 105" },
	{ "header_length over the cluster", PLAIN,
	  { H(LENGTH, 4, CLUSTER + 8) }, .says = "header_length is 4104" },
	{ "header_length 2^32 - 8", PLAIN, { H(LENGTH, 4, -8u) },
	  .says = "header_length is 4294967288" },
	{ "refcount_order 7", PLAIN, { H(REFCOUNT_ORDER, 4, 7) },
	  .says = "refcount_order is 7, must be at most 6" },
	{ "refcount_order 2^32 - 1", PLAIN,
	  { H(REFCOUNT_ORDER, 4, 0xffffffff) },
	  .says = "refcount_order is 4294967295" },

	/* the L1 table */
	{ "L1 too small", PLAIN, { H(L1_SIZE, 4, 1) },
	  .says = "L1 table is too small: 1 entries, the size needs 2" },
	{ "L1 of none", PLAIN, { H(L1_SIZE, 4, 0) },
	  .says = "L1 table is too small: 0 entries" },
	{ "L1 too large, CVE-2014-0143", PLAIN,
	  { H(L1_SIZE, 4, 0xffffffff) },
	  .says = "L1 table: 4294967295 entries are too many" },
	{ "L1 of 2^29 entries, CVE-2014-0144", PLAIN,
	  { H(L1_SIZE, 4, 0x20000000) }, .says = "are too many" },
	{ "L1 just too large", PLAIN,
	  { H(L1_SIZE, 4, MAX_L1_BYTES / 8 + 1) }, .says = "are too many" },
	{ "L1 reaches past the file", PLAIN,
	  { H(L1_SIZE, 4, MAX_L1_BYTES / 8) },
	  .says = "L1 table: offset 0x3000, length 33554432 lies outside the file" },
	{ "L1 unaligned", PLAIN, { H(L1_OFFSET, 8, L1 + 512) },
	  .says = "L1 table: offset 0x3200 is not cluster aligned" },
	{ "L1 in the header", PLAIN, { H(L1_OFFSET, 8, 0) },
	  .says = "L1 table overlaps the header" },
	{ "L1 outside", PLAIN, { H(L1_OFFSET, 8, 0x100000) },
	  .says = "L1 table: offset 0x100000, length 16 lies outside the file" },
	{ "L1 at 2^63", PLAIN, { H(L1_OFFSET, 8, 1ull << 63) },
	  .says = "lies outside the file" },
	{ "L1 at the end of numbers", PLAIN, { H(L1_OFFSET, 8, -4096ull) },
	  .says = "lies outside the file" },

	/* the refcount table */
	{ "refcount table of none", PLAIN,
	  { H(REFCOUNT_TABLE_CLUSTERS, 4, 0) },
	  .says = "refcount table: has no clusters" },
	{ "refcount table too large, CVE-2014-0143", PLAIN,
	  { H(REFCOUNT_TABLE_CLUSTERS, 4, 0xffffffff) },
	  .says = "refcount table: 4294967295 clusters are too many" },
	{ "refcount table of 2^20 clusters", PLAIN,
	  { H(REFCOUNT_TABLE_CLUSTERS, 4, 1u << 20) }, .says = "are too many" },
	{ "refcount table reaches past the file", PLAIN,
	  { H(REFCOUNT_TABLE_CLUSTERS, 4, 2048) },
	  .says = "refcount table: offset 0x1000, length 8388608 lies outside" },
	{ "refcount table unaligned", PLAIN,
	  { H(REFCOUNT_TABLE_OFFSET, 8, TABLE + 8) },
	  .says = "refcount table: offset 0x1008 is not cluster aligned" },
	{ "refcount table in the header", PLAIN,
	  { H(REFCOUNT_TABLE_OFFSET, 8, 0) },
	  .says = "refcount table overlaps the header" },
	{ "refcount table outside", PLAIN,
	  { H(REFCOUNT_TABLE_OFFSET, 8, 1ull << 50) },
	  .says = "refcount table: offset 0x4000000000000" },
	{ "refcount table is the L1 table", PLAIN,
	  { H(REFCOUNT_TABLE_OFFSET, 8, L1) },
	  .says = "L1 table and refcount table overlap" },
	{ "refcount table reaches into the L1 table", PLAIN,
	  { H(REFCOUNT_TABLE_CLUSTERS, 4, 3) },
	  .says = "L1 table and refcount table overlap" },

	/* features */
	{ "unknown incompatible bit", PLAIN, { H(INCOMPATIBLE, 8, 1ull << 63) },
	  .says = "unknown incompatible features (mask 0x8000000000000000)",
	  INFO_WORKS },
	{ "unknown incompatible bits among known", PLAIN,
	  { H(INCOMPATIBLE, 8, 0x61) }, .says = "features (mask 0x60)",
	  INFO_WORKS },
	{ "unknown incompatible bit with a name", PLAIN,
	  { H(INCOMPATIBLE, 8, 0x20), NAMES,
	    { 116, 4, FEATURE_NAME_SIZE }, { 121, 1, 5 },
	    { 122, 8, 0x640a727479206269ull } },
	  .says = "unknown incompatible feature \"d?rty bi\" (bit 5)",
	  INFO_WORKS },
	{ "corrupt bit", PLAIN, { H(INCOMPATIBLE, 8, 2) },
	  .says = "marked as corrupt; repair it", INFO_WORKS, true },
	{ "data file, but no name of it", PLAIN, { H(INCOMPATIBLE, 8, 4) },
	  .says = "data file", INFO_WORKS },
	{ "L1 table too small, subclusters", EXTENDED,
	  { H(SIZE, 8, 2ull * EXTENDED_CLUSTER * EXTENDED_CLUSTER / 16) },
	  .says = "L1 table is too small: 1 entries, the size needs 2" },
	{ "extended L2 of small clusters", PLAIN,
	  { H(INCOMPATIBLE, 8, 0x10), H(SIZE, 8, 1u << 20) },
	  .says = "extended L2", INFO_WORKS },
	{ "compression type 2", PLAIN,
	  { H(INCOMPATIBLE, 8, 8), H(COMPRESSION_TYPE, 1, 2) },
	  .says = "compression type 2 is not supported", INFO_WORKS },
	{ "compression type without its bit", PLAIN,
	  { H(COMPRESSION_TYPE, 1, 1) },
	  .says = "compression type 1 and its feature bit do not agree",
	  INFO_WORKS },
	{ "compression bit without a type", PLAIN, { H(INCOMPATIBLE, 8, 8) },
	  .says = "compression type 0 and its feature bit do not agree",
	  INFO_WORKS },
	{ "AES", PLAIN, { H(CRYPT_METHOD, 4, 1) },
	  .says = "AES encryption is supported in version 2 only",
	  INFO_WORKS },
	{ "LUKS", PLAIN, { H(CRYPT_METHOD, 4, 2) },
	  .says = "LUKS encryption is not supported", INFO_WORKS },
	{ "AES, version 2", OLD, { H(CRYPT_METHOD, 4, 1) },
	  .says = "AES", INFO_WORKS, .needs_key = true },
	{ "unknown encryption", PLAIN, { H(CRYPT_METHOD, 4, 3) },
	  .says = "this encryption method is not supported", INFO_WORKS },

	/* extensions */
	{ "extension over the cluster", PLAIN, { NAMES, { 116, 4, CLUSTER } },
	  .says = "header extension 0x6803f857 at 112 is longer than the header" },
	{ "extension of 2^32 - 1, CVE-2008-2004", PLAIN,
	  { NAMES, { 116, 4, 0xffffffff } },
	  .says = "is longer than the header" },
	{ "extension of 2^31", PLAIN, { NAMES, { 116, 4, 0x80000000 } },
	  .says = "is longer than the header" },
	{ "extension into the backing name", OVERLAY, { { 116, 4, 1024 } },
	  .says = "header extension 0xe2792aca at 112 is longer" },

	/* the backing file's name */
	{ "backing name outside", PLAIN,
	  { H(BACKING_OFFSET, 8, 1u << 20), H(BACKING_SIZE, 4, 8) },
	  .says = "backing file's name lies outside" },
	{ "backing name at 2^63", PLAIN,
	  { H(BACKING_OFFSET, 8, 1ull << 63), H(BACKING_SIZE, 4, 8) },
	  .says = "backing file's name lies outside" },
	{ "backing name reaches outside", PLAIN,
	  { H(BACKING_OFFSET, 8, CLUSTER - 4), H(BACKING_SIZE, 4, 8) },
	  .says = "backing file's name lies outside" },
	{ "backing name of 1024 bytes, CVE-2014-0145", PLAIN,
	  { H(BACKING_OFFSET, 8, 1024), H(BACKING_SIZE, 4, 1024) },
	  .says = "backing file's name lies outside" },
	{ "backing name of 2^32 - 1 bytes", PLAIN,
	  { H(BACKING_OFFSET, 8, 1024), H(BACKING_SIZE, 4, 0xffffffff) },
	  .says = "backing file's name lies outside" },
	{ "backing name of no bytes", OVERLAY, { H(BACKING_SIZE, 4, 0) },
	  .says = "backing file", INFO_WORKS },

	/* tables that the top tables name */
	{ "L2 table unaligned", PLAIN, { { L1, 8, (L2 + 512) | COPIED } },
	  .says = "L2 table of index 0 (entry 0x8000000000004200) is malformed",
	  INFO_WORKS },
	{ "L2 table, reserved bits", PLAIN, { { L1, 8, L2 | COPIED | 1 } },
	  .says = "L2 table of index 0", INFO_WORKS },
	{ "L2 table, reserved bit 56", PLAIN,
	  { { L1, 8, L2 | 1ull << 56 } }, .says = "is malformed", INFO_WORKS },
	{ "L2 table outside", PLAIN, { { L1, 8, END | COPIED } },
	  .says = "points outside the file", INFO_WORKS },
	{ "L2 table far outside", PLAIN, { { L1 + 8, 8, 1ull << 55 } },
	  .says = "L2 table of index 1", INFO_WORKS },
	{ "L2 table is the L1 table", PLAIN, { { L1, 8, L1 | COPIED } },
	  .says = "overlaps the header, the L1 or the refcount table",
	  INFO_WORKS },
	{ "L2 table is the refcount table", PLAIN,
	  { { L1, 8, TABLE | COPIED } },
	  .says = "overlaps the header, the L1 or the refcount table",
	  INFO_WORKS },
	{ "L2 table is a refcount block", PLAIN, { { L1, 8, BLOCK | COPIED } },
	  .says = "two tables overlap at offset 0x2000", INFO_WORKS },
	{ "L2 table used twice", PLAIN, { { L1 + 8, 8, L2 | COPIED } },
	  .says = "two tables overlap at offset 0x4000", INFO_WORKS },
	{ "refcount block unaligned", PLAIN, { { TABLE, 8, BLOCK + 512 } },
	  .says = "refcount block of index 0 (entry 0x2200) is malformed",
	  INFO_WORKS },
	{ "refcount block, reserved bits", PLAIN, { { TABLE, 8, BLOCK | 1 } },
	  .says = "refcount block of index 0", INFO_WORKS },
	{ "refcount block outside", PLAIN, { { TABLE, 8, END } },
	  .says = "points outside the file", INFO_WORKS },
	{ "refcount block of index 1 outside", PLAIN,
	  { { TABLE + 8, 8, 1ull << 40 } }, .says = "refcount block of index 1",
	  INFO_WORKS },
	{ "refcount block is the refcount table", PLAIN,
	  { { TABLE, 8, TABLE } },
	  .says = "overlaps the header, the L1 or the refcount table",
	  INFO_WORKS },
	{ "refcount block is the L1 table", PLAIN, { { TABLE, 8, L1 } },
	  .says = "overlaps the header, the L1 or the refcount table",
	  INFO_WORKS },
	{ "refcount block used twice", PLAIN, { { TABLE + 8, 8, BLOCK } },
	  .says = "two tables overlap at offset 0x2000", INFO_WORKS },
};

static void test_refusal(const struct refusal *row)
{
	char *path = scratch_path("image");
	struct bytes_of before;
	struct qcow_image *image;
	struct qcow_error error;
	int info;

	make_broken(path, row->base, row->pokes);
	before = bytes_of(path);
	info = expect_info(row->name, path, row->says);
	if (!info != (row->info == INFO_WORKS))
		die("%s: qcow_read_info: %d", row->name, info);
	expect_refused(row->name, path, false, row->says);
	if (!row->read_only_works)
		expect_refused(row->name, path, true, row->says);
	else if (open_broken(path, true, &image, &error))
		die("%s: not even read-only: %s", row->name, error.text);
	else
		qcow_close(image);
	if (row->needs_key)
		expect_judged(row->name, path, QCOW_READ_ONLY,
			      "served with --read-only");
	else
		expect_judged(row->name, path,
			      row->read_only_works ? QCOW_READ_ONLY :
						     QCOW_REFUSED,
			      row->says);
	expect_unchanged(row->name, path, before);
	expect_no_journal(row->name);
	free(before.bytes);
	free(path);
}

/* The header alone, in lengths that end it anywhere. */
static void test_truncated(void)
{
	static const size_t lengths[] = { 0, 3, 4, 71, 72, 103, 104, 111, 512 };
	char *path = scratch_path("image");
	struct bytes_of whole = bytes_of(bases[PLAIN]);

	for (unsigned int i = 0; i < ARRAY_SIZE(lengths); i++) {
		const char *says = lengths[i] < 72 ? "too short for a header" :
						     "";

		write_file(path, whole.bytes, lengths[i]);
		expect_info("truncated", path, says);
		expect_refused("truncated", path, false, says);
		expect_refused("truncated", path, true, says);
		expect_no_journal("truncated");
	}
	free(whole.bytes);
	free(path);
}

/* ---- backing files ---- */

struct backing_row {
	const char *backing;		/* a name, as the header has it */
	const char *format;
	const char *says;
};

static const struct backing_row backing_rows[] = {
	/* CVE-2015-5163, CVE-2024-32498, CVE-2024-4467 and their like */
	{ "/etc/passwd", "raw",
	  "/etc/passwd is outside the image's directory" },
	{ "../../../etc/passwd", "raw", "is outside the image's directory" },
	{ "link", "raw", "is outside the image's directory" },
	{ "directory/../link", "raw", "is outside the image's directory" },
	{ "/dev/zero", "raw", "is outside the image's directory" },
	{ "/proc/self/mem", "raw", "is outside the image's directory" },
	{ "nbd://localhost/x", "raw", "is named by a protocol" },
	{ "file:base.raw", "raw", "is named by a protocol" },
	{ "fat:rw:directory", "raw", "is named by a protocol" },
	{ "json:{\"driver\":\"file\",\"filename\":\"base.raw\"}", "raw",
	  "is named by a protocol" },
	{ "base.raw", "", "without its format" },	/* CVE-2008-2004 */
	{ "base.raw", "vmdk", "format \"vmdk\" is not supported" },
	{ "base.raw", "host_device", "is not supported" },
	{ "base.raw", "qcow2", "not a qcow2 image" },
	{ "missing", "raw", "its backing file missing: No such file" },
	{ "", "raw", "with an empty name" },
	{ "", "", "with an empty name" },
	{ "directory", "raw", "/directory: is a directory" },
	{ "directory", "qcow2", "/directory: is a directory" },
	{ "directory/", "raw", "/directory: is a directory" },
	{ ".", "raw", "is outside the image's directory" },
	{ "pipe", "raw", "/pipe: is a pipe" },
	{ "pipe", "qcow", "/pipe: is a pipe" },
	{ "socket", "qcow2", "/socket: is a socket" },
	{ "image", "qcow2", "loop: " },
	{ "image", "raw", "loop: " },
	{ "./directory/../image", "qcow2", "loop: " },
	{ "second", "qcow2", "loop: " },
	{ "chain.0", "qcow2", "backing chain is longer than" },
};

/* An overlay of whatever name, which qemu-img would not make. */
static void make_overlay(const char *path, const char *backing,
			 const char *format)
{
	const uint32_t format_size = strlen(format);
	uint32_t at = 112;
	struct bytes_of b = bytes_of(bases[PLAIN]);

	memset(b.bytes + at, 0, CLUSTER - at);
	if (format_size) {
		store(b.bytes + at, 4, EXTENSION_BACKING_FORMAT);
		store(b.bytes + at + 4, 4, format_size);
		memcpy(b.bytes + at + 8, format, format_size);
	}
	at = 1024;
	memcpy(b.bytes + at, backing, strlen(backing));
	store(b.bytes + HEADER_BACKING_OFFSET, 8, at);
	store(b.bytes + HEADER_BACKING_SIZE, 4, strlen(backing));
	write_file(path, b.bytes, b.size);
	free(b.bytes);
}

static void make_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket",
		 scratch());
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("cannot make a socket");
	close(fd);
}

/* Files for names to lead to. */
static void make_surroundings(void)
{
	char *second = scratch_path("second");

	must_run("cd %s && mkdir directory && ln -s /etc/passwd link && mkfifo pipe",
		 scratch());
	make_socket();
	make_overlay(second, "image", "qcow2");
	for (unsigned int i = 0; i < 70; i++) {
		char name[16], *path;

		snprintf(name, sizeof(name), "chain.%u", i);
		path = scratch_path(name);
		snprintf(name, sizeof(name), "chain.%u", i + 1);
		make_overlay(path, i < 69 ? name : "base.raw",
			     i < 69 ? "qcow2" : "raw");
		free(path);
	}
	free(second);
}

static void test_backing(const struct backing_row *row)
{
	char *path = scratch_path("image");
	struct qcow_error error = { "" };
	struct qcow_info info;
	struct bytes_of before;

	make_overlay(path, row->backing, row->format);
	before = bytes_of(path);
	if (qcow_read_info(path, &info, &error) ||
	    strcmp(info.backing, row->backing) ||
	    strcmp(info.backing_format, row->format))
		die("%s: qcow_read_info: %s", row->backing, error.text);
	expect_refused(row->backing, path, false, row->says);
	expect_refused(row->backing, path, true, row->says);
	expect_judged(row->backing, path, QCOW_REFUSED, row->says);
	expect_last_part(row->backing, path, row->says);
	expect_unchanged(row->backing, path, before);
	expect_no_journal(row->backing);
	free(before.bytes);
	free(path);
}

/* ---- data files ---- */

static const struct data_row {
	const char *data;		/* a name, as the header has it */
	const char *says;
} data_rows[] = {
	/* CVE-2024-32498 */
	{ "/etc/passwd", "its data file /etc/passwd is outside" },
	{ "../../../etc/passwd", "is outside the image's directory" },
	{ "link", "is outside the image's directory" },
	{ "/dev/zero", "is outside the image's directory" },
	{ "nbd://localhost/x", "is named by a protocol" },
	{ "json:{\"driver\":\"null-co\"}", "is named by a protocol" },
	{ "missing", "its data file missing: No such file" },
	{ "directory", "data file" },
	{ "image", "loop: " },
	{ "", "does not name its external data file" },
};

static void make_data_image(const char *path, const char *data)
{
	struct bytes_of b = bytes_of(bases[PLAIN]);

	store(b.bytes + HEADER_INCOMPATIBLE, 8, INCOMPATIBLE_DATA_FILE);
	store(b.bytes + 112, 4, EXTENSION_DATA_FILE);
	store(b.bytes + 116, 4, strlen(data));
	memcpy(b.bytes + 120, data, strlen(data));
	write_file(path, b.bytes, b.size);
	free(b.bytes);
}

static void test_data(const struct data_row *row)
{
	char *path = scratch_path("image");
	struct bytes_of before;

	make_data_image(path, row->data);
	before = bytes_of(path);
	expect_refused(row->data, path, false, row->says);
	expect_refused(row->data, path, true, row->says);
	expect_unchanged(row->data, path, before);
	expect_no_journal(row->data);
	free(before.bytes);
	free(path);
}

/* ---- met later ---- */

struct later {
	const char *name;
	enum base base;
	struct poke pokes[MAX_POKES];	/* break the first guest cluster */
	bool readable;			/* it can still be read */
	bool reused;			/* its cluster counts as free: a copy
					   may have been made right there */
	bool qemu_content;		/* qemu-img check finds nothing */
};

#define ENTRY(value)	{ { L2, 8, value } }

static const struct later laters[] = {
	{ "data unaligned", PLAIN, .pokes = ENTRY((DATA + 512) | COPIED) },
	{ "data unaligned, version 2", OLD,
	  .pokes = ENTRY((DATA + 512) | COPIED) },
	{ "data in the header", PLAIN, .pokes = ENTRY(512 | COPIED) },
	{ "data in the L1 table", PLAIN, .pokes = ENTRY(L1 | COPIED) },
	{ "data in the refcount table", PLAIN, .pokes = ENTRY(TABLE | COPIED) },
	{ "data in a refcount block", PLAIN, .pokes = ENTRY(BLOCK | COPIED) },
	{ "data in an L2 table", PLAIN, .pokes = ENTRY(L2 | COPIED) },
	{ "zero cluster in a refcount block", PLAIN,
	  .pokes = ENTRY(BLOCK | COPIED | 1) },
	{ "data beyond the file", PLAIN, .pokes = ENTRY(END | COPIED) },
	{ "data far beyond the file", PLAIN,
	  .pokes = ENTRY(1ull << 55 | COPIED) },
	{ "data beyond the file, version 2", OLD,
	  .pokes = ENTRY(END | COPIED) },
	{ "data, reserved bit 1", PLAIN, .pokes = ENTRY(DATA | COPIED | 2) },
	{ "data, reserved bit 61", PLAIN, .pokes = ENTRY(DATA | 1ull << 61) },
	{ "data, reserved bit 56", PLAIN, .pokes = ENTRY(DATA | 1ull << 56) },
	{ "zero flag in version 2", OLD, .pokes = ENTRY(DATA | COPIED | 1),
	  .qemu_content = true },
	{ "zero cluster beyond the file", PLAIN,
	  .pokes = ENTRY(END | COPIED | 1) },
	{ "zero cluster in the header", PLAIN,
	  .pokes = ENTRY(512 | COPIED | 1) },
	{ "refcount 0, not COPIED", PLAIN,
	  .pokes = { { L2, 8, DATA }, { BLOCK + 10, 2, 0 } },
	  .readable = true, .reused = true },
	{ "L2 table of refcount 0, not COPIED", PLAIN,
	  .pokes = { { L1, 8, L2 }, { L2, 8, DATA }, { BLOCK + 8, 2, 0 } },
	  .readable = true },
};

static struct qcow_image *must_open(const char *name, const char *path,
				    bool read_only)
{
	struct qcow_image *image;
	struct qcow_error error;

	if (open_broken(path, read_only, &image, &error))
		die("%s: does not open: %s", name, error.text);
	return image;
}

static void expect_bytes(const char *name, struct qcow_image *image,
			 uint64_t offset, int byte)
{
	uint8_t bytes[CLUSTER];

	if (qcow_read(image, bytes, offset, CLUSTER))
		die("%s: cannot read at %lu", name, offset);
	for (unsigned int i = 0; i < CLUSTER; i++)
		if (bytes[i] != byte)
			die("%s: byte %#x at %lu", name, bytes[i], offset + i);
	checks++;
}

static void expect_read(const struct later *row, struct qcow_image *image)
{
	uint8_t bytes[512];
	int ret;

	if (row->readable) {
		expect_bytes(row->name, image, 0, 0x11);
		return;
	}
	ret = qcow_read(image, bytes, 512, 512);
	if (ret != -EIO)
		die("%s: read: %d", row->name, ret);
	checks++;
}

/* Only the corrupt bit may differ, and version 2 has none. */
static void expect_marked(const char *name, const char *path,
			  struct bytes_of before)
{
	uint8_t *bits = before.bytes + HEADER_INCOMPATIBLE;

	if (load(before.bytes + HEADER_VERSION, 4) >= 3)
		store(bits, 8, load(bits, 8) | INCOMPATIBLE_CORRUPT);
	expect_unchanged(name, path, before);
	expect_no_journal(name);
}

static void expect_no_write(const char *name, struct qcow_image *image,
			    uint64_t offset, uint64_t length)
{
	uint8_t bytes[CLUSTER] = { 0 };
	int ret = qcow_write(image, bytes, offset, length);

	if (ret != -EIO)
		die("%s: write: %d", name, ret);
	checks++;
}

enum approach {
	READ,
	READ_ONLY,
	WRITE,			/* less than the cluster */
	WRITE_ALL,
	DISCARD,
	APPROACHES,
};

/* Comes upon what is broken. */
static void approach(const struct later *row, struct qcow_image *image,
		     enum approach how)
{
	int ret = -EIO;

	if (how == WRITE || how == WRITE_ALL)
		expect_no_write(row->name, image, 0,
				how == WRITE ? 512 : CLUSTER);
	else if (how == DISCARD)
		ret = qcow_discard(image, 0, CLUSTER);
	else
		expect_read(row, image);
	if (ret != -EIO)
		die("%s: discard: %d", row->name, ret);
}

/* Then nothing more is written, but the rest can be read. */
static void expect_stopped(const char *name, struct qcow_image *image)
{
	expect_no_write(name, image, CLUSTER, CLUSTER);
	expect_no_write(name, image, DISK_SIZE - CLUSTER, CLUSTER);
	expect_bytes(name, image, CLUSTER, 0x22);
}

static void expect_qemu_agrees(const char *name, const char *path)
{
	int status = run("qemu-img check %s >/dev/null 2>&1", path);

	if (status != 2)
		die("%s: qemu-img check: %d", name, status);
	checks++;
}

static void take_data(const char *path, struct bytes_of into)
{
	struct bytes_of from = bytes_of(path);

	memcpy(into.bytes + DATA, from.bytes + DATA, CLUSTER);
	free(from.bytes);
}

static void test_later(const struct later *row, enum approach how)
{
	char *path = scratch_path("image");
	struct bytes_of before;
	struct qcow_image *image;

	make_broken(path, row->base, row->pokes);
	before = bytes_of(path);
	image = must_open(row->name, path, how == READ_ONLY);
	expect_bytes(row->name, image, CLUSTER, 0x22);
	approach(row, image, how);
	if (how == READ_ONLY || (how == READ && row->readable)) {
		qcow_close(image);
		expect_unchanged(row->name, path, before);
	} else {
		expect_stopped(row->name, image);
		qcow_close(image);
		if (row->reused)
			take_data(path, before);
		expect_marked(row->name, path, before);
		if (row->base != OLD)
			expect_refused(row->name, path, false,
				       "marked as corrupt");
	}
	if (!row->qemu_content)
		expect_qemu_agrees(row->name, path);
	free(before.bytes);
	free(path);
}

/* The block that counts the header is not there.  A new one in its usual
   place would overwrite the header. */
static void test_missing_block(void)
{
	static const struct poke pokes[MAX_POKES] = { { TABLE, 8, 0 } };
	const char *name = "first refcount block missing";
	char *path = scratch_path("image");
	struct bytes_of before;
	struct qcow_image *image;

	make_broken(path, PLAIN, pokes);
	before = bytes_of(path);
	image = must_open(name, path, false);
	expect_bytes(name, image, 0, 0x11);
	expect_no_write(name, image, DISK_SIZE - CLUSTER, CLUSTER);
	expect_stopped(name, image);
	qcow_close(image);
	expect_marked(name, path, before);
	expect_qemu_agrees(name, path);
	free(before.bytes);
	free(path);
}

/* Counts of zero: no table and no block is taken for free. */
static void test_uncounted_tables(void)
{
	static const struct poke pokes[MAX_POKES] = {
		{ BLOCK, 8, 0 },		/* header, tables, block */
		{ BLOCK + 8, 2, 0 },		/* L2 table */
	};
	const char *name = "tables of refcount 0";
	char *path = scratch_path("image");
	uint8_t bytes[CLUSTER];
	struct qcow_image *image;

	make_broken(path, PLAIN, pokes);
	image = must_open(name, path, false);
	memset(bytes, 0x33, CLUSTER);
	for (uint64_t at = 16; at < 24; at++)
		if (qcow_write(image, bytes, at * CLUSTER, CLUSTER))
			die("%s: write", name);
	for (uint64_t at = 16; at < 24; at++)
		expect_bytes(name, image, at * CLUSTER, 0x33);
	expect_bytes(name, image, 0, 0x11);
	expect_bytes(name, image, CLUSTER, 0x22);
	if (qcow_close(image))
		die("%s: close", name);
	must_run("qemu-img check -q -r all %s >/dev/null 2>&1; qemu-img check -q %s",
		 path, path);
	free(path);
}

/* An entry that names no table, though it says that it is the only one: the
   table is made, as if the entry were zero. */
static void test_flag_alone(void)
{
	static const struct poke pokes[MAX_POKES] = { { L1 + 8, 8, COPIED } };
	const char *name = "L1 entry of a flag alone";
	char *path = scratch_path("image");
	uint8_t bytes[CLUSTER];
	struct qcow_image *image;

	make_broken(path, PLAIN, pokes);
	image = must_open(name, path, false);
	memset(bytes, 0x33, CLUSTER);
	if (qcow_write(image, bytes, DISK_SIZE - CLUSTER, CLUSTER))
		die("%s: write", name);
	expect_bytes(name, image, DISK_SIZE - CLUSTER, 0x33);
	if (qcow_close(image))
		die("%s: close", name);
	must_run("qemu-img check -q %s", path);
	free(path);
}

/* ---- compressed clusters ---- */

struct packed_row {
	const char *name;
	uint64_t set, clear;	/* bits of the entry */
	uint64_t add;
	bool garbage;		/* instead: the stream's first bytes */
};

/* With clusters of 4 KiB: offset in bits 0 to 57, sectors from 58. */
static const struct packed_row packed_rows[] = {
	{ "stream damaged", 0, 0, 0, true },
	{ "stream beyond the file", 1ull << 40, 0, 0, false },
	{ "stream far beyond the file", 1ull << 55, 0, 0, false },
	{ "stream in the header", 0, 0x3ffffffffffffffull, 16, false },
	{ "stream elsewhere", 0, 0, 8, false },
};

static void break_stream(const struct packed_row *row, const char *path)
{
	struct bytes_of b = bytes_of(bases[PACKED]);
	uint64_t l1 = load(b.bytes + HEADER_L1_OFFSET, 8);
	uint64_t l2 = load(b.bytes + l1, 8) & ENTRY_OFFSET;
	uint64_t entry = load(b.bytes + l2, 8);

	if (!(entry & ENTRY_COMPRESSED))
		die("%s: not compressed", row->name);
	if (row->garbage)
		memset(b.bytes + (entry & 0x3ffffffffffffffull), 0xff, 8);
	store(b.bytes + l2, 8, ((entry & ~row->clear) | row->set) + row->add);
	write_file(path, b.bytes, b.size);
	free(b.bytes);
}

/* Streams carry no checksum: one that is broken is an error of its cluster,
   and others go on. */
static void test_packed(const struct packed_row *row)
{
	const struct later broken = { .name = row->name };
	char *path = scratch_path("image");
	struct qcow_image *image;

	break_stream(row, path);
	image = must_open(row->name, path, true);
	expect_read(&broken, image);
	expect_bytes(row->name, image, CLUSTER, 0x22);
	qcow_close(image);
	image = must_open(row->name, path, false);
	expect_no_write(row->name, image, 0, 512);
	expect_read(&broken, image);
	expect_bytes(row->name, image, CLUSTER, 0x22);
	qcow_close(image);
	expect_no_journal(row->name);
	free(path);
}

/* ---- subclusters ---- */

static const struct sub_row {
	const char *name;
	uint64_t set, clear;	/* bits of the first entry */
	uint64_t bitmap;	/* bits set in its second word */
	bool qemu_content;	/* qemu-img check finds nothing */
} sub_rows[] = {
	{ "first subcluster allocated and zero", .bitmap = 1ull << 32 },
	{ "last subcluster allocated and zero", .bitmap = 1ull << 63 },
	{ "subclusters allocated, but no cluster", .clear = -1ull },
	{ "zero flag with subclusters", .set = ENTRY_ZERO,
	  .qemu_content = true },
};

static void break_subclusters(const struct sub_row *row, const char *path)
{
	struct bytes_of b = bytes_of(bases[EXTENDED]);
	uint64_t l1 = load(b.bytes + HEADER_L1_OFFSET, 8);
	uint8_t *l2 = b.bytes + (load(b.bytes + l1, 8) & ENTRY_OFFSET);

	store(l2, 8, (load(l2, 8) & ~row->clear) | row->set);
	store(l2 + 8, 8, load(l2 + 8, 8) | row->bitmap);
	write_file(path, b.bytes, b.size);
	free(b.bytes);
}

/* Every subcluster of the entry is refused, not only the broken one. */
static void test_subclusters(const struct sub_row *row, enum approach how)
{
	const struct later broken = { .name = row->name };
	char *path = scratch_path("image");
	struct bytes_of before;
	struct qcow_image *image;

	break_subclusters(row, path);
	before = bytes_of(path);
	image = must_open(row->name, path, how == READ_ONLY);
	expect_bytes(row->name, image, EXTENDED_CLUSTER, 0x22);
	if (how == DISCARD) {
		if (qcow_discard(image, 0, EXTENDED_CLUSTER) != -EIO)
			die("%s: discard", row->name);
	} else {
		approach(&broken, image, how);
	}
	expect_bytes(row->name, image, EXTENDED_CLUSTER, 0x22);
	if (how != READ_ONLY)
		expect_no_write(row->name, image, EXTENDED_CLUSTER, 512);
	qcow_close(image);
	if (how == READ_ONLY)
		expect_unchanged(row->name, path, before);
	else
		expect_marked(row->name, path, before);
	if (!row->qemu_content)
		expect_qemu_agrees(row->name, path);
	free(before.bytes);
	free(path);
}

/* ---- what the engine does not look at ---- */

static const struct {
	const char *name;
	struct poke pokes[MAX_POKES];
} ignored[] = {
	{ "too many snapshots, CVE-2014-0144",
	  { H(NB_SNAPSHOTS, 4, 0xffffffff) } },
	{ "snapshot table unaligned", { H(SNAPSHOTS_OFFSET, 8, 0x1001) } },
	{ "snapshot table outside, CVE-2014-0146",
	  { H(SNAPSHOTS_OFFSET, 8, 1ull << 62) } },
	{ "snapshot table in the header", { H(SNAPSHOTS_OFFSET, 8, 0) } },
	{ "snapshot table in the L1 table", { H(SNAPSHOTS_OFFSET, 8, L1) } },
};

/* Snapshots are not ours to read: what they say changes nothing. */
static void test_ignored(unsigned int i)
{
	const char *name = ignored[i].name;
	char *path = scratch_path("image");
	uint8_t bytes[CLUSTER];
	struct qcow_image *image;

	make_broken(path, SNAPSHOT, ignored[i].pokes);
	if (expect_info(name, path, ""))
		die("%s: qcow_read_info", name);
	image = must_open(name, path, false);
	expect_bytes(name, image, 0, 0x11);
	memset(bytes, 0x33, CLUSTER);
	if (qcow_write(image, bytes, 0, CLUSTER))
		die("%s: write", name);
	expect_bytes(name, image, 0, 0x33);
	expect_bytes(name, image, CLUSTER, 0x22);
	if (qcow_close(image))
		die("%s: close", name);
	expect_no_journal(name);
	free(path);
}

int main(void)
{
	make_bases();
	make_surroundings();
	for (unsigned int i = 0; i < ARRAY_SIZE(refusals); i++)
		test_refusal(&refusals[i]);
	test_truncated();
	for (unsigned int i = 0; i < ARRAY_SIZE(backing_rows); i++)
		test_backing(&backing_rows[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(data_rows); i++)
		test_data(&data_rows[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(laters); i++)
		for (enum approach how = 0; how < APPROACHES; how++)
			test_later(&laters[i], how);
	test_missing_block();
	test_uncounted_tables();
	test_flag_alone();
	for (unsigned int i = 0; i < ARRAY_SIZE(packed_rows); i++)
		test_packed(&packed_rows[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(sub_rows); i++)
		for (enum approach how = 0; how < APPROACHES; how++)
			test_subclusters(&sub_rows[i], how);
	for (unsigned int i = 0; i < ARRAY_SIZE(ignored); i++)
		test_ignored(i);
	printf("%u checks\n", checks);
	for (unsigned int i = 0; i < BASES; i++)
		free(bases[i]);
	return 0;
}
