// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `check` and `info` read an image of somebody else's, and have no right left
 * by then to open one.
 *
 * Each case is a child, for there is no way back.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/commands/options.h"
#include "qcow/file.h"
#include "tests/lib/helpers.h"

#define SKIPPED 77

static char *image, *overlay;
static int *looks; /* shared with the child */

static void look_at_rights(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	/* No such user: it tells the present one. */
	const uid_t files = setfsuid(-1);

	if (syscall(SYS_capget, &header, data) || data[0].permitted ||
	    data[1].permitted || !geteuid() || !files ||
	    open(image, O_RDONLY) >= 0)
		die("capabilities %#x, user %u, for files %u",
		    data[0].permitted, geteuid(), files);
}

int __real_file_read(struct file *file, void *buffer, uint64_t offset,
		     size_t length);
int __wrap_file_read(struct file *file, void *buffer, uint64_t offset,
		     size_t length);
int __wrap_file_read(struct file *file, void *buffer, uint64_t offset,
		     size_t length)
{
	look_at_rights();
	++*looks;
	return __real_file_read(file, buffer, offset, length);
}

static void try(int (*command)(const struct options *options),
		const char *subject, const char *repair)
{
	const struct options options = { .subject = subject, .repair = repair };
	const int before = *looks;
	pid_t child = fork();
	int status = 0;

	if (!child)
		_exit(command(&options));
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		die("%s: see above (%#x)", repair ? repair : subject, status);
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
	overlay = scratch_path("overlay.qcow2");
	must_run("qemu-img create -q -f qcow2 %s 1M", image);
	must_run("chown 1000:1000 %s && chmod 600 %s", image, image);
	must_run(
		"qemu-img create -q -f qcow2 -b %s -F qcow2 %s && chmod 600 %s",
		image, overlay, overlay);
	try(command_check, image, NULL);
	try(command_check, image, "all");
	try(command_info, image, NULL);
	try(command_info, overlay, NULL);
	return 0;
}
