// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tags' buffers: small pages, and huge ones for those with large requests.
 *
 * Where the driver copies, the kernel looks up each page of a request twice,
 * for the copy and for the transfer.  Of 512 KiB these are 128 pages, and a
 * third of all that such a request costs; one huge page would do.  But the
 * driver gets a buffer before it has the request, so a disk that has huge pages
 * for all tags takes 64 MiB even if it is idle.
 *
 * So each tag has a small buffer, and after some large requests in a row it
 * moves from its small one to a large one, and back after some small ones.
 * Large ones are given to any tag, some out of each huge page: a row.  There
 * are few rows, for a tag that is idle keeps its buffer: the driver may fill
 * that at any time. A worker makes a row ready, for the kernel may look for a
 * huge page for a while.
 *
 * A COMMIT tells the driver the buffer for the next request, and drivers differ
 * in whether they read the bytes of a READ that ends from the old buffer or
 * from the new one.  So these bytes go with the tag, and the old buffer is
 * given back only when the tag has come back once.
 *
 * The process has no huge pages otherwise (PR_SET_THP_DISABLE): its memory is
 * small and scattered.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include "plugin/server/buffers.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

#define HUGE_PAGE    (2u << 20)
#define PAGE	     4096u
#define ROWS	     8
#define LARGE_LENGTH ((size_t)ROWS * HUGE_PAGE)
#define RUN_LARGE    2	/* large requests in a row, before a tag moves */
#define RUN_SMALL    16 /* small ones, before it moves back */

/* The ways of a tag.  SMALL is 0: see buffers_next(). */
enum { SMALL, LARGE_NEW, LARGE, SMALL_NEW };

/* FREE and READY: the I/O thread's.  ASKED: a worker's. */
enum { FREE, ASKED, READY };

struct buffers_row {
	struct work work;
	char *memory; /* constant: a huge page's */
	atomic_int state;
	unsigned int users; /* a bit for each of its buffers; I/O thread */
};

