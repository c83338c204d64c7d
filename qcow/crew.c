// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many pieces of a file, moved at once.  A disk takes as long for eight reads
 * as for one, so a checkpoint that needs many slices has eight threads ask for
 * them: the caller and its crew.  Each takes the next piece that nobody has
 * taken.
 *
 * The threads are there from the open on, because a server may start none
 * later, and sleep.  A few pieces are not worth waking them.
 */
#include <signal.h>
#include "qcow/crew.h"
#include "qcow/lease.h"

#define FEW 4u

static int move_piece(struct file *file, const struct piece *piece, bool writes)
{
	return writes ? file_write_leased(file, piece->bytes, piece->offset,
					  piece->length) :
			file_read(file, piece->bytes, piece->offset,
				  piece->length);
}

/* Under the lock, which is dropped meanwhile. */
static void move_next(struct crew *crew)
{
	const struct piece *piece = &crew->pieces[crew->next++];
	int ret;

	crew->busy++;
	pthread_mutex_unlock(&crew->lock);
	ret = move_piece(crew->file, piece, crew->writes);
	pthread_mutex_lock(&crew->lock);
	crew->busy--;
	if (ret && !crew->ret) {
		crew->ret = ret;
		crew->next = crew->end;
	}
	if (!crew->busy && crew->next == crew->end)
		pthread_cond_signal(&crew->done);
}

static void *help(void *argument)
{
	struct crew *crew = argument;

	pthread_mutex_lock(&crew->lock);
	while (!crew->stopping) {
		if (crew->next == crew->end)
			pthread_cond_wait(&crew->work, &crew->lock);
		else
			move_next(crew);
	}
	pthread_mutex_unlock(&crew->lock);
	return NULL;
}

void crew_start(struct crew *crew)
{
	sigset_t all, old;

	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->work, NULL);
	pthread_cond_init(&crew->done, NULL);
	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (crew->count < CREW &&
	       !pthread_create(&crew->threads[crew->count], NULL, help, crew))
		crew->count++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void crew_stop(struct crew *crew)
{
	if (!crew->count)
		return;
	pthread_mutex_lock(&crew->lock);
	crew->stopping = true;
	pthread_cond_broadcast(&crew->work);
	pthread_mutex_unlock(&crew->lock);
	while (crew->count)
		pthread_join(crew->threads[--crew->count], NULL);
	pthread_cond_destroy(&crew->done);
	pthread_cond_destroy(&crew->work);
	pthread_mutex_destroy(&crew->lock);
}

static int move_alone(struct file *file, const struct piece *pieces,
		      unsigned int count, bool writes)
{
	int ret = 0;

	for (unsigned int i = 0; i < count && !ret; i++)
		ret = move_piece(file, &pieces[i], writes);
	return ret;
}

/* False: it helps somebody else. */
static bool take(struct crew *crew, struct file *file,
		 const struct piece *pieces, unsigned int count, bool writes)
{
	if (crew->taken)
		return false;
	crew->taken = true;
	crew->file = file;
	crew->pieces = pieces;
	crew->next = 0;
	crew->end = count;
	crew->writes = writes;
	crew->ret = 0;
	pthread_cond_broadcast(&crew->work);
	return true;
}

static int move_all(struct crew *crew, struct file *file,
		    const struct piece *pieces, unsigned int count, bool writes)
{
	bool helps = false;
	int ret;

	/* The disks of tests are for one thread. */
	if (!crew->count || count <= FEW || file_test_ops(file))
		return move_alone(file, pieces, count, writes);
	pthread_mutex_lock(&crew->lock);
	helps = take(crew, file, pieces, count, writes);
	while (helps && crew->next < crew->end)
		move_next(crew);
	while (helps && crew->busy)
		pthread_cond_wait(&crew->done, &crew->lock);
	ret = crew->ret;
	crew->taken &= !helps;
	pthread_mutex_unlock(&crew->lock);
	return helps ? ret : move_alone(file, pieces, count, writes);
}

int crew_read(struct crew *crew, struct file *file, const struct piece *pieces,
	      unsigned int count)
{
	return move_all(crew, file, pieces, count, false);
}

int crew_write(struct crew *crew, struct file *file, const struct piece *pieces,
	       unsigned int count)
{
	struct lease *lease = file_test_ops(file) ? NULL : file->lease;
	int ret;

	lease_begin(lease);
	ret = move_all(crew, file, pieces, count, true);
	lease_end(lease);
	return ret;
}

void piece_add(struct piece *pieces, unsigned int *count, uint8_t *bytes,
	       uint64_t offset, size_t length)
{
	struct piece *last = *count ? &pieces[*count - 1] : NULL;

	if (last && last->offset + last->length == offset &&
	    last->bytes + last->length == bytes) {
		last->length += length;
		return;
	}
	pieces[(*count)++] = (struct piece){
		.bytes = bytes,
		.offset = offset,
		.length = length,
	};
}
