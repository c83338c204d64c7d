// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The values of each axis, in qemu-img's words where it has some, and the rules
 * for values that exclude each other.  Most rules are QEMU's.  A few rules are
 * ours and keep an image affordable.
 */
#include "tests/engine/axes.h"
#include "qcow/bits.h"

#define MAX_WORDS 13

static const struct {
	const char *name;
	int width; /* in the table */
	const char *words[MAX_WORDS];
} axes[NR_AXES] = {
	[AXIS_VERSION] = { "compat", 6, { "0.10", "1.1" } },
	[AXIS_CLUSTER] = { "cluster",
			   7,
			   { "512", "1K", "2K", "4K", "8K", "16K", "32K", "64K",
			     "128K", "256K", "512K", "1M", "2M" } },
	[AXIS_REFCOUNT] = { "bits",
			    4,
			    { "1", "2", "4", "8", "16", "32", "64" } },
	[AXIS_PREALLOCATION] = { "prealloc",
				 8,
				 { "off", "metadata", "falloc", "full" } },
	[AXIS_TYPE] = { "type", 4, { "zlib", "zstd" } },
	[AXIS_PACKED] = { "packed", 6, { "-", "packed" } },
	[AXIS_SUBCLUSTERS] = { "ext-l2", 6, { "-", "ext-l2" } },
	[AXIS_LAZY] = { "lazy", 5, { "-", "lazy", "dirty" } },
	[AXIS_DATA_FILE] = { "data", 5, { "-", "file", "raw" } },
	[AXIS_BACKING] = { "backing",
			   9,
			   { "-", "raw", "raw-short", "raw-long", "qcow2",
			     "cluster", "short", "long", "depth-2", "depth-4",
			     "qcow1" } },
	[AXIS_SNAPSHOTS] = { "snap", 4, { "-", "1", "2" } },
	[AXIS_BITMAPS] = { "bitmap", 6, { "-", "bitmap" } },
	[AXIS_SIZE] = { "size", 6, { "512", "odd", "ragged", "whole", "1T" } },
};

static const unsigned int sizes[NR_AXES] = {
	2, 13, 7, 4, 2, 2, 2, 3, 3, 11, 3, 2, 5,
};

#define IS(value)    (1u << (value))
#define NOT(value)   (~IS(value))
#define BELOW(value) (IS(value) - 1)

/* The parts of a rule must not all come together; each rule gives the
   reason. */
