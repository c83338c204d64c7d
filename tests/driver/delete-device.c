// SPDX-License-Identifier: GPL-2.0-or-later
/* Deletes /dev/ublkbN, whoever's it is, as another program may: for tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plugin/server/control.h"

int main(int argc, char **argv)
{
	struct control *control;
	int ret;

	if (argc != 2) {
		fprintf(stderr, "usage: delete-device N\n");
		return 2;
	}
	ret = control_open(&control);
	if (!ret)
		ret = control_stop(control, atoi(argv[1]));
	if (!ret)
		ret = control_del(control, atoi(argv[1]));
	if (ret)
		fprintf(stderr, "delete-device: %s\n", strerror(-ret));
	return ret ? 1 : 0;
}
