// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `stat`: the figures of the disks.
 *
 * The command reads the records, the files with the figures beside them, and
 * the kernel's word on the memory of the processes.  It asks no process, so it
 * works even if a process hangs, and everybody may run it.
 *
 * All disks are sampled before anything is written.  Each round of --watch
 * keeps the samples of the round before, and tells the difference.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugin/commands/command.h"
#include "plugin/commands/options.h"
#include "plugin/commands/stat.h"
#include "plugin/common/log.h"

#define INTERVAL 1 /* s; of --watch */
#define CLEAR	 "\033[H\033[J"

typedef int put_function(FILE *file, const struct samples *samples);

/* ---- the samples ---- */

/* The resident memory in bytes; 0: it is dead. */
static uint64_t memory_of(const struct process *process)
{
	char path[64], line[128];
	uint64_t kilobytes = 0;
	FILE *file;

	if (!process_is_ours(process) || !process_alive(process))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)process->pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmRSS: %" SCNu64, &kilobytes) == 1)
			break;
	fclose(file);
	return kilobytes << 10;
}

static int add_sample(const struct disk *disk, void *opaque)
{
	struct samples *samples = opaque;
	struct sample *sample, *list;

	if (disk->state == DISK_ADDING)
		return 0;
	list = realloc(samples->list, (samples->nr + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	samples->list = list;
	sample = &list[samples->nr++];
	memset(sample, 0, sizeof(*sample));
	sample->disk = *disk;
	if (stats_read(disk->id, disk->nonce, &sample->stats))
		memset(&sample->stats, 0, sizeof(sample->stats));
	sample->server_memory = memory_of(&disk->server);
	sample->supervisor_memory = memory_of(&disk->supervisor);
	return 0;
}

/* Both are in order of ids. */
static void compare(struct samples *now, const struct samples *before)
{
	size_t i, old = 0;

	for (i = 0; i < now->nr; i++) {
		struct sample *sample = &now->list[i];

		while (old < before->nr &&
		       before->list[old].disk.id < sample->disk.id)
			old++;
		if (old == before->nr ||
		    before->list[old].disk.nonce != sample->disk.nonce)
			continue;
		sample->has_before = true;
		sample->before = before->list[old].stats;
	}
}

/* One disk, or with NULL all. */
static int take(const char *dev, struct samples *samples)
{
	struct disk disk;

	memset(samples, 0, sizeof(*samples));
	if (!dev)
		return disk_each(add_sample, samples);
	return disk_find_wide(dev, &disk) ? -ENODEV :
					    add_sample(&disk, samples);
}

/* ---- where they go ---- */

static int put_stdout(put_function *put, const struct samples *samples)
{
	int ret = put(stdout, samples);

	if (!ret && fflush(stdout))
		ret = -errno;
	return ret;
}

static int put_open(int fd, put_function *put, const struct samples *samples)
{
	FILE *file = fdopen(fd, "w");
	int ret = file ? put(file, samples) : -errno;

	if (!file)
		close(fd);
	else if (fclose(file) && !ret)
		ret = -errno;
	return ret;
}

static bool is_stream(const struct stat *st)
{
	return S_ISCHR(st->st_mode) || S_ISFIFO(st->st_mode);
}

/* A name may lead elsewhere by now. */
static int put_stream(const char *path, put_function *put,
		      const struct samples *samples)
{
	int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && is_stream(&st))
		return put_open(fd, put, samples);
	close(fd);
	return -EINVAL;
}

/* A reader sees the old file or the new one. */
static int put_file(const char *path, put_function *put,
		    const struct samples *samples)
{
	char new[PATH_MAX + 16];
	int fd, ret;

	snprintf(new, sizeof(new), "%s.%d", path, (int)getpid());
	fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	ret = put_open(fd, put, samples);
	if (!ret && rename(new, path))
		ret = -errno;
	if (ret)
		unlink(new);
	return ret;
}

static bool is_link(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && S_ISLNK(st.st_mode);
}

/* A new file would take the place of a device, a pipe, or a link such as
   /dev/stdout.  A link is not followed to a file: somebody else may have put
   the link there. */
static int put_output(const char *path, put_function *put,
		      const struct samples *samples)
{
	struct stat st;

	if (stat(path, &st) || S_ISREG(st.st_mode))
		return is_link(path) ? -ELOOP : put_file(path, put, samples);
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return is_stream(&st) ? put_stream(path, put, samples) : -EINVAL;
}

static int put_round(const struct options *options, put_function *put,
		     const struct samples *samples)
{
	if (*options->output)
		return put_output(options->output, put, samples);
	if (options->watch && put == stat_put_text && isatty(STDOUT_FILENO))
		fputs(CLEAR, stdout);
	return put_stdout(put, samples);
}

static int complain_of(const struct options *options, int error)
{
	if (ferror(stdout)) {
		clearerr(stdout);
		return complain("writing the output: %s", strerror(-error));
	}
	if (error == -ENODEV)
		return complain("%s: no such disk; see 'ublk-qcow2 list'",
				options->subject);
	if (error == -EINVAL && *options->output)
		return complain("%s: is neither a file nor a pipe nor a "
				"character device",
				options->output);
	if (error == -ELOOP && *options->output)
		return complain("%s: is a link; name the file itself",
				options->output);
	return complain("%s: %s",
			*options->output ? options->output : STATE_DIR,
			strerror(-error));
}

static int run(const struct options *options, put_function *put)
{
	const struct timespec interval = { .tv_sec = INTERVAL };
	struct samples now, before = { 0 };
	int ret;

	do {
		ret = take(options->subject, &now);
		if (!ret) {
			compare(&now, &before);
			ret = put_round(options, put, &now);
		}
		free(before.list);
		before = now;
	} while (!ret && options->watch && !nanosleep(&interval, NULL));
	free(before.list);
	return ret ? complain_of(options, ret) : EXIT_SUCCESS;
}

int command_stat(const struct options *options)
{
	int status;

	status = run(options, options->json	   ? stat_put_json :
			      options->openmetrics ? stat_put_metrics :
						     stat_put_text);
	if (!options->subject)
		disk_each_unreadable(command_unreadable, &status);
	return complain_of_output(status);
}
