/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The name of an I/O thread, by which the supervisor finds it.
 */
#ifndef QUEUE_NAME_H
#define QUEUE_NAME_H

#include <stdio.h>

#define QUEUE_NAME	  "queue" /* of the first one, and how all begin */
#define QUEUE_NAME_LENGTH 16	  /* the kernel's limit */

static inline void queue_name(unsigned int number, char name[QUEUE_NAME_LENGTH])
{
	if (number)
		snprintf(name, QUEUE_NAME_LENGTH, QUEUE_NAME "%u",
			 number % 1000);
	else
		snprintf(name, QUEUE_NAME_LENGTH, QUEUE_NAME);
}

#endif /* QUEUE_NAME_H */
