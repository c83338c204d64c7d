/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes that a disk must hold: a sparse raw file, mapped, so that a disk of
   a TiB with little in it is no work. */
#ifndef CONTENTS_H
#define CONTENTS_H

#include <stdbool.h>
#include "tests/lib/helpers.h"

struct contents {
	char *path;
	int fd;
	uint64_t size;	/* bytes, whole sectors */
	uint8_t *bytes; /* shared with children */
};

/* Maps a raw file; a write to the bytes is a write to the file. */
void contents_open(struct contents *contents, const char *path);
void contents_close(struct contents *contents);

/* A part of a disk where it is worth looking: all of a small one. */
struct window {
	uint64_t offset, length; /* bytes; the offset is a multiple of
				    2 MiB */
};
void window_draw(struct window *window, struct random *random, uint64_t size);

/* A reader, whose bytes are compared. */
struct subject {
	/* Never more than `unit` bytes, and not across a multiple of it. */
	void (*read)(void *reader, void *bytes, uint64_t offset, size_t length);
	/* May this sector hold something else?  NULL: no. */
	bool (*excuses)(void *reader, uint64_t sector, const uint8_t *bytes);
	void *reader;
	size_t unit;	  /* bytes, a power of two, at most 2 MiB */
	const char *what; /* for the message */
};

/* Dies of a difference.  Of large holes only places are read, */
void contents_compare(const struct contents *contents,
		      const struct subject *subject);
/* but all of such a range. */
void contents_compare_range(const struct contents *contents,
			    const struct subject *subject, uint64_t offset,
			    uint64_t length);

#endif /* CONTENTS_H */
