// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The image of `subclusters`: guest clusters of every state, as qemu-io makes
 * them, in several kinds of images.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "qcow/bits.h"
#include "tests/engine/subclusters.h"
#include "tests/lib/helpers.h"

#define SUB (CLUSTER / 32)

const struct variant variants[] = {
	{ .name = "alone" },
	{ .name = "overlay", .backing = true },
	{ .name = "snapshot", .snapshot = true },
	{ .name = "overlay with a snapshot",
	  .backing = true,
	  .snapshot = true },
	{ .name = "data file", .data_file = true },
	{ .name = "overlay with a data file",
	  .backing = true,
	  .data_file = true },
	{ .name = "raw data file", .data_file = true, .raw = true },
};

const unsigned int nr_variants = ARRAY_SIZE(variants);

/* The commands of qemu-io that change subclusters. */
#define DATA   "write -q -P 0x61"
#define ZERO   "write -q -z"
#define PACKED "write -q -c -P 0x62"

static const struct state {
	const char *name;
	struct make {
		const char *verb;
		unsigned int first, count;
	} make[2];
	bool shared; /* with a snapshot, of an image that has one */
} states[] = {
	{ .name = "nothing" },
	{ "all", .make = { { DATA, 0, 32 } } },
	{ "the first", .make = { { DATA, 0, 1 } } },
	{ "the last", .make = { { DATA, 31, 1 } } },
	{ "some", .make = { { DATA, 5, 16 } } },
	{ "zero", .make = { { ZERO, 0, 32 } } },
	{ "some zero", .make = { { ZERO, 4, 6 } } },
	{ "the first zero", .make = { { ZERO, 0, 6 } } },
	{ "zero over data", .make = { { DATA, 0, 32 }, { ZERO, 0, 32 } } },
	{ "data and zero", .make = { { DATA, 2, 6 }, { ZERO, 5, 8 } } },
	{ "compressed", .make = { { PACKED, 0, 32 } } },
	{ "shared", .make = { { DATA, 0, 16 } }, .shared = true },
	{ "shared data and zero", .make = { { DATA, 2, 6 }, { ZERO, 5, 8 } },
	  .shared = true },
	{ "shared zero over data", .make = { { DATA, 0, 32 }, { ZERO, 0, 32 } },
	  .shared = true },
	{ "shared, compressed", .make = { { PACKED, 0, 32 } }, .shared = true },
};

_Static_assert(ARRAY_SIZE(states) == STATES, "states");

static const struct state *state_of(uint64_t guest)
{
	return &states[guest / STATE_CLUSTERS];
}

const char *image_state(uint64_t guest)
{
	return state_of(guest)->name;
}

static bool is_made(const struct variant *variant, const struct state *state,
		    bool shared)
{
	if (variant->data_file &&
	    (state->shared || !strcmp(state->make[0].verb ?: "", PACKED)))
		return false;
	return state->make[0].verb && state->shared == shared;
}

static void put_state(FILE *script, uint64_t guest, const struct state *state)
{
	for (unsigned int i = 0; i < 2 && state->make[i].verb; i++) {
		const struct make *make = &state->make[i];
		uint64_t at = guest * CLUSTER + make->first * SUB;

		if (at < SIZE)
			fprintf(script, "%s %lu %lu\n", make->verb, at,
				min_u64(make->count * SUB, SIZE - at));
	}
}

/* The states that are shared with a snapshot, or the others. */
static void make_states(const char *image, const struct variant *variant,
			bool shared)
{
	char *path = scratch_path("script");
	FILE *script = fopen(path, "w");

	for (uint64_t g = 0; g < CLUSTERS; g++)
		if (is_made(variant, state_of(g), shared))
			put_state(script, g, state_of(g));
	fclose(script);
	must_run("qemu-io -f qcow2 %s <%s >%s.out && ! grep -i fail %s.out",
		 image, path, path, path);
	free(path);
}

static void make_base(const char *path)
{
	uint8_t *bytes = malloc(BASE_SIZE);

	memset(bytes, 'b', BASE_SIZE);
	write_file(path, bytes, BASE_SIZE);
	free(bytes);
}

void image_make(const char *path, const struct variant *v)
{
	char *base = scratch_path("base");

	make_base(base);
	must_run(
		"rm -f %s %s.data; qemu-img create -q -f qcow2 -o extended_l2=on,cluster_size=%u%s%s%s%s%s %s %lu",
		path, path, CLUSTER,
		v->backing ? ",backing_fmt=raw,backing_file=" : "",
		v->backing ? base : "", v->data_file ? ",data_file=" : "",
		v->data_file ? path : "",
		v->data_file ? v->raw ? ".data,data_file_raw=on" : ".data" : "",
		path, SIZE);
	make_states(path, v, true);
	if (v->snapshot)
		must_run(
			"qemu-img snapshot -c one %s && qemu-img convert -l one -O raw %s %s.one",
			path, path, path);
	make_states(path, v, false);
	free(base);
}
