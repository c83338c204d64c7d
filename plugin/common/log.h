/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines for the user: a command writes them to stderr, a supervisor to the
 * system's log (P7), where the journal gets fields with them.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <syslog.h>

#include "plugin/common/disk-event.h"

struct disk;

/* The cause of the last error that this process has logged or complained of,
   without the disk's name, for the status of a unit; "": none. */
const char *log_last_error(void);

/* From now on log_line() goes to the system's log instead of stderr. */
void log_to_system(void);

/* If stderr is systemd's journal: lines there get their priority and fields,
   too. */
void log_to_journal(void);

/* Every line from now on begins with this disk's device, if its id is not
   negative, and image. */
void log_about(const struct disk *disk);

/* Says one line; priority is one of syslog's. */
void log_line(int priority, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The one line about an event of the disk, with that event's priority. */
void log_event(enum disk_event event, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Writes one line about a domain of libvirt's; the line begins with the name of
   the domain. */
void log_of_domain(int priority, const char *domain, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Closes the descriptor that log_line() may have opened. */
void log_close(void);

/* A command's one line about its failure, on stderr; returns 1, which is
   the command's exit status. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same about a disk or a file, which the line names before the cause. */
int complain_about(const char *subject, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A command's one line about its success, on stdout, at once. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The end of a command whose work is its output: its exit status, or 1 after a
   complaint if the output has not gone where it was to go. */
int complain_of_output(int status);

/* From now on a line on stderr is the cause alone, without the names of program
   and disk: for a program that names them itself. */
void complain_briefly(void);

#endif /* LOG_H */
