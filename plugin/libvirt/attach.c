// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `attach`: gives a domain one more disk.
 *
 * libvirt has no hook for a disk that is plugged into a running domain, so the
 * command does the work of the hook.  The command has the disk served, and
 * records that the domain owns the disk, so that the disk is removed when the
 * domain ends.  The entry of the disk goes into the <metadata> of the running
 * domain, so that a saved domain can be restored.  If libvirt refuses the
 * disk, the command undoes all of that.
 *
 * With --config the disk gets into the domain's definition, too.  The command
 * works out all changes before it makes the first.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/libvirt/candidate.h"
#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/plug.h"
#include "plugin/libvirt/service.h"
#include "plugin/common/log.h"

#define LOCK_PATIENCE 90000 /* ms */
#define STOP_PATIENCE 10000 /* ms */

/* --- the changes --------------------------------------------------------- */

static int judge(struct plug *plug, const struct candidate *candidate)
{
	struct host host = { 0 };
	int ret;

	if (host_read(plug->connection, &host))
		ret = complain("%s: cannot read the other domains: %s",
			       plug->name, connection_error());
	else
		ret = candidate_is_free(candidate, &host);
	if (!ret)
		ret = candidate_is_fit(candidate);
	if (!ret)
		ret = candidate_name(candidate, &host, plug->disk_name);
	host_free(&host);
	return ret;
}

static int add_disk(struct plug *plug, struct rewrite *rewrite)
{
	const struct candidate *candidate = plug->candidate;
	char why[DOMAIN_REASON_MAX] = "out of memory";
	int ret = rewrite_add(rewrite, candidate->target, candidate->image,
			      candidate->read_only, why);

	if (!ret) {
		strcpy(rewrite->disks[rewrite->nr_disks - 1].name,
		       plug->disk_name);
		ret = rewrite_do(rewrite);
	}
	return ret ? complain("%s: %s", plug->name, why) : 0;
}

static int work_out_definition(struct plug *plug)
{
	struct rewrite rewrite;
	int ret = plug_read(plug, false, REWRITE_FORTH, &rewrite);

	if (!ret)
		ret = add_disk(plug, &rewrite);
	if (!ret) {
		free(plug->definition);
		plug->definition = rewrite_text(&rewrite);
		if (!plug->definition)
			ret = complain("%s: out of memory", plug->name);
	}
	rewrite_free(&rewrite);
	return ret;
}

static int work_out_device(struct plug *plug)
{
	struct rewrite rewrite;
	int ret = plug_read(plug, true, REWRITE_FORTH, &rewrite);

	if (!ret)
		ret = add_disk(plug, &rewrite);
	if (!ret) {
		free(plug->device);
		free(plug->list);
		plug->device = rewrite_disk_text(&rewrite);
		if (rewrite_list_text(&rewrite, &plug->list) || !plug->device)
			ret = complain("%s: out of memory", plug->name);
	}
	rewrite_free(&rewrite);
	return ret;
}

/* --- the domain that runs ------------------------------------------------ */

/* Even if the command is killed, the disk goes with the domain. */
static int begin_record(const struct plug *plug)
{
	struct owner owner;
	int ret;

	owner_begin(&owner, plug->uuid, plug->name, plug->disk_name);
	ret = owner_save(&owner);
	return ret ? complain("%s: cannot note that it owns %s: %s", plug->name,
			      plug->disk_name, strerror(-ret)) :
		     0;
}

static int record(const struct plug *plug)
{
	char why[DOMAIN_REASON_MAX];
	struct owner owner;
	struct disk disk;
	int ret = disk_of_name(plug->disk_name, &disk);

	if (!ret) {
		owner_fill(&owner, plug->uuid, plug->name, &disk);
		owner.owned = true;
		ret = owner_save(&owner);
		if (ret)
			service_stop(&disk, STOP_PATIENCE, why);
	}
	return ret ? complain("%s: cannot note that it owns %s: %s", plug->name,
			      plug->disk_name, strerror(-ret)) :
		     0;
}

static int serve(const struct plug *plug, const struct candidate *candidate)
{
	struct domain_entry entry = {
		.file = (char *)candidate->image,
		.id = -1,
		.options = DISK_OPTIONS_DEFAULT,
	};
	char why[DOMAIN_REASON_MAX];
	struct disk disk;
	int lock, ret;

	entry.options.read_only = candidate->read_only;
	ret = owner_lock(plug->disk_name, LOCK_PATIENCE, &lock);
	if (ret)
		return complain("%s: cannot lock the record of %s: %s",
				plug->name, plug->disk_name, strerror(-ret));
	ret = begin_record(plug);
	if (!ret && service_start(&entry, plug->disk_name, why))
		ret = complain("%s: cannot serve %s: %s", plug->name,
			       candidate->image, why);
	else if (!ret)
		ret = record(plug);
	/* One that could not be removed goes with the domain. */
	if (ret && disk_of_name(plug->disk_name, &disk) == -ENOENT)
		owner_forget(plug->uuid, plug->disk_name);
	close(lock);
	return ret;
}

/* To serve the disk has taken a while. */
static int add_entry(struct plug *plug)
{
	int lock;
	int ret = plug_lock(plug, &lock);

	if (ret)
		return ret;
	ret = work_out_device(plug);
	if (!ret)
		ret = plug_set_list(plug, plug->list);
	close(lock);
	return ret;
}

static int plug_in(struct plug *plug)
{
	if (add_entry(plug))
		return EXIT_FAILURE;
	if (!virDomainAttachDeviceFlags(plug->domain, plug->device,
					VIR_DOMAIN_AFFECT_LIVE))
		return 0;
	complain("%s: libvirt refuses the disk: %s", plug->name,
		 connection_error());
	plug_drop_entry(plug);
	return EXIT_FAILURE;
}

static int attach_live(struct plug *plug, const struct candidate *candidate)
{
	int ret = serve(plug, candidate);

	if (!ret && plug_in(plug)) {
		plug_release(plug);
		ret = EXIT_FAILURE;
	}
	return ret;
}

/* --- the command --------------------------------------------------------- */

static int attach(struct plug *plug, const struct candidate *candidate)
{
	int ret = judge(plug, candidate);

	if (!ret &&
	    asprintf(&plug->source, DOMAIN_LINKS "%s", plug->disk_name) < 0) {
		plug->source = NULL;
		ret = complain("%s: out of memory", plug->name);
	}
	if (!ret && plug->config)
		ret = work_out_definition(plug);
	if (!ret && plug->live)
		ret = work_out_device(plug);
	if (!ret && plug->live)
		ret = attach_live(plug, candidate);
	if (!ret)
		ret = plug_define(plug, work_out_definition);
	if (!ret)
		say("%s: %s is " DOMAIN_LINKS "%s, served from %s", plug->name,
		    candidate->target, plug->disk_name, candidate->image);
	return ret;
}

int command_attach(const struct libvirt_options *options)
{
	char image[PATH_MAX];
	struct candidate candidate = {
		.image = image,
		.target = options->subjects[2],
		.read_only = options->read_only,
	};
	struct plug plug;
	int ret;

	if (!realpath(options->subjects[1], image))
		return complain("%s: %s", options->subjects[1],
				strerror(errno));
	ret = plug_begin(&plug, options);
	candidate.domain = plug.name;
	plug.candidate = &candidate;
	if (!ret)
		ret = attach(&plug, &candidate);
	plug_end(&plug);
	return ret;
}
