// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A child in a jail closes an image in the stead of the dead server.  The child
 * replays the journal, and its words get into the log.
 *
 * The journal is where all journals are, on a tmpfs of the test's own.
 */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/supervisor/teardown.h"
#include "tests/lib/helpers.h"
#include "tests/lib/jailed.h"

#define SKIPPED 77
#define LENGTH	4096

static pid_t tester;
static char *image, *base;
static char logged[4096];

/* ---- the engine's, in the child ---- */

int __real_qcow_open(const char *path, const struct qcow_options *options,
		     struct qcow_image **image, struct qcow_error *error);
int __wrap_qcow_open(const char *path, const struct qcow_options *options,
		     struct qcow_image **image, struct qcow_error *error);

static void expect(bool holds, const char *what)
{
	if (!holds)
		die("%s", what);
}

int __wrap_qcow_open(const char *path, const struct qcow_options *options,
		     struct qcow_image **result, struct qcow_error *error)
{
	expect_jail(tester, base);
	options->notice(options->opaque, "a word of the engine's");
	return __real_qcow_open(path, options, result, error);
}

void __wrap_log_line(int priority, const char *format, ...);
void __wrap_log_line(int priority, const char *format, ...)
{
	va_list args;

	(void)priority;
	va_start(args, format);
	vsnprintf(logged, sizeof(logged), format, args);
	va_end(args);
}

/* ---- a disk whose server is dead ---- */

static void serve_and_die(void)
{
	const struct qcow_options options = { .cache = QCOW_CACHE_WRITEBACK };
	struct qcow_image *served;
	struct qcow_error error;
	char bytes[LENGTH];

	memset(bytes, 'x', sizeof(bytes));
	if (__real_qcow_open(image, &options, &served, &error))
		die("%s", error.text);
	if (qcow_write(served, bytes, 0, sizeof(bytes)))
		die("cannot write");
	_exit(0);
}

static void kill_a_server(void)
{
	pid_t child = fork();
	int status;

	if (!child)
		serve_and_die();
	if (waitpid(child, &status, 0) != child || status)
		die("the server has not served");
}

static bool has_journal(void)
{
	return !run("ls " QCOW_JOURNAL_DIR "/*.journal >/dev/null 2>&1");
}

static void make_image(void)
{
	must_run("qemu-img create -q -f raw %s 1M", base);
	must_run("qemu-img create -q -f qcow2 -b %s -F raw %s 1M", base, image);
	/* As libvirt leaves it. */
	must_run("chown 1000:1000 %s && chmod 600 %s", image, image);
}

static void find_layers(struct disk *disk, struct layers *layers)
{
	struct qcow_layer layer = { .path = base };

	snprintf(disk->image, sizeof(disk->image), "%s", image);
	if (qcow_identify_path(image, &disk->identity) ||
	    qcow_identify_path(base, &layer.identity))
		die("no image");
	layers->known = true;
	if (layers_append(layers, &layer))
		die("no layer");
}

/* ---- the cases ---- */

static void test_closing(bool known)
{
	struct layers layers = { .known = false };
	struct disk disk = { .id = 0, .options = DISK_OPTIONS_DEFAULT };
	char text[JOB_TEXT_MAX] = "";

	make_image();
	find_layers(&disk, &layers);
	if (!known)
		layers_clear(&layers);
	kill_a_server();
	expect(has_journal(), "no journal");
	*logged = '\0';
	if (teardown_close_image(&disk, &layers, false, false, false, text))
		die("%s", text);
	expect(!has_journal(), "its journal stays");
	expect(!strcmp(logged, "a word of the engine's"), "nobody is told");
	must_run("qemu-img check -q %s", image);
	must_run("qemu-io -r -c 'read -q -P 0x78 0 4096' %s", image);
	layers_clear(&layers);
}

static void test_another(void)
{
	struct layers layers = { .known = false };
	struct disk disk = { .id = 0, .options = DISK_OPTIONS_DEFAULT };
	char text[JOB_TEXT_MAX] = "";

	make_image();
	find_layers(&disk, &layers);
	kill_a_server();
	must_run("cp %s %s.new && mv %s.new %s", image, image, image, image);
	expect(teardown_close_image(&disk, &layers, false, false, false, text),
	       "another image is closed");
	expect(strstr(text, "could not be closed cleanly: "), text);
	expect(has_journal(), "its journal is gone");
	/* Only an admin gives it up. */
	expect(!teardown_close_image(&disk, &layers, false, false, true, text),
	       text);
	expect(!has_journal(), "its journal is not given up");
	layers_clear(&layers);
}

/* An image that is there, and cannot be opened, is not given up.  The record is
   of a time when its birth was not known. */
static void test_broken(void)
{
	struct layers layers = { .known = false };
	struct disk disk = { .id = 0, .options = DISK_OPTIONS_DEFAULT };
	char text[JOB_TEXT_MAX] = "";

	make_image();
	find_layers(&disk, &layers);
	disk.identity.birth = 0;
	kill_a_server();
	must_run("printf X | dd of=%s conv=notrunc status=none", image);
	expect(teardown_close_image(&disk, &layers, false, false, true, text),
	       "a broken image is closed");
	expect(has_journal(), "the journal of a broken image is given up");
	layers_clear(&layers);
}

int main(void)
{
	if (geteuid())
		return SKIPPED;
	mkdir(QCOW_JOURNAL_DIR, 0755);
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("journals", QCOW_JOURNAL_DIR, "tmpfs", 0, "size=16m"))
		return SKIPPED;
	tester = getpid();
	image = scratch_path("image.qcow2");
	base = scratch_path("base");
	test_closing(true);
	test_closing(false);
	test_another();
	test_broken();
	return 0;
}
