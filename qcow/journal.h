/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal, and the groups of assignments in it (R3, R11 to R13). */
#ifndef QCOW_JOURNAL_H
#define QCOW_JOURNAL_H

#include <stdatomic.h>
#include "qcow/file.h"
#include "qcow/header.h"
#include "qcow/lease.h"

#define GROUP_WORDS 128	  /* the largest body of a group */
#define GROUP_RUN   4095u /* the longest run of one assignment */

/* The assignments of one change (R3), as they go into the journal. */
struct group {
	unsigned int words;
	uint64_t body[GROUP_WORDS];
};

/* An assignment of the journal; each covers a run of count indices. */
enum record_kind {
	RECORD_L1 = 1,	       /* L1[index] = value */
	RECORD_L2,	       /* L2[index + i] = value */
	RECORD_L2_DATA,	       /* L2[index + i] = value + i * cluster size */
	RECORD_L2_BITMAP,      /* its second word, if extended = value */
	RECORD_REFCOUNT,       /* refcount[index + i] = value */
	RECORD_REFCOUNT_TABLE, /* header: offset = value, index clusters */
	RECORD_L1_TABLE,       /* header: offset = value, index entries */
};

struct record {
	enum record_kind kind;
	uint32_t count;
	uint64_t index;
	uint64_t value;
};

/* How far a life has come. */
enum life_state {
	LIFE_OPENED,  /* nothing was written yet */
	LIFE_WRITTEN, /* or is about to be, since its mark is
			 in the image */
	LIFE_CLOSING, /* all is in the image, and durable; the
			 mark is about to go */
};

/* The journal's first page. */
struct journal_header {
	uint64_t magic;
	uint64_t words;		       /* of the ring */
	struct qcow_identity identity; /* of the image */
	uint64_t nonce;		       /* of the life */
	uint8_t boot_id[16];
	_Atomic uint64_t start;	     /* position of the oldest group */
	_Atomic uint64_t generation; /* durable in the image */
	_Atomic uint64_t making;     /* being written to it, or the same */
	_Atomic uint32_t state;	     /* enum life_state */
	struct lease_record lease;
	_Atomic uint64_t ahead_start; /* the cluster where the file ended before
					 room was set aside; 0: none was */
};

/* The note beside it.  It says that there was a journal, should that be
   gone. */
struct journal_note {
	uint64_t magic;
	uint8_t boot_id[16];
	_Atomic uint32_t state; /* enum life_state */
};

struct journal {
	struct journal_header *header; /* mapped, shared */
	uint64_t *ring;		       /* mapped, shared */
	uint64_t words;		       /* capacity of the ring */
	uint64_t end;		       /* position after the last group */
	uint64_t reserved;	       /* words promised to links (R16) */
	size_t mapped;		       /* bytes */
	struct journal_note *note;     /* mapped, shared; NULL: no room */
	char *path;
	char *note_path;
	uint8_t boot_id[16]; /* of this boot */
	bool created;	     /* by this open */
	const struct qcow_names *names;
	const struct qcow_test_hooks *test;
};

/* journal-owner.c: is it this image's? (R12) */

/* Finds the image's journal or makes one.  A read-only image has one only
   if there is something to replay; it is not changed then. */
int journal_open(struct qcow_image *image, const struct qcow_options *options,
		 struct qcow_error *error);
/* May there be one, not replayed yet, that knows more than the image? */
bool journal_is_pending(const struct file *file, const struct header *header,
			const char *directory);

/* journal-file.c: the files in the journals' directory (R13) */

/* Sets the paths; -ENOMEM. */
int journal_name(struct journal *journal, const struct qcow_identity *identity,
		 const char *directory);
int journal_read_boot_id(const struct qcow_names *names, uint8_t boot_id[16]);
/* Maps the journal that is there, perhaps only to read it.  -ENOENT: there is
   none.  */
int journal_map(struct journal *journal, bool read_only,
		struct qcow_error *error);
/* Likewise the note, if there is one of this boot. */
void journal_map_note(struct journal *journal, bool read_only);
void journal_unmap(struct journal *journal);
/* Makes an empty journal of a new life and its note, in place of old ones. */
int journal_create(struct journal *journal,
		   const struct qcow_identity *identity, const char *directory,
		   uint64_t size, struct qcow_error *error);
/* Makes a note for a journal that lost it, if there is room. */
void journal_renew_note(struct journal *journal, const char *directory);
/* In the journal and the note. */
void journal_set_state(struct journal *journal, enum life_state state);
/* The mark that the header has to carry. */
void journal_get_mark(const struct journal *journal, struct life_mark *mark);

/* journal-remove.c */

/* remove: nothing in the journal is needed any more. */
void journal_close(struct journal *journal, bool remove);
/* Tells of journals whose images had the same inode and are deleted. */
void journal_tell_left(struct qcow_image *image, const char *directory);

/* journal.c: the ring */

/* Adds a record to a group that has room for it. */
void group_add(struct group *group, const struct record *record);
/* group_add() of a record for one index. */
void group_assign(struct group *group, enum record_kind kind, uint64_t index,
		  uint64_t value);
/* Reads the record at *word, and moves *word behind it. */
void group_next(const struct group *group, unsigned int *word,
		struct record *record);
/* Words of the ring that hold groups. */
uint64_t journal_used(const struct journal *journal);
/* Is there room for so many words more than are reserved? */
bool journal_has_room(const struct journal *journal, uint64_t words);
/* Appends a group for which room was reserved, and seals it (R3). */
void journal_append(struct journal *journal, const struct group *group);
/* Drops the groups before a position (R7). */
void journal_drop(struct journal *journal, uint64_t position);
/* The group at a position; false where the sealed prefix ends. */
bool journal_read_group(const struct journal *journal, uint64_t position,
			struct group *group);

/* replay.c */

/* Applies the groups of the journal to the active dirty set (R11).  Returns:
     0        done
     -ENOMEM  out of memory
     -E2BIG   more assignments than a set may hold
     -EINVAL  a group speaks of clusters that the image does not have */
int journal_replay(struct qcow_image *image, struct qcow_error *error);

#endif /* QCOW_JOURNAL_H */
