// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `snapshot`: a disk that is in use gets an overlay, and its image stays as it
 * is at that moment.
 *
 * The overlay is made before anybody waits.  After the next boot, too, the
 * overlay must be served: another writer to the image itself would make the
 * whole overlay worthless.  So a file of disks.d that names the image is
 * changed first, and a disk that a domain of libvirt's names is left to the
 * command that changes the domain, too.  An empty overlay shows its image, so a
 * death between the two steps changes no byte of the disk.  The same command,
 * once more, takes the overlay that it finds then (leftover.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin/commands/change.h"
#include "plugin/commands/command.h"
#include "plugin/commands/leftover.h"
#include "plugin/commands/options.h"
#include "plugin/common/conf.h"
#include "plugin/common/log.h"
#include "plugin/common/references.h"
#include "plugin/server/fault.h"
#include "qcow/create.h"

#define END_PATIENCE   2000  /* ms */
#define FLUSH_PATIENCE 10000 /* ms */

int change_new_path(const char *word, char path[PATH_MAX])
{
	char directory[PATH_MAX], copy[PATH_MAX];
	const char *slash = strrchr(word, '/');
	const char *base = slash ? slash + 1 : word;

	snprintf(copy, sizeof(copy), "%.*s",
		 slash ? (int)(slash - word) + 1 : 1, slash ? word : ".");
	if (!*base)
		return complain("%s: is no name of a file", word);
	if (!realpath(copy, directory))
		return complain("%s: %s: %s", word, copy, strerror(errno));
	if (snprintf(path, PATH_MAX, "%s/%s",
		     strcmp(directory, "/") ? directory : "", base) >= PATH_MAX)
		return complain("%s: %s", word, strerror(ENAMETOOLONG));
	return EXIT_SUCCESS;
}

/* P6: would the next `add` of the overlay be refused? */
static int check_reference(const struct disk *disk, const char *overlay)
{
	const struct qcow_layer below = {
		.path = disk->image,
		.identity = disk->identity,
	};
	struct qcow_references references;
	struct qcow_error error;
	int ret = references_read(&disk->options, &references, &error);

	if (!ret)
		ret = qcow_check_layer(overlay, &below, &references, &error);
	references_free(&references);
	if (ret)
		return command_complain(disk,
					"an overlay at %s would be refused: %s",
					overlay, error.text);
	return EXIT_SUCCESS;
}

/* A legacy image, QCOW version 1 or with AES, cannot be written to: its disk is
   read-only, or an overlay that shares its key. */
static int check_kind(const struct disk *disk)
{
	if (disk->options.read_only)
		return command_complain(disk,
					"is read-only, as every disk of a "
					"legacy image (QCOW version 1, AES) "
					"is; its image stays as it is without "
					"an overlay");
	if (*disk->options.key_file)
		return command_complain(disk,
					"is encrypted with AES, and another "
					"overlay would not be; remove the "
					"disk, and copy it by 'qemu-img "
					"convert'");
	return EXIT_SUCCESS;
}

/* At its end a merge changes the disk's file, and gives up if that names an
   overlay by then: so the file stays as it is. */
static int check_merge(const struct disk *disk)
{
	if (!disk->merging)
		return EXIT_SUCCESS;
	return command_complain(disk,
				"is just being merged into the image below; "
				"wait for that, or run 'ublk-qcow2 commit "
				"--cancel %d'",
				disk->id);
}

static int create_overlay(const struct disk *disk, const char *overlay)
{
	const struct qcow_overlay wanted = {
		.backing = disk->image,
		.format = "qcow2",
		.size = disk->size,
	};
	struct qcow_error error;

	if (qcow_create_overlay(overlay, &wanted, &error))
		return complain("%s: %s", overlay, error.text);
	return EXIT_SUCCESS;
}

/* A disk without such a file has been added by hand. */
static int configure(const struct disk *disk, const char *from, const char *to)
{
	char text[CONF_TEXT_MAX];
	int ret = conf_change_image(disk->name, from, to, text);

	if (ret && ret != -ENOENT)
		return complain("%s", text);
	return EXIT_SUCCESS;
}

/* The disk has not got the overlay, and shall not get it at the next boot.  A
   file that is wrong names neither.  0: that is certain. */
static int unname(const struct disk *disk, const char *overlay)
{
	char text[CONF_TEXT_MAX];
	int ret = conf_change_image(disk->name, overlay, disk->image, text);

	return ret == -ENOENT || ret == -EINVAL || ret == -EEXIST ? 0 : ret;
}

/* A command that died may have left one. */
static int make_overlay(const struct disk *disk, const char *overlay)
{
	switch (leftover_look(disk, overlay)) {
	case LEFTOVER_UNUSED:
		return EXIT_SUCCESS;
	case LEFTOVER_OUTGROWN:
		/* No file may name one that is not there. */
		if (configure(disk, overlay, disk->image) ||
		    leftover_remove(overlay))
			return EXIT_FAILURE;
		/* fall through */
	default:
		return create_overlay(disk, overlay);
	}
}

/* A process that is killed gives up its socket first, and ends later. */
static bool is_at_it(const struct disk *disk)
{
	bool ended;
	int pidfd, ret;

	if (disk->state == DISK_LIVE)
		return false;
	ret = process_open(&disk->supervisor, &pidfd);
	if (ret)
		return ret != -ESRCH; /* it is not known to be dead */
	ended = process_wait(pidfd, END_PATIENCE);
	close(pidfd);
	return !ended;
}

static int flush_job(const void *argument, char *text)
{
	const struct disk *disk = argument;
	char path[32];
	int fd;

	(void)text;
	process_mute();
	snprintf(path, sizeof(path), "/dev/ublkb%d", disk->id);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 || fsync(fd);
}

/* The image is closed while the disk's users wait, and a close writes tables
   and syncs: after a flush, only those of the last moment.  A disk that does
   not answer gets its overlay all the same. */
static void flush(const struct disk *disk)
{
	char text[JOB_TEXT_MAX];
	struct job job;

	if (job_start(&job, flush_job, disk, true))
		return;
	if (process_wait(job.pidfd, FLUSH_PATIENCE))
		job_finish(&job, text);
	else
		job_abandon(&job);
}

static int move(const struct disk *disk, const char *overlay)
{
	struct change change = { .kind = CHANGE_IMAGE };
	struct disk now;
	int status;

	snprintf(change.image, sizeof(change.image), "%s", overlay);
	status = change_disk(disk, &change);
	if (!status || disk_load(disk->id, &now))
		return status;
	/* A living supervisor may still be at it; a dead one has told nobody,
	   and its record is final. */
	if (is_at_it(&now) || disk_load(disk->id, &now) ||
	    !strcmp(now.image, overlay))
		return status;
	leftover_discard(disk, overlay, unname);
	return status;
}

int snapshot_take(const struct disk *disk, const char *overlay, bool told)
{
	if (check_kind(disk) || check_merge(disk) ||
	    (!told && change_check_domain(disk, "snapshot")) ||
	    change_check_others(disk, disk->image) ||
	    check_reference(disk, overlay) || change_await_told(disk) ||
	    make_overlay(disk, overlay))
		return EXIT_FAILURE;
	fault_die("die-made");
	if (configure(disk, disk->image, overlay)) {
		leftover_discard(disk, overlay, unname);
		return EXIT_FAILURE;
	}
	fault_die("die-conf");
	flush(disk);
	return move(disk, overlay);
}

int command_snapshot(const struct options *options)
{
	char overlay[PATH_MAX];
	struct disk disk;
	int lock, status;

	if (command_begin(options->subject) ||
	    change_new_path(options->subjects[1], overlay) ||
	    command_find(options->subject, &disk, &lock))
		return EXIT_FAILURE;
	status = snapshot_take(&disk, overlay, options->domain_told);
	close(lock);
	return status;
}
