// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Another image for a configured disk.
 *
 * The file belongs to the admin: all of it stays but the value of one key.  A
 * reader sees the old file or the new one, also after the death of a process
 * or of the host, and the new one has the owner and the mode of the old one.  A
 * symbolic link stays, and the file that it leads to is changed.
 *
 * A command and the job of a supervisor may want to change the same file.  One
 * process at a time looks and changes, and keeps no other disk waiting.  A
 * process that is killed keeps the lock until it has ended, so no change of it
 * comes late.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/common/conf.h"
#include "plugin/common/owner.h"
#include "plugin/common/process.h"
#include "qcow/names.h"

#define LOCK_PATIENCE 10000 /* ms */
#define LOOK_PATIENCE 2000  /* ms */

static int copy_lines(FILE *from, FILE *to, const char *image)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, from) > 0) {
		if (conf_is_image_line(line))
			fprintf(to, "image = %s\n", image);
		else
			fputs(line, to);
	}
	free(line);
	/* Without memory the lines end early. */
	return !feof(from) || fflush(to) || ferror(to) ? -EIO : 0;
}

static int write_new(FILE *from, const char *path, const char *image)
{
	struct stat st;
	FILE *to;
	int ret, fd;

	if (fstat(fileno(from), &st))
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		  0600);
	if (fd < 0)
		return -errno;
	to = fdopen(fd, "w");
	if (!to) {
		close(fd);
		return -ENOMEM;
	}
	ret = copy_lines(from, to, image);
	if (!ret && (fchown(fd, st.st_uid, st.st_gid) ||
		     fchmod(fd, st.st_mode & 07777) || fsync(fd)))
		ret = -errno;
	fclose(to);
	return ret;
}

static int sync_directory(const char *path)
{
	char copy[PATH_MAX];
	int fd, ret;

	if (!realpath(path, copy))
		return -errno;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fsync(fd) ? -errno : 0;
	close(fd);
	return ret;
}

static int replace(const char *name, const char *image)
{
	char path[PATH_MAX], new[PATH_MAX + 8];
	FILE *from = realpath(name, path) ? fopen(path, "re") : NULL;
	int ret;

	if (!from)
		return -errno;
	/* No name of a disk has two dots. */
	snprintf(new, sizeof(new), "%s.new", path);
	ret = write_new(from, new, image);
	fclose(from);
	if (!ret && rename(new, path))
		ret = -errno;
	if (ret)
		unlink(new);
	return ret ? ret : sync_directory(path);
}

static bool is_same_file(const char *a, const char *b)
{
	char resolved[PATH_MAX];

	return !strcmp(a, b) || (realpath(a, resolved) && !strcmp(resolved, b));
}

int conf_check_image(const char *name, const char *image,
		     char text[CONF_TEXT_MAX])
{
	struct conf conf;
	int ret = conf_find(name, &conf, text);

	if (ret || is_same_file(conf.image, image))
		return ret;
	snprintf(text, CONF_TEXT_MAX,
		 "%.400s: image: is %.200s, and the disk is served with "
		 "%.200s; mend that first",
		 conf.path, conf.image, image);
	return -EINVAL;
}

struct pair {
	const char *one, *other;
};

static int compare_job(const void *argument, char *text)
{
	const struct pair *pair = argument;
	struct qcow_identity one, other;

	(void)text;
	process_mute();
	return qcow_identify_path(pair->one, &one) ||
	       qcow_identify_path(pair->other, &other) ||
	       !identity_matches(&one, &other);
}

struct search {
	const char *name;
	const char *image;
	char *path;
	bool found;
	bool hangs;
};

/* A file may name the image by a link, or by the path of another mount.  Nobody
   waits for the storage of other disks for long: if it does not answer, the
   paths alone decide. */
static bool name_same(struct search *search, const char *image)
{
	const struct pair pair = { image, search->image };
	char text[JOB_TEXT_MAX];
	struct job job;

	if (!strcmp(image, search->image))
		return true;
	if (search->hangs || job_start(&job, compare_job, &pair, true))
		return false;
	if (process_wait(job.pidfd, LOOK_PATIENCE))
		return !job_finish(&job, text);
	job_abandon(&job);
	search->hangs = true;
	return false;
}

static void look(const char *name, void *opaque)
{
	struct search *search = opaque;
	char text[CONF_TEXT_MAX];
	struct conf conf;

	if (search->found || !strcmp(name, search->name) ||
	    conf_find(name, &conf, text) || !name_same(search, conf.image))
		return;
	strcpy(search->path, conf.path);
	search->found = true;
}

int conf_find_other(const char *name, const char *image, char path[PATH_MAX],
		    char text[CONF_TEXT_MAX])
{
	struct search search = { .name = name, .image = image, .path = path };
	int ret = conf_each(look, &search, text);

	if (ret)
		return ret;
	return search.found ? 0 : -ENOENT;
}

/* A file that names the image already may have got it from a process that died
   before the change was durable. */
static int change_locked(const char *name, const char *from, const char *to,
			 char text[CONF_TEXT_MAX])
{
	struct conf conf;
	int changed = conf_check_image(name, to, text);
	int ret = changed;

	if (ret == -EINVAL)
		ret = conf_check_image(name, from, text);
	if (!ret)
		ret = conf_find(name, &conf, text);
	if (ret)
		return ret;
	if (!conf_can_name(to)) {
		snprintf(text, CONF_TEXT_MAX,
			 "%.400s: image: cannot be %.200s, which has a line "
			 "break, or a blank at its end; rename the image",
			 conf.path, to);
		return -EINVAL;
	}
	ret = changed ? replace(conf.path, to) : sync_directory(conf.path);
	if (ret)
		snprintf(text, CONF_TEXT_MAX, "%.400s: cannot be changed: %s",
			 conf.path, strerror(-ret));
	/* Our caller would take that for a word on the file. */
	return ret == -EINVAL ? -EIO : ret;
}

int conf_change_image(const char *name, const char *from, const char *to,
		      char text[CONF_TEXT_MAX])
{
	char key[sizeof("disks.d/") + DISK_NAME_MAX];
	int lock, ret;

	/* No disk has such a name. */
	snprintf(key, sizeof(key), "disks.d/%s", name);
	ret = owner_lock(key, LOCK_PATIENCE, &lock);
	if (ret) {
		snprintf(text, CONF_TEXT_MAX,
			 "the file of %.128s cannot be locked: %s", name,
			 ret == -EBUSY ? "another process is changing it" :
					 strerror(-ret));
		return -EAGAIN;
	}
	ret = change_locked(name, from, to, text);
	close(lock);
	return ret;
}
