// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The model has each value that a sealed group has assigned, the image as the
 * steps so far leave it, and the image as the completed syncs guarantee it.
 * The record of the engine must agree with it after every step:
 *
 *	R12	no group before the mark is durable
 *	R5	no entry is written before its cluster has a durable count
 *	R7	no count becomes zero while a durable entry names the cluster,
 *		and no hole is punched
 *	R9	a freed cluster is neither written to nor used again before its
 *		group is dropped
 *	R4, R6	the values of a dropped group are in the file, and durable;
 *		only a lower count need not be durable
 *
 * A dropped group's value may be replaced by a later group's, as long as that
 * one is in the journal.  So file and journal together say the same at any time
 * as all groups together, and a replay finds it after a death (R11).
 *
 * Only the numbers of the records' kinds come from the engine.
 */
#include <stddef.h>
#include <string.h>
#include "tests/engine/rules.h"
#include "qcow/journal.h"

#define MAX_VALUES 16384u /* assigned in one record; a power of two */
#define HOST	   0x00fffffffffffe00ull
#define COMPRESSED (1ull << 62)
#define LIFE	   (1ull << 63) /* the mark's bit */
#define RING	   4096u	/* where it begins in the journal's file */

enum kind { L1, L2, COUNT, TABLE };

struct value {
	enum kind kind;
	uint64_t index, value;
	uint64_t group;	   /* position of the last one that assigned it */
	unsigned int step; /* when that was sealed */
};

static struct {
	const char *name;
	const struct instants *instants;
	struct disk file, durable;
	uint64_t groups;
	unsigned int cluster_bits, order, version, step;
	bool extended;
	uint64_t l1, start, end; /* of the ring, as far as it was seen */
	struct value values[MAX_VALUES];
	unsigned int nr_values;
	uint32_t slots[2 * MAX_VALUES]; /* numbers of values, from 1 on */
	bool is_durable[INSTANTS_MAX];
} model;

static uint64_t load(const struct disk *disk, uint64_t at)
{
	return at + 8 <= disk->size ? load_be64(disk->bytes + at) : 0;
}

/* ---- values ---- */

static uint32_t *slot_of(enum kind kind, uint64_t index)
{
	uint64_t at = (index * 4 + kind) * 0x9e3779b97f4a7c15ull >> 40;

	for (;; at++) {
		uint32_t *slot = &model.slots[at % (2 * MAX_VALUES)];
		const struct value *v = *slot ? &model.values[*slot - 1] : NULL;

		if (!v || (v->kind == kind && v->index == index))
			return slot;
	}
}

static const struct value *find(enum kind kind, uint64_t index)
{
	const uint32_t slot = *slot_of(kind, index);

	return slot ? &model.values[slot - 1] : NULL;
}

static bool is_in_journal(const struct value *v)
{
	return v->group >= model.start;
}

/* Freed, and the group that says so is not dropped yet. */
static bool is_pending(const struct value *v)
{
	return v && v->kind == COUNT && !v->value && is_in_journal(v);
}

static void assign(enum kind kind, uint64_t index, uint64_t value,
		   uint64_t group)
{
	uint32_t *slot = slot_of(kind, index);

	if (!*slot) {
		if (model.nr_values == MAX_VALUES)
			die("%s: too many values for the model", model.name);
		*slot = ++model.nr_values;
	} else if (value && is_pending(&model.values[*slot - 1])) {
		die("%s: step %u: cluster %lu is used again before its group is dropped (R9)",
		    model.name, model.step, index);
	}
	model.values[*slot - 1] = (struct value){
		.kind = kind,
		.index = index,
		.value = value,
		.group = group,
		.step = model.step,
	};
}

/* ---- where a value stands in the file ---- */

static uint64_t place_of_entry(const struct disk *disk, uint64_t word)
{
	unsigned int bits = model.cluster_bits - 3;
	const struct value *l1 = find(L1, word >> bits);
	uint64_t table = l1 ? l1->value :
			      load(disk, model.l1 + 8 * (word >> bits));

	table &= HOST;
	return table ? table + 8 * (word & ((1ull << bits) - 1)) : 0;
}

/* Of its byte, if there are several in one. */
static uint64_t place_of_count(const struct disk *disk, uint64_t cluster)
{
	unsigned int bits = model.cluster_bits + 3 - model.order;
	const struct value *moved = find(TABLE, 0);
	uint64_t table = moved ? moved->value :
				 load(disk, HEADER_REFCOUNT_TABLE_OFFSET);
	uint64_t block = load(disk, table + 8 * (cluster >> bits));
	uint64_t in_block = cluster & ((1ull << bits) - 1);

	return block ? block + (in_block << model.order >> 3) : 0;
}

