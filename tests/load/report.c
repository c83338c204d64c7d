// SPDX-License-Identifier: GPL-2.0-or-later
/* The figures of a run, and its messages. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/load/load-inside.h"

static const char *const kind_names[] = { "write", "read", "discard", "zeroes",
					  "fsync" };

uint64_t counts[KINDS + 1], errors;
static int last_error;
static double longest_gap, gap_since_usr1;

void report_gap(double gap)
{
	if (gap > longest_gap)
		longest_gap = gap;
	if (gap > gap_since_usr1)
		gap_since_usr1 = gap;
}

void report_print_gap(void)
{
	printf("longest_gap_ms=%.0f\n", gap_since_usr1 * 1000);
	fflush(stdout);
	gap_since_usr1 = 0;
}

/* Prints the first success and the first error, for scripts that wait. */
static void tell_first(int error)
{
	static bool told, told_error;

	if (!options.tell || (error ? told_error : told))
		return;
	told = true;
	if (error) {
		told_error = true;
		printf("error=%s\n", strerrorname_np(error));
	} else {
		printf("works\n");
	}
	fflush(stdout);
}

void report_works(void)
{
	tell_first(0);
}

void report_error(const struct op *op, int error)
{
	tell_first(error);
	errors++;
	last_error = error;
	if (!options.tolerate && errors <= 20)
		fprintf(stderr, "%s of %" PRIu64 " bytes at %" PRIu64 ": %s\n",
			kind_names[op->kind], op->length,
			ledger_offset(&ledger, op->first), strerror(error));
}

void report_print(double seconds, uint64_t checked)
{
	static const char *const plurals[] = { "writes", "reads", "discards",
					       "zeroes", "fsyncs" };
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i <= KINDS; i++) {
		printf("%s=%" PRIu64 " ", plurals[i], counts[i]);
		sum += counts[i];
	}
	printf("iops=%.0f longest_gap_ms=%.0f errors=%" PRIu64,
	       seconds > 0 ? (double)sum / seconds : 0, longest_gap * 1000,
	       errors);
	if (errors)
		printf(" error=%s", strerrorname_np(last_error));
	printf(" checked=%" PRIu64 " wrong=%" PRIu64 "\n", checked,
	       ledger.wrong);
}
