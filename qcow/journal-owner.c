// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whose journal is it?  R12 decides whether the groups in the journal may be
 * replayed on the image as it is now:
 *
 *	ours		the image is at the point of this life that the
 *			journal continues, or nothing was written yet
 *	of no use	it is of another boot: replaced by a new one
 *	else		somebody wrote to the image, or put other contents in
 *			its place: refused
 *
 * The image's whole mark must agree in bit, nonce, boot and generation; and
 * nobody may have written since, as far as the medium tells (lease.c).  An
 * image without room for the mark has the lease alone; where that cannot tell
 * either, the supervisor's unbroken lock decides, and without it nothing does:
 * refused.
 *
 * An image that has lost its journal in this boot is refused as well: writes
 * that were acknowledged and not flushed would be lost.  Its mark says so, or
 * the note beside the journal.  All of these refusals may be forced.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "qcow/error.h"
#include "qcow/image.h"
#include "qcow/names-used.h"

#define JOURNAL_DEFAULT_SIZE (2u << 20)
#define GHOST_NS	     30000000000 /* of a slow storage's queue */

static bool same_boot(const struct journal *journal, const uint8_t boot_id[16])
{
	return !memcmp(journal->boot_id, boot_id, sizeof(journal->boot_id));
}

static bool is_empty(const struct journal *journal)
{
	struct group group;

	return !journal_read_group(journal, journal->header->start, &group);
}

/* Everything that was written is in the image, or nothing was. */
static bool holds_nothing(const struct journal *journal)
{
	return journal->header->state != LIFE_WRITTEN && is_empty(journal);
}

/* A write that was queued in the kernel when its server died stamps the file
   when its turn comes.  A supervisor that has kept the lock starts the next
   server at once, and that has waited for the last of these writes: so any
   time is theirs.  Else the mark, which keeps QEMU's writes and older copies
   apart, allows for slow storage; without it every doubt is one too many. */
static int64_t slack_of(const struct qcow_image *image, bool unbroken)
{
	if (unbroken)
		return LEASE_NO_END;
	return header_has_room(&image->header) ? GHOST_NS : 0;
}

static enum lease_verdict judge_lease(const struct qcow_image *image,
				      bool unbroken)
{
	/* The tests' own disk stays as its owner left it. */
	if (image->file.test && image->file.test->ops)
		return LEASE_KEPT;
	return lease_judge(&image->journal.header->lease, &image->file,
			   image->external ? &image->data_file : NULL,
			   slack_of(image, unbroken));
}

/* The objection of the whole mark against the journal; NULL: none. */
static const char *judge_mark(const struct qcow_image *image)
{
	const struct journal_header *journal = image->journal.header;
	const struct life_mark *mark = &image->header.mark;

	if (!image->header.life_offset || mark->nonce != journal->nonce ||
	    memcmp(mark->boot_id, journal->boot_id, sizeof(mark->boot_id)))
		return "the image is another copy, of before or of another life";
	if (mark->generation != journal->generation &&
	    mark->generation != journal->making)
		return "an older copy of the image was put back after its server died";
	return NULL;
}

/* R12: why the journal is not this image's; NULL: it is. */
static const char *objection(const struct qcow_image *image, bool unbroken)
{
	const struct journal_header *journal = image->journal.header;
	const struct header *header = &image->header;
	bool whole = header_has_room(header);
	const char *why = NULL;

	if (!file_is(&image->file, &journal->identity))
		return "it is another image's";
	if (header->version >= 3 && !(header->autoclear & AUTOCLEAR_LIFE))
		return "another program wrote to the image after its server died";
	if (whole)
		why = judge_mark(image);
	if (why)
		return why;
	switch (judge_lease(image, unbroken)) {
	case LEASE_KEPT:
		return NULL;
	case LEASE_BROKEN:
		return "another program wrote to the image after its server died, or put an older copy back";
	case LEASE_UNKNOWN:
		break;
	}
	return whole || unbroken ?
		       NULL :
		       "nothing tells whether another program wrote to the image after its server and supervisor died, since the image has no room for our mark and its medium no times, or the clock was set";
}

/* Replaces a journal that is of no use by a new one. */
static int start_over(struct qcow_image *image,
		      const struct qcow_options *options, const char *directory,
		      struct qcow_error *error)
{
	uint64_t size = options->journal_size ? options->journal_size :
						JOURNAL_DEFAULT_SIZE;

	return journal_create(&image->journal, &image->file.identity, directory,
			      size, error);
}

/* The bit and the nonce say that the mark in the image is this life's. */
static bool is_marked(const struct qcow_image *image)
{
	const struct header *header = &image->header;

	return header->version >= 3 && header->autoclear & AUTOCLEAR_LIFE &&
	       (!header_has_room(header) ||
		header->mark.nonce == image->journal.header->nonce);
}

/* The journal is ours; we are where the last owner left off. */
static void go_on(struct qcow_image *image, const char *directory)
{
	struct journal *journal = &image->journal;
	struct journal_header *header = journal->header;

	/* The owner may have died between mark and note. */
	image->life.marked = header->state == LIFE_WRITTEN || is_marked(image);
	if (image->read_only)
		return;
	if (image->life.marked && header_has_room(&image->header)) {
		atomic_store(&header->generation,
			     image->header.mark.generation);
		atomic_store(&header->making, image->header.mark.generation);
	}
	if (!image->life.marked)
		atomic_store(&header->ahead_start, 0);
	journal_renew_note(journal, directory);
	journal_set_state(journal,
			  image->life.marked ? LIFE_WRITTEN : LIFE_OPENED);
}

