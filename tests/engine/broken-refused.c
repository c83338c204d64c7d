// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Images that are refused at the open.  The fault is in a field of the header,
 * in its features or extensions, or in the name of the backing file.
 */
#include <errno.h>
#include <stdlib.h>
#include "tests/engine/broken.h"
#include "tests/lib/helpers.h"

/* The first extension, behind the header. */
#define NAMES \
	{ \
		112, 4, EXTENSION_FEATURE_NAMES \
	}

static const struct refusal refusals[] = {
	{ "magic",
	  PLAIN,
	  { H(MAGIC, 4, 0x12345678) },
	  .says = "no magic number" },
	{ "version 0",
	  PLAIN,
	  { H(VERSION, 4, 0) },
	  .says = "qcow version 0 is not supported" },
	{ "version 4",
	  PLAIN,
	  { H(VERSION, 4, 4) },
	  .says = "qcow version 4 is not supported" },
	{ "cluster_bits 0",
	  PLAIN,
	  { H(CLUSTER_BITS, 4, 0) },
	  .says = "cluster_bits is 0, must be 9 to 21" },
	{ "cluster_bits 8",
	  PLAIN,
	  { H(CLUSTER_BITS, 4, 8) },
	  .says = "cluster_bits is 8" },
	{ "cluster_bits 22",
	  PLAIN,
	  { H(CLUSTER_BITS, 4, 22) },
	  .says = "cluster_bits is 22" },
	{ "cluster_bits 31, CVE-2014-0142",
	  PLAIN,
	  { H(CLUSTER_BITS, 4, 31) },
	  .says = "cluster_bits is 31" },
	{ "cluster_bits 2^32 - 1",
	  PLAIN,
	  { H(CLUSTER_BITS, 4, 0xffffffff) },
	  .says = "cluster_bits is 4294967295" },
	{ "cluster_bits of another size",
	  PLAIN,
	  { H(CLUSTER_BITS, 4, 16) },
	  .says = "L1 table: offset 0x3000 is not cluster aligned" },
	{ "size 0",
	  PLAIN,
	  { H(SIZE, 8, 0) },
	  .says = "virtual size is zero",
	  INFO_WORKS },
	{ "size 2^64 - 512",
	  PLAIN,
	  { H(SIZE, 8, -512ull) },
	  .says = "L1 table is too small" },
	{ "size 2^63",
	  PLAIN,
	  { H(SIZE, 8, 1ull << 63) },
	  .says = "L1 table is too small: 2 entries" },
	{ "header_length 0",
	  PLAIN,
	  { H(LENGTH, 4, 0) },
	  .says = "header_length is 0, must be" },
	{ "header_length 96",
	  PLAIN,
	  { H(LENGTH, 4, 96) },
	  .says = "header_length is 96" },
	{ "header_length 105",
	  PLAIN,
	  { H(LENGTH, 4, 105) },
	  .says = "header_length is 105" },
	{ "header_length over the cluster",
	  PLAIN,
	  { H(LENGTH, 4, CLUSTER + 8) },
	  .says = "header_length is 4104" },
	{ "header_length 2^32 - 8",
	  PLAIN,
	  { H(LENGTH, 4, -8u) },
	  .says = "header_length is 4294967288" },
	{ "refcount_order 7",
	  PLAIN,
	  { H(REFCOUNT_ORDER, 4, 7) },
	  .says = "refcount_order is 7, must be at most 6" },
	{ "refcount_order 2^32 - 1",
	  PLAIN,
	  { H(REFCOUNT_ORDER, 4, 0xffffffff) },
	  .says = "refcount_order is 4294967295" },

	/* features */
	{ "unknown incompatible bit",
	  PLAIN,
	  { H(INCOMPATIBLE, 8, 1ull << 63) },
	  .says = "unknown incompatible features (mask 0x8000000000000000)",
	  INFO_WORKS },
	{ "unknown incompatible bits among known",
	  PLAIN,
	  { H(INCOMPATIBLE, 8, 0x61) },
	  .says = "features (mask 0x60)",
	  INFO_WORKS },
	{ "unknown incompatible bit with a name",
	  PLAIN,
	  { H(INCOMPATIBLE, 8, 0x20),
	    NAMES,
	    { 116, 4, FEATURE_NAME_SIZE },
	    { 121, 1, 5 },
	    { 122, 8, 0x640a727479206269ull } },
	  .says = "unknown incompatible feature \"d?rty bi\" (bit 5)",
	  INFO_WORKS },
	{ "corrupt bit",
	  PLAIN,
	  { H(INCOMPATIBLE, 8, 2) },
	  .says = "marked as corrupt; repair it",
	  INFO_WORKS,
	  true },
	{ "data file, but no name of it",
	  PLAIN,
	  { H(INCOMPATIBLE, 8, 4) },
	  .says = "data file",
	  INFO_WORKS },
	{ "raw data file, but no data file",
	  PLAIN,
	  { H(AUTOCLEAR, 8, AUTOCLEAR_RAW_DATA) },
	  .says = "that its data file is raw, but it has none",
	  INFO_WORKS },
	{ "L1 table too small, subclusters",
	  EXTENDED,
	  { H(SIZE, 8, 2ull * EXTENDED_CLUSTER * EXTENDED_CLUSTER / 16) },
	  .says = "L1 table is too small: 1 entries, the size needs 2" },
	{ "extended L2 of small clusters",
	  PLAIN,
	  { H(INCOMPATIBLE, 8, 0x10), H(SIZE, 8, 1u << 20) },
	  .says = "extended L2",
	  INFO_WORKS },
	{ "compression type 2",
	  PLAIN,
	  { H(INCOMPATIBLE, 8, 8), H(COMPRESSION_TYPE, 1, 2) },
	  .says = "compression type 2 is not supported",
	  INFO_WORKS },
	{ "compression type without its bit",
	  PLAIN,
	  { H(COMPRESSION_TYPE, 1, 1) },
	  .says = "compression type 1 and its feature bit do not agree",
	  INFO_WORKS },
	{ "compression bit without a type",
	  PLAIN,
	  { H(INCOMPATIBLE, 8, 8) },
	  .says = "compression type 0 and its feature bit do not agree",
	  INFO_WORKS },
	{ "AES",
	  PLAIN,
	  { H(CRYPT_METHOD, 4, 1) },
	  .says = "AES encryption is supported in version 2 only",
	  INFO_WORKS },
	{ "LUKS",
	  PLAIN,
	  { H(CRYPT_METHOD, 4, 2) },
	  .says = "LUKS encryption is not supported",
	  INFO_WORKS },
	{ "AES, version 2",
	  OLD,
	  { H(CRYPT_METHOD, 4, 1) },
	  .says = "AES",
	  INFO_WORKS,
	  .needs_key = true },
	{ "unknown encryption",
	  PLAIN,
	  { H(CRYPT_METHOD, 4, 3) },
	  .says = "this encryption method is not supported",
	  INFO_WORKS },

	/* extensions */
	{ "extension over the cluster",
	  PLAIN,
	  { NAMES, { 116, 4, CLUSTER } },
	  .says = "header extension 0x6803f857 at 112 is longer than the header" },
	{ "extension of 2^32 - 1, CVE-2008-2004",
	  PLAIN,
	  { NAMES, { 116, 4, 0xffffffff } },
	  .says = "is longer than the header" },
	{ "extension of 2^31",
	  PLAIN,
	  { NAMES, { 116, 4, 0x80000000 } },
	  .says = "is longer than the header" },
	{ "extension into the backing name",
	  OVERLAY,
	  { { 116, 4, 1024 } },
	  .says = "header extension 0xe2792aca at 112 is longer" },

	/* the backing file's name */
	{ "backing name outside",
	  PLAIN,
	  { H(BACKING_OFFSET, 8, 1u << 20), H(BACKING_SIZE, 4, 8) },
	  .says = "backing file's name lies outside" },
	{ "backing name at 2^63",
	  PLAIN,
	  { H(BACKING_OFFSET, 8, 1ull << 63), H(BACKING_SIZE, 4, 8) },
	  .says = "backing file's name lies outside" },
	{ "backing name reaches outside",
	  PLAIN,
	  { H(BACKING_OFFSET, 8, CLUSTER - 4), H(BACKING_SIZE, 4, 8) },
	  .says = "backing file's name lies outside" },
	{ "backing name of 1024 bytes, CVE-2014-0145",
	  PLAIN,
	  { H(BACKING_OFFSET, 8, 1024), H(BACKING_SIZE, 4, 1024) },
	  .says = "backing file's name lies outside" },
	{ "backing name of 2^32 - 1 bytes",
	  PLAIN,
	  { H(BACKING_OFFSET, 8, 1024), H(BACKING_SIZE, 4, 0xffffffff) },
	  .says = "backing file's name lies outside" },
	{ "backing name of no bytes",
	  OVERLAY,
	  { H(BACKING_SIZE, 4, 0) },
	  .says = "backing file",
	  INFO_WORKS },

};

void broken_test_refusal(const struct refusal *row)
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

/* The header alone, cut off at several lengths. */
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

void broken_refused(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(refusals); i++)
		broken_test_refusal(&refusals[i]);
	test_truncated();
}
