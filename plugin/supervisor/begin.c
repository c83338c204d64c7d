// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The beginning of a supervisor, and of a new disk.
 *
 * A new disk's record, which claims id, name and image, is written before
 * anything else exists, and the nonce in it goes into the device.  So if we die
 * at any moment, the next command finds a record of a disk that was never
 * usable, and removes the rest of the disk: a server without a device ends by
 * itself when we are gone.  The record says "live" only when all is there; the
 * link comes last.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "plugin/server/control.h"
#include "plugin/server/device.h"
#include "plugin/common/link.h"
#include "plugin/common/log.h"
#include "plugin/common/settle.h"
#include "plugin/supervisor/supervisor.h"
#include "plugin/supervisor/teardown.h"
#include "plugin/supervisor/watch.h"
#include "qcow/names.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

#define LOCK_PATIENCE 10000 /* ms */

/* Claims an id from first on; the lock on all records is held.  An id may be
   locked although it is free: by a command that is just done with it. */
static int claim_id(struct supervisor *sv, int first)
{
	struct disk *disk = &sv->disk;
	int lock, ret;

	do {
		ret = disk_free_id(first, &disk->id);
		if (!ret && sv->id_chosen && disk->id != first)
			ret = -EEXIST;
		if (ret)
			return ret;
		first = disk->id + 1;
		ret = state_lock(disk->id, sv->id_chosen ? LOCK_PATIENCE : 0,
				 &lock);
	} while (ret == -EBUSY && !sv->id_chosen);
	if (ret)
		return ret;
	if (sv->lock >= 0)
		close(sv->lock);
	sv->lock = lock;
	log_about(disk);
	return disk_save(disk, &sv->layers);
}

/* The driver knows a device of that id which nobody showed us. */
static int claim_next_id(struct supervisor *sv)
{
	int old = sv->disk.id;
	int all, ret;

	if (sv->id_chosen)
		return -EEXIST;
	ret = state_lock(STATE_LOCK_ALL, LOCK_PATIENCE, &all);
	if (ret)
		return ret;
	ret = claim_id(sv, old + 1);
	stats_rename(old, sv->disk.id);
	disk_forget(old);
	close(all);
	return ret;
}

struct rival {
	struct qcow_identity file;
	struct disk disk;
};

static int writes_file(const struct disk *disk, void *opaque)
{
	struct rival *rival = opaque;
	struct layers layers = { .count = 0 };
	unsigned int i;
	int found = 0;

	if (!disk_load_layers(disk->id, &layers))
		for (i = 0; i < layers.count; i++)
			found |= layers.list[i].written &&
				 identity_matches(&layers.list[i].identity,
						  &rival->file);
	layers_clear(&layers);
	rival->disk = *disk;
	return found;
}

/* Our server would wait for the fence of the other, as for that of a dead
   one (P7). */
static int refuse_rival(struct supervisor *sv, struct rival *rival)
{
	if ((!rival->file.device && !rival->file.inode) ||
	    disk_each(writes_file, rival) <= 0)
		return 0;
	sv->cause = CAUSE_IN_USE;
	watch_settle(sv, true,
		     "data file %s: in use: /dev/ublkb%d (%s) writes to it; "
		     "remove that first (ublk-qcow2 del %d)",
		     sv->disk.options.data_file, rival->disk.id,
		     rival->disk.image, rival->disk.id);
	return -EBUSY;
}

static int claim_locked(struct supervisor *sv, int wanted)
{
	struct disk other;
	int ret;

	if (!disk_of_image(sv->disk.image, &sv->disk.identity, &other)) {
		watch_settle(sv, true, "is already served by /dev/ublkb%d",
			     other.id);
		return -EBUSY;
	}
	if (!disk_of_name(sv->disk.name, &other)) {
		watch_settle(sv, true,
			     "the name %s belongs to /dev/ublkb%d (%s); "
			     "choose another one with --name",
			     other.name, other.id, other.image);
		return -EEXIST;
	}
	ret = claim_id(sv, wanted < 0 ? 0 : wanted);
	if (ret == -EEXIST)
		watch_settle(sv, true,
			     "/dev/ublkb%d exists already; choose another id "
			     "with -n",
			     wanted);
	else if (ret)
		watch_settle(sv, true, "cannot write in " STATE_DIR ": %s",
			     strerror(-ret));
	return ret;
}

