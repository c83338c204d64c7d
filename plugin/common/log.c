// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lines for the user, and where they go (P7).
 *
 * A command speaks on stderr, one line for one failure.  So does a supervisor
 * in the foreground.  A supervisor in the background speaks to syslog if a
 * daemon listens at /dev/log.  Each line looks for the daemon anew: the daemon
 * may start later than the supervisor, or end.  Without a daemon, a file in
 * /run takes the lines.  /run is memory (tmpfs), so the file is bounded: a
 * full file is put aside as .old, and a new one begins.
 *
 * Each line of a supervisor names its device and image.  Names
 * and texts come from outside, some from images (P6): a line stays one line,
 * and no control character of theirs reaches a terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/common/text.h"

#define LOG_PATH     "/run/ublk-qcow2.log"
#define LOG_PATH_OLD LOG_PATH ".old"
#define LOG_FILE_MAX (256 * 1024)
#define LOG_LINE_MAX 2048

static bool to_system;
static bool to_journal;
static char subject[LOG_LINE_MAX / 2];
static char last_error[LOG_LINE_MAX];
static bool brief;

const char *log_last_error(void)
{
	return last_error;
}

void log_to_system(void)
{
	to_system = true;
	openlog("ublk-qcow2", LOG_PID, LOG_DAEMON);
}

/* sd-daemon(3): JOURNAL_STREAM names the file of the journal, since stderr may
   have been redirected meanwhile. */
void log_to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	to_journal = stream &&
		     sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
		     !fstat(STDERR_FILENO, &st) && st.st_dev == device &&
		     st.st_ino == inode;
}

void log_about(int id, const char *image)
{
	if (id < 0)
		snprintf(subject, sizeof(subject), "%.900s: ", image);
	else
		snprintf(subject, sizeof(subject),
			 "/dev/ublkb%d (%.900s): ", id, image);
}

/* One write to a file opened for appending: lines of several supervisors
   do not mix. */
static void to_file(const char *line)
{
	char text[LOG_LINE_MAX + 64], when[32];
	time_t now = time(NULL);
	struct stat st;
	struct tm tm;
	int fd, length;

	if (!stat(LOG_PATH, &st) && st.st_size > LOG_FILE_MAX)
		rename(LOG_PATH, LOG_PATH_OLD);
	fd = open(LOG_PATH, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	strftime(when, sizeof(when), "%FT%TZ", gmtime_r(&now, &tm));
	length = snprintf(text, sizeof(text), "%s [%d] %s\n", when,
			  (int)getpid(), line);
	/* No place is left for a complaint about a failure. */
	if (write(fd, text, length) < 0)
		errno = 0;
	close(fd);
}

void log_line(int priority, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	size_t length;
	va_list args;

	length = snprintf(line, sizeof(line), "%s", subject);
	va_start(args, format);
	text_format(line + length, sizeof(line) - length, format, args);
	va_end(args);
	text_tame(line);
	if (priority <= LOG_ERR)
		strcpy(last_error, line + length);

	if (!to_system && to_journal)
		fprintf(stderr, "<%d>%s\n", priority, line);
	else if (!to_system)
		fprintf(stderr, "ublk-qcow2: %s\n", line);
	else if (!access("/dev/log", W_OK))
		syslog(priority, "%s", line);
	else
		to_file(line);
}

void log_close(void)
{
	closelog();
}

void complain_briefly(void)
{
	brief = true;
}

static int put_complaint(const char *about, const char *format, va_list args)
{
	char cause[LOG_LINE_MAX], line[2 * LOG_LINE_MAX];

	text_format(cause, sizeof(cause), format, args);
	text_tame(cause);
	strcpy(last_error, cause);
	if (brief)
		about = "";
	snprintf(line, sizeof(line), "%s%s%s", about, *about ? ": " : "",
		 cause);
	text_tame(line);
	fprintf(stderr, "%s%s\n", brief ? "" : "ublk-qcow2: ", line);
	return EXIT_FAILURE;
}

int complain(const char *format, ...)
{
	va_list args;
	int status;

	va_start(args, format);
	status = put_complaint("", format, args);
	va_end(args);
	return status;
}

int complain_about(const char *about, const char *format, ...)
{
	va_list args;
	int status;

	va_start(args, format);
	status = put_complaint(about, format, args);
	va_end(args);
	return status;
}
