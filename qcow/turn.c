// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A turn is for work on the image that must not overlap with other work of its
 * kind.  The work does I/O, so no lock may be held over it.  There is one turn
 * for each kind: writing the header, growing the refcounts, making an L2 table,
 * making a checkpoint.
 *
 * Order, for a thread that takes several: L2 table, growth, checkpoint, header.
 */
#include <assert.h>
#include "qcow/turn.h"

void turn_create(struct turn *turn)
{
	turn->taken = false;
	pthread_cond_init(&turn->ended, NULL);
}

void turn_destroy(struct turn *turn)
{
	assert(!turn->taken);
	pthread_cond_destroy(&turn->ended);
}

void turn_take(struct turn *turn, pthread_mutex_t *lock)
{
	while (turn->taken)
		pthread_cond_wait(&turn->ended, lock);
	turn->taken = true;
}

void turn_end(struct turn *turn)
{
	assert(turn->taken);
	turn->taken = false;
	pthread_cond_signal(&turn->ended);
}
