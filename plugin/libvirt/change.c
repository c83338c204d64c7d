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
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/libvirt/change.h"
#include "plugin/libvirt/connection.h"
#include "plugin/libvirt/service.h"

#define ARGUMENTS_MAX 8

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

/* In the domain that runs, or in its definition: where the entry says from, it
   says to. */
static int rename_image(const struct plug *plug, bool live, const char *from,
			const char *to)
{
	struct rewrite rewrite;
	char *list = NULL;
	int ret = plug_read(plug, live, REWRITE_BACK, &rewrite);

	if (!ret && rewrite_image(&rewrite, from, to)) {
		ret = rewrite_list_text(&rewrite, &list) ?
			      complain("%s: out of memory", plug->name) :
			      set_list(plug, list,
				       live ? VIR_DOMAIN_AFFECT_LIVE :
					      VIR_DOMAIN_AFFECT_CONFIG);
	}
	free(list);
	rewrite_free(&rewrite);
	return ret;
}

int change_names(const struct plug *plug, const char *from, const char *to)
{
	int lock;
	int ret = plug_lock(plug, &lock);

	if (ret)
		return ret;
	if (virDomainIsPersistent(plug->domain) == 1)
		ret = rename_image(plug, false, from, to);
	if (!ret)
		ret = rename_image(plug, true, from, to);
	close(lock);
	return ret;
}

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
	if (!strcmp(now.image, from))
		return EXIT_SUCCESS;
	return change_names(plug, from, now.image);
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
