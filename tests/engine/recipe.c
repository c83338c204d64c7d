// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The image is made from the bottom up; each layer is created and written to at
 * random.  The image on top is written to before, between and after its
 * snapshots, so that all of them differ.  Bitmaps exist before the first write,
 * so that they are not empty.  A dirty image is made by a qemu-io that aborts.
 */
#include <stdio.h>
#include <stdlib.h>
#include "tests/engine/recipe.h"
#include "tests/engine/scribble.h"
#include "qcow/bits.h"

#define SECTOR	   512u
#define HUGE_SIZE  (1ull << 40)
#define USUAL_SIZE (2ull << 20)
#define PACKED_MAX 12		/* compressed clusters at once */
#define BASE_MAX   (3ull << 20) /* of formats that are not sparse */

static unsigned int draw(struct recipe *recipe, unsigned int n)
{
	return random_below(&recipe->random, n);
}

/* ---- layers ---- */

static struct layer *add_layer(struct recipe *recipe, const char *format,
			       uint64_t size)
{
	struct layer *layer = &recipe->layers[recipe->nr_layers];

	layer->format = format;
	layer->size = size;
	snprintf(layer->path, sizeof(layer->path), "%s/under-%u",
		 recipe->directory, recipe->nr_layers++);
	return layer;
}

static void make_raw(struct recipe *recipe, struct layer *layer)
{
	must_run("qemu-img create -q -f raw %s %lu", layer->path, layer->size);
	scribble_plain(layer->path, "raw", layer->size, &recipe->random);
	scribble_plain(layer->path, "raw", layer->size, &recipe->random);
}

/* Half of them are compressed.  Then qemu-img says that it failed, when all is
   done. */
static void make_qcow(struct recipe *recipe, struct layer *layer)
{
	char *raw = scratch_path("raw");

	must_run("qemu-img create -q -f raw %s %lu", raw, layer->size);
	scribble_plain(raw, "raw", layer->size, &recipe->random);
	scribble_plain(raw, "raw", layer->size, &recipe->random);
	run("qemu-img convert -f raw -O qcow %s %s %s 2>/dev/null",
	    draw(recipe, 2) ? "-c" : "", raw, layer->path);
	free(raw);
}

/* Draws another cluster size than the image's.  QEMU is slow with a huge empty
   disk of small clusters. */
static uint32_t draw_cluster(struct recipe *recipe)
{
	static const uint32_t sizes[] = { 65536, 262144, 512, 4096 };
	unsigned int count = recipe->size == HUGE_SIZE ? 2 : ARRAY_SIZE(sizes);
	uint32_t cluster;

	do {
		cluster = sizes[draw(recipe, count)];
	} while (cluster == recipe->cluster);
	return cluster;
}

/* Each layer is made before the layer above it. */
static void make_qcow2(struct recipe *recipe, struct layer *layer,
		       const struct layer *under)
{
	bool subclusters = layer->cluster >= 16384 && draw(recipe, 4) == 0;

	must_run("qemu-img create -q -f qcow2 -o cluster_size=%u%s %s%s %s %lu",
		 layer->cluster,
		 subclusters	 ? ",extended_l2=on" :
		 draw(recipe, 3) ? "" :
				   ",compat=0.10",
		 under ? "-F qcow2 -b " : "", under ? under->path : "",
		 layer->path, layer->size);
	scribble(layer->path, layer->size, layer->cluster,
		 draw(recipe, 2) ? PACKED_MAX : 0, &recipe->random);
}

static uint64_t shorter(struct recipe *recipe)
{
	uint64_t sectors = min_u64(recipe->size, 2 * BASE_MAX) / SECTOR;

	return SECTOR * (1 + draw(recipe, sectors - 1));
}

static uint64_t longer(struct recipe *recipe)
{
	return recipe->size + SECTOR * (1 + draw(recipe, 4000));
}

static uint64_t draw_layer_size(struct recipe *recipe)
{
	switch (draw(recipe, 3)) {
	case 0:
		return recipe->size > SECTOR ? shorter(recipe) : recipe->size;
	case 1:
		return longer(recipe);
	default:
		return recipe->size;
	}
}

