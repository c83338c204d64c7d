// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `add`: serves an image.
 *
 * The command judges all that it can see before anything exists: the numbers,
 * the name, the image's path, the driver.  Others may change some of that
 * meanwhile, so the supervisor judges it again, under locks.
 *
 * When the supervisor dies on its way, the command cleans up: it removes the
 * disk of that process.  The record may call the disk usable already; nobody
 * has been told of it, so nobody uses it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "plugin/commands/add.h"
#include "plugin/commands/command.h"
#include "plugin/commands/kernel.h"
#include "plugin/common/cause.h"
#include "plugin/server/control.h"
#include "plugin/server/device.h"
#include "plugin/common/jail.h"
#include "plugin/common/log.h"
#include "plugin/common/name.h"
#include "plugin/commands/options.h"
#include "plugin/common/process.h"
#include "plugin/common/references.h"
#include "plugin/supervisor/supervisor.h"
#include "plugin/supervisor/teardown.h"

#define SUFFIX ".qcow2"

static const char *check_range(const struct disk_request *request)
{
	static char text[160];
	const long processors = sysconf(_SC_NPROCESSORS_CONF);
	const struct disk_options *options = &request->options;
	const unsigned long long buffers = 1ull * options->queues *
					   options->depth * DEVICE_MAX_IO;
	struct sysinfo memory;

	if (request->id > DISK_ID_MAX)
		snprintf(text, sizeof(text), "id %ld is out of range: 0 to %d",
			 request->id, DISK_ID_MAX);
	else if (options->queues < 1 || options->queues > processors)
		snprintf(text, sizeof(text),
			 "QUEUES %u is out of range: 1 to %ld, the number of "
			 "processors",
			 options->queues, processors);
	else if (options->depth < 1 || options->depth > DISK_DEPTH_MAX)
		snprintf(text, sizeof(text),
			 "DEPTH %u is out of range: 1 to %d", options->depth,
			 DISK_DEPTH_MAX);
	else if (!sysinfo(&memory) &&
		 buffers > memory.totalram * memory.mem_unit / 2)
		snprintf(text, sizeof(text),
			 "%u queues of depth %u may need %llu MiB of "
			 "buffers, more than half of this machine's memory; "
			 "choose less",
			 options->queues, options->depth, buffers >> 20);
	else
		return NULL;
	return text;
}

/* The image's file name without .qcow2, made into a name. */
static void default_name(const char *image, char name[DISK_NAME_MAX + 1])
{
	const char *base = strrchr(image, '/') + 1;
	size_t length = strlen(base);

	if (length > strlen(SUFFIX) &&
	    !strcmp(base + length - strlen(SUFFIX), SUFFIX))
		length -= strlen(SUFFIX);
	name_make(base, length, name);
}

