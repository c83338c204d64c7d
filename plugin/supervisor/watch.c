// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The supervisor's senses: descriptors in, events out.
 *
 * One thing at a time: of all descriptors that have something to say the
 * first in the list is heard, then all are asked again.  So no handler has to
 * reckon with a descriptor that an earlier one closed.  The channel comes
 * before the server's end, because a failing server first says why.
 *
 * One caller at a time too.  Commands on one disk exclude each other, so a
 * second caller means that the first one's command is dead.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/supervisor/watch.h"

#define OVERDUE 1000 /* ms */

int watch_open(struct supervisor *sv)
{
	sigset_t mask;

	sv->server = -1;
	sv->channel = -1;
	sv->listener = -1;
	sv->newcomer = -1;
	sv->job.pidfd = -1;
	sv->leave.job.pidfd = -1;
	hooks_init(&sv->hooks);

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	sv->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return sv->signals < 0 ? -errno : 0;
}

static void close_any(int fd)
{
	if (fd >= 0)
		close(fd);
}

void watch_close(struct supervisor *sv)
{
	close_any(sv->server);
	close_any(sv->channel);
	close_any(sv->listener);
	close_any(sv->newcomer);
	close_any(sv->signals);
}

/* A wish that has not been begun ends with its caller. */
static void drop_caller(struct supervisor *sv)
{
	if (sv->caller >= 0)
		close(sv->caller);
	sv->caller = -1;
	sv->renew_later = false;
}

/* An event has a priority of its own. */
static void tell(enum disk_event event, const struct outcome *outcome)
{
	if (event != DISK_EVENT_NONE)
		log_event(event, "%s", outcome->text);
	else
		log_line(outcome->failed ? LOG_ERR : LOG_INFO, "%s",
			 outcome->text);
}

/* The disk may have met something else than the caller's wish. */
static void fit_to_wish(const struct supervisor *sv, enum disk_event event,
			struct outcome *outcome)
{
	/* Another one's change has failed, and the disk is live. */
	if (sv->wish == APPEAL_RECOVER && sv->phase == PHASE_LIVE)
		outcome->failed = false;
	/* The server died meanwhile. */
	if (sv->renew_later && event != DISK_EVENT_REMOVED)
		outcome->failed = outcome->later = true;
	if (sv->wish == APPEAL_CHANGE && event == DISK_EVENT_REMOVED)
		outcome->failed = true;
}

static void __attribute__((format(printf, 4, 0)))
settle(struct supervisor *sv, enum disk_event event, bool failed,
       const char *format, va_list args)
{
	struct outcome outcome = {
		.failed = failed,
		.cause = sv->cause,
		.stays = sv->phase != PHASE_ADDING && !sv->ended,
		.id = sv->disk.id,
	};

	vsnprintf(outcome.text, sizeof(outcome.text), format, args);
	/* The log hears nothing of a disk that was never usable: the command
	   that waits hears the reason.  In the foreground, stderr takes the
	   place of that command. */
	if (!failed || sv->phase != PHASE_ADDING || sv->caller < 0)
		tell(event, &outcome);
	fit_to_wish(sv, event, &outcome);
	if (sv->caller >= 0)
		rpc_answer(sv->caller, &outcome);
	drop_caller(sv);
}

void watch_put_off(struct supervisor *sv, const char *state)
{
	struct outcome outcome = {
		.failed = true,
		.stays = true,
		.later = true,
		.id = sv->disk.id,
	};

	snprintf(outcome.text, sizeof(outcome.text),
		 "is %s just now; try again later", state);
	if (sv->caller >= 0)
		rpc_answer(sv->caller, &outcome);
	drop_caller(sv);
}

void watch_settle(struct supervisor *sv, bool failed, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	settle(sv, DISK_EVENT_NONE, failed, format, args);
	va_end(args);
}

void watch_settle_event(struct supervisor *sv, enum disk_event event,
			const char *format, ...)
{
	va_list args;

	va_start(args, format);
	settle(sv, event, disk_event_priority(event) <= LOG_ERR, format, args);
	va_end(args);
}

static void hear_end(struct supervisor *sv)
{
	supervisor_handle(sv, EVENT_DIED);
}

static void hear_job(struct supervisor *sv)
{
	supervisor_handle(sv, EVENT_JOB);
}

static void renew_now(struct supervisor *sv)
{
	if (!sv->renew_later)
		return;
	sv->renew_later = false;
	supervisor_handle(sv, EVENT_RENEW);
}

static void hear_look(struct supervisor *sv)
{
	leave_looked(sv);
	renew_now(sv);
}

static void hear_hooks(struct supervisor *sv)
{
	merged_hooks_ended(sv, hooks_finished(&sv->hooks, &sv->disk));
	renew_now(sv);
}

/* A command has found no way to speak to us: somebody removed the socket. */
static void renew_socket(struct supervisor *sv)
{
	int listener;
	int ret = rpc_listen(sv->disk.id, &listener);

	if (ret) {
		log_line(LOG_ERR, "cannot make its socket anew: %s",
			 strerror(-ret));
		return;
	}
	close_any(sv->listener);
	sv->listener = listener;
	log_line(LOG_NOTICE, "has made its socket in " STATE_DIR " anew");
}

