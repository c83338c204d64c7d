// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * New overlays.  qemu-img finds no fault in them, tells the same of them as of
 * its own overlays, and reads the files under them.  A death at any step leaves
 * either no file or the whole image.  No existing file is ever replaced.  The
 * engine knows an overlay again to which nobody has written, and no other one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "qcow/bits.h"
#include "qcow/create.h"
#include "tests/lib/helpers.h"
#include "tests/lib/model.h"

/* ---- deaths: the calls that make and name the file, counted ---- */

static int calls, last_call = -1; /* the process dies before that one */

static void count_call(void)
{
	if (calls++ == last_call)
		_exit(9);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	count_call();
	return __real_fsync(fd);
}

int __real_linkat(int from, const char *old, int to, const char *new,
		  int flags);
int __wrap_linkat(int from, const char *old, int to, const char *new,
		  int flags);
int __wrap_linkat(int from, const char *old, int to, const char *new, int flags)
{
	count_call();
	return __real_linkat(from, old, to, new, flags);
}

/* ---- like qemu-img's ---- */

struct kind {
	const char *backing; /* commands that make $b */
	const char *format;
	const char *size; /* of the overlay, as qemu-img wants it */
	uint64_t bytes;
	uint32_t cluster_size; /* asked for */
	uint32_t expected;
};

static const struct kind kinds[] = {
	{ "qemu-img create -q -f qcow2 $b 10M", "qcow2", "10M", 10 << 20, 0,
	  65536 },
	{ "qemu-img create -q -f qcow2 -o cluster_size=2M $b 10M", "qcow2",
	  "10M", 10 << 20, 0, 2 << 20 },
	{ "qemu-img create -q -f qcow2 -o cluster_size=512 $b 1M", "qcow2",
	  "1M", 1 << 20, 0, 4096 },
	{ "qemu-img create -q -f qcow2 $b 1M", "qcow2", "1M", 1 << 20, 512,
	  512 },
	{ "qemu-img create -q -f raw $b 10M", "raw", "10M", 10 << 20, 0,
	  65536 },
	{ "qemu-img create -q -f raw $b 4T", "raw", "4T", 4ull << 40, 4096,
	  4096 },
	{ "qemu-img create -q -f raw $b 3G", "raw", "1000000000K",
	  1000000000ull << 10, 65536, 65536 },
	{ "qemu-img create -q -f raw $b 1M", "raw", "128G", 128ull << 30, 512,
	  512 },
};

static void must_create(const char *path, const struct qcow_overlay *overlay)
{
	struct qcow_error error = { "" };

	if (qcow_create_overlay(path, overlay, &error))
		die("%s: %s", path, error.text);
}

/* Apart from the names, qemu-img tells the same of both. */
static void compare_info(const char *ours, const char *theirs)
{
	must_run("for i in %s %s; do qemu-img info $i | "
		 "grep -v -e '^image:' -e '^disk size:' >$i.info; done",
		 ours, theirs);
	must_run("diff %s.info %s.info", ours, theirs);
}

static void test_kind(const struct kind *kind)
{
	char *backing = scratch_path("base"), *path = scratch_path("ours");
	char *theirs = scratch_path("theirs");
	struct qcow_overlay overlay = {
		.backing = backing,
		.format = kind->format,
		.size = kind->bytes,
		.cluster_size = kind->cluster_size,
	};
	struct qcow_error error = { "" };
	struct qcow_info info;

	must_run("rm -f %s %s %s; b=%s; %s", path, theirs, backing, backing,
		 kind->backing);
	must_run("chmod 640 %s", backing);
	must_create(path, &overlay);
	must_run(
		"qemu-img create -q -f qcow2 -o cluster_size=%u -F %s -b base %s %s",
		kind->expected, kind->format, theirs, kind->size);
	must_run("qemu-img check -q %s", path);
	compare_info(path, theirs);
	must_run("test $(stat -c %%a:%%s %s) = 640:$(stat -c %%s %s)", path,
		 path);
	if (qcow_read_info(path, &info, &error))
		die("%s: %s", path, error.text);
	if (info.size != kind->bytes || info.version != 3 ||
	    strcmp(info.backing, "base"))
		die("%s: another image was asked for", kind->backing);
	free(backing);
	free(path);
	free(theirs);
}

