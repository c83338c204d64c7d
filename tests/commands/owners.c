// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The domains that use a disk.  A record that cannot be read just now may be
 * that of a user, so nobody says that there is none; the other records are
 * looked at all the same.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/commands/change.h"
#include "plugin/common/owner.h"
#include "tests/lib/helpers.h"

#define FIRST "1b6dbf1f-d3c9-46ef-87c8-bd5b30c4cf39"
#define LAST  "9b6dbf1f-d3c9-46ef-87c8-bd5b30c4cf39"

static struct disk disk = { .id = 3, .name = "web", .nonce = 7 };
static unsigned int visits;

static void use(const char *uuid, const char *domain)
{
	struct owner owner;

	owner_fill(&owner, uuid, domain, &disk);
	if (owner_save(&owner))
		die("no record can be written");
}

/* There is no memory for the first records. */
static unsigned int hidden, opened;

FILE *__real_fdopen(int fd, const char *mode);
FILE *__wrap_fdopen(int fd, const char *mode);
FILE *__wrap_fdopen(int fd, const char *mode)
{
	return opened++ < hidden ? NULL : __real_fdopen(fd, mode);
}

static void hide(unsigned int records)
{
	hidden = records;
	opened = 0;
}

static int count(const struct owner *owner, void *opaque)
{
	(void)owner;
	(void)opaque;
	visits++;
	return 0;
}

static void expect(unsigned int records, int user, int each, unsigned int seen,
		   const char *when)
{
	struct owner owner;
	int ret;

	hide(records);
	ret = owner_find_user(&disk, &owner);
	if (ret != user)
		die("%s: the user is %d and not %d", when, ret, user);
	visits = 0;
	hide(records);
	ret = owner_each(count, NULL);
	if (ret != each || visits != seen)
		die("%s: %d after %u records", when, ret, visits);
	hide(records);
	if ((change_check_domain(&disk, "commit") == EXIT_SUCCESS) !=
	    (user == -ENOENT))
		die("%s: a command is wrong about that", when);
	hide(0);
}

/* Files in the place of a record that are none. */
static void spoil(const char *uuid, const char *command)
{
	char name[128], *path;

	snprintf(name, sizeof(name), "domains/%s.web", uuid);
	path = scratch_path(name);
	must_run("rm -f %s && %s %s", path, command, path);
	free(path);
}

int main(void)
{
	setenv("UBLK_QCOW2_RUN", scratch(), 1);
	expect(0, -ENOENT, 0, 0, "no records");
	use(FIRST, "first");
	use(LAST, "last");
	expect(0, 0, 0, 2, "two users");
	expect(1, 0, -ENOMEM, 1, "one that can be read");
	expect(2, -ENOMEM, -ENOMEM, 0, "none that can be read");
	spoil(FIRST, "ln -s /dev/null");
	spoil(LAST, "mkdir");
	expect(0, -ENOENT, 0, 0, "none that is a record");
	return 0;
}
