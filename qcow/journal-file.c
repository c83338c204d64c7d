// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The journal's files: making, finding and removing them.
 *
 * A journal lies on a tmpfs, preallocated, under a name made of the image's
 * identity (R13): device, inode and birth, so that an image never finds the
 * journal of a deleted one that had its inode.
 *
 * Beside the journal lies a note of one page.  Should the journal be gone,
 * the note still says that there was one, and whether anything was written;
 * an image that has no room for our mark has nothing else that does.  The
 * note is made after the journal and removed before it, so a note without a
 * journal means that somebody took the journal away.
 *
 * Both get their names when they are whole, so there is never half of one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "qcow/error.h"
#include "qcow/image.h"

#define JOURNAL_MAGIC	     0x326a716b6c6275ull /* "ublkqj2" */
#define JOURNAL_VERSION_MASK 0xff000000000000ull
#define NOTE_MAGIC	     0x326e716b6c6275ull /* "ublkqn2" */
#define NOTE_SIZE	     4096u
#define JOURNAL_HEADER_SIZE  4096u
#define JOURNAL_MIN_SIZE     (2 * JOURNAL_HEADER_SIZE)

_Static_assert(sizeof(struct journal_header) <= JOURNAL_HEADER_SIZE,
	       "the journal's header is one page");

/* ---- names ---- */

char *qcow_journal_path(const struct qcow_identity *identity,
			const char *directory, const char *ending)
{
	char birth[24] = "";
	char *path;

	if (identity->birth)
		snprintf(birth, sizeof(birth), "-%llu",
			 (unsigned long long)identity->birth);
	if (asprintf(&path, "%s/%u:%u-%llu%s.%s", directory,
		     major(identity->device), minor(identity->device),
		     (unsigned long long)identity->inode, birth, ending) < 0)
		return NULL;
	return path;
}

void qcow_journal_prefix(const struct qcow_identity *identity,
			 char prefix[QCOW_JOURNAL_PREFIX])
{
	snprintf(prefix, QCOW_JOURNAL_PREFIX, "%u:%u-%llu-",
		 major(identity->device), minor(identity->device),
		 (unsigned long long)identity->inode);
}

int journal_name(struct journal *journal, const struct qcow_identity *identity,
		 const char *directory)
{
	journal->path = qcow_journal_path(identity, directory, "journal");
	journal->note_path = qcow_journal_path(identity, directory, "life");
	return journal->path && journal->note_path ? 0 : -ENOMEM;
}

int journal_read_boot_id(const struct qcow_names *names, uint8_t boot_id[16])
{
	char text[64] = "";
	int fd = names->open(names->opaque, QCOW_BOOT_ID, O_RDONLY | O_CLOEXEC);
	unsigned int digits = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 36)
		return -EIO;
	for (const char *p = text; *p && digits < 32; p++) {
		unsigned int digit;

		if (sscanf((char[]){ *p, 0 }, "%1x", &digit) != 1)
			continue;
		boot_id[digits / 2] = boot_id[digits / 2] << 4 | digit;
		digits++;
	}
	return digits == 32 ? 0 : -EIO;
}

/* ---- mapping ---- */

/* R13: on any other file system its pages might not outlive us, or be
   written out and read back after a power loss. */
static int check_tmpfs(int fd, struct qcow_error *error)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return fail(error, -errno, "journal: %s", strerror(errno));
	if (fs.f_type != TMPFS_MAGIC)
		return fail(error, -EINVAL,
			    "journal: its directory must be on a tmpfs");
	return 0;
}

