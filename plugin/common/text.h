/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Texts that come from outside: names of files, and texts of images (P6).
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the UTF-8 sequence that begins here; 0: it is none. */
int text_sequence(const unsigned char *text);

/* As vsnprintf(), but a text that is too long loses its middle: its beginning
   names the subject, and its end the cause.  size is 32 bytes
   at least. */
void text_format(char *text, size_t size, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

/* Replaces each byte of a control character by a ?, so that the text is one
   line and commands no terminal.  Other bytes stay, UTF-8 or not. */
void text_tame(char *text);

/* The text as one word for a shell, in quotes; a text that is too long is cut
   before its last quote. */
void text_quote(char *word, size_t size, const char *text);

/* A number of bytes as people write it: 64G. */
#define TEXT_SIZE_MAX 16
void text_size(uint64_t bytes, char text[TEXT_SIZE_MAX]);

/* Reads a number of bytes as people write it (10737418240, 10G, 1.5T): units
   are powers of 1024.  -EINVAL: the text is no such number, or it is too
   large. */
int text_to_size(const char *text, uint64_t *bytes);

/* A time in ns as people read it: 12us, 3.4ms, 5.6s. */
#define TEXT_TIME_MAX 16
void text_time(uint64_t ns, char text[TEXT_TIME_MAX]);

#endif /* TEXT_H */
