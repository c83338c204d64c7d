/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trouble of a disk that is served: its host's storage is full, or fails.
 */
#ifndef TROUBLE_H
#define TROUBLE_H

enum host_trouble {
	HOST_WELL,
	HOST_NO_SPACE,	 /* no room is left where the image lies */
	HOST_IO_ERROR,	 /* the storage refuses or fails */
	NR_HOST_TROUBLES /* a later one is worse */
};

/* Names as `list`, the records and the hooks have them; "none". */
const char *trouble_name(enum host_trouble trouble);

/* The trouble of that name, or HOST_WELL. */
enum host_trouble trouble_named(const char *name);

/* The trouble that the result of a request tells of; error is 0 or -errno. */
enum host_trouble trouble_of(int error);

/* Such a result, as the driver is to have it. */
int trouble_answer(int error);

#endif /* TROUBLE_H */
