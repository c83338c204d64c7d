// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Legacy images as qemu-img makes them.  Each image is read whole through the
 * reader process, and compared with the bytes that went in.  Then each process
 * behind an image dies (legacy-deaths.c).
 *
 * usage: legacy [SEED]
 */
#include <errno.h>
#include <fcntl.h>
#include <libqcow.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "tests/engine/legacy.h"
#include "qcow/filter.h"
#include "qcow/image.h"

struct legacy_images images;

/* Libqcow's function, in a reader.  Whatever the image makes of the reader, the
   reader opens no other file, and makes no call that is none of its task. */
int __real_libqcow_file_open(libqcow_file_t *file, const char *path, int flags,
			     libqcow_error_t **error);
int __wrap_libqcow_file_open(libqcow_file_t *file, const char *path, int flags,
			     libqcow_error_t **error);

static bool has_landlock;

static void find_landlock(void)
{
	has_landlock = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

static bool is_refused(long ret)
{
	return ret < 0 && errno == ENOSYS;
}

/* The right to read all files would do it past their names. */
static bool makes_calls(void)
{
	return !is_refused(syscall(SYS_open_by_handle_at, -1, NULL, 0)) ||
	       !is_refused(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0)) ||
	       !is_refused(syscall(SYS_unshare, CLONE_NEWUSER)) ||
	       !is_refused(syscall(SYS_io_uring_setup, 1, NULL));
}

static bool gets_at_others(void)
{
	return open(images.key_path, O_RDONLY) >= 0 ||
	       open(images.raw_path, O_WRONLY) >= 0 || open("/", O_RDONLY) >= 0;
}

int __wrap_libqcow_file_open(libqcow_file_t *file, const char *path, int flags,
			     libqcow_error_t **error)
{
	if (has_landlock && gets_at_others())
		return -1;
	if (FILTER_ARCH && makes_calls())
		return -1;
	return __real_libqcow_file_open(file, path, flags, error);
}

void read_all(struct legacy *legacy, const char *what)
{
	uint8_t *bytes = malloc(LEGACY_SIZE);
	int ret = legacy_read(legacy, bytes, 0, LEGACY_SIZE);

	if (legacy_size(legacy) != LEGACY_SIZE)
		die("%s: size %lu", what, legacy_size(legacy));
	if (ret || memcmp(bytes, images.raw, LEGACY_SIZE))
		die("%s: %s", what, ret ? strerror(-ret) : "wrong data");
	if (!legacy_read(legacy, bytes, LEGACY_SIZE - 512, 1024))
		die("%s: read past its end", what);
	free(bytes);
}

static void test_read(const char *options, const char *key)
{
	for (int cache = 0; cache < 2; cache++) {
		struct legacy *legacy;
		struct file file;

		images_make(&images, options);
		legacy = images_open(&images, options, key, cache, &file);
		read_all(legacy, options);
		legacy_close(legacy);
		file_close(&file);
	}
}

static void test_formats(void)
{
	test_read("-f raw -O qcow", NULL);
	test_read("-f raw -O qcow", images.key_path);
	test_read("-f raw -c -O qcow", NULL);
	test_read(SECRET " -f raw -O qcow -o " AES, images.key_path);
	test_read(SECRET " -f raw -O qcow2 -o compat=0.10," AES,
		  images.key_path);
	test_read(SECRET
		  " -f raw -O qcow2 -o compat=0.10,cluster_size=512," AES,
		  images.key_path);
}

static void *read_all_thread(void *legacy)
{
	read_all(legacy, "thread");
	return NULL;
}

