// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ublk-qcow2: one program for all there is to do with a disk.
 *
 * Commands run in the foreground and end.  `add`, and `recover` where it has
 * to, leave behind a supervisor, which has a server as its child; both are
 * this program too, forked off.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "plugin/options.h"

/* A descriptor of ours must never be taken for stdout: whoever started us
   may have closed that. */
static int fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (fill_standard_descriptors())
		return EXIT_FAILURE;
	return options_run(argc, argv);
}
