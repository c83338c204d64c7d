/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system's journal, if the machine has one: lines with fields.
 */
#ifndef JOURNALD_H
#define JOURNALD_H

#include <stdbool.h>
#include <stddef.h>

#define JOURNALD_ENTRY_MAX 16384

/* One entry, while it is composed.  Its length is 0 before the first field. */
struct journald_entry {
	size_t length;
	char bytes[JOURNALD_ENTRY_MAX];
};

/* Adds a field, one that is there already as well.  One for which there is no
   room is left out. */
void journald_add(struct journald_entry *entry, const char *name,
		  const char *value);

/* Sends the entry; see datagram_send(). */
int journald_send(const struct journald_entry *entry);

#endif /* JOURNALD_H */
