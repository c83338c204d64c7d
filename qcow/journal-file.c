// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The journal's file: making one, finding one, and whose it is.
 *
 * It lies on a tmpfs, preallocated, under a name made of the image's device
 * and inode (R13).  Its header says which life of which image it belongs to,
 * and R12 decides whether what it holds may be replayed:
 *
 *	belongs to this life	it is gone on with
 *	empty, or another boot	of no use, replaced by a new one
 *	else			somebody wrote to the image since: refused
 *
 * and an image that says it has a journal of this boot but has none is
 * refused as well: what was acknowledged and not flushed would be lost.  Both
 * may be forced.
 *
 * A new journal gets its name when it is whole, so there is never half of
 * one.
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
#include <time.h>
#include <unistd.h>
#include "error.h"
#include "image.h"

#define JOURNAL_MAGIC		0x316a716b6c6275ull	/* "ublkqj1" */
#define JOURNAL_HEADER_SIZE	4096u
#define JOURNAL_DEFAULT_SIZE	(2u << 20)
#define JOURNAL_MIN_SIZE	(2 * JOURNAL_HEADER_SIZE)

/* How far ahead a heartbeat promises that we may write. */
#define LEASE_NS		1000000000ull

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

void journal_heartbeat(struct journal *journal)
{
	uint64_t now = now_ns();

	if (atomic_load_explicit(&journal->header->lease,
				 memory_order_relaxed) <= now + LEASE_NS / 2)
		atomic_store_explicit(&journal->header->lease, now + LEASE_NS,
				      memory_order_release);
}

void journal_set_marked(struct journal *journal)
{
	journal->header->marked = 1;
}

uint64_t journal_nonce(const struct journal *journal)
{
	return journal->header->nonce;
}

const uint8_t *journal_boot_id(const struct journal *journal)
{
	return journal->header->boot_id;
}

static int read_boot_id(uint8_t boot_id[16])
{
	char text[64] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	unsigned int digits = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
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

static int map_journal(struct journal *journal, int fd, uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	journal->header = p;
	journal->ring = (uint64_t *)((char *)p + JOURNAL_HEADER_SIZE);
	journal->words = (size - JOURNAL_HEADER_SIZE) / sizeof(uint64_t);
	journal->mapped = size;
	return 0;
}

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

/* Makes an empty journal of a new life. */
static int create(struct qcow_image *image, int fd, uint64_t size,
		  struct qcow_error *error)
{
	struct journal *journal = &image->journal;
	int ret = -posix_fallocate(fd, 0, size);

	if (!ret)
		ret = map_journal(journal, fd, size);
	if (ret)
		return fail(error, ret, "journal: cannot set %llu bytes aside: %s",
			    (unsigned long long)size, strerror(-ret));
	*journal->header = (struct journal_header){
		.magic = JOURNAL_MAGIC,
		.words = journal->words,
		.identity = image->file.identity,
	};
	memcpy(journal->header->boot_id, journal->boot_id,
	       sizeof(journal->boot_id));
	if (getrandom(&journal->header->nonce, sizeof(uint64_t), 0) !=
	    sizeof(uint64_t))
		return fail(error, -EIO, "cannot draw a random number");
	return 0;
}

/* Gives the nameless file its name, in place of a journal of no use. */
static int link_named(int fd, const char *path)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	return 0;
}

static int create_named(struct qcow_image *image, const char *directory,
			uint64_t size, struct qcow_error *error)
{
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int ret;

	if (fd < 0)
		return fail(error, -errno, "journal in %s: %s", directory,
			    strerror(errno));
	ret = check_tmpfs(fd, error);
	if (!ret)
		ret = create(image, fd, size, error);
	if (!ret) {
		ret = link_named(fd, image->journal.path);
		if (ret)
			fail(error, ret, "journal %s: %s", image->journal.path,
			     strerror(-ret));
	}
	image->journal.created = !ret;
	close(fd);
	return ret;
}

/* ---- whose journal is it? ---- */

static bool same_boot(const struct journal *journal, const uint8_t boot_id[16])
{
	return !memcmp(journal->boot_id, boot_id, sizeof(journal->boot_id));
}

/* R12's second way, where the image cannot carry the whole mark: nobody
   wrote to it after our last heartbeat. */
static bool untouched_since_lease(struct qcow_image *image)
{
	struct stat st;
	uint64_t written;

	if (image->file.test && image->file.test->ops)
		return true;
	if (image->file.block_device || fstat(image->file.fd, &st) < 0)
		return false;
	written = st.st_mtim.tv_sec * 1000000000ull + st.st_mtim.tv_nsec;
	return written <= image->journal.header->lease;
}

/* R12: does the journal belong to this life of this image? */
static bool belongs(struct qcow_image *image, bool unbroken)
{
	const struct journal_header *journal = image->journal.header;
	const struct header *header = &image->header;

	if (!file_is(&image->file, &journal->identity) ||
	    !same_boot(&image->journal, journal->boot_id))
		return false;
	if (header->version >= 3 && !(header->autoclear & AUTOCLEAR_LIFE))
		return false;
	if (header->version >= 3 && header_has_room(header))
		return header->life_offset &&
		       header->nonce == journal->nonce &&
		       !memcmp(header->boot_id, journal->boot_id, 16);
	return unbroken || untouched_since_lease(image);
}

static int map_existing(struct qcow_image *image, int fd,
			struct qcow_error *error)
{
	struct journal *journal = &image->journal;
	struct stat st;
	int ret = check_tmpfs(fd, error);

