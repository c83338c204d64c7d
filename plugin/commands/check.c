// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `check`: finds the faults of an image, and mends them if told to.
 *
 * The output and the exit status are those of `qemu-img check`, so scripts need
 * not care which of the two they call:
 *
 *	0	nothing is wrong, or not any more
 *	1	the check could not be made, or not completed
 *	2	the image is corrupt
 *	3	clusters are leaked, nothing worse
 *	63	a format that has no check
 *
 * Findings and the result go to stdout, with --json the result alone.  A
 * check that takes long shows a bar on the terminal.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/commands/bar.h"
#include "plugin/common/jail.h"
#include "plugin/common/json.h"
#include "plugin/common/log.h"
#include "plugin/commands/options.h"
#include "plugin/commands/served.h"
#include "plugin/supervisor/loop.h"
#include "qcow/qcow.h"

#define STATUS_FAILED	   1
#define STATUS_CORRUPT	   2
#define STATUS_LEAKS	   3
#define STATUS_UNSUPPORTED 63

struct output {
	FILE *findings;
	struct bar bar;
};

static void show_progress(void *opaque, uint64_t done, uint64_t total)
{
	struct output *output = opaque;

	bar_show(&output->bar, done, total);
}

static void put_line(void *opaque, const char *line)
{
	struct output *output = opaque;

	bar_erase(&output->bar);
	fprintf(output->findings, "%s\n", line);
}

static void print_found(const struct qcow_check *result)
{
	if (result->corruptions)
		printf("\n%" PRIu64 " errors were found on the image.\n"
		       "Data may be corrupted, or further writes to the image "
		       "may corrupt it.\n",
		       result->corruptions);
	if (result->leaks)
		printf("\n%" PRIu64 " leaked clusters were found on the "
		       "image.\n"
		       "This means waste of disk space, but no harm to data.\n",
		       result->leaks);
	if (result->check_errors)
		printf("\n%" PRIu64 " internal errors have occurred during "
		       "the check.\n",
		       result->check_errors);
	if (!result->corruptions && !result->leaks && !result->check_errors)
		puts("No errors were found on the image.");
}

static void print_result(const struct qcow_check *result)
{
	if (result->corruptions_fixed || result->leaks_fixed)
		printf("The following inconsistencies were found and "
		       "repaired:\n\n"
		       "    %" PRIu64 " leaked clusters\n"
		       "    %" PRIu64 " corruptions\n\n",
		       result->leaks_fixed, result->corruptions_fixed);
	print_found(result);
	if (result->total_clusters && result->allocated_clusters)
		printf("%" PRIu64 "/%" PRIu64 " = %.2f%% allocated, "
		       "%.2f%% fragmented, %.2f%% compressed clusters\n",
		       result->allocated_clusters, result->total_clusters,
		       100.0 * result->allocated_clusters /
			       result->total_clusters,
		       100.0 * result->fragmented_clusters /
			       result->allocated_clusters,
		       100.0 * result->compressed_clusters /
			       result->allocated_clusters);
	printf("Image end offset: %" PRIu64 "\n", result->image_end_offset);
}

static void put_result(const char *image, const struct qcow_check *result)
{
	struct json json = { .file = stdout };

	json_begin(&json, NULL, '{');
	json_text(&json, "filename", image);
	json_text(&json, "format", "qcow2");
	json_number(&json, "check-errors", result->check_errors);
	json_number(&json, "corruptions", result->corruptions);
	json_number(&json, "corruptions-fixed", result->corruptions_fixed);
	json_number(&json, "leaks", result->leaks);
	json_number(&json, "leaks-fixed", result->leaks_fixed);
	json_number(&json, "image-end-offset", result->image_end_offset);
	json_number(&json, "total-clusters", result->total_clusters);
	json_number(&json, "allocated-clusters", result->allocated_clusters);
	json_number(&json, "fragmented-clusters", result->fragmented_clusters);
	json_number(&json, "compressed-clusters", result->compressed_clusters);
	json_end(&json, '}');
}

static int exit_status(const struct qcow_check *result)
{
	if (result->check_errors)
		return STATUS_FAILED;
	if (result->corruptions)
		return STATUS_CORRUPT;
	return result->leaks ? STATUS_LEAKS : EXIT_SUCCESS;
}

static enum qcow_repair wanted_repair(const struct options *options)
{
	if (!options->repair)
		return QCOW_REPAIR_NONE;
	return strcmp(options->repair, "all") ? QCOW_REPAIR_LEAKS :
						QCOW_REPAIR_ALL;
}

/* The engine would refuse the image, too, but later: it waits for a lock, whose
   holder may be about to end. */
static int refuse_served(const struct served *served)
{
	const struct disk *disk = &served->disk;

	complain("%s: is served as /dev/ublkb%d, the disk %s; remove that "
		 "first (ublk-qcow2 del %d)",
		 served->path, disk->id, disk->name, disk->id);
	return STATUS_FAILED;
}

/* P4: another process may have the file behind a loop device.  Our lock on that
   file stays until we end. */
static int refuse_used(const char *image, bool repair)
{
	struct qcow_identity identity;
	struct qcow_error error;
	struct qcow_lock *lock;

	if (qcow_identify_path(image, &identity) ||
	    !loop_lock(image, &identity, !repair, &lock, &error))
		return 0;
	return complain("%s: %s", image, error.text);
}

static int confine(const char *image, bool repair)
{
	const struct jail jail = { .image = image, .write = repair };
	int ret = jail_enter_for(&jail);

	if (!ret)
		return 0;
	return complain("%s: the command cannot confine itself: %s", image,
			strerror(-ret));
}

int command_check(const struct options *options)
{
	struct output output = {
		.findings = options->json ? stderr : stdout,
	};
	const struct qcow_check_options check = {
		.repair = wanted_repair(options),
		.line = put_line,
		.progress = show_progress,
		.opaque = &output,
	};
	struct qcow_check result;
	struct served served;
	struct qcow_error error;
	int ret;

	served_find(options->subject, &served);
	/* Two readers do no harm. */
	if (served.is_served &&
	    (options->repair || !served.disk.options.read_only))
		return refuse_served(&served);
	if (refuse_used(served.path, options->repair) ||
	    confine(served.path, options->repair))
		return STATUS_FAILED;
	bar_begin(&output.bar, !options->json);
	ret = qcow_check(served.path, &check, &result, &error);
	bar_end(&output.bar);
	if (ret) {
		complain("%s: %s", served.path, error.text);
		return ret == -ENOTSUP ? STATUS_UNSUPPORTED : STATUS_FAILED;
	}
	if (options->json)
		put_result(served.path, &result);
	else
		print_result(&result);
	return complain_of_output(exit_status(&result));
}
