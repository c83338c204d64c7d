// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `del --force` in the middle of a change: abandon.c by itself, with stand-ins
 * for everything around it.  The job of the change has ended before anything
 * else is done, unless it does not end.
 */
#include <stdlib.h>
#include <unistd.h>

#include "plugin/supervisor/watch.h"
#include "tests/lib/helpers.h"

static struct supervisor sv;
static unsigned int raised, stopped, refused, tried, ended;

void move_raise_locks(struct supervisor *s)
{
	(void)s;
	if (stopped)
		die("the locks are raised too late");
	raised++;
}

void finish_start(struct supervisor *s)
{
	if (s->job.pidfd >= 0)
		die("the disk is removed before the job has ended");
	stopped++;
}

void watch_settle(struct supervisor *s, bool failed, const char *format, ...)
{
	(void)s;
	(void)format;
	refused += failed;
}

void merge_try_again(struct supervisor *s)
{
	(void)s;
	tried++;
}

void change_job_ended(struct supervisor *s)
{
	(void)s;
	ended++;
}

static int sleep_long(const void *argument, char *text)
{
	(void)argument;
	(void)text;
	sleep(60);
	return EXIT_SUCCESS;
}

static void begin(enum change_kind kind, bool force)
{
	sv = (struct supervisor){ .phase = PHASE_CHANGING };
	sv.change.kind = kind;
	sv.stop_forced = force;
	raised = stopped = refused = tried = ended = 0;
	if (job_start(&sv.job, sleep_long, NULL, true))
		die("no job");
}

static void must_end(void)
{
	if (!process_wait(sv.job.pidfd, 30000))
		die("the job is not killed");
	abandon_job_ended(&sv);
}

static void test_refused(void)
{
	begin(CHANGE_IMAGE, false);
	abandon_change(&sv);
	if (refused != 1 || stopped || process_wait(sv.job.pidfd, 0))
		die("it is not refused");
	/* The change goes on. */
	abandon_time(&sv);
	abandon_job_ended(&sv);
	if (tried != 1 || ended != 1 || stopped)
		die("the change does not go on");
	process_kill(sv.job.pidfd);
	process_wait(sv.job.pidfd, -1);
}

static void test_forced(enum change_kind kind)
{
	begin(kind, true);
	abandon_change(&sv);
	if (stopped || raised)
		die("it does not wait for the end of the job");
	/* Asked once more. */
	abandon_change(&sv);
	must_end();
	if (stopped != 1 || raised != (kind == CHANGE_IMAGE) || ended || tried)
		die("the disk is not removed as it should");
	if (sv.deadline || sv.abandoned)
		die("something is left for later");
}

/* Between two attempts there is no job. */
static void test_idle(void)
{
	begin(CHANGE_MERGED, true);
	process_kill(sv.job.pidfd);
	process_wait(sv.job.pidfd, -1);
	job_abandon(&sv.job);
	abandon_change(&sv);
	if (stopped != 1)
		die("it waits for no job");
}

static void test_stuck(void)
{
	begin(CHANGE_IMAGE, true);
	abandon_change(&sv);
	if (!sv.deadline || sv.deadline > clock_ms() + 10000)
		die("it waits for ever");
	abandon_time(&sv);
	if (stopped != 1 || raised != 1)
		die("a job that does not end keeps the disk");
}

int main(void)
{
	test_refused();
	test_forced(CHANGE_IMAGE);
	test_forced(CHANGE_MERGED);
	test_forced(CHANGE_NO_MERGE);
	test_idle();
	test_stuck();
	return 0;
}
