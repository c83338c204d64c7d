// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many I/O threads a disk has.  One thread has one ring, and a ring has a
 * limit: a server that could not make its ring would never serve.
 */
#include <stdbool.h>
#include "plugin/common/disk-options.h"
#include "plugin/server/queues.h"
#include "plugin/server/ublk_abi.h"
#include "tests/lib/helpers.h"

#define NEW (UBLK_F_PER_IO_DAEMON | UBLK_F_SHMEM_ZC)

static void expect(unsigned int queues, unsigned int depth, uint64_t features,
		   bool recovers, unsigned int threads)
{
	const struct disk_options options = {
		.queues = queues,
		.depth = depth,
	};
	unsigned int found = queues_threads(&options, features, recovers);

	if (found != threads)
		die("%u queues of depth %u%s: %u threads", queues, depth,
		    recovers ? ", a recovery" : "", found);
}

int main(void)
{
	expect(1, 128, NEW, false, 1);
	expect(4, 128, NEW, false, 4);
	expect(64, 128, NEW, false, 16);
	expect(4, 128, UBLK_F_PER_IO_DAEMON, false, 1);
	/* One call fetches all, if one ring has room for all. */
	expect(4, 128, NEW, true, 1);
	expect(4, 4096, NEW, true, 1);
	expect(5, 4096, NEW, true, 5);
	expect(64, 512, NEW, true, 16);
	return 0;
}
