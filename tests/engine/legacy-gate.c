// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bytes that must not reach the library that reads legacy images.  Each bad
 * header and table is refused by name.  Then come mutants, of which some are
 * let through: they may give an error, or data, but no more.
 *
 * usage: legacy-gate [SEED]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/legacy-images.h"
#include "qcow/bits.h"
#include "qcow/file.h"

#define MUTANTS 60

static struct legacy_images images;

static void refused(const char *what, const char *key, const char *text)
{
	struct qcow_error error = { "" };
	struct legacy *legacy;
	struct file file;

	images_open_file(&images, QCOW_CACHE_NONE, &file);
	if (!legacy_open(&file, key, &legacy, &error))
		die("%s: opened", what);
	if (!strstr(error.text, text))
		die("%s: refused with: %s", what, error.text);
	file_close(&file);
}

/* Bytes that make a sound image a bad one. */
struct patch {
	const char *what;
	enum { IN_HEADER, IN_L1, IN_L2 } where;
	unsigned int offset;
	unsigned int length;
	uint64_t value;
	const char *text;
};

#define COMPRESSED(length, offset) \
	(1ull << 63 | (uint64_t)(length) << 51 | (offset))

static const struct patch patches[] = {
	{ "magic", IN_HEADER, 0, 4, 0, "no magic number" },
	{ "version", IN_HEADER, 4, 4, 3, "version 3 is not" },
	{ "plain version 2", IN_HEADER, 4, 4, 2, "without AES" },
	{ "backing", IN_HEADER, 8, 8, 1024, "backing file" },
	{ "size 0", IN_HEADER, 24, 8, 0, "size is zero" },
	{ "size", IN_HEADER, 24, 8, 1ull << 63, "size is too large" },
	{ "L1 size", IN_HEADER, 24, 8, 1ull << 45, "too many" },
	{ "L1 outside", IN_HEADER, 24, 8, 1ull << 40, "L1 table: offset" },
	{ "cluster_bits 8", IN_HEADER, 32, 1, 8, "cluster_bits is 8" },
	{ "cluster_bits 17", IN_HEADER, 32, 1, 17, "cluster_bits is 17" },
	{ "cluster_bits 255", IN_HEADER, 32, 1, 255, "cluster_bits is 255" },
	{ "l2_bits", IN_HEADER, 33, 1, 10, "l2_bits 10, cluster_bits 12" },
	{ "l2_bits 255", IN_HEADER, 33, 1, 255, "l2_bits is 255" },
	{ "crypt", IN_HEADER, 36, 4, 2, "encryption method 2" },
	{ "no key", IN_HEADER, 36, 4, 1, "with --key-file" },
	{ "L1 offset", IN_HEADER, 40, 8, ~7ull, "L1 table: offset" },
	{ "L1 in header", IN_HEADER, 40, 8, 8, "overlaps the header" },
	{ "L2 outside", IN_L1, 0, 8, 1ull << 40, "L2 table of index 0" },
	{ "L2 unaligned", IN_L1, 0, 8, 4096 + 512, "L2 table of index 0" },
	{ "cluster outside", IN_L2, 0, 8, 1ull << 40, "inside the file" },
	{ "cluster unaligned", IN_L2, 8, 8, 4097, "is malformed" },
	{ "compressed outside", IN_L2, 16, 8, COMPRESSED(9, 1ull << 40),
	  "inside the file" },
	{ "compressed to nothing", IN_L2, 16, 8, COMPRESSED(0, 8192),
	  "no bytes at all" },
	{ "compressed header", IN_L2, 16, 8, COMPRESSED(9, 8),
	  "overlaps the header" },
};

static void store(uint8_t *at, unsigned int length, uint64_t value)
{
	while (length--) {
		at[length] = value;
		value >>= 8;
	}
}

static void test_patch(const struct patch *patch, const uint8_t *sound,
		       size_t size)
{
	uint8_t *bytes = malloc(size);
	uint64_t l1 = load_be64(sound + 40);
	uint64_t at[] = { 0, l1, load_be64(sound + l1) };

	memcpy(bytes, sound, size);
	store(bytes + at[patch->where] + patch->offset, patch->length,
	      patch->value);
	write_file(images.image_path, bytes, size);
	refused(patch->what, NULL, patch->text);
	free(bytes);
}

