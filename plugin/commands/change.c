// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Planned changes: the command asks, and the supervisor does it.
 *
 * The users of the disk wait meanwhile, as in a recovery, and a recovery may
 * have to wait for its storage.  The command does not wait for ever; the
 * supervisor goes on without it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plugin/commands/change.h"
#include "plugin/commands/command.h"
#include "plugin/common/conf.h"
#include "plugin/common/log.h"
#include "plugin/common/owner.h"

#define PATIENCE 90000 /* ms */
#define INTERVAL 200   /* ms */

int change_ask(const struct disk *disk, const struct appeal *appeal,
	       struct outcome *outcome)
{
	return command_appeal_later(disk, appeal, PATIENCE, PATIENCE, outcome);
}

int change_disk(const struct disk *disk, const struct change *change)
{
	const struct appeal appeal = {
		.type = APPEAL_CHANGE,
		.change = *change,
	};
	struct outcome outcome;
	int ret = change_ask(disk, &appeal, &outcome);

	if (ret == -ESRCH)
		return command_complain(disk,
					"it has no supervisor; run 'ublk-qcow2 "
					"recover %d' first",
					disk->id);
	if (ret == -ETIMEDOUT)
		return command_complain(disk,
					"not done after %d seconds; its users "
					"wait, so look at the image's storage; "
					"the change goes on",
					PATIENCE / 1000);
	if (ret)
		return command_deaf(disk, ret);
	if (outcome.failed)
		return command_complain(disk, "%s", outcome.text);
	say("/dev/ublkb%d: %s", disk->id, outcome.text);
	return EXIT_SUCCESS;
}

int change_await_told(const struct disk *disk)
{
	const struct timespec interval = { .tv_nsec = INTERVAL * 1000000 };
	const uint64_t end = clock_ms() + PATIENCE;
	struct disk now = *disk;

	while (*now.merged_from && process_alive(&now.supervisor)) {
		if (clock_ms() >= end)
			return command_complain(
				disk,
				"is telling hooks.d of the last merge for %d "
				"seconds; look at the scripts there",
				PATIENCE / 1000);
		nanosleep(&interval, NULL);
		if (disk_load(disk->id, &now))
			break;
	}
	return EXIT_SUCCESS;
}

int change_blind(const struct disk *disk, int error)
{
	return command_complain(disk, "cannot see which domains use it: %s",
				strerror(-error));
}

int change_check_domain(const struct disk *disk, const char *command)
{
	struct owner owner;
	int ret = owner_find_user(disk, &owner);

	if (ret == -ENOENT)
		return EXIT_SUCCESS;
	if (ret)
		return change_blind(disk, ret);
	return command_complain(disk,
				"the domain %s names its image; run "
				"'ublk-qcow2 libvirt %s %s', which changes "
				"the domain, too",
				owner.domain, command, owner.domain);
}

int change_check_others(const struct disk *disk, const char *image)
{
	char path[PATH_MAX], text[CONF_TEXT_MAX];
	int ret = conf_find_other(disk->name, image, path, text);

	if (ret == -ENOENT)
		return EXIT_SUCCESS;
	if (ret)
		return complain("%s", text);
	return command_complain(
		disk,
		"%s names %s, too, and would serve an outdated "
		"disk; remove that file first",
		path, strcmp(image, disk->image) ? image : "its image");
}
