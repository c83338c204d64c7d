// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stand-ins for all functions that supervisor.c calls.  They count the calls,
 * and do nothing.
 */
#include <stdio.h>
#include <syslog.h>
#include "plugin/supervisor/notify.h"
#include "plugin/supervisor/watch.h"
#include "tests/commands/recovery.h"
#include "tests/lib/helpers.h"

struct played played;

uint64_t __wrap_clock_ms(void);
uint64_t __wrap_clock_ms(void)
{
	return played.now;
}

int __wrap_disk_save(const struct disk *disk, const struct layers *layers);
int __wrap_disk_save(const struct disk *disk, const struct layers *layers)
{
	(void)layers;
	played.saved = *disk;
	return 0;
}

void __wrap_log_line(int priority, const char *format, ...);
void __wrap_log_line(int priority, const char *format, ...)
{
	(void)priority;
	(void)format;
}

void notify(enum notice notice, const char *format, ...)
{
	(void)notice;
	(void)format;
}

void trouble_notify(const struct disk *disk)
{
	(void)disk;
}

int spawn_server(struct supervisor *s, bool recover)
{
	if (!recover)
		die("a server that does not recover is started");
	if (played.spawn_result)
		return played.spawn_result;
	played.spawned++;
	played.spawned_before_hook = played.hooked < 0;
	s->disk.server.pid = 1000 + played.spawned;
	s->death[0] = '\0';
	s->cause = CAUSE_PASSING;
	return 0;
}

void spawn_reap(struct supervisor *s)
{
	snprintf(s->death, sizeof(s->death), "it died");
	played.dead = s->disk.server.pid;
	s->disk.server.pid = 0;
}

void watch_settle(struct supervisor *s, bool failed, const char *format, ...)
{
	(void)s;
	(void)format;
	played.settled++;
	played.settled_failed = failed;
}

void watch_settle_event(struct supervisor *s, enum disk_event event,
			const char *format, ...)
{
	(void)s;
	(void)format;
	played.settled++;
	played.settled_failed = disk_event_priority(event) <= LOG_ERR;
}

bool hooks_run(struct hooks *hooks, const struct disk *disk,
	       enum disk_event event, pid_t server)
{
	(void)hooks;
	(void)disk;
	if (event == DISK_EVENT_CRASHED && server != played.dead)
		die("the hook hears of the wrong server");
	played.hooked = event;
	return true;
}

int teardown_look(const struct disk *disk, enum device_presence *result)
{
	(void)disk;
	*result = played.presence;
	return 0;
}

void finish_stopped(struct supervisor *s)
{
	(void)s;
	played.finished++;
}

void hold_tell_where(const struct supervisor *s, char *text, size_t size)
{
	(void)s;
	(void)text;
	(void)size;
}

void change_grow_device(struct supervisor *s)
{
	(void)s;
}

void change_await(struct supervisor *s)
{
	watch_settle(s, false, "is live");
}

void merge_drop(struct supervisor *s, const char *why)
{
	if (!*why)
		die("a merge is dropped and nobody is told why");
	played.dropped++;
	s->disk.merging = 0;
	supervisor_recover(s);
}

bool merge_comes_first(struct supervisor *s)
{
	played.switched += s->disk.merged;
	return s->disk.merged;
}

void merged_tell(struct supervisor *s)
{
	(void)s;
}

void watchdog_begin(struct supervisor *s)
{
	(void)s;
}

void watchdog_end(struct supervisor *s)
{
	(void)s;
}

#define PLAYED(name) \
	void name(struct supervisor *s) \
	{ \
		(void)s; \
		die("%s() is called", #name); \
	}

PLAYED(begin_add_device)
PLAYED(begin_publish)
PLAYED(begin_fail)
PLAYED(begin_abandon)
PLAYED(leave_put_off)
PLAYED(leave_hand_over)
PLAYED(adopt_lock)
PLAYED(change_begin)
PLAYED(change_server_ended)
PLAYED(change_end)
PLAYED(abandon_change)
PLAYED(abandon_job_ended)
PLAYED(abandon_time)
PLAYED(change_put_off)
PLAYED(renew)
PLAYED(change_program)
PLAYED(change_resume)
PLAYED(merged_run_hooks)
PLAYED(hold_layers)
PLAYED(finish_start)
PLAYED(finish_recovering)
PLAYED(finish_server_ended)
PLAYED(finish_lose_patience)
PLAYED(finish_refuse_recovery)
PLAYED(finish_hasten)
PLAYED(finish_device_stopped)
PLAYED(finish_image_closed)
