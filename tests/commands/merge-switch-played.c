// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stand-ins for all functions that merge.c, merged.c and move.c call.  Each one
 * dies if it is called too early.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "plugin/common/conf.h"
#include "plugin/supervisor/watch.h"
#include "tests/commands/merge-switch.h"
#include "tests/lib/helpers.h"

struct played played;
struct shared *shared;

static bool configured(const char *image)
{
	char text[CONF_TEXT_MAX];
	int ret = conf_check_image("moved", image, text);

	if (ret && ret != -EINVAL)
		die("disks.d: %s", text);
	return !ret;
}

int __wrap_disk_save(const struct disk *disk, const struct layers *layers);
int __wrap_disk_save(const struct disk *disk, const struct layers *layers)
{
	const bool below = !strcmp(disk->image, "/layer");

	if (played.save_result)
		return played.save_result;
	if (below && !configured("/layer"))
		die("the record names the layer before disks.d does");
	if (below && (layers->count != 1 || layers->list[0].written ||
		      strcmp(layers->list[0].path, "/base")))
		die("the record names other layers");
	played.saved = *disk;
	played.saves++;
	return 0;
}

void __wrap_qcow_lock_lower(struct qcow_lock *lock);
void __wrap_qcow_lock_lower(struct qcow_lock *lock)
{
	played.lowered += lock == LAYER_LOCK;
}

void __wrap_qcow_unlock(struct qcow_lock *lock);
void __wrap_qcow_unlock(struct qcow_lock *lock)
{
	if (lock == IMAGE_LOCK && strcmp(played.saved.image, "/layer"))
		die("the image is unlocked, and the record names it");
	played.unlocked += lock == IMAGE_LOCK;
	played.mid_unlocked += lock == MID_LOCK;
}

int __wrap_qcow_mark_merged(const char *path,
			    const struct qcow_identity *identity,
			    const char *into, struct qcow_error *error);
int __wrap_qcow_mark_merged(const char *path,
			    const struct qcow_identity *identity,
			    const char *into, struct qcow_error *error)
{
	const bool mid = !strcmp(path, "/mid");

	/* P6: the overlay's header is input. */
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		die("the overlay is read outside of a jail");
	if ((!mid && strcmp(path, "/top")) || strcmp(into, "/layer") ||
	    identity->inode != (mid ? 78 : 77))
		die("%s is marked as merged into %s", path, into);
	if (strcmp(played.saved.image, "/layer") ||
	    strcmp(played.saved.merged_from, "/top"))
		die("the overlay is marked before the record names the layer");
	shared->marks += !mid;
	shared->mid_marks += mid;
	snprintf(error->text, sizeof(error->text), "it was so wanted");
	return shared->mark_result;
}

int supervisor_enter(struct supervisor *s, enum phase phase)
{
	s->phase = phase;
	return __wrap_disk_save(&s->disk, &s->layers);
}

/* As spawn_server() does, a server begins when the record is written. */
void supervisor_recover(struct supervisor *s)
{
	__wrap_disk_save(&s->disk, &s->layers);
	if (played.saved.merged || played.saved.merging)
		die("a server begins, and the record says that it merges");
	if (!configured(played.saved.image))
		die("a server of %s begins, and disks.d names another",
		    played.saved.image);
	if (*played.saved.merged_from &&
	    (!played.saved.merged_marked || !shared->marks))
		die("a server begins, and the overlay is not marked");
	played.servers++;
}

int hold_raise_layer(struct supervisor *s, unsigned int i,
		     struct qcow_error *error)
{
	(void)s;
	(void)i;
	(void)error;
	die("hold_raise_layer() is called");
}

int teardown_close_image(const struct disk *disk, const struct layers *layers,
			 bool locked, bool unbroken, bool give_up,
			 char text[JOB_TEXT_MAX])
{
	(void)layers;
	(void)locked;
	(void)unbroken;
	(void)give_up;
	(void)text;
	return disk->merging ? 0 : -EINVAL;
}

void change_end_merge(struct supervisor *s)
{
	(void)s;
	die("change_end_merge() is called");
}
