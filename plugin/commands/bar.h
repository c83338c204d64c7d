/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A progress bar on stderr, if that is a terminal.
 */
#ifndef BAR_H
#define BAR_H

#include <stdbool.h>
#include <stdint.h>

struct bar {
	bool wanted;
	int length;    /* of the text on the screen, in columns */
	uint64_t next; /* the bar is not drawn before this; ms */
};

/* Makes a bar ready.  It never shows if it is unwanted or stderr is no
   terminal. */
void bar_begin(struct bar *bar, bool wanted);

/* Shows that so much is done.  May be called as often as one likes. */
void bar_show(struct bar *bar, uint64_t done, uint64_t total);

/* Makes the line empty and leaves the cursor at its start.  The bar comes back
   with the next bar_show(). */
void bar_erase(struct bar *bar);

/* Removes the bar for good. */
void bar_end(struct bar *bar);

#endif /* BAR_H */
