// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `migrate`: a running domain is about to come from another host.
 *
 * `prepare` follows at once, and its XML does not say that the domain comes
 * from another host.  So `migrate` leaves a note for `prepare`, a file.  After
 * NOTE_LIFE the note means nothing: that migration never came so far.  The XML
 * does not say either that a domain comes shut off.  The next `prepare` of
 * such a domain is that of its next start; a start that comes too soon is
 * refused once, and the message says so.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugin/libvirt/hook.h"

#define NOTE_LIFE 60 /* seconds */
#define NOTE	  "incoming."
#define NOTE_SIZE (sizeof(NOTE) + OWNER_UUID_SIZE)

static void note_name(const struct call *call, char name[NOTE_SIZE])
{
	snprintf(name, NOTE_SIZE, NOTE "%s", call->uuid);
}

static int is_note(const struct dirent *entry)
{
	return !strncmp(entry->d_name, NOTE, strlen(NOTE));
}

static bool is_fresh(int dir, const char *name)
{
	struct stat st;

	return !fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       time(NULL) - st.st_mtime < NOTE_LIFE;
}

/* Removes the notes of domains that never came. */
static void sweep(int dir)
{
	struct dirent **entries;
	int nr = scandirat(dir, ".", &entries, is_note, NULL);

	if (nr < 0)
		return;
	while (nr--) {
		if (!is_fresh(dir, entries[nr]->d_name))
			unlinkat(dir, entries[nr]->d_name, 0);
		free(entries[nr]);
	}
	free(entries);
}

static int make_note(const struct call *call)
{
	char name[NOTE_SIZE];
	int dir, fd;
	int ret = owner_open(true, &dir);

	if (ret)
		return ret;
	sweep(dir);
	note_name(call, name);
	/* A new file has a new time. */
	unlinkat(dir, name, 0);
	fd = openat(dir, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ret = fd < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	close(dir);
	return ret;
}

int migrate_begin(const struct call *call)
{
	int ret;

	/* `prepare` will tell of wrong entries in the XML. */
	if (!*call->uuid)
		return hook_say(call, "%s", call->why);
	if (!call->wrong && !hook_concerns_us(call))
		return EXIT_SUCCESS;
	ret = make_note(call);
	if (ret)
		return hook_say(call, "cannot note that it is incoming: %s",
				strerror(-ret));
	return 0;
}

bool migrate_take(const struct call *call)
{
	char name[NOTE_SIZE];
	bool fresh;
	int dir;

	if (owner_open(false, &dir))
		return false;
	note_name(call, name);
	fresh = is_fresh(dir, name);
	unlinkat(dir, name, 0);
	close(dir);
	return fresh;
}
