// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The I/O threads, from their start to their end.
 *
 *	opened		The threads are there before the image: that takes time
 *			for which the users wait.  The rings have all files now.
 *	enabled		Each thread owns its ring, which needs a call that the
 *			filter of a server that serves does not know.
 *	confined	The main thread has fallen wholly, and all threads with
 *			it.  Then they fetch.
 *	fetched		The main thread waits for all of them: a command to
 *			start the device, or to end its recovery, before that
 *			makes some drivers go wrong.
 *	ended		A thread that serves no more waits for the others.
 *
 * The driver of a device takes the end of a thread that has fetched for the
 * death of its server.  So no thread ends alone.  When the device is stopped,
 * all tags are gone, of all threads, and they end together.  When the queues
 * have left (queue_leave()), no thread ends before the process.
 *
 * A stop may meet queues that are about to leave.  Then one thread has no tags
 * any more, and another one has left: that one takes its tags back, which the
 * stop gives it, and all end as after any stop.
 *
 * A thread that fails ends the process, for only to die is safe (P1).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "plugin/common/channel.h"
#include "plugin/server/queue.h"
#include "plugin/server/server-inside.h"

static void __attribute__((noreturn))
fail(const struct server *server, int error)
{
	if (error == -EOWNERDEAD)
		channel_fail(server->channel, CAUSE_PASSING,
			     "the process that reads the legacy image was "
			     "killed");
	else
		server_device_failed(server, "the queues of the device failed",
				     error);
	_exit(EXIT_FAILURE);
}

/* Have all of them left, or was the device stopped? */
static bool wait_for_all(struct server *server, bool has_left)
{
	const unsigned int count = server->queues.count;

	pthread_mutex_lock(&server->lock);
	server->left += has_left;
	if (++server->ended == count)
		pthread_cond_broadcast(&server->all_ended);
	while (server->ended < count)
		pthread_cond_wait(&server->all_ended, &server->lock);
	pthread_mutex_unlock(&server->lock);
	return server_has_left(server);
}

static int fetch_and_serve(struct io_thread *io)
{
	struct server *server = io->server;
	int ret;

	sem_wait(&server->opened);
	ret = queue_enable(io->queue);
	sem_post(&server->enabled);
	sem_wait(&server->confined);
	if (!ret)
		ret = queue_fetch(io->queue, &server->device);
	if (ret < 0)
		return ret;
	sem_post(&server->fetched);
	return queue_serve(io->queue);
}

static void *io_thread(void *opaque)
{
	struct io_thread *io = opaque;
	struct server *server = io->server;
	int ret = fetch_and_serve(io);
	bool left;

	if (ret < 0)
		fail(server, ret);
	left = wait_for_all(server, queue_has_left(io->queue));
	health_end(&server->health);
	/* The end of the thread would take the ring's commands back. */
	while (left)
		sem_wait(&server->never);
	ret = queue_drain(io->queue);
	if (ret < 0)
		fail(server, ret);
	return NULL;
}

void server_prepare_threads(struct server *server)
{
	sem_init(&server->opened, 0, 0);
	sem_init(&server->enabled, 0, 0);
	sem_init(&server->confined, 0, 0);
	sem_init(&server->fetched, 0, 0);
	sem_init(&server->never, 0, 0);
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->all_ended, NULL);
}

int server_start_threads(struct server *server)
{
	unsigned int i;
	int ret;

	for (i = 0; i < server->queues.count; i++) {
		struct io_thread *io = &server->io_threads[i];

		io->server = server;
		io->queue = server->queues.queue[i];
		ret = pthread_create(&io->thread, NULL, io_thread, io);
		if (ret)
			return channel_fail(server->channel, CAUSE_PASSING,
					    "cannot start a thread: %s",
					    strerror(ret));
	}
	return 0;
}

void server_enable_rings(struct server *server)
{
	unsigned int i;

	for (i = 0; i < server->queues.count; i++)
		sem_post(&server->opened);
	for (i = 0; i < server->queues.count; i++)
		sem_wait(&server->enabled);
}

void server_let_fetch(struct server *server)
{
	unsigned int i;

	for (i = 0; i < server->queues.count; i++)
		sem_post(&server->confined);
	for (i = 0; i < server->queues.count; i++)
		sem_wait(&server->fetched);
}

bool server_has_left(const struct server *server)
{
	return server->left == server->queues.count;
}

void server_join_threads(struct server *server)
{
	for (unsigned int i = 0; i < server->queues.count; i++)
		pthread_join(server->io_threads[i].thread, NULL);
}
