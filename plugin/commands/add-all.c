// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `add --all`: serves the images that the administrator has configured.
 *
 * A disk that is there is passed over, so the command may be repeated.  Each
 * image is added by a process of its own, so one whose storage hangs keeps no
 * other from being served.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/commands/add.h"
#include "plugin/common/conf.h"
#include "plugin/common/log.h"
#include "plugin/common/process.h"

#define ALL_PATIENCE 10000 /* ms; for each of all images */

static bool is_there(const struct conf *conf)
{
	struct qcow_identity identity;
	struct disk named;

	if (disk_of_name(conf->name, &named))
		return false;
	return !strcmp(conf->image, named.image) ||
	       (!qcow_identify_path(conf->image, &identity) &&
		disk_is_file(&named, &identity));
}

struct addition {
	struct job job;
	struct addition *next;
};

struct additions {
	struct addition *slow; /* still at work */
	int status;
};

static int add_configured(const void *argument, char *message)
{
	const char *name = argument;
	char text[CONF_TEXT_MAX];
	struct conf conf;
	int status;

	(void)message;
	if (conf_find(name, &conf, text))
		return complain("%s", text);
	status = is_there(&conf) ? EXIT_SUCCESS :
				   add_image(&conf.request, false, false);
	fflush(stdout);
	return status;
}

static void conclude(struct additions *all, struct addition *addition)
{
	char text[JOB_TEXT_MAX];

	if (job_finish(&addition->job, text))
		all->status = EXIT_FAILURE;
	free(addition);
}

/* Images are added one after the other.  The next one does not wait for one
   that takes long: the storage of that one may hang. */
static void add_next(const char *name, void *opaque)
{
	struct addition *addition = calloc(1, sizeof(*addition));
	struct additions *all = opaque;

	if (!addition ||
	    job_start(&addition->job, add_configured, name, true)) {
		all->status = complain_about(
			name, "cannot start a process for it: %s",
			strerror(errno));
		free(addition);
		return;
	}
	if (process_wait(addition->job.pidfd, ALL_PATIENCE)) {
		conclude(all, addition);
		return;
	}
	log_line(LOG_WARNING, "%s takes long; going on with the others", name);
	addition->next = all->slow;
	all->slow = addition;
}

/* A failure does not keep the other disks from being added. */
int add_all(void)
{
	struct additions all = { .status = EXIT_SUCCESS };
	struct addition *addition;
	char text[CONF_TEXT_MAX];
	int ret = conf_each(add_next, &all, text);

	if (ret)
		all.status = complain("%s", text);
	while ((addition = all.slow)) {
		all.slow = addition->next;
		process_wait(addition->job.pidfd, -1);
		conclude(&all, addition);
	}
	return all.status;
}
