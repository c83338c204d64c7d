// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The journal: the acknowledged changes that are not in the image's tables yet.
 * A file on a tmpfs, mapped shared: its pages belong to the kernel, so they
 * survive the process and vanish with the host's power, exactly as a disk's
 * volatile cache does.
 *
 *	page 0: header		words: a ring of 64-bit words
 *	  start ------------------> | seal | body ... | seal | body ... | 0 |
 *
 * A position counts words since the journal's beginning and is never reset;
 * it names a group, too.  A seal is
 *
 *	checksum (32) | lap of the ring (16) | words of the body (16)
 *
 * where the checksum covers position, nonce and body; so the rest of an earlier
 * lap or life in the ring is never taken for a group.
 *
 * Appending (R3): a terminator behind the group, the body, then the seal in
 * one store.  SIGKILL keeps a thread's stores in program order, so compiler
 * barriers are all it takes.  Dropping is one store of start (R7).
 *
 * A body is records of two words: the value assigned, and the run of indices.
 *
 *	kind (4) | count (12) | index (48)	value (64)
 *
 * journal-file.c makes the file, journal-owner.c finds whose it is.
 */
#include <assert.h>
#include <zlib.h>
#include "qcow/journal.h"
#include "qcow/trace.h"

/* The head of a record: kind (4) | count (12) | index (48). */
#define INDEX_BITS 48
#define KIND_SHIFT 60

_Static_assert(GROUP_RUN == (1u << (KIND_SHIFT - INDEX_BITS)) - 1,
	       "a record's count fills its bits");

static void *ring_at(const struct journal *journal, uint64_t position)
{
	return &journal->ring[position % journal->words];
}

/* A record that does not fit its word would be replayed as another one. */
static void check_record(const struct group *group, const struct record *record)
{
	assert(group->words + 2 <= GROUP_WORDS);
	assert(record->kind >= RECORD_L1 && record->kind <= RECORD_L1_TABLE);
	assert(record->count && record->count <= GROUP_RUN);
	assert(record->index < 1ull << INDEX_BITS);
}

void group_add(struct group *group, const struct record *record)
{
	check_record(group, record);
	group->body[group->words++] = (uint64_t)record->kind << KIND_SHIFT |
				      (uint64_t)record->count << INDEX_BITS |
				      record->index;
	group->body[group->words++] = record->value;
}

void group_assign(struct group *group, enum record_kind kind, uint64_t index,
		  uint64_t value)
{
	const struct record record = {
		.kind = kind,
		.count = 1,
		.index = index,
		.value = value,
	};

	group_add(group, &record);
}

void group_next(const struct group *group, unsigned int *word,
		struct record *record)
{
	uint64_t head = group->body[(*word)++];

	*record = (struct record){
		.kind = head >> KIND_SHIFT,
		.count = head >> INDEX_BITS & GROUP_RUN,
		.index = head & ((1ull << INDEX_BITS) - 1),
		.value = group->body[(*word)++],
	};
}

static uint64_t make_seal(const struct journal *journal, uint64_t position,
			  const struct group *group)
{
	const uint64_t head[] = { position, journal->header->nonce };
	uint32_t sum = crc32(0, (const Bytef *)head, sizeof(head));
	uint64_t lap = position / journal->words & 0xffff;

	sum = crc32(sum, (const Bytef *)group->body,
		    group->words * sizeof(group->body[0]));
	return (uint64_t)sum << 32 | lap << 16 | group->words;
}

uint64_t journal_used(const struct journal *journal)
{
	return journal->end - atomic_load_explicit(&journal->header->start,
						   memory_order_relaxed);
}

/* One word more than the group: its terminator. */
bool journal_has_room(const struct journal *journal, uint64_t words)
{
	return journal_used(journal) + journal->reserved + words + 1 <=
	       journal->words;
}

static void tell(const struct journal *journal, enum qcow_event event)
{
	if (journal->test && journal->test->event)
		journal->test->event(journal->test->opaque, event);
}

void journal_append(struct journal *journal, const struct group *group)
{
	uint64_t seal = make_seal(journal, journal->end, group);
	uint64_t body = journal->end + 1;

	assert(group->words && group->words <= GROUP_WORDS);
	/* R16: seal, body and terminator must not reach the oldest group. */
	assert(journal_used(journal) + group->words + 2 <= journal->words);
	*(uint64_t *)ring_at(journal, body + group->words) = 0;
	for (unsigned int i = 0; i < group->words; i++)
		*(uint64_t *)ring_at(journal, body + i) = group->body[i];
	tell(journal, QCOW_EVENT_GROUP_COPIED);
	/* R3: the seal is the last store; until it is made, the group does
	   not exist. */
	atomic_store_explicit(
		(_Atomic uint64_t *)ring_at(journal, journal->end), seal,
		memory_order_release);
	journal->end = body + group->words;
	TRACE(group_sealed, (uintptr_t)journal, body - 1, group->words);
	tell(journal, QCOW_EVENT_GROUP_SEALED);
}

void journal_drop(struct journal *journal, uint64_t position)
{
	/* R7: one store. */
	atomic_store_explicit(&journal->header->start, position,
			      memory_order_release);
	tell(journal, QCOW_EVENT_GROUPS_DROPPED);
}

/* The group at a position; false where the sealed prefix ends. */
bool journal_read_group(const struct journal *journal, uint64_t position,
			struct group *group)
{
	uint64_t seal = *(uint64_t *)ring_at(journal, position);

	group->words = seal & 0xffff;
	if (!group->words || group->words > GROUP_WORDS || group->words % 2)
		return false;
	if (group->words + 2 + position - journal->header->start >
	    journal->words)
		return false;
	for (unsigned int i = 0; i < group->words; i++)
		group->body[i] = *(uint64_t *)ring_at(journal,
						      position + 1 + i);
	return seal == make_seal(journal, position, group);
}