/* Random operations on it, over bytes. */
static void test_use(struct random *random)
{
	char *backing = scratch_path("base"), *path = scratch_path("ours");
	struct qcow_overlay overlay = {
		.backing = backing,
		.format = "raw",
		.size = 3 << 20,
		.cluster_size = 4096,
	};
	uint8_t *model = malloc(overlay.size);

	for (uint64_t i = 0; i < overlay.size; i++)
		model[i] = random_next(random);
	write_file(backing, model, overlay.size);
	must_run("rm -f %s", path);
	must_create(path, &overlay);
	model_run(path, QCOW_CACHE_WRITEBACK, model, 100, random,
		  "new overlay");
	free(backing);
	free(path);
}

/* ---- names ---- */

static void expect_name(const char *path, const char *backing, const char *name,
			const char *expected)
{
	struct qcow_overlay overlay = {
		.backing = backing,
		.name = name,
		.format = "raw",
		.size = 1 << 20,
	};
	struct qcow_error error = { "" };
	struct qcow_info info;

	must_run("rm -f %s", path);
	must_create(path, &overlay);
	if (qcow_read_info(path, &info, &error))
		die("%s: %s", path, error.text);
	if (strcmp(info.backing, expected))
		die("%s over %s: names it %s and not %s", path, backing,
		    info.backing, expected);
	must_run("qemu-img check -q %s", path);
}

static void test_names(void)
{
	char *base = scratch_path("base"), *colon = scratch_path("a:b");
	char *path = scratch_path("ours"), *other = scratch_path("other/ours");

	must_run("mkdir %s/other && : >%s && : >%s", scratch(), base, colon);
	expect_name(path, base, NULL, "base");
	expect_name(other, base, NULL, base);
	expect_name(path, colon, NULL, colon);
	expect_name(path, base, "./base", "./base");
	/* Relative ones. */
	if (chdir(scratch()))
		die("chdir");
	expect_name("ours", "base", NULL, "base");
	expect_name("ours", "./base", NULL, "base");
	expect_name("other/ours", "base", NULL, base);
	free(base);
	free(colon);
	free(path);
	free(other);
}

/* ---- as it was made ---- */

static bool is_new(const char *path, const char *name, uint64_t size)
{
	const struct qcow_overlay overlay = { .name = name, .format = "raw" };
	uint64_t found;

	return qcow_is_new_overlay(path, &overlay, &found) && found == size;
}

static void expect_used(const char *path, const char *command)
{
	must_run("cp %s %s.used && f=%s.used && %s", path, path, path, command);
	must_run("mv %s.used %s", path, path);
	if (is_new(path, "base", 3 << 20))
		die("not as it was made: %s", command);
}

/* An open without a write changes nothing. */
static void open_and_close(const char *path, bool write)
{
	struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.journal_dir = scratch(),
	};
	uint8_t sector[512] = { 1 };
	struct qcow_error error = { "" };
	struct qcow_image *image;

	if (qcow_open(path, &options, &image, &error))
		die("%s: %s", path, error.text);
	if (write && qcow_write(image, sector, 0, sizeof(sector)))
		die("%s: cannot be written", path);
	if (qcow_close(image))
		die("%s: cannot be closed", path);
}

static const char *const uses[] = {
	"qemu-io -c 'write 0 512' $f >/dev/null",
	"qemu-img bitmap --add $f map",
	"qemu-img snapshot -c one $f",
	"qemu-img rebase -u -F raw -b other $f",
	"qemu-img rebase -u -F qcow2 -b base $f",
	"qemu-img resize -q $f 4M",
	"truncate -s -1 $f",
	"truncate -s +1 $f",
	"truncate -s 0 $f",
	"printf x | dd of=$f bs=1 seek=700 conv=notrunc status=none",
	/* the last byte of the L1 table */
	("printf x | dd of=$f bs=1 seek=$(($(stat -c %s $f) - 1)) conv=notrunc "
	 "status=none"),
};

static void test_as_made(void)
{
	char *base = scratch_path("base"), *path = scratch_path("ours");
	struct qcow_overlay overlay = {
		.backing = base,
		.format = "raw",
		.size = 3 << 20,
		.cluster_size = 4096,
	};

	must_run("rm -f %s && truncate -s 3M %s", path, base);
	must_create(path, &overlay);
	open_and_close(path, false);
	if (!is_new(path, "base", 3 << 20))
		die("it is as it was made");
	if (is_new(path, base, 3 << 20) || is_new(base, "base", 3 << 20))
		die("it is of another file");
	for (unsigned int i = 0; i < ARRAY_SIZE(uses); i++) {
		must_run("rm -f %s", path);
		must_create(path, &overlay);
		expect_used(path, uses[i]);
	}
	must_run("rm -f %s", path);
	must_create(path, &overlay);
	open_and_close(path, true);
	if (is_new(path, "base", 3 << 20))
		die("it has been written to");
	must_run("rm -f %s", path);
	free(base);
	free(path);
}

