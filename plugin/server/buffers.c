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
 * that at any time.  huge.c gets the pages.
 *
 * A COMMIT tells the driver the buffer for the next request, and drivers differ
 * in whether they read the bytes of a READ that ends from the old buffer or
 * from the new one.  So these bytes go with the tag, and the old buffer is
 * given back only when the tag has come back once.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "plugin/server/buffers.h"
#include "plugin/server/huge.h"

#define PAGE	     4096u
#define ROWS	     8
#define LARGE_LENGTH ((size_t)ROWS * HUGE_PAGE)
#define RUN_LARGE    2	/* large requests in a row, before a tag moves */
#define RUN_SMALL    16 /* small ones, before it moves back */

/* The ways of a tag.  SMALL is 0: see buffers_next(). */
enum { SMALL, LARGE_NEW, LARGE, SMALL_NEW };

struct buffers_row {
	struct huge page;
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

static void init_rows(struct buffers *buffers)
{
	unsigned int i;

	for (i = 0; i < ROWS; i++)
		huge_init(&buffers->rows[i].page,
			  buffers->large + (size_t)i * HUGE_PAGE);
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
	buffers->large = huge_reserve(ROWS);
	if (buffers->large)
		init_rows(buffers);
}

void *buffers_small(const struct buffers *buffers, unsigned int index)
{
	return buffers->small + buffers->size * index;
}

/* ---- a move ---- */

static bool has_room(const struct buffers *buffers,
		     const struct buffers_row *row)
{
	return huge_state(&row->page) == HUGE_READY &&
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
		if (huge_state(&row->page) == HUGE_FREE)
			huge_ask(&row->page, buffers->workers);
		if (huge_state(&row->page) == HUGE_ASKED)
			break;
	}
	return false;
}

/* All but the first page, which is small requests' and registered. */
static void give_back_small(const struct buffers *buffers, unsigned int index)
{
	memory_give_back((char *)buffers_small(buffers, index) + PAGE,
			 buffers->size - PAGE);
}

static void leave_large(struct buffers *buffers, unsigned int large)
{
	struct buffers_row *row = &buffers->rows[large / buffers->per_row];
	const unsigned int bit = 1u << large % buffers->per_row;

	assert(row->users & bit);
	row->users &= ~bit;
	if (!row->users)
		huge_give_back(&row->page);
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
