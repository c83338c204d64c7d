// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /etc/ublk-qcow2/directories, a rule a line:
 *
 *	/DIRECTORY		any image may name backing files below it
 *	data-files /DIRECTORY	and data files, which are written, too
 *	own-directory no	no image may name a file beside it
 *
 * Empty lines, and those that begin with #, are comments.  A line without a
 * meaning is an error, since an admin relies on every line.
 *
 * The file is read when a disk is made.  Its rules of that moment hold for as
 * long as the disk exists, whichever server opens the files of the disk.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plugin/common/references.h"

#define FILE_NAME "/etc/ublk-qcow2/directories"
#define BLANKS	  " \t\r\n"

struct list {
	const char **entries;
	size_t count;
};

/* The environment is for tests. */
static const char *file_name(void)
{
	const char *name = getenv("UBLK_QCOW2_DIRECTORIES");

	return name ? name : FILE_NAME;
}

static int __attribute__((format(printf, 3, 4)))
fail(struct qcow_error *error, int ret, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return ret;
}

/* NULL ends the list. */
static int append(struct list *list, const char *text)
{
	char *copy = text ? strdup(text) : NULL;
	const char **entries;

	entries = reallocarray(list->entries, list->count + 1,
			       sizeof(*entries));
	if (!entries || (text && !copy)) {
		free(copy);
		return -ENOMEM;
	}
	entries[list->count++] = copy;
	list->entries = entries;
	return 0;
}

struct reader {
	struct list directories, data_directories;
	bool not_beside;
};

/* -EINVAL: the line has no meaning. */
static int take_line(struct reader *reader, char *line)
{
	static const char data_files[] = "data-files";
	size_t length;

	line += strspn(line, BLANKS);
	length = strlen(line);
	while (length && strchr(BLANKS, line[length - 1]))
		line[--length] = '\0';
	if (!*line || *line == '#')
		return 0;
	if (*line == '/')
		return append(&reader->directories, line);
	if (!strcmp(line, "own-directory no")) {
		reader->not_beside = true;
		return 0;
	}
	length = strlen(data_files);
	if (strncmp(line, data_files, length) || !line[length] ||
	    !strchr(BLANKS, line[length]))
		return -EINVAL;
	line += length + strspn(line + length, BLANKS);
	return *line == '/' ? append(&reader->data_directories, line) : -EINVAL;
}

static int take_file(struct reader *reader, FILE *file,
		     struct qcow_error *error)
{
	unsigned int number = 0;
	char *line = NULL;
	size_t size = 0;
	int ret = 0;

	errno = 0;
	while (!ret && getline(&line, &size, file) >= 0) {
		number++;
		ret = take_line(reader, line);
		if (ret == -EINVAL)
			fail(error, ret,
			     "%s:%u: '%.100s' is none of: /DIRECTORY, "
			     "data-files /DIRECTORY, own-directory no",
			     file_name(), number, line);
		else if (ret)
			fail(error, ret, "%s: %s", file_name(), strerror(-ret));
	}
	/* The lines that cannot be read may forbid something. */
	if (!ret && !feof(file)) {
		ret = errno ? -errno : -EIO;
		fail(error, ret, "%s: %s", file_name(), strerror(-ret));
	}
	free(line);
	return ret;
}

int references_read(const struct disk_options *options,
		    struct qcow_references *references,
		    struct qcow_error *error)
{
	struct reader reader = { .not_beside = false };
	FILE *file = fopen(file_name(), "re");
	int ret = 0;

	*references = (struct qcow_references){ .none = true };
	if (!file && errno != ENOENT)
		return fail(error, -errno, "%s: %s", file_name(),
			    strerror(errno));
	if (file) {
		ret = take_file(&reader, file, error);
		fclose(file);
	}
	if (append(&reader.directories, NULL) ||
	    append(&reader.data_directories, NULL))
		ret = fail(error, -ENOMEM, "out of memory");
	*references = (struct qcow_references){
		.directories = reader.directories.entries,
		.data_directories = reader.data_directories.entries,
		.data_file = disk_data_file(options),
		.not_beside = reader.not_beside,
		.none = options->no_references,
	};
	return ret;
}

static void free_list(const char *const *list)
{
	const char *const *entry;

	for (entry = list; entry && *entry; entry++)
		free((char *)*entry);
	free((void *)list);
}

void references_free(struct qcow_references *references)
{
	free_list(references->directories);
	free_list(references->data_directories);
	references->directories = references->data_directories = NULL;
}
