// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The report of `info` for people.  Usual things are left out, but for those
 * that everybody asks for.
 *
 * Names come from the image and are tamed before they reach the terminal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/commands/info.h"
#include "plugin/common/text.h"

static void print_text(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return;
	text_tame(copy);
	fputs(copy, stdout);
	free(copy);
}

static void print_line(const char *key, const char *text)
{
	printf("%s: ", key);
	print_text(text);
	putchar('\n');
}

static void print_features(const char *key, const struct qcow_info *info,
			   enum qcow_feature_kind kind)
{
	const char *separator = ": ";
	unsigned int i;

	for (i = 0; i < info->nr_features; i++) {
		const struct qcow_feature *feature = &info->features[i];

		if (feature->kind != kind)
			continue;
		printf("%s%s", *separator == ':' ? key : "", separator);
		if (feature->name[0])
			print_text(feature->name);
		else
			printf("bit %u", feature->bit);
		if (!feature->known && feature->name[0])
			printf(" (bit %u, unknown)", feature->bit);
		else if (!feature->known)
			printf(" (unknown)");
		separator = ", ";
	}
	if (*separator == ',')
		putchar('\n');
}

static void print_header(const struct qcow_info *info)
{
	printf("format: %s, version %u\n", info_format(info), info->version);
	printf("size: %" PRIu64 " bytes\n", info->size);
	printf("file size: %" PRIu64 " bytes (%" PRIu64 " on the disk)\n",
	       info->file_size, info->disk_usage);
	printf("cluster size: %" PRIu32 " bytes\n", info->cluster_size);
	if (info->refcount_bits)
		printf("refcount bits: %u\n", info->refcount_bits);
	printf("compression: %s\n", info_compression(info));
	printf("encryption: %s\n", info_encryption(info));
	print_features("incompatible features", info, QCOW_INCOMPATIBLE);
	print_features("compatible features", info, QCOW_COMPATIBLE);
	print_features("autoclear features", info, QCOW_AUTOCLEAR);
	if (info->has_journal)
		puts("journal: may hold writes that the image does not show "
		     "yet");
}

static void print_names(const struct qcow_info *info)
{
	if (info->has_data_file) {
		fputs("data file: ", stdout);
		print_text(info->data_file[0] ? info->data_file :
						"(not named)");
		puts(info_has(info, "raw-external-data") ? " (raw)" : "");
	}
	if (info->has_backing) {
		fputs("backing file: ", stdout);
		print_text(info->backing);
		fputs(" (format ", stdout);
		print_text(info->backing_format[0] ? info->backing_format :
						     "not named");
		puts(")");
	}
}

static void print_snapshot(void *opaque, const struct qcow_snapshot *snapshot)
{
	char date[32];

	(void)opaque;
	info_date(snapshot, date);
	fputs("    ", stdout);
	print_text(snapshot->id);
	fputs("  ", stdout);
	print_text(snapshot->name);
	printf("  %s  state of the VM %" PRIu64 " bytes\n", date,
	       snapshot->vm_state_size);
}

static void print_bitmap(void *opaque, const struct qcow_bitmap *bitmap)
{
	(void)opaque;
	fputs("    ", stdout);
	print_text(bitmap->name);
	printf("  granularity %" PRIu64 " bytes%s%s\n", bitmap->granularity,
	       bitmap->automatic ? "  auto" : "",
	       bitmap->in_use ? "  in use" : "");
}

static void print_lists(const struct report *report)
{
	struct qcow_error error;

	if (report->info.snapshots)
		printf("snapshots: %u\n", report->info.snapshots);
	if (report->info.snapshots &&
	    qcow_list_snapshots(report->image, print_snapshot, NULL, &error))
		print_line("    cannot go on", error.text);
	if (report->info.bitmaps)
		printf("persistent bitmaps: %u\n", report->info.bitmaps);
	if (report->info.bitmaps &&
	    qcow_list_bitmaps(report->image, print_bitmap, NULL, &error))
		print_line("    cannot go on", error.text);
}

static void print_part(void *opaque, const struct qcow_part *part)
{
	(void)opaque;
	printf("    %-8s ", info_role(part->role));
	print_text(part->path);
	fputs("  ", stdout);
	print_text(*part->format ? part->format : "(format not named)");
	if (part->info)
		printf(" version %u", part->info->version);
	if (!part->refused)
		printf("  %" PRIu64 " bytes", part->size);
	putchar('\n');
	if (part->refused)
		print_line("             refused", part->refused);
}

/* An image that is all by itself needs no list. */
static void print_chain(const struct report *report)
{
	struct qcow_error error;

	if (!report->info.has_data_file && !report->info.has_backing)
		return;
	puts("consists of:");
	qcow_list_parts(report->image, &report->references, print_part, NULL,
			&error);
}

static void print_judgement(const struct report *report)
{
	const struct qcow_judgement *judgement = &report->judgement;
	const struct disk *disk = &report->served->disk;

	printf("served: %s", info_served(judgement));
	if (judgement->verdict != QCOW_READ_WRITE) {
		fputs(": ", stdout);
		print_text(judgement->why.text);
	}
	if (judgement->needs_key)
		fputs("; with --key-file", stdout);
	putchar('\n');
	if (report->served->is_served)
		printf("in use: as /dev/ublkb%d, the disk %s\n", disk->id,
		       disk->name);
	else if (judgement->is_written)
		puts("in use: by a process that writes to it");
}

void info_print(const struct report *report)
{
	print_line("image", report->image);
	print_header(&report->info);
	print_names(&report->info);
	print_lists(report);
	print_chain(report);
	print_judgement(report);
}