/* A chain of qcow2 images of any cluster sizes and lengths. */
static void make_chain(struct recipe *recipe, unsigned int depth)
{
	for (unsigned int n = 0; n < depth; n++)
		add_layer(recipe, "qcow2", draw_layer_size(recipe))->cluster =
			draw(recipe, 2) ? recipe->cluster :
					  draw_cluster(recipe);
	for (unsigned int n = depth; n--;)
		make_qcow2(recipe, &recipe->layers[n],
			   n + 1 < depth ? &recipe->layers[n + 1] : NULL);
}

static void make_one(struct recipe *recipe, uint64_t size, uint32_t cluster)
{
	struct layer *layer = add_layer(recipe, "qcow2", size);

	layer->cluster = cluster;
	make_qcow2(recipe, layer, NULL);
}

static void make_layers(struct recipe *recipe)
{
	enum backing_shape shape = recipe_value(recipe, AXIS_BACKING);

	switch (shape) {
	case BACKING_SHAPE_NONE:
		break;
	case BACKING_SHAPE_RAW:
		make_raw(recipe, add_layer(recipe, "raw", recipe->size));
		break;
	case BACKING_SHAPE_RAW_SHORT:
		make_raw(recipe, add_layer(recipe, "raw", shorter(recipe)));
		/* Not even the sectors are whole. */
		must_run("truncate -s -%u %s", draw(recipe, SECTOR),
			 recipe->layers[0].path);
		break;
	case BACKING_SHAPE_RAW_LONG:
		make_raw(recipe, add_layer(recipe, "raw", longer(recipe)));
		break;
	case BACKING_SHAPE_QCOW2:
		make_one(recipe, recipe->size, recipe->cluster);
		break;
	case BACKING_SHAPE_OTHER_CLUSTER:
		make_one(recipe, recipe->size, draw_cluster(recipe));
		break;
	case BACKING_SHAPE_SHORT:
		make_one(recipe, shorter(recipe), recipe->cluster);
		break;
	case BACKING_SHAPE_LONG:
		make_one(recipe, longer(recipe), recipe->cluster);
		break;
	case BACKING_SHAPE_DEPTH_2:
		make_chain(recipe, 2);
		break;
	case BACKING_SHAPE_DEPTH_4:
		make_chain(recipe, 4);
		break;
	case BACKING_SHAPE_QCOW1:
		make_qcow(recipe, add_layer(recipe, "qcow",
					    min_u64(recipe->size, BASE_MAX)));
		break;
	}
}

/* ---- the image ---- */

static void add_options(const struct recipe *recipe, FILE *out)
{
	const struct combination *c = &recipe->combination;

	fprintf(out, "compat=%s", axis_word(c, AXIS_VERSION));
	fprintf(out, ",cluster_size=%u", recipe->cluster);
	fprintf(out, ",refcount_bits=%s", axis_word(c, AXIS_REFCOUNT));
	fprintf(out, ",preallocation=%s", axis_word(c, AXIS_PREALLOCATION));
	/* Version 2 takes not even the default of these options. */
	if (recipe_value(recipe, AXIS_TYPE) != TYPE_ZLIB)
		fprintf(out, ",compression_type=%s", axis_word(c, AXIS_TYPE));
	if (recipe_value(recipe, AXIS_SUBCLUSTERS))
		fprintf(out, ",extended_l2=on");
	if (recipe_value(recipe, AXIS_LAZY) != LAZY_OFF)
		fprintf(out, ",lazy_refcounts=on");
	if (recipe_value(recipe, AXIS_DATA_FILE) != DATA_FILE_NONE)
		fprintf(out, ",data_file=%s", recipe->data_path);
	if (recipe_value(recipe, AXIS_DATA_FILE) == DATA_FILE_RAW)
		fprintf(out, ",data_file_raw=on");
	if (recipe->nr_layers)
		fprintf(out, " -F %s -b %s", recipe->layers[0].format,
			recipe->layers[0].path);
}

