// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `stat --openmetrics`: the text format that Prometheus' node exporter reads
 * from the files of a directory.
 *
 * A family is a HELP, a TYPE and a line for each disk, together, as the format
 * demands.  Latencies are a histogram, since histograms of many disks and hosts
 * can be added up; of its buckets only every eighth is told, which is a
 * doubling each.
 */
#include <inttypes.h>

#include "plugin/commands/stat.h"

#define FAMILY(name) "ublk_qcow2_" name
#define EACH	     8		 /* buckets */
#define LAST	     (24 * EACH) /* its end is 2 s; then comes +Inf */

/* A disk's name may hold nothing that a label's value must escape (name.c). */
static void put_labels(FILE *file, const struct sample *sample)
{
	fprintf(file, "{device=\"ublkb%d\",disk=\"%s\"", sample->disk.id,
		sample->disk.name);
}

static void put_family(FILE *file, const char *name, const char *type,
		       const char *help)
{
	fprintf(file, "# HELP " FAMILY("%s") " %s\n", name, help);
	fprintf(file, "# TYPE " FAMILY("%s") " %s\n", name, type);
}

/* A number of each kind of request. */
static void put_kinds(FILE *file, const struct samples *samples,
		      const char *name, const char *help, size_t offset)
{
	size_t i;
	int kind;

	put_family(file, name, "counter", help);
	for (i = 0; i < samples->nr; i++)
		for (kind = 0; kind < STATS_KINDS; kind++) {
			const struct stats_io *io =
				&samples->list[i].stats.io[kind];

			fprintf(file, FAMILY("%s"), name);
			put_labels(file, &samples->list[i]);
			fprintf(file, ",kind=\"%s\"} %" PRIu64 "\n",
				stats_kind_name(kind),
				*(const uint64_t *)((const char *)io + offset));
		}
}

/* A number of each disk. */
static void put_numbers(FILE *file, const struct samples *samples,
			const char *name, const char *type, const char *help,
			size_t offset)
{
	size_t i;

	put_family(file, name, type, help);
	for (i = 0; i < samples->nr; i++) {
		const char *sample = (const char *)&samples->list[i];

		fprintf(file, FAMILY("%s"), name);
		put_labels(file, &samples->list[i]);
		fprintf(file, "} %" PRIu64 "\n",
			*(const uint64_t *)(sample + offset));
	}
}

static void put_line(FILE *file, const struct sample *sample, int kind,
		     const char *ending)
{
	fprintf(file, FAMILY("latency_seconds%s"), ending);
	put_labels(file, sample);
	fprintf(file, ",kind=\"%s\"", stats_kind_name(kind));
}

static void put_histogram(FILE *file, const struct sample *sample, int kind)
{
	const struct stats_io *io = &sample->stats.io[kind];
	uint64_t count = 0;
	unsigned int i;

	for (i = 0; i < STATS_BUCKETS; i++) {
		count += io->buckets[i];
		if (i % EACH != EACH - 1 || i >= LAST)
			continue;
		put_line(file, sample, kind, "_bucket");
		fprintf(file, ",le=\"%.9g\"} %" PRIu64 "\n",
			stats_bucket_end(i) / 1e9, count);
	}
	put_line(file, sample, kind, "_bucket");
	fprintf(file, ",le=\"+Inf\"} %" PRIu64 "\n", count);
	put_line(file, sample, kind, "_sum");
	fprintf(file, "} %.9f\n", io->time / 1e9);
	put_line(file, sample, kind, "_count");
	fprintf(file, "} %" PRIu64 "\n", count);
}

static void put_latencies(FILE *file, const struct samples *samples)
{
	size_t i;
	int kind;

	put_family(file, "latency_seconds", "histogram",
		   "Time from a request to its answer.");
	for (i = 0; i < samples->nr; i++)
		for (kind = 0; kind < STATS_KINDS; kind++)
			put_histogram(file, &samples->list[i], kind);
}

/* The last one that has ended; without one there is no line. */
static void put_stalls(FILE *file, const struct samples *samples)
{
	const struct stats_stall *stall;
	size_t i;

	put_family(file, "last_stall_seconds", "gauge",
		   "Length of the last pause, without a server or progress.");
	for (i = 0; i < samples->nr; i++) {
		stall = stats_last_stall(&samples->list[i].stats);
		if (!stall)
			continue;
		fputs(FAMILY("last_stall_seconds"), file);
		put_labels(file, &samples->list[i]);
		fprintf(file, "} %.3f\n", stall->ms / 1e3);
	}
}

#define KINDS(name, member, help) \
	put_kinds(file, samples, name, help, offsetof(struct stats_io, member))
#define NUMBERS(name, type, member, help) \
	put_numbers(file, samples, name, type, help, \
		    offsetof(struct sample, member))

int stat_put_metrics(FILE *file, const struct samples *samples)
{
	KINDS("requests_total", count, "Requests that have ended.");
	KINDS("bytes_total", bytes, "Bytes of requests that went well.");
	KINDS("errors_total", errors, "Requests that failed.");
	put_latencies(file, samples);
	NUMBERS("in_flight", "gauge", stats.in_flight,
		"Requests that wait for their answer.");
	NUMBERS("cache_hits_total", "counter", stats.cache_hits,
		"Parts of tables found in memory.");
	NUMBERS("cache_misses_total", "counter", stats.cache_misses,
		"Parts of tables read from the image.");
	NUMBERS("checkpoints_total", "counter", stats.checkpoints,
		"Checkpoints of the journal.");
	NUMBERS("journal_used_bytes", "gauge", stats.journal_used,
		"Bytes that are used in the journal.");
	NUMBERS("journal_size_bytes", "gauge", stats.journal_size,
		"Size of the journal.");
	NUMBERS("server_memory_bytes", "gauge", server_memory,
		"Resident memory of the server, 0 without one.");
	NUMBERS("supervisor_memory_bytes", "gauge", supervisor_memory,
		"Resident memory of the supervisor, 0 without one.");
	NUMBERS("poisoned_total", "counter", stats.poisoned,
		"Requests that killed three servers, and failed.");
	NUMBERS("stalls_total", "counter", stats.nr_stalls,
		"Pauses, without a server or without progress.");
	put_stalls(file, samples);
	return 0;
}
