/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The names of files, as an open uses them.
 *
 * An open follows the names that a stranger's header gives (P6).  So every call
 * of the host's that takes a name is one of these, and a process that has no
 * right to use names lets another process make the calls (qcow_options.names).
 * That process has the functions at the end of this page to judge by.
 */
#ifndef QCOW_NAMES_H
#define QCOW_NAMES_H

#include <limits.h>
#include <sys/stat.h>
#include "qcow/options.h"

/* The kinds of names in a header. */
enum qcow_reference {
	QCOW_REFERS_TO_BACKING,
	QCOW_REFERS_TO_DATA,	   /* of the image on top: it is written */
	QCOW_REFERS_TO_DATA_UNDER, /* of one that lies under another: only
				      read */
};

struct qcow_reader;

/* Functions return 0 or a descriptor, or -errno. */
struct qcow_names {
	void *opaque;

	/* As stat(2) and open(2); a file that is not there is not made. */
	int (*look)(void *opaque, const char *path, struct stat *st);
	int (*open)(void *opaque, const char *path, int flags);

	/* Looks at the file of a descriptor, for a process that the file system
	   does not tell of it (FUSE tells only the user of the mount).
	   NULL: nobody knows more. */
	int (*look_at_open)(void *opaque, int fd, struct stat *st,
			    struct qcow_identity *identity);

	/* Opens the file of a descriptor once more. */
	int (*open_again)(void *opaque, int fd, int flags);

	/* The path by which an image is known: see qcow_settle(). */
	int (*settle)(void *opaque, const char *path, char **settled);

	/* The path of a file that the header of the image at from names: see
	   qcow_resolve().  The caller frees it.  NULL: the open judges by its
	   own options. */
	int (*resolve)(void *opaque, const char *from, enum qcow_reference kind,
		       const char *name, char **path, struct qcow_error *error);

	/* A file without a name in the directory; the name of such a file, in
	   place of any other with that name; and no file with that name. */
	int (*set_aside)(void *opaque, const char *directory);
	int (*link)(void *opaque, int fd, const char *path);
	int (*remove)(void *opaque, const char *path);

	/* The name in a directory that begins so and comes after number others
	   that do.  -ENOENT: there is none. */
	int (*list)(void *opaque, const char *directory, const char *prefix,
		    unsigned int number, char name[NAME_MAX + 1]);

	/* Starts the process that reads a legacy image: qcow_read_legacy().
	   NULL: the open forks it. */
	int (*start_reader)(void *opaque, const struct qcow_reader *reader);
};

/* names.c */

/* Those of this process. */
extern const struct qcow_names qcow_names_of_host;

/* Those that every function uses to which no others are given.  A process that
   has given up its own puts another's here: it needs look, look_at_open, open
   and open_again, settle, and start_reader. */
extern const struct qcow_names *qcow_names_here;

/* reference.c */

/* An absolute path of the image: of a device the name by which it was given,
   for that is where relative names lead; of a file the resolved one.  The
   caller frees it.  0 or -errno. */
int qcow_settle(const char *path, char **settled);

/* The path of a file that the image at from names, if it may be opened (P6):
   from lies under top or is top, and the options tell which files are known,
   or allowed.  The caller frees the path.  0 or -errno. */
int qcow_resolve(const struct qcow_options *options, const char *top,
		 const char *from, enum qcow_reference kind, const char *name,
		 char **path, struct qcow_error *error);

/* The same of a device that is open: path was judged by qcow_resolve(), and
   leads to the device's node at resolved by now. */
bool qcow_allows_device(const struct qcow_references *references,
			enum qcow_reference kind, const char *path,
			const char *resolved);

/* identity.c */

/* Which file is open. */
int qcow_identify_file(int fd, struct qcow_identity *identity);

/* Do both say the same file?  A birth of 0 matches any. */
static inline bool identity_matches(const struct qcow_identity *a,
				    const struct qcow_identity *b)
{
	return a->device == b->device && a->inode == b->inode &&
	       (a->birth == b->birth || !a->birth || !b->birth);
}

/* journal-file.c */

#define QCOW_BOOT_ID "/proc/sys/kernel/random/boot_id"

/* The path of an image's journal or note, by its ending "journal" or "life";
   free() frees it.  NULL: out of memory. */
char *qcow_journal_path(const struct qcow_identity *identity,
			const char *directory, const char *ending);

#define QCOW_JOURNAL_PREFIX 64 /* bytes */

/* So begin the names of the journals of a file, and of those that had its inode
   before it. */
void qcow_journal_prefix(const struct qcow_identity *identity,
			 char prefix[QCOW_JOURNAL_PREFIX]);

/* legacy/helper.c */

#define QCOW_KEY_SIZE 16

/* All that the process needs which reads a legacy image; inherited by fork. */
struct qcow_reader {
	int image; /* descriptor to open it through */
	bool encrypted;
	uint8_t key[QCOW_KEY_SIZE]; /* padded with zeros */
	uint64_t size;		    /* of the virtual disk */
	int memory;		    /* descriptor of the window, or -1 */
	uint8_t *window;	    /* shared: the bytes read, */
	uint32_t window_size;	    /*  one cluster */
	int control;		    /* to the server: a message asks for the
				       reader's death */
	int data;		    /* to the server: requests, replies */
	int server;		    /* its pidfd */
};

/* In a child, and never returns: keeps one reader alive. */
void qcow_read_legacy(const struct qcow_reader *reader)
	__attribute__((noreturn));

#endif /* QCOW_NAMES_H */
