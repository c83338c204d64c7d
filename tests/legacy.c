/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Legacy images as qemu-img makes them, read whole through the reader
 * process and compared with what went in.  Then what the gate must refuse,
 * by name; mutants, which may give an error but no more; and the death of
 * each process behind an image: reader, hanging reader, server.
 *
 * usage: legacy [SEED]
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "helpers.h"
#include "qcow/legacy.h"

#define SIZE		((3u << 20) + 1536)
#define KEY		"open sesame"
#define MUTANTS		60

static char *raw_path, *image_path, *key_path;
static uint8_t *raw;

/* ---- images ---- */

static void make_raw(struct random *random)
{
	raw_path = scratch_path("raw");
	image_path = scratch_path("image");
	key_path = scratch_path("key");
	raw = calloc(1, SIZE);
	/* noise, text, and nothing */
	for (size_t i = 0; i < SIZE; i++)
		if (i / 65536 % 3)
			raw[i] = random_next(random) &
				 (i / 65536 % 3 == 1 ? 255 : 3);
	write_file(raw_path, raw, SIZE);
	write_file(key_path, KEY "\n", strlen(KEY) + 1);
}

#define SECRET	"--object secret,id=key,data='" KEY "'"
#define AES	"encrypt.format=aes,encrypt.key-secret=key"

static void make_image(const char *options)
{
	int status = run("rm -f %s; qemu-img convert %s %s %s 2>/dev/null",
			 image_path, options, raw_path, image_path);

	/* qemu-img is not content with its compressed QCOW images. */
	if (status && !strstr(options, "-c -O qcow"))
		die("qemu-img convert %s: status %d", options, status);
}

static void open_file(struct file *file, enum qcow_cache cache)
{
	struct qcow_options options = { .read_only = true, .cache = cache };
	struct qcow_error error;

	if (file_open(file, image_path, &options, &error))
		die("%s: %s", image_path, error.text);
}

static struct legacy *open_legacy(const char *what, const char *key,
				  enum qcow_cache cache, struct file *file)
{
	struct qcow_error error = { "" };
	struct legacy *legacy;
	bool is_legacy;

	open_file(file, cache);
	if (legacy_probe(file, &is_legacy) || !is_legacy)
		die("%s: not known as a legacy image", what);
	if (legacy_open(file, key, &legacy, &error))
		die("%s: %s", what, error.text);
	return legacy;
}

static void read_all(struct legacy *legacy, const char *what)
{
	uint8_t *bytes = malloc(SIZE);
	int ret = legacy_read(legacy, bytes, 0, SIZE);

	if (legacy_size(legacy) != SIZE)
		die("%s: size %lu", what, legacy_size(legacy));
	if (ret || memcmp(bytes, raw, SIZE))
		die("%s: %s", what, ret ? strerror(-ret) : "wrong data");
	if (!legacy_read(legacy, bytes, SIZE - 512, 1024))
		die("%s: read past its end", what);
	free(bytes);
}

static void test_read(const char *options, const char *key)
{
	for (int cache = 0; cache < 2; cache++) {
		struct legacy *legacy;
		struct file file;

		make_image(options);
		legacy = open_legacy(options, key, cache, &file);
		read_all(legacy, options);
		legacy_close(legacy);
		file_close(&file);
	}
}

static void test_formats(void)
{
	test_read("-f raw -O qcow", NULL);
	test_read("-f raw -O qcow", key_path);
	test_read("-f raw -c -O qcow", NULL);
	test_read(SECRET " -f raw -O qcow -o " AES, key_path);
	test_read(SECRET " -f raw -O qcow2 -o compat=0.10," AES, key_path);
	test_read(SECRET " -f raw -O qcow2 -o compat=0.10,cluster_size=512,"
		  AES, key_path);
}

/* A wrong key cannot be known, but must not do more than that. */
static void test_wrong_key(void)
{
	uint8_t bytes[512];
	struct legacy *legacy;
	struct file file;

	make_image(SECRET " -f raw -O qcow -o " AES);
	write_file(key_path, "wrong", 5);
	legacy = open_legacy("wrong key", key_path, QCOW_CACHE_NONE, &file);
	if (legacy_read(legacy, bytes, 65536, 512) ||
	    !memcmp(bytes, raw + 65536, 512))
		die("wrong key: not noise");
	legacy_close(legacy);
	file_close(&file);
	write_file(key_path, KEY "\n", strlen(KEY) + 1);
}

/* ---- the gate ---- */

static void refused(const char *what, const char *key, const char *text)
{
	struct qcow_error error = { "" };
	struct legacy *legacy;
	struct file file;

	open_file(&file, QCOW_CACHE_NONE);
	if (!legacy_open(&file, key, &legacy, &error))
		die("%s: opened", what);
	if (!strstr(error.text, text))
		die("%s: refused with: %s", what, error.text);
	file_close(&file);
}

/* Bytes of a sound image that make it a bad one. */
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
	{ "l2_bits 255", IN_HEADER, 33, 1, 255, "l2_bits 255" },
	{ "crypt", IN_HEADER, 36, 4, 2, "encryption method 2" },
	{ "no key", IN_HEADER, 36, 4, 1, "key file is needed" },
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
	write_file(image_path, bytes, size);
	refused(patch->what, NULL, patch->text);
	free(bytes);
}

static void test_keys(void)
{
	make_image(SECRET " -f raw -O qcow -o " AES);
	refused("missing key file", "/nonexistent", "No such file");
	write_file(key_path, "\n", 1);
	refused("empty key", key_path, "1 to 16 bytes");
	write_file(key_path, "0123456789abcdefg", 17);
	refused("long key", key_path, "1 to 16 bytes");
	write_file(key_path, KEY "\n", strlen(KEY) + 1);
}