static void test_keys(void)
{
	images_make(&images, SECRET " -f raw -O qcow -o " AES);
	refused("missing key file", "/nonexistent", "No such file");
	images_write_key(&images, "\n");
	refused("empty key", images.key_path, "is empty");
	images_write_key(&images, "0123456789abcdefg");
	refused("long key", images.key_path, "more than 16 bytes");
	images_write_key(&images, LEGACY_KEY "\n");
}

static void test_gate(void)
{
	uint8_t *sound;
	size_t size;

	images_make(&images, "-f raw -O qcow");
	sound = read_file(images.image_path, &size);
	for (unsigned int i = 0; i < ARRAY_SIZE(patches); i++)
		test_patch(&patches[i], sound, size);
	write_file(images.image_path, sound, size - 512);
	refused("cut", NULL, "inside the file");
	write_file(images.image_path, sound, 40);
	refused("only a header", NULL, "");
	free(sound);
	test_keys();
	images_make(&images, "-f raw -O qcow2");
	refused("version 3", NULL, "version 3");
}

/* Whatever the mutant is, the read gives an error or some bytes, and soon. */
static void read_mutant(uint8_t *bytes)
{
	struct legacy *legacy;
	struct file file;

	images_open_file(&images, QCOW_CACHE_WRITEBACK, &file);
	if (!legacy_open(&file, NULL, &legacy, NULL)) {
		legacy_read(legacy, bytes, 0,
			    min_u64(LEGACY_SIZE, legacy_size(legacy)));
		legacy_close(legacy);
	}
	file_close(&file);
}

static void mutate(uint8_t *image, size_t size, struct random *random)
{
	/* The first bytes matter most: they tell how to read the rest. */
	size_t end = random_below(random, 2) ? size : 16384;

	for (unsigned int n = 1 + random_below(random, 20); n; n--)
		image[random_below(random, end)] ^= 1
						    << random_below(random, 8);
}

static void test_mutants(const char *options, struct random *random)
{
	uint8_t *bytes = malloc(LEGACY_SIZE), *mutant, *sound;
	size_t size;

	images_make(&images, options);
	sound = read_file(images.image_path, &size);
	mutant = malloc(size);
	for (unsigned int n = 0; n < MUTANTS * effort(); n++) {
		memcpy(mutant, sound, size);
		mutate(mutant, size, random);
		write_file(images.image_path, mutant, size);
		read_mutant(bytes);
	}
	free(mutant);
	free(sound);
	free(bytes);
}

/* A file may name so many tables that their reading would take minutes.  The
   file itself costs nothing if it is sparse, or if all tables are the same one.
   Such a file is refused. */
static void test_many_tables(void)
{
	const uint64_t cluster = 65536, tables = (1u << 30) / cluster + 1;
	uint8_t *bytes = calloc(1, cluster + tables * 8);

	store(bytes, 4, 0x514649fb);
	store(bytes + 4, 4, 1);
	store(bytes + 24, 8, tables * cluster / 8 * cluster);
	bytes[32] = 16;		       /* cluster_bits */
	bytes[33] = 13;		       /* l2_bits */
	store(bytes + 40, 8, cluster); /* the L1 table */
	for (uint64_t i = 0; i < tables; i++)
		store(bytes + cluster + i * 8, 8, 1u << 20);
	write_file(images.image_path, bytes, cluster + tables * 8);
	must_run("truncate -s 2G %s", images.image_path);
	refused("many tables", NULL, "L2 tables take more than");
	must_run("truncate -s 512M %s", images.image_path);
	refused("many tables", NULL, "L2 tables overlap");
	free(bytes);
}

int main(int argc, char **argv)
{
	struct random random = {
		.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
	};

	images_create(&images, &random);
	test_gate();
	test_many_tables();
	test_mutants("-f raw -O qcow", &random);
	test_mutants("-f raw -c -O qcow", &random);
	return 0;
}
