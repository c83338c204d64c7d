// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `list --json`: the keys stay; new ones may come.
 */
#include "plugin/commands/list.h"
#include "plugin/common/confinement.h"

static void put_process(struct json *json, const char *key,
			const struct process *process)
{
	bool lives = process_is_ours(process) && process_alive(process);

	json_number_or_null(json, key, lives ? process->pid : 0);
}

static void put_trouble(struct json *json, const struct disk *disk)
{
	if (!disk->trouble) {
		json_null(json, "trouble");
		return;
	}
	json_begin(json, "trouble", '{');
	json_text(json, "kind", trouble_name(disk->trouble));
	json_time(json, "since", disk->trouble_since);
	json_text(json, "text", disk->trouble_text);
	json_end(json, '}');
}

/* Of a disk that has a server. */
static void put_confinement(struct json *json, const struct disk *disk)
{
	unsigned int step;

	json_begin(json, "confinement", '[');
	for (step = 0; disk->server.pid && step < CONFINED_STEPS; step++)
		if (disk->confinement & 1u << step)
			json_text(json, NULL, confinement_name(step));
	json_end(json, ']');
}

/* All that an image consists of but itself, as far as the record knows. */
static void put_files(struct json *json, const struct disk *disk)
{
	static struct layers layers;
	unsigned int i;

	json_begin(json, "files", '[');
	if (!disk_load_layers(disk->id, &layers))
		for (i = 0; i < layers.count; i++)
			json_text(json, NULL, layers.list[i].path);
	json_end(json, ']');
	layers_clear(&layers);
}

static void put_merging(struct json *json, const struct disk *disk)
{
	if (!disk->merging) {
		json_null(json, "merging");
		return;
	}
	json_begin(json, "merging", '{');
	json_number(json, "thousandths", disk->merge_done);
	json_end(json, '}');
}

static void put_last_pause(struct json *json, const struct stats *stats)
{
	const struct stats_stall *stall = stats_last_stall(stats);

	if (!stall) {
		json_null(json, "last_pause");
		return;
	}
	json_begin(json, "last_pause", '{');
	json_time(json, "began", stall->since);
	json_number(json, "ms", stall->ms);
	json_text(json, "cause", stall->cause);
	json_end(json, '}');
}

void list_put_json(struct json *json, const struct listing *listing)
{
	const struct disk *disk = listing->disk;

	json_begin(json, NULL, '{');
	json_number(json, "id", disk->id);
	json_text(json, "device", listing->device);
	json_text(json, "link", listing->link);
	json_text(json, "name", disk->name);
	json_text(json, "image", disk->image);
	json_number(json, "size", disk->size);
	json_flag(json, "read_only", disk->options.read_only);
	json_text(json, "state", listing->state);
	json_number(json, "queues", disk->options.queues);
	json_number(json, "depth", disk->options.depth);
	json_text(json, "cache",
		  disk->options.writeback ? "writeback" : "none");
	json_number_or_null(json, "watchdog", disk->options.watchdog);
	json_number_or_null(json, "iops", disk->options.iops);
	json_number_or_null(json, "bandwidth", disk->options.bandwidth);
	json_number_or_null(json, "cache_size", disk->options.cache_size);
	json_number_or_null(json, "workers", disk->options.workers);
	put_files(json, disk);
	put_merging(json, disk);
	json_text_or_null(json, "reason", disk->reason);
	put_trouble(json, disk);
	put_process(json, "server_pid", &disk->server);
	put_process(json, "supervisor_pid", &disk->supervisor);
	json_text_or_null(json, "server_version", disk->server_version);
	json_text_or_null(json, "supervisor_version", disk->supervisor_version);
	put_confinement(json, disk);
	json_number(json, "recoveries", disk->recoveries);
	json_time(json, "since", disk->since);
	put_last_pause(json, &listing->stats);
	json_text_or_null(json, "domain", listing->domains);
	json_text_or_null(json, "used_by", listing->used_by);
	json_end(json, '}');
}
