// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The contents of a file disks.d/NAME.conf.
 *
 * A line is `key = value`, empty, or a comment, which begins with #.  A value
 * is the rest of its line without blanks around it: no quotes, no escapes, no
 * comment behind it, since an image's path may hold any of these characters.
 * The table keys[] is the whole language.  Every key may be given once.
 *
 * The file is read whole, bounded, and only if it is a regular one: a pipe
 * must not keep a boot waiting.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/common/conf.h"
#include "plugin/common/disk-number.h"

#define FILE_SIZE_MAX (64 * 1024)
#define BLANKS	      " \t\r\v\f"

enum kind {
	PATH,	/* absolute; char[PATH_MAX] in struct conf */
	NUMBER, /* long in struct conf */
	COUNT,	/* unsigned int in struct conf */
	FLAG,	/* bool in struct conf: yes or no */
	CACHE,	/* the same: writeback or none */
	OTHER,	/* a disk_number of this name */
};

enum key_id {
	IMAGE,
	ID,
	QUEUES,
	DEPTH,
	READ_ONLY,
	CACHE_MODE,
	KEY_FILE,
	DATA_FILE,
	NO_REFERENCES,
	CONFINED,
	SOUND_KERNEL,
	WATCHDOG,
	IOPS,
	BANDWIDTH,
	CACHE_SIZE,
	WORKERS,
	NR_KEYS
};

/* clang-format off */
static const struct key {
	const char *name;
	enum kind kind;
	size_t offset;		/* in struct conf */
	long min, max;		/* of a number; max 0: the processors */
} keys[NR_KEYS] = {
	[IMAGE] = { "image", PATH, offsetof(struct conf, image), 0, 0 },
	[ID] = { "id", NUMBER, offsetof(struct conf, request.id),
		 0, DISK_ID_MAX },
	[QUEUES] = { "queues", COUNT, offsetof(struct conf, request.options.queues),
		     1, 0 },
	[DEPTH] = { "depth", COUNT, offsetof(struct conf, request.options.depth),
		    1, DISK_DEPTH_MAX },
	[READ_ONLY] = { "read-only", FLAG,
			offsetof(struct conf, request.options.read_only), 0, 0 },
	[CACHE_MODE] = { "cache", CACHE,
			 offsetof(struct conf, request.options.writeback), 0, 0 },
	[KEY_FILE] = { "key-file", PATH,
		       offsetof(struct conf, request.options.key_file), 0, 0 },
	[DATA_FILE] = { "data-file", PATH,
			offsetof(struct conf, request.options.data_file), 0, 0 },
	[NO_REFERENCES] = { "no-references", FLAG,
			    offsetof(struct conf, request.options.no_references),
			    0, 0 },
	[CONFINED] = { "confined", FLAG,
		       offsetof(struct conf, request.options.confined), 0, 0 },
	[SOUND_KERNEL] = { "sound-kernel", FLAG,
			   offsetof(struct conf, request.options.sound_kernel),
			   0, 0 },
	[WATCHDOG] = { "watchdog", OTHER, 0, 0, 0 },
	[IOPS] = { "iops", OTHER, 0, 0, 0 },
	[BANDWIDTH] = { "bandwidth", OTHER, 0, 0, 0 },
	[CACHE_SIZE] = { "cache-size", OTHER, 0, 0, 0 },
	[WORKERS] = { "workers", OTHER, 0, 0, 0 },
};
/* clang-format on */

/* One file, while it is read. */
struct reader {
	struct conf *conf;
	char *text; /* of the error */
	unsigned int line;
	unsigned int seen[NR_KEYS]; /* in which line; 0: not yet */
};

static int __attribute__((format(printf, 2, 3)))
reject(const struct reader *reader, const char *format, ...)
{
	va_list args;
	int length;

	if (reader->line)
		length = snprintf(reader->text, CONF_TEXT_MAX,
				  "%.*s:%u: ", CONF_TEXT_MAX / 2,
				  reader->conf->path, reader->line);
	else
		length = snprintf(reader->text, CONF_TEXT_MAX,
				  "%.*s: ", CONF_TEXT_MAX / 2,
				  reader->conf->path);
	va_start(args, format);
	vsnprintf(reader->text + length, CONF_TEXT_MAX - length, format, args);
	va_end(args);
	return -EINVAL;
}

/* Not the file's fault, so that nobody takes it for wrong.  That a link leads
   nowhere is. */
static int cannot_read(const struct reader *reader, int error)
{
	reject(reader, "%s", strerror(error));
	return error == ENOENT ? -EINVAL : -error;
}

/* The values */

static long largest(const struct key *key)
{
	return key->max ? key->max : sysconf(_SC_NPROCESSORS_CONF);
}

static void describe(const struct key *key, char *text, size_t size)
{
	assert(size >= DISK_NUMBER_TEXT_MAX);
	if (key->kind == PATH)
		snprintf(text, size, "an absolute path, without quotes");
	else if (key->kind == FLAG)
		snprintf(text, size, "yes, no");
	else if (key->kind == CACHE)
		snprintf(text, size, "none, writeback");
	else if (key->kind == OTHER)
		disk_number_describe(disk_number_of_key(key->name), text);
	else
		snprintf(text, size, "a number from %ld to %ld%s", key->min,
			 largest(key),
			 key->max ? "" : ", how many processors there are");
}

