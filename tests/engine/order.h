/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tests of `order` share this: an image on a recording disk, and questions
 * about its record.
 */
#ifndef ORDER_H
#define ORDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tests/lib/disk.h"
#include "qcow/cache.h"
#include "qcow/qcow.h"

#define CLUSTER 65536u

extern struct order_test {
	struct disk disk;
	struct qcow_image *image;
	const char *what;
	uint64_t table; /* where the L2 table is, or a block */
	enum slice_type type;
	atomic_bool met; /* the I/O that the test is about was made */
	uint8_t bytes[CLUSTER] __attribute__((aligned(4096)));
} test;

/* order-record.c */

/* Makes the image, with these options of qemu-img create. */
void load(const char *what, const char *options);

/* Opens the image, with a thread for checkpoints or without. */
void open_it(bool has_thread);

/* Closes the image, which must be sound then. */
void end(void);

/* Ends the test unless ret is 0. */
void must(int ret, const char *what);

void put(uint64_t offset, size_t length);
void flush(void);

/* The record: its first step, and the end behind its last. */
const struct step *first_step(void);
const struct step *end_step(void);

/* Does the step write the byte at the offset? */
bool is_write(const struct step *step, uint64_t offset);

/* The first sync in a part of the record; NULL: there is none. */
const struct step *find_sync(const struct step *from, const struct step *to);

/* The last write to an offset before the end of a part of the record. */
const struct step *last_write(const struct step *to, uint64_t offset);

/* order-mark.c: the header before and after all other writes. */
void test_mark(void);

#endif /* ORDER_H */
