// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: the input is a file of disks.d.
 *
 * A file is refused with one line that names it, or gives a disk whose values
 * are all in their ranges.  Another image for such a disk is written into the
 * file, and then the file gives that image, and all else as before.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "memory.h"
#include "plugin/common/conf.h"
#include "plugin/common/owner.h"
#include "plugin/common/process.h"
#include "tests/lib/helpers.h"

#define OTHER_IMAGE "/srv/the other image"

static char *path;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	path = scratch_path("disk.conf");
	setenv("UBLK_QCOW2_DISKS", scratch(), 1);
	setenv("UBLK_QCOW2_RUN_DISKS", "/nonexistent", 1);
	return 0;
}

/* Nobody else changes a file here. */
int owner_lock(const char *name, int milliseconds, int *lock)
{
	(void)name, (void)milliseconds;
	*lock = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return *lock < 0 ? -errno : 0;
}

/* The look for other files that name an image has children; it is not made. */

void process_mute(void)
{
	abort();
}

int job_start(struct job *job, job_fn *work, const void *argument, bool mortal)
{
	(void)job, (void)work, (void)argument, (void)mortal;
	abort();
}

bool process_wait(int pidfd, int milliseconds)
{
	(void)pidfd, (void)milliseconds;
	abort();
}

int job_finish(struct job *job, char text[JOB_TEXT_MAX])
{
	(void)job, (void)text;
	abort();
}

void job_abandon(struct job *job)
{
	(void)job;
	abort();
}

static void expect(bool holds, const char *what)
{
	if (!holds)
		memory_complain(what);
}

static void check_line(const char *text)
{
	expect(!strncmp(text, path, strlen(path)), "the file is not named");
	expect(!strchr(text, '\n'), "more than a line");
}

static bool is_path(const char *text)
{
	return *text == '/' || !*text;
}

static void check_values(const struct conf *conf)
{
	const struct disk_options *options = &conf->request.options;

	expect(*conf->image == '/', "the image is no path");
	expect(conf->request.id >= -1 && conf->request.id <= DISK_ID_MAX,
	       "the number is out of range");
	expect(options->queues && options->depth &&
		       options->depth <= DISK_DEPTH_MAX && options->workers,
	       "a count is out of range");
	expect(is_path(options->key_file) && is_path(options->data_file),
	       "a file is no path");
}

static void change_image(const struct conf *before)
{
	char text[CONF_TEXT_MAX] = "";
	struct conf after;

	expect(!conf_change_image("disk", before->image, OTHER_IMAGE, text),
	       text);
	expect(!conf_find("disk", &after, text), text);
	expect(!strcmp(after.image, OTHER_IMAGE), "another image than wanted");
	expect(after.request.id == before->request.id &&
		       !memcmp(&after.request.options, &before->request.options,
			       sizeof(after.request.options)),
	       "more than the image is another");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char text[CONF_TEXT_MAX] = "";
	struct conf conf;
	int ret;

	write_file(path, bytes, size);
	ret = conf_find("disk", &conf, text);
	if (ret) {
		expect(ret == -EINVAL, "not the file's fault");
		check_line(text);
		return 0;
	}
	check_values(&conf);
	change_image(&conf);
	return 0;
}