static uint64_t place_of(const struct disk *disk, const struct value *v)
{
	switch (v->kind) {
	case L1:
		return model.l1 + 8 * v->index;
	case L2:
		return place_of_entry(disk, v->index);
	case COUNT:
		return place_of_count(disk, v->index);
	case TABLE:
		return HEADER_REFCOUNT_TABLE_OFFSET;
	}
	return 0;
}

static uint64_t count_in(const struct disk *disk, uint64_t cluster)
{
	uint64_t at = place_of_count(disk, cluster), count = 0;

	if (!at || at >= disk->size)
		return 0;
	if (model.order < 3)
		return disk->bytes[at] >> (cluster << model.order & 7) &
		       ((1u << (1u << model.order)) - 1);
	for (unsigned int i = 0; i < 1u << (model.order - 3); i++)
		count = count << 8 | disk->bytes[at + i];
	return count;
}

static uint64_t value_in(const struct disk *disk, const struct value *v)
{
	uint64_t at;

	if (v->kind == COUNT)
		return count_in(disk, v->index);
	at = place_of(disk, v);
	return at ? load(disk, at) : 0;
}

/* The host cluster of an entry that has one to itself; 0: none. */
static uint64_t cluster_of(const struct value *v, uint64_t entry)
{
	if (v->kind > L2 || entry & COMPRESSED)
		return 0;
	if (v->kind == L2 && model.extended && v->index & 1)
		return 0; /* a bitmap */
	return (entry & HOST) >> model.cluster_bits;
}

/* ---- the rules ---- */

static void must_be_durably_unnamed(uint64_t cluster, const char *what)
{
	for (unsigned int i = 0; i < model.nr_values; i++) {
		const struct value *v = &model.values[i];

		if (cluster_of(v, value_in(&model.durable, v)) == cluster)
			die("%s: step %u: %s cluster %lu, which a durable entry names (R7)",
			    model.name, model.step, what, cluster);
	}
}

static void check_written(const struct value *v)
{
	uint64_t now = value_in(&model.file, v);
	uint64_t before = value_in(&model.durable, v);
	uint64_t host = cluster_of(v, now);

	if (now != v->value && !is_in_journal(v))
		die("%s: step %u: value %lu of kind %u is %#lx, and %#lx without a journal",
		    model.name, model.step, v->index, v->kind, now, v->value);
	if (now == before)
		return;
	if (host && host != cluster_of(v, before) &&
	    !count_in(&model.durable, host))
		die("%s: step %u: entry %lu names cluster %lu, which has no durable count (R5)",
		    model.name, model.step, v->index, host);
	if (v->kind == COUNT && !now)
		must_be_durably_unnamed(v->index, "no count is left of");
}

static void check_not_pending(const struct step *step)
{
	uint64_t end = (step->offset + step->length - 1) >> model.cluster_bits;
	unsigned int began = model.instants->moments[model.step].began;

	for (uint64_t c = step->offset >> model.cluster_bits; c <= end; c++) {
		const struct value *v = find(COUNT, c);

		if (is_pending(v) && began > v->step)
			die("%s: step %u: a write to cluster %lu, which was freed (R9)",
			    model.name, model.step, c);
	}
}

static void check_write(const struct step *step)
{
	check_not_pending(step);
	for (unsigned int i = 0; i < model.nr_values; i++) {
		uint64_t at = place_of(&model.file, &model.values[i]);

		if (at && at >= step->offset &&
		    at < step->offset + step->length)
			check_written(&model.values[i]);
	}
}

static void check_hole(const struct step *step)
{
	uint64_t end = (step->offset + step->length) >> model.cluster_bits;

	for (uint64_t c = step->offset >> model.cluster_bits; c < end; c++) {
		if (!is_pending(find(COUNT, c)))
			die("%s: step %u: a hole in cluster %lu, which is not free",
			    model.name, model.step, c);
		must_be_durably_unnamed(c, "a hole in");
	}
}

/* A sync covers the steps that had ended when it began. */
static void complete_sync(unsigned int began)
{
	const struct instants *instants = model.instants;

	for (unsigned int i = 0; i < model.step; i++) {
		unsigned int ended = instants->moments[i].ended;

		if (model.is_durable[i] || !ended || ended > began)
			continue;
		model.is_durable[i] = true;
		disk_apply(&model.durable, &instants->disk.steps[i]);
	}
}

