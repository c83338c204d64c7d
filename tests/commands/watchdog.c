// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The servers that are replaced though they live: the judgement, case by case;
 * and the sight of processes that are stopped, run in circles, sleep on a lock,
 * wait in the kernel, or are traced.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/common/process.h"
#include "plugin/supervisor/sight.h"
#include "tests/lib/helpers.h"

#define PATIENCE 30000 /* ms */
#define INTERVAL (PATIENCE / 6)

/* ---- the posture ---- */

static const struct {
	const char *name;
	struct evidence evidence;
	enum posture posture;
} postures[] = {
	{ "stopped", { .stopped = true }, POSTURE_STOPPED },
	{ "stopped, with writes under way",
	  { .stopped = true, .transfers = 7, .in_storage = true },
	  POSTURE_STOPPED },
	{ "stopped, and frozen",
	  { .stopped = true, .frozen = true },
	  POSTURE_FROZEN },
	{ "stopped by a debugger",
	  { .stopped = true, .traced = true },
	  POSTURE_TRACED },
	{ "in the storage", { .in_storage = true }, POSTURE_STORAGE },
	{ "in the storage, and busy",
	  { .in_storage = true, .runs = true, .cpu = 5000, .elapsed = 5000 },
	  POSTURE_STORAGE },
	{ "the ring waits for the storage",
	  { .ring_waits = true, .transfers = 1 },
	  POSTURE_STORAGE },
	{ "transfers, but nobody waits for them",
	  { .transfers = 1 },
	  POSTURE_ASLEEP },
	{ "the ring waits for nothing",
	  { .ring_waits = true },
	  POSTURE_ASLEEP },
	{ "in circles",
	  { .runs = true, .cpu = 4900, .elapsed = 5000 },
	  POSTURE_SPINNING },
	{ "in circles, with transfers",
	  { .runs = true, .cpu = 4900, .elapsed = 5000, .transfers = 3 },
	  POSTURE_SPINNING },
	{ "no processor",
	  { .runs = true, .cpu = 100, .elapsed = 5000 },
	  POSTURE_STARVED },
	{ "the first look", { .runs = true }, POSTURE_STARVED },
	{ "nothing to be seen", { .hidden = true }, POSTURE_UNKNOWN },
};

static void test_postures(void)
{
	size_t i;

	for (i = 0; i < sizeof(postures) / sizeof(postures[0]); i++)
		if (suspicion_posture(&postures[i].evidence) !=
		    postures[i].posture)
			die("%s: %s", postures[i].name,
			    suspicion_words(
				    suspicion_posture(&postures[i].evidence)));
}

/* ---- the verdict ---- */

/* A look at each interval.  A letter is a look: . nobody waits, + there is
   progress, T the server is stopped, D it is in the storage; ~ and ^ are the
   same as T and D, but we come late. */
static const struct {
	const char *name;
	const char *looks;
	const char *verdicts; /* - fine, d doubtful, b, G, g goes on */
} cases[] = {
	{ "idle", "....", "----" },
	{ "at work", "++++", "----" },
	{ "idle and stopped, then wanted", "..TTTTTTT", "--ddddddG" },
	{ "stopped", "+TTTTTTT", "-ddddddG" },
	{ "storage", "+DDDDDDDDD.", "-ddddddbddg" },
	{ "storage, then progress", "+DDDDDDD+DDDDDDD+", "-ddddddbgddddddbg" },
	{ "progress in between", "+TTTTT+TTTTTTT", "-ddddd-ddddddG" },
	{ "storage in between", "+TTTDTTTTTTT", "-ddddddddddG" },
	{ "storage, and then stopped", "+DDDDDDDTTTTTTT", "-ddddddbddddddG" },
	{ "we were asleep", "+TTTTT~TTTTTT", "-dddddddddddG" },
	{ "asleep, and the storage", "+DDDDD^DDDDDDD", "-dddddddddddbd" },
	{ "we sleep again and again", "+TT~TT~TT~TT~TT~", "-ddddddddddddddd" },
};

