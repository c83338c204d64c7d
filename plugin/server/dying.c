// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The last message of a server that a fault ends.
 *
 * The thread at fault knows the request that it is at work for.  So there is no
 * guess among the requests under way.  A thread that works for none, as that of
 * the checkpoint, accuses none.
 *
 * A fault is a signal that the kernel raises for an action of the thread, or
 * that the thread sends to its own process, by abort().  A signal from another
 * process is no fault, and SIGKILL is never seen here: so no admin, and no want
 * of memory, makes a request suspicious.  SIGBUS and SIGTRAP are left out: the
 * one tells of memory that the host cannot read any more, the other of a
 * debugger.
 *
 * The handler allocates nothing, and uses only things that were prepared.  The
 * signal's default is in force again by then, so the process ends by the same
 * signal as without the handler.  Where the handler cannot run, for want of a
 * stack, nobody is accused.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>
#include "plugin/common/channel.h"
#include "plugin/server/dying.h"
#include "plugin/server/quarantine.h"

_Thread_local const struct request *dying_request;

static struct server_message message;
static int supervisor;
static pid_t self;

static bool is_own(const siginfo_t *info)
{
	return info->si_code > 0 ||
	       (info->si_code == SI_TKILL && info->si_pid == self);
}

static void handle(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (dying_request && is_own(info)) {
		message.culprit = quarantine_name(dying_request);
		channel_send(supervisor, &message);
	}
	/* abort() would ask for a system call that the filter refuses. */
	raise(signal);
}

int dying_prepare(int channel)
{
	static const int signals[] = { SIGABRT, SIGFPE, SIGILL, SIGSEGV };
	const struct sigaction action = {
		.sa_sigaction = handle,
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESETHAND,
	};
	size_t i;

	supervisor = channel;
	self = getpid();
	message.type = SERVER_DYING;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], &action, NULL) < 0)
			return -errno;
	return 0;
}
