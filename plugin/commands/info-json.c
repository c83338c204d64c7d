// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The report of `info` as one object.  Every key is always there; null, false
 * or an empty list means that the image has no such thing.
 */
#include "plugin/commands/info.h"
#include "plugin/common/json.h"

static void put_features_of(struct json *json, const char *key,
			    const struct qcow_info *info,
			    enum qcow_feature_kind kind)
{
	unsigned int i;

	json_begin(json, key, '[');
	for (i = 0; i < info->nr_features; i++) {
		const struct qcow_feature *feature = &info->features[i];

		if (feature->kind != kind)
			continue;
		json_begin(json, NULL, '{');
		json_number(json, "bit", feature->bit);
		json_text_or_null(json, "name", feature->name);
		json_flag(json, "known", feature->known);
		json_end(json, '}');
	}
	json_end(json, ']');
}

static void put_features(struct json *json, const struct qcow_info *info)
{
	json_begin(json, "features", '{');
	put_features_of(json, "incompatible", info, QCOW_INCOMPATIBLE);
	put_features_of(json, "compatible", info, QCOW_COMPATIBLE);
	put_features_of(json, "autoclear", info, QCOW_AUTOCLEAR);
	json_end(json, '}');
	json_flag(json, "dirty", info_has(info, "dirty"));
	json_flag(json, "corrupt", info_has(info, "corrupt"));
	json_flag(json, "extended_l2", info_has(info, "extended-l2"));
	json_flag(json, "lazy_refcounts", info_has(info, "lazy-refcounts"));
	json_flag(json, "journal", info->has_journal);
}

static void put_header(struct json *json, const struct qcow_info *info)
{
	json_text(json, "format", info_format(info));
	json_number(json, "version", info->version);
	json_number(json, "size", info->size);
	json_number(json, "file_size", info->file_size);
	json_number(json, "disk_usage", info->disk_usage);
	json_number(json, "cluster_size", info->cluster_size);
	json_number_or_null(json, "refcount_bits", info->refcount_bits);
	json_text(json, "compression", info_compression(info));
	json_text(json, "encryption", info_encryption(info));
	put_features(json, info);
}

static void put_names(struct json *json, const struct qcow_info *info)
{
	if (info->has_data_file) {
		json_begin(json, "data_file", '{');
		json_text_or_null(json, "name", info->data_file);
		json_flag(json, "raw", info_has(info, "raw-external-data"));
		json_end(json, '}');
	} else {
		json_null(json, "data_file");
	}
	if (info->has_backing) {
		json_begin(json, "backing", '{');
		json_text(json, "name", info->backing);
		json_text_or_null(json, "format", info->backing_format);
		json_end(json, '}');
	} else {
		json_null(json, "backing");
	}
}

static void put_snapshot(void *opaque, const struct qcow_snapshot *snapshot)
{
	struct json *json = opaque;
	char date[32];

	info_date(snapshot, date);
	json_begin(json, NULL, '{');
	json_text(json, "id", snapshot->id);
	json_text(json, "name", snapshot->name);
	json_text(json, "date", date);
	json_number(json, "date_ns", snapshot->date_ns);
	json_number(json, "vm_clock_ns", snapshot->vm_clock);
	json_number(json, "vm_state_size", snapshot->vm_state_size);
	json_number(json, "size", snapshot->size);
	json_end(json, '}');
}

static void put_bitmap(void *opaque, const struct qcow_bitmap *bitmap)
{
	struct json *json = opaque;

	json_begin(json, NULL, '{');
	json_text(json, "name", bitmap->name);
	json_number(json, "granularity", bitmap->granularity);
	json_flag(json, "in_use", bitmap->in_use);
	json_flag(json, "auto", bitmap->automatic);
	json_end(json, '}');
}

static void put_lists(struct json *json, const struct report *report)
{
	struct qcow_error snapshots = { "" }, bitmaps = { "" };

	json_begin(json, "snapshots", '[');
	if (report->info.snapshots)
		qcow_list_snapshots(report->image, put_snapshot, json,
				    &snapshots);
	json_end(json, ']');
	json_begin(json, "bitmaps", '[');
	if (report->info.bitmaps)
		qcow_list_bitmaps(report->image, put_bitmap, json, &bitmaps);
	json_end(json, ']');
	json_begin(json, "problems", '[');
	if (snapshots.text[0])
		json_text(json, NULL, snapshots.text);
	if (bitmaps.text[0])
		json_text(json, NULL, bitmaps.text);
	json_end(json, ']');
}

static void put_part(void *opaque, const struct qcow_part *part)
{
	struct json *json = opaque;

	json_begin(json, NULL, '{');
	json_text(json, "role", info_role(part->role));
	json_text(json, "path", part->path);
	json_text_or_null(json, "format", part->format);
	json_number_or_null(json, "version",
			    part->info ? part->info->version : 0);
	if (part->refused)
		json_null(json, "size");
	else
		json_number(json, "size", part->size);
	json_text_or_null(json, "refused", part->refused);
	json_end(json, '}');
}

static void put_chain(struct json *json, const struct report *report)
{
	struct qcow_error error;

	json_begin(json, "chain", '[');
	qcow_list_parts(report->image, &report->references, put_part, json,
			&error);
	json_end(json, ']');
}

static void put_disk(struct json *json, const struct served *served)
{
	char device[32];

	if (!served->is_served) {
		json_null(json, "device");
		json_null(json, "name");
		return;
	}
	snprintf(device, sizeof(device), "/dev/ublkb%d", served->disk.id);
	json_text(json, "device", device);
	json_text(json, "name", served->disk.name);
}

static void put_judgement(struct json *json,
			  const struct qcow_judgement *judgement)
{
	json_text(json, "served", info_served(judgement));
	if (judgement->verdict == QCOW_READ_WRITE)
		json_null(json, "why");
	else
		json_text(json, "why", judgement->why.text);
	json_flag(json, "needs_key", judgement->needs_key);
	json_flag(json, "in_use", judgement->is_written);
}

void info_put_json(const struct report *report)
{
	struct json json = { .file = stdout };

	json_begin(&json, NULL, '{');
	json_text(&json, "image", report->image);
	put_header(&json, &report->info);
	put_names(&json, &report->info);
	put_lists(&json, report);
	put_chain(&json, report);
	put_judgement(&json, &report->judgement);
	put_disk(&json, report->served);
	json_end(&json, '}');
}
