// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which planned changes of a disk are refused, and why.
 *
 * The server still serves, so a refusal costs the disk's users nothing.  Some
 * objections are known only from the image's own tables; the next server finds
 * these.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "plugin/server/control.h"
#include "plugin/supervisor/watch.h"

static int driver_can_grow(void)
{
	struct control *control;
	uint64_t features = 0;
	int ret = control_open(&control);

	if (ret)
		return ret;
	ret = control_get_features(control, &features);
	control_close(control);
	if (ret)
		return ret;
	return features & UBLK_F_UPDATE_SIZE ? 0 : -EOPNOTSUPP;
}

static bool refuse_size(struct supervisor *sv)
{
	const struct disk *disk = &sv->disk;
	int ret;

	if (disk->options.read_only) {
		watch_settle(sv, true, "is read-only");
		return true;
	}
	if (sv->asked.size < disk->size) {
		watch_settle(
			sv, true,
			"has %" PRIu64 " bytes and cannot shrink to %" PRIu64
			": data that its users have written beyond that would "
			"be lost",
			disk->size, sv->asked.size);
		return true;
	}
	ret = driver_can_grow();
	if (ret == -EOPNOTSUPP)
		watch_settle(sv, true,
			     "this kernel's ublk driver cannot change the size "
			     "of a device (6.16 and later can); grow the image "
			     "while the disk is removed");
	else if (ret)
		watch_settle(sv, true, "the ublk driver says: %s",
			     strerror(-ret));
	return ret;
}

/* A script of hooks.d may remove the overlay by its name, so no new overlay
   gets that name before all have heard. */
static bool refuse_while_telling(struct supervisor *sv)
{
	if (*sv->disk.merged_from)
		watch_put_off(sv, "telling its hooks of the last merge");
	return *sv->disk.merged_from;
}

static bool refuse_image(struct supervisor *sv)
{
	const char *why = NULL;

	/* A command that died has asked for that before. */
	if (!strcmp(sv->disk.image, sv->asked.image)) {
		watch_settle(sv, false, "is served from its overlay already");
		return true;
	}
	if (sv->disk.options.read_only)
		why = "is read-only";
	else if (*sv->disk.options.key_file)
		why = "is encrypted, and an overlay of it would not be";
	else if (!sv->layers.known || sv->layers.count == QCOW_FILES_MAX)
		why = "consists of too many files, or they are not known";
	if (why)
		watch_settle(sv, true, "%s", why);
	return why || refuse_while_telling(sv);
}

static bool refuse_merge(struct supervisor *sv)
{
	const char *why = merge_objection(sv, change_merge_place(&sv->asked));

	if (why)
		watch_settle(sv, true, "%s", why);
	return why || refuse_while_telling(sv);
}

static bool refuse_no_merge(struct supervisor *sv)
{
	if (!sv->disk.merging)
		watch_settle(sv, true, "is not being merged");
	return !sv->disk.merging;
}

bool refuse_change(struct supervisor *sv)
{
	if (sv->asked.kind != CHANGE_NO_MERGE && refuse_while_merging(sv))
		return true;
	switch (sv->asked.kind) {
	case CHANGE_SERVER:
		return false;
	case CHANGE_SIZE:
		return refuse_size(sv);
	case CHANGE_IMAGE:
		return refuse_image(sv);
	case CHANGE_MERGE:
	case CHANGE_MERGE_TO:
		return refuse_merge(sv);
	case CHANGE_NO_MERGE:
		return refuse_no_merge(sv);
	default:
		watch_settle(sv, true, "does not know that change");
		return true;
	}
}

bool refuse_while_merging(struct supervisor *sv)
{
	if (sv->disk.merging)
		watch_settle(sv, true,
			     "is just being merged into the image below; wait "
			     "for that, or run 'ublk-qcow2 commit --cancel "
			     "%d'",
			     sv->disk.id);
	return sv->disk.merging;
}
