/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk, as `list` shows it.
 */
#ifndef LIST_H
#define LIST_H

#include <limits.h>

#include "plugin/common/json.h"
#include "plugin/common/state.h"
#include "plugin/common/stats.h"

/* All that is told of one disk, in words. */
struct listing {
	const struct disk *disk;
	const char *state;
	char device[32];
	char link[PATH_MAX];
	char domains[512];  /* of libvirt's; "": none */
	char used_by[600];  /* "": nobody that everybody can see */
	char advice[700];   /* "": it is as it should be */
	char trouble[400];  /* "": none */
	struct stats stats; /* zeros: there are none */
};

/* list-json.c: the listing as an object. */
void list_put_json(struct json *json, const struct listing *listing);

#endif /* LIST_H */
