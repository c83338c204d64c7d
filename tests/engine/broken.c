// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Broken images, a row each: the bytes that are poked into a sound image of
 * qemu-img's, and the words that the refusal must have.
 *
 * Most images are refused at the open, and the refusal gives the reason.  Such
 * an image is not changed, and no journal is left.  qcow_read_info() either
 * says the same or works.  A fault that lies deeper is met later: the guest
 * gets an error, never bytes of something else.  The image is marked as
 * corrupt, and nothing else of it changes.  qemu-img check agrees.
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