static void test_gate(void)
{
	uint8_t *sound;
	size_t size;

	make_image("-f raw -O qcow");
	sound = read_file(image_path, &size);
	for (unsigned int i = 0; i < ARRAY_SIZE(patches); i++)
		test_patch(&patches[i], sound, size);
	write_file(image_path, sound, size - 512);
	refused("cut", NULL, "inside the file");
	write_file(image_path, sound, 40);
	refused("only a header", NULL, "");
	free(sound);
	test_keys();
	make_image("-f raw -O qcow2");
	refused("version 3", NULL, "version 3");
}

/* Whatever the image: an error, or some bytes, and soon. */
static void read_mutant(uint8_t *bytes)
{
	struct legacy *legacy;
	struct file file;

	open_file(&file, QCOW_CACHE_WRITEBACK);
	if (!legacy_open(&file, NULL, &legacy, NULL)) {
		legacy_read(legacy, bytes, 0,
			    min_u64(SIZE, legacy_size(legacy)));
		legacy_close(legacy);
	}
	file_close(&file);
}

static void mutate(uint8_t *image, size_t size, struct random *random)
{
	/* The beginning says most about the rest. */
	size_t end = random_below(random, 2) ? size : 16384;

	for (unsigned int n = 1 + random_below(random, 20); n; n--)
		image[random_below(random, end)] ^=
			1 << random_below(random, 8);
}

static void test_mutants(const char *options, struct random *random)
{
	uint8_t *bytes = malloc(SIZE), *mutant, *sound;
	size_t size;

	make_image(options);
	sound = read_file(image_path, &size);
	mutant = malloc(size);
	for (unsigned int n = 0; n < MUTANTS * effort(); n++) {
		memcpy(mutant, sound, size);
		mutate(mutant, size, random);
		write_file(image_path, mutant, size);
		read_mutant(bytes);
	}
	free(mutant);
	free(sound);
	free(bytes);
}

/* ---- deaths ---- */

/* The only child of a process, or 0. */
static pid_t child_of(pid_t parent)
{
	char path[64];
	FILE *file;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent,
		 parent);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%d", &pid) != 1)
		pid = 0;
	if (file)
		fclose(file);
	return pid;
}

static void *read_a_sector(void *legacy)
{
	uint8_t sector[512];

	return (void *)(intptr_t)legacy_read(legacy, sector, 65536, 512);
}

/* A read while the reader is stopped; meanwhile it is killed, or not. */
static void test_reader_death(struct legacy *legacy, bool killed)
{
	pid_t reader = child_of(child_of(getpid()));
	pthread_t thread;
	void *ret;

	if (!reader)
		die("there is no reader");
	kill(reader, SIGSTOP);
	pthread_create(&thread, NULL, read_a_sector, legacy);
	usleep(100 * 1000);
	if (killed)
		kill(reader, SIGKILL);
	pthread_join(thread, &ret);
	if ((intptr_t)ret != -EIO)
		die("a read whose reader %s: %ld",
		    killed ? "was killed" : "hung", (long)(intptr_t)ret);
	read_all(legacy, killed ? "after a death" : "after a hang");
}

/* What the two have open: sockets and the image; the keeper, its reader. */
static void test_descriptors(void)
{
	pid_t keeper = child_of(getpid());

	if (run("test $(ls /proc/%d/fd | wc -l) = 4", keeper))
		die("the keeper's descriptors");
	if (run("test $(ls /proc/%d/fd | wc -l) = 2", child_of(keeper)))
		die("the reader's descriptors");
	if (run("grep -q '^NoNewPrivs:.1' /proc/%d/status", child_of(keeper)))
		die("the reader is not in its jail");
}

static void test_deaths(void)
{
	struct legacy *legacy;
	struct file file;

	make_image("-f raw -c -O qcow");
	legacy = open_legacy("deaths", NULL, QCOW_CACHE_NONE, &file);
	test_descriptors();
	test_reader_death(legacy, true);
	test_reader_death(legacy, true);
	/* one that dies with nothing to do is not missed */
	kill(child_of(child_of(getpid())), SIGKILL);
	usleep(500 * 1000);
	read_all(legacy, "after a quiet death");
	test_reader_death(legacy, false);
	legacy_close(legacy);
	if (child_of(getpid()))
		die("a keeper outlives its image");
	file_close(&file);
}

static bool is_gone(pid_t pid)
{
	for (int n = 0; n < 100; n++) {
		/* nobody may have come for a zombie */
		if (run("grep -q '^State:.[^Z]' /proc/%d/status 2>/dev/null",
			pid))
			return true;
		usleep(50 * 1000);
	}
	return false;
}

/* Its processes do not outlive a server that is killed. */
static void test_server_death(void)
{
	pid_t server = fork(), keeper = 0, reader = 0;

	if (!server) {
		struct file file;

		open_legacy("server", NULL, QCOW_CACHE_NONE, &file);
		for (;;)
			pause();
	}
	for (int n = 0; n < 100 && !reader; n++) {
		usleep(50 * 1000);
		keeper = child_of(server);
		reader = keeper ? child_of(keeper) : 0;
	}
	usleep(300 * 1000);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	if (!reader || !is_gone(keeper) || !is_gone(reader))
		die("processes outlive their server");
}

int main(int argc, char **argv)
{
	struct random random = {
		.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
	};

	make_raw(&random);
	test_formats();
	test_wrong_key();
	test_gate();
	test_mutants("-f raw -O qcow", &random);
	test_mutants("-f raw -c -O qcow", &random);
	test_deaths();
	test_server_death();
	return 0;
}
