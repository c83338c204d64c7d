// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The messages of a server to its supervisor; server.h lists them.
 *
 * The supervisor does not trust a server: the image, or the guest, may have
 * taken the server over (P6).  A message that cannot be true ends the server.
 * A message about the server's own disk can harm only that disk.
 */
#include <stdio.h>

#include "plugin/common/confinement.h"
#include "plugin/common/log.h"
#include "plugin/supervisor/watch.h"

#define MINUTE	    60000 /* ms */
#define MINUTES_MAX 5

static bool is_power(uint64_t value, uint64_t least, uint64_t most)
{
	return value >= least && value <= most && !(value & (value - 1));
}

/* A server is not taken at its word: its image may have taken it over. */
static bool is_sensible(const struct server_message *opened)
{
	return opened->size && opened->size <= INT64_MAX &&
	       !(opened->size % QCOW_SECTOR) &&
	       is_power(opened->cluster_size, 512, 2u << 20) &&
	       is_power(opened->alignment, 1, 2u << 20) &&
	       opened->layers <= QCOW_FILES_MAX;
}

/* A server that does would fill the log and keep us from our work.  But we may
   have been stopped while it did its work: then all that its channel could hold
   comes at once. */
static bool says_too_much(struct supervisor *sv)
{
	const uint64_t now = clock_ms();
	uint64_t minutes = (now - sv->heard_since) / MINUTE;

	if (minutes > MINUTES_MAX)
		minutes = MINUTES_MAX;
	if (minutes) {
		sv->heard_since = now;
		sv->may_say = minutes * MESSAGES_MAX;
	}
	if (!sv->may_say)
		return true;
	sv->may_say--;
	return false;
}

static void distrust(struct supervisor *sv, const char *why)
{
	snprintf(sv->death, sizeof(sv->death), "%s", why);
	spawn_kill(sv);
}

void hear_server(struct supervisor *sv)
{
	struct server_message message;

	if (!spawn_receive(sv, &message))
		return;
	if (says_too_much(sv)) {
		distrust(sv, "its server says too much");
		return;
	}
	switch (message.type) {
	case SERVER_LAYER:
		hold_note_layer(sv, &message);
		break;
	case SERVER_OPENED:
		/* Once: its consequences are drawn once. */
		if (sv->opened.size || !is_sensible(&message)) {
			distrust(sv, "its server sent an impossible message");
			break;
		}
		sv->opened = message;
		supervisor_handle(sv, EVENT_OPENED);
		break;
	case SERVER_LIVE:
		if (!sv->opened.size) {
			distrust(sv, "its server sent an impossible message");
			break;
		}
		sv->disk.confinement = message.confinement & CONFINED_WHOLLY;
		supervisor_handle(sv, EVENT_LIVE);
		break;
	case SERVER_FAILED:
	case SERVER_DYING:
		spawn_note_last_words(sv, &message);
		break;
	case SERVER_NOTICE:
		log_line(LOG_NOTICE, "%s", message.text);
		snprintf(sv->notice, sizeof(sv->notice), "%.255s",
			 message.text);
		break;
	case SERVER_TROUBLE:
		trouble_hear(sv, &message);
		break;
	case SERVER_MERGING:
		merge_hear_progress(sv, message.failures);
		break;
	case SERVER_NOT_MERGED:
		merge_hear_failure(sv, message.text);
		break;
	case SERVER_MERGED:
		sv->told_merged = true;
		break;
	case SUPERVISOR_ADDED:
		break;
	}
}
