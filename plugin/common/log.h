/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines for the user: a command writes them to stderr, a supervisor to the
 * system's log (P7).
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <syslog.h>

/* The last error that this process has logged or complained of, for the status
   of its unit; "": none. */
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

#endif /* LOG_H */
