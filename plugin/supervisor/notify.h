/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells the service manager that started a supervisor: the disk is usable, how
 * the disk fares, the supervisor ends.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

/* From now on notify() speaks to the manager that started this process, if
   one did.  Programs that we start are not to speak in our name. */
void notify_open(void);

/* A program that this process becomes must speak to the same manager. */
void notify_keep(void);

enum notice {
	NOTIFY_STATUS,
	NOTIFY_READY,
	NOTIFY_STOPPING,
};

/* Tells that, and in a line for people how the disk fares.  Nothing depends
   on its arrival. */
void notify(enum notice notice, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* NOTIFY_H */
