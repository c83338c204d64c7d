// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/lib/helpers.h"

static char directory[] = "/dev/shm/ublk-qcow2-test-XXXXXX";
static pid_t owner;

static void remove_scratch(void)
{
	if (owner != getpid())
		return;
	if (getenv("TEST_KEEP"))
		fprintf(stderr, "%s is kept\n", directory);
	else
		run("rm -rf %s", directory);
}

const char *scratch(void)
{
	if (owner)
		return directory;
	if (!mkdtemp(directory))
		die("%s: %s", directory, strerror(errno));
	owner = getpid();
	atexit(remove_scratch);
	return directory;
}

char *scratch_path(const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", scratch(), name) < 0)
		abort();
	return path;
}

char *scratch_find(const char *pattern)
{
	char *full = scratch_path(pattern), *path;
	glob_t found;

	if (glob(full, 0, NULL, &found) || found.gl_pathc != 1)
		die("%s: there is none, or more than one", pattern);
	path = strdup(found.gl_pathv[0]);
	globfree(&found);
	free(full);
	return path;
}

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static int run_args(const char *format, va_list args, char **command)
{
	int status;

	if (vasprintf(command, format, args) < 0)
		abort();
	fflush(stdout);
	status = system(*command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int run(const char *format, ...)
{
	char *command;
	va_list args;
	int status;

	va_start(args, format);
	status = run_args(format, args, &command);
	va_end(args);
	free(command);
	return status;
}

void must_run(const char *format, ...)
{
	char *command;
	va_list args;
	int status;

	va_start(args, format);
	status = run_args(format, args, &command);
	va_end(args);
	if (status)
		die("status %d: %s", status, command);
	free(command);
}

uint8_t *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;

	if (!file)
		return NULL;
	fseek(file, 0, SEEK_END);
	*size = ftell(file);
	rewind(file);
	bytes = malloc(*size + 1);
	if (!bytes || fread(bytes, 1, *size, file) != *size)
		die("cannot read %s", path);
	fclose(file);
	return bytes;
}

void write_file(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");

	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file))
		die("cannot write %s", path);
}

/* splitmix64 */
uint64_t random_next(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t random_below(struct random *random, uint64_t n)
{
	return random_next(random) % n;
}

unsigned int effort(void)
{
	const char *text = getenv("TEST_EFFORT");

	return text ? atoi(text) : 1;
}

unsigned int stride(void)
{
	const char *text = getenv("TEST_STRIDE");
	int n = text ? atoi(text) : 1;

	return n > 0 ? n : 1;
}
