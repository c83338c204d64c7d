/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Texts that come from outside: names of files, and what images say (P6).
 */
#ifndef TEXT_H
#define TEXT_H

/* The length of the UTF-8 sequence that begins here; 0: it is none. */
int text_sequence(const unsigned char *text);

/* Makes of every control character one ? per byte, so that the text is one
   line and commands no terminal.  Other bytes stay, UTF-8 or not. */
void text_tame(char *text);

#endif /* TEXT_H */