static int claim(struct supervisor *sv)
{
	const struct disk_options *options = &sv->disk.options;
	struct rival rival = { .file = { .inode = 0 } };
	int wanted = sv->disk.id;
	int all, ret;

	/* Before the lock: storage that hangs is not for others to wait for.
	   If something is wrong with the image, its lock will say so. */
	if (qcow_identify_path(sv->disk.image, &sv->disk.identity))
		memset(&sv->disk.identity, 0, sizeof(sv->disk.identity));
	if (*options->data_file && !options->read_only &&
	    qcow_identify_path(options->data_file, &rival.file))
		memset(&rival.file, 0, sizeof(rival.file));
	sv->id_chosen = wanted >= 0;
	ret = disk_stamp(&sv->disk);
	if (!ret)
		ret = state_lock(STATE_LOCK_ALL, LOCK_PATIENCE, &all);
	if (ret) {
		watch_settle(sv, true, "cannot lock " STATE_DIR ": %s",
			     strerror(-ret));
		return ret;
	}
	ret = refuse_rival(sv, &rival);
	if (!ret)
		ret = claim_locked(sv, wanted);
	close(all);
	return ret;
}

static int begin_new(struct supervisor *sv)
{
	int ret = claim(sv);

	if (ret)
		return ret;
	ret = hold_files(sv, LOCK_TEST);
	if (!ret) {
		supervisor_map_stats(sv);
		ret = spawn_server(sv, false);
		if (ret)
			watch_settle(sv, true, "cannot start a server: %s",
				     strerror(-ret));
	}
	if (ret)
		disk_forget(sv->disk.id);
	return ret;
}

static int make_device(struct supervisor *sv, struct control *control)
{
	struct ublksrv_ctrl_dev_info info;
	uint64_t features = 0;
	int ret;

	control_get_features(control, &features);
	do {
		device_add_info(sv->disk.id, sv->disk.options.queues,
				sv->disk.options.depth, features,
				sv->disk.nonce, &info);
		ret = control_add(control, &info);
	} while (ret == -EEXIST && !(ret = claim_next_id(sv)));
	return ret ? ret : device_check_info(&info);
}

static int set_params(struct supervisor *sv, struct control *control)
{
	const struct device_shape shape = {
		.size = sv->opened.size,
		.cluster_size = sv->opened.cluster_size,
		.alignment = sv->opened.alignment,
		.read_only = sv->opened.read_only,
	};
	struct ublk_params params;

	device_params(&shape, &params);
	return control_set_params(control, sv->disk.id, &params);
}

/* We have locked the files that the server has opened. */
static bool is_same_file(const struct supervisor *sv)
{
	return identity_matches(&sv->disk.identity, &sv->opened.identity);
}

/* ADDING: the server has opened the image. */
void begin_add_device(struct supervisor *sv)
{
	struct control *control;
	int ret;

	if (!is_same_file(sv)) {
		snprintf(sv->death, sizeof(sv->death),
			 "another file took its name while it was being "
			 "added; try again");
		spawn_kill(sv);
		return;
	}
	if (hold_new_layers(sv)) {
		spawn_kill(sv);
		return;
	}
	ret = control_open(&control);
	sv->disk.size = sv->opened.size;
	if (!ret) {
		ret = make_device(sv, control);
		if (!ret)
			ret = set_params(sv, control);
		control_close(control);
	}
	if (!ret) {
		spawn_tell_added(sv);
		return;
	}
	if (ret == -EEXIST)
		snprintf(sv->death, sizeof(sv->death),
			 "/dev/ublkb%d exists already; choose another id with "
			 "-n",
			 sv->disk.id);
	else if (ret == -ETIMEDOUT)
		snprintf(sv->death, sizeof(sv->death),
			 "the ublk driver does not answer: see the kernel's "
			 "log, and boot another kernel");
	else
		snprintf(sv->death, sizeof(sv->death),
			 "the ublk driver refuses the device: %s",
			 strerror(-ret));
	spawn_kill(sv);
}

