// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ring of a journal, without an image: the order of the stores that make a
 * group (R3), lap after lap, and groups that are none, since a byte of the body
 * has changed or they stand in another place.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/lib/helpers.h"
#include "qcow/journal.h"

#define GROUPS 2000u /* many laps */
#define KEPT   20u   /* words, at most, when the oldest group is dropped */

static struct journal journal = { .names = &qcow_names_of_host };
static unsigned int copied, sealed;

static uint64_t *word_at(uint64_t position)
{
	return &journal.ring[position % journal.words];
}

/* A process that is killed at this moment leaves this word. */
static void look(void *opaque, enum qcow_event event)
{
	(void)opaque;
	if (event == QCOW_EVENT_GROUP_COPIED) {
		copied++;
		if (*word_at(journal.end))
			die("group %u has its seal before its body", copied);
	}
	if (event == QCOW_EVENT_GROUP_SEALED) {
		sealed++;
		if (*word_at(journal.end))
			die("behind group %u no end is marked", sealed);
	}
}

static void create(void)
{
	static const struct qcow_test_hooks hooks = { .event = look };
	const struct qcow_identity identity = { .device = 1, .inode = 2 };
	struct qcow_error error = { "" };

	if (journal_name(&journal, &identity, scratch()) ||
	    journal_create(&journal, &identity, scratch(), 8u << 10, &error))
		die("%s", error.text);
	journal.end = journal.header->start;
	journal.test = &hooks;
}

/* Returns where the group is. */
static uint64_t append(uint64_t value)
{
	uint64_t position = journal.end;
	struct group group = { 0 };

	for (unsigned int i = 0; i <= value % 3; i++)
		group_assign(&group, RECORD_L1, i, value);
	journal_append(&journal, &group);
	return position;
}

static bool is_there(uint64_t position)
{
	struct group group;

	return journal_read_group(&journal, position, &group);
}

static void test_laps(void)
{
	struct group oldest;

	for (unsigned int i = 0; i < GROUPS; i++) {
		uint64_t position = append(~(uint64_t)i);

		if (!is_there(position) || is_there(journal.end))
			die("group %u is not the last one", i);
		while (journal_used(&journal) > KEPT) {
			if (!journal_read_group(&journal, journal.header->start,
						&oldest))
				die("the oldest group is not there");
			journal_drop(&journal,
				     journal.header->start + 1 + oldest.words);
		}
	}
	if (copied != GROUPS || sealed != GROUPS)
		die("%u groups were copied, %u sealed", copied, sealed);
}

static void test_changed(void)
{
	uint64_t position = append(1);

	for (uint64_t at = position + 1; at < journal.end; at++) {
		*word_at(at) ^= 1;
		if (is_there(position))
			die("word %lu may change", at - position);
		*word_at(at) ^= 1;
	}
	if (!is_there(position))
		die("a whole group is none");
}

static void test_moved(void)
{
	uint64_t first = append(1), length = journal.end - first;

	append(2);
	for (uint64_t i = 0; i < length; i++)
		*word_at(journal.end + i) = *word_at(first + i);
	if (is_there(journal.end))
		die("a group is taken in another place");
}

int main(void)
{
	create();
	test_laps();
	test_changed();
	test_moved();
	journal_close(&journal, true);
	return 0;
}
