// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Compressed clusters are unpacked into slots, with streams.  A slot and a
 * stream belong to one reader until its read has ended.
 *
 * While a cluster's packed bytes are on their way, others are read: as many as
 * there are slots, or the same cluster by a second thread.  Each finds its own
 * bytes, then and later.  A cluster that cannot be unpacked is no cluster the
 * next time, either; nor is one after its bytes were given back.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"
#include "qcow/compress.h"
#include "qcow/image.h"

#define CLUSTER	  65536u
#define CLUSTERS  40u
#define SLOTS	  16u  /* that the engine has for clusters of this size */
#define BEGINNING 8u   /* of packed bytes, without which nothing unpacks them */
#define PATIENCE  300u /* milliseconds */

static struct disk disk;
static struct qcow_test_hooks hooks;
static struct qcow_image *image;
static struct compressed place; /* where a read is met */
static void (*on_packed)(void);

/* When the bytes are there. */
static int read_and_meet(void *opaque, void *buffer, uint64_t offset,
			 size_t length)
{
	void (*meet)(void) = on_packed;
	int ret = disk.hooks.ops->read(opaque, buffer, offset, length);

	if (meet && offset <= place.offset && place.offset < offset + length) {
		on_packed = NULL;
		meet();
	}
	return ret;
}

/* Each cluster has its number in every word. */
static void make_image(const char *path)
{
	char *raw = scratch_path("raw");
	uint32_t *words = malloc(CLUSTERS * CLUSTER);

	for (unsigned int i = 0; i < CLUSTERS * CLUSTER / 4; i++)
		words[i] = i / (CLUSTER / 4) + 1;
	write_file(raw, words, CLUSTERS * CLUSTER);
	must_run("qemu-img convert -f raw -O qcow2 -c %s %s", raw, path);
	free(words);
	free(raw);
}

static void open_image(void)
{
	static struct qcow_file_ops ops;
	char *path = scratch_path("image");
	struct qcow_options options = {
		.journal_dir = scratch(),
		.inline_checkpoint = true,
		.test = &hooks,
	};
	struct qcow_error error = { "" };

	make_image(path);
	disk_load(&disk, path);
	ops = *disk.hooks.ops;
	ops.read = read_and_meet;
	hooks = disk.hooks;
	hooks.ops = &ops;
	if (qcow_open(path, &options, &image, &error))
		die("open: %s", error.text);
	free(path);
}

static int read_cluster(unsigned int cluster, uint32_t *words)
{
	return qcow_read(image, words, (uint64_t)cluster * CLUSTER, CLUSTER);
}

static void expect(const char *when, unsigned int cluster)
{
	uint32_t *words = aligned_alloc(4096, CLUSTER);

	if (read_cluster(cluster, words))
		die("%s: cluster %u cannot be read", when, cluster);
	for (unsigned int i = 0; i < CLUSTER / 4; i++)
		if (words[i] != cluster + 1)
			die("%s: cluster %u holds %u", when, cluster,
			    words[i] - 1);
	free(words);
}

static void expect_error(const char *when, unsigned int cluster)
{
	uint32_t *words = aligned_alloc(4096, CLUSTER);

	if (read_cluster(cluster, words) != -EIO)
		die("%s: cluster %u can be read", when, cluster);
	free(words);
}

static struct compressed place_of(unsigned int cluster)
{
	uint64_t l1 = load_be64(disk.bytes + HEADER_L1_OFFSET);
	uint64_t l2 = load_be64(disk.bytes + l1) & ENTRY_OFFSET;
	uint64_t entry = load_be64(disk.bytes + l2 + 8 * cluster);
	struct compressed where;

	if (!(entry & ENTRY_COMPRESSED))
		die("cluster %u is not compressed", cluster);
	compress_locate(entry, image->geometry.cluster_bits, &where);
	return where;
}

/* ---- a slot, and a stream ---- */

static void read_many(void)
{
	for (unsigned int i = 1; i <= SLOTS; i++)
		expect("meanwhile", i);
}

static void test_slot(void)
{
	expect("before", CLUSTERS - 1); /* the table is in the cache */
	place = place_of(0);
	on_packed = read_many;
	expect("a read in the middle of which others are made", 0);
	if (on_packed)
		die("its packed bytes are not read");
	for (unsigned int i = SLOTS; i; i--)
		expect("afterwards", i);
	expect("afterwards", 0);
}

/* ---- two readers ---- */

static pthread_t second;
static atomic_bool has_begun, has_ended;

static void *read_too(void *unused)
{
	(void)unused;
	has_begun = true;
	expect("a second reader", SLOTS + 1);
	has_ended = true;
	return NULL;
}

/* The second one has to wait for the first, so it is given some time. */
static void start_second(void)
{
	if (pthread_create(&second, NULL, read_too, NULL))
		die("cannot start a thread");
	while (!has_begun)
		usleep(1000);
	for (unsigned int i = 0; i < PATIENCE && !has_ended; i++)
		usleep(1000);
}

static void test_second(void)
{
	place = place_of(SLOTS + 1);
	on_packed = start_second;
	expect("a first reader", SLOTS + 1);
	pthread_join(second, NULL);
}

/* ---- broken and forgotten clusters ---- */

static void test_broken(void)
{
	struct compressed where = place_of(SLOTS + 2);

	memset(disk.bytes + where.offset, 0, BEGINNING);
	expect_error("broken", SLOTS + 2);
	expect_error("broken, once more", SLOTS + 2);
}

static void test_forgotten(void)
{
	struct compressed where = place_of(SLOTS + 3);

	expect("kept", SLOTS + 3);
	memset(disk.bytes + where.offset, 0, BEGINNING);
	expect("still kept", SLOTS + 3);
	unpacker_forget(image->unpacker, where.first, where.count);
	expect_error("forgotten", SLOTS + 3);
}

int main(void)
{
	open_image();
	test_slot();
	test_second();
	test_broken();
	test_forgotten();
	if (qcow_close(image))
		die("the close fails");
	disk_free(&disk);
	return 0;
}
