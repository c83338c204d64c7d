// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory for copy-on-write, one huge page of it.
 *
 * A cluster of 64 KiB on its way in small pages is sixteen pages to look up and
 * to hold, once for the read and once for the write; here it is a part of one.
 * The page comes with the first copy (huge.c), and stays: it is less memory
 * than copies would leave in the buffers of all tags.  If it is not there yet,
 * or is full, a copy takes the room in its tag's buffer (inflight-copy.c).
 */
#include <assert.h>
#include <sys/mman.h>
#include "plugin/server/copies.h"

void copies_open(struct copies *copies, uint32_t size, struct workers *workers)
{
	const unsigned int count = HUGE_PAGE / size;
	char *memory = huge_reserve(1);

	assert(count);
	if (!memory)
		return;
	huge_init(&copies->page, memory);
	copies->workers = workers;
	copies->size = size;
	copies->all = count < 64 ? (1ull << count) - 1 : UINT64_MAX;
}

void copies_close(struct copies *copies)
{
	if (copies->page.memory)
		munmap(copies->page.memory, HUGE_PAGE);
}

char *copies_take(struct copies *copies)
{
	const uint64_t room = copies->all & ~copies->used;
	unsigned int nr;

	if (!room)
		return NULL;
	if (huge_state(&copies->page) == HUGE_FREE)
		huge_ask(&copies->page, copies->workers);
	if (huge_state(&copies->page) != HUGE_READY)
		return NULL;
	nr = __builtin_ctzll(room);
	copies->used |= 1ull << nr;
	return copies->page.memory + (size_t)nr * copies->size;
}

void copies_put(struct copies *copies, const char *memory)
{
	const size_t at = (uintptr_t)memory - (uintptr_t)copies->page.memory;
	uint64_t bit;

	if (!copies->page.memory || at >= HUGE_PAGE)
		return;
	bit = 1ull << at / copies->size;
	assert(copies->used & bit);
	copies->used &= ~bit;
}
