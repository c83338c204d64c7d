// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `check` reads an image of somebody else's, and has no right left by then to
 * open one.
 *
 * Each case is a child, for there is no way back.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/commands/options.h"
#include "qcow/header.h"
#include "tests/lib/helpers.h"

#define SKIPPED 77

static char *image;
static int *looks; /* shared with the child */

static void look_at_rights(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long rights = ~0ull;
	unsigned int user = 0, files = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		sscanf(line, "CapPrm: %llx", &rights);
		sscanf(line, "Uid: %u %*u %*u %u", &user, &files);
	}
	if (file)
		fclose(file);
	if (rights || !user || !files)
		die("capabilities %#llx, user %u, for files %u", rights, user,
		    files);
}

int __real_header_read_first(struct file *file, uint8_t **bytes,
			     struct qcow_error *error);
int __wrap_header_read_first(struct file *file, uint8_t **bytes,
			     struct qcow_error *error);
int __wrap_header_read_first(struct file *file, uint8_t **bytes,
			     struct qcow_error *error)
{
	look_at_rights();
	++*looks;
	return __real_header_read_first(file, bytes, error);
}

static void check(const char *repair)
{
	const struct options options = { .subject = image, .repair = repair };
	const int before = *looks;
	pid_t child = fork();
	int status = 0;

	if (!child)
		_exit(command_check(&options));
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		die("%s: see above (%#x)", repair ? repair : "a look", status);
	if (*looks == before)
		die("nothing is read");
}

int main(void)
{
	if (geteuid())
		return SKIPPED;
	looks = mmap(NULL, sizeof(*looks), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	image = scratch_path("image.qcow2");
	must_run("qemu-img create -q -f qcow2 %s 1M", image);
	must_run("chown 1000:1000 %s && chmod 600 %s", image, image);
	check(NULL);
	check("all");
	return 0;
}
