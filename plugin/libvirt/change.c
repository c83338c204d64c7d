// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An admin's command for a domain has the admin's command for a disk run, with
 * the same stdout and stderr: it tells its result itself, or the reason of its
 * failure.  The domain's metadata follow.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/common/overlay.h"
#include "plugin/libvirt/change.h"
#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/host.h"
#include "plugin/libvirt/service.h"

#define ARGUMENTS_MAX 8

struct image_change {
	const struct disk *disk;
	const char *from, *to;
	bool look; /* and change nothing */
};

int change_run(const char *const *arguments)
{
	const char *argv[ARGUMENTS_MAX + 2] = { service_program() };
	int status = -1, ret;
	size_t i;
	pid_t pid;

	for (i = 0; i < ARGUMENTS_MAX && arguments[i]; i++)
		argv[i + 1] = arguments[i];
	ret = posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)argv,
			  environ);
	if (ret)
		return complain("cannot run %s: %s", argv[0], strerror(ret));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int change_find_disk(const struct plug *plug, const char *word,
		     struct disk *disk, char target[32])
{
	char why[DOMAIN_REASON_MAX] = "it is not served just now";
	struct rewrite rewrite;
	int ret = plug_read(plug, true, REWRITE_BACK, &rewrite);
	size_t i;

	if (ret)
		return ret;
	ret = rewrite_choose(&rewrite, word, why);
	for (i = 0; !ret && i < rewrite.nr_disks; i++) {
		if (!rewrite.disks[i].chosen)
			continue;
		snprintf(target, 32, "%s", rewrite.disks[i].target);
		ret = disk_find(rewrite.disks[i].source, disk);
	}
	rewrite_free(&rewrite);
	return ret ? complain("%s: %s: %s", plug->name, word, why) : 0;
}

/* ---- the metadata ---- */

static int set_list(const struct plug *plug, const char *list,
		    unsigned int flags)
{
	if (!virDomainSetMetadata(plug->domain, VIR_DOMAIN_METADATA_ELEMENT,
				  list, DOMAIN_PREFIX, DOMAIN_NAMESPACE, flags))
		return 0;
	return complain("%s: cannot change the metadata: %s", plug->name,
			connection_error());
}

static bool is_of(const struct rewrite_disk *entry, const struct disk *disk)
{
	const char *name = domain_link_name(entry->source);
	long number;

	if (name)
		return !strcmp(name, disk->name);
	return domain_device_number(entry->source, &number) &&
	       number == disk->id;
}

/* A command that died may have left the name of an overlay that was not made
   yet, or was merged.  Nobody can serve either. */
static bool is_left(const char *file)
{
	struct stat st;

	return (lstat(file, &st) && errno == ENOENT) || overlay_is_merged(file);
}

/* Another image than from and to is a mistake that would have an outdated disk
   served at the next start. */
static int rename_entry(const struct plug *plug, struct rewrite_disk *entry,
			const struct image_change *change, bool *renamed)
{
	if (rewrite_names(entry, change->to))
		return 0;
	if (rewrite_names(entry, change->from) ||
	    (is_of(entry, change->disk) && is_left(entry->file))) {
		*renamed = true;
		return rewrite_rename(entry, change->to) ?
			       complain("%s: out of memory", plug->name) :
			       0;
	}
	if (!is_of(entry, change->disk))
		return 0;
	return complain("%s: the metadata name %s for its disk %s, which is "
			"served from %s; mend that first, by 'virsh edit'",
			plug->name, entry->file, entry->target,
			change->disk->image);
}

static int rename_all(const struct plug *plug, struct rewrite *rewrite,
		      const struct image_change *change, bool *renamed)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < rewrite->nr_disks; i++) {
		struct rewrite_disk *entry = &rewrite->disks[i];

		if (entry->entry && entry->file &&
		    rename_entry(plug, entry, change, renamed))
			ret = EXIT_FAILURE;
	}
	return ret;
}

/* In the domain that runs, or in its definition: where the entry says from, it
   says to. */
static int rename_image(const struct plug *plug, bool live,
			const struct image_change *change)
{
	struct rewrite rewrite;
	bool renamed = false;
	char *list = NULL;
	int ret = plug_read(plug, live, REWRITE_BACK, &rewrite);

	if (!ret)
		ret = rename_all(plug, &rewrite, change, &renamed);
	if (renamed && !change->look && rewrite_list_text(&rewrite, &list))
		ret = complain("%s: out of memory", plug->name);
	if (list &&
	    set_list(plug, list,
		     live ? VIR_DOMAIN_AFFECT_LIVE : VIR_DOMAIN_AFFECT_CONFIG))
		ret = EXIT_FAILURE;
	free(list);
	rewrite_free(&rewrite);
	return ret;
}

/* A mistake in one of the two keeps the other one from no change. */
static int rename_both(const struct plug *plug,
		       const struct image_change *change)
{
	int lock, live;
	int ret = plug_lock(plug, &lock);

	if (ret)
		return ret;
	if (virDomainIsPersistent(plug->domain) == 1)
		ret = rename_image(plug, false, change);
	live = rename_image(plug, true, change);
	close(lock);
	return ret ? ret : live;
}

int change_names(const struct plug *plug, const struct disk *disk,
		 const char *from, const char *to)
{
	const struct image_change change = { disk, from, to, false };

	return rename_both(plug, &change);
}

/* ---- before that ---- */

static int check_others(const struct plug *plug, const struct disk *disk)
{
	struct host host;
	const char *other;
	int ret = host_read(plug->connection, &host);

	if (ret)
		return complain(
			"%s: cannot read the other domains: %s", plug->name,
			ret == -EIO ? connection_error() : strerror(-ret));
	other = host_user(&host, disk->image, plug->name);
	if (other)
		ret = complain("%s: domain %s names %s, too, and would be "
			       "served an outdated disk; remove it from that "
			       "domain first",
			       plug->name, other, disk->image);
	host_free(&host);
	return ret;
}

int change_check(const struct plug *plug, const struct disk *disk,
		 const char *to)
{
	const struct image_change look = { disk, disk->image, to, true };

	return check_others(plug, disk) || rename_both(plug, &look) ?
		       EXIT_FAILURE :
		       EXIT_SUCCESS;
}

/* ---- after that ---- */

/* A program that was killed may have asked the supervisor for a change, which
   goes on.  The supervisor answers the next program after that. */
static bool has_settled(const struct disk *disk, struct disk *now)
{
	char id[16];
	const char *const arguments[] = { "recover", id, NULL };
	int ret;

	snprintf(id, sizeof(id), "%d", disk->id);
	ret = change_run(arguments);
	if (disk_load(disk->id, now) || now->state == DISK_FAILED)
		return true;
	return !process_alive(&now->supervisor) ||
	       (!ret && now->state == DISK_LIVE);
}

/* As long as it is not known which image the disk has, an overlay is the right
   one to name: if it is not served yet it shows the image below. */
int change_follow(const struct plug *plug, const struct disk *disk,
		  const char *from, bool failed)
{
	struct disk now;

	if (failed && !has_settled(disk, &now))
		return complain("%s: the disk %s still changes; the metadata "
				"name %s, which may be wrong",
				plug->name, disk->name, from);
	if (disk_load(disk->id, &now) || now.nonce != disk->nonce)
		return complain("%s: the disk %s has just been removed",
				plug->name, disk->name);
	return change_names(plug, &now, from, now.image);
}

/* ---- signals ---- */

void change_hold_signals(sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	/* Nobody may read our messages any more. */
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, old);
}

void change_release_signals(const sigset_t *old)
{
	sigprocmask(SIG_SETMASK, old, NULL);
}
