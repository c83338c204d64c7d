/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Losses of power, drawn at random, and the judgement on the image after
   each. */
#ifndef LOSS_H
#define LOSS_H

#include "tests/engine/script.h"
#include "tests/lib/disk.h"

struct loss {
	struct script *script;
	struct random *random;
	unsigned int per_sync; /* subsets that are drawn for each sync */
	uint8_t *raw; /* the file below an overlay; NULL: there is none */
	size_t raw_size;
	uint64_t subsets, syncs; /* so many were judged */
	uint64_t checked;	 /* by qemu-img */
	uint64_t opened;	 /* by the engine, which went on */
};

/* The part of a record that no sync has made durable. */
struct window {
	const struct step *first, *end;
};

/* The stamps of all sectors of the image, or of its internal snapshot, read
   without the engine. */
void loss_read(const struct loss *loss, const struct disk *disk, bool snapshot,
	       uint32_t *stamps);

/* Applies a subset of the window to the disk. */
void loss_apply(struct loss *loss, struct disk *disk,
		const struct window *window);

/* Judges the disk after each of several subsets; power is lost at the step
   `last`.  The disk equals `synced` before the call and after it. */
void loss_judge(struct loss *loss, struct disk *disk, const struct disk *synced,
		const struct window *window, const struct step *last);

#endif /* LOSS_H */
