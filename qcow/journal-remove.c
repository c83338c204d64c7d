// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Removes journals, at a clean close and when a disk is given up; and tells of
 * journals that nobody will ever open.
 *
 * The note goes first: it says that there was a journal, and must not outlive
 * it (R13).  A journal whose image was deleted stays until its disk is removed
 * by force; a later file with the same inode has another birth, so that its
 * journal has another name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "qcow/image.h"

void journal_close(struct journal *journal, bool remove)
{
	if (remove && journal->header) {
		journal->names->remove(journal->names->opaque,
				       journal->note_path);
		journal->names->remove(journal->names->opaque, journal->path);
	}
	journal_unmap(journal);
	free(journal->path);
	free(journal->note_path);
	journal->path = journal->note_path = NULL;
}

static int unlink_named(char *path)
{
	int ret = !path				      ? -ENOMEM :
		  unlink(path) < 0 && errno != ENOENT ? -errno :
							0;

	free(path);
	return ret;
}

int qcow_forget_journal(const struct qcow_identity *identity,
			const char *directory)
{
	int ret;

	if (!directory)
		directory = QCOW_JOURNAL_DIR;
	ret = unlink_named(qcow_journal_path(identity, directory, "life"));
	return ret ? ret :
		     unlink_named(
			     qcow_journal_path(identity, directory, "journal"));
}

/* A journal of a file that had the image's inode before. */
static bool is_left(const char *name, const char *own)
{
	const char *ending = strrchr(name, '.');

	return ending && !strcmp(ending, ".journal") && strcmp(name, own);
}

void journal_tell_left(struct qcow_image *image, const char *directory)
{
	const struct qcow_identity *id = &image->file.identity;
	const char *own = strrchr(image->journal.path, '/') + 1;
	const struct qcow_names *names = image->journal.names;
	char prefix[QCOW_JOURNAL_PREFIX], name[NAME_MAX + 1];

	if (!id->birth)
		return;
	qcow_journal_prefix(id, prefix);
	for (unsigned int i = 0;
	     !names->list(names->opaque, directory, prefix, i, name); i++)
		if (is_left(name, own))
			image_notice(
				image,
				"%s/%.255s is left of a deleted image that had the same inode; 'ublk-qcow2 del --force' of its disk removes it",
				directory, name);
}