static int map_file(int fd, size_t size, bool read_only, void **mapped)
{
	void *p = mmap(NULL, size, PROT_READ | (read_only ? 0 : PROT_WRITE),
		       MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*mapped = p;
	return 0;
}

static int map_ring(struct journal *journal, int fd, uint64_t size,
		    bool read_only)
{
	void *p = NULL;
	int ret = map_file(fd, size, read_only, &p);

	if (ret)
		return ret;
	journal->header = p;
	journal->ring = (uint64_t *)((char *)p + JOURNAL_HEADER_SIZE);
	journal->words = (size - JOURNAL_HEADER_SIZE) / sizeof(uint64_t);
	journal->mapped = size;
	return 0;
}

static int check_header(struct journal *journal, struct qcow_error *error)
{
	uint64_t magic = journal->header->magic;

	if (magic != JOURNAL_MAGIC &&
	    (magic | JOURNAL_VERSION_MASK) ==
		    (JOURNAL_MAGIC | JOURNAL_VERSION_MASK))
		return fail(
			error, -EINVAL,
			"its journal %s was written by another version of this program; serve and remove the disk with that version, or give the journal up with --force",
			journal->path);
	if (magic != JOURNAL_MAGIC || journal->header->words != journal->words)
		return fail(
			error, -EINVAL,
			"its journal %s is damaged; acknowledged writes may be lost, --force gives them up",
			journal->path);
	return 0;
}

static int map_opened(struct journal *journal, int fd, bool read_only,
		      struct qcow_error *error)
{
	struct stat st;
	int ret = check_tmpfs(fd, error);

	if (ret)
		return ret;
	if (fstat(fd, &st) < 0)
		return fail(error, -errno, "journal: %s", strerror(errno));
	if (st.st_size < JOURNAL_MIN_SIZE)
		return fail(
			error, -EINVAL,
			"its journal %s is too short; acknowledged writes may be lost, --force gives them up",
			journal->path);
	ret = map_ring(journal, fd, st.st_size, read_only);
	if (ret)
		return fail(error, ret, "journal %s: %s", journal->path,
			    strerror(-ret));
	return check_header(journal, error);
}

static int open_named(const struct journal *journal, const char *path,
		      bool read_only)
{
	return journal->names->open(journal->names->opaque, path,
				    (read_only ? O_RDONLY : O_RDWR) |
					    O_CLOEXEC | O_NOFOLLOW);
}

int journal_map(struct journal *journal, bool read_only,
		struct qcow_error *error)
{
	int fd = open_named(journal, journal->path, read_only);
	int ret;

	if (fd < 0)
		return fail(error, fd, "journal %s: %s", journal->path,
			    strerror(-fd));
	ret = map_opened(journal, fd, read_only, error);
	close(fd);
	return ret;
}

static bool note_is_ours(const struct journal *journal)
{
	return journal->note->magic == NOTE_MAGIC &&
	       !memcmp(journal->note->boot_id, journal->boot_id,
		       sizeof(journal->boot_id));
}

static void unmap_note(struct journal *journal)
{
	if (journal->note)
		munmap(journal->note, NOTE_SIZE);
	journal->note = NULL;
}

void journal_map_note(struct journal *journal, bool read_only)
{
	int fd = open_named(journal, journal->note_path, read_only);
	struct stat st;
	void *p = NULL;

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && st.st_size == NOTE_SIZE &&
	    !map_file(fd, NOTE_SIZE, read_only, &p)) {
		journal->note = p;
		if (!note_is_ours(journal))
			unmap_note(journal);
	}
	close(fd);
}

void journal_unmap(struct journal *journal)
{
	unmap_note(journal);
	if (journal->header)
		munmap(journal->header, journal->mapped);
	journal->header = NULL;
}

/* ---- making ---- */

/* A nameless file that has all of its bytes allocated. */
static int set_aside(const struct journal *journal, const char *directory,
		     uint64_t size, int *fd, struct qcow_error *error)
{
	int ret;

	*fd = journal->names->set_aside(journal->names->opaque, directory);
	if (*fd < 0)
		return fail(error, *fd, "journal in %s: %s", directory,
			    strerror(-*fd));
	ret = check_tmpfs(*fd, error);
	if (ret)
		return ret;
	ret = -posix_fallocate(*fd, 0, size);
	if (ret)
		fail(error, ret,
		     "journal: cannot set %llu bytes aside in %s: %s",
		     (unsigned long long)size, directory, strerror(-ret));
	return ret;
}

