/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk under several threads of the scheduler, and the bytes of the disk and
 * of the journal at each instant.
 */
#ifndef INSTANTS_H
#define INSTANTS_H

#include "tests/lib/disk.h"
#include "tests/lib/helpers.h"

#define INSTANT_JOURNAL (8u << 10) /* bytes of the journal's file */
#define INSTANTS_MAX	4096u

struct qcow_image;

struct instants {
	struct disk base; /* when the record began */
	struct disk disk;
	struct qcow_test_hooks hooks; /* for the engine: the disk, but others
					 may go on meanwhile */
	const struct qcow_image *image;
	const uint64_t *clock;
	/* Of each step of the disk. */
	struct moment {
		uint64_t time;
		unsigned int began; /* so many steps had been made when its
				       call began, */
		unsigned int ended; /* and when it ended; 0: not yet */
		uint8_t journal[INSTANT_JOURNAL];
	} * moments;
};

void instants_create(struct instants *instants, const struct disk *base);
void instants_destroy(struct instants *instants);
/* The n-th I/O from now fails. */
void instants_fail(struct instants *instants, unsigned int n);
/* From here on every step is remembered, with the time by this clock. */
void instants_record(struct instants *instants, const struct qcow_image *image,
		     const uint64_t *clock);

/* The record is complete; nothing fails from here on. */
void instants_end(struct instants *instants);

/* Just before a step. */
struct instant {
	unsigned int step;
	uint64_t time;
	const uint8_t *journal;
};
void instants_draw(const struct instants *instants, struct random *random,
		   struct instant *instant);
/* The disk as a death at the instant leaves it, or a loss of power; disk_free()
   frees it. */
void instants_die(const struct instants *instants,
		  const struct instant *instant, struct random *random,
		  struct disk *disk);
void instants_lose(const struct instants *instants,
		   const struct instant *instant, struct random *random,
		   struct disk *disk);

#endif /* INSTANTS_H */
