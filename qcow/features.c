// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Feature bits and their names.  The bits that this engine knows have the names
 * below; any other bit may have one in the feature name table of the image.
 *
 * That table is input: its names may hold anything and need not end.
 */
#include <stdio.h>
#include "qcow/bits.h"
#include "qcow/header.h"

static const struct {
	enum qcow_feature_kind kind;
	unsigned int bit;
	const char *name;
} known[] = {
	{ QCOW_INCOMPATIBLE, 0, "dirty" },
	{ QCOW_INCOMPATIBLE, 1, "corrupt" },
	{ QCOW_INCOMPATIBLE, 2, "external-data" },
	{ QCOW_INCOMPATIBLE, 3, "compression-type" },
	{ QCOW_INCOMPATIBLE, 4, "extended-l2" },
	{ QCOW_COMPATIBLE, 0, "lazy-refcounts" },
	{ QCOW_AUTOCLEAR, 0, "bitmaps" },
	{ QCOW_AUTOCLEAR, 1, "raw-external-data" },
	{ QCOW_AUTOCLEAR, 63, "ublk-qcow2-journal" },
};

static bool find_known(struct qcow_feature *feature)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].kind == feature->kind &&
		    known[i].bit == feature->bit) {
			snprintf(feature->name, sizeof(feature->name), "%s",
				 known[i].name);
			return true;
		}
	return false;
}

static bool find_in_table(const uint8_t *table, uint32_t length,
			  struct qcow_feature *feature)
{
	for (; length >= FEATURE_NAME_SIZE; length -= FEATURE_NAME_SIZE) {
		if (table[0] == feature->kind && table[1] == feature->bit) {
			memcpy(feature->name, table + 2, FEATURE_NAME_SIZE - 2);
			feature->name[FEATURE_NAME_SIZE - 2] = 0;
			return true;
		}
		table += FEATURE_NAME_SIZE;
	}
	return false;
}

static void find_in_image(const struct header *h,
			  const struct header_area *area,
			  struct qcow_feature *feature)
{
	uint32_t at = h->length, type, length;
	const uint8_t *data;

	while (header_next_extension(h, area, &at, &type, &length, &data))
		if (type == EXTENSION_FEATURE_NAMES &&
		    find_in_table(data, length, feature))
			return;
}

void feature_describe(const struct header *header,
		      const struct header_area *area,
		      enum qcow_feature_kind kind, unsigned int bit,
		      struct qcow_feature *feature)
{
	*feature = (struct qcow_feature){ .kind = kind, .bit = bit };
	feature->known = find_known(feature);
	if (!feature->known)
		find_in_image(header, area, feature);
}

unsigned int features_list(const struct header *header,
			   const struct header_area *area,
			   struct qcow_feature features[QCOW_FEATURES_MAX])
{
	const uint64_t words[] = {
		[QCOW_INCOMPATIBLE] = header->incompatible,
		[QCOW_COMPATIBLE] = header->compatible,
		[QCOW_AUTOCLEAR] = header->autoclear,
	};
	unsigned int count = 0;

	for (unsigned int kind = 0; kind < ARRAY_SIZE(words); kind++)
		for (unsigned int bit = 0; bit < 64; bit++)
			if (words[kind] >> bit & 1)
				feature_describe(header, area, kind, bit,
						 &features[count++]);
	return count;
}
