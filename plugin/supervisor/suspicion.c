// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When a server is to be replaced though it lives.
 *
 * Somebody waits for a request, and no counter of the server's moves.  A server
 * is not at fault if it waits for its storage, or if a debugger or a control
 * group holds it: to kill it would help nobody, and its successor would wait
 * for the same.  It is a fault if the server was stopped by a signal, if it
 * uses a processor and ends nothing, or if all of its threads wait for each
 * other.  The server is guilty only if each look of a whole patience has found
 * it at fault.  A look that finds the server in the kernel, or some progress,
 * begins anew.
 *
 * We may have been asleep ourselves: a host that was suspended, a control group
 * that was frozen, no processor for anybody.  Then the server had no time
 * either.  A look that comes late begins anew.
 *
 * An idle disk is looked at twice in a patience, a suspect six times.
 *
 * The supervisor has the counters from the server alone.  A server that was
 * taken over can use them to escape its replacement, or to be replaced, and for
 * nothing else (P6).
 */
#include <stddef.h>

#include "plugin/supervisor/suspicion.h"

#define CALM_LOOKS   2 /* in a patience */
#define DOUBT_LOOKS  6
#define LATE	     2000 /* ms; later than two looks and this is too late */
#define BUSY_PERCENT 25

static bool spins(const struct evidence *evidence)
{
	return evidence->elapsed &&
	       evidence->cpu * 100 >= evidence->elapsed * BUSY_PERCENT;
}

enum posture suspicion_posture(const struct evidence *evidence)
{
	if (evidence->traced)
		return POSTURE_TRACED;
	if (evidence->frozen)
		return POSTURE_FROZEN;
	/* The server's transfers on the ring have ended, perhaps: it cannot say
	   so. */
	if (evidence->stopped)
		return POSTURE_STOPPED;
	if (evidence->in_storage ||
	    (evidence->ring_waits && evidence->transfers))
		return POSTURE_STORAGE;
	if (spins(evidence))
		return POSTURE_SPINNING;
	if (evidence->runs)
		return POSTURE_STARVED;
	return evidence->hidden ? POSTURE_UNKNOWN : POSTURE_ASLEEP;
}

const char *suspicion_words(enum posture posture)
{
	static const char *const words[] = {
		[POSTURE_STORAGE] = "it waits for the storage of its files",
		[POSTURE_TRACED] = "a debugger holds it",
		[POSTURE_FROZEN] = "its control group is frozen",
		[POSTURE_STARVED] = "it gets no processor",
		[POSTURE_UNKNOWN] = "the kernel does not show why",
		[POSTURE_STOPPED] = "it was stopped by a signal",
		[POSTURE_SPINNING] = "it runs and ends nothing",
		[POSTURE_ASLEEP] = "its threads wait for one another",
	};

	return words[posture];
}

bool suspicion_is_calm(const struct suspicion *suspicion, bool pending,
		       uint64_t progress)
{
	return !pending || progress != suspicion->progress;
}

enum verdict suspicion_calm(struct suspicion *suspicion, uint64_t now,
			    uint64_t progress, uint64_t patience)
{
	enum verdict verdict = suspicion->told ? VERDICT_GOES_ON : VERDICT_FINE;

	*suspicion = (struct suspicion){
		.next = now + patience / CALM_LOOKS,
		.progress = progress,
	};
	return verdict;
}

static bool is_late(const struct suspicion *suspicion, uint64_t now,
		    uint64_t interval)
{
	return suspicion->next && now > suspicion->next + 2 * interval + LATE;
}

enum verdict suspicion_still(struct suspicion *suspicion, uint64_t now,
			     enum posture posture, uint64_t patience)
{
	const uint64_t interval = patience / DOUBT_LOOKS;
	const bool late = is_late(suspicion, now, interval);

	suspicion->next = now + interval;
	if (late || !suspicion->still_since)
		suspicion->still_since = now;
	if (posture < POSTURE_GUILTY)
		suspicion->guilty_since = 0;
	else if (late || !suspicion->guilty_since)
		suspicion->guilty_since = now;
	if (suspicion->guilty_since)
		return now - suspicion->guilty_since >= patience ?
			       VERDICT_GUILTY :
			       VERDICT_DOUBTFUL;
	if (suspicion->told || now - suspicion->still_since < patience)
		return VERDICT_DOUBTFUL;
	suspicion->told = true;
	return VERDICT_BLAMELESS;
}
