// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The decision whether a domain that an I/O error has paused may go on.
 *
 * QEMU holds the requests that failed and sends them again when the domain is
 * resumed, so a pause loses nothing.  A resume that comes too early loses
 * nothing either: the domain is paused again.  Still the agent resumes a
 * domain only if the disks that failed are all ours, and each has a server
 * again.  If QEMU does not say which disk failed, any disk may have, hence all
 * disks have to be ours.
 *
 * An error may come from the host's storage, and no event tells when that is
 * well again.  So the agent tries, later each time, and not for ever.  Where
 * space was missing, the agent waits for space before each try.
 */
#include "plugin/libvirt/decide.h"

#define LIVE_INTERVAL  500  /* ms */
#define SPACE_INTERVAL 5000 /* ms */
#define FIRST_DELAY    2000 /* ms */

struct view {
	const struct decide_disk *disks;
	size_t nr;
	bool known; /* which disks failed */
};

static bool is_suspect(const struct view *view, size_t i)
{
	return !view->known || view->disks[i].trouble != TROUBLE_NONE;
}

static bool foreign(const struct decide_disk *disk)
{
	return !disk->ours;
}

static bool gone(const struct decide_disk *disk)
{
	return !disk->served;
}

static bool orphan(const struct decide_disk *disk)
{
	return !disk->live && disk->orphan;
}

static bool dead(const struct decide_disk *disk)
{
	return !disk->live;
}

static bool full(const struct decide_disk *disk)
{
	return disk->trouble == TROUBLE_SPACE && !disk->room;
}

/* In order: the first that is true of a suspect decides. */
static const struct {
	bool (*is)(const struct decide_disk *disk);
	enum decision decision;
	unsigned int delay;
	const char *reason;
} rules[] = {
	{ foreign, DECIDE_NOTHING, 0, "is not served by ublk-qcow2" },
	{ gone, DECIDE_GIVE_UP, 0, "is not served any more" },
	{ orphan, DECIDE_RECOVER, LIVE_INTERVAL, "has no supervisor" },
	{ dead, DECIDE_WAIT, LIVE_INTERVAL, "has no server yet" },
	{ full, DECIDE_WAIT, SPACE_INTERVAL,
	  "needs space on its image's file system" },
};

static bool judge_suspects(const struct view *view, struct verdict *verdict)
{
	size_t rule, i;

	for (rule = 0; rule < sizeof(rules) / sizeof(rules[0]); rule++) {
		for (i = 0; i < view->nr; i++) {
			if (!is_suspect(view, i) ||
			    !rules[rule].is(&view->disks[i]))
				continue;
			*verdict = (struct verdict){
				.decision = rules[rule].decision,
				.delay = rules[rule].delay,
				.reason = rules[rule].reason,
				.disk = i,
			};
			return true;
		}
	}
	return false;
}

static unsigned int delay_after(unsigned int tries)
{
	unsigned int delay = FIRST_DELAY;

	if (!tries)
		return 0;
	while (--tries && delay < DECIDE_DELAY_MAX)
		delay *= 2;
	return delay < DECIDE_DELAY_MAX ? delay : DECIDE_DELAY_MAX;
}

static unsigned int tries_at(const struct decide_history *history, uint64_t now)
{
	return now - history->resumed < DECIDE_CALM ? history->tries : 0;
}

/* The suspect to be named where all are well. */
static size_t first_suspect(const struct view *view)
{
	size_t i;

	for (i = 0; i < view->nr; i++)
		if (is_suspect(view, i))
			return i;
	return 0;
}

static struct verdict judge_history(const struct view *view,
				    const struct decide_history *history,
				    uint64_t now)
{
	const unsigned int tries = tries_at(history, now);
	const uint64_t due = history->resumed + delay_after(tries);
	struct verdict verdict = {
		.decision = DECIDE_RESUME,
		.disk = first_suspect(view),
	};

	if (tries >= DECIDE_TRIES_MAX) {
		verdict.decision = DECIDE_GIVE_UP;
		verdict.reason = "fails again and again";
	} else if (tries && now < due) {
		verdict.decision = DECIDE_WAIT;
		verdict.delay = due - now;
		verdict.reason = "has failed again";
	}
	return verdict;
}

struct verdict decide(bool paused_by_error, const struct decide_disk *disks,
		      size_t nr_disks, const struct decide_history *history,
		      uint64_t now)
{
	struct view view = { .disks = disks, .nr = nr_disks };
	struct verdict verdict = { .decision = DECIDE_NOTHING };
	size_t i;

	if (!paused_by_error || !nr_disks)
		return verdict;
	for (i = 0; i < nr_disks; i++)
		view.known |= disks[i].trouble != TROUBLE_NONE;
	if (judge_suspects(&view, &verdict))
		return verdict;
	return judge_history(&view, history, now);
}

void decide_resumed(struct decide_history *history, uint64_t now)
{
	history->tries = tries_at(history, now) + 1;
	history->resumed = now;
}
