/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A life of an image that ends with a kill, and the result that the next open
 * must have.
 */
#ifndef PUT_BACK_H
#define PUT_BACK_H

#include <stdbool.h>
#include <stdint.h>
#include "qcow/qcow.h"

#define PIECE	 65536u
#define LEASE_MS 300u

enum shape {
	VERSION_2,
	VERSION_3,
	OVERLAY, /* room is made for its mark */
	NO_ROOM, /* an overlay with clusters that are too small for one */
	DATA_FILE,
	NR_SHAPES,
};

/* Each shape's arguments of qemu-img create. */
extern const char *const shapes[NR_SHAPES];

/* The acts of a life before its kill. */
enum ending {
	AT_REST,   /* unflushed writes, none in flight */
	IN_FLIGHT, /* one write has begun and not ended */
	UNWRITTEN, /* nothing was written */
};

/* put-back-life.c */

void in_scratch(const char *command);

/* Makes the image anew. */
void make(enum shape shape);

struct qcow_options plain_options(void);

/* Returns NULL if the image is refused; error says why. */
struct qcow_image *try_open(const struct qcow_options *options,
			    struct qcow_error *error);

void write_piece(struct qcow_image *image, uint64_t offset, int byte);

/* Makes the image, and a process that writes to it and is killed.  In the
   middle of its life the process copies the image, and once more, as "late",
   after its last checkpoint. */
void live_and_die(enum shape shape, enum ending ending);

/* The same with the image that is there. */
void live_again(enum ending ending);

void expect_byte(struct qcow_image *image, uint64_t offset, int byte);

/* There is no journal, and no note. */
void expect_nothing_left(void);

/* The image must open, with every acknowledged write. */
void expect_replayed(const char *what);
void expect_replayed_by(const struct qcow_options *options, const char *what);

/* The image must be refused with that word, and open when forced. */
void expect_refused(const char *what, const char *word);

/* As if the dead owner's clock had been an hour ahead. */
void set_clock_back(void);

/* Does the image say itself that the copy is older? */
bool has_mark(enum shape shape);

/* put-back-others.c: all agrees but one thing */
void test_others(void);

/* put-back-slow.c: a busy host */
void test_slow(void);

#endif /* PUT_BACK_H */
