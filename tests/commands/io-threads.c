// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many I/O threads a disk has.  One thread has one ring, and a ring has a
 * limit: a server that could not make its ring would never serve.
 */
#include "plugin/common/disk-options.h"
#include "plugin/server/queues.h"
#include "plugin/server/ublk_abi.h"
#include "tests/lib/helpers.h"

#define NEW (UBLK_F_PER_IO_DAEMON | UBLK_F_SHMEM_ZC)

static void expect(unsigned int queues, unsigned int depth, uint64_t features,
		   unsigned int deaths, unsigned int threads)
{
	const struct disk_options options = {
		.queues = queues,
		.depth = depth,
	};
	unsigned int found = queues_threads(&options, features, deaths);

	if (found != threads)
		die("%u queues of depth %u, %u deaths: %u threads", queues,
		    depth, deaths, found);
}

int main(void)
{
	expect(1, 128, NEW, 0, 1);
	expect(4, 128, NEW, 0, 4);
	expect(64, 128, NEW, 0, 16);
	expect(4, 128, UBLK_F_PER_IO_DAEMON, 0, 1);
	/* A culprit is alone, if one ring has room for all. */
	expect(4, 128, NEW, 1, 1);
	expect(4, 4096, NEW, 2, 1);
	expect(5, 4096, NEW, 1, 5);
	expect(64, 512, NEW, 2, 16);
	return 0;
}
