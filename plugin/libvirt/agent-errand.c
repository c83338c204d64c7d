// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Errands: tasks that take long.  A child does each while the agent goes on.
 * A disk has one errand of a kind at a time.  After a failed recovery the
 * agent waits before the next attempt, longer each time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/libvirt/agent.h"
#include "plugin/libvirt/release.h"
#include "plugin/libvirt/service.h"
#include "plugin/common/log.h"

#define RECOVER_PATIENCE 100000 /* ms; its own is 90 s */
#define LOCK_PATIENCE	 90000	/* ms */
#define STOP_PATIENCE	 30000	/* ms */
#define GRACE		 2000	/* ms */
#define FIRST_DELAY	 5000	/* ms */
#define DELAY_MAX	 300000 /* ms */

static struct errand *find(struct agent *agent, const char *name, bool release)
{
	struct errand *errand;

	for (errand = agent->errands; errand; errand = errand->next)
		if (errand->release == release && !strcmp(errand->name, name))
			return errand;
	errand = calloc(1, sizeof(*errand));
	if (!errand)
		return NULL;
	snprintf(errand->name, sizeof(errand->name), "%s", name);
	errand->agent = agent;
	errand->release = release;
	errand->job.pidfd = -1;
	errand->next = agent->errands;
	agent->errands = errand;
	return errand;
}

static void forget(struct errand *errand)
{
	struct errand **at = &errand->agent->errands;

	while (*at != errand)
		at = &(*at)->next;
	*at = errand->next;
	free(errand);
}

static void put_off(struct errand *errand)
{
	uint64_t delay = FIRST_DELAY;
	unsigned int i;

	for (i = 0; i < errand->failures && delay < DELAY_MAX; i++)
		delay *= 2;
	errand->failures++;
	errand->due = clock_ms() + (delay < DELAY_MAX ? delay : DELAY_MAX);
}

static void tell_released(const struct errand *errand, int status,
			  const char *text)
{
	struct disk disk;

	if (status)
		log_line(LOG_ERR,
			 "disk %s: cannot be removed: %s; the end of the "
			 "domain is the next opportunity",
			 errand->name, text);
	else if (!disk_of_name(errand->name, &disk))
		log_line(LOG_INFO, "disk %s: stays, it is not the domain's",
			 errand->name);
	else
		log_line(LOG_NOTICE, "disk %s: removed", errand->name);
}

static void tell_recovered(struct errand *errand, int status, const char *text)
{
	if (status)
		log_line(LOG_ERR,
			 "disk %s: cannot be recovered: %s; tries again later",
			 errand->name, text);
	else
		log_line(LOG_NOTICE, "disk %s: recovered", errand->name);
}

static void on_end(int handle, int fd, int events, void *opaque)
{
	char text[JOB_TEXT_MAX] = "";
	struct errand *errand = opaque;
	int status;

	(void)fd;
	(void)events;
	virEventRemoveHandle(handle);
	status = job_finish(&errand->job, text);
	errand->job.pidfd = -1;
	if (!*text)
		strcpy(text, "the child that was to do so died");
	if (errand->release)
		tell_released(errand, status, text);
	else
		tell_recovered(errand, status, text);
	if (status && !errand->release)
		put_off(errand);
	else
		forget(errand);
}

static void start(struct errand *errand, job_fn *work, const void *argument)
{
	int ret = job_start(&errand->job, work, argument, true);

	if (!ret) {
		errand->handle = virEventAddHandle(errand->job.pidfd,
						   VIR_EVENT_HANDLE_READABLE,
						   on_end, errand, NULL);
		if (errand->handle >= 0)
			return;
		process_kill(errand->job.pidfd);
		job_finish(&errand->job, (char[JOB_TEXT_MAX]){ "" });
		errand->job.pidfd = -1;
		ret = -ENOMEM;
	}
	log_line(LOG_ERR, "disk %s: cannot start a child: %s", errand->name,
		 strerror(-ret));
	put_off(errand);
}

static int recover(const void *argument, char *text)
{
	char why[DOMAIN_REASON_MAX] = "";
	int ret = service_revive(argument, RECOVER_PATIENCE, why);

	snprintf(text, JOB_TEXT_MAX, "%s", why);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The service manager that started the disk's supervisor may be about to
   replace it. */
static void give_grace(struct errand *errand, const struct process *supervisor)
{
	if (errand->orphaned_by.pid == supervisor->pid &&
	    errand->orphaned_by.start == supervisor->start)
		return;
	errand->orphaned_by = *supervisor;
	errand->failures = 0;
	errand->due = clock_ms() + GRACE;
}

void errand_recover(struct agent *agent, const struct disk *disk)
{
	struct errand *errand = find(agent, disk->name, false);

	if (!errand || errand->job.pidfd >= 0)
		return;
	give_grace(errand, &disk->supervisor);
	if (clock_ms() < errand->due)
		return;
	log_line(LOG_WARNING,
		 "disk %s: has no supervisor any more; recovers it",
		 errand->name);
	start(errand, recover, disk);
}

struct release {
	const char *uuid;
	const char *name;
};

static int release(const void *argument, char *text)
{
	const struct release *what = argument;
	char why[DOMAIN_REASON_MAX] = "";
	int ret = release_disk(what->uuid, what->name, LOCK_PATIENCE,
			       STOP_PATIENCE, why);

	snprintf(text, JOB_TEXT_MAX, "%s", why);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

void errand_release(struct agent *agent, const char *uuid, const char *name)
{
	const struct release what = { .uuid = uuid, .name = name };
	struct errand *errand = find(agent, name, true);

	if (errand && errand->job.pidfd < 0)
		start(errand, release, &what);
}

void errand_end_all(struct agent *agent)
{
	while (agent->errands) {
		if (agent->errands->job.pidfd >= 0)
			process_kill(agent->errands->job.pidfd);
		forget(agent->errands);
	}
}
