// SPDX-License-Identifier: GPL-2.0-or-later
/* Which part of a thing is a thread's own. */
#include <stdatomic.h>
#include "qcow/shared.h"

static atomic_uint threads;

unsigned int shards_of_threads(void)
{
	unsigned int count = atomic_load(&threads);

	return count < SHARDS ? count : SHARDS;
}

unsigned int shard_of_thread(void)
{
	static _Thread_local unsigned int number; /* 0: none yet */

	if (!number)
		number = atomic_fetch_add(&threads, 1) % SHARDS + 1;
	return number - 1;
}
