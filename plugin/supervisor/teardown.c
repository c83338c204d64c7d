// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ending a disk.
 *
 * The order: stop the device, so that its server closes the image and ends;
 * delete the device; close the image in the server's stead if it was dead
 * already; forget the record last, because as long as there is a record
 * the next command can finish the work of a dead one.  Every step may
 * find its work done.
 *
 * A server that dies while its disk is being added leaves a clerk for a moment,
 * which may be about to start the device.  A driver that starts a device after
 * its deletion has one that nothing removes and that takes the kernel down with
 * the first request.  The clerk has the server's ring, and so the device is
 * held open until the clerk has ended (server/clerk-desk.c).
 *
 * Ids are the driver's and are reused, so before a device is touched its
 * nonce is compared with the record's: a device of somebody else that took
 * our id stays alone.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin/server/control.h"
#include "plugin/server/device.h"
#include "plugin/server/node.h"
#include "plugin/common/link.h"
#include "plugin/common/log.h"
#include "plugin/supervisor/teardown.h"
#include "plugin/supervisor/use.h"

#define USE_PATIENCE   1000  /* ms; udev looks at every new disk */
#define USE_INTERVAL   100   /* ms */
#define GONE_PATIENCE  500   /* ms; somebody may keep it open */
#define GONE_INTERVAL  10    /* ms */
#define STOP_PATIENCE  20000 /* ms */
#define CLOSE_PATIENCE 30000 /* ms */
#define KILL_PATIENCE  10000 /* ms */

static void sleep_ms(int milliseconds)
{
	const struct timespec time = {
		.tv_sec = milliseconds / 1000,
		.tv_nsec = milliseconds % 1000 * 1000000L,
	};

	nanosleep(&time, NULL);
}

static int look(struct control *control, const struct disk *disk,
		enum device_presence *presence)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = control_get_info(control, disk->id, &info);

	if (ret == -ENODEV || (!ret && !device_is_ours(&info, disk->nonce))) {
		*presence = DEVICE_ABSENT;
		return 0;
	}
	if (ret)
		return ret;
	switch (info.state) {
	case UBLK_S_DEV_LIVE:
		*presence = DEVICE_SERVED;
		break;
	case UBLK_S_DEV_DEAD:
		*presence = DEVICE_ENDED;
		break;
	default:
		*presence = DEVICE_WAITING;
		break;
	}
	return 0;
}

int teardown_look(const struct disk *disk, enum device_presence *presence)
{
	struct control *control;
	int ret = control_open(&control);

	if (ret == -ENOENT) {
		/* No driver, no device. */
		*presence = DEVICE_ABSENT;
		return 0;
	}
	if (ret)
		return ret;
	ret = look(control, disk, presence);
	control_close(control);
	return ret;
}

/* Newer drivers know best; older ones need us to look. */
static int stop_unused(struct control *control, const struct disk *disk,
		       bool served, char *who, size_t size)
{
	int ret = -EBUSY;
	int waited;

	for (waited = 0; waited <= USE_PATIENCE; waited += USE_INTERVAL) {
		if (waited)
			sleep_ms(USE_INTERVAL);
		if (use_find(disk->id, served, who, size))
			continue;
		ret = control_try_stop(control, disk->id);
		if (ret == -EOPNOTSUPP)
			return control_stop(control, disk->id);
		if (ret != -EBUSY)
			return ret;
		snprintf(who, size, "somebody unknown");
	}
	return ret;
}

static int stop_known(struct control *control, const struct disk *disk,
		      bool served, bool force, char text[JOB_TEXT_MAX])
{
	char who[256];
	int ret;

	if (force)
		ret = control_stop(control, disk->id);
	else
		ret = stop_unused(control, disk, served, who, sizeof(who));
	if (ret == -EBUSY)
		snprintf(text, JOB_TEXT_MAX,
			 "in use by %s; end that first, or use --force", who);
	else if (ret)
		snprintf(text, JOB_TEXT_MAX, "cannot stop the device: %s",
			 strerror(-ret));
	return ret;
}

