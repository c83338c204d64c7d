/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `stat` from the inside; for stat*.c only.
 */
#ifndef STAT_H
#define STAT_H

#include <stdio.h>

#include "plugin/common/state.h"
#include "plugin/common/stats.h"

/* One disk at one moment. */
struct sample {
	struct disk disk;
	struct stats stats; /* all 0 if there are none */
	bool has_before;    /* and how it was an interval ago */
	struct stats before;
	uint64_t server_memory; /* bytes; 0: it does not live */
	uint64_t supervisor_memory;
};

struct samples {
	struct sample *list;
	size_t nr;
};

/* Each returns 0 or -ENOMEM. */

/* stat-text.c: tables for people. */
int stat_put_text(FILE *file, const struct samples *samples);

/* stat-json.c: for programs. */
int stat_put_json(FILE *file, const struct samples *samples);

/* stat-metrics.c: for Prometheus. */
int stat_put_metrics(FILE *file, const struct samples *samples);

#endif /* STAT_H */
