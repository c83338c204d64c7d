// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include "tests/engine/compress-sample.h"
#include "qcow/bits.h"
#include "qcow/format.h"

#define BLOCK 4096u

/* Blocks that compress well, badly, not at all, and some zeros. */
static void fill_raw(uint8_t *raw, size_t size, struct random *random)
{
	for (size_t at = 0; at < size; at += BLOCK) {
		/* one kind for a while */
		unsigned int kind = (at / (16 * BLOCK) + at / BLOCK % 3) % 4;
		unsigned int mask = (unsigned int[]){ 0, 1, 15, 255 }[kind];

		for (size_t i = at; i < min_u64(size, at + BLOCK); i++)
			raw[i] = random_next(random) & mask;
	}
}

static void note_entry(struct sample *sample, uint64_t entry, uint64_t guest)
{
	if (!(entry & ENTRY_COMPRESSED) || sample->count == MAX_ENTRIES)
		return;
	sample->found[sample->count].entry = entry;
	sample->found[sample->count].guest = guest << sample->cluster_bits;
	sample->count++;
}

/* Walks the tables of the file's bytes. */
static void find_entries(struct sample *sample, const uint8_t *file)
{
	uint64_t l2_bits = sample->cluster_bits - 3;
	uint32_t l1_size = load_be32(file + HEADER_L1_SIZE);
	const uint8_t *l1 = file + load_be64(file + HEADER_L1_OFFSET);

	sample->count = 0;
	for (uint64_t i = 0; i < (uint64_t)l1_size << l2_bits; i++) {
		uint64_t l2 = load_be64(l1 + (i >> l2_bits) * 8) & ENTRY_OFFSET;
		uint64_t index = i & ((1ull << l2_bits) - 1);

		if (l2)
			note_entry(sample, load_be64(file + l2 + index * 8), i);
	}
	if (!sample->count)
		die("%s: no compressed cluster", sample->what);
}

void sample_make(struct sample *sample, const char *compat,
		 struct random *random)
{
	char *raw = scratch_path("raw");
	char *back = scratch_path("back");
	const char *type = sample->type == COMPRESSION_ZSTD ?
				   ",compression_type=zstd" :
				   "";
	uint8_t *file;

	sample->path = scratch_path("image");
	sample->size = max_u64(1u << 20, 6u << sample->cluster_bits) + 1536;
	sample->raw = malloc(sample->size);
	snprintf(sample->what, sizeof(sample->what),
		 "compat=%s,cluster_size=%u%s", compat,
		 1u << sample->cluster_bits, type);
	fill_raw(sample->raw, sample->size, random);
	write_file(raw, sample->raw, sample->size);
	must_run("qemu-img convert -c -f raw -O qcow2 -o %s %s %s",
		 sample->what, raw, sample->path);
	must_run("qemu-img convert -f qcow2 -O raw %s %s", sample->path, back);
	free(sample->raw);
	sample->raw = read_file(back, &sample->size);
	file = read_file(sample->path, &(size_t){ 0 });
	find_entries(sample, file);
	free(file);
	free(raw);
	free(back);
}

void sample_free(struct sample *sample)
{
	free(sample->raw);
	free(sample->path);
}
