/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who else reads images, each as far as it is known to read them rightly. */
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

/* Reads the image and compares; dies of a difference.  False: it is none
   that this reader can be trusted with. */
bool reader_read(enum reader reader, const struct recipe *recipe,
		 const struct contents *contents);

#endif /* READERS_H */
