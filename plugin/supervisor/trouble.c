// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A disk whose host's storage is full, or fails.
 *
 * The server sees requests fail and says so, at once and then once a minute.
 * The supervisor keeps it in the record, for `list`, tells it to the log, to
 * the service manager and to the hooks, and forgets it when the server says
 * that all is well again.  A server that takes over is told of the trouble
 * which the one before has seen, so that it can say when that is over.
 *
 * An adopted server cannot tell us anything: the trouble in the record stays
 * until a server of our own has taken over.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "plugin/common/log.h"
#include "plugin/supervisor/notify.h"
#include "plugin/supervisor/watch.h"

static const char *remedy(enum host_trouble trouble)
{
	return trouble == HOST_NO_SPACE ?
		       "make room where its files lie" :
		       "look at the storage below its files, and at the "
		       "kernel's log";
}

static void save(struct supervisor *sv)
{
	int ret = disk_save(&sv->disk, &sv->layers);

	if (ret)
		log_line(LOG_ERR, "cannot write " STATE_DIR "/%d.disk: %s",
			 sv->disk.id, strerror(-ret));
}

static enum disk_event event_of(enum host_trouble trouble)
{
	static const enum disk_event events[] = {
		[HOST_WELL] = DISK_EVENT_WELL_AGAIN,
		[HOST_NO_SPACE] = DISK_EVENT_NO_SPACE,
		[HOST_IO_ERROR] = DISK_EVENT_IO_ERROR,
	};

	return events[trouble];
}

static void run_hooks(struct supervisor *sv)
{
	hooks_run(&sv->hooks, &sv->disk, event_of(sv->disk.trouble),
		  sv->disk.server.pid);
}

/* Of a disk without a server, or one that ends, there is more to say. */
static void tell_manager(const struct disk *disk)
{
	if (disk->state == DISK_LIVE)
		trouble_notify(disk);
}

static void begin(struct supervisor *sv, const struct server_message *message)
{
	struct disk *disk = &sv->disk;

	disk->trouble = message->trouble;
	disk->trouble_since = time(NULL);
	snprintf(disk->trouble_text, sizeof(disk->trouble_text), "%.200s",
		 message->text);
	save(sv);
	log_event(event_of(disk->trouble), "its users' requests fail: %s; %s",
		  disk->trouble_text, remedy(disk->trouble));
	tell_manager(disk);
	run_hooks(sv);
}

static void end(struct supervisor *sv)
{
	struct disk *disk = &sv->disk;

	disk->trouble = HOST_WELL;
	disk->trouble_since = 0;
	disk->trouble_text[0] = '\0';
	save(sv);
	log_event(DISK_EVENT_WELL_AGAIN,
		  "is well again: its users' requests no longer fail");
	tell_manager(disk);
	run_hooks(sv);
}

void trouble_hear(struct supervisor *sv, const struct server_message *message)
{
	/* P6: a server is not taken at its word. */
	if ((unsigned int)message->trouble >= NR_HOST_TROUBLES)
		return;
	if (message->trouble == sv->disk.trouble && message->trouble)
		log_line(LOG_ERR,
			 "its users' requests still fail, %" PRIu64
			 " more: %s; %s",
			 message->failures, message->text,
			 remedy(message->trouble));
	else if (message->trouble)
		begin(sv, message);
	else if (sv->disk.trouble)
		end(sv);
}

void trouble_notify(const struct disk *disk)
{
	if (disk->trouble)
		notify(NOTIFY_READY,
		       "/dev/ublkb%d is live, but its users' requests fail: "
		       "%s",
		       disk->id, disk->trouble_text);
	else
		notify(NOTIFY_READY, "/dev/ublkb%d is live", disk->id);
}