static void create(const struct recipe *recipe)
{
	char *options;
	size_t n;
	FILE *out = open_memstream(&options, &n);

	add_options(recipe, out);
	fclose(out);
	must_run("qemu-img create -q -f qcow2 -o %s %s %lu", options,
		 recipe->path, recipe->size);
	free(options);
	if (recipe_value(recipe, AXIS_BITMAPS))
		must_run(
			"qemu-img bitmap --add %s one && qemu-img bitmap --add --disable -g 4096 %s two",
			recipe->path, recipe->path);
}

/* The number of compressed clusters that may share a host cluster.  With more,
   the count that a snapshot needs would not fit into the bits. */
static unsigned int packed_max(const struct recipe *recipe)
{
	if (!recipe_value(recipe, AXIS_PACKED))
		return 0;
	if (!recipe->snapshots)
		return PACKED_MAX;
	switch (recipe_value(recipe, AXIS_REFCOUNT)) {
	case REFCOUNT_2:
		return 1;
	case REFCOUNT_4:
		return 5;
	default:
		return PACKED_MAX;
	}
}

static void scribble_on_top(struct recipe *recipe)
{
	scribble(recipe->path, recipe->size, recipe->cluster,
		 packed_max(recipe), &recipe->random);
}

/* QEMU allocates a cluster, and dies before it counts that cluster. */
static void make_dirty(const struct recipe *recipe)
{
	uint64_t length = min_u64(recipe->cluster, recipe->size);

	run("ulimit -c 0; qemu-io -f qcow2 -c 'discard -q 0 %lu' -c 'write -q -s %s 0 %lu' -c flush -c abort %s >/dev/null 2>&1",
	    length, scribble_pattern(), length, recipe->path);
	must_run("test $(($(od -An -tu1 -j79 -N1 %s) & 1)) = 1", recipe->path);
}

static void make_image(struct recipe *recipe)
{
	create(recipe);
	scribble_on_top(recipe);
	for (unsigned int n = 1; n <= recipe->snapshots; n++) {
		must_run("qemu-img snapshot -c %u %s", n, recipe->path);
		scribble_on_top(recipe);
	}
	if (recipe_value(recipe, AXIS_PACKED))
		must_run(
			"qemu-img check --output=json %s | grep -q compressed-clusters",
			recipe->path);
	if (recipe_value(recipe, AXIS_LAZY) == LAZY_DIRTY)
		make_dirty(recipe);
}

static uint64_t size_of(const struct recipe *recipe)
{
	switch (recipe_value(recipe, AXIS_SIZE)) {
	case SIZE_SECTOR:
		return SECTOR;
	case SIZE_ODD:
		return 777 * SECTOR;
	case SIZE_RAGGED:
		return max_u64(USUAL_SIZE / 2, 2 * recipe->cluster) -
		       recipe->cluster / 2;
	case SIZE_HUGE:
		return HUGE_SIZE;
	default:
		return max_u64(USUAL_SIZE, 3 * recipe->cluster);
	}
}

/* Describes the image as in the table. */
static void describe(struct recipe *recipe, unsigned int number)
{
	FILE *out = fmemopen(recipe->what, sizeof(recipe->what), "w");

	fprintf(out, "combination %u: ", number);
	axes_print(out, &recipe->combination);
	fclose(out);
}

void recipe_make(struct recipe *recipe, const struct combination *combination,
		 unsigned int number, uint64_t seed)
{
	*recipe = (struct recipe){
		.combination = *combination,
		.random.state = seed << 32 | number,
		.cluster = 512u << combination->values[AXIS_CLUSTER],
		.snapshots = combination->values[AXIS_SNAPSHOTS],
	};
	recipe->size = size_of(recipe);
	describe(recipe, number);
	snprintf(recipe->directory, sizeof(recipe->directory), "%s/%u",
		 scratch(), number);
	snprintf(recipe->path, sizeof(recipe->path), "%s/image",
		 recipe->directory);
	snprintf(recipe->data_path, sizeof(recipe->data_path), "%s/data",
		 recipe->directory);
	must_run("mkdir %s", recipe->directory);
	make_layers(recipe);
	make_image(recipe);
}

void recipe_remove(const struct recipe *recipe)
{
	must_run("rm -r %s", recipe->directory);
}

unsigned int recipe_value(const struct recipe *recipe, enum axis axis)
{
	return recipe->combination.values[axis];
}
