// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The names of an open, by orders to the clerk: the server's side.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "plugin/server/clerk-inside.h"
#include "plugin/server/server.h"

/* -ENAMETOOLONG: nobody has a file of that name. */
static int put_text(char text[PATH_MAX], const char *value)
{
	return snprintf(text, PATH_MAX, "%s", value) < PATH_MAX ? 0 :
								  -ENAMETOOLONG;
}

/* An order about a path. */
static int order_about(void *clerk, struct order *order, const char *path,
		       struct answer *answer)
{
	int ret = put_text(order->path, path);

	return ret ? ret : clerk_give_order(clerk, order, NULL, answer);
}

static int take_text(const struct answer *answer, char **text)
{
	*text = strndup(answer->path, PATH_MAX - 1);
	return *text ? 0 : -ENOMEM;
}

/*
 * Files whose names do not come from the image: the server may open these
 * itself as long as it has not read a byte.  The journal is that of the disk's
 * own file, so nobody has it to whom the clerk would not give it.  To open it
 * before the fence is harmless (R14): it is not read before.
 */

static void hold(struct clerk *clerk, char *path, int flags)
{
	int fd = path ? open(path, flags) : -1;

	if (fd < 0)
		free(path);
	else
		clerk->held[clerk->nr_held++] = (struct held){ path, flags,
							       fd };
}

void clerk_hold_files(struct clerk *clerk, const struct server_config *config)
{
	const struct qcow_identity *image = &config->identity;
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;

	if (config->options->read_only)
		return;
	hold(clerk, strdup(QCOW_BOOT_ID), O_RDONLY | O_CLOEXEC);
	hold(clerk, qcow_journal_path(image, QCOW_JOURNAL_DIR, "journal"),
	     flags);
	hold(clerk, qcow_journal_path(image, QCOW_JOURNAL_DIR, "life"), flags);
}

/* -1: that file is not held, or its name is gone. */
static int take_held(struct clerk *clerk, const char *path, int flags)
{
	for (unsigned int i = 0; i < clerk->nr_held; i++) {
		struct held *held = &clerk->held[i];
		int fd = held->fd;
		struct stat st;

		if (fd < 0 || flags != held->flags ||
		    strcmp(path, held->path) || fstat(fd, &st) < 0 ||
		    !st.st_nlink)
			continue;
		held->fd = -1;
		return fd;
	}
	return -1;
}

void clerk_names_end(struct clerk *clerk)
{
	while (clerk->nr_held) {
		struct held *held = &clerk->held[--clerk->nr_held];

		if (held->fd >= 0)
			close(held->fd);
		free(held->path);
	}
}

static int look(void *opaque, const char *path, struct stat *st)
{
	struct order order = { .action = LOOK_AT_FILE };
	struct answer answer;
	int ret = order_about(opaque, &order, path, &answer);

	if (!ret)
		*st = answer.st;
	return ret;
}

static int look_at_open(void *opaque, int fd, struct stat *st,
			struct qcow_identity *identity)
{
	const struct order order = { .action = LOOK_AT_OPEN };
	const struct packet with = { .fds = { fd }, .nr_fds = 1 };
	struct answer answer;
	int ret = clerk_give_order(opaque, &order, &with, &answer);

	if (!ret) {
		*st = answer.st;
		*identity = answer.identity;
	}
	return ret;
}

static int open_file(void *opaque, const char *path, int flags)
{
	struct order order = { .action = OPEN_FILE, .flags = flags };
	struct answer answer;
	int fd = take_held(opaque, path, flags);

	return fd < 0 ? order_about(opaque, &order, path, &answer) : fd;
}

static int open_again(void *opaque, int fd, int flags)
{
	const struct order order = { .action = OPEN_AGAIN, .flags = flags };
	const struct packet with = { .fds = { fd }, .nr_fds = 1 };
	struct answer answer;

	return clerk_give_order(opaque, &order, &with, &answer);
}

static int settle(void *opaque, const char *path, char **settled)
{
	struct order order = { .action = SETTLE };
	struct answer answer;
	int ret = order_about(opaque, &order, path, &answer);

	return ret ? ret : take_text(&answer, settled);
}

static int resolve(void *opaque, const char *from, enum qcow_reference kind,
		   const char *name, char **path, struct qcow_error *error)
{
	struct order order = { .action = RESOLVE, .kind = kind };
	struct answer answer = { .error.text = "" };
	int ret = put_text(order.name, name);

	if (!ret)
		ret = order_about(opaque, &order, from, &answer);
	if (!ret)
		ret = take_text(&answer, path);
	if (ret && error)
		snprintf(error->text, sizeof(error->text), "%s",
			 *answer.error.text ? answer.error.text :
					      strerror(-ret));
	return ret;
}

static int set_aside(void *opaque, const char *directory)
{
	struct order order = { .action = SET_ASIDE };
	struct answer answer;

	return order_about(opaque, &order, directory, &answer);
}

static int link_file(void *opaque, int fd, const char *path)
{
	struct order order = { .action = LINK };
	const struct packet with = { .fds = { fd }, .nr_fds = 1 };
	struct answer answer;
	int ret = put_text(order.path, path);

	return ret ? ret : clerk_give_order(opaque, &order, &with, &answer);
}

static int remove_file(void *opaque, const char *path)
{
	struct order order = { .action = REMOVE };
	struct answer answer;

	return order_about(opaque, &order, path, &answer);
}

static int list(void *opaque, const char *directory, const char *prefix,
		unsigned int number, char name[NAME_MAX + 1])
{
	struct order order = { .action = LIST, .number = number };
	struct answer answer;
	int ret = put_text(order.name, prefix);

	if (!ret)
		ret = order_about(opaque, &order, directory, &answer);
	if (!ret)
		snprintf(name, NAME_MAX + 1, "%.*s", NAME_MAX, answer.path);
	return ret;
}

static int start_reader(void *opaque, const struct qcow_reader *reader)
{
	struct order order = { .action = START_READER, .reader = *reader };
	const struct packet with = {
		.fds = { reader->image, reader->memory, reader->control,
			 reader->data },
		.nr_fds = 4,
	};
	struct answer answer;
	int ret = clerk_give_order(opaque, &order, &with, &answer);

	explicit_bzero(&order.reader, sizeof(order.reader));
	return ret;
}

void clerk_names_init(struct clerk *clerk)
{
	clerk->names = (struct qcow_names){
		.opaque = clerk,
		.look = look,
		.look_at_open = look_at_open,
		.open = open_file,
		.open_again = open_again,
		.settle = settle,
		.resolve = resolve,
		.set_aside = set_aside,
		.link = link_file,
		.remove = remove_file,
		.list = list,
		.start_reader = start_reader,
	};
}
