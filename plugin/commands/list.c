// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `list`: the disks that there are.
 *
 * The command reads the records and those files of the kernel that everybody
 * may read.  It asks no process, so it works even if one hangs, and without
 * root's rights.  A supervisor wrote the record at its last change.  If the
 * supervisor or the server has died since, the state follows from which of them
 * lives.
 *
 * People get a table, and below it one line for each disk that needs them.
 * Programs get JSON (list-json.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "plugin/commands/command.h"
#include "plugin/commands/list.h"
#include "plugin/commands/options.h"
#include "plugin/common/link.h"
#include "plugin/common/log.h"
#include "plugin/common/owner.h"
#include "plugin/common/table.h"
#include "plugin/common/text.h"
#include "plugin/supervisor/use.h"

/* Where the listings go. */
struct output {
	struct json *json; /* NULL: into the table */
	struct table *table;
	FILE *advice; /* printed below the table */
	int error;
};

/* ---- the facts ---- */

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

/* Has nobody been told of the disk yet? */
static bool is_unborn(const struct disk *disk)
{
	return disk->state == DISK_ADDING &&
	       (process_alive(&disk->supervisor) ||
		!process_alive(&disk->server));
}

/* The domains of libvirt's that use the disk, mostly one or none. */
static int note_domain(const struct owner *owner, void *opaque)
{
	struct listing *listing = opaque;
	char *names = listing->domains;
	const size_t length = strlen(names);

	if (owner_is_using(owner, listing->disk))
		snprintf(names + length, sizeof(listing->domains) - length,
			 "%s%s", length ? ", " : "", owner->domain);
	return 0;
}

static void find_users(struct listing *listing)
{
	owner_each(note_domain, listing);
	if (*listing->domains)
		snprintf(listing->used_by, sizeof(listing->used_by),
			 "domain %s", listing->domains);
	else
		use_find_visible(listing->disk->id, listing->used_by,
				 sizeof(listing->used_by));
}

/* Do both processes run the version that this is? */
static bool is_current(const struct disk *disk)
{
	return !strcmp(disk->server_version, PACKAGE_VERSION) &&
	       !strcmp(disk->supervisor_version, PACKAGE_VERSION);
}

static void describe_merge(struct listing *listing)
{
	const struct disk *disk = listing->disk;

	snprintf(listing->advice, sizeof(listing->advice),
		 "its image is merged into the one below: %.1f%% are done",
		 disk->merge_done / 10.0);
}

static void advise(struct listing *listing)
{
	const struct disk *disk = listing->disk;
	const size_t size = sizeof(listing->advice);

	if (!process_is_ours(&disk->supervisor))
		snprintf(listing->advice, size,
			 "its processes are in another pid namespace");
	else if (!process_alive(&disk->supervisor))
		snprintf(listing->advice, size,
			 "it has no supervisor; run 'ublk-qcow2 recover %d'",
			 disk->id);
	else if (disk->merging && !*disk->reason)
		describe_merge(listing);
	else if (*disk->reason || is_current(disk))
		snprintf(listing->advice, size, "%s", disk->reason);
	else
		snprintf(listing->advice, size,
			 "it runs another version than %s, which is installed; "
			 "run 'ublk-qcow2 upgrade %d'",
			 PACKAGE_VERSION, disk->id);
}

/* Of a disk that is served: requests do reach its storage. */
static void describe_trouble(struct listing *listing)
{
	const struct disk *disk = listing->disk;
	const time_t seconds = disk->trouble_since;
	char since[32];
	struct tm tm;

	if (!disk->trouble)
		return;
	strftime(since, sizeof(since), "%F %T", localtime_r(&seconds, &tm));
	snprintf(listing->trouble, sizeof(listing->trouble),
		 "%s: its users' requests fail since %s: %s",
		 trouble_name(disk->trouble), since, disk->trouble_text);
}

static void look(const struct disk *disk, struct listing *listing)
{
	*listing = (struct listing){
		.disk = disk,
		.state = state_of(disk),
	};
	link_path(disk, listing->link);
	snprintf(listing->device, sizeof(listing->device), "/dev/ublkb%d",
		 disk->id);
	if (stats_read(disk->id, disk->nonce, &listing->stats))
		memset(&listing->stats, 0, sizeof(listing->stats));
	find_users(listing);
	advise(listing);
	describe_trouble(listing);
}

/* ---- for people ---- */

static const struct table_column columns[] = {
	{ "DEVICE", false },	{ "NAME", false },	{ "STATE", false },
	{ "SIZE", true },	{ "R/O", false },	{ "USED-BY", false },
	{ "RECOVERIES", true }, { "LAST-PAUSE", true }, { "SINCE", false },
	{ "IMAGE", false },
};

#define NR_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static int put_line(struct output *output, const struct listing *listing)
{
	const struct disk *disk = listing->disk;
	const time_t seconds = disk->since;
	const struct stats_stall *stall = stats_last_stall(&listing->stats);
	char size[TEXT_SIZE_MAX], recoveries[16], since[32], pause[32] = "-";
	struct tm tm;

	text_size(disk->size, size);
	snprintf(recoveries, sizeof(recoveries), "%u", disk->recoveries);
	if (stall)
		snprintf(pause, sizeof(pause), "%.2f s", stall->ms / 1e3);
	strftime(since, sizeof(since), "%F %T", localtime_r(&seconds, &tm));
	if (*listing->advice)
		fprintf(output->advice, "%s: %s\n", listing->device,
			listing->advice);
	if (*listing->trouble)
		fprintf(output->advice, "%s: %s\n", listing->device,
			listing->trouble);
	return table_add(output->table,
			 (const char *[NR_COLUMNS]){
				 listing->device, disk->name, listing->state,
				 size, disk->options.read_only ? "yes" : "no",
				 listing->used_by, recoveries, pause, since,
				 disk->image });
}

/* ---- all of them ---- */

static int put_disk(const struct disk *disk, void *opaque)
{
	struct output *output = opaque;
	struct listing listing;

	if (is_unborn(disk))
		return 0;
	look(disk, &listing);
	if (output->json)
		list_put_json(output->json, &listing);
	else
		output->error = put_line(output, &listing);
	return output->error;
}

/* One disk, or with NULL all. */
static int put_disks(const struct disk *disk, struct output *output)
{
	return disk ? put_disk(disk, output) : disk_each(put_disk, output);
}

static int print_json(const struct disk *disk)
{
	struct json json = { .file = stdout };
	struct output output = { .json = &json };
	int ret;

	json_begin(&json, NULL, '[');
	ret = put_disks(disk, &output);
	json_end(&json, ']');
	return ret;
}

static int print_table(const struct disk *disk)
{
	struct output output = { 0 };
	char *advice = NULL;
	size_t length;
	int ret = table_new(columns, NR_COLUMNS, &output.table);

	if (ret)
		return ret;
	output.advice = open_memstream(&advice, &length);
	ret = output.advice ? put_disks(disk, &output) : -ENOMEM;
	if (output.advice && fclose(output.advice))
		ret = -ENOMEM;
	if (!ret)
		ret = table_print(output.table);
	if (!ret)
		fputs(advice, stdout);
	free(advice);
	table_free(output.table);
	return ret;
}

int command_list(const struct options *options)
{
	const struct disk *one;
	struct disk disk;
	int status = EXIT_SUCCESS, ret;

	if (options->subject && disk_find_wide(options->subject, &disk))
		return complain("%s: no such disk; see 'ublk-qcow2 list'",
				options->subject);
	one = options->subject ? &disk : NULL;
	ret = options->json ? print_json(one) : print_table(one);
	if (ret)
		status = complain(STATE_DIR ": %s", strerror(-ret));
	if (!one)
		disk_each_unreadable(command_unreadable, &status);
	return complain_of_output(status);
}
