// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Orders to a clerk: the clerk's side.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "plugin/common/orders.h"

bool orders_receive(int socket, struct order *order, struct packet *with)
{
	*with = (struct packet){ .bytes = order, .length = sizeof(*order) };
	if (packet_receive(socket, with) != sizeof(*order))
		return false;
	order->path[sizeof(order->path) - 1] = '\0';
	order->name[sizeof(order->name) - 1] = '\0';
	return true;
}

void orders_hand_over(int socket, int fd)
{
	char nothing = 0;
	const struct packet packet = {
		.bytes = &nothing,
		.length = 1,
		.fds = { fd },
		.nr_fds = 1,
	};

	if (packet_send(socket, &packet))
		_exit(EXIT_FAILURE);
}

void orders_answer(int socket, struct packet *with, struct answer *answer,
		   size_t length, int fd)
{
	const struct packet packet = { .bytes = answer, .length = length };

	if (with)
		packet_close(with);
	if (fd >= 0) {
		orders_hand_over(socket, fd);
		close(fd);
	}
	if (packet_send(socket, &packet))
		_exit(EXIT_FAILURE);
}

int orders_look_at_open(const struct packet *with, struct answer *answer)
{
	if (with->nr_fds != 1)
		return -EINVAL;
	if (fstat(with->fds[0], &answer->st) < 0)
		return -errno;
	return qcow_identify_file(with->fds[0], &answer->identity);
}

static void __attribute__((noreturn)) read_legacy(struct qcow_reader *reader)
{
	reader->window = mmap(NULL, reader->window_size, PROT_READ | PROT_WRITE,
			      MAP_SHARED, reader->memory, 0);
	if (reader->window == MAP_FAILED)
		_exit(EXIT_FAILURE);
	qcow_read_legacy(reader);
}

int orders_start_reader(const struct order *order, const struct packet *with,
			int pidfd)
{
	struct qcow_reader reader = order->reader;
	pid_t pid;

	if (with->nr_fds != READER_FDS)
		return -EINVAL;
	reader.server = pidfd;
	reader.image = with->fds[0];
	reader.memory = with->fds[1];
	reader.control = with->fds[2];
	reader.data = with->fds[3];
	pid = fork();
	if (!pid)
		read_legacy(&reader);
	return pid < 0 ? -errno : 0;
}
