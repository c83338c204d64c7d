// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Faults for tests.  Nothing of this is in a program that is installed.
 */
#include "plugin/server/fault.h"

#ifdef TEST_FAULTS

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "plugin/server/ublk_abi.h"
#include "qcow/file.h"

bool fault(const char *name)
{
	const char *list = getenv("UBLK_QCOW2_FAULT");
	size_t length = strlen(name);

	while (list) {
		if (!strncmp(list, name, length) &&
		    (list[length] == ',' || !list[length]))
			return true;
		list = strchr(list, ',');
		if (list)
			list++;
	}
	return false;
}

void fault_die(const char *name)
{
	if (fault(name))
		raise(SIGKILL);
}

void fault_options(struct qcow_options *options)
{
	static const struct qcow_test_hooks no_fence = { .no_fence = true };

	if (fault("no-fence-lock"))
		options->test = &no_fence;
}

static bool dies_of(uint64_t sector)
{
	char name[40];

	snprintf(name, sizeof(name), "dies-of-%" PRIu64, sector);
	return fault(name);
}

void fault_of_queue(uint8_t op, uint64_t sector)
{
	if (op == UBLK_IO_OP_WRITE && dies_of(sector))
		abort();
}

void fault_of_worker(uint8_t op, uint64_t sector)
{
	if (op == UBLK_IO_OP_DISCARD && dies_of(sector))
		raise(SIGSEGV);
}

void fault_of_mapping(void)
{
	if (fault("rests-mapped"))
		sleep(2);
}

void fault_of_mounts(void)
{
	if (fault("slow-leave"))
		sleep(3);
}

#define LONG_ENOUGH   5000  /* ms, for a test to kill the server */
#define DRIVERS_PAUSE 50000 /* us, until a driver has met that death */

void fault_of_order(int server)
{
	struct pollfd end = { .fd = server, .events = POLLIN };

	if (!fault("late-order"))
		return;
	if (fault("apart"))
		setsid();
	prctl(PR_SET_NAME, "late-order");
	if (poll(&end, 1, LONG_ENOUGH) > 0)
		usleep(DRIVERS_PAUSE);
	prctl(PR_SET_NAME, "clerk");
}

#endif