	if (ret)
		return ret;
	if (fstat(fd, &st) < 0)
		return fail(error, -errno, "journal: %s", strerror(errno));
	if (st.st_size < JOURNAL_MIN_SIZE)
		return fail(error, -EINVAL, "its journal %s is too short",
			    journal->path);
	ret = map_journal(journal, fd, st.st_size);
	if (ret)
		return fail(error, ret, "journal %s: %s", journal->path,
			    strerror(-ret));
	if (journal->header->magic != JOURNAL_MAGIC ||
	    journal->header->words != journal->words)
		return fail(error, -EINVAL, "its journal %s is damaged",
			    journal->path);
	return 0;
}

static bool is_empty(const struct journal *journal)
{
	struct group group;

	return !journal_read_group(journal, journal->header->start, &group);
}

/* Nothing is lost with it: it is empty, or of another boot. */
static bool is_stale(const struct qcow_image *image)
{
	return is_empty(&image->journal) ||
	       !same_boot(&image->journal, image->journal.header->boot_id);
}

static void unmap(struct journal *journal)
{
	if (journal->header)
		munmap(journal->header, journal->mapped);
	journal->header = NULL;
}

/* Replaces a journal that is of no use by a new one. */
static int start_over(struct qcow_image *image,
		      const struct qcow_options *options,
		      const char *directory, struct qcow_error *error)
{
	uint64_t size = options->journal_size ? options->journal_size :
						JOURNAL_DEFAULT_SIZE;

	unmap(&image->journal);
	return create_named(image, directory,
			    max_u64(round_down(size, 8), JOURNAL_MIN_SIZE),
			    error);
}

/* There is a journal: go on with it, or find out why not. */
static int take_over(struct qcow_image *image,
		     const struct qcow_options *options,
		     const char *directory, int fd, struct qcow_error *error)
{
	int ret = map_existing(image, fd, error);

	if (!ret && belongs(image, options->unbroken)) {
		/* The owner may have died between mark and note. */
		image->marked = image->journal.header->marked ||
				image->header.autoclear & AUTOCLEAR_LIFE;
		return 0;
	}
	if (image->read_only && (options->force || (!ret && is_stale(image)))) {
		unmap(&image->journal);
		return 0;
	}
	if (!ret && is_stale(image))
		return start_over(image, options, directory, error);
	if (options->force) {
		image_notice(image,
			     "its journal %s does not fit it and is given up; acknowledged writes may be lost",
			     image->journal.path);
		return start_over(image, options, directory, error);
	}
	if (ret)
		return ret;
	return fail(error, -ESTALE,
		    "its journal %s does not fit it: another program wrote to the image after its server died; writes since the last flush may be lost, --force gives them up",
		    image->journal.path);
}

/* There is none: was there one in this boot? */
static int start_first(struct qcow_image *image,
		       const struct qcow_options *options,
		       const char *directory, struct qcow_error *error)
{
	const struct header *header = &image->header;
	bool alive = header->autoclear & AUTOCLEAR_LIFE;

	if (alive && header->life_offset &&
	    same_boot(&image->journal, header->boot_id) && !options->force)
		return fail(error, -ESTALE,
			    "its journal %s is gone though its server died in this boot; writes since the last flush may be lost, --force gives them up",
			    image->journal.path);
	if (alive)
		image_notice(image,
			     "was not closed cleanly; what was not flushed then is lost");
	if (image->read_only)
		return 0;
	return start_over(image, options, directory, error);
}

/* R13: found by its image. */
static char *path_of(const struct file *file, const char *directory)
{
	char *path;

	if (asprintf(&path, "%s/%u:%u-%llu.journal", directory,
		     major(file->identity.device),
		     minor(file->identity.device),
		     (unsigned long long)file->identity.inode) < 0)
		return NULL;
	return path;
}

bool journal_is_pending(const struct file *file, const struct header *header,
			const char *directory)
{
	uint8_t boot_id[16];
	char *path;
	bool found;

	/* R12: every other writer takes the bit out. */
	if (header->version >= 3 && !(header->autoclear & AUTOCLEAR_LIFE))
		return false;
	/* Where it is unknown, there may be one. */
	if (header->life_offset)
		return read_boot_id(boot_id) ||
		       !memcmp(boot_id, header->boot_id, sizeof(boot_id));
	path = path_of(file, directory ? directory : QCOW_JOURNAL_DIR);
	found = path && !access(path, F_OK);
	free(path);
	return found;
}

int journal_open(struct qcow_image *image, const struct qcow_options *options,
		 struct qcow_error *error)
{
	const char *directory = options->journal_dir ? options->journal_dir :
						       QCOW_JOURNAL_DIR;
	struct journal *journal = &image->journal;
	int fd, ret;

	journal->test = options->test;
	journal->path = path_of(&image->file, directory);
	if (!journal->path)
		return fail(error, -ENOMEM, "out of memory");
	/* Once: a journal of an unknown boot is not one of another boot. */
	ret = read_boot_id(journal->boot_id);
	if (ret)
		return fail(error, ret, "reading the boot id: %s",
			    strerror(-ret));
	fd = open(journal->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT) {
		ret = start_first(image, options, directory, error);
	} else if (fd < 0 && options->look && errno == EACCES) {
		/* Who may not look at it does not serve either. */
		ret = 0;
	} else if (fd < 0) {
		ret = fail(error, -errno, "journal %s: %s", journal->path,
			   strerror(errno));
	} else {
		ret = take_over(image, options, directory, fd, error);
		close(fd);
	}
	if (ret || !journal->header)
		return ret;
	journal->end = journal->header->start;
	return 0;
}

void journal_close(struct journal *journal, bool remove)
{
	if (remove && journal->header)
		unlink(journal->path);
	unmap(journal);
	free(journal->path);
	journal->path = NULL;
}
