/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tags' buffers of one I/O thread, each of the largest request's size.
 */
#ifndef BUFFERS_H
#define BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "plugin/server/worker.h"

#define BUFFERS_LARGE (256u << 10) /* bytes: so much is a large request */

struct buffers_row;

struct buffers_tag {
	uint8_t place; /* where its bytes are */
	uint8_t run;   /* so many requests would suit another better */
	uint8_t large; /* which large one */
};

/* The I/O thread's; a worker looks at the rows alone. */
struct buffers {
	char *small; /* constant: [tags][size] */
	char *large; /* constant: some in huge pages; NULL: there is none */
	size_t size; /* constant, of a buffer, bytes */
	unsigned int tags;
	unsigned int per_row; /* large ones in a huge page */
	struct workers *workers;
	struct buffers_row *rows;
	struct buffers_tag *of; /* each */
};

/* Zero is an end without any buffer.  0 or -errno. */
int buffers_create(struct buffers *buffers, unsigned int tags, size_t size);
void buffers_destroy(struct buffers *buffers);

/* From now on tags with large requests get huge pages, which a worker finds.
   Without memory for that all stays as it is. */
void buffers_use_huge_pages(struct buffers *buffers, struct workers *workers);

/* The buffer that a tag has from the beginning; its first page is worth to be
   registered. */
void *buffers_small(const struct buffers *buffers, unsigned int index);

/* The buffer for the tag's next request, now that one of this length is done;
   the bytes of that one, so many, go with it.  The driver reads and fills it
   from the next COMMIT on. */
void *buffers_change(struct buffers *buffers, unsigned int index, void *buffer,
		     size_t bytes, bool large);

/* The same, without a call for those that are small and stay so. */
static inline void *buffers_next(struct buffers *buffers, unsigned int index,
				 void *buffer, size_t bytes, bool large)
{
	if (!buffers->large)
		return buffer;
	if (!large && !buffers->of[index].place) {
		buffers->of[index].run = 0;
		return buffer;
	}
	return buffers_change(buffers, index, buffer, bytes, large);
}

#endif /* BUFFERS_H */
