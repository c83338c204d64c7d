/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server and its clerk from the inside; for clerk*.c only.
 */
#ifndef CLERK_INSIDE_H
#define CLERK_INSIDE_H

#include <stdbool.h>
#include "plugin/common/orders.h"
#include "plugin/server/clerk.h"

/* The answer to LOOK, behind all that other answers have. */
struct look_answer {
	struct answer answer;
	struct clerk_view view;
};

/* A file that the server opened before it fell. */
struct held {
	char *path;
	int flags;
	int fd; /* -1: the open of the image has it */
};

#define HELD_MAX 3

/* The server's side. */
struct clerk {
	struct orders orders; /* first */
	pid_t pid;
	int socket;
	int nodes;
	uint64_t features;
	unsigned int owed; /* answers to come, without a descriptor, */
	int late;	   /* and the first failure among those that came */
	struct qcow_names names;
	int (*open)(void *opaque, const char *path, int flags); /* by order */
	struct held held[HELD_MAX];
	unsigned int nr_held;
};

/* clerk.c: the server gives an order, with descriptors, and hears the answer:
   its result, and the descriptor that came with it. */
int clerk_give_order(struct clerk *clerk, const struct order *order,
		     const struct packet *with, struct answer *answer);

/* clerk-desk.c: the clerk of the process server, to which this socket leads.
   ring is the server's ring, as a descriptor that the caller was given. */
void clerk_work(const struct server_config *config,
		const struct qcow_references *references, pid_t server,
		int ring, int socket) __attribute__((noreturn));

/* clerk-held.c */

/* The names of an open that has a clerk. */
void clerk_names_init(struct clerk *clerk);

/* The open is over. */
void clerk_names_end(struct clerk *clerk);

/* clerk-grants.c: the files that the clerk opens */

#define GRANTS_MAX (4 * QCOW_FILES_MAX)

/* One for each open of the image: an open may fail, and be tried otherwise. */
#define READERS_MAX 4

/* A file of which the server knows the path. */
struct grant {
	char *path;
	bool image; /* it is a path of the disk's image */
	bool write; /* may it be written? */
	bool opened, opened_write;
	struct qcow_identity identity; /* of the one that was opened */
};

struct clerk_files {
	const struct server_config *config;
	struct qcow_options options; /* the known files, or the allowed ones */
	char *top;		     /* the image's path, settled, or NULL */
	struct grant grants[GRANTS_MAX];
	unsigned int count;
	unsigned int readers; /* that were started */
	int server;	      /* its pidfd */
};

/* Only files of the disk are opened: those that the configuration tells, and
   those that the admin allows.  NULL: out of memory. */
struct clerk_files *clerk_files(const struct server_config *config,
				const struct qcow_references *references);

struct grant *clerk_find_grant(struct clerk_files *files, const char *path);

/* Has the server got the file of this descriptor from the clerk; write: for
   writing? */
bool clerk_has_opened(const struct clerk_files *files, int fd, bool write);

int clerk_grant(struct clerk_files *files, const char *path, bool write);

/* May the server write to a file that a header names? */
bool clerk_may_write(const struct clerk_files *files, enum qcow_reference kind,
		     const char *path);

/* Is this the journal of a file that the server has; write: has for writing? */
bool clerk_is_journal(const struct clerk_files *files, const char *path,
		      bool write);

/* Do all names that begin so belong to journals of such files, or to those of
   former files with the same inode? */
bool clerk_is_journal_prefix(const struct clerk_files *files,
			     const char *prefix);

/* Opens a file that was granted, or a journal, or one with a fixed name.
   Returns a descriptor or -errno. */
int clerk_open(struct clerk_files *files, const char *path, int flags);

/* clerk-files.c */

/* Executes such an order, which came with these descriptors.  *fd becomes a
   descriptor to be handed over. */
int clerk_files_execute(struct clerk_files *files, const struct order *order,
			const struct packet *with, struct answer *answer,
			int *fd);

#endif /* CLERK_INSIDE_H */
