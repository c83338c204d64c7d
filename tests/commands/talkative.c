// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server that says too much is killed.  One that has done its work while its
 * supervisor was stopped does not: its messages have waited in the channel, and
 * come at once.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugin/common/channel.h"
#include "plugin/supervisor/watch.h"
#include "tests/lib/helpers.h"

#define MINUTE 60000 /* ms */

static struct supervisor sv;
static uint64_t now = 1000;
static int ends[2];
static bool killed;

uint64_t __wrap_clock_ms(void);
uint64_t __wrap_clock_ms(void)
{
	return now;
}

void __wrap_spawn_kill(struct supervisor *s);
void __wrap_spawn_kill(struct supervisor *s)
{
	(void)s;
	killed = true;
}

void __wrap_log_line(int priority, const char *format, ...);
void __wrap_log_line(int priority, const char *format, ...)
{
	(void)priority;
	(void)format;
}

static void begin(void)
{
	memset(&sv, 0, sizeof(sv));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		die("no channel");
	sv.phase = PHASE_LIVE;
	sv.channel = ends[0];
	sv.may_say = MESSAGES_MAX;
	sv.heard_since = now;
	killed = false;
}

static void end(void)
{
	close(ends[0]);
	close(ends[1]);
}

/* False: the channel is full. */
static bool say(void)
{
	const struct server_message message = { .type = SERVER_MERGING };

	return send(ends[1], &message, channel_length(&message),
		    MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

/* As many a minute as it may, and one more. */
static void test_too_much(void)
{
	begin();
	for (unsigned int minute = 0; minute < 3; minute++) {
		for (unsigned int i = 0; i < MESSAGES_MAX; i++) {
			if (!say())
				die("the channel is full");
			hear_server(&sv);
		}
		if (killed)
			die("it was killed for what it may say");
		now += MINUTE;
	}
	now--;
	say();
	hear_server(&sv);
	if (!killed)
		die("it says too much, and lives");
	end();
}

/* A server that has kept silence may not say all that it has not. */
static void test_saved(void)
{
	unsigned int said = 0;

	begin();
	now += 1000 * MINUTE;
	while (!killed && said < 10 * MESSAGES_MAX) {
		say();
		hear_server(&sv);
		said++;
	}
	if (!killed)
		die("it may say %u messages at once", said);
	end();
}

/* The supervisor is stopped, by a debugger, say; the server merges. */
static void test_stopped(void)
{
	unsigned int said = 0;

	begin();
	while (say()) {
		said++;
		now += 1000;
	}
	while (said--)
		hear_server(&sv);
	if (killed)
		die("it was killed for its supervisor was stopped");
	end();
}

int main(void)
{
	test_too_much();
	test_saved();
	test_stopped();
	return 0;
}
