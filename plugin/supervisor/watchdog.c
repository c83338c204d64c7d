// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The watch over a server that lives: does it do its work?
 *
 * The server counts its work in the memory that it shares with us (stats.h),
 * and the kernel knows whether somebody waits.  A look at a calm disk is one
 * file of /sys and a few loads; only a suspect's threads are looked at.
 *
 * The server as a whole is a suspect, and so is each of its I/O threads where
 * there are several: one that is stuck must not hide behind the others.
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

#define WHOLE 0 /* the server; I/O thread n is suspect n + 1 */

static unsigned int nr_suspects(const struct supervisor *sv)
{
	const unsigned int threads = stats_threads(sv->disk.options.queues);

	return threads > 1 ? 1 + threads : 1;
}

typedef uint64_t figure(const struct stats_thread *thread);

static uint64_t moved(const struct stats_thread *thread)
{
	uint64_t all = stats_get(thread->steps);

	for (int kind = 0; kind < STATS_KINDS; kind++)
		all += stats_get(&thread->io[kind].count);
	return all;
}

static uint64_t in_flight(const struct stats_thread *thread)
{
	return stats_get(thread->in_flight);
}

static uint64_t transfers(const struct stats_thread *thread)
{
	return stats_get(thread->transfers);
}

/* The figure of a thread, or of all. */
static uint64_t sum(const struct supervisor *sv, unsigned int who, figure *of)
{
	const unsigned int threads = stats_threads(sv->disk.options.queues);
	uint64_t all = 0;

	for (unsigned int i = 0; i < threads; i++) {
		const struct stats_thread thread = stats_thread(sv->stats, i);

		if (who == WHOLE || who == i + 1)
			all += of(&thread);
	}
	return all;
}

/* All that moves, in one number.  A worker works for any thread. */
static uint64_t progress(const struct supervisor *sv, unsigned int who)
{
	return stats_get(&sv->stats->progress.parts) + sum(sv, who, moved);
}

static enum verdict calm(struct supervisor *sv, unsigned int who, uint64_t now)
{
	struct suspect *suspect = &sv->watchdog.suspects[who];

	suspect->looked_at = 0;
	return suspicion_calm(&suspect->suspicion, now, progress(sv, who),
			      sv->disk.options.watchdog * 1000ull);
}

/* The first that wants it. */
static uint64_t next_look(const struct supervisor *sv)
{
	const struct suspect *suspects = sv->watchdog.suspects;
	uint64_t next = suspects[WHOLE].suspicion.next;

	for (unsigned int i = 1; i < nr_suspects(sv); i++)
		if (suspects[i].suspicion.next < next)
			next = suspects[i].suspicion.next;
	return next;
}

void watchdog_begin(struct supervisor *sv)
{
	const uint64_t now = clock_ms();

	memset(&sv->watchdog, 0, sizeof(sv->watchdog));
	if (!sv->disk.options.watchdog)
		return;
	if (stats_get(&sv->stats->progress.server) !=
	    (uint64_t)sv->disk.server.pid) {
		log_line(LOG_NOTICE,
			 "whether its server makes progress cannot be seen; "
			 "there is no watchdog until the next server");
		return;
	}
	for (unsigned int i = 0; i < nr_suspects(sv); i++)
		calm(sv, i, now);
	sv->watchdog.next = next_look(sv);
}

void watchdog_end(struct supervisor *sv)
{
	memset(&sv->watchdog, 0, sizeof(sv->watchdog));
}

/* A request that the kernel does not count, as a flush, the server may. */
static bool is_pending(const struct supervisor *sv, unsigned int who)
{
	bool pending = false;

	if (who == WHOLE)
		sight_pending(sv->disk.id, &pending);
	return pending || sum(sv, who, in_flight);
}

static enum posture look(struct supervisor *sv, unsigned int who, uint64_t now)
{
	struct suspect *suspect = &sv->watchdog.suspects[who];
	const int number = who == WHOLE ? SIGHT_ALL : (int)who - 1;
	const pid_t server = sv->disk.server.pid;
	struct evidence evidence = { .transfers = sum(sv, who, transfers) };
	uint64_t cpu;

