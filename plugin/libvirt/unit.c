// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Disks as units of systemd.
 *
 * A process that the hook starts belongs to libvirtd's control group, and
 * would be accounted, limited and at worst ended together with libvirtd.  So
 * where systemd runs, systemd starts the servers: the hook writes the disk's
 * options into /run/ublk-qcow2/disks.d/NAME.conf and starts
 * ublk-qcow2@NAME.service, as an admin would.
 *
 * A file there that begins with MARK is the hook's.  Any other file there, and
 * any in /etc, is an admin's: the hook uses it as it is, and leaves it there.
 * Once the disk is served, wish.c compares it with the entry.
 *
 * systemctl says that a unit failed, and does not say why.  `ublk-qcow2 serve`
 * leaves the cause in the unit's status before it ends, and its exit status
 * tells the cause that a decision depends on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/cause.h"
#include "plugin/common/disk-number.h"
#include "plugin/common/conf.h"
#include "plugin/libvirt/child.h"
#include "plugin/libvirt/service.h"
#include "plugin/libvirt/unit.h"
#include "plugin/common/name.h"
#include "plugin/common/program.h"

#define MARK		"# ublk-qcow2-hook"
#define SHOW_PATIENCE	5000  /* ms */
#define STOP_PATIENCE	15000 /* ms */
#define REVIVE_INTERVAL 100   /* ms */

bool unit_manager(void)
{
	const char *path = program_choice("UBLK_QCOW2_SYSTEMD");

	return !access(path ? path : "/run/systemd/system", F_OK);
}

/* --- the configuration --------------------------------------------------- */

static void conf_path(enum conf_place place, const char *name,
		      char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s.conf", conf_directory(place), name);
}

static bool is_there(enum conf_place place, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	conf_path(place, name, path);
	return !lstat(path, &st);
}

static bool is_ours(const char *name)
{
	char path[PATH_MAX], mark[sizeof(MARK)] = "";
	ssize_t length;
	int fd;

	conf_path(CONF_RUNTIME, name, path);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, mark, sizeof(mark) - 1);
	close(fd);
	return length > 0 && !strcmp(mark, MARK);
}

bool unit_is_known(const char *name)
{
	return !name_check(name) &&
	       (is_there(CONF_ADMIN, name) || is_there(CONF_RUNTIME, name));
}

bool unit_is_configured(const char *name)
{
	return unit_is_known(name) &&
	       (is_there(CONF_ADMIN, name) || !is_ours(name));
}

static bool fits(const char *path)
{
	return !*path || conf_can_name(path);
}

static void put_other(const char *key, const char *text, void *file)
{
	fprintf(file, "%s = %s\n", key, text);
}

static void put_entry(FILE *file, const struct domain_entry *entry)
{
	static const struct disk_options defaults = DISK_OPTIONS_DEFAULT;

	fprintf(file, MARK ": gone when the disk is.\nimage = %s\n",
		entry->file);
	if (entry->id >= 0)
		fprintf(file, "id = %ld\n", entry->id);
	if (entry->options.queues != defaults.queues)
		fprintf(file, "queues = %u\n", entry->options.queues);
	if (entry->options.depth != defaults.depth)
		fprintf(file, "depth = %u\n", entry->options.depth);
	if (entry->options.read_only)
		fprintf(file, "read-only = yes\n");
	if (entry->options.writeback)
		fprintf(file, "cache = writeback\n");
	if (*entry->options.key_file)
		fprintf(file, "key-file = %s\n", entry->options.key_file);
	if (*entry->options.data_file)
		fprintf(file, "data-file = %s\n", entry->options.data_file);
	if (entry->options.no_references)
		fprintf(file, "no-references = yes\n");
	if (entry->options.confined)
		fprintf(file, "confined = yes\n");
	if (entry->options.sound_kernel)
		fprintf(file, "sound-kernel = yes\n");
	disk_number_each(&entry->options, put_other, file);
}

