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
	int length;    /* of what is on the screen, in columns */
	uint64_t next; /* not drawn before this; ms */
};

/* Makes one ready; unwanted ones, and those without a terminal, never show. */
void bar_begin(struct bar *bar, bool wanted);

/* So much is done.  May be called as often as there is something done. */
void bar_show(struct bar *bar, uint64_t done, uint64_t total);

/* Leaves the line empty, with the cursor at its begin; the bar comes back
   with the next bar_show(). */
void bar_erase(struct bar *bar);

/* For good. */
void bar_end(struct bar *bar);

#endif /* BAR_H */
