/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines for the user: a command writes them to stderr, a supervisor to the
 * system's log (P7).
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <syslog.h>

/* The cause of the last error that this process has logged or complained of,
   without the disk's name, for the status of a unit; "": none. */
const char *log_last_error(void);

/* From now on log_line() goes to the system's log instead of stderr. */
void log_to_system(void);

/* If stderr is systemd's journal: lines there get their priority, too. */
void log_to_journal(void);

/* Every line from now on begins with this device, if it is not negative, and
   image. */
void log_about(int id, const char *image);

/* Says one line; priority is one of syslog's. */
void log_line(int priority, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Closes the descriptor that log_line() may have opened. */
void log_close(void);

/* A command's one line about its failure, on stderr; returns 1, which is
   the command's exit status. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same about a disk or a file, which the line names before the cause. */
int complain_about(const char *subject, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* From now on a complaint is the cause alone, without the names of program and
   disk: for a program that names them itself. */
void complain_briefly(void);

#endif /* LOG_H */