static enum verdict look(struct suspicion *suspicion, char what, uint64_t now,
			 uint64_t *progress)
{
	*progress += what == '+';
	if (suspicion_is_calm(suspicion, what != '.', *progress))
		return suspicion_calm(suspicion, now, *progress, PATIENCE);
	return suspicion_still(suspicion, now,
			       strchr("D^", what) ? POSTURE_STORAGE :
						    POSTURE_STOPPED,
			       PATIENCE);
}

static void test_case(const char *name, const char *looks, const char *verdicts)
{
	static const char letters[] = "-dbGg";
	struct suspicion suspicion = { 0 };
	uint64_t now = 1000, progress = 5;
	size_t i;

	suspicion_calm(&suspicion, now, progress, PATIENCE);
	for (i = 0; looks[i]; i++) {
		char found;

		now += strchr("~^", looks[i]) ? 3600000 : INTERVAL;
		found = letters[look(&suspicion, looks[i], now, &progress)];
		if (found != verdicts[i])
			die("%s: look %zu: %c and not %c", name, i, found,
			    verdicts[i]);
		if (suspicion.next <= now)
			die("%s: no next look", name);
	}
}

static void test_cases(void)
{
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_case(cases[i].name, cases[i].looks, cases[i].verdicts);
}

/* ---- the sight ---- */

static void rest(void)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	pthread_mutex_lock(&lock);
}

static void spin(void)
{
	for (;;)
		__asm__ volatile("");
}

static void *second_thread(void *unused)
{
	(void)unused;
	prctl(PR_SET_NAME, "queue1");
	spin();
	return NULL;
}

static void rest_beside_spin(void)
{
	pthread_t second;

	pthread_create(&second, NULL, second_thread, NULL);
	rest();
}

static void wait_for_pipe(void)
{
	int ends[2];
	char byte;

	if (pipe(ends) || read(ends[0], &byte, 1) < 0)
		_exit(1);
}

static void be_traced(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
}

static pid_t start(void (*act)(void))
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "queue");
		act();
		_exit(0);
	}
	return pid;
}

static enum posture see(pid_t pid, int number)
{
	struct evidence evidence = { 0 };
	uint64_t before, now, begin = clock_ms();

	if (sight_cpu(pid, number, &before))
		die("no processor time: %s", strerror(errno));
	usleep(500000);
	if (sight_cpu(pid, number, &now) ||
	    sight_threads(pid, number, &evidence))
		die("nothing is seen");
	evidence.cpu = now - before;
	evidence.elapsed = clock_ms() - begin;
	return suspicion_posture(&evidence);
}

/* Until it is seen: the child needs a while, perhaps. */
static void expect_of(pid_t pid, int number, enum posture posture)
{
	const uint64_t end = clock_ms() + 60000;
	enum posture found;

	while ((found = see(pid, number)) != posture)
		if (clock_ms() > end)
			die("'%s' and not '%s'", suspicion_words(found),
			    suspicion_words(posture));
}

static void expect(pid_t pid, enum posture posture)
{
	expect_of(pid, SIGHT_ALL, posture);
}

static void finish(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_sight(void)
{
	pid_t pid = start(rest);

	expect(pid, POSTURE_ASLEEP);
	kill(pid, SIGSTOP);
	expect(pid, POSTURE_STOPPED);
	kill(pid, SIGCONT);
	expect(pid, POSTURE_ASLEEP);
	finish(pid);
	pid = start(spin);
	expect(pid, POSTURE_SPINNING);
	finish(pid);
	pid = start(rest_beside_spin);
	expect(pid, POSTURE_SPINNING);
	expect_of(pid, 0, POSTURE_ASLEEP);
	expect_of(pid, 1, POSTURE_SPINNING);
	finish(pid);
	pid = start(wait_for_pipe);
	expect(pid, POSTURE_STORAGE);
	finish(pid);
	pid = start(be_traced);
	expect(pid, POSTURE_TRACED);
	finish(pid);
}

int main(void)
{
	test_postures();
	test_cases();
	test_sight();
	return 0;
}
