/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program that stands for qemu-io in QEMU's iotests: the same command line,
 * commands and words, but the engine reads and writes the image.
 */
#ifndef STAND_IN_H
#define STAND_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How an image is opened. */
struct asked {
	const char *path;
	bool read_only;
	bool direct; /* past the host's cache */
};

/* served.c: the image, by the engine, at any byte.  All return 0 or -errno. */

/* Says why it cannot be opened. */
int served_open(const struct asked *asked);
int served_close(void);
bool served_is_open(void);
bool served_read_only(void);
const char *served_path(void);
uint64_t served_size(void);
int served_read(void *bytes, uint64_t offset, uint64_t length);
int served_write(const void *bytes, uint64_t offset, uint64_t length);
int served_zero(uint64_t offset, uint64_t length, bool unmap);
int served_discard(uint64_t offset, uint64_t length);
int served_flush(void);
int served_grow(uint64_t size);

/* transfer.c: commands that move bytes.  These return 0 or -errno. */

int transfer_read(int argc, char **argv);
int transfer_write(int argc, char **argv);
int transfer_discard(int argc, char **argv);
int transfer_flush(int argc, char **argv);
int transfer_wait(int argc, char **argv);
/* Ends those that go on beside the others. */
void transfer_end(void);

/* commands.c */

/* Does one line.  Returns 0 or -errno. */
int command_line(const char *line);
/* The command "quit" was there. */
bool command_quit(void);
/* "open" and the program itself have these options.  NULL, or why QEMU's own
   program has to do it. */
const char *command_parse_open(int argc, char **argv, struct asked *asked);
/* The same for a line. */
const char *command_not_ours(const char *line);
/* It changes the image or reads it. */
bool command_moves(const char *line);
/* It ends the program by a signal. */
bool command_dies(const char *line);

/* words.c: numbers and sizes as QEMU reads and prints them. */

/* -EINVAL, -ERANGE: it has said so. */
int64_t words_number(const char *text);
int words_pattern(const char *text);
void words_size(double value, char *text, size_t size);
/* Without true times, which iotests' filter takes out. */
void words_report(const char *what, uint64_t offset, uint64_t length,
		  bool machine);
void words_dump(const uint8_t *bytes, uint64_t offset, uint64_t length);

#endif /* STAND_IN_H */