static void test_threads(void)
{
	pthread_t threads[4];
	struct legacy *legacy;
	struct file file;

	images_make(&images, "-f raw -c -O qcow");
	legacy = images_open(&images, "threads", NULL, QCOW_CACHE_NONE, &file);
	for (unsigned int i = 0; i < ARRAY_SIZE(threads); i++)
		if (pthread_create(&threads[i], NULL, read_all_thread, legacy))
			die("cannot start a thread");
	for (unsigned int i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	legacy_close(legacy);
	file_close(&file);
}

/* A write into a compressed cluster moves that cluster to a place of its
   own. */
static void test_overwritten(void)
{
	const size_t at = 2 * 65536 + 1024;
	uint8_t before[512];
	struct legacy *legacy;
	struct file file;

	images_make(&images, "-f raw -c -O qcow");
	must_run("qemu-io -f qcow -c 'write -q -P 7 %zu 512' %s", at,
		 images.image_path);
	memcpy(before, images.raw + at, sizeof(before));
	memset(images.raw + at, 7, sizeof(before));
	legacy = images_open(&images, "overwritten", NULL, QCOW_CACHE_NONE,
			     &file);
	read_all(legacy, "overwritten");
	memcpy(images.raw + at, before, sizeof(before));
	legacy_close(legacy);
	file_close(&file);
}

/* Does the sector hold one byte over and over? */
static void expect(struct legacy *legacy, uint64_t offset, uint8_t byte)
{
	uint8_t sector[512];
	int ret = legacy_read(legacy, sector, offset, sizeof(sector));

	for (unsigned int i = 0; i < sizeof(sector) && !ret; i++)
		if (sector[i] != byte)
			ret = -EINVAL;
	if (ret)
		die("sparse: sector at %lu: %s", offset, strerror(-ret));
}

/* A large disk with little in it. */
static void test_sparse(void)
{
	struct legacy *legacy;
	struct file file;

	must_run("rm %s; qemu-img create -q -f qcow %s 40G", images.image_path,
		 images.image_path);
	must_run(
		"qemu-io -f qcow -c 'write -q -P 1 39G 64k' -c 'write -q -P 2 5G 512' %s",
		images.image_path);
	legacy = images_open(&images, "sparse", NULL, QCOW_CACHE_NONE, &file);
	expect(legacy, 39ull << 30, 1);
	expect(legacy, (39ull << 30) + 65536 - 512, 1);
	expect(legacy, (39ull << 30) + 65536, 0);
	expect(legacy, 5ull << 30, 2);
	expect(legacy, (5ull << 30) + 512, 0);
	expect(legacy, (40ull << 30) - 512, 0);
	legacy_close(legacy);
	file_close(&file);
}

/* Nobody can tell that a key is wrong, but a wrong key must do no more harm
   than that. */
static void test_wrong_key(void)
{
	uint8_t bytes[512];
	struct legacy *legacy;
	struct file file;

	images_make(&images, SECRET " -f raw -O qcow -o " AES);
	images_write_key(&images, "wrong");
	legacy = images_open(&images, "wrong key", images.key_path,
			     QCOW_CACHE_NONE, &file);
	if (legacy_read(legacy, bytes, 65536, 512) ||
	    !memcmp(bytes, images.raw + 65536, 512))
		die("wrong key: not noise");
	legacy_close(legacy);
	file_close(&file);
	images_write_key(&images, LEGACY_KEY "\n");
}

/* Opens the whole image.  With a text, the image must be refused in these
   words. */
static void open_whole(const char *path, bool read_only, const char *key_file,
		       const char *text)
{
	const struct qcow_options options = {
		.read_only = read_only,
		.journal_dir = scratch(),
		.key_file = key_file,
	};
	struct qcow_error error = { "" };
	uint8_t *bytes = malloc(LEGACY_SIZE);
	struct qcow_image *image;
	int ret = qcow_open(path, &options, &image, &error);

	if (!ret && (qcow_read(image, bytes, 0, LEGACY_SIZE) ||
		     memcmp(bytes, images.raw, LEGACY_SIZE)))
		die("%s: wrong data", path);
	if (!ret != !text || (text && !strstr(error.text, text)))
		die("%s: %s", path, ret ? error.text : "opened");
	if (!ret && qcow_close(image))
		die("%s: close", path);
	free(bytes);
}

/* The key is for any layer that needs one, and is refused if none does. */
static void test_keys(const char *format, const char *options)
{
	char *overlay = scratch_path("overlay");
	const char *image = images.image_path;

	images_make(&images, options);
	open_whole(image, true, images.key_path, NULL);
	open_whole(image, true, NULL, "--key-file");
	must_run("rm -f %s; qemu-img create -q -u -f qcow2 -b %s -F %s %s %u",
		 overlay, image, format, overlay, LEGACY_SIZE);
	open_whole(overlay, false, images.key_path, NULL);
	open_whole(overlay, false, NULL, "--key-file");
	free(overlay);
}

static void test_no_key_needed(const char *options)
{
	images_make(&images, options);
	open_whole(images.image_path, true, NULL, NULL);
	open_whole(images.image_path, true, images.key_path,
		   "leave out --key-file");
}

int main(int argc, char **argv)
{
	struct random random = {
		.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
	};

	find_landlock();
	images_create(&images, &random);
	test_formats();
	test_threads();
	test_overwritten();
	test_sparse();
	test_wrong_key();
	test_keys("qcow", SECRET " -f raw -O qcow -o " AES);
	test_keys("qcow2", SECRET " -f raw -O qcow2 -o compat=0.10," AES);
	test_no_key_needed("-f raw -O qcow");
	test_no_key_needed("-f raw -O qcow2");
	test_deaths();
	test_server_death();
	return 0;
}
