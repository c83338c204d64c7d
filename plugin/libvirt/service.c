// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Having disks served.
 *
 * The program ublk-qcow2 does all of it.  This file runs the program as an
 * admin would run it, or starts a unit that does (unit.c).  --brief makes the
 * program's message the cause alone, since our own message names the disk; the
 * exit status tells the cause that a decision depends on.  The record of the
 * disk shows whether the program has succeeded.
 *
 * The program is the one beside this one, or else the installed one: PATH must
 * not choose a program that root runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/cause.h"
#include "plugin/common/disk-number.h"
#include "plugin/common/conf.h"
#include "plugin/libvirt/child.h"
#include "plugin/libvirt/service.h"
#include "plugin/common/program.h"
#include "plugin/libvirt/unit.h"

#define ADD_PATIENCE	 60000 /* ms */
#define ABANDON_PATIENCE 10000 /* ms; for an `add` that was killed */
#define DEL_PATIENCE	 40000 /* ms; its own is 35 s */
#define DEL_INTERVAL	 250   /* ms */
#define ARGUMENTS_MAX	 32
#define PROGRAM		 "ublk-qcow2"

/* The environment is for tests. */
int service_patience(int milliseconds)
{
	const char *text = getenv("UBLK_QCOW2_PATIENCE");

	return text && atoi(text) < milliseconds ? atoi(text) : milliseconds;
}

const char *service_program(void)
{
	static char path[PATH_MAX + sizeof(PROGRAM)];
	const char *chosen = program_choice("UBLK_QCOW2");
	ssize_t length;
	char *slash;

	if (chosen)
		return chosen;
	length = readlink("/proc/self/exe", path, PATH_MAX - 1);
	if (length > 0) {
		path[length] = '\0';
		slash = strrchr(path, '/');
		strcpy(slash ? slash + 1 : path, PROGRAM);
		if (!access(path, X_OK))
			return path;
	}
	return SBINDIR "/" PROGRAM;
}

/* --- running it ---------------------------------------------------------- */

struct arguments {
	const char *argv[ARGUMENTS_MAX];
	size_t nr;
	const char *verb;
	char numbers[4][24];
	size_t nr_numbers;
	char others[8][48];
	size_t nr_others;
};

static void put(struct arguments *arguments, const char *text)
{
	arguments->argv[arguments->nr++] = text;
}

static void put_verb(struct arguments *arguments, const char *verb)
{
	put(arguments, service_program());
	put(arguments, verb);
	put(arguments, "--brief");
	arguments->verb = verb;
}

static void put_number(struct arguments *arguments, long number)
{
	char *text = arguments->numbers[arguments->nr_numbers++];

	snprintf(text, sizeof(arguments->numbers[0]), "%ld", number);
	put(arguments, text);
}

static void put_option(struct arguments *arguments, const char *option,
		       long number)
{
	put(arguments, option);
	put_number(arguments, number);
}

/* A name may begin as an option does. */
static void put_name(struct arguments *arguments, const char *name)
{
	put(arguments, "--");
	put(arguments, name);
}

/* Returns as service_start() does. */
static int run(struct arguments *arguments, int milliseconds,
	       char why[DOMAIN_REASON_MAX])
{
	char line[CHILD_LINE_MAX];
	int ret;

	put(arguments, NULL);
	milliseconds = service_patience(milliseconds);
	ret = child_program(arguments->argv, milliseconds, line);
	if (!ret)
		return 0;
	if (ret == -ETIMEDOUT) {
		domain_wrong(why,
			     "'ublk-qcow2 %s' was not done after %d seconds "
			     "and was killed: look at the image's storage, "
			     "and into the system's log",
			     arguments->verb, (milliseconds + 999) / 1000);
		return ret;
	}
	if (*line) {
		domain_wrong(why, "%s", line);
		return ret == EXIT_IN_USE ? -EBUSY : -EINVAL;
	}
	if (ret == -EINTR)
		return domain_wrong(why, "'ublk-qcow2 %s' was killed",
				    arguments->verb);
	if (ret < 0)
		return domain_wrong(why, "cannot run %s: %s",
				    arguments->argv[0], strerror(-ret));
	return domain_wrong(why, "'ublk-qcow2 %s' failed with status %d",
			    arguments->verb, ret);
}

/* --- its commands -------------------------------------------------------- */

static void put_other(const char *key, const char *text, void *opaque)
{
	struct arguments *arguments = opaque;
	char *word = arguments->others[arguments->nr_others++];

	snprintf(word, sizeof(arguments->others[0]), "--%s=%s", key, text);
	put(arguments, word);
}

