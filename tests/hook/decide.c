// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Is a paused domain resumed?  The cases: all states that two disks can have,
 * and a disk that fails again and again.
 *
 * usage: libvirt-decide
 */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/helpers.h"
#include "plugin/libvirt/decide.h"

#define NR_STATES (3 * 32)
#define NOW	  1000000000

static const struct decide_history fresh;

static struct decide_disk state(unsigned int number)
{
	return (struct decide_disk){
		.ours = number & 1,
		.served = number & 2,
		.live = number & 4,
		.orphan = number & 8,
		.room = number & 16,
		.trouble = number / 32,
	};
}

static bool is_well(const struct decide_disk *disk)
{
	return disk->ours && disk->served && disk->live &&
	       (disk->trouble != TROUBLE_SPACE || disk->room);
}

/* The disks that may be the cause. */
static bool suspects_are_well(const struct decide_disk disks[2])
{
	const bool known = disks[0].trouble || disks[1].trouble;
	int i;

	for (i = 0; i < 2; i++)
		if ((!known || disks[i].trouble) && !is_well(&disks[i]))
			return false;
	return true;
}

/* If and only if that was the cause. */
static void test_all_states(void)
{
	unsigned int a, b;

	for (a = 0; a < NR_STATES; a++)
		for (b = 0; b < NR_STATES; b++) {
			const struct decide_disk disks[] = { state(a),
							     state(b) };
			struct verdict verdict = decide(true, disks, 2, &fresh,
							NOW);

			if ((verdict.decision == DECIDE_RESUME) !=
			    suspects_are_well(disks))
				die("disks %u and %u: decision %d", a, b,
				    verdict.decision);
			if (verdict.decision != DECIDE_RESUME &&
			    (!verdict.reason || is_well(&disks[verdict.disk])))
				die("disks %u and %u: wrong reason", a, b);
			verdict = decide(false, disks, 2, &fresh, NOW);
			if (verdict.decision != DECIDE_NOTHING)
				die("decides on a domain that runs");
		}
}

static void is(const char *what, struct verdict verdict, enum decision decision,
	       size_t disk)
{
	if (verdict.decision != decision || verdict.disk != disk)
		die("%s: decision %d for disk %zu", what, verdict.decision,
		    verdict.disk);
	if ((decision == DECIDE_WAIT || decision == DECIDE_RECOVER) !=
	    (verdict.delay > 0))
		die("%s: delay %u", what, verdict.delay);
}

static void test_examples(void)
{
	const struct decide_disk well = { .ours = true,
					  .served = true,
					  .live = true };
	struct decide_disk disks[] = { well, well, well };

#define DECIDE decide(true, disks, 3, &fresh, NOW)
	is("all well", DECIDE, DECIDE_RESUME, 0);
	is("no disks", decide(true, disks, 0, &fresh, NOW), DECIDE_NOTHING, 0);
	disks[2].ours = false;
	is("a foreign disk, which failed is not known", DECIDE, DECIDE_NOTHING,
	   2);
	disks[1].trouble = TROUBLE_ERROR;
	is("a foreign disk that is well", DECIDE, DECIDE_RESUME, 1);
	disks[2].trouble = TROUBLE_ERROR;
	is("a foreign disk failed, too", DECIDE, DECIDE_NOTHING, 2);
	disks[2] = well;
	disks[1].live = false;
	is("no server", DECIDE, DECIDE_WAIT, 1);
	disks[1].orphan = true;
	is("no supervisor", DECIDE, DECIDE_RECOVER, 1);
	disks[1].served = false;
	is("the disk is gone", DECIDE, DECIDE_GIVE_UP, 1);
	disks[1] = well;
	disks[1].trouble = TROUBLE_SPACE;
	is("no space", DECIDE, DECIDE_WAIT, 1);
	disks[1].room = true;
	is("space again", DECIDE, DECIDE_RESUME, 1);
	disks[0].live = false;
	is("another one, that did not fail, has no server", DECIDE,
	   DECIDE_RESUME, 1);
}

/* The host's disk is broken: each resume ends in the same error at once. */
static void test_fails_again(void)
{
	const struct decide_disk disk = { .ours = true,
					  .served = true,
					  .live = true,
					  .trouble = TROUBLE_ERROR };
	struct decide_history history = { 0 };
	uint64_t now = NOW, last = NOW, gap = 0;
	unsigned int resumed = 0;

	for (;;) {
		struct verdict verdict = decide(true, &disk, 1, &history, now);

		if (verdict.decision == DECIDE_GIVE_UP)
			break;
		if (verdict.decision == DECIDE_WAIT) {
			now += verdict.delay;
			continue;
		}
		if (verdict.decision != DECIDE_RESUME)
			die("decision %d", verdict.decision);
		if (resumed && (now - last < gap || now == last))
			die("resumed %u times, then after %llu ms", resumed,
			    (unsigned long long)(now - last));
		gap = now - last;
		last = now;
		decide_resumed(&history, now);
		if (++resumed > DECIDE_TRIES_MAX)
			die("resumed without an end");
	}
	if (resumed != DECIDE_TRIES_MAX)
		die("resumed only %u times", resumed);
	if (gap != DECIDE_DELAY_MAX)
		die("waited %llu ms in the end", (unsigned long long)gap);
	/* It has run for long, so this is another error. */
	now = last + DECIDE_CALM;
	is("after a calm", decide(true, &disk, 1, &history, now), DECIDE_RESUME,
	   0);
	decide_resumed(&history, now);
	if (history.tries != 1)
		die("the past was not forgotten");
	is("too soon", decide(true, &disk, 1, &history, now + 1), DECIDE_WAIT,
	   0);
}

int main(void)
{
	test_all_states();
	test_examples();
	test_fails_again();
	return 0;
}