static int write_file(const char *path, const struct domain_entry *entry)
{
	int fd = open(path,
		      O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		      0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	int ret = 0;

	if (!file) {
		ret = -errno;
		if (fd >= 0)
			close(fd);
		return ret;
	}
	put_entry(file, entry);
	if (ferror(file))
		ret = -EIO;
	if (fclose(file) && !ret)
		ret = -errno;
	return ret;
}

/* The lock of the disk's users is held, so no other process writes the new
   file. */
static int configure(const struct domain_entry *entry, const char *name,
		     char why[DOMAIN_REASON_MAX])
{
	const char *dir = conf_directory(CONF_RUNTIME);
	char path[PATH_MAX], new[PATH_MAX];
	int ret = 0;

	if (!fits(entry->file) || !fits(entry->options.key_file) ||
	    !fits(entry->options.data_file))
		return domain_wrong(why, "a path with a line break, or with a "
					 "blank at its end, cannot be that of "
					 "a disk with a unit; rename the file");
	conf_path(CONF_RUNTIME, name, path);
	snprintf(new, sizeof(new), "%s/.%s", dir, name);
	if (mkdir(dir, 0700) && errno != EEXIST)
		ret = -errno;
	if (!ret)
		ret = write_file(new, entry);
	if (!ret && rename(new, path))
		ret = -errno;
	if (ret)
		return domain_wrong(why, "cannot write %s: %s", path,
				    strerror(-ret));
	return 0;
}

static void forget(const char *name)
{
	char path[PATH_MAX];

	if (!is_ours(name))
		return;
	conf_path(CONF_RUNTIME, name, path);
	unlink(path);
}

/* --- the unit ------------------------------------------------------------ */

struct unit {
	char name[sizeof("ublk-qcow2@.service") + DISK_NAME_MAX];
};

static struct unit unit_of(const char *name)
{
	struct unit unit;

	snprintf(unit.name, sizeof(unit.name), "ublk-qcow2@%.64s.service",
		 name);
	return unit;
}

static int control(const char *verb, const char *name, int milliseconds,
		   char line[CHILD_LINE_MAX])
{
	const struct unit unit = unit_of(name);
	const char *const argv[] = { "systemctl", verb, unit.name, NULL };

	return child_program(argv, service_patience(milliseconds), line);
}

/* The value of a property of the unit; "": systemctl does not tell. */
static void ask(const char *name, const char *property,
		char line[CHILD_LINE_MAX])
{
	const struct unit unit = unit_of(name);
	const char *const argv[] = { "systemctl", "show",    property,
				     "--value",	  unit.name, NULL };

	if (child_ask(argv, service_patience(SHOW_PATIENCE), line))
		*line = '\0';
}

static bool says_in_use(const char *name)
{
	char status[CHILD_LINE_MAX];

	ask(name, "--property=ExecMainStatus", status);
	return atoi(status) == EXIT_IN_USE;
}

/* Returns as unit_start() does. */
static int explain(const char *name, int ret, int milliseconds,
		   const char *line, char why[DOMAIN_REASON_MAX])
{
	const struct unit unit = unit_of(name);
	char status[CHILD_LINE_MAX];

	if (ret == -ETIMEDOUT) {
		domain_wrong(why,
			     "%s is not up after %d seconds: look at the "
			     "image's storage, and at 'systemctl status %s'",
			     unit.name, (milliseconds + 999) / 1000, unit.name);
		return ret;
	}
	ask(name, "--property=StatusText", status);
	if (*status) {
		domain_wrong(why, "%s", status);
		return says_in_use(name) ? -EBUSY : -EINVAL;
	}
	return domain_wrong(why,
			    "%s does not start: %s; see 'systemctl "
			    "status %s'",
			    unit.name, line, unit.name);
}

void unit_give_up(const char *name)
{
	char line[CHILD_LINE_MAX];

	control("stop", name, STOP_PATIENCE, line);
	control("reset-failed", name, SHOW_PATIENCE, line);
	forget(name);
}

int unit_start(const struct domain_entry *entry, const char *name,
	       int milliseconds, char why[DOMAIN_REASON_MAX])
{
	char line[CHILD_LINE_MAX];
	int ret = 0;

	if (!unit_is_configured(name))
		ret = configure(entry, name, why);
	if (ret)
		return ret;
	ret = control("start", name, milliseconds, line);
	if (!ret)
		return 0;
	ret = explain(name, ret, service_patience(milliseconds), line, why);
	unit_give_up(name);
	return ret;
}

int unit_revive(const struct disk *disk, int milliseconds,
		char why[DOMAIN_REASON_MAX])
{
	const struct timespec interval = { .tv_nsec = REVIVE_INTERVAL *
						      1000000 };
	const uint64_t deadline = clock_ms() + service_patience(milliseconds);
	char line[CHILD_LINE_MAX];
	struct disk now;
	int ret = control("start", disk->name, milliseconds, line);

	if (ret)
		return explain(disk->name, ret, service_patience(milliseconds),
			       line, why);
	/* For a moment systemd may not have heard of the death. */
	while (!disk_load(disk->id, &now) && !process_alive(&now.supervisor)) {
		if (clock_ms() >= deadline)
			return explain(disk->name, -ETIMEDOUT,
				       service_patience(milliseconds), line,
				       why);
		nanosleep(&interval, NULL);
	}
	return 0;
}

void unit_end(const char *name)
{
	char line[CHILD_LINE_MAX];

	if (!unit_manager() || !unit_is_known(name))
		return;
	control("stop", name, STOP_PATIENCE, line);
	forget(name);
}