static void put_entry(struct arguments *arguments,
		      const struct domain_entry *entry, const char *name)
{
	static const struct disk_options defaults = DISK_OPTIONS_DEFAULT;

	put(arguments, entry->file);
	put(arguments, "--name");
	put(arguments, name);
	if (entry->id >= 0)
		put_option(arguments, "-n", entry->id);
	if (entry->options.queues != defaults.queues)
		put_option(arguments, "-q", entry->options.queues);
	if (entry->options.depth != defaults.depth)
		put_option(arguments, "-d", entry->options.depth);
	if (entry->options.read_only)
		put(arguments, "--read-only");
	if (entry->options.writeback) {
		put(arguments, "--cache");
		put(arguments, "writeback");
	}
	if (*entry->options.key_file) {
		put(arguments, "--key-file");
		put(arguments, entry->options.key_file);
	}
	if (*entry->options.data_file) {
		put(arguments, "--data-file");
		put(arguments, entry->options.data_file);
	}
	if (entry->options.no_references)
		put(arguments, "--no-references");
	if (entry->options.confined)
		put(arguments, "--confined");
	if (entry->options.sound_kernel)
		put(arguments, "--sound-kernel");
	disk_number_each(&entry->options, put_other, arguments);
}

/* The disk of an `add` that was killed may have become usable in the last
   moment; else its supervisor gives the disk up by itself. */
static void abandon(const char *name)
{
	struct arguments arguments = { .nr = 0 };
	char why[DOMAIN_REASON_MAX];

	put_verb(&arguments, "del");
	put_name(&arguments, name);
	run(&arguments, ABANDON_PATIENCE, why);
}

static int add(const struct domain_entry *entry, const char *name,
	       char why[DOMAIN_REASON_MAX])
{
	struct arguments arguments = { .nr = 0 };
	int ret;

	put_verb(&arguments, "add");
	put_entry(&arguments, entry, name);
	ret = run(&arguments, ADD_PATIENCE, why);
	if (ret == -ETIMEDOUT)
		abandon(name);
	return ret;
}

/* Does the work of the unit: adds the disk as its file in disks.d says. */
static int add_configured(const char *name, char why[DOMAIN_REASON_MAX])
{
	struct domain_entry entry;
	struct conf conf;
	int ret = conf_find(name, &conf, why);

	if (ret)
		return ret;
	entry = (struct domain_entry){
		.file = conf.image,
		.id = conf.request.id,
		.options = conf.request.options,
	};
	return add(&entry, name, why);
}

int service_start(const struct domain_entry *entry, const char *name,
		  char why[DOMAIN_REASON_MAX])
{
	if (unit_manager())
		return unit_start(entry, name, ADD_PATIENCE, why);
	if (!entry || unit_is_configured(name))
		return add_configured(name, why);
	return add(entry, name, why);
}

bool service_is_live(const struct disk *disk)
{
	return disk->state == DISK_LIVE && process_alive(&disk->server) &&
	       process_alive(&disk->supervisor);
}

/* The lock of the users is one on the name.  The id may be another disk's by
   now: an admin may have removed this one. */
static int run_on(struct arguments *arguments, int milliseconds,
		  const struct disk *disk, char why[DOMAIN_REASON_MAX])
{
	put_name(arguments, disk->name);
	return run(arguments, milliseconds, why);
}

/* A supervisor that we start would be in libvirtd's control group, too.  A
   scope is a control group without a unit's file. */
static void put_scope(struct arguments *arguments)
{
	put(arguments, "systemd-run");
	put(arguments, "--scope");
	put(arguments, "--collect");
	put(arguments, "--quiet");
	put(arguments, "--");
}

int service_revive(const struct disk *disk, int milliseconds,
		   char why[DOMAIN_REASON_MAX])
{
	struct arguments arguments = { .nr = 0 };
	int ret;

	if (unit_manager() && !process_alive(&disk->supervisor)) {
		if (!unit_is_known(disk->name)) {
			put_scope(&arguments);
		} else {
			ret = unit_revive(disk, milliseconds, why);
			if (ret)
				return ret;
		}
	}
	put_verb(&arguments, "recover");
	return run_on(&arguments, milliseconds, disk, why);
}

/* --- the end ------------------------------------------------------------- */

/* A record that cannot be read is none that is gone. */
static bool is_gone(const struct disk *disk)
{
	struct disk now;
	int ret = disk_load(disk->id, &now);

	return ret == -ENOENT || (!ret && now.nonce != disk->nonce);
}

static int delete_once(const struct disk *disk, char why[DOMAIN_REASON_MAX])
{
	struct arguments arguments = { .nr = 0 };

	put_verb(&arguments, "del");
	return run_on(&arguments, DEL_PATIENCE, disk, why);
}

/* Only a server can close the image in good order, so a dead one is replaced
   first; if that fails, the disk goes all the same.  A disk that is not there
   yet has nothing to close. */
int service_stop(const struct disk *disk, int milliseconds,
		 char why[DOMAIN_REASON_MAX])
{
	const struct timespec interval = { .tv_nsec = DEL_INTERVAL * 1000000 };
	uint64_t deadline;
	int ret;

	if (disk->state != DISK_ADDING && !service_is_live(disk))
		service_revive(disk, milliseconds, why);
	deadline = clock_ms() + service_patience(milliseconds);
	for (;;) {
		*why = '\0';
		ret = delete_once(disk, why);
		if (!ret || is_gone(disk)) {
			unit_end(disk->name);
			return 0;
		}
		if (clock_ms() >= deadline)
			return ret;
		nanosleep(&interval, NULL);
	}
}
