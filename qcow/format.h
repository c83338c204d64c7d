/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qcow2 format as it lies in the file.  Everything is big endian and
 * counted in clusters of 2^cluster_bits bytes.
 *
 *	header (cluster 0)
 *	  | l1_table_offset		  | refcount_table_offset
 *	  v				  v
 *	L1 table			refcount table
 *	  one entry per L2 table	  one offset per refcount block
 *	  v				  v
 *	L2 table (one cluster)		refcount block (one cluster)
 *	  one entry per guest cluster	  one count per host cluster of the
 *	  v				  file, 1 to 64 bits wide
 *	data cluster
 *
 * Guest offset:   | L1 index | L2 index (cluster_bits - 3 bits) | in cluster |
 *
 * A reference counts once for: header, every cluster of both top tables,
 * refcount blocks, L2 tables, data clusters.  COPIED in an entry says that it
 * points to a cluster whose count is exactly one, so that the cluster may be
 * changed in place.
 */
#ifndef QCOW_FORMAT_H
#define QCOW_FORMAT_H

#include <stdint.h>

#define QCOW_MAGIC 0x514649fbu /* "QFI\xfb" */

/* Limits, the same as QEMU's. */
#define MIN_CLUSTER_BITS	  9
#define MAX_CLUSTER_BITS	  21
#define MIN_EXTENDED_CLUSTER_BITS 14
#define MAX_REFCOUNT_ORDER	  6
#define MAX_L1_BYTES		  (32u << 20)
#define MAX_REFCOUNT_TABLE_BYTES  (8u << 20)
#define MAX_BACKING_NAME	  1023

/* Header: byte offsets of its fields. */
enum {
	HEADER_MAGIC = 0,
	HEADER_VERSION = 4,
	HEADER_BACKING_OFFSET = 8,
	HEADER_BACKING_SIZE = 16,
	HEADER_CLUSTER_BITS = 20,
	HEADER_SIZE = 24,
	HEADER_CRYPT_METHOD = 32,
	HEADER_L1_SIZE = 36, /* entries */
	HEADER_L1_OFFSET = 40,
	HEADER_REFCOUNT_TABLE_OFFSET = 48,
	HEADER_REFCOUNT_TABLE_CLUSTERS = 56,
	HEADER_NB_SNAPSHOTS = 60,
	HEADER_SNAPSHOTS_OFFSET = 64,
	HEADER_V2_LENGTH = 72,
	HEADER_INCOMPATIBLE = 72,
	HEADER_COMPATIBLE = 80,
	HEADER_AUTOCLEAR = 88,
	HEADER_REFCOUNT_ORDER = 96,
	HEADER_LENGTH = 100,
	HEADER_V3_LENGTH = 104,
	HEADER_COMPRESSION_TYPE = 104, /* one byte, if the header has it */
};

/* Header extensions: type, length (32 bits each), data padded to 8. */
#define EXTENSION_END		 0x00000000u
#define EXTENSION_BACKING_FORMAT 0xe2792acau
#define EXTENSION_FEATURE_NAMES	 0x6803f857u
#define EXTENSION_BITMAPS	 0x23852875u
#define EXTENSION_ENCRYPTION	 0x0537be77u
#define EXTENSION_DATA_FILE	 0x44415441u
#define EXTENSION_VOID		 0x766f6964u /* ours: means nothing */
#define EXTENSION_LIFE		 0x75626c6bu /* ours: "ublk", see header.c */
#define EXTENSION_MERGED	 0x6d726764u /* ours: "mrgd", see merged.c */

/* A feature name table entry: type, bit, 46 bytes of name. */
#define FEATURE_NAME_SIZE 48

/* crypt_method */
#define CRYPT_AES  1u
#define CRYPT_LUKS 2u

/* incompatible_features */
#define INCOMPATIBLE_DIRTY	 (1ull << 0) /* refcounts may be behind */
#define INCOMPATIBLE_CORRUPT	 (1ull << 1) /* do not write */
#define INCOMPATIBLE_DATA_FILE	 (1ull << 2) /* clusters live elsewhere */
#define INCOMPATIBLE_COMPRESSION (1ull << 3) /* not deflate */
#define INCOMPATIBLE_EXTENDED_L2 (1ull << 4) /* subclusters */

/* compatible_features */
#define COMPATIBLE_LAZY_REFCOUNTS (1ull << 0)

/* autoclear_features: a writer clears those that it does not know */
#define AUTOCLEAR_BITMAPS  (1ull << 0)
#define AUTOCLEAR_RAW_DATA (1ull << 1)
#define AUTOCLEAR_LIFE	   (1ull << 63) /* ours: a journal may exist */

/* L1 and L2 entries */
#define ENTRY_COPIED	 (1ull << 63)
#define ENTRY_COMPRESSED (1ull << 62) /* L2 only */
#define ENTRY_OFFSET	 0x00fffffffffffe00ull
#define ENTRY_ZERO	 (1ull << 0) /* L2 of version 3 only */

/* The second word of an extended L2 entry: a bit for each subcluster that is
   allocated, and one for each that reads as zero; never both. */
#define SUBCLUSTER_BITS		5
#define ALL_SUBCLUSTERS		0xffffffffull
#define SUBCLUSTER_ALLOCATED(i) (1ull << (i))
#define SUBCLUSTER_ZERO(i)	(1ull << (32 + (i)))
#define ALL_ZERO		(ALL_SUBCLUSTERS << 32)

#endif /* QCOW_FORMAT_H */
