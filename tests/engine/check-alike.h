/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images that are damaged in one place each. */
#ifndef CHECK_ALIKE_H
#define CHECK_ALIKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The image that a row damages. */
extern struct alike_image {
	uint8_t *bytes;
	size_t size;
} image;

struct row {
	const char *what, *make;
	void (*damage)(void);
	const char *why; /* why ours differs; NULL: the same */
	bool sound;	 /* after our repair, where ours differs */
};
extern const struct row rows[];
extern const unsigned int nr_rows;

#endif /* CHECK_ALIKE_H */
