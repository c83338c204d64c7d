// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A sector holds the stamp of the last operation that changed it.  A death or a
 * loss of power may have caught several operations.  Then each sector may hold
 * the stamp of any of these.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/engine/script.h"
#include "tests/lib/helpers.h"

#define SECTOR 512u

void script_create(struct script *script, const struct geometry *geometry,
		   uint64_t size)
{
	*script = (struct script){
		.geometry = geometry,
		.size = size,
		.durable = true,
	};
	script->before = script_new_stamps(script);
	script->after = script_new_stamps(script);
	if (geometry->base < COMPRESSED)
		return;
	for (uint64_t s = 0; s < size / SECTOR; s++)
		script->before[s] = STAMPED;
}

void script_destroy(struct script *script)
{
	free(script->before);
	free(script->after);
}

uint32_t *script_new_stamps(const struct script *script)
{
	return calloc(script->size / SECTOR, sizeof(uint32_t));
}

static void must(const struct script *script, int ret, const char *what)
{
	if (ret)
		die("%s: %s: %s", script->geometry->options, what,
		    strerror(-ret));
}

struct qcow_image *script_open(const struct script *script, struct disk *disk,
			       bool force)
{
	disk->hooks.ahead = 2 * script->geometry->cluster;
	return disk_open(disk, SCRIPT_JOURNAL, force,
			 script->geometry->options);
}

void script_play(struct script *script, struct disk *disk,
		 struct qcow_image *image, struct random *random)
{
	script->known = SCRIPT_LENGTH + 1;
	for (unsigned int n = 0; n < SCRIPT_LENGTH; n++) {
		struct operation *operation = &script->operations[n];

		operation_draw(operation, n + 1, random, script->size,
			       script->geometry->cluster, false);
		disk->begun = n + 1;
		must(script,
		     operation_do(operation, image, random_below(random, 2),
				  &disk->hooks),
		     "operation");
		disk->acked = n + 1;
	}
	must(script, qcow_close(image), "close");
}

/* An overlay of version 2 cannot discard: the layer below would show. */
static bool is_void(const struct script *script,
		    const struct operation *operation)
{
	return operation->kind == OPERATION_DISCARD &&
	       script->geometry->base == OVERLAY &&
	       strstr(script->geometry->options, "compat=0.10");
}

static bool changes(const struct script *script, unsigned int n,
		    uint64_t sector, uint32_t *stamp)
{
	if (is_void(script, &script->operations[n]))
		return false;
	return operation_changes(&script->operations[n], sector, script->size,
				 script->geometry->cluster, stamp);
}

/* The stamps after the first n operations.  Instants mostly go forwards.  So
   the stamps for the last n are kept, and carried on from there. */
static const uint32_t *stamps_after(struct script *script, unsigned int n)
{
	uint64_t sectors = script->size / SECTOR;
	uint32_t stamp;

	if (n < script->known) {
		memcpy(script->after, script->before,
		       sectors * sizeof(uint32_t));
		script->known = 0;
	}
	for (; script->known < n; script->known++)
		for (uint64_t s = 0; s < sectors; s++)
			if (changes(script, script->known, s, &stamp))
				script->after[s] = stamp;
	return script->after;
}

/* Does one of the operations from low to high leave this stamp? */
static bool may_become(const struct script *script, unsigned int low,
		       unsigned int high, uint64_t sector, uint32_t held)
{
	uint32_t stamp;

	for (unsigned int n = low; n < high; n++)
		if (changes(script, n, sector, &stamp) && stamp == held)
			return true;
	return false;
}

void script_check(struct script *script, const uint32_t *stamps,
		  unsigned int low, unsigned int high, const char *where)
{
	const uint32_t *after;

	if (low > high)
		return;
	after = stamps_after(script, low);
	for (uint64_t s = 0; s < script->size / SECTOR; s++)
		if (stamps[s] != after[s] &&
		    !may_become(script, low, high, s, stamps[s]))
			die("%s: %s: sector %lu holds operation %u, may hold that after %u to %u operations (%u)",
			    script->geometry->options, where, s, stamps[s], low,
			    high, after[s]);
}

unsigned int script_flushed(const struct script *script, unsigned int acked)
{
	for (unsigned int n = acked; n--;)
		if (script->operations[n].kind == OPERATION_FLUSH)
			return n;
	return script->durable ? 0 : SCRIPT_LENGTH + 1;
}
