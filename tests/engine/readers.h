/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Other readers of images; each gets the images that it is known to read
   rightly. */
#ifndef READERS_H
#define READERS_H

#include "tests/lib/contents.h"
#include "tests/engine/recipe.h"

enum reader {
	READER_7ZZ,	/* the archiver */
	READER_LIBQCOW, /* the library, with layers of qcow2 */
	NR_READERS,
};

extern const char *const reader_names[NR_READERS];

/* Reads the image and compares; dies of a difference.  Returns false if this
   reader cannot be trusted with the image. */
bool reader_read(enum reader reader, const struct recipe *recipe,
		 const struct contents *contents);

#endif /* READERS_H */
