// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The names of an open, by orders to a clerk: the reader's side.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plugin/common/orders.h"

int orders_send(int socket, const struct order *order,
		const struct packet *with)
{
	struct packet packet = with ? *with : (struct packet){ 0 };

	packet.bytes = (void *)order;
	packet.length = sizeof(*order);
	return packet_send(socket, &packet);
}

int orders_hear(int socket, struct answer *answer, size_t length, int *fd)
{
	struct packet packet = {
		.bytes = answer,
		.length = length,
	};
	ssize_t got;

	if (!fd)
		got = packet_receive_plain(socket, &packet);
	else
		while ((got = packet_receive(socket, &packet)) == 1)
			if (packet.nr_fds)
				*fd = packet.fds[0];
	if (got < 0)
		return got;
	return got == (ssize_t)length ? answer->result : -EPIPE;
}

static int give(void *opaque, const struct order *order,
		const struct packet *with, struct answer *answer)
{
	struct orders *orders = opaque;

	return orders->give(orders, order, with, answer);
}

/* -ENAMETOOLONG: nobody has a file of that name. */
static int put_text(char text[PATH_MAX], const char *value)
{
	return snprintf(text, PATH_MAX, "%s", value) < PATH_MAX ? 0 :
								  -ENAMETOOLONG;
}

/* An order about a path. */
static int order_about(void *opaque, struct order *order, const char *path,
		       struct answer *answer)
{
	int ret = put_text(order->path, path);

	return ret ? ret : give(opaque, order, NULL, answer);
}

static int take_text(const struct answer *answer, char **text)
{
	*text = strndup(answer->path, PATH_MAX - 1);
	return *text ? 0 : -ENOMEM;
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
	int ret = give(opaque, &order, &with, &answer);

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

	return order_about(opaque, &order, path, &answer);
}

static int open_again(void *opaque, int fd, int flags)
{
	const struct order order = { .action = OPEN_AGAIN, .flags = flags };
	const struct packet with = { .fds = { fd }, .nr_fds = 1 };
	struct answer answer;

	return give(opaque, &order, &with, &answer);
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

	return ret ? ret : give(opaque, &order, &with, &answer);
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
	int ret = give(opaque, &order, &with, &answer);

	explicit_bzero(&order.reader, sizeof(order.reader));
	return ret;
}

void orders_names(struct orders *orders, struct qcow_names *names)
{
	*names = (struct qcow_names){
		.opaque = orders,
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
