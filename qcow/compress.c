// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Compressed clusters.  An L2 entry names the first byte and the number of
 * sectors; several compressed clusters share a host cluster:
 *
 *	63 62 61          x x-1                0
 *	 0  1 | more sectors | offset in bytes |	x = 70 - cluster_bits
 *
 * The stream ends somewhere in the last sector, and bytes behind it are not
 * looked at.  Those sectors may lie past the end of the file; only bytes that
 * exist are decoded, so that a truncated image is an error and not zeros that
 * happen to make a stream.
 *
 * The image is not trusted.  A decoder writes one cluster and no more.  zstd is
 * called for whole frames, which it unpacks in place: no frame can ask for a
 * window.  So all memory is allocated at creation, and time is bounded by the
 * bytes of one entry.
 */
#include <errno.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>
#include "qcow/bits.h"
#include "qcow/compress.h"
#include "qcow/format.h"
#include "qcow/qcow.h"

#define DEFLATE_WINDOW (-12) /* raw; the format says so */

void compress_locate(uint64_t entry, uint32_t cluster_bits,
		     struct compressed *where)
{
	uint32_t shift = 70 - cluster_bits;
	uint64_t offset = entry & ((1ull << shift) - 1);
	uint64_t sectors =
		((entry & ~(ENTRY_COPIED | ENTRY_COMPRESSED)) >> shift) + 1;
	uint64_t end = round_down(offset, QCOW_SECTOR) + sectors * QCOW_SECTOR;

	where->offset = offset;
	where->length = end - offset;
	where->first = offset >> cluster_bits;
	where->count = ((end - 1) >> cluster_bits) - where->first + 1;
}

struct decoder {
	enum compression type;
	z_stream deflate;
	ZSTD_DCtx *zstd;
};

static int inflate_cluster(struct decoder *decoder, struct bytes from,
			   uint8_t *to, uint32_t length)
{
	z_stream *stream = &decoder->deflate;
	int ret;

	if (inflateReset(stream) != Z_OK)
		return -EIO;
	stream->next_in = from.at;
	stream->avail_in = from.length;
	stream->next_out = to;
	stream->avail_out = length;
	ret = inflate(stream, Z_FINISH);
	/* Garbage behind the stream may look like more of it. */
	if ((ret != Z_STREAM_END && ret != Z_BUF_ERROR) || stream->avail_out)
		return -EIO;
	return 0;
}

static bool is_frame(const struct bytes *from)
{
	uint32_t magic;

	if (from->length < sizeof(magic))
		return false;
	memcpy(&magic, from->at, sizeof(magic));
	return le32toh(magic) == ZSTD_MAGICNUMBER;
}

/* One frame; *from moves behind it.  Returns its size, unpacked. */
static int unpack_frame(struct decoder *decoder, struct bytes *from,
			uint8_t *to, uint32_t space, size_t *unpacked)
{
	size_t size;

	/* Older formats, that the library may know, allocate memory. */
	if (!is_frame(from))
		return -EIO;
	size = ZSTD_findFrameCompressedSize(from->at, from->length);
	if (ZSTD_isError(size))
		return -EIO;
	*unpacked = ZSTD_decompressDCtx(decoder->zstd, to, space, from->at,
					size);
	if (ZSTD_isError(*unpacked))
		return -EIO;
	from->at += size;
	from->length -= size;
	return 0;
}

/* QEMU writes one frame and reads as many as it takes. */
static int unzstd_cluster(struct decoder *decoder, struct bytes from,
			  uint8_t *to, uint32_t length)
{
	while (length) {
		size_t unpacked;
		int ret = unpack_frame(decoder, &from, to, length, &unpacked);

		if (ret)
			return ret;
		to += unpacked;
		length -= unpacked;
	}
	return 0;
}

static int create_deflate(struct decoder *decoder)
{
	static const uint8_t zero;

	if (inflateInit2(&decoder->deflate, DEFLATE_WINDOW) != Z_OK)
		return -ENOMEM;
	/* zlib allocates its window when it first needs it: now. */
	if (inflateSetDictionary(&decoder->deflate, &zero, 1) != Z_OK)
		return -ENOMEM;
	return 0;
}

static int create_zstd(struct decoder *decoder)
{
	decoder->zstd = ZSTD_createDCtx();
	return decoder->zstd ? 0 : -ENOMEM;
}

int decoder_create(enum compression type, struct decoder **result)
{
	struct decoder *decoder = calloc(1, sizeof(*decoder));
	int ret = 0;

	if (!decoder)
		return -ENOMEM;
	decoder->type = type;
	if (type == COMPRESSION_DEFLATE)
		ret = create_deflate(decoder);
	else
		ret = create_zstd(decoder);
	if (ret)
		decoder_destroy(decoder);
	else
		*result = decoder;
	return ret;
}

void decoder_destroy(struct decoder *decoder)
{
	if (!decoder)
		return;
	/* A stream that was never made is refused, not freed. */
	inflateEnd(&decoder->deflate);
	ZSTD_freeDCtx(decoder->zstd);
	free(decoder);
}

int decoder_unpack(struct decoder *decoder, struct bytes from, uint8_t *to,
		   uint32_t length)
{
	if (decoder->type == COMPRESSION_DEFLATE)
		return inflate_cluster(decoder, from, to, length);
	return unzstd_cluster(decoder, from, to, length);
}
