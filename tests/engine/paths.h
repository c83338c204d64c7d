/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ways through the engine that a test has gone, told by the image alone. */
#ifndef PATHS_H
#define PATHS_H

#include "tests/engine/script.h"

enum path {
	PATH_BLOCK,	   /* a refcount block was made */
	PATH_MOVED_TABLE,  /* the refcount table moved */
	PATH_TABLE,	   /* an L2 table was made */
	PATH_SHARED_TABLE, /* an L2 table that a snapshot uses was copied */
	PATH_SHARED_DATA,  /* data that a snapshot uses was copied */
	PATH_UNDER,	   /* data below the image was copied */
	PATH_COMPRESSED,   /* a compressed cluster was written to */
	PATH_SUBCLUSTERS,  /* a cluster is there in part */
	PATH_UNLINKED,	   /* data is gone */
	PATH_ZEROES,	   /* a cluster has the zero flag */
	PATH_KEPT,	   /* a cluster has the zero flag and keeps its place */
	PATH_REUSED,	   /* a guest's cluster lies where another one lay */
	PATH_HOLE,	   /* a hole was punched */
	PATH_WRAP,	   /* the journal's ring went round */
	PATH_REPLAY,	   /* a journal was replayed */
	PATH_AFTER_LOSS,   /* an image lived on after a loss of power */
	NR_PATHS,
};

#define PATHS_CLUSTERS 65536u /* of a file that are looked at */

struct paths {
	unsigned int seen[NR_PATHS];
	uint32_t owners[PATHS_CLUSTERS]; /* guest cluster, plus one, that lay
					    there last */
};

/* Another image begins. */
void paths_begin(struct paths *paths);

/* Notes the differences between two states of an image. */
void paths_compare(struct paths *paths, const struct script *script,
		   const struct disk *before, const struct disk *after);
/* Dies if the test has left out a way; prints how often it has gone each. */
void paths_report(const struct paths *paths);

#endif /* PATHS_H */
