// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The steps of a server that an image has taken over, and that asks its clerk
 * for more than the image could.  Nothing of this is in a program that is
 * installed.
 */
#ifdef TEST_FAULTS

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include "plugin/server/owned.h"
#include "qcow/names.h"

#define RECORDS QCOW_JOURNAL_DIR "/lock" /* of all disks */

static const struct qcow_names *names;
static const char *image;

static int clerk_open(const char *path, int flags)
{
	int fd = names->open(names->opaque, path, flags);

	return fd < 0 ? fd : 0;
}

static int clerk_open_host_file(void)
{
	return clerk_open("/etc/passwd", O_RDONLY);
}

static int clerk_open_control(void)
{
	return clerk_open("/dev/ublk-control", O_RDWR);
}

static int clerk_open_other(void)
{
	return clerk_open(getenv("UBLK_QCOW2_OTHER"), O_RDONLY);
}

static int clerk_open_record(void)
{
	return clerk_open(RECORDS, O_RDONLY);
}

/* Claims that the image names a file. */
static int clerk_open_named(enum qcow_reference kind, const char *name,
			    int flags)
{
	char *settled, *path;
	int ret = names->settle(names->opaque, image, &settled);

	if (ret)
		return ret;
	ret = names->resolve(names->opaque, settled, kind, name, &path, NULL);
	return ret ? ret : clerk_open(path, flags);
}

static int clerk_write_backing(void)
{
	return clerk_open_named(QCOW_REFERS_TO_BACKING,
				getenv("UBLK_QCOW2_OTHER"), O_RDWR);
}

static int clerk_write_data(void)
{
	return clerk_open_named(QCOW_REFERS_TO_DATA, getenv("UBLK_QCOW2_OTHER"),
				O_RDWR);
}

static int clerk_back_by_host_file(void)
{
	return clerk_open_named(QCOW_REFERS_TO_BACKING, "/etc/passwd",
				O_RDONLY);
}

static int clerk_name_from_elsewhere(void)
{
	char *path;

	return names->resolve(names->opaque, "/etc/hosts",
			      QCOW_REFERS_TO_BACKING, "passwd", &path, NULL);
}

static int clerk_make_file(void)
{
	int fd = names->set_aside(names->opaque, "/etc");

	return fd < 0 ? fd : 0;
}

static int clerk_name_file(void)
{
	int fd = names->set_aside(names->opaque, QCOW_JOURNAL_DIR);

	return fd < 0 ? fd : names->link(names->opaque, fd, RECORDS);
}

static int clerk_remove_record(void)
{
	return names->remove(names->opaque, RECORDS);
}

static int clerk_list_directory(void)
{
	char name[NAME_MAX + 1];

	return names->list(names->opaque, "/etc", "", 0, name);
}

static int clerk_look(void)
{
	struct stat st;

	return names->look(names->opaque, "/etc/passwd", &st);
}

static const struct owned_step steps[] = {
	{ "have a file of the host opened", clerk_open_host_file },
	{ "have /dev/ublk-control opened", clerk_open_control },
	{ "have another image opened", clerk_open_other },
	{ "have a record opened", clerk_open_record },
	{ "write another image as its backing", clerk_write_backing },
	{ "write another image as its data", clerk_write_data },
	{ "back itself by a file of the host", clerk_back_by_host_file },
	{ "name a file from elsewhere", clerk_name_from_elsewhere },
	{ "have a file made", clerk_make_file },
	{ "have a record replaced", clerk_name_file },
	{ "have a record removed", clerk_remove_record },
	{ "have a directory listed", clerk_list_directory },
	{ "have a file looked at", clerk_look },
	{ NULL, NULL },
};

const struct owned_step *owned_clerk_steps(
	const struct qcow_names *names_of_open, const char *path)
{
	names = names_of_open;
	image = path;
	return steps;
}

#endif
