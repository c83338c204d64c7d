/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The chains of `merge`. */
#ifndef TEST_MERGE_H
#define TEST_MERGE_H

#include "qcow/qcow.h"
#include "tests/lib/helpers.h"

#define KIB	   1024ull
#define LAYERS_MAX 4

/* A layer: its options, or NULL for a raw file; its size in KiB. */
struct layer {
	const char *options;
	uint64_t size; /* 0: there is no such layer */
};

struct chain {
	unsigned int into; /* the place of the layer; 1: just below the top */
	struct layer layers[LAYERS_MAX]; /* from the top down */
	const char *then; /* done to the layer, $i; may be NULL */
};

#define CHAIN(place, ...) \
	{ \
		.into = place, .layers = { __VA_ARGS__ } \
	}
#define L(...) \
	{ \
		__VA_ARGS__ \
	}

/* The chain under test. */
extern struct merge_test {
	const struct chain *chain;
	unsigned int nr;
	char *paths[LAYERS_MAX];
	uint64_t size;
	uint8_t *model; /* as the guest sees it */
} test;

/* merge-chain.c */

/* Ends the test with the names of the chain. */
void die_here(const char *what, const char *why) __attribute__((noreturn));

void make_chain(const struct chain *chain, struct random *random);
void free_chain(void);
/* Opens the image on top, for a merge. */
struct qcow_image *open_chain(void);
/* Does the engine tell which layers are written? */
void check_written(const struct qcow_image *image);
/* P2: the layer's own file holds the disk, although it is still open. */
void check_flushed(void);
/* After the close, the top and the layer each are the disk, and the other
   layers have not changed. */
void check_layers(void);

#endif /* TEST_MERGE_H */