	if (sight_threads(server, number, &evidence) ||
	    sight_cpu(server, number, &cpu))
		return POSTURE_UNKNOWN;
	if (suspect->looked_at) {
		evidence.cpu = cpu - suspect->cpu;
		evidence.elapsed = now - suspect->looked_at;
	}
	suspect->cpu = cpu;
	suspect->looked_at = now;
	return suspicion_posture(&evidence);
}

static void save(struct supervisor *sv)
{
	int ret = disk_save(&sv->disk, &sv->layers);

	if (ret)
		log_line(LOG_ERR, "cannot write " STATE_DIR "/%d.disk: %s",
			 sv->disk.id, strerror(-ret));
}

/* Those that were told of, and make no progress yet. */
static unsigned int nr_told(const struct supervisor *sv)
{
	unsigned int told = 0;

	for (unsigned int i = 0; i < nr_suspects(sv); i++)
		told += sv->watchdog.suspects[i].suspicion.told;
	return told;
}

static void tell(struct supervisor *sv, enum posture posture, uint64_t since)
{
	snprintf(sv->disk.reason, sizeof(sv->disk.reason),
		 "its server (process %d) makes no progress: %s",
		 (int)sv->disk.server.pid, suspicion_words(posture));
	stats_begin_stall(sv->stats, sv->disk.reason, since);
	save(sv);
	log_event(DISK_EVENT_NO_PROGRESS,
		  "%s; its users wait, and it is left alone", sv->disk.reason);
	hooks_run(&sv->hooks, &sv->disk, DISK_EVENT_NO_PROGRESS,
		  sv->disk.server.pid);
}

static void tell_end(struct supervisor *sv, const char *words)
{
	sv->disk.reason[0] = '\0';
	stats_end_stall(sv->stats);
	save(sv);
	log_event(DISK_EVENT_GOES_ON, "%s", words);
	hooks_run(&sv->hooks, &sv->disk, DISK_EVENT_GOES_ON,
		  sv->disk.server.pid);
}

static void replace(struct supervisor *sv, enum posture posture, uint64_t since)
{
	snprintf(sv->death, sizeof(sv->death),
		 "its server (process %d) was killed, since it made no "
		 "progress: %s",
		 (int)sv->disk.server.pid, suspicion_words(posture));
	stats_begin_stall(sv->stats, sv->death, since);
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

/* False: the server is killed. */
static bool judge(struct supervisor *sv, unsigned int who, uint64_t now)
{
	struct suspicion *suspicion = &sv->watchdog.suspects[who].suspicion;
	enum posture posture = look(sv, who, now);

	switch (suspicion_still(suspicion, now, posture,
				sv->disk.options.watchdog * 1000ull)) {
	case VERDICT_BLAMELESS:
		if (nr_told(sv) == 1)
			tell(sv, posture, suspicion->still_since);
		return true;
	case VERDICT_GUILTY:
		replace(sv, posture, suspicion->guilty_since);
		return false;
	default:
		return true;
	}
}

static bool look_at(struct supervisor *sv, unsigned int who, uint64_t now)
{
	struct suspicion *suspicion = &sv->watchdog.suspects[who].suspicion;

	if (now < suspicion->next)
		return true;
	if (!suspicion_is_calm(suspicion, is_pending(sv, who),
			       progress(sv, who)))
		return judge(sv, who, now);
	if (calm(sv, who, now) == VERDICT_GOES_ON && !nr_told(sv))
		tell_end(sv, "its server makes progress again");
	return true;
}

void watchdog_forget(struct supervisor *sv)
{
	if (*sv->disk.reason)
		tell_end(sv, "whether its server makes progress is looked at "
			     "anew");
}

void watchdog_look(struct supervisor *sv)
{
	const uint64_t now = clock_ms();

	for (unsigned int i = 0; i < nr_suspects(sv); i++)
		if (!look_at(sv, i, now))
			return;
	sv->watchdog.next = next_look(sv);
}
