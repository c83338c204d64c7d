// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tables by libsmartcols, the library of the tools of util-linux.
 *
 * A pipe gets the same table as a terminal.  The library encodes bytes that are
 * no characters in the locale: without that its search for their width never
 * ends.
 */
#include <errno.h>
#include <libsmartcols.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/common/table.h"
#include "plugin/common/text.h"

struct table {
	struct libscols_table *lines;
	size_t nr_columns;
	bool filled;
};

int table_new(const struct table_column *columns, size_t nr,
	      struct table **made)
{
	struct table *table = calloc(1, sizeof(*table));
	size_t i;

	if (table)
		table->lines = scols_new_table();
	if (!table || !table->lines) {
		free(table);
		return -ENOMEM;
	}
	table->nr_columns = nr;
	for (i = 0; i < nr; i++)
		if (!scols_table_new_column(table->lines, columns[i].heading, 0,
					    columns[i].right ? SCOLS_FL_RIGHT :
							       0)) {
			table_free(table);
			return -ENOMEM;
		}
	*made = table;
	return 0;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	scols_unref_table(table->lines);
	free(table);
}

static int set_text(struct libscols_line *line, size_t column, const char *text)
{
	char *tamed = strdup(*text ? text : "-");

	if (!tamed)
		return -ENOMEM;
	text_tame(tamed);
	/* The line owns the text from here on. */
	return scols_line_refer_data(line, column, tamed);
}

int table_add(struct table *table, const char *const *texts)
{
	struct libscols_line *line = scols_table_new_line(table->lines, NULL);
	size_t i;
	int ret = line ? 0 : -ENOMEM;

	for (i = 0; i < table->nr_columns && !ret; i++)
		ret = set_text(line, i, texts[i]);
	table->filled = true;
	return ret;
}

int table_print_to(struct table *table, FILE *file)
{
	if (!table->filled)
		return 0;
	/* The locale tells how wide a character is. */
	setlocale(LC_CTYPE, "");
	scols_table_set_stream(table->lines, file);
	return scols_print_table(table->lines);
}

int table_print(struct table *table)
{
	return table_print_to(table, stdout);
}
