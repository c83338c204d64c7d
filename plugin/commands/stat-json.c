// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `stat --json`: counters, which only grow while the disk is there, and the
 * present state.  The figures of an interval are the difference of two of them.
 */
#include <time.h>

#include "plugin/commands/stat.h"
#include "plugin/common/json.h"

static void put_io(struct json *json, const char *kind,
		   const struct stats_io *io)
{
	json_begin(json, kind, '{');
	json_number(json, "count", io->count);
	json_number(json, "bytes", io->bytes);
	json_number(json, "errors", io->errors);
	json_number(json, "time_ns", io->time);
	json_number(json, "p50_ns", stats_percentile(io, 500));
	json_number(json, "p99_ns", stats_percentile(io, 990));
	json_number(json, "p999_ns", stats_percentile(io, 999));
	json_number(json, "max_ns", io->longest);
	json_end(json, '}');
}

static void put_stall(struct json *json, const struct stats_stall *stall)
{
	json_begin(json, NULL, '{');
	json_time(json, "began", stall->since);
	if (stall->ended)
		json_number(json, "ms", stall->ms);
	else
		json_null(json, "ms");
	json_text(json, "cause", stall->cause);
	json_end(json, '}');
}

static void put_sample(struct json *json, const struct sample *sample)
{
	const struct stats *stats = &sample->stats;
	const struct stats_stall *stall;
	unsigned int i;

	json_begin(json, NULL, '{');
	json_number(json, "id", sample->disk.id);
	json_text(json, "name", sample->disk.name);
	if (stats->since)
		json_time(json, "since", stats->since);
	else
		json_null(json, "since");
	json_begin(json, "io", '{');
	for (i = 0; i < STATS_KINDS; i++)
		put_io(json, stats_kind_name(i), &stats->io[i]);
	json_end(json, '}');
	json_number(json, "in_flight", stats->in_flight);
	json_number(json, "cache_hits", stats->cache_hits);
	json_number(json, "cache_misses", stats->cache_misses);
	json_number(json, "checkpoints", stats->checkpoints);
	json_number(json, "journal_used", stats->journal_used);
	json_number(json, "journal_size", stats->journal_size);
	/* 0: the process does not live. */
	json_number_or_null(json, "server_memory", sample->server_memory);
	json_number_or_null(json, "supervisor_memory",
			    sample->supervisor_memory);
	json_number(json, "recoveries", sample->disk.recoveries);
	json_number(json, "poisoned", stats->poisoned);
	json_begin(json, "stalls", '[');
	for (i = 0; (stall = stats_stall(stats, i)); i++)
		put_stall(json, stall);
	json_end(json, ']');
	json_end(json, '}');
}

int stat_put_json(FILE *file, const struct samples *samples)
{
	struct json json = { .file = file };
	size_t i;

	json_begin(&json, NULL, '[');
	for (i = 0; i < samples->nr; i++)
		put_sample(&json, &samples->list[i]);
	json_end(&json, ']');
	return 0;
}
