// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `stat` for people: a table of the requests, a line for each disk, and a table
 * of the pauses.  With an interval the requests are those of the interval.
 *
 * A kind of request that never came has no line.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "plugin/commands/stat.h"
#include "plugin/common/table.h"
#include "plugin/common/text.h"

/* ---- requests ---- */

static const struct table_column columns[] = {
	{ "DEVICE", false }, { "NAME", false }, { "REQUESTS", false },
	{ "COUNT", true },   { "BYTES", true }, { "ERRORS", true },
	{ "P50", true },     { "P99", true },	{ "P99.9", true },
	{ "MAX", true },
};

#define NR_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void put_percentile(const struct stats_io *io, unsigned int per_mille,
			   char text[TEXT_TIME_MAX])
{
	*text = '\0';
	if (io->count)
		text_time(stats_percentile(io, per_mille), text);
}

static int put_io(struct table *table, const struct sample *sample,
		  enum stats_kind kind, const struct stats_io *io)
{
	char device[32], count[24], bytes[TEXT_SIZE_MAX], errors[24];
	char p50[TEXT_TIME_MAX], p99[TEXT_TIME_MAX], p999[TEXT_TIME_MAX];
	char max[TEXT_TIME_MAX];

	snprintf(device, sizeof(device), "/dev/ublkb%d", sample->disk.id);
	snprintf(count, sizeof(count), "%" PRIu64, io->count);
	snprintf(errors, sizeof(errors), "%" PRIu64, io->errors);
	text_size(io->bytes, bytes);
	put_percentile(io, 500, p50);
	put_percentile(io, 990, p99);
	put_percentile(io, 999, p999);
	put_percentile(io, 1000, max);
	return table_add(table, (const char *[NR_COLUMNS]){
					device, sample->disk.name,
					stats_kind_name(kind), count, bytes,
					errors, p50, p99, p999, max });
}

static int put_kinds(struct table *table, const struct sample *sample)
{
	struct stats_io difference;
	int kind, ret = 0;

	for (kind = 0; kind < STATS_KINDS && !ret; kind++) {
		const struct stats_io *io = &sample->stats.io[kind];

		if (!io->count && kind > STATS_FLUSH)
			continue;
		if (sample->has_before) {
			stats_difference(io, &sample->before.io[kind],
					 &difference);
			io = &difference;
		}
		ret = put_io(table, sample, kind, io);
	}
	return ret;
}

/* ---- the rest ---- */

static void put_hits(FILE *file, const struct stats *stats)
{
	double all = (double)stats->cache_hits + stats->cache_misses;

	if (all > 0)
		fprintf(file, ", cache %.1f%%", 100 * stats->cache_hits / all);
}

static void put_journal(FILE *file, const struct stats *stats)
{
	char used[TEXT_SIZE_MAX], size[TEXT_SIZE_MAX];

	if (!stats->journal_size)
		return;
	text_size(stats->journal_used, used);
	text_size(stats->journal_size, size);
	fprintf(file, ", journal %s of %s, %" PRIu64 " checkpoints", used, size,
		stats->checkpoints);
}

static void put_state(FILE *file, const struct sample *sample)
{
	char server[TEXT_SIZE_MAX], supervisor[TEXT_SIZE_MAX];

	text_size(sample->server_memory, server);
	text_size(sample->supervisor_memory, supervisor);
	fprintf(file, "/dev/ublkb%d: %" PRIu64 " in flight", sample->disk.id,
		sample->stats.in_flight);
	put_hits(file, &sample->stats);
	put_journal(file, &sample->stats);
	if (sample->disk.merging)
		fprintf(file, ", merged to %.1f%%",
			sample->disk.merge_done / 10.0);
	fprintf(file, ", memory %s server + %s supervisor, %u recoveries",
		server, supervisor, sample->disk.recoveries);
	if (sample->stats.poisoned)
		fprintf(file, ", %" PRIu64 " requests that killed servers",
			sample->stats.poisoned);
	fputc('\n', file);
}

/* ---- pauses ---- */

static const struct table_column stall_columns[] = {
	{ "DEVICE", false },
	{ "STALL", false },
	{ "MS", true },
	{ "CAUSE", false },
};

#define NR_STALL_COLUMNS (sizeof(stall_columns) / sizeof(stall_columns[0]))

static int put_stall(struct table *table, const struct sample *sample,
		     const struct stats_stall *stall)
{
	const time_t seconds = stall->since;
	char device[32], since[32] = "", ms[24] = "";
	struct tm tm;

	snprintf(device, sizeof(device), "/dev/ublkb%d", sample->disk.id);
	if (localtime_r(&seconds, &tm))
		strftime(since, sizeof(since), "%F %T", &tm);
	if (stall->ended)
		snprintf(ms, sizeof(ms), "%" PRIu64, stall->ms);
	return table_add(table, (const char *[NR_STALL_COLUMNS]){
					device, since, ms, stall->cause });
}

static int put_stalls(struct table *table, const struct sample *sample)
{
	const struct stats_stall *stall;
	unsigned int age;
	int ret = 0;

	for (age = 0; !ret && (stall = stats_stall(&sample->stats, age)); age++)
		ret = put_stall(table, sample, stall);
	return ret;
}

/* ---- all of it ---- */

/* Makes a table of all disks by fill and prints it. */
static int print(FILE *file, const struct samples *samples,
		 const struct table_column *heads, size_t nr,
		 int (*fill)(struct table *table, const struct sample *sample))
{
	struct table *table;
	size_t i;
	int ret = table_new(heads, nr, &table);

	if (ret)
		return ret;
	for (i = 0; i < samples->nr && !ret; i++)
		ret = fill(table, &samples->list[i]);
	if (!ret)
		ret = table_print_to(table, file);
	table_free(table);
	return ret;
}

int stat_put_text(FILE *file, const struct samples *samples)
{
	size_t i;
	int ret = print(file, samples, columns, NR_COLUMNS, put_kinds);

	if (ret)
		return ret;
	for (i = 0; i < samples->nr; i++)
		put_state(file, &samples->list[i]);
	return print(file, samples, stall_columns, NR_STALL_COLUMNS,
		     put_stalls);
}