/* Only the pages in use become memory. */
static char *reserve(size_t length)
{
	char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int buffers_create(struct buffers *buffers, unsigned int tags, size_t size)
{
	buffers->size = size;
	buffers->tags = tags;
	buffers->small = reserve(size * tags);
	return buffers->small ? 0 : -ENOMEM;
}

void buffers_destroy(struct buffers *buffers)
{
	if (buffers->small)
		munmap(buffers->small, buffers->size * buffers->tags);
	if (buffers->large)
		munmap(buffers->large, LARGE_LENGTH);
	free(buffers->rows);
	free(buffers->of);
}

/* A huge page's address is a multiple of its size. */
static char *reserve_aligned(size_t length)
{
	char *memory = reserve(length + HUGE_PAGE);
	size_t before;

	if (!memory)
		return NULL;
	before = -(uintptr_t)memory % HUGE_PAGE;
	if (before)
		munmap(memory, before);
	munmap(memory + before + length, HUGE_PAGE - before);
	return memory + before;
}

/* On a worker's thread.  A kernel that has no huge page gives a small one. */
static void make_ready(struct work *work)
{
	static pthread_mutex_t lock =
		PTHREAD_MUTEX_INITIALIZER; /* the switch */
	struct buffers_row *row = (void *)work;

	pthread_mutex_lock(&lock);
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	*(volatile char *)row->memory = 0;
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	pthread_mutex_unlock(&lock);
	atomic_store_explicit(&row->state, READY, memory_order_release);
}

static void init_rows(struct buffers *buffers)
{
	struct buffers_row *row;
	unsigned int i;

	for (i = 0; i < ROWS; i++) {
		row = &buffers->rows[i];
		row->work.run = make_ready;
		row->memory = buffers->large + (size_t)i * HUGE_PAGE;
	}
}

void buffers_use_huge_pages(struct buffers *buffers, struct workers *workers)
{
	if (buffers->size < BUFFERS_LARGE || HUGE_PAGE % buffers->size)
		return;
	buffers->per_row = HUGE_PAGE / buffers->size;
	buffers->workers = workers;
	buffers->rows = calloc(ROWS, sizeof(*buffers->rows));
	buffers->of = calloc(buffers->tags, sizeof(*buffers->of));
	if (!buffers->rows || !buffers->of)
		return;
	buffers->large = reserve_aligned(LARGE_LENGTH);
	if (!buffers->large)
		return;
	madvise(buffers->large, LARGE_LENGTH, MADV_HUGEPAGE);
	init_rows(buffers);
}

void *buffers_small(const struct buffers *buffers, unsigned int index)
{
	return buffers->small + buffers->size * index;
}

/* ---- a move ---- */

static int state_of(const struct buffers_row *row)
{
	return atomic_load_explicit(&row->state, memory_order_acquire);
}

static void ask_for(struct buffers *buffers, struct buffers_row *row)
{
	atomic_store_explicit(&row->state, ASKED, memory_order_relaxed);
	workers_submit(buffers->workers, NULL, &row->work);
}

static bool has_room(const struct buffers *buffers,
		     const struct buffers_row *row)
{
	return state_of(row) == READY &&
	       row->users != (1u << buffers->per_row) - 1;
}

/* The first rows fill first, so that the last ones become free.  If there is no
   room, there will be, but for the limit. */
static bool find_large(struct buffers *buffers, unsigned int *large)
{
	struct buffers_row *row;
	unsigned int i;

	for (i = 0; i < ROWS; i++) {
		row = &buffers->rows[i];
		if (has_room(buffers, row)) {
			*large = i * buffers->per_row +
				 __builtin_ctz(~row->users);
			return true;
		}
		if (state_of(row) == FREE)
			ask_for(buffers, row);
		if (state_of(row) == ASKED)
			break;
	}
	return false;
}

/* The server's memory is locked; kernels before 5.18 give none of that back. */
static void give_back(void *memory, size_t length)
{
	madvise(memory, length, MADV_DONTNEED_LOCKED);
}

/* All but the first page, which is small requests' and registered. */
static void give_back_small(const struct buffers *buffers, unsigned int index)
{
	give_back((char *)buffers_small(buffers, index) + PAGE,
		  buffers->size - PAGE);
}

static void leave_large(struct buffers *buffers, unsigned int large)
{
	struct buffers_row *row = &buffers->rows[large / buffers->per_row];
	const unsigned int bit = 1u << large % buffers->per_row;

	assert(row->users & bit);
	row->users &= ~bit;
	if (row->users)
		return;
	give_back(row->memory, HUGE_PAGE);
	atomic_store_explicit(&row->state, FREE, memory_order_relaxed);
}

static void *move_up(struct buffers *buffers, struct buffers_tag *tag,
		     const void *buffer, size_t bytes, unsigned int large)
{
	struct buffers_row *row = &buffers->rows[large / buffers->per_row];

	row->users |= 1u << large % buffers->per_row;
	*tag = (struct buffers_tag){ .place = LARGE_NEW, .large = large };
	return memcpy(buffers->large + large * buffers->size, buffer, bytes);
}

static void *move_down(const struct buffers *buffers, unsigned int index,
		       const void *buffer, size_t bytes)
{
	buffers->of[index].place = SMALL_NEW;
	buffers->of[index].run = 0;
	return memcpy(buffers_small(buffers, index), buffer, bytes);
}

/* The tag has come back, so the driver has left its old buffer. */
static void arrive(struct buffers *buffers, unsigned int index)
{
	struct buffers_tag *tag = &buffers->of[index];

	if (tag->place == LARGE_NEW) {
		give_back_small(buffers, index);
		tag->place = LARGE;
	} else if (tag->place == SMALL_NEW) {
		leave_large(buffers, tag->large);
		tag->place = SMALL;
	}
}

void *buffers_change(struct buffers *buffers, unsigned int index, void *buffer,
		     size_t bytes, bool large)
{
	struct buffers_tag *tag = &buffers->of[index];
	unsigned int free;

	arrive(buffers, index);
	if (large == (tag->place == LARGE)) {
		tag->run = 0;
		return buffer;
	}
	if (++tag->run < (large ? RUN_LARGE : RUN_SMALL))
		return buffer;
	if (!large)
		return move_down(buffers, index, buffer, bytes);
	if (find_large(buffers, &free))
		return move_up(buffers, tag, buffer, bytes, free);
	tag->run = RUN_LARGE - 1; /* soon */
	return buffer;
}
