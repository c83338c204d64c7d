// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A request that its server dies of is issued again, and kills the next server.
 * Without an end to that the disk would be lost for the sake of one request:
 *
 *	1st death	many requests were under way; the server names the one
 *			that it was at work for.  The next server serves this
 *			one first, and alone (server/quarantine.c)
 *	2nd, 3rd	it was alone
 *	then		the next server answers it with an error, and serves all
 *			others
 *
 * Any other death begins anew: of another request, of none, by a signal that
 * somebody sent, or of the same one when it was not alone.  So a process that
 * kills servers, however often, makes no request fail (P5).
 *
 * If servers die of every request, then no single request is to blame: another
 * version of the program can serve them all.  So no more than POISONS_MAX fail
 * in an hour; after that the disk's users wait, as for every server that dies
 * again and again.
 *
 * The supervisor has names and counts from the server alone.  A server that was
 * taken over can use them to make requests of its own disk fail, which it can
 * do anyway (P6).
 */
#include <signal.h>

#include "plugin/supervisor/poison.h"

#define WINDOW 3600000 /* ms */

void poison_begin(struct poison *poison)
{
	poison->named = false;
}

void poison_name(struct poison *poison, const struct culprit *name)
{
	if (poison->named)
		return;
	poison->named = true;
	poison->name = *name;
}

/* The signals that dying.c handles: a name before a SIGKILL is no proof. */
static bool is_fault(int signal)
{
	return signal == SIGABRT || signal == SIGFPE || signal == SIGILL ||
	       signal == SIGSEGV;
}

static bool is_next(const struct poison *poison)
{
	return poison->deaths && poison->deaths < CULPRIT_GUILTY &&
	       poison->name.alone &&
	       culprit_is(&poison->name, &poison->culprit);
}

static bool too_many(const struct poison *poison, uint64_t now)
{
	return poison->found >= POISONS_MAX &&
	       now - poison->when[poison->found % POISONS_MAX] < WINDOW;
}

static void convict(struct poison *poison, uint64_t now)
{
	if (too_many(poison, now)) {
		poison->deaths = CULPRIT_GUILTY - 1;
		return;
	}
	poison->when[poison->found++ % POISONS_MAX] = now;
	poison->untold = true;
}

/* The server that should fail it has died without a word: nothing is known to
   have failed. */
static void take_back(struct poison *poison)
{
	if (!poison->untold)
		return;
	poison->untold = false;
	poison->found--;
}

void poison_count(struct poison *poison, int signal, uint64_t now)
{
	take_back(poison);
	if (!poison->named || !is_fault(signal)) {
		poison->deaths = 0;
		return;
	}
	poison->deaths = is_next(poison) ? poison->deaths + 1 : 1;
	poison->culprit = poison->name;
	if (poison->deaths == CULPRIT_GUILTY)
		convict(poison, now);
}
