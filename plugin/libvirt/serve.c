// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Having disks served.
 *
 * The program ublk-qcow2 does it all; here it is only run, as an admin would
 * run it.  It says in one line why it fails, and that is passed on.  Whether
 * it has succeeded is seen from the record of the disk.
 *
 * The program is the one beside us: that of another build would do, but a
 * PATH is not to decide what root runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin/libvirt/child.h"
#include "plugin/libvirt/serve.h"

#define ADD_PATIENCE	 60000 /* ms */
#define ABANDON_PATIENCE 10000 /* ms; for an `add` that was killed */
#define DEL_PATIENCE	 40000 /* ms; its own is 35 s */
#define DEL_INTERVAL	 250   /* ms */
#define ARGUMENTS_MAX	 24
#define PROGRAM		 "ublk-qcow2"

/* The environment is for tests. */
int serve_patience(int milliseconds)
{
	const char *text = getenv("UBLK_QCOW2_PATIENCE");

	return text && atoi(text) < milliseconds ? atoi(text) : milliseconds;
}

static const char *program(void)
{
	static char path[PATH_MAX + sizeof(PROGRAM)];
	const char *chosen = getenv("UBLK_QCOW2");
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
	char numbers[4][24];
	size_t nr_numbers;
};

static void put(struct arguments *arguments, const char *text)
{
	arguments->argv[arguments->nr++] = text;
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
	if (number < 0)
		return;
	put(arguments, option);
	put_number(arguments, number);
}

/* Its message begins with what it is about, which ours names already. */
static const char *without(const char *line, const char *subject)
{
	size_t length = strlen(subject);

	if (strncmp(line, subject, length) || strncmp(line + length, ": ", 2))
		return line;
	return line + length + 2;
}

static int run(struct arguments *arguments, int milliseconds,
	       const char *subject, char why[DOMAIN_REASON_MAX])
{
	char line[CHILD_LINE_MAX];
	int ret;

	put(arguments, NULL);
	milliseconds = serve_patience(milliseconds);
	ret = child_program(arguments->argv, milliseconds, line);
	if (!ret)
		return 0;
	if (ret == -ETIMEDOUT) {
		domain_wrong(why,
			     "'ublk-qcow2 %s' was not done after %d seconds "
			     "and was killed: look at the image's storage, "
			     "and into the system's log",
			     arguments->argv[1], (milliseconds + 999) / 1000);
		return ret;
	}
	if (*line)
		return domain_wrong(why, "%.960s", without(line, subject));
	if (ret == -EINTR)
		return domain_wrong(why, "'ublk-qcow2 %s' was killed",
				    arguments->argv[1]);
	if (ret < 0)
		return domain_wrong(why, "cannot run %.900s: %s",
				    arguments->argv[0], strerror(-ret));
	return domain_wrong(why, "'ublk-qcow2 %s' failed with status %d",
			    arguments->argv[1], ret);
}

/* --- what it is run for -------------------------------------------------- */

static void put_entry(struct arguments *arguments,
		      const struct domain_entry *entry, const char *name)
{
	put(arguments, entry->file);
	put(arguments, "--name");
	put(arguments, name);
	put_option(arguments, "-n", entry->id);
	put_option(arguments, "-q", entry->queues);
	put_option(arguments, "-d", entry->depth);
	if (entry->read_only)
		put(arguments, "--read-only");
	if (entry->writeback) {
		put(arguments, "--cache");
		put(arguments, "writeback");
	}
	if (entry->key_file) {
		put(arguments, "--key-file");
		put(arguments, entry->key_file);
	}
}

/* The disk of an `add` that was killed may have become usable in the last
   moment; else its supervisor gives it up by itself. */
static void abandon(const char *name)
{
	struct arguments arguments = { .argv = { program(), "del", name },
				       .nr = 3 };
	char why[DOMAIN_REASON_MAX];

	run(&arguments, ABANDON_PATIENCE, "", why);
}

int serve_start(const struct domain_entry *entry, const char *name,
		char why[DOMAIN_REASON_MAX])
{
	struct arguments arguments = { .argv = { program(), "add" }, .nr = 2 };
	int ret;

	put_entry(&arguments, entry, name);
	ret = run(&arguments, ADD_PATIENCE, entry->file, why);
	if (ret == -ETIMEDOUT)
		abandon(name);
	return ret;
}

bool serve_is_live(const struct disk *disk)
{
	return disk->state == DISK_LIVE && process_alive(&disk->server) &&
	       process_alive(&disk->supervisor);
}

static int run_on(struct arguments *arguments, int milliseconds,
		  const struct disk *disk, char why[DOMAIN_REASON_MAX])
{
	char subject[PATH_MAX + 32];

	snprintf(subject, sizeof(subject), "/dev/ublkb%d (%s)", disk->id,
		 disk->image);
	put_number(arguments, disk->id);
	return run(arguments, milliseconds, subject, why);
}

int serve_revive(const struct disk *disk, int milliseconds,
		 char why[DOMAIN_REASON_MAX])
{
	struct arguments arguments = { .argv = { program(), "recover" },
				       .nr = 2 };

	return run_on(&arguments, milliseconds, disk, why);
}

/* --- the end ------------------------------------------------------------- */

static bool is_gone(const struct disk *disk)
{
	struct disk now;

	return disk_load(disk->id, &now) || now.nonce != disk->nonce;
}

static int delete_once(const struct disk *disk, char why[DOMAIN_REASON_MAX])
{
	struct arguments arguments = { .argv = { program(), "del" }, .nr = 2 };

	return run_on(&arguments, DEL_PATIENCE, disk, why);
}

/* A server is needed to close the image in good order, so a dead one is
   replaced first; if that fails the disk is to go all the same. */
int serve_stop(const struct disk *disk, int milliseconds,
	       char why[DOMAIN_REASON_MAX])
{
	const struct timespec interval = { .tv_nsec = DEL_INTERVAL * 1000000 };
	uint64_t deadline;
	int ret;

	if (!serve_is_live(disk))
		serve_revive(disk, milliseconds, why);
	deadline = clock_ms() + serve_patience(milliseconds);
	for (;;) {
		*why = '\0';
		ret = delete_once(disk, why);
		if (!ret || is_gone(disk))
			return 0;
		if (clock_ms() >= deadline)
			return ret;
		nanosleep(&interval, NULL);
	}
}