/* Reads headers, which are input (P6): in a child. */
static int links_job(const void *argument, char *text)
{
	const struct disk_request *request = argument;
	struct qcow_references references;
	const struct jail jail = {
		.image = request->image,
		.references = &references,
	};
	struct qcow_error why = { "" };
	/* The supervisor has the better message for wrong references. */
	int ret = references_read(&request->options, &references, &why);

	if (ret)
		return EXIT_SUCCESS;
	ret = jail_enter_for(&jail);
	if (ret)
		snprintf(why.text, sizeof(why.text),
			 "the process that looks at it cannot confine itself: "
			 "%s",
			 strerror(-ret));
	else
		ret = qcow_check_links(request->image, &references, &why);
	references_free(&references);
	snprintf(text, JOB_TEXT_MAX, "%s", why.text);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int check_links(const struct disk_request *request)
{
	char text[JOB_TEXT_MAX] = "";
	int ret = job_run(links_job, request, text);

	if (!ret)
		return EXIT_SUCCESS;
	return complain_about(request->image, "%s",
			      *text ? text :
				      "the process that looked at it has died");
}

/* Symbolic links stay in the path: each server follows them anew. */
static int make_absolute(const char *path, char absolute[PATH_MAX])
{
	char here[PATH_MAX] = "";
	bool relative = *path != '/';

	if (relative && !getcwd(here, sizeof(here)))
		return -errno;
	if (snprintf(absolute, PATH_MAX, "%s%s%s", here, relative ? "/" : "",
		     path) >= PATH_MAX)
		return -ENAMETOOLONG;
	return 0;
}

/* A device keeps the name that it was given: relative names in its image begin
   there. */
static int check_image(const char *path, char image[PATH_MAX])
{
	struct stat st;
	int ret;

	if (!realpath(path, image) || stat(image, &st))
		return complain_about(path, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return complain_about(path,
				      "is neither a file nor a block device");
	ret = S_ISBLK(st.st_mode) ? make_absolute(path, image) : 0;
	return ret ? complain_about(path, "%s", strerror(-ret)) : 0;
}

static int check_data_file(const char *image, const char *path,
			   char data_file[PATH_MAX])
{
	struct stat st;
	int ret = make_absolute(path, data_file);

	if (ret || stat(data_file, &st))
		return complain_about(image, "data file %s: %s", path,
				      strerror(ret ? -ret : errno));
	return 0;
}

/*
 * The engine does not judge this.  Each later server reads the key again, so
 * the key must stay where it is: no pipe.  A key that everybody can read
 * protects nothing.  It is refused here, while nobody depends on the disk;
 * later servers do not refuse it, for users wait for them.
 */
static int check_key(const char *image, const char *path,
		     char key_file[PATH_MAX])
{
	struct stat st;
	int ret = make_absolute(path, key_file);

	if (ret || stat(key_file, &st))
		return complain_about(image, "key file %s: %s", path,
				      strerror(ret ? -ret : errno));
	if (!S_ISREG(st.st_mode))
		return complain_about(
			image,
			"key file %s: is no regular file; every "
			"server of the disk reads it, so put the key "
			"into a file",
			path);
	if (st.st_mode & S_IRWXO)
		return complain_about(
			image,
			"key file %s: is open to every user; run "
			"'chmod o= %s', and choose another key if it "
			"may have been read",
			path, path);
	return 0;
}

static int fill_in(const struct disk_request *request, struct disk *disk)
{
	const char *wrong;

	wrong = check_range(request);
	if (!wrong && request->name)
		wrong = name_check(request->name);
	if (wrong)
		return complain_about(request->image, "%s", wrong);
	if (check_image(request->image, disk->image) || check_links(request))
		return EXIT_FAILURE;
	disk->options = request->options;
	if (*request->options.data_file &&
	    check_data_file(request->image, request->options.data_file,
			    disk->options.data_file))
		return EXIT_FAILURE;
	if (*request->options.key_file &&
	    check_key(request->image, request->options.key_file,
		      disk->options.key_file))
		return EXIT_FAILURE;
	if (request->name)
		strcpy(disk->name, request->name);
	else
		default_name(disk->image, disk->name);
	disk->id = request->id;
	return 0;
}

static int check_driver(const char *image)
{
	struct control *control;
	int ret = control_open(&control);

	if (!ret) {
		control_close(control);
		return 0;
	}
	if (ret == -ENOENT || ret == -ENODEV || ret == -ENXIO)
		return complain_about(
			image, "the ublk driver is not loaded; run "
			       "'modprobe ublk_drv' (Linux 6.12 or later; on "
			       "Debian 12 that of its security suite)");
	if (ret == -EPERM)
		return complain_about(image,
				      "io_uring is disabled; run 'sysctl "
				      "kernel.io_uring_disabled=0'");
	return complain_about(image, UBLK_CONTROL_PATH ": %s", strerror(-ret));
}

int add_judge(const struct disk_request *request, struct disk *disk)
{
	int ret = fill_in(request, disk);

	if (!ret)
		ret = kernel_check(disk->image, &disk->options);
	return ret ? ret : check_driver(disk->image);
}

struct remains {
	struct process supervisor;
	struct disk disk;
};

static int is_of_supervisor(const struct disk *disk, void *opaque)
{
	struct remains *remains = opaque;

	if (!process_is_same(&disk->supervisor, &remains->supervisor))
		return 0;
	remains->disk = *disk;
	return 1;
}

/* The child has not been reaped, so the pid is still its own.  Other records
   may have the same pid, of a process that died long ago, or of one in a
   container.  While we wait for the lock, another command may clean up, or have
   the disk taken over. */
static int clean_up(const struct disk *wanted, pid_t supervisor)
{
	struct remains remains = { .disk.id = -1 };
	char text[JOB_TEXT_MAX] = "";
	int lock;

	if (!process_identify(supervisor, &remains.supervisor) &&
	    disk_each(is_of_supervisor, &remains) > 0 &&
	    !command_lock(&remains.disk, &lock)) {
		if (process_is_same(&remains.disk.supervisor,
				    &remains.supervisor))
			teardown_all(&remains.disk, true, false, text);
		close(lock);
	}
	return complain_about(wanted->image,
			      "its supervisor (process %d) died on the way%s%s",
			      (int)supervisor, *text ? "; " : "", text);
}

/* People learn the name at once.  A program is told only if it cannot guess the
   name from the image's. */
static void tell_name(const struct task *task, int id)
{
	const char *base = strrchr(task->disk.image, '/') + 1;
	const char *name = task->disk.name;
	const size_t length = strlen(name);

	if (isatty(STDERR_FILENO) || strncmp(base, name, length) ||
	    (base[length] && strcmp(base + length, SUFFIX)))
		fprintf(stderr, "ublk-qcow2: /dev/ublkb%d is the disk %s\n", id,
			name);
}

static int launch(const struct task *task, bool named)
{
	struct outcome outcome;
	pid_t pid;
	int ret = supervisor_launch(task, -1, &outcome, &pid);

	if (ret == -EPIPE)
		return clean_up(&task->disk, pid);
	if (ret)
		return complain_about(task->disk.image,
				      "cannot start a supervisor: %s",
				      strerror(-ret));
	if (outcome.failed) {
		complain_about(task->disk.image, "%s", outcome.text);
		return cause_status(outcome.cause);
	}
	printf("/dev/ublkb%d\n", outcome.id);
	if (!named)
		tell_name(task, outcome.id);
	return EXIT_SUCCESS;
}

int add_image(const struct disk_request *request, bool force, bool foreground)
{
	struct task task = {
		.force = force,
		.foreground = foreground,
		.lock = -1,
		.caller = -1,
		.channel = -1,
	};

	if (add_judge(request, &task.disk))
		return EXIT_FAILURE;
	teardown_leftovers();
	return foreground ? supervisor_run(&task) :
			    launch(&task, request->name);
}

int command_add(const struct options *options)
{
	const struct disk_request request = {
		.image = options->subject,
		.name = options->name,
		.id = options->id,
		.options = options->disk,
	};

	if (command_begin(options->all ? "add" : options->subject))
		return EXIT_FAILURE;
	return options->all ?
		       add_all() :
		       add_image(&request, options->force, options->foreground);
}
