/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fields that are read without a lock, and parts of a thing that belong to one
 * thread each.
 *
 * A thread that changes a shared field has the image's lock and uses
 * shared_put().  A reader without the lock uses shared_get().  Under the lock,
 * plain reads will do.  The reads of one thread, and the writes of another,
 * keep their order.
 */
#ifndef QCOW_SHARED_H
#define QCOW_SHARED_H

#define shared_get(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define shared_put(field, value) \
	__atomic_store_n(&(field), (value), __ATOMIC_RELEASE)

#define CACHE_LINE 64u
#define SHARDS	   16u

/* Which of SHARDS parts is the calling thread's.  Threads have one in common
   only if there are more of them. */
unsigned int shard_of_thread(void);
/* The first so many parts are all that any thread has. */
unsigned int shards_of_threads(void);

#endif /* QCOW_SHARED_H */
