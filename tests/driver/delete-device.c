// SPDX-License-Identifier: GPL-2.0-or-later
/* Deletes /dev/ublkbN of any owner, as another program may: for tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "plugin/server/control.h"
#include "plugin/server/ublk_abi.h"

/* Deletes it, and waits until its number is free. */
static int delete (struct control *control, int id)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = control_del_async(control, id);

	while (!ret && !control_get_info(control, id, &info))
		usleep(10000);
	return ret;
}

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
		ret = delete (control, atoi(argv[1]));
	if (ret)
		fprintf(stderr, "delete-device: %s\n", strerror(-ret));
	return ret ? 1 : 0;
}
