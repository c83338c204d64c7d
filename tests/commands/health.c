// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The watch over requests that fail tells the supervisor of trouble at once,
 * of worse trouble, and of its end, which needs a success and some quiet.  The
 * driver is told of a lack of room, whatever its name, by the one that it
 * knows.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugin/common/channel.h"
#include "plugin/common/process.h"
#include "plugin/server/health.h"
#include "tests/lib/helpers.h"

#define QUIET 10000 /* ms; the watch's own */

static struct health health;
static int ends[2];

static void *watch(void *opaque)
{
	health_watch(&health, *(const enum host_trouble *)opaque, ends[1]);
	return NULL;
}

static pthread_t begin(const enum host_trouble *known)
{
	pthread_t thread;

	if (health_create(&health) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) ||
	    pthread_create(&thread, NULL, watch, (void *)known))
		die("cannot begin");
	return thread;
}

static void end(pthread_t thread)
{
	health_end(&health);
	pthread_join(thread, NULL);
	health_destroy(&health);
	close(ends[0]);
	close(ends[1]);
}

static void expect(enum host_trouble trouble, uint64_t failures)
{
	struct server_message message;

	if (channel_receive(ends[0], &message) ||
	    message.type != SERVER_TROUBLE)
		die("no message of trouble");
	if (message.trouble != trouble || message.failures != failures)
		die("tells of %d, %d times, and not of %d", message.trouble,
		    (int)message.failures, trouble);
}

static void expect_silence(int milliseconds)
{
	struct server_message message;

	usleep(milliseconds * 1000);
	if (recv(ends[0], &message, sizeof(message), MSG_DONTWAIT) >= 0)
		die("tells something unasked");
}

static void test_course(void)
{
	const enum host_trouble known = HOST_WELL;
	pthread_t thread = begin(&known);
	uint64_t failed;

	health_note(&health, true, 0);
	health_note(&health, true, -EOPNOTSUPP);
	expect_silence(100);
	health_note(&health, true, -ENOSPC);
	expect(HOST_NO_SPACE, 1);
	health_note(&health, false, -EIO);
	expect(HOST_IO_ERROR, 1);
	failed = clock_ms();
	health_note(&health, true, -ENOSPC);
	health_note(&health, true, 0);
	expect(HOST_WELL, 1);
	if (clock_ms() - failed < QUIET / 2)
		die("well after %d ms", (int)(clock_ms() - failed));
	/* The host's file system has become read-only. */
	health_note(&health, true, -EROFS);
	expect(HOST_IO_ERROR, 1);
	end(thread);
}

/* This one's first success ends the trouble that an earlier server told of. */
static void test_known(void)
{
	const enum host_trouble known = HOST_NO_SPACE;
	pthread_t thread = begin(&known);

	health_note(&health, false, 0);
	expect_silence(QUIET + 2000);
	health_note(&health, true, 0);
	expect(HOST_WELL, 0);
	end(thread);
}

static void test_answers(void)
{
	static const struct {
		int error;
		int answer;
	} cases[] = {
		{ 0, 0 },
		{ -ENOSPC, -ENOSPC },
		{ -EDQUOT, -ENOSPC },
		{ -EFBIG, -ENOSPC },
		{ -EIO, -EIO },
		{ -EOPNOTSUPP, -EOPNOTSUPP },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (trouble_answer(cases[i].error) != cases[i].answer)
			die("%d is answered by %d", cases[i].error,
			    trouble_answer(cases[i].error));
}

int main(void)
{
	alarm(60); /* a message that does not come */
	test_answers();
	test_course();
	test_known();
	return 0;
}
