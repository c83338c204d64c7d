// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Of schedules: a seed's record as text, for judges that are not ours.
 *
 * SEED.qcow2 is the image as it was when the record began.  SEED.trace has a
 * line for each operation, for each step, and for each change of the journal:
 *
 *	deed KIND OFFSET LENGTH BEGAN ENDED RESULT
 *	step KIND OFFSET LENGTH BEGAN ENDED TIME [BYTES]
 *	group POSITION WORD...
 *	start POSITION
 *
 * The kinds of operations are in operations.h, and their times count beginnings
 * and ends; TIME of a step is by this clock, too.  The kinds of steps are in
 * disk.h.  A step's call began when so many steps had been made, and ended when
 * so many had.  Something that ended at 0 never did.  The bytes of a write and
 * the words of a group are in hex.  A group is in the journal just after the
 * step above it; from a start on, the groups before that position are not.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/engine/trace.h"
#include "qcow/journal.h"

#define RING 4096u /* where it begins in the journal's file */

static const char *directory;

void trace_option(int *argc, char ***argv)
{
	if (*argc < 3 || strcmp((*argv)[1], "--trace"))
		return;
	directory = (*argv)[2];
	*argc -= 2;
	*argv += 2;
}

static char *path_of(uint64_t seed, const char *suffix)
{
	char *path;

	if (asprintf(&path, "%s/%" PRIu64 ".%s", directory, seed, suffix) < 0)
		die("no memory");
	return path;
}

static void put_deeds(FILE *file, const struct history *history)
{
	for (unsigned int i = 0; i < history->nr; i++) {
		const struct deed *deed = &history->deeds[i];

		fprintf(file,
			"deed %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
			" %d\n",
			deed->operation.kind, deed->operation.offset,
			deed->operation.length, deed->began, deed->ended,
			deed->failed);
	}
}

static void put_step(FILE *file, const struct step *step,
		     const struct moment *moment)
{
	fprintf(file, "step %d %" PRIu64 " %zu %u %u %" PRIu64, step->kind,
		step->offset, step->length, moment->began, moment->ended,
		moment->time);
	if (step->bytes)
		fputc(' ', file);
	for (size_t i = 0; step->bytes && i < step->length; i++)
		fprintf(file, "%02x", step->bytes[i]);
	fputc('\n', file);
}

static uint64_t word_at(const uint8_t *journal, uint64_t position)
{
	uint64_t words = (INSTANT_JOURNAL - RING) / 8, word;

	memcpy(&word, journal + RING + position % words * 8, 8);
	return word;
}

/* The groups from *end on, and where they start if that has changed. */
static void put_journal(FILE *file, const uint8_t *journal, uint64_t *start,
			uint64_t *end)
{
	uint64_t before = *start, seal;

	while ((seal = word_at(journal, *end))) {
		fprintf(file, "group %" PRIu64, *end);
		for (uint64_t i = 1; i <= (seal & 0xffff); i++)
			fprintf(file, " %" PRIx64, word_at(journal, *end + i));
		fputc('\n', file);
		*end += 1 + (seal & 0xffff);
	}
	memcpy(start, journal + offsetof(struct journal_header, start),
	       sizeof(*start));
	if (*start != before)
		fprintf(file, "start %" PRIu64 "\n", *start);
}

void trace_write(const struct instants *instants, const struct history *history,
		 uint64_t seed)
{
	uint64_t start = 0, end = 0;
	char *path, *image;
	FILE *file;

	if (!directory)
		return;
	image = path_of(seed, "qcow2");
	disk_save(&instants->base, image);
	path = path_of(seed, "trace");
	file = fopen(path, "w");
	if (!file)
		die("%s: %s", path, strerror(errno));
	put_deeds(file, history);
	for (unsigned int i = 0; i < instants->disk.nr_steps; i++) {
		put_step(file, &instants->disk.steps[i], &instants->moments[i]);
		put_journal(file, instants->moments[i].journal, &start, &end);
	}
	if (fclose(file))
		die("%s: %s", path, strerror(errno));
	free(path);
	free(image);
}
