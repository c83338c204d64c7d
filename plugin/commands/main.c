// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ublk-qcow2: one program for all there is to do with a disk.
 *
 * Commands run in the foreground and end.  `add`, and `recover` where it has
 * to, leave behind a supervisor, which has a server as its child; both are
 * this program too, forked off.  A supervisor may become the program that was
 * installed after it started.
 */
#include <stdlib.h>

#include "plugin/commands/options.h"
#include "plugin/common/settle.h"
#include "plugin/common/title.h"
#include "plugin/supervisor/renew.h"

int main(int argc, char **argv)
{
	title_begin(argc, argv);
	if (renew_is_it(argc, argv))
		return renew_run(argv);
	if (settle_command())
		return EXIT_FAILURE;
	return options_run(argc, argv);
}