/* A host without the node has a server that cannot start the device. */
static int await_clerk(const struct disk *disk, char text[JOB_TEXT_MAX])
{
	int fd = node_open(-1, disk->id);

	if (fd == -EBUSY) {
		snprintf(text, JOB_TEXT_MAX,
			 "/dev/ublkc%d: a process that was to start the device "
			 "does not end; try again",
			 disk->id);
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return 0;
}

static int look_settled(struct control *control, const struct disk *disk,
			enum device_presence *presence, char text[JOB_TEXT_MAX])
{
	int ret = look(control, disk, presence);

	if (!ret && *presence == DEVICE_ENDED && disk->state == DISK_ADDING) {
		ret = await_clerk(disk, text);
		if (ret)
			return ret;
		ret = look(control, disk, presence);
	}
	if (ret)
		snprintf(text, JOB_TEXT_MAX, "the ublk driver says: %s",
			 strerror(-ret));
	return ret;
}

int teardown_stop(const struct disk *disk, bool force, char text[JOB_TEXT_MAX])
{
	enum device_presence presence;
	struct control *control;
	int ret = control_open(&control);

	if (ret) {
		snprintf(text, JOB_TEXT_MAX, "cannot reach the ublk driver: %s",
			 strerror(-ret));
		return ret;
	}
	ret = look_settled(control, disk, &presence, text);
	if (!ret && presence != DEVICE_ABSENT)
		ret = stop_known(control, disk, presence == DEVICE_SERVED,
				 force, text);
	control_close(control);
	return ret;
}

struct stop {
	const struct disk *disk;
	bool force;
};

static int stop_job(const void *argument, char *text)
{
	const struct stop *stop = argument;

	process_mute();
	return teardown_stop(stop->disk, stop->force, text) ? 1 : 0;
}

int teardown_stop_bounded(const struct disk *disk, bool force,
			  char text[JOB_TEXT_MAX])
{
	const struct stop stop = { .disk = disk, .force = force };
	struct job job;
	int ret = job_start(&job, stop_job, &stop, true);

	if (ret) {
		snprintf(text, JOB_TEXT_MAX, "cannot stop the device: %s",
			 strerror(-ret));
		return ret;
	}
	if (process_wait(job.pidfd, STOP_PATIENCE))
		return job_finish(&job, text) ? -EIO : 0;
	/* Perhaps the child cannot even be killed: nobody waits for its end. */
	job_abandon(&job);
	snprintf(text, JOB_TEXT_MAX,
		 "the ublk driver has not stopped the device within %d "
		 "seconds; see the kernel's log",
		 STOP_PATIENCE / 1000);
	return -ETIMEDOUT;
}

/* Asynchronously, because a process that keeps a stopped disk open would
   let us wait for ever.  Without one the id is free in no time. */
int teardown_delete(const struct disk *disk)
{
	enum device_presence presence;
	struct control *control;
	int waited;
	int ret = control_open(&control);

	if (ret)
		return ret;
	ret = look(control, disk, &presence);
	if (!ret && presence != DEVICE_ABSENT)
		ret = control_del_async(control, disk->id);
	if (ret == -ENODEV)
		ret = 0;
	for (waited = 0; !ret && waited < GONE_PATIENCE;
	     waited += GONE_INTERVAL) {
		if (look(control, disk, &presence) || presence == DEVICE_ABSENT)
			break;
		sleep_ms(GONE_INTERVAL);
	}
	control_close(control);
	return ret;
}

/* Ends a server that has no supervisor.  A stopped device makes it close
   the image and end by itself. */
static int end_server(const struct disk *disk, bool force,
		      char text[JOB_TEXT_MAX])
{
	int pidfd;
	int ret = process_open(&disk->server, &pidfd);

	if (ret == -ESRCH)
		return 0;
	if (ret) {
		snprintf(text, JOB_TEXT_MAX,
			 "its server, process %d, cannot be looked at: %s; "
			 "try again",
			 (int)disk->server.pid, strerror(-ret));
		return ret;
	}
	if (force)
		process_kill(pidfd);
	/* The server's threads may wait for the storage, killed or not. */
	if (!process_wait(pidfd, force ? KILL_PATIENCE : CLOSE_PATIENCE)) {
		snprintf(text, JOB_TEXT_MAX,
			 "its server, process %d, does not end; %s",
			 (int)disk->server.pid,
			 force ? "it is killed and waits for its image's "
				 "storage; try again when that answers" :
				 "use --force");
		ret = -ETIMEDOUT;
	} else {
		process_kill_group(pidfd); /* its clerk, as in spawn.c */
	}
	close(pidfd);
	return ret;
}

static int close_orphan(const struct disk *disk, bool give_up,
			char text[JOB_TEXT_MAX])
{
	struct layers layers = { .known = false };
	int ret;

	disk_load_layers(disk->id, &layers);
	ret = teardown_close_image(disk, &layers, false, false, give_up, text);
	layers_clear(&layers);
	return ret;
}

int teardown_all(const struct disk *disk, bool force, bool give_up,
		 char text[JOB_TEXT_MAX])
{
	int ret = 0;

	/* A server that is stuck would keep STOP_DEV waiting for ever. */
	if (force)
		ret = end_server(disk, true, text);
	if (!ret)
		ret = teardown_stop_bounded(disk, force, text);
	if (!ret)
		ret = end_server(disk, force, text);
	if (ret)
		return ret;
	link_remove(disk);
	ret = teardown_delete(disk);
	if (ret) {
		snprintf(text, JOB_TEXT_MAX, "cannot delete the device: %s",
			 strerror(-ret));
		return ret;
	}
	/* A disk that never got to have a server has no journal. */
	if (disk->state != DISK_ADDING || disk->server.pid)
		ret = close_orphan(disk, give_up, text);
	disk_forget(disk->id);
	return ret;
}
