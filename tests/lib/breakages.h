/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ways to break a sound image, by its bytes.  The image has an internal
 * snapshot or not, counts of at least 8 bits, and data in its first two guest
 * clusters.
 */
#ifndef BREAKAGES_H
#define BREAKAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes that the guest sees in a repaired image. */
enum content {
	CONTENT_SOUND,	  /* the bytes from before the breakage */
	CONTENT_BROKEN,	  /* the bytes of the broken image, if they
			     could be read */
	CONTENT_METADATA, /* parts of tables, which have changed */
};

/* false: it cannot be done to this image */
typedef bool breakage_poke(uint8_t *bytes, size_t size);

struct breakage {
	const char *name;
	breakage_poke *poke;
	enum content content;
	bool ours; /* qemu-img check finds nothing */
};

extern const struct breakage breakages[];
extern const unsigned int nr_breakages;

#endif /* BREAKAGES_H */
