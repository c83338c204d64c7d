// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>
#include "tests/engine/l2-prediction.h"
#include "qcow/bits.h"
#include "qcow/format.h"

static struct entry decode(uint64_t word, uint64_t bitmap)
{
	struct entry e = {
		.host = word & ENTRY_OFFSET,
		.packed = word & ENTRY_COMPRESSED,
		.bitmap = bitmap,
	};

	e.own = word & ENTRY_COPIED;
	e.has_host = e.host || e.own;
	if (e.packed) {
		e.has_host = false;
		e.host = 0;
	}
	return e;
}

void entries_read(const char *path, struct entry *entries, uint64_t count)
{
	size_t size;
	uint8_t *bytes = read_file(path, &size);
	const uint8_t *l1 = bytes + load_be64(bytes + HEADER_L1_OFFSET);
	const uint8_t *l2 = bytes + (load_be64(l1) & ENTRY_OFFSET);

	for (uint64_t g = 0; g < count; g++)
		entries[g] = decode(load_be64(l2 + g * 16),
				    load_be64(l2 + g * 16 + 8));
	free(bytes);
}

static bool shows_under(const struct prediction *f, uint64_t guest)
{
	return guest * f->cluster < f->base_size;
}

static bool is_shared(const struct entry *e)
{
	return e->packed || (e->has_host && !e->own);
}

static void predict_write(struct prediction *f, uint64_t guest,
			  unsigned int first, unsigned int last)
{
	struct entry *e = &f->entries[guest];

	if (is_shared(e)) {
		first = 0;
		last = 31;
		*e = (struct entry){ 0 };
	}
	for (unsigned int i = first; i <= last; i++) {
		e->bitmap |= 1ull << i;
		e->bitmap &= ~(1ull << 32 << i);
	}
	if (e->has_host)
		return;
	e->has_host = e->own = true;
	e->moved = !f->data_file;
	e->host = guest * f->cluster;
}

static void predict_unlink(struct prediction *f, uint64_t guest, bool keep)
{
	struct entry *e = &f->entries[guest];

	/* A cluster that is zero already may stay shared. */
	if (keep && e->has_host &&
	    (e->own || e->bitmap == 0xffffffffull << 32)) {
		e->bitmap = 0xffffffffull << 32;
		return;
	}
	*e = (struct entry){ 0 };
	if (shows_under(f, guest))
		e->bitmap = 0xffffffffull << 32;
}

static bool may_have_data(const struct prediction *f, uint64_t guest)
{
	const struct entry *e = &f->entries[guest];

	return e->packed || e->bitmap & 0xffffffff ||
	       (e->bitmap >> 32 != 0xffffffff && shows_under(f, guest));
}

/* Predicts the change of one cluster in the operation's range. */
static void predict_cluster(struct prediction *f, const struct operation *o,
			    uint64_t guest)
{
	uint64_t start = guest * f->cluster, stop = o->offset + o->length;
	uint64_t first = max_u64(start, o->offset);
	uint64_t end = min_u64(start + f->cluster, stop);
	uint32_t sub = f->cluster / 32;
	bool whole = first == start &&
		     (end == start + f->cluster || stop == f->size);
	bool zeroes = o->kind == OPERATION_ZEROES_KEEP ||
		      o->kind == OPERATION_ZEROES_UNMAP;

	if (whole && (zeroes || o->kind == OPERATION_DISCARD))
		predict_unlink(f, guest, o->kind == OPERATION_ZEROES_KEEP);
	else if (o->kind == OPERATION_WRITE ||
		 (zeroes && may_have_data(f, guest)))
		predict_write(f, guest, (first - start) / sub,
			      (end - 1 - start) / sub);
}

void predict(struct prediction *f, const struct operation *o)
{
	uint64_t end = div_round_up(o->offset + o->length, f->cluster);

	operation_apply(o, f->bytes, f->size, f->cluster);
	if (o->kind == OPERATION_FLUSH)
		return;
	for (uint64_t g = o->offset / f->cluster; g < end; g++)
		predict_cluster(f, o, g);
}
