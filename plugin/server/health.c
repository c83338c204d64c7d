// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The storage's health: counters, and a watch over them.
 *
 * The I/O threads note successes and count failures, and wake the main thread
 * at a failure by an eventfd, which never waits.  The main thread sleeps as
 * long as all is well; in trouble it looks at the counters every second.  It
 * tells of trouble at once, of its extent once in INTERVAL, and of its end when
 * QUIET has passed without a failure and something went well meanwhile: a
 * write, or after I/O errors anything.  A paused guest, which asks for nothing,
 * proves nothing.
 *
 * Writes that need no new space succeed on a full file system, too.  As long
 * as others fail beside them there is no quiet.
 *
 * Of two troubles the worse one is told, until both are over.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "plugin/common/channel.h"
#include "plugin/common/process.h"
#include "plugin/server/health.h"

#define LOOK	 1000  /* ms; between two looks in trouble */
#define QUIET	 10000 /* ms */
#define INTERVAL 60000 /* ms; between two messages about one trouble */

int health_create(struct health *health)
{
	memset(health, 0, sizeof(*health));
	health->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return health->fd < 0 ? -errno : 0;
}

void health_destroy(struct health *health)
{
	close(health->fd);
}

/* Mostly it is set already, and then no thread writes to a line that all read.
 */
static void set(atomic_bool *flag)
{
	if (!atomic_load_explicit(flag, memory_order_relaxed))
		atomic_store(flag, true);
}

/* A full counter of an eventfd is a wake-up that nobody has taken yet. */
static void wake(const struct health *health)
{
	static const uint64_t one = 1;

	if (write(health->fd, &one, sizeof(one)) < 0)
		return;
}

void health_note(struct health *health, bool writes, int result)
{
	enum host_trouble trouble = trouble_of(result);

	if (trouble == HOST_WELL) {
		if (!result)
			set(writes ? &health->writes : &health->reads);
		return;
	}
	atomic_store_explicit(&health->errors[trouble], result,
			      memory_order_relaxed);
	atomic_store(&health->reads, false);
	atomic_store(&health->writes, false);
	atomic_fetch_add(&health->failures[trouble], 1);
	wake(health);
}

void health_end(struct health *health)
{
	atomic_store(&health->ended, true);
	wake(health);
}

/* ---- the main thread ---- */

/* The troubles that the watch has seen and told. */
struct watch {
	struct health *health;
	int channel;
	enum host_trouble trouble; /* that the supervisor knows of */
	uint64_t seen[NR_HOST_TROUBLES];
	uint64_t untold;      /* failures since the last message */
	uint64_t told_at;     /* ms; when that was */
	uint64_t quiet_since; /* ms; the last look that found a failure */
};

static void tell(struct watch *watch, const char *text)
{
	struct server_message message = {
		.type = SERVER_TROUBLE,
		.trouble = watch->trouble,
		.failures = watch->untold,
	};

	snprintf(message.text, sizeof(message.text), "%s", text);
	channel_send(watch->channel, &message);
	watch->untold = 0;
	watch->told_at = clock_ms();
}

/* Has anything gone well that can tell?  A read needs no room. */
static bool went_well(const struct watch *watch)
{
	return atomic_load(&watch->health->writes) ||
	       (watch->trouble == HOST_IO_ERROR &&
		atomic_load(&watch->health->reads));
}

static const char *cause(const struct watch *watch)
{
	int error = atomic_load(&watch->health->errors[watch->trouble]);

	return strerror(-error);
}

/* The worst trouble that is new since the last look. */
static enum host_trouble look(struct watch *watch)
{
	enum host_trouble worst = HOST_WELL;
	unsigned int i;

	for (i = HOST_WELL + 1; i < NR_HOST_TROUBLES; i++) {
		uint64_t now = atomic_load(&watch->health->failures[i]);

		if (now == watch->seen[i])
			continue;
		watch->untold += now - watch->seen[i];
		watch->seen[i] = now;
		worst = i;
	}
	return worst;
}

static void fail(struct watch *watch, enum host_trouble trouble, uint64_t now)
{
	bool worse = trouble > watch->trouble;

	if (worse)
		watch->trouble = trouble;
	watch->quiet_since = now;
	if (worse)
		tell(watch, cause(watch));
}

static bool is_over(const struct watch *watch, uint64_t now)
{
	return watch->trouble && now - watch->quiet_since >= QUIET &&
	       went_well(watch);
}

static void look_once(struct watch *watch)
{
	enum host_trouble trouble = look(watch);
	uint64_t now = clock_ms();

	if (trouble)
		fail(watch, trouble, now);
	if (watch->untold && now - watch->told_at >= INTERVAL)
		tell(watch, cause(watch));
	if (is_over(watch, now)) {
		watch->trouble = HOST_WELL;
		tell(watch, "");
	}
}

/* In trouble a look every second is enough, however many requests fail. */
static void sleep_on(const struct watch *watch)
{
	struct pollfd poller = { .fd = watch->health->fd, .events = POLLIN };
	uint64_t wakeups;

	poll(&poller, 1, watch->trouble ? LOOK : -1);
	if (read(poller.fd, &wakeups, sizeof(wakeups)) < 0)
		return;
	/* The thread that fails requests must not keep this one awake. */
	if (watch->trouble && !atomic_load(&watch->health->ended))
		poll(NULL, 0, LOOK / 10);
}

void health_watch(struct health *health, enum host_trouble known, int channel)
{
	struct watch watch = {
		.health = health,
		.channel = channel,
		.trouble = known,
		.quiet_since = clock_ms(),
		.told_at = clock_ms(),
	};

	while (!atomic_load(&health->ended)) {
		sleep_on(&watch);
		look_once(&watch);
	}
}
