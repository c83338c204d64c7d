/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Assignments that the journal says and the tables of the file do not yet. */
#ifndef QCOW_DIRTY_H
#define QCOW_DIRTY_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

enum key_kind {
	KEY_L1 = 1,   /* index: L1 index; value: entry */
	KEY_L2,	      /* index: word of the L2 tables, of which an
			 extended entry has two; value: the word */
	KEY_REFCOUNT, /* index: host cluster; value: count */
};

/* Sorts by kind, then by index. */
static inline uint64_t dirty_key(enum key_kind kind, uint64_t index)
{
	assert(!(index >> 60));
	return (uint64_t)kind << 60 | index;
}

static inline enum key_kind key_kind(uint64_t key)
{
	return key >> 60;
}

static inline uint64_t key_index(uint64_t key)
{
	return key & ((1ull << 60) - 1);
}

struct assignment {
	uint64_t key;
	uint64_t value;
};

#define DIRTY_SLICES 8192u

struct dirty_set {
	struct assignment *list; /* in order of arrival */
	uint32_t *index;	 /* place in the list plus one; 0: none */
	uint32_t mask;		 /* slots of index, less one */
	uint32_t used;
	uint32_t max_used;
	bool frees; /* a count of zero is among them */
	bool tops;  /* an L1 entry is among them */
	/* Slices that a checkpoint has to write, roughly: a bit for each, which
	   some have in common. */
	uint64_t touched[DIRTY_SLICES / 64];
	uint32_t slices; /* bits that are set */
};

int dirty_create(struct dirty_set *set, uint32_t max_used);
void dirty_destroy(struct dirty_set *set);
bool dirty_get(const struct dirty_set *set, uint64_t key, uint64_t *value);
void dirty_put(struct dirty_set *set, uint64_t key, uint64_t value);
void dirty_clear(struct dirty_set *set);
/* To another set of that size, which is empty. */
void dirty_move(struct dirty_set *from, struct dirty_set *to);
/* Copies the assignments out, sorted by key; returns how many.  There is room
   for twice as many. */
uint32_t dirty_sort(const struct dirty_set *set, struct assignment *sorted);

#endif /* QCOW_DIRTY_H */
