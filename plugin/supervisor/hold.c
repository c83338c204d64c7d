// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The supervisor's locks.  Nobody comes between two servers of a disk (P4,
 * R14): the image is locked here before the first server opens it, and so is
 * each other file of the disk (a data file, the backing files) as soon as that
 * server has named it, which is before the disk exists.  The locks are QEMU's:
 * those of a writer for the files that are written, those of a reader for the
 * rest.  They stay until we end.
 *
 * The image is input, so we never read it or any other of the files (P6).  Only
 * a server finds the names of a disk's files, and a server is not trusted with
 * names.  Once, for a new disk, the server may name files that the admin allows
 * its image to consist of.  We open each of them, and compare its identity with
 * that of the file that the server has open.  Later servers must come to these
 * very files; no other file that they name is opened.  We have opened the image
 * before they do, and tell them its identity.  The record has paths and
 * identities, so that a supervisor that follows us locks the same files before
 * it starts a server.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/common/references.h"
#include "plugin/supervisor/loop.h"
#include "plugin/supervisor/use.h"
#include "plugin/supervisor/watch.h"
#include "qcow/names.h"

#define FENCE_PATIENCE 60000 /* ms */
#define FENCE_INTERVAL 20    /* ms */

/* P4: locks belong to an inode, and a device has one for each node.  So its
   openers are looked for by its number. */
static int check_writers(const struct supervisor *sv,
			 const struct qcow_identity *identity,
			 struct qcow_error *error)
{
	char who[256];

	/* Only a device has no inode. */
	if (identity->inode || !identity->device ||
	    !use_find_writer(identity->device, getpid(), sv->disk.server.pid,
			     who, sizeof(who)))
		return 0;
	snprintf(error->text, sizeof(error->text),
		 "in use: %s has the device open for writing; end that first",
		 who);
	return -EBUSY;
}

/* P4: and a loop device is a file that others may open.  It is locked until we
   end, whichever place it has among the files of the disk by then. */
static int lock_behind(struct supervisor *sv, const char *path,
		       const struct qcow_identity *identity, bool read_only,
		       struct qcow_error *error)
{
	struct qcow_lock *lock;
	int ret = loop_lock(path, identity, read_only, &lock, error);

	if (lock && sv->nr_behind <= QCOW_FILES_MAX)
		sv->behind_locks[sv->nr_behind++] = lock;
	else
		qcow_unlock(lock);
	return ret;
}

static int lock_image(struct supervisor *sv, bool test,
		      struct qcow_error *error)
{
	int ret = qcow_lock(sv->disk.image, &sv->disk.identity,
			    sv->disk.options.read_only, test, &sv->image_lock,
			    error);

	/* A new disk: from now on it is this file. */
	if (!ret)
		qcow_lock_identify(sv->image_lock, &sv->disk.identity);
	if (!ret)
		ret = check_writers(sv, &sv->disk.identity, error);
	if (!ret)
		ret = lock_behind(sv, sv->disk.image, &sv->disk.identity,
				  sv->disk.options.read_only, error);
	return ret;
}

static int lock_layer(struct supervisor *sv, unsigned int i, bool test,
		      struct qcow_error *error)
{
	const struct qcow_layer *layer = &sv->layers.list[i];
	struct qcow_error why;
	int ret = qcow_lock(layer->path, &layer->identity, !layer->written,
			    test, &sv->layer_locks[i], &why);

	if (!ret)
		ret = check_writers(sv, &layer->identity, &why);
	if (!ret)
		ret = lock_behind(sv, layer->path, &layer->identity,
				  !layer->written, &why);
	if (ret)
		snprintf(error->text, sizeof(error->text), "%s %.200s: %.240s",
			 layer->written && !sv->disk.merging ? "data file" :
							       "backing file",
			 layer->path, why.text);
	return ret;
}

static int lock_layers(struct supervisor *sv, bool test,
		       struct qcow_error *error)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < sv->layers.count; i++)
		ret = lock_layer(sv, i, test, error);
	return ret;
}

static int lock_all(struct supervisor *sv, bool test, struct qcow_error *error)
{
	int ret = lock_image(sv, test, error);

	if (!ret && sv->layers.known)
		ret = lock_layers(sv, test, error);
	if (ret)
		hold_drop(sv);
	return ret;
}

static enum failure_cause cause_of(int error)
{
	return error == -EBUSY ? CAUSE_IN_USE : CAUSE_PASSING;
}

