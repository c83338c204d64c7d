// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Broken images, a row each: what is poked into a sound image that qemu-img
 * made, and what has to be said of it.
 *
 * Most are refused at the open, by the reason; they are not changed then, no
 * journal is left, and qcow_read_info() either says the same or works.  What
 * is broken deeper is met later: the guest gets an error, never bytes of
 * something else, the image is marked as corrupt and nothing else of it
 * changes; and qemu-img check agrees.
 */
#include <stdio.h>
#include <stdlib.h>
#include "tests/engine/broken.h"

int main(void)
{
	broken_make_bases();
	broken_refused();
	broken_tables();
	broken_names();
	broken_later();
	broken_clusters();
	broken_beyond();
	printf("%u checks\n", checks);
	for (unsigned int i = 0; i < BASES; i++)
		free(bases[i]);
	return 0;
}