static void hear_signal(struct supervisor *sv)
{
	struct signalfd_siginfo info;

	if (read(sv->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP) {
		renew_socket(sv);
		return;
	}
	log_line(LOG_NOTICE, "got the signal to end (%s)",
		 strsignal(info.ssi_signo));
	leave_begin(sv);
}

static void hear_new_caller(struct supervisor *sv)
{
	int caller;

	if (rpc_accept(sv->listener, &caller))
		return;
	close_any(sv->newcomer);
	sv->newcomer = caller;
}

/* It has nothing more to say, so it has left. */
static void hear_caller(struct supervisor *sv)
{
	drop_caller(sv);
	supervisor_handle(sv, EVENT_CALLER_LEFT);
}

/* Only now is it the caller: an outcome that comes before its appeal is the
   answer to another one's. */
static void hear_newcomer(struct supervisor *sv)
{
	static const enum event events[] = {
		[APPEAL_RECOVER] = EVENT_RECOVER,
		[APPEAL_STOP] = EVENT_STOP,
		[APPEAL_HAND_OVER] = EVENT_HAND_OVER,
		[APPEAL_RENEW] = EVENT_RENEW,
		[APPEAL_CHANGE] = EVENT_CHANGE,
	};
	struct appeal appeal;
	int ret = rpc_receive(sv->newcomer, &appeal);

	if (ret == -EAGAIN || ret == -EINTR)
		return;
	if (ret == -EPROTO)
		log_line(LOG_WARNING,
			 "a command of another version has called; it was "
			 "refused");
	if (ret) {
		close_any(sv->newcomer);
		sv->newcomer = -1;
		return;
	}
	drop_caller(sv);
	sv->caller = sv->newcomer;
	sv->newcomer = -1;
	sv->wish = appeal.type;
	if (appeal.type == APPEAL_STOP && appeal.force)
		sv->stop_forced = true;
	/* --force is for the next server; a disk in good order has no use for
	   it. */
	if (appeal.type == APPEAL_RECOVER && appeal.force &&
	    (sv->phase == PHASE_FAILED || sv->phase == PHASE_WAITING))
		sv->force_open = true;
	if (appeal.type == APPEAL_RECOVER)
		leave_cancel(sv);
	if (sv->ended)
		return;
	sv->asked = appeal.change;
	supervisor_handle(sv, events[appeal.type]);
}

/* 0: never. */
static uint64_t earlier(uint64_t one, uint64_t other)
{
	if (!one || !other)
		return one + other;
	return one < other ? one : other;
}

static uint64_t next_time(const struct supervisor *sv)
{
	return earlier(earlier(sv->deadline, sv->leave.next),
		       sv->watchdog.next);
}

static int time_left(uint64_t when)
{
	uint64_t now = clock_ms();

	if (!when)
		return -1;
	return when > now ? when - now : 0;
}

static void hear_time(struct supervisor *sv)
{
	if (!time_left(sv->deadline)) {
		sv->deadline = 0;
		supervisor_handle(sv, EVENT_TIMER);
	}
	if (!time_left(sv->leave.next))
		leave_look(sv);
	if (!time_left(sv->watchdog.next))
		watchdog_look(sv);
}

/* Descriptors come before the clock: a server may have served in time, and we
   were late.  But one that never falls silent must not stop the clock; a caller
   that cannot be accepted, for want of memory, stays there.  So the clock's
   turn comes after a round that it was late in. */
static bool is_turn_of_clock(struct supervisor *sv)
{
	const uint64_t when = next_time(sv);
	const bool late = when && clock_ms() >= when + OVERDUE;
	const bool turn = late && sv->clock_late;

	sv->clock_late = late && !turn;
	return turn;
}

/* A negative descriptor is one that poll() leaves out. */
static void watch_once(struct supervisor *sv)
{
	const struct {
		int fd;
		void (*hear)(struct supervisor *sv);
	} sources[] = {
		{ sv->channel, hear_server },
		{ sv->server, hear_end },
		{ sv->job.pidfd, hear_job },
		{ sv->signals, hear_signal },
		{ sv->caller, hear_caller },
		{ sv->newcomer, hear_newcomer },
		{ sv->listener, hear_new_caller },
		{ sv->hooks.job.pidfd, hear_hooks },
		{ sv->leave.job.pidfd, hear_look },
	};
	struct pollfd fds[sizeof(sources) / sizeof(sources[0])];
	const size_t nr = sizeof(fds) / sizeof(fds[0]);
	size_t i;
	int ready;

	for (i = 0; i < nr; i++)
		fds[i] = (struct pollfd){ .fd = sources[i].fd,
					  .events = POLLIN };
	ready = poll(fds, nr, time_left(next_time(sv)));
	if (!ready || is_turn_of_clock(sv)) {
		hear_time(sv);
		return;
	}
	for (i = 0; ready > 0 && i < nr; i++) {
		if (fds[i].revents) {
			sources[i].hear(sv);
			return;
		}
	}
}

void watch(struct supervisor *sv)
{
	while (!sv->ended)
		watch_once(sv);
}
