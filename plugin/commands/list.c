// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `list`: what disks there are.
 *
 * Reads the records and asks nobody, so it works whatever hangs.  A record
 * is what a supervisor wrote last; where that process or the server is dead
 * the state follows from who lives.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plugin/commands/command.h"
#include "plugin/common/json.h"
#include "plugin/common/link.h"
#include "plugin/common/log.h"
#include "plugin/commands/options.h"
#include "plugin/common/owner.h"
#include "plugin/common/text.h"

static const char *state_of(const struct disk *disk)
{
	const bool served = process_alive(&disk->server);

	if (!process_alive(&disk->supervisor))
		return served ? "live" : "failed";
	switch (disk->state) {
	case DISK_RECOVERING:
	case DISK_FAILED:
		return disk_state_name(disk->state);
	default:
		/* The supervisor has not noticed yet. */
		return served ? "live" : "recovering";
	}
}

static void put_process(struct json *json, const char *key,
			const struct process *process)
{
	if (process_is_ours(process) && process_alive(process))
		json_number(json, key, process->pid);
	else
		json_null(json, key);
}

/* Nobody has been told of it. */
static bool is_unborn(const struct disk *disk)
{
	return disk->state == DISK_ADDING &&
	       (process_alive(&disk->supervisor) ||
		!process_alive(&disk->server));
}

struct users {
	const struct disk *disk;
	char names[512];
};

static int note_user(const struct owner *owner, void *opaque)
{
	struct users *users = opaque;
	size_t length = strlen(users->names);

	if (owner_is_using(owner, users->disk))
		snprintf(users->names + length, sizeof(users->names) - length,
			 "%s%s", length ? ", " : "", owner->domain);
	return 0;
}

/* The domains of libvirt's that use the disk, mostly one or none. */
static void put_domain(struct json *json, const struct disk *disk)
{
	struct users users = { .disk = disk };

	owner_each(note_user, &users);
	if (*users.names)
		json_text(json, "domain", users.names);
	else
		json_null(json, "domain");
}

static int put_disk(const struct disk *disk, void *opaque)
{
	char link[PATH_MAX], device[32], since[32];
	const time_t seconds = disk->since;
	struct json *json = opaque;
	struct tm tm;

	if (is_unborn(disk))
		return 0;
	link_path(disk, link);
	snprintf(device, sizeof(device), "/dev/ublkb%d", disk->id);
	strftime(since, sizeof(since), "%FT%TZ", gmtime_r(&seconds, &tm));
	json_begin(json, NULL, '{');
	json_number(json, "id", disk->id);
	json_text(json, "device", device);
	json_text(json, "link", link);
	json_text(json, "name", disk->name);
	json_text(json, "image", disk->image);
	json_number(json, "size", disk->size);
	json_text(json, "state", state_of(disk));
	put_process(json, "server_pid", &disk->server);
	put_process(json, "supervisor_pid", &disk->supervisor);
	json_number(json, "recoveries", disk->recoveries);
	json_text(json, "since", since);
	put_domain(json, disk);
	json_end(json, '}');
	return 0;
}

static void print_size(uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	const char *unit = units;
	double size = bytes;

	while (size >= 1024 && unit[1]) {
		size /= 1024;
		unit++;
	}
	printf("%.4g%c", size, *unit);
}

static int print_disk(const struct disk *disk, void *opaque)
{
	char image[PATH_MAX];

	(void)opaque;
	if (is_unborn(disk))
		return 0;
	printf("/dev/ublkb%d  %-10s  ", disk->id, state_of(disk));
	print_size(disk->size);
	strcpy(image, disk->image);
	text_tame(image);
	printf("  recoveries %u  %s  %s", disk->recoveries, disk->name, image);
	if (!process_is_ours(&disk->supervisor))
		printf("  (its processes are in another pid namespace)");
	else if (!process_alive(&disk->supervisor))
		printf("  (no supervisor: run 'ublk-qcow2 recover %d')",
		       disk->id);
	else if (disk->reason[0])
		printf("  (%s)", disk->reason);
	putchar('\n');
	return 0;
}

static int print_all(const struct options *options)
{
	struct json json = { .file = stdout };
	int status = EXIT_SUCCESS;

	if (options->json) {
		json_begin(&json, NULL, '[');
		disk_each(put_disk, &json);
		json_end(&json, ']');
	} else {
		disk_each(print_disk, NULL);
	}
	disk_each_unreadable(command_unreadable, &status);
	return status;
}

static int print_one(const struct options *options)
{
	struct json json = { .file = stdout };
	struct disk disk;

	if (disk_find(options->subject, &disk))
		return complain("%s: no such disk; see 'ublk-qcow2 list'",
				options->subject);
	if (!options->json)
		return print_disk(&disk, NULL);
	json_begin(&json, NULL, '[');
	put_disk(&disk, &json);
	json_end(&json, ']');
	return 0;
}

int command_list(const struct options *options)
{
	int ret;

	if (options->subject)
		return print_one(options);
	ret = print_all(options);
	if (ret < 0)
		return complain(STATE_DIR ": %s", strerror(-ret));
	return EXIT_SUCCESS;
}