int hold_try(struct supervisor *sv, enum locking locking)
{
	struct qcow_error error = { "" };
	int ret = lock_all(sv, locking == LOCK_TEST, &error);

	snprintf(sv->disk.reason, sizeof(sv->disk.reason), "%s", error.text);
	return ret;
}

int hold_raise_layer(struct supervisor *sv, unsigned int i,
		     struct qcow_error *error)
{
	int ret = qcow_lock_raise(sv->layer_locks[i], error);

	if (ret)
		return ret;
	ret = check_writers(sv, &sv->layers.list[i].identity, error);
	if (ret)
		qcow_lock_lower(sv->layer_locks[i]);
	return ret;
}

/* Of all files together; a dead owner's last I/O may never end. */
int hold_files(struct supervisor *sv, enum locking locking)
{
	const struct timespec interval = { .tv_nsec = FENCE_INTERVAL *
						      1000000 };
	const uint64_t end = clock_ms() + FENCE_PATIENCE;
	int ret;

	while ((ret = hold_try(sv, locking)) == -EINPROGRESS &&
	       clock_ms() < end)
		nanosleep(&interval, NULL);
	sv->cause = cause_of(ret);
	if (ret)
		watch_settle(sv, true, "%s", sv->disk.reason);
	return ret;
}

void hold_note_layer(struct supervisor *sv,
		     const struct server_message *message)
{
	const struct qcow_layer layer = {
		.path = message->text,
		.identity = message->identity,
		.written = !message->read_only,
	};

	/* A layer that is missing will be missed. */
	if (!sv->layers.known)
		layers_append(&sv->layers, &layer);
}

void hold_layers(struct supervisor *sv)
{
	if (sv->layers.known)
		return;
	if (hold_new_layers(sv))
		log_line(LOG_WARNING,
			 "cannot lock its backing and data files: %s; nobody "
			 "else must write to them",
			 sv->death);
}

/* P6: are they files that the admin allows? */
static int check_layers(struct supervisor *sv, struct qcow_error *error)
{
	struct qcow_references references;
	unsigned int i;
	int ret = references_read(&sv->disk.options, &references, error);

	for (i = 0; !ret && i < sv->layers.count; i++)
		ret = qcow_check_layer(sv->disk.image, &sv->layers.list[i],
				       &references, error);
	references_free(&references);
	return ret;
}

int hold_new_layers(struct supervisor *sv)
{
	struct qcow_error error = { "out of memory" };
	int ret = -ENOMEM;

	if (sv->layers.known)
		return 0;
	if (sv->layers.count == sv->opened.layers)
		ret = check_layers(sv, &error);
	if (!ret)
		ret = lock_layers(sv, false, &error);
	sv->cause = cause_of(ret);
	if (ret)
		snprintf(sv->death, sizeof(sv->death), "%s", error.text);
	sv->layers.known = !ret;
	return ret;
}

#define DELETED " (deleted)" /* behind the path, as the kernel says it */

void hold_tell_where(const struct supervisor *sv, char *text, size_t size)
{
	const size_t length = strlen(text);
	struct qcow_identity now;
	char path[PATH_MAX];
	int ret = qcow_identify_path(sv->disk.image, &now);

	if (!sv->image_lock || (ret && ret != -ENOENT) ||
	    (!ret && identity_matches(&now, &sv->disk.identity)) ||
	    qcow_lock_where(sv->image_lock, path, sizeof(path)))
		return;
	if (ret && strlen(path) > strlen(DELETED) &&
	    !strcmp(path + strlen(path) - strlen(DELETED), DELETED))
		snprintf(
			text + length, size - length,
			"; the disk's image was deleted: while process %d "
			"lives, copy it out of /proc/%d/fd (ls -l shows which)",
			(int)getpid(), (int)getpid());
	else
		snprintf(text + length, size - length,
			 "; the disk's image is at %.200s now: bring it back "
			 "to %.100s",
			 path, sv->disk.image);
}

void hold_drop(struct supervisor *sv)
{
	unsigned int i;

	kept_drop(sv);
	qcow_unlock(sv->image_lock);
	sv->image_lock = NULL;
	for (i = 0; i < QCOW_FILES_MAX; i++) {
		qcow_unlock(sv->layer_locks[i]);
		sv->layer_locks[i] = NULL;
	}
	while (sv->nr_behind)
		qcow_unlock(sv->behind_locks[--sv->nr_behind]);
}