/* ---- refusals ---- */

static void expect_refusal(const struct qcow_overlay *overlay, int error)
{
	char *path = scratch_path("refused");
	struct qcow_error why = { "" };
	int ret = qcow_create_overlay(path, overlay, &why);

	if (ret != error || !why.text[0])
		die("refused with %s (%s) and not %s", strerror(-ret), why.text,
		    strerror(-error));
	if (!access(path, F_OK))
		die("a refused overlay is there");
	free(path);
}

struct refusal {
	const char *format;
	uint64_t size;
	uint32_t cluster_size;
	int error;
};

static const struct refusal refusals[] = {
	{ "", 1 << 20, 0, -EINVAL },
	{ "vmdk", 1 << 20, 0, -ENOTSUP },
	{ "qcow2", 1 << 20, 0, -EINVAL }, /* it is none */
	{ "raw", 0, 0, -EINVAL },
	{ "raw", 513, 0, -EINVAL },
	{ "raw", 1 << 20, 1000, -EINVAL },
	{ "raw", 1 << 20, 4 << 20, -EINVAL },
	{ "raw", 1ull << 40, 512, -EFBIG },
};

static void test_refusals(void)
{
	char *base = scratch_path("base");
	struct qcow_overlay overlay = { .backing = base };
	char name[2000];

	must_run("yes | head -c 1048576 >%s", base);
	for (unsigned int r = 0; r < ARRAY_SIZE(refusals); r++) {
		overlay.format = refusals[r].format;
		overlay.size = refusals[r].size;
		overlay.cluster_size = refusals[r].cluster_size;
		expect_refusal(&overlay, refusals[r].error);
	}
	overlay.size = 1 << 20;
	overlay.cluster_size = 0;
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	overlay.name = name;
	expect_refusal(&overlay, -ENAMETOOLONG);
	overlay.name = NULL;
	must_run("rm %s", base);
	expect_refusal(&overlay, -ENOENT);
	free(base);
}

/* P4: an existing file stays. */
static void test_existing(void)
{
	char *base = scratch_path("base"), *path = scratch_path("ours");
	struct qcow_overlay overlay = {
		.backing = base,
		.format = "raw",
		.size = 1 << 20,
	};
	struct qcow_error error = { "" };

	must_run("rm -f %s && echo mine >%s && : >%s", path, path, base);
	if (qcow_create_overlay(path, &overlay, &error) != -EEXIST)
		die("an existing file is no reason: %s", error.text);
	must_run("test $(cat %s) = mine", path);
	must_run("rm %s && ln -s nowhere %s", path, path);
	if (qcow_create_overlay(path, &overlay, &error) != -EEXIST)
		die("an existing link is no reason: %s", error.text);
	must_run("rm %s", path);
	free(base);
	free(path);
}

/* ---- deaths ---- */

static bool dies_at(const char *path, const struct qcow_overlay *overlay, int n)
{
	pid_t child = fork();
	int status;

	if (child)
		return waitpid(child, &status, 0) != child ||
		       WEXITSTATUS(status) == 9;
	calls = 0;
	last_call = n;
	_exit(qcow_create_overlay(path, overlay, NULL) ? 1 : 0);
}

static void test_deaths(void)
{
	char *directory = scratch_path("deaths");
	char *path = scratch_path("deaths/ours"), *base = scratch_path("base");
	struct qcow_overlay overlay = {
		.backing = base,
		.format = "raw",
		.size = 1 << 20,
	};
	int n = 0;

	must_run("mkdir %s", directory);
	while (dies_at(path, &overlay, n++)) {
		if (access(path, F_OK))
			must_run("rmdir %s && mkdir %s", directory, directory);
		else
			must_run("qemu-img check -q %s && rm %s", path, path);
	}
	if (n != 4)
		die("%d calls before the image is durable, 3 are known", n - 1);
	must_run("qemu-img check -q %s", path);
	free(directory);
	free(path);
	free(base);
}

int main(void)
{
	struct random random = { .state = 1 };

	for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++)
		test_kind(&kinds[k]);
	test_use(&random);
	test_names();
	test_as_made();
	test_refusals();
	test_existing();
	test_deaths();
	return 0;
}
