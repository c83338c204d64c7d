// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Judging an image before a domain gets it as a disk.
 *
 * A reader opens the image as a server would, so a refusal is the one that
 * `add` would give at the domain's next start.  The image is input (P6): the
 * reader is a child in a jail.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/common/jail.h"
#include "plugin/common/process.h"
#include "plugin/common/references.h"
#include "plugin/libvirt/candidate.h"
#include "plugin/libvirt/domain.h"
#include "plugin/libvirt/unit.h"
#include "plugin/common/log.h"
#include "plugin/common/name.h"

#define INCOMPATIBLE_CORRUPT 2

int candidate_is_free(const struct candidate *candidate,
		      const struct host *host)
{
	const char *user = host_user(host, candidate->image, candidate->domain);
	struct qcow_identity identity;
	struct disk served;
	bool known;

	if (user)
		return complain("%s: disk %s: domain %s uses %s, too; an image "
				"has one disk only",
				candidate->domain, candidate->target, user,
				candidate->image);
	known = !qcow_identify_path(candidate->image, &identity);
	if (!disk_of_image(candidate->image, known ? &identity : NULL, &served))
		return complain("%s: disk %s: %s is served as /dev/ublkb%d at "
				"the moment; remove that first (ublk-qcow2 del "
				"%d)",
				candidate->domain, candidate->target,
				candidate->image, served.id, served.id);
	return 0;
}

static void ignore_notice(void *opaque, const char *line)
{
	(void)opaque;
	(void)line;
}

/* A reader may open an image that is marked as corrupt. */
static int judge_mark(const char *path, struct qcow_error *error)
{
	struct qcow_info info;
	int ret = qcow_read_info(path, &info, error);

	if (ret || !(info.incompatible & INCOMPATIBLE_CORRUPT))
		return ret;
	snprintf(error->text, sizeof(error->text),
		 "marked as corrupt; repair it with 'ublk-qcow2 check -r all'");
	return -EUCLEAN;
}

static int confine(const struct jail *jail, struct qcow_error *error)
{
	int ret = jail_enter_for(jail);

	if (ret)
		snprintf(error->text, sizeof(error->text),
			 "the process that looks at it cannot confine itself: "
			 "%s",
			 strerror(-ret));
	return ret;
}

static int try_image(const struct candidate *candidate,
		     struct qcow_error *error)
{
	static const struct disk_options none;
	struct qcow_references references;
	const struct qcow_options options = {
		.read_only = true,
		.cache = QCOW_CACHE_WRITEBACK,
		.inline_checkpoint = true,
		.references = &references,
		.notice = ignore_notice,
	};
	const struct jail jail = {
		.image = candidate->image,
		.references = &references,
	};
	struct qcow_image *image;
	int ret = references_read(&none, &references, error);

	if (!ret)
		ret = confine(&jail, error);
	if (!ret && !candidate->read_only)
		ret = judge_mark(candidate->image, error);
	if (!ret)
		ret = qcow_open(candidate->image, &options, &image, error);
	references_free(&references);
	return ret ? ret : qcow_close(image);
}

static int try_job(const void *argument, char *text)
{
	struct qcow_error error = { "" };
	int ret = try_image(argument, &error);

	snprintf(text, JOB_TEXT_MAX, "%.500s", error.text);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

int candidate_is_fit(const struct candidate *candidate)
{
	char text[JOB_TEXT_MAX] = "";

	if (job_run(try_job, candidate, text))
		return complain("%s: disk %s: %s: %s", candidate->domain,
				candidate->target, candidate->image,
				*text ? text :
					"the process that looked at it has "
					"died");
	return 0;
}

/* A file in disks.d would be served under its name, and not as the domain
   wants. */
static bool is_taken(const struct host *host, const char *name)
{
	char link[sizeof(DOMAIN_LINKS) + DISK_NAME_MAX];
	struct disk disk;

	snprintf(link, sizeof(link), DOMAIN_LINKS "%s", name);
	return host_has(host, link) || !disk_of_name(name, &disk) ||
	       unit_is_configured(name);
}

/* DOMAIN-TARGET, with a number behind it if that is taken. */
int candidate_name(const struct candidate *candidate, struct host *host,
		   char name[DISK_NAME_MAX + 1])
{
	char text[2 * DISK_NAME_MAX];
	unsigned int number;
	int length;

	length = snprintf(text, sizeof(text), "%.40s-%.16s", candidate->domain,
			  candidate->target);
	name_make(text, length, name);
	for (number = 2; is_taken(host, name); number++) {
		length = snprintf(text, sizeof(text), "%.36s-%.12s-%u",
				  candidate->domain, candidate->target, number);
		name_make(text, length, name);
	}
	snprintf(text, sizeof(text), DOMAIN_LINKS "%s", name);
	if (host_add(host, candidate->domain, text))
		return complain("%s: out of memory", candidate->domain);
	return 0;
}
