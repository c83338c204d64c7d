/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers of the native tests: scratch files, qemu-img, random numbers. */
#ifndef HELPERS_H
#define HELPERS_H

#include <stddef.h>
#include <stdint.h>

/* A directory on a tmpfs that is removed at exit. */
const char *scratch(void);
/* DIRECTORY/NAME; the caller frees it. */
char *scratch_path(const char *name);
/* The one file there that matches a pattern of glob(), or the test ends; the
   caller frees the path. */
char *scratch_find(const char *pattern);

/* Ends the test with a message. */
void die(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));

/* Runs a command; its exit status. */
int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, and the status has to be 0. */
void must_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* NULL if there is no such file; the caller frees the bytes. */
uint8_t *read_file(const char *path, size_t *size);
void write_file(const char *path, const void *bytes, size_t size);

/* A generator whose numbers depend on the seed only. */
struct random {
	uint64_t state;
};
uint64_t random_next(struct random *random);
/* 0 to n - 1 */
uint64_t random_below(struct random *random, uint64_t n);

/* How much longer to test than by default; from TEST_EFFORT. */
unsigned int effort(void);
/* One of how many cases to test; from TEST_STRIDE. */
unsigned int stride(void);

#endif /* HELPERS_H */