/* Gives the nameless file its name, in place of a file of no use. */
static int link_named(const struct journal *journal, int fd, const char *path,
		      struct qcow_error *error)
{
	int ret = journal->names->link(journal->names->opaque, fd, path);

	return ret ? fail(error, ret, "journal %s: %s", path, strerror(-ret)) :
		     0;
}

static int fill_header(struct journal *journal,
		       const struct qcow_identity *identity,
		       struct qcow_error *error)
{
	*journal->header = (struct journal_header){
		.magic = JOURNAL_MAGIC,
		.words = journal->words,
		.identity = *identity,
		.generation = 1,
		.making = 1,
		.state = LIFE_OPENED,
	};
	memcpy(journal->header->boot_id, journal->boot_id,
	       sizeof(journal->boot_id));
	if (getrandom(&journal->header->nonce, sizeof(uint64_t), 0) !=
	    sizeof(uint64_t))
		return fail(error, -EIO, "cannot draw a random number");
	return 0;
}

static int create_ring(struct journal *journal,
		       const struct qcow_identity *identity,
		       const char *directory, uint64_t size,
		       struct qcow_error *error)
{
	int fd;
	int ret = set_aside(journal, directory, size, &fd, error);

	if (!ret) {
		ret = map_ring(journal, fd, size, false);
		if (ret)
			fail(error, ret, "journal %s: %s", journal->path,
			     strerror(-ret));
	}
	if (!ret)
		ret = fill_header(journal, identity, error);
	if (!ret)
		ret = link_named(journal, fd, journal->path, error);
	if (fd >= 0)
		close(fd);
	return ret;
}

static int create_note(struct journal *journal, const char *directory,
		       struct qcow_error *error)
{
	int fd;
	int ret = set_aside(journal, directory, NOTE_SIZE, &fd, error);
	void *p = NULL;

	if (!ret) {
		ret = map_file(fd, NOTE_SIZE, false, &p);
		if (ret)
			fail(error, ret, "journal %s: %s", journal->note_path,
			     strerror(-ret));
	}
	if (!ret) {
		journal->note = p;
		journal->note->magic = NOTE_MAGIC;
		memcpy(journal->note->boot_id, journal->boot_id,
		       sizeof(journal->boot_id));
		atomic_store(&journal->note->state,
			     atomic_load(&journal->header->state));
		ret = link_named(journal, fd, journal->note_path, error);
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

int journal_create(struct journal *journal,
		   const struct qcow_identity *identity, const char *directory,
		   uint64_t size, struct qcow_error *error)
{
	uint64_t bytes = max_u64(round_down(size, 8), JOURNAL_MIN_SIZE);
	int ret;

	journal_unmap(journal);
	/* An old note goes first: it must not outlive its journal. */
	ret = journal->names->remove(journal->names->opaque,
				     journal->note_path);
	if (ret)
		return fail(error, ret, "journal %s: %s", journal->note_path,
			    strerror(-ret));
	ret = create_ring(journal, identity, directory, bytes, error);
	journal->created = !ret;
	return ret ? ret : create_note(journal, directory, error);
}

void journal_renew_note(struct journal *journal, const char *directory)
{
	/* A recovery goes on where there is no room. */
	if (!journal->note && create_note(journal, directory, NULL))
		unmap_note(journal);
}

/* ---- the state and the mark in them ---- */

void journal_set_state(struct journal *journal, enum life_state state)
{
	atomic_store(&journal->header->state, state);
	if (journal->note)
		atomic_store(&journal->note->state, state);
}

void journal_get_mark(const struct journal *journal, struct life_mark *mark)
{
	mark->nonce = journal->header->nonce;
	memcpy(mark->boot_id, journal->header->boot_id, sizeof(mark->boot_id));
	mark->generation = atomic_load(&journal->header->making);
}
