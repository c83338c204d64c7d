// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A dirty set: the assignments that the journal says and the file does not
 * yet.  They stand in a dense list in order of arrival; a hash index with
 * open addressing finds them.  Nothing is ever taken out one by one, and the
 * set has a fixed size that the checkpoint keeps it below (R16).
 *
 * Neighbours are asked for one after the other, by a long DISCARD for instance.
 * So sixteen keys in a row have their slots in one cache line, in an order that
 * differs from line to line: a guest that writes in strides does not fill the
 * same slot of all lines.  A probe goes on in the next line, and after the last
 * one in the next slot, so that it comes to every slot.
 *
 * The cost of sorting and clearing follows from the assignments in the set, not
 * from its size: a FLUSH after one small write is cheap.  Clearing goes
 * backwards, since an entry was probed for past earlier ones only.
 *
 * Its memory is mapped at open and touched as it fills: an idle disk costs
 * nothing, and no allocation happens on the I/O path.
 *
 * Look-ups come without the lock, too, also while a set changes (unlocked.c).
 * Two sets that exchange their contents have memory of one size, and a place
 * in the index is one of the list's at any time.  Half of the slots are empty
 * at any time, so a probe ends.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "qcow/dirty.h"
#include "qcow/shared.h"

static void *map_zeroes(size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t list_bytes(const struct dirty_set *set)
{
	return set->max_used * sizeof(*set->list);
}

static size_t index_bytes(const struct dirty_set *set)
{
	return ((size_t)set->mask + 1) * sizeof(*set->index);
}

int dirty_create(struct dirty_set *set, uint32_t max_used)
{
	uint32_t slots = 64;

	/* at most half full, so that a probe ends soon */
	while (slots / 2 < max_used)
		slots *= 2;
	*set = (struct dirty_set){ .mask = slots - 1, .max_used = max_used };
	set->list = map_zeroes(list_bytes(set));
	set->index = map_zeroes(index_bytes(set));
	if (set->list && set->index)
		return 0;
	dirty_destroy(set);
	return -ENOMEM;
}

void dirty_destroy(struct dirty_set *set)
{
	if (set->list)
		munmap(set->list, list_bytes(set));
	if (set->index)
		munmap(set->index, index_bytes(set));
	set->list = NULL;
	set->index = NULL;
}

#define LINE 16u /* slots */

/* The slot that names the key, or the empty one where it would be named. */
static uint32_t *find(const struct dirty_set *set, uint64_t key)
{
	const uint32_t hash = (key / LINE * 0x9e3779b97f4a7c15ull) >> 32;
	const struct assignment *list = shared_get(set->list);
	uint32_t *index = shared_get(set->index);
	uint32_t at = hash ^ key % LINE;
	uint32_t n;

	for (n = 1;; n++) {
		uint32_t *slot = &index[at & set->mask];
		uint32_t place = shared_get(*slot);

		if (!place || shared_get(list[place - 1].key) == key)
			return slot;
		at += n & set->mask / LINE ? LINE : LINE + 1;
	}
}

bool dirty_get(const struct dirty_set *set, uint64_t key, uint64_t *value)
{
	const struct assignment *list = shared_get(set->list);
	uint32_t place;

	if (!shared_get(set->used))
		return false;
	place = shared_get(*find(set, key));
	if (!place)
		return false;
	*value = shared_get(list[place - 1].value);
	return true;
}

/* 512 entries of an L2 table are a page; of counts, more are. */
static void touch_slice(struct dirty_set *set, uint64_t key)
{
	uint32_t i = (key / 512 * 0x9e3779b97f4a7c15ull) >> 32 &
		     (DIRTY_SLICES - 1);

	if (set->touched[i / 64] >> i % 64 & 1)
		return;
	set->touched[i / 64] |= 1ull << i % 64;
	set->slices++;
}

static void forget_slices(struct dirty_set *set)
{
	memset(set->touched, 0, sizeof(set->touched));
	set->slices = 0;
}

void dirty_put(struct dirty_set *set, uint64_t key, uint64_t value)
{
	uint32_t *slot = find(set, key);

	if (!*slot) {
		/* R16: room was reserved. */
		assert(set->used < set->max_used);
		shared_put(set->list[set->used].key, key);
		shared_put(*slot, set->used + 1);
		shared_put(set->used, set->used + 1);
		if (key_kind(key) == KEY_L1)
			shared_put(set->tops, true);
		touch_slice(set, key);
	}
	shared_put(set->list[*slot - 1].value, value);
	set->frees |= key_kind(key) == KEY_REFCOUNT && !value;
}

void dirty_clear(struct dirty_set *set)
{
	while (set->used) {
		shared_put(*find(set, set->list[set->used - 1].key), 0);
		shared_put(set->used, set->used - 1);
	}
	set->frees = false;
	shared_put(set->tops, false);
	forget_slices(set);
}

void dirty_move(struct dirty_set *from, struct dirty_set *to)
{
	struct assignment *list = to->list;
	uint32_t *index = to->index;

	assert(!to->used && to->max_used == from->max_used);
	shared_put(to->list, from->list);
	shared_put(to->index, from->index);
	shared_put(to->used, from->used);
	to->frees = from->frees;
	shared_put(to->tops, from->tops);
	shared_put(from->list, list);
	shared_put(from->index, index);
	shared_put(from->used, 0);
	from->frees = false;
	shared_put(from->tops, false);
	forget_slices(from);
}

/*
 * Sorting, by the digits of the keys from the last to the first, of which only
 * those in which keys differ are looked at: that is less work for each
 * assignment than comparing it with a dozen others.  A FLUSH after one write
 * has three, which are not worth it.
 */

#define DIGIT_BITS 8
#define DIGITS	   (1u << DIGIT_BITS)
#define FEW	   32u

static void sort_few(struct assignment *list, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		struct assignment one = list[i];
		uint32_t at = i;

		for (; at && list[at - 1].key > one.key; at--)
			list[at] = list[at - 1];
		list[at] = one;
	}
}

/* Assignments with equal digits keep their order. */
static void sort_by_digit(const struct assignment *from, uint32_t count,
			  unsigned int shift, struct assignment *to)
{
	uint32_t starts[DIGITS + 1] = { 0 };

	for (uint32_t i = 0; i < count; i++)
		starts[(from[i].key >> shift) % DIGITS + 1]++;
	for (unsigned int digit = 1; digit < DIGITS; digit++)
		starts[digit] += starts[digit - 1];
	for (uint32_t i = 0; i < count; i++)
		to[starts[(from[i].key >> shift) % DIGITS]++] = from[i];
}

/* The bits in which some keys differ. */
static uint64_t different_bits(const struct assignment *list, uint32_t count)
{
	uint64_t bits = 0;

	for (uint32_t i = 1; i < count; i++)
		bits |= list[i].key ^ list[0].key;
	return bits;
}

uint32_t dirty_sort(const struct dirty_set *set, struct assignment *sorted)
{
	const struct assignment *from = set->list;
	const uint32_t count = set->used;
	struct assignment *spare = sorted + count, *to;
	uint64_t bits = different_bits(from, count);

	for (unsigned int shift = 0; count > FEW && shift < 64;
	     shift += DIGIT_BITS) {
		if (!(bits >> shift & (DIGITS - 1)))
			continue;
		to = from == sorted ? spare : sorted;
		sort_by_digit(from, count, shift, to);
		from = to;
	}
	if (from != sorted)
		memcpy(sorted, from, count * sizeof(*sorted));
	if (count <= FEW)
		sort_few(sorted, count);
	return count;
}
