// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A sector may hold the stamp of any operation that had begun by the time of
 * the look.  But a later operation may cover that one: it began when that one
 * had ended, and it is certain to be there.  An operation is certain if it was
 * acknowledged before the look.  After a loss of power, an operation is certain
 * only if a flush covers it: the flush began when the operation had been
 * acknowledged, and was acknowledged itself.
 */
#include <string.h>
#include "tests/engine/history.h"
#include "tests/lib/helpers.h"

void history_create(struct history *history, const struct geometry *geometry,
		    uint64_t size)
{
	*history = (struct history){
		.geometry = geometry,
		.size = size,
		.time = 1,
		.stamp = geometry->base >= COMPRESSED ? STAMPED : 0,
	};
}

struct deed *history_begin(struct history *history,
			   const struct operation *operation)
{
	struct deed *deed = &history->deeds[history->nr++];

	if (history->nr > HISTORY_MAX)
		die("too long a history");
	*deed = (struct deed){
		.operation = *operation,
		.began = ++history->time,
	};
	deed->operation.number = history->nr;
	return deed;
}

void history_end(struct history *history, struct deed *deed, int result)
{
	deed->failed = result;
	deed->ended = ++history->time;
}

/* An overlay of version 2 cannot discard: the layer below would show. */
static bool is_void(const struct history *history, const struct deed *deed)
{
	return deed->operation.kind == OPERATION_DISCARD &&
	       history->geometry->base == OVERLAY &&
	       strstr(history->geometry->options, "compat=0.10");
}

static bool changes(const struct history *history, const struct deed *deed,
		    uint64_t sector, uint32_t *stamp)
{
	return !is_void(history, deed) &&
	       operation_changes(&deed->operation, sector, history->size,
				 history->geometry->cluster, stamp);
}

static bool has_ended(const struct deed *deed, uint64_t time)
{
	return deed->ended && deed->ended <= time && !deed->failed;
}

static bool is_flushed(const struct history *history, const struct deed *deed,
		       uint64_t time)
{
	for (unsigned int i = 0; i < history->nr; i++) {
		const struct deed *flush = &history->deeds[i];

		if (flush->operation.kind == OPERATION_FLUSH &&
		    has_ended(flush, time) && has_ended(deed, flush->began))
			return true;
	}
	return false;
}

static bool is_certain(const struct history *history, const struct deed *deed,
		       const struct look *look)
{
	return look->power ? is_flushed(history, deed, look->from) :
			     has_ended(deed, look->from);
}

/* Is the sector covered by a certain operation that began after this time? */
static bool is_covered(const struct history *history, const struct look *look,
		       uint64_t sector, uint64_t ended)
{
	uint32_t stamp;

	for (unsigned int i = 0; i < history->nr; i++) {
		const struct deed *deed = &history->deeds[i];

		if (deed->began > ended &&
		    changes(history, deed, sector, &stamp) &&
		    is_certain(history, deed, look))
			return true;
	}
	return false;
}

static bool may_hold(const struct history *history, const struct look *look,
		     uint64_t sector, uint32_t held)
{
	uint32_t stamp;

	if (held == history->stamp && !is_covered(history, look, sector, 0))
		return true;
	for (unsigned int i = 0; i < history->nr; i++) {
		const struct deed *deed = &history->deeds[i];
		uint64_t ended = deed->ended ? deed->ended : UINT64_MAX;

		if (deed->began <= look->to &&
		    changes(history, deed, sector, &stamp) && stamp == held &&
		    !is_covered(history, look, sector, ended))
			return true;
	}
	return false;
}

void history_check(const struct history *history, const struct look *look,
		   uint64_t sector, uint32_t stamp, const char *where)
{
	if (!may_hold(history, look, sector, stamp))
		die("%s: %s: sector %lu holds operation %u at %lu",
		    history->geometry->options, where, sector, stamp, look->to);
}