static bool take_path(const char *value, char path[PATH_MAX])
{
	if (*value != '/' || strlen(value) >= PATH_MAX)
		return false;
	strcpy(path, value);
	return true;
}

static bool take_number(const struct key *key, const char *value, long *number)
{
	char *end;

	if (strspn(value, "0123456789") != strlen(value))
		return false;
	errno = 0;
	*number = strtol(value, &end, 10);
	return !errno && *number >= key->min && *number <= largest(key);
}

static bool take_count(const struct key *key, const char *value,
		       unsigned int *count)
{
	long number;

	if (!take_number(key, value, &number))
		return false;
	*count = number;
	return true;
}

static bool take_choice(const char *value, const char *yes, const char *no,
			bool *choice)
{
	*choice = !strcmp(value, yes);
	return *choice || !strcmp(value, no);
}

static bool take_value(const struct key *key, const char *value,
		       struct conf *conf)
{
	void *member = (char *)conf + key->offset;

	switch (key->kind) {
	case PATH:
		return take_path(value, member);
	case NUMBER:
		return take_number(key, value, member);
	case COUNT:
		return take_count(key, value, member);
	case FLAG:
		return take_choice(value, "yes", "no", member);
	case OTHER:
		return disk_number_take(disk_number_of_key(key->name), value,
					&conf->request.options);
	default:
		return take_choice(value, "writeback", "none", member);
	}
}

/* The lines */

static int reject_key(const struct reader *reader, const char *name)
{
	char names[256] = "";
	size_t i;

	for (i = 0; i < NR_KEYS; i++) {
		strcat(names, i ? ", " : "");
		strcat(names, keys[i].name);
	}
	return reject(reader, "'%.64s' is no key; allowed are %s", name, names);
}

static int take_assignment(struct reader *reader, const char *name,
			   const char *value)
{
	char allowed[128];
	size_t i;

	for (i = 0; i < NR_KEYS; i++)
		if (!strcmp(name, keys[i].name))
			break;
	if (i == NR_KEYS)
		return reject_key(reader, name);
	if (reader->seen[i])
		return reject(reader, "%s: is in line %u already", name,
			      reader->seen[i]);
	reader->seen[i] = reader->line;
	if (*value && take_value(&keys[i], value, reader->conf))
		return 0;
	describe(&keys[i], allowed, sizeof(allowed));
	return reject(reader, "%s: '%.128s' is no value for it; allowed: %s",
		      name, value, allowed);
}

/* Without the blanks on either side. */
static char *strip(char *text)
{
	size_t length;

	text += strspn(text, BLANKS);
	length = strlen(text);
	while (length && strchr(BLANKS, text[length - 1]))
		length--;
	text[length] = '\0';
	return text;
}

bool conf_is_image_line(const char *line)
{
	const char *key = keys[IMAGE].name;

	line += strspn(line, BLANKS);
	if (strncmp(line, key, strlen(key)))
		return false;
	line += strlen(key);
	return line[strspn(line, BLANKS)] == '=';
}

bool conf_can_name(const char *path)
{
	return *path && !strchr(path, '\n') &&
	       !strchr(BLANKS, path[strlen(path) - 1]);
}

static int take_line(struct reader *reader, char *line)
{
	char *value;

	line = strip(line);
	if (!*line || *line == '#')
		return 0;
	value = strchr(line, '=');
	if (!value)
		return reject(reader, "'%.64s' is no 'key = value'", line);
	*value++ = '\0';
	return take_assignment(reader, strip(line), strip(value));
}

static int take_lines(struct reader *reader, char *lines)
{
	char *line;
	int ret;

	while ((line = strsep(&lines, "\n"))) {
		reader->line++;
		ret = take_line(reader, line);
		if (ret)
			return ret;
	}
	reader->line = 0;
	if (!reader->seen[IMAGE])
		return reject(reader, "image: is missing; allowed: the "
				      "absolute path of an image");
	return 0;
}

/* The file */

static int read_text(const struct reader *reader, int fd,
		     char text[FILE_SIZE_MAX + 2])
{
	size_t length = 0;
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return reject(reader, "is no regular file");
	do {
		got = read(fd, text + length, FILE_SIZE_MAX + 1 - length);
		if (got < 0)
			return cannot_read(reader, errno);
		length += got;
	} while (got && length <= FILE_SIZE_MAX);
	if (length > FILE_SIZE_MAX)
		return reject(reader, "is longer than %d bytes", FILE_SIZE_MAX);
	text[length] = '\0';
	if (strlen(text) != length)
		return reject(reader, "holds a zero byte, so it is no text");
	return 0;
}

static int read_lines(struct reader *reader, int fd)
{
	char *lines = malloc(FILE_SIZE_MAX + 2);
	int ret;

	if (!lines)
		return cannot_read(reader, ENOMEM);
	ret = read_text(reader, fd, lines);
	if (!ret)
		ret = take_lines(reader, lines);
	free(lines);
	return ret;
}

int conf_read_file(struct conf *conf, char text[CONF_TEXT_MAX])
{
	struct reader reader = { .conf = conf, .text = text };
	int fd = open(conf->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return cannot_read(&reader, errno);
	ret = read_lines(&reader, fd);
	close(fd);
	return ret;
}
