// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The watch over a server that lives: does it do its work?
 *
 * The server counts its work in the memory that it shares with us (stats.h),
 * and the kernel knows whether somebody waits.  A look at a calm disk is one
 * file of /sys and a few loads; only a suspect's threads are looked at.
 *
 * A server that is at fault is killed, which loses nothing (P1), and the death
 * is one like any other.  A server that is blameless is only told of: in the
 * log, by hooks.d, and as a pause in the disk's figures.
 *
 * A server is not judged if its counters are not in our memory: a server of
 * another version, or a disk whose file of figures could not be made.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "plugin/common/log.h"
#include "plugin/supervisor/sight.h"
#include "plugin/supervisor/watch.h"

static const struct stats_progress *progress_of(const struct supervisor *sv)
{
	return &sv->stats->progress;
}

/* All that moves, in one number. */
static uint64_t sum(const struct supervisor *sv)
{
	const struct stats_progress *progress = progress_of(sv);
	uint64_t all = stats_get(&progress->steps) +
		       stats_get(&progress->parts);
	int kind;

	for (kind = 0; kind < STATS_KINDS; kind++)
		all += stats_get(&sv->stats->io[kind].count);
	return all;
}

void watchdog_begin(struct supervisor *sv)
{
	const uint64_t patience = sv->disk.options.watchdog * 1000ull;

	memset(&sv->watchdog, 0, sizeof(sv->watchdog));
	if (!patience)
		return;
	if (stats_get(&progress_of(sv)->server) !=
	    (uint64_t)sv->disk.server.pid) {
		log_line(LOG_NOTICE,
			 "whether its server makes progress cannot be seen; "
			 "there is no watchdog until the next server");
		return;
	}
	suspicion_calm(&sv->watchdog.suspicion, clock_ms(), sum(sv), patience);
}

void watchdog_end(struct supervisor *sv)
{
	memset(&sv->watchdog, 0, sizeof(sv->watchdog));
}

/* A request that the kernel does not count, as a flush, the server may. */
static bool is_pending(const struct supervisor *sv)
{
	bool pending = false;

	sight_pending(sv->disk.id, &pending);
	return pending || stats_get(&sv->stats->in_flight);
}

static enum posture look(struct supervisor *sv, uint64_t now)
{
	struct watchdog *watchdog = &sv->watchdog;
	const pid_t server = sv->disk.server.pid;
	struct evidence evidence = {
		.transfers = stats_get(&progress_of(sv)->transfers),
	};
	uint64_t cpu;

	if (sight_threads(server, &evidence) || sight_cpu(server, &cpu))
		return POSTURE_UNKNOWN;
	if (watchdog->looked_at) {
		evidence.cpu = cpu - watchdog->cpu;
		evidence.elapsed = now - watchdog->looked_at;
	}
	watchdog->cpu = cpu;
	watchdog->looked_at = now;
	return suspicion_posture(&evidence);
}

static void save(struct supervisor *sv)
{
	int ret = disk_save(&sv->disk, &sv->layers);

	if (ret)
		log_line(LOG_ERR, "cannot write " STATE_DIR "/%d.disk: %s",
			 sv->disk.id, strerror(-ret));
}

static void tell(struct supervisor *sv, enum posture posture)
{
	snprintf(sv->disk.reason, sizeof(sv->disk.reason),
		 "its server (process %d) makes no progress: %s",
		 (int)sv->disk.server.pid, suspicion_words(posture));
	stats_begin_stall(sv->stats, sv->disk.reason,
			  sv->watchdog.suspicion.still_since);
	save(sv);
	log_event(DISK_EVENT_NO_PROGRESS,
		  "%s; its users wait, and it is left alone", sv->disk.reason);
	hooks_run(&sv->hooks, &sv->disk, DISK_EVENT_NO_PROGRESS,
		  sv->disk.server.pid);
}

static void tell_end(struct supervisor *sv)
{
	sv->disk.reason[0] = '\0';
	stats_end_stall(sv->stats);
	save(sv);
	log_event(DISK_EVENT_GOES_ON, "its server makes progress again");
	hooks_run(&sv->hooks, &sv->disk, DISK_EVENT_GOES_ON,
		  sv->disk.server.pid);
}

static void replace(struct supervisor *sv, enum posture posture)
{
	snprintf(sv->death, sizeof(sv->death),
		 "its server (process %d) was killed, since it made no "
		 "progress: %s",
		 (int)sv->disk.server.pid, suspicion_words(posture));
	stats_begin_stall(sv->stats, sv->death,
			  sv->watchdog.suspicion.guilty_since);
	spawn_kill(sv);
	snprintf(sv->disk.reason, sizeof(sv->disk.reason), "%s", sv->death);
	log_event(DISK_EVENT_STUCK,
		  "its server (process %d) has made no progress for %" PRIu64
		  " s, and its users wait: %s; it is killed",
		  (int)sv->disk.server.pid, sv->disk.options.watchdog,
		  suspicion_words(posture));
	hooks_run(&sv->hooks, &sv->disk, DISK_EVENT_STUCK, sv->disk.server.pid);
	watchdog_end(sv);
}

static void judge(struct supervisor *sv, uint64_t now, uint64_t patience)
{
	struct suspicion *suspicion = &sv->watchdog.suspicion;
	enum posture posture = look(sv, now);

	switch (suspicion_still(suspicion, now, posture, patience)) {
	case VERDICT_BLAMELESS:
		tell(sv, posture);
		break;
	case VERDICT_GUILTY:
		replace(sv, posture);
		break;
	default:
		break;
	}
}

void watchdog_look(struct supervisor *sv)
{
	const uint64_t patience = sv->disk.options.watchdog * 1000ull;
	struct suspicion *suspicion = &sv->watchdog.suspicion;
	const uint64_t now = clock_ms(), progress = sum(sv);

	if (!suspicion_is_calm(suspicion, is_pending(sv), progress)) {
		judge(sv, now, patience);
		return;
	}
	sv->watchdog.looked_at = 0;
	if (suspicion_calm(suspicion, now, progress, patience) ==
	    VERDICT_GOES_ON)
		tell_end(sv);
}
