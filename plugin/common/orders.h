/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The orders of a process that reads a stranger's image to its clerk, another
 * process, which uses the names of files in its stead: that of a server
 * (plugin/server/clerk.h), or that of a jail (jail-clerk.c).
 *
 * An order and its answer are one packet each.  A descriptor that the clerk has
 * opened comes in a packet of its own before the answer, and is the reader's
 * alone by the time of the answer.
 */
#ifndef ORDERS_H
#define ORDERS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include "plugin/common/packet.h"
#include "qcow/names.h"

enum action {
	/* The driver: a server's clerk only */
	LOOK,
	START_RECOVERY,
	START_DEVICE,
	END_RECOVERY,
	/* No other order than the last one comes */
	END_ORDERS,
	/* The device's node */
	MAKE_NODE,
	/* Names: the calls of struct qcow_names */
	LOOK_AT_FILE,
	LOOK_AT_OPEN,
	OPEN_FILE,
	OPEN_AGAIN,
	SETTLE,
	RESOLVE,
	SET_ASIDE,
	LINK,
	REMOVE,
	LIST,
	START_READER,
};

struct order {
	enum action action;
	int id;
	int flags;
	unsigned int number;
	enum qcow_reference kind;
	struct qcow_reader reader;
	char path[PATH_MAX];
	char name[PATH_MAX];
};

struct answer {
	int result;
	int timeout;	   /* START_DEVICE */
	uint64_t features; /* the first answer, to no order */
	struct stat st;
	struct qcow_identity identity;
	struct qcow_error error;
	char path[PATH_MAX];
};

/* ---- the reader's side: orders.c ---- */

/* The one end.  Its owner fills in give: gives an order, with descriptors, and
   hears the answer: its result, or the descriptor that came with it. */
struct orders {
	int (*give)(struct orders *orders, const struct order *order,
		    const struct packet *with, struct answer *answer);
};

/* Those of give, over a socket.  *fd becomes a descriptor that came before the
   answer, if one did; NULL: none comes.  length is that of the answer with all
   that lies behind it. */
int orders_send(int socket, const struct order *order,
		const struct packet *with);
int orders_hear(int socket, struct answer *answer, size_t length, int *fd);

/* The names of an open that has a clerk. */
void orders_names(struct orders *orders, struct qcow_names *names);

/* ---- the clerk's side: orders-clerk.c ---- */

/* They come from a process that may be somebody else's by now.  False: the end
   of the socket. */
bool orders_receive(int socket, struct order *order, struct packet *with);

/* The answer, and the descriptor (or -1), which is closed: R14, it carries a
   lock soon.  The descriptors of the order (or NULL) are closed, too. */
void orders_answer(int socket, struct packet *with, struct answer *answer,
		   size_t length, int fd);
void orders_hand_over(int socket, int fd);

int orders_look_at_open(const struct packet *with, struct answer *answer);
/* Starts a process that reads a legacy image; it is no child of the one that
   gave the order, and ends when the process of the pidfd does. */
#define READER_FDS 4
int orders_start_reader(const struct order *order, const struct packet *with,
			int pidfd);

#endif /* ORDERS_H */
