// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lines for the user, and where they go (P7).
 *
 * A command speaks on stderr, one line for one failure.  So does a supervisor
 * in the foreground.  A supervisor in the background speaks to the journal,
 * with fields, or without a journal to syslog.  Each line looks for the daemon
 * anew: the daemon may start later than the supervisor, or end.  Without a
 * daemon, or with one that does not take the line at once (datagram.c), a file
 * in /run takes the line.  /run is memory (tmpfs), so the file is bounded: a
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

#include "plugin/common/datagram.h"
#include "plugin/common/journald.h"
#include "plugin/common/log.h"
#include "plugin/common/owner.h"
#include "plugin/common/text.h"

#define NAME	     "ublk-qcow2"
#define SYSLOG	     "/dev/log"
#define LOG_PATH     "/run/ublk-qcow2.log"
#define LOG_PATH_OLD LOG_PATH ".old"
#define LOG_FILE_MAX (256 * 1024)
#define LOG_LINE_MAX 2048

static bool to_system;
static bool stderr_is_journal;
static bool has_disk;
static struct disk the_disk; /* if there is one */
static char prefix[LOG_LINE_MAX / 2];
static char last_error[LOG_LINE_MAX];
static bool brief;

const char *log_last_error(void)
{
	return last_error;
}

void log_to_system(void)
{
	to_system = true;
	openlog(NAME, LOG_PID, LOG_DAEMON);
	/* Reads a file, which may later lie on a disk that waits for us. */
	tzset();
}

/* sd-daemon(3): JOURNAL_STREAM names the file of the journal, since stderr may
   have been redirected meanwhile. */
void log_to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	stderr_is_journal = stream &&
			    sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
			    !fstat(STDERR_FILENO, &st) && st.st_dev == device &&
			    st.st_ino == inode;
}

void log_about(const struct disk *disk)
{
	the_disk = *disk;
	has_disk = true;
	if (disk->id < 0)
		snprintf(prefix, sizeof(prefix), "%.900s: ", disk->image);
	else
		snprintf(prefix, sizeof(prefix),
			 "/dev/ublkb%d (%.900s): ", disk->id, disk->image);
}

/* The fields of a line, besides the disk. */
struct subject {
	enum disk_event event;
	const char *domain; /* NULL: none */
};

/* ---- the journal ---- */

static void add_number(struct journald_entry *entry, const char *name,
		       int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	journald_add(entry, name, text);
}

static int add_domain(const struct owner *owner, void *entry)
{
	if (owner_is_using(owner, &the_disk))
		journald_add(entry, "DOMAIN", owner->domain);
	return 0;
}

/* A field may be there twice: a disk is found by its name and by its device. */
static void add_disk(struct journald_entry *entry)
{
	char device[32];

	journald_add(entry, "DISK", the_disk.name);
	snprintf(device, sizeof(device), "/dev/ublkb%d", the_disk.id);
	if (the_disk.id >= 0)
		journald_add(entry, "DISK", device);
	journald_add(entry, "IMAGE", the_disk.image);
	owner_each(add_domain, entry);
}

static int to_journal(const struct subject *of, int priority, const char *line)
{
	struct journald_entry entry = { .length = 0 };

	journald_add(&entry, "MESSAGE", line);
	add_number(&entry, "PRIORITY", priority);
	add_number(&entry, "SYSLOG_FACILITY", LOG_DAEMON >> 3);
	journald_add(&entry, "SYSLOG_IDENTIFIER", NAME);
	if (of->event != DISK_EVENT_NONE) {
		journald_add(&entry, "EVENT", disk_event_word(of->event));
		journald_add(&entry, "MESSAGE_ID", disk_event_id(of->event));
	}
	if (of->domain)
		journald_add(&entry, "DOMAIN", of->domain);
	if (has_disk)
		add_disk(&entry);
	return journald_send(&entry);
}

/* ---- syslog ---- */

/* The month is English for a process that has set no locale. */
static int to_syslog(int priority, const char *line)
{
	char text[LOG_LINE_MAX + 64], when[32];
	time_t now = time(NULL);
	struct tm tm;
	int ret;

	strftime(when, sizeof(when), "%b %e %T", localtime_r(&now, &tm));
	snprintf(text, sizeof(text), "<%d>%s " NAME "[%d]: %s",
		 LOG_DAEMON | priority, when, (int)getpid(), line);
	ret = datagram_send(SYSLOG, text, strlen(text));
	if (ret != -EPROTOTYPE)
		return ret;
	/* An old daemon takes a stream. */
	syslog(priority, "%s", line);
	return 0;
}

/* ---- a file ---- */

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

/* ---- a line ---- */

static void to_stderr(int priority, const char *line)
{
	if (stderr_is_journal)
		fprintf(stderr, "<%d>%s\n", priority, line);
	else
		fprintf(stderr, NAME ": %s\n", line);
}

/* A journal that takes no datagram may take nothing on stderr or at SYSLOG
   either, and there we would wait for it. */
static void send_line(const struct subject *of, int priority, const char *line)
{
	int ret = -ENOENT;

	if (to_system || stderr_is_journal)
		ret = to_journal(of, priority, line);
	if (ret == -EAGAIN)
		to_file(line);
	else if (ret && !to_system)
		to_stderr(priority, line);
	else if (ret && to_syslog(priority, line))
		to_file(line);
}

static void __attribute__((format(printf, 3, 0)))
tell(const struct subject *of, int priority, const char *format, va_list args)
{
	char line[LOG_LINE_MAX];
	size_t length;

	length = snprintf(line, sizeof(line), "%s", prefix);
	if (of->domain)
		length += snprintf(line + length, sizeof(line) - length,
				   "domain %.256s: ", of->domain);
	text_format(line + length, sizeof(line) - length, format, args);
	text_tame(line);
	if (priority <= LOG_ERR)
		strcpy(last_error, line + length);
	/* In brief, stderr is told the cause alone. */
	if (brief && !to_system && !stderr_is_journal)
		fprintf(stderr, "%s\n", line + length);
	else
		send_line(of, priority, line);
}

void log_line(int priority, const char *format, ...)
{
	const struct subject of = { .event = DISK_EVENT_NONE };
	va_list args;

	va_start(args, format);
	tell(&of, priority, format, args);
	va_end(args);
}

void log_event(enum disk_event event, const char *format, ...)
{
	const struct subject of = { .event = event };
	va_list args;

	va_start(args, format);
	tell(&of, disk_event_priority(event), format, args);
	va_end(args);
}

void log_of_domain(int priority, const char *domain, const char *format, ...)
{
	const struct subject of = { .domain = domain };
	va_list args;

	va_start(args, format);
	tell(&of, priority, format, args);
	va_end(args);
}

void log_close(void)
{
	closelog();
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
	fprintf(stderr, "%s%s\n", brief ? "" : NAME ": ", line);
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

void say(const char *format, ...)
{
	char line[5 * LOG_LINE_MAX]; /* two paths */
	va_list args;

	va_start(args, format);
	text_format(line, sizeof(line), format, args);
	va_end(args);
	text_tame(line);
	puts(line);
	fflush(stdout);
}

void complain_briefly(void)
{
	brief = true;
}

int complain_of_output(int status)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	complain("writing the output: %s",
		 errno ? strerror(errno) : "a part of it is missing");
	return status ? status : EXIT_FAILURE;
}
