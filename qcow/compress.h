/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compressed clusters: finding them, and unpacking them. */
#ifndef QCOW_COMPRESS_H
#define QCOW_COMPRESS_H

#include <stdint.h>
#include "qcow/file.h"

/* As the header's compression_type has it. */
enum compression {
	COMPRESSION_DEFLATE = 0,
	COMPRESSION_ZSTD = 1,
};

/* Where an L2 entry says that a compressed cluster lies. */
struct compressed {
	uint64_t offset; /* of its first byte in the file */
	uint32_t length; /* bytes, at most; the last may be garbage */
	uint64_t first;	 /* host clusters that the bytes touch: each */
	uint64_t count;	 /*  counts a reference for this entry */
};

/* compress.c */

/* The contents of an L2 entry with ENTRY_COMPRESSED. */
void compress_locate(uint64_t entry, uint32_t cluster_bits,
		     struct compressed *where);

struct bytes {
	const uint8_t *at;
	size_t length;
};

struct decoder;

int decoder_create(enum compression type, struct decoder **decoder);
void decoder_destroy(struct decoder *decoder);

/* Unpacks a stream of exactly length bytes; bytes behind it are ignored.
   -EIO if it is not such a stream.  For one thread at a time. */
int decoder_unpack(struct decoder *decoder, struct bytes from, uint8_t *to,
		   uint32_t length);

/* unpack.c */

struct unpacker;

/*
 * Reads the bytes from skip on of the cluster that an entry names.  Blocks;
 * from any thread, and not under image->lock.  The host clusters must
 * not change meanwhile.  -EIO for a stream that is not one cluster.
 */
int unpacker_read(struct unpacker *unpacker, struct file *file, uint64_t entry,
		  void *buffer, uint32_t skip, uint32_t length);

/* Host clusters from first on were freed, or will be written to: nothing of
   them is remembered.  Does not block on I/O. */
void unpacker_forget(struct unpacker *unpacker, uint64_t first, uint64_t count);

/* Prepares for one image's clusters; all memory is allocated here.  -ENOTSUP
   for an unknown type. */
int unpacker_create(enum compression type, uint32_t cluster_bits,
		    struct unpacker **unpacker);

/* No read may be under way; NULL is fine. */
void unpacker_destroy(struct unpacker *unpacker);

#endif /* QCOW_COMPRESS_H */