static int give_up(struct qcow_image *image, const struct qcow_options *options,
		   const char *directory, const char *why,
		   struct qcow_error *error)
{
	if (image->read_only) {
		journal_unmap(&image->journal);
		return 0;
	}
	image_notice(
		image,
		"its journal %s is given up (%s); acknowledged writes may be lost",
		image->journal.path, why);
	image->life.given_up = image->header.autoclear & AUTOCLEAR_LIFE;
	return start_over(image, options, directory, error);
}

/* There is a journal: go on with it, or find out why not. */
static int take_over(struct qcow_image *image,
		     const struct qcow_options *options, const char *directory,
		     struct qcow_error *error)
{
	struct journal *journal = &image->journal;
	const char *why;

	if (!same_boot(journal, journal->header->boot_id)) {
		if (!image->read_only)
			return start_over(image, options, directory, error);
		journal_unmap(journal);
		return 0;
	}
	journal_map_note(journal, image->read_only);
	why = objection(image, options->unbroken);
	if (!why || (file_is(&image->file, &journal->header->identity) &&
		     holds_nothing(journal))) {
		go_on(image, directory);
		return 0;
	}
	if (options->force)
		return give_up(image, options, directory, why, error);
	return fail(
		error, -ESTALE,
		"its journal %s does not fit it: %s; acknowledged writes may be lost, --force gives them up",
		journal->path, why);
}

/* There is none: was there one in this boot? */
static bool is_gone(const struct qcow_image *image)
{
	const struct journal *journal = &image->journal;
	const struct header *header = &image->header;

	if (journal->note && journal->note->state == LIFE_WRITTEN)
		return true;
	return header->autoclear & AUTOCLEAR_LIFE && header->life_offset &&
	       same_boot(journal, header->mark.boot_id) &&
	       !(journal->note && journal->note->state == LIFE_CLOSING);
}

static int start_first(struct qcow_image *image,
		       const struct qcow_options *options,
		       const char *directory, struct qcow_error *error)
{
	journal_map_note(&image->journal, image->read_only);
	if (is_gone(image) && !options->force)
		return fail(
			error, -ESTALE,
			"its journal %s is gone though its server died in this boot, or it is a copy made while it was served; writes since the last flush may be lost, --force gives them up",
			image->journal.path);
	/* An open that was forced need not be forced again. */
	image->life.given_up = is_gone(image) &&
			       image->header.autoclear & AUTOCLEAR_LIFE;
	if (image->header.autoclear & AUTOCLEAR_LIFE)
		image_notice(
			image,
			"was not closed cleanly; data that was not flushed then is lost");
	if (image->read_only) {
		journal_unmap(&image->journal);
		return 0;
	}
	journal_tell_left(image, directory);
	return start_over(image, options, directory, error);
}

static int find_or_make(struct qcow_image *image,
			const struct qcow_options *options,
			const char *directory, struct qcow_error *error)
{
	int ret = journal_map(&image->journal, image->read_only, error);

	if (!ret)
		return take_over(image, options, directory, error);
	if (ret == -ENOENT)
		return start_first(image, options, directory, error);
	/* A process that may not look at it does not serve either. */
	if (ret == -EACCES && options->look)
		return 0;
	/* The file is there, and is no journal. */
	if (ret == -EINVAL && options->force)
		return give_up(image, options, directory, "it is damaged",
			       error);
	return ret;
}

int journal_open(struct qcow_image *image, const struct qcow_options *options,
		 struct qcow_error *error)
{
	const char *directory = options->journal_dir ? options->journal_dir :
						       QCOW_JOURNAL_DIR;
	struct journal *journal = &image->journal;
	int ret;

	journal->names = image->file.names;
	journal->test = options->test;
	if (journal_name(journal, &image->file.identity, directory))
		return fail(error, -ENOMEM, "out of memory");
	/* Once: a journal of an unknown boot is not one of another boot. */
	ret = journal_read_boot_id(journal->names, journal->boot_id);
	if (ret)
		return fail(error, ret, "reading the boot id: %s",
			    strerror(-ret));
	ret = find_or_make(image, options, directory, error);
	if (ret || !journal->header)
		return ret;
	journal->end = journal->header->start;
	if (image->read_only)
		return 0;
	image->file.lease = image->data_file.lease = &image->lease;
	ret = lease_start(&image->lease, &journal->header->lease, &image->file,
			  image->external ? &image->data_file : NULL,
			  !image->inline_checkpoint);
	return ret ? fail(error, ret, "cannot start a thread") : 0;
}

/* access(2) would ask for the real user. */
static bool is_there(const char *path)
{
	struct stat st;

	return !names_look(path, &st);
}

bool journal_is_pending(const struct file *file, const struct header *header,
			const char *directory)
{
	struct journal journal = { .names = file->names };
	bool found;

	/* R12: every other writer takes the bit out. */
	if (header->version >= 3 && !(header->autoclear & AUTOCLEAR_LIFE))
		return false;
	/* Where it is unknown, there may be one. */
	if (header->life_offset)
		return journal_read_boot_id(journal.names, journal.boot_id) ||
		       same_boot(&journal, header->mark.boot_id);
	found = !journal_name(&journal, &file->identity,
			      directory ? directory : QCOW_JOURNAL_DIR) &&
		(is_there(journal.path) || is_there(journal.note_path));
	journal_close(&journal, false);
	return found;
}
