// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server that dies of a fault names the request that it was at work for, and
 * dies by the same signal as without that.  A killed server names no request.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "plugin/common/channel.h"
#include "plugin/server/dying.h"
#include "plugin/server/request.h"
#include "tests/lib/helpers.h"

#define SECTOR 4711

static struct requests all;
static struct request request = {
	.all = &all,
	.queue_id = 2,
	.tag = 5,
	.op = UBLK_IO_OP_WRITE,
	.offset = SECTOR * QCOW_SECTOR,
	.length = 8 * QCOW_SECTOR,
};

static void fail_an_assertion(void)
{
	abort();
}

static void write_to_nowhere(void)
{
	char *volatile nowhere = (char *)64;

	*nowhere = 1;
}

static void wait_for_death(void)
{
	for (;;)
		pause();
}

static void *work_for_none(void *fault)
{
	((void (*)(void))fault)();
	return NULL;
}

static void (*of_another_thread)(void);

/* This thread works for the request, and the other one for none. */
static void let_another_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, work_for_none, (void *)of_another_thread);
	wait_for_death();
}

/* The supervisor does not listen. */
static void fill_the_channel(int channel)
{
	struct server_message message = { .type = SERVER_NOTICE };

	while (send(channel, &message, channel_length(&message), MSG_DONTWAIT) >
	       0)
		;
}

static void __attribute__((noreturn))
be_server(int channel, const struct request *of, void (*fault)(void), bool full)
{
	const struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGBUS, SIG_DFL); /* a sanitizer has a handler */
	if (dying_prepare(channel))
		die("no handlers");
	dying_of(of);
	if (full)
		fill_the_channel(channel);
	send(channel, "", 1, MSG_DONTWAIT);
	fault();
	_exit(0);
}

static void is_ready(int channel)
{
	char ready[2];

	if (recv(channel, ready, sizeof(ready), 0) != 1)
		die("the server does not begin");
}

static bool is_named(int channel)
{
	struct server_message message;
	const struct culprit *culprit = &message.culprit;
	ssize_t got = recv(channel, &message, sizeof(message), MSG_DONTWAIT);

	if (got <= 0)
		return false;
	if (!channel_is_whole(&message, got) || message.type != SERVER_DYING)
		die("a message of another kind");
	if (culprit->sector != SECTOR || culprit->sectors != 8 ||
	    culprit->queue_id != 2 || culprit->tag != 5 ||
	    culprit->op != UBLK_IO_OP_WRITE)
		die("another request");
	return true;
}

/* killer: the signal that is sent to it, or 0. */
static void test(const struct request *of, void (*fault)(void), int killer,
		 int signal, bool named)
{
	int ends[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends))
		die("no socket pair");
	pid = fork();
	if (!pid)
		be_server(ends[1], of, fault, false);
	close(ends[1]);
	is_ready(ends[0]);
	if (killer)
		kill(pid, killer);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != signal)
		die("it ends with %#x and not by signal %d", status, signal);
	if (is_named(ends[0]) != named)
		die("signal %d: the request is%s named", signal,
		    named ? " not" : "");
	close(ends[0]);
}

static void test_killers(void)
{
	static const int signals[] = { SIGKILL, SIGSEGV, SIGABRT, SIGILL,
				       SIGFPE,	SIGTRAP, SIGBUS,  SIGTERM };
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		test(&request, wait_for_death, signals[i], signals[i], false);
}

static void test_threads(void)
{
	of_another_thread = write_to_nowhere;
	test(&request, let_another_thread, 0, SIGSEGV, false);
	of_another_thread = fail_an_assertion;
	test(&request, let_another_thread, 0, SIGABRT, false);
}

/* It does not wait, and dies. */
static void test_full_channel(void)
{
	int ends[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends))
		die("no socket pair");
	pid = fork();
	if (!pid)
		be_server(ends[1], &request, fail_an_assertion, true);
	close(ends[1]);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGABRT)
		die("it does not die");
	close(ends[0]);
}

int main(void)
{
	test(&request, fail_an_assertion, 0, SIGABRT, true);
	test(&request, write_to_nowhere, 0, SIGSEGV, true);
	test(NULL, fail_an_assertion, 0, SIGABRT, false);
	test(NULL, write_to_nowhere, 0, SIGSEGV, false);
	test_killers();
	test_threads();
	test_full_channel();
	return 0;
}
