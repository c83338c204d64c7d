// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which images this engine serves.  Features that it does not know or cannot
 * serve are refused here, by name; the name of an unknown feature is taken from
 * the table that the image itself carries.
 */
#include <errno.h>
#include <stdio.h>
#include "qcow/bits.h"
#include "qcow/error.h"
#include "qcow/header.h"

static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static int refuse_unknown(const struct header *h,
			  const struct header_area *area, uint64_t unknown,
			  struct qcow_error *error)
{
	unsigned int bit = __builtin_ctzll(unknown);
	struct qcow_feature feature;

	feature_describe(h, area, QCOW_INCOMPATIBLE, bit, &feature);
	if (!feature.name[0])
		return fail(error, -ENOTSUP,
			    "uses unknown incompatible features (mask %#llx)",
			    (unsigned long long)unknown);
	make_printable(feature.name);
	return fail(error, -ENOTSUP,
		    "uses the unknown incompatible feature \"%s\" (bit %u)",
		    feature.name, bit);
}

static int refuse(struct qcow_error *error, const char *what)
{
	return fail(error, -ENOTSUP, "%s not supported", what);
}

int support_check_compression(const struct header *h, struct qcow_error *error)
{
	if (h->compression_type > 1)
		return fail(
			error, -ENOTSUP,
			"its compression type %u is not supported (zlib and zstd are)",
			h->compression_type);
	if (!(h->incompatible & INCOMPATIBLE_COMPRESSION) !=
	    !h->compression_type)
		return fail(
			error, -EINVAL,
			"header: compression type %u and its feature bit do not agree",
			h->compression_type);
	return 0;
}

/* The bit may only be set beside the other, as the specification says.  Where
   that was lost, an entry's offset means a place in the data file and not in
   this one: to clear the bit, as a writer does with those that it does not
   know, would seal the loss.  QEMU refuses it, too. */
int support_check_raw_data(const struct header *h, struct qcow_error *error)
{
	if (!(h->autoclear & AUTOCLEAR_RAW_DATA) ||
	    h->incompatible & INCOMPATIBLE_DATA_FILE)
		return 0;
	return fail(
		error, -EINVAL,
		"header: a feature bit says that its data file is raw, but it has none");
}

static int check_incompatible(const struct header *h,
			      const struct header_area *area, bool read_only,
			      struct qcow_error *error)
{
	uint64_t known = INCOMPATIBLE_DIRTY | INCOMPATIBLE_CORRUPT |
			 INCOMPATIBLE_DATA_FILE | INCOMPATIBLE_COMPRESSION |
			 INCOMPATIBLE_EXTENDED_L2;

	if (h->incompatible & ~known)
		return refuse_unknown(h, area, h->incompatible & ~known, error);
	if (h->incompatible & INCOMPATIBLE_CORRUPT && !read_only)
		return fail(
			error, -EUCLEAN,
			"marked as corrupt; repair it with 'ublk-qcow2 check -r all', or use --read-only");
	if (h->incompatible & INCOMPATIBLE_DATA_FILE && h->nb_snapshots)
		return refuse(error, "internal snapshots with a data file are");
	if (support_check_raw_data(h, error))
		return -EINVAL;
	if (h->incompatible & INCOMPATIBLE_EXTENDED_L2 &&
	    h->cluster_bits < MIN_EXTENDED_CLUSTER_BITS)
		return fail(
			error, -EINVAL,
			"header: extended L2 entries with clusters of less than 16 KiB");
	return support_check_compression(h, error);
}

/* The image below, which shows through it, may have been written to since. */
static int refuse_merged(const struct header *h, const struct header_area *area,
			 struct qcow_error *error)
{
	char into[256];
	const char *name;
	uint32_t length;

	if (!header_is_merged(h, area, &name, &length))
		return 0;
	snprintf(into, sizeof(into), "%.*s",
		 (int)min_u64(length, sizeof(into) - 1), name);
	make_printable(into);
	return fail(
		error, -ESTALE,
		"was merged into %s, which has all of it and has been written since; serve that image, and delete this one",
		*into ? into : "the image below it");
}

int support_check(const struct header *header, const struct header_area *area,
		  bool read_only, struct qcow_error *error)
{
	int ret = check_incompatible(header, area, read_only, error);

	if (!ret)
		ret = refuse_merged(header, area, error);
	if (ret)
		return ret;
	if (header->crypt_method == CRYPT_AES)
		return fail(
			error, -ENOTSUP,
			"AES encryption is supported in version 2 only; convert it with 'qemu-img convert'");
	if (header->crypt_method)
		return refuse(error, header->crypt_method == CRYPT_LUKS ?
					     "LUKS encryption is" :
					     "this encryption method is");
	if (header->size < QCOW_SECTOR)
		return fail(error, -EINVAL, "its virtual size is zero");
	return 0;
}