/* ADDING: the server serves; the disk becomes usable. */
void begin_publish(struct supervisor *sv)
{
	int ret = link_make(&sv->disk);

	if (ret) {
		snprintf(sv->death, sizeof(sv->death),
			 "cannot make " LINK_DIR "/%s: %s", sv->disk.name,
			 strerror(-ret));
		spawn_kill(sv);
		return;
	}
	ret = rpc_listen(sv->disk.id, &sv->listener);
	/* The text that is written now has all the room that a recovery will
	   need. */
	if (!ret)
		ret = disk_save(&sv->disk, &sv->layers);
	if (ret) {
		snprintf(sv->death, sizeof(sv->death),
			 "cannot write in " STATE_DIR ": %s", strerror(-ret));
		spawn_kill(sv);
		return;
	}
	sv->unbroken = true;
	sv->force_open = false;
	sv->tally.live_since = clock_ms();
	supervisor_enter(sv, PHASE_LIVE);
	close(sv->lock);
	sv->lock = -1;
	if (sv->foreground) {
		printf("/dev/ublkb%d\n", sv->disk.id);
		fflush(stdout);
	}
	watch_settle_event(sv, DISK_EVENT_LIVE,
			   "is served by process %d, supervised by %d",
			   (int)sv->disk.server.pid, (int)getpid());
}

/* ADDING: the server is dead, and so is the attempt. */
void begin_fail(struct supervisor *sv)
{
	char text[JOB_TEXT_MAX] = "";
	bool removed;

	spawn_reap(sv);
	link_remove(&sv->disk);
	removed = !teardown_stop_bounded(&sv->disk, true, text) &&
		  !teardown_delete(&sv->disk);
	if (!removed)
		log_line(LOG_ERR, "the device cannot be removed: %s", text);
	/* A server that was killed while it opened the image may have begun
	   a journal; one that could not open it has not. */
	if (!sv->orderly && (sv->opened.size || sv->signalled) &&
	    teardown_close_image(&sv->disk, &sv->layers, true, false, false,
				 text))
		log_line(LOG_ERR, "%s", text);
	/* Else the record stays for teardown_leftovers(). */
	if (removed)
		disk_forget(sv->disk.id);
	watch_settle(sv, true, "%s", sv->death);
	sv->failed = true;
	sv->ended = true;
}

/* ADDING: nobody wants it any more. */
void begin_abandon(struct supervisor *sv)
{
	snprintf(sv->death, sizeof(sv->death), "interrupted");
	spawn_kill(sv);
}

static void tell_unsettled(const char *line)
{
	log_line(LOG_NOTICE, "%s", line);
}

int supervisor_run(const struct task *task)
{
	struct supervisor sv = {
		.disk = task->disk,
		.phase = PHASE_ADDING,
		.foreground = task->foreground,
		.managed = task->managed,
		.stand_in = task->stand_in,
		.force_open = task->force,
		.lock = task->lock,
		.caller = task->caller,
	};
	int lock, ret;

	log_about(&sv.disk);
	settle_process(settle_is_managed(task->foreground || task->managed),
		       tell_unsettled);
	ret = watch_open(&sv);
	sv.channel = task->channel;
	snprintf(sv.disk.supervisor_version, sizeof(sv.disk.supervisor_version),
		 "%s", PACKAGE_VERSION);
	/* The host may wait for this disk to get rid of dirty memory: we must
	   not wait for memory in turn, or for pages that lie on that disk. */
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	lock = process_lock_memory();
	if (lock)
		log_line(LOG_WARNING,
			 "the supervisor cannot lock its memory: %s; if it is "
			 "paged out to its own disk, that disk cannot recover",
			 strerror(-lock));
	if (!ret)
		ret = process_identify(getpid(), &sv.disk.supervisor);
	if (ret) {
		watch_settle(&sv, true, "cannot set up a supervisor: %s",
			     strerror(-ret));
		return EXIT_FAILURE;
	}
	ret = task->take_over ? adopt_disk(&sv) : begin_new(&sv);
	if (!ret)
		watch(&sv);
	hold_drop(&sv);
	layers_clear(&sv.layers);
	watch_close(&sv);
	return ret || sv.failed ? cause_status(sv.cause) : EXIT_SUCCESS;
}