static const struct rule {
	const char *why;
	struct {
		enum axis axis;
		unsigned int values; /* 0: the rule has no such part */
	} parts[3];
} rules[] = {
	{ "version 2 counts in 16 bits",
	  { { AXIS_VERSION, IS(VERSION_2) },
	    { AXIS_REFCOUNT, NOT(REFCOUNT_16) } } },
	{ "version 2 has no feature bits",
	  { { AXIS_VERSION, IS(VERSION_2) }, { AXIS_TYPE, IS(TYPE_ZSTD) } } },
	{ "likewise",
	  { { AXIS_VERSION, IS(VERSION_2) }, { AXIS_SUBCLUSTERS, IS(YES) } } },
	{ "likewise",
	  { { AXIS_VERSION, IS(VERSION_2) }, { AXIS_LAZY, NOT(LAZY_OFF) } } },
	{ "likewise",
	  { { AXIS_VERSION, IS(VERSION_2) },
	    { AXIS_DATA_FILE, NOT(DATA_FILE_NONE) } } },
	{ "likewise",
	  { { AXIS_VERSION, IS(VERSION_2) }, { AXIS_BITMAPS, IS(YES) } } },
	{ "subclusters are sectors at least",
	  { { AXIS_SUBCLUSTERS, IS(YES) },
	    { AXIS_CLUSTER, BELOW(CLUSTER_16K) } } },
	{ "an allocated cluster hides the layer below; a subcluster need not",
	  { { AXIS_BACKING, NOT(BACKING_SHAPE_NONE) },
	    { AXIS_PREALLOCATION, NOT(PREALLOCATION_OFF) },
	    { AXIS_SUBCLUSTERS, IS(NO) } } },
	{ "a data file's clusters are not counted",
	  { { AXIS_DATA_FILE, NOT(DATA_FILE_NONE) },
	    { AXIS_SNAPSHOTS, NOT(0) } } },
	{ "a data file's clusters have their places",
	  { { AXIS_DATA_FILE, NOT(DATA_FILE_NONE) },
	    { AXIS_PACKED, IS(YES) } } },
	{ "a raw data file is the disk alone",
	  { { AXIS_DATA_FILE, IS(DATA_FILE_RAW) },
	    { AXIS_BACKING, NOT(BACKING_SHAPE_NONE) } } },
	{ "one bit cannot count a snapshot's clusters",
	  { { AXIS_REFCOUNT, IS(REFCOUNT_1) }, { AXIS_SNAPSHOTS, NOT(0) } } },
	{ "an L1 table has at most 32 MiB",
	  { { AXIS_SIZE, IS(SIZE_HUGE) },
	    { AXIS_CLUSTER, BELOW(CLUSTER_2K) } } },
	{ "all sizes are whole clusters",
	  { { AXIS_SIZE, IS(SIZE_RAGGED) },
	    { AXIS_CLUSTER, IS(CLUSTER_512) } } },
	{ "nothing is shorter",
	  { { AXIS_SIZE, IS(SIZE_SECTOR) },
	    { AXIS_BACKING,
	      IS(BACKING_SHAPE_RAW_SHORT) | IS(BACKING_SHAPE_SHORT) } } },
	/* The following images can be made, but they take too long. */
	{ "tables for all of it",
	  { { AXIS_SIZE, IS(SIZE_HUGE) },
	    { AXIS_PREALLOCATION, NOT(PREALLOCATION_OFF) } } },
	{ "likewise: all of it is always allocated",
	  { { AXIS_SIZE, IS(SIZE_HUGE) },
	    { AXIS_DATA_FILE, IS(DATA_FILE_RAW) } } },
	{ "qemu-img asks for every few clusters whether they hold anything",
	  { { AXIS_SIZE, IS(SIZE_HUGE) },
	    { AXIS_CLUSTER, BELOW(CLUSTER_32K) },
	    { AXIS_SNAPSHOTS, NOT(0) } } },
	{ "likewise",
	  { { AXIS_SIZE, IS(SIZE_HUGE) },
	    { AXIS_CLUSTER, BELOW(CLUSTER_32K) },
	    { AXIS_BACKING, IS(BACKING_SHAPE_RAW) | IS(BACKING_SHAPE_RAW_LONG) |
				    IS(BACKING_SHAPE_DEPTH_4) } } },
};

static bool forbids(const struct rule *rule, const unsigned int *values,
		    unsigned int known)
{
	for (unsigned int n = 0; n < ARRAY_SIZE(rule->parts); n++) {
		enum axis axis = rule->parts[n].axis;

		if (!rule->parts[n].values)
			continue;
		if (!(known >> axis & 1) ||
		    !(rule->parts[n].values >> values[axis] & 1))
			return false;
	}
	return true;
}

static bool is_legal(const unsigned int *values, unsigned int known)
{
	for (unsigned int n = 0; n < ARRAY_SIZE(rules); n++)
		if (forbids(&rules[n], values, known))
			return false;
	return true;
}

static bool is_plain(const unsigned int *values, unsigned int known)
{
	static const struct rule plain[] = {
		{ NULL, { { AXIS_TYPE, IS(TYPE_ZSTD) } } },
		{ NULL, { { AXIS_SUBCLUSTERS, IS(YES) } } },
		{ NULL, { { AXIS_LAZY, NOT(LAZY_OFF) } } },
		{ NULL, { { AXIS_DATA_FILE, NOT(DATA_FILE_NONE) } } },
		{ NULL, { { AXIS_BACKING, NOT(BACKING_SHAPE_NONE) } } },
		{ NULL, { { AXIS_SIZE, IS(SIZE_HUGE) } } },
	};

	for (unsigned int n = 0; n < ARRAY_SIZE(plain); n++)
		if (forbids(&plain[n], values, known))
			return false;
	return is_legal(values, known);
}

const struct axes plain_axes = {
	.count = NR_AXES,
	.sizes = sizes,
	.legal = is_plain,
};

const struct axes image_axes = {
	.count = NR_AXES,
	.sizes = sizes,
	.legal = is_legal,
	.dear_axis = AXIS_SIZE,
	.dear_value = SIZE_HUGE,
};

const char *axis_word(const struct combination *combination, enum axis axis)
{
	return axes[axis].words[combination->values[axis]];
}

void axes_print_names(FILE *out)
{
	for (enum axis a = 0; a < NR_AXES; a++)
		fprintf(out, "%-*s ", axes[a].width, axes[a].name);
}

void axes_print(FILE *out, const struct combination *combination)
{
	for (enum axis a = 0; a < NR_AXES; a++)
		fprintf(out, "%-*s ", axes[a].width, axis_word(combination, a));
}
