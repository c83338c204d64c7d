// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The message about a request that has killed its servers.
 *
 * The message comes when the next server serves: the disk's users wait for that
 * first.
 */
#include <inttypes.h>
#include <stdio.h>

#include "plugin/common/log.h"
#include "plugin/server/ublk_abi.h"
#include "plugin/supervisor/watch.h"

/* The number is a server's word. */
static const char *word_of(uint8_t op)
{
	static const char *const words[] = {
		[UBLK_IO_OP_READ] = "read",
		[UBLK_IO_OP_WRITE] = "write",
		[UBLK_IO_OP_FLUSH] = "flush",
		[UBLK_IO_OP_DISCARD] = "discard",
		[UBLK_IO_OP_WRITE_ZEROES] = "write of zeroes",
	};

	if (op >= sizeof(words) / sizeof(words[0]) || !words[op])
		return "request";
	return words[op];
}

void poison_tell(struct supervisor *sv)
{
	const struct culprit *culprit = &sv->poison.culprit;
	struct disk *disk = &sv->disk;

	if (!sv->poison.untold)
		return;
	sv->poison.untold = false;
	snprintf(disk->reason, sizeof(disk->reason),
		 "three servers in a row died of a %s of %" PRIu32
		 " sectors at sector %" PRIu64
		 ", the last two of them before they began anything else; it "
		 "fails with an I/O error, and the disk goes on",
		 word_of(culprit->op), culprit->sectors, culprit->sector);
	log_event(DISK_EVENT_POISONED,
		  "%s; report this, with the log of the host", disk->reason);
	hooks_run(&sv->hooks, disk, DISK_EVENT_POISONED, disk->server.pid);
	disk->reason[0] = '\0';
}
