/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bytes of a layer that the layers above it hide. */
#ifndef QCOW_HIDDEN_H
#define QCOW_HIDDEN_H

#include "qcow/image.h"

struct hidden {
	enum hidden_kind {
		HIDDEN_NOT,  /* the layer shows through */
		HIDDEN_ZERO, /* by zeros */
		HIDDEN_DATA, /* by other bytes */
	} kind;
	uint64_t length; /* bytes, more than none */
};

/*
 * The beginning of a range of an image, as far as it is of one kind; under has
 * the layer, somewhere below the image.  May block; not under the lock.  The
 * caller has entered the range.
 */
int hidden_look(struct qcow_image *image, const struct backing *under,
		uint64_t offset, uint64_t length, struct hidden *hidden);

#endif /* QCOW_HIDDEN_H */
