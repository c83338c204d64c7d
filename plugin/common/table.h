/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table for people: a heading, and columns as wide as they have to be.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table;

struct table_column {
	const char *heading;
	bool right; /* numbers are aligned at the right */
};

/* Makes a table without lines; -ENOMEM.  table_free() takes NULL, too. */
int table_new(const struct table_column *columns, size_t nr,
	      struct table **table);
void table_free(struct table *table);

/* Adds a line with one text for each column, which is copied and tamed; an
   empty one is shown as -.  -ENOMEM. */
int table_add(struct table *table, const char *const *texts);

/* Prints the table.  A table without lines is not shown at all, as scripts
   expect. */
int table_print_to(struct table *table, FILE *file);

/* Prints the table on stdout. */
int table_print(struct table *table);

#endif /* TABLE_H */