/* ---- the journal ---- */

static uint64_t word_at(const uint8_t *journal, uint64_t position)
{
	uint64_t words = (INSTANT_JOURNAL - RING) / 8, word;

	memcpy(&word, journal + RING + position % words * 8, 8);
	return word;
}

static void take_record(uint64_t head, uint64_t value, uint64_t group)
{
	uint64_t index = head & ((1ull << 48) - 1);
	unsigned int kind = head >> 60;
	uint64_t step = kind == RECORD_L2_DATA ? 1ull << model.cluster_bits : 0;

	for (uint64_t i = 0; i < (head >> 48 & 0xfff); i++, index++) {
		if (kind == RECORD_L1)
			assign(L1, index, value, group);
		else if (kind == RECORD_L2 || kind == RECORD_L2_DATA)
			assign(L2, index << model.extended, value + i * step,
			       group);
		else if (kind == RECORD_L2_BITMAP)
			assign(L2, (index << 1) + 1, value, group);
		else if (kind == RECORD_REFCOUNT)
			assign(COUNT, index, value, group);
		else
			assign(TABLE, 0, value, group);
	}
}

/* The groups that are new, up to the word of zero behind the last one. */
static void take_groups(const uint8_t *journal)
{
	uint64_t seal;

	while ((seal = word_at(journal, model.end))) {
		if (model.version >= 3 &&
		    !(load(&model.durable, HEADER_AUTOCLEAR) & LIFE))
			die("%s: step %u: a group before the mark is durable (R12)",
			    model.name, model.step);
		for (uint64_t i = 1; i < (seal & 0xffff); i += 2)
			take_record(word_at(journal, model.end + i),
				    word_at(journal, model.end + i + 1),
				    model.end);
		model.end += 1 + (seal & 0xffff);
		model.groups++;
	}
}

static void check_dropped(const struct value *v)
{
	uint64_t durable = value_in(&model.durable, v);

	if (value_in(&model.file, v) != v->value)
		die("%s: step %u: the group of value %lu of kind %u is dropped, but it is not in the file (R4)",
		    model.name, model.step, v->index, v->kind);
	if (v->kind == COUNT ? durable < v->value : durable != v->value)
		die("%s: step %u: the group of value %lu of kind %u is dropped before it is durable (R6)",
		    model.name, model.step, v->index, v->kind);
}

static void take_journal(const uint8_t *journal)
{
	uint64_t before = model.start;

	take_groups(journal);
	memcpy(&model.start, journal + offsetof(struct journal_header, start),
	       sizeof(model.start));
	if (model.start == before)
		return;
	for (unsigned int i = 0; i < model.nr_values; i++)
		if (model.values[i].group >= before &&
		    !is_in_journal(&model.values[i]))
			check_dropped(&model.values[i]);
}

/* ---- a record ---- */

static void begin(const struct instants *instants, const char *name)
{
	const uint8_t *header = instants->base.bytes;

	memset(model.slots, 0, sizeof(model.slots));
	memset(model.is_durable, 0, sizeof(model.is_durable));
	model.nr_values = 0;
	model.start = model.end = model.groups = 0;
	model.name = name;
	model.instants = instants;
	model.cluster_bits = load_be32(header + HEADER_CLUSTER_BITS);
	model.version = load_be32(header + HEADER_VERSION);
	model.order = model.version < 3 ?
			      4 :
			      load_be32(header + HEADER_REFCOUNT_ORDER);
	model.extended = model.version >= 3 &&
			 load_be64(header + HEADER_INCOMPATIBLE) & 16;
	model.l1 = load_be64(header + HEADER_L1_OFFSET);
	disk_copy(&model.file, &instants->base);
	disk_copy(&model.durable, &instants->base);
}

void rules_check(const struct instants *instants, const char *name,
		 struct rules_counts *counts)
{
	begin(instants, name);
	counts->steps += instants->disk.nr_steps;
	for (unsigned int i = 0; i < instants->disk.nr_steps; i++) {
		const struct step *step = &instants->disk.steps[i];

		model.step = i;
		disk_apply(&model.file, step);
		if (step->kind == STEP_WRITE)
			check_write(step);
		else if (step->kind == STEP_PUNCH)
			check_hole(step);
		else if (step->kind == STEP_SYNC)
			complete_sync(instants->moments[i].began);
		take_journal(instants->moments[i].journal);
	}
	counts->groups += model.groups;
	disk_free(&model.file);
	disk_free(&model.durable);
}
