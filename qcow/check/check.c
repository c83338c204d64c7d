// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finds the faults of an image, and mends them.
 *
 * A round looks at everything once: it counts the references to each cluster
 * (walk.c), compares them with the counts in the refcount blocks (compare.c)
 * and then the COPIED flags with the counts (copied.c).  That is a plain check.
 * A repair (repair.c) goes between two rounds, so the report at the end is that
 * of the last round and not the hope of the repair.  To mend one thing may
 * bring another to light; the repair is done again while it helps.
 *
 * The image is input (P6).  The memory has a bound for any image: a window of
 * references (counts.c), a list of L2 tables and some buffers of a cluster.
 * The time follows from the tables that are in the file (tables.c).  The file
 * is used through the page cache: everything is read once, in order, or soon
 * again.
 *
 * The locks are a writer's if there is to be a repair, a reader's otherwise;
 * an image in use is refused either way (P4).
 */
#include <errno.h>
#include <stdlib.h>
#include "qcow/check/check.h"
#include "qcow/image.h"
#include "qcow/layers.h"

#define DEFAULT_MEMORY (64u << 20)
#define MIN_MEMORY     4096u
#define MAX_ROUNDS     4

static int look_at_window(struct check *check)
{
	int ret = check_compare(check, COUNTS_STAY);

	return ret ? ret : check_copied(check, COPIED_TELL);
}

static int find_end(struct check *check)
{
	int ret = file_size(check->file, &check->file_size);

	check->clusters = div_round_up(check->file_size,
				       check_cluster_size(check));
	return ret;
}

static void forget_round(struct check *check)
{
	check->reporting = true;
	check->incomplete = false;
	check->headless = false;
	check->behind = false;
	check->tangled = false;
	check->hopeless = false;
	check->mixed = false;
	check->malformed = false;
	check->miscounted = false;
	check->mendable = false;
	check->copied_findings = 0;
	check->highest = 0;
	check->highest_used = 0;
	check->result = (struct qcow_check){
		.total_clusters = div_round_up(check->header.size,
					       check_cluster_size(check)),
	};
}

int check_round(struct check *check)
{
	int ret = find_end(check);

	forget_round(check);
	if (!ret)
		ret = check_load_refcount_table(check);
	if (!ret)
		ret = check_find_roots(check);
	if (!ret)
		ret = check_each_window(check, look_at_window);
	check->result.image_end_offset = (check->highest_used + 1)
					 << check->header.cluster_bits;
	check_progress(check, check->clusters, check->clusters);
	return ret;
}

int check_each_window(struct check *check, window_function *function)
{
	uint64_t first = 0;
	int ret = 0;

	while (first < check->clusters && !ret) {
		ret = check_count(check, first);
		if (!ret)
			ret = function(check);
		first = check->counts.limit;
	}
	return ret;
}

static uint64_t nr_findings(const struct check *check)
{
	return check->result.corruptions + check->result.leaks;
}

/* To mend a table may turn the old one into leaks. */
static bool is_better(const struct qcow_check *now,
		      const struct qcow_check *before)
{
	if (now->corruptions != before->corruptions)
		return now->corruptions < before->corruptions;
	return now->leaks < before->leaks;
}

static bool wants_repair(const struct check *check)
{
	/* Nothing is written on the strength of half a look. */
	if (check->result.check_errors)
		return false;
	if (check->options->repair == QCOW_REPAIR_ALL)
		return nr_findings(check);
	return check->result.leaks || check->copied_findings;
}

static uint64_t fewer(uint64_t before, uint64_t after)
{
	return before > after ? before - after : 0;
}

static int repair_rounds(struct check *check)
{
	struct qcow_check first = check->result, before;
	bool better = true;
	int ret = 0;

	for (int n = 0; n < MAX_ROUNDS && better && wants_repair(check); n++) {
		before = check->result;
		ret = check_repair(check);
		if (!ret)
			ret = check_round(check);
		if (ret)
			return ret;
		better = is_better(&check->result, &before);
	}
	check->result.corruptions_fixed = fewer(first.corruptions,
						check->result.corruptions);
	check->result.leaks_fixed = fewer(first.leaks, check->result.leaks);
	/* Leaks are no harm: they do not keep an image from being written. */
	if (check->result.corruptions || check->result.check_errors)
		return 0;
	return check_clear_bits(check,
				INCOMPATIBLE_DIRTY | INCOMPATIBLE_CORRUPT, 0);
}

/* With counts like these QEMU's repair of leaks gives up; ours does the safe
   part, but scripts must see the same status. */
static void judge_counts(struct check *check)
{
	if (check->options->repair != QCOW_REPAIR_LEAKS || !check->miscounted)
		return;
	check->result.check_errors++;
	check_say(
		check,
		"ERROR the refcount structures have to be rebuilt: 'check -r all' does that");
}

static int run(struct check *check)
{
	int ret = check_round(check);

	if (ret || check->options->repair == QCOW_REPAIR_NONE)
		return ret;
	ret = repair_rounds(check);
	if (!ret)
		judge_counts(check);
	return ret;
}

/* ---- beginning and end ---- */

static int allocate(struct check *check)
{
	size_t memory = check->options->memory ? check->options->memory :
						 DEFAULT_MEMORY;
	uint64_t size = check_cluster_size(check);

	memory = max_u64(memory, MIN_MEMORY);
	/* A quarter for the list of L2 tables. */
	check->counts.budget = memory - memory / 4;
	check->tables.capacity = memory / 4 / sizeof(struct table);
	check->tables.list = calloc(check->tables.capacity,
				    sizeof(struct table));
	check->block_states = calloc(MAX_REFCOUNT_TABLE_BYTES / 8, 1);
	check->table = file_buffer(size);
	check->block = file_buffer(size);
	if (!check->tables.list || !check->block_states || !check->table ||
	    !check->block)
		return -ENOMEM;
	return 0;
}

static void release(struct check *check)
{
	counts_destroy(&check->counts);
	free(check->tables.list);
	free(check->block_states);
	free(check->table);
	free(check->block);
	free(check->roots);
	free(check->lost);
	free(check->refcount_table);
	free(check->header_area.bytes);
}

/* Where the bit alone is set, no entry is true: the guest's whole data would be
   taken for leaks. */
static int judge_data_file(const struct check *check, struct qcow_error *error)
{
	char name[MAX_BACKING_NAME + 1];

	if (!check_has_data_file(check))
		return 0;
	return data_find_name(&check->header, &check->header_area, name,
			      sizeof(name), error);
}

static int judge_features(const struct check *check, struct qcow_error *error)
{
	const struct header *h = &check->header;
	uint64_t known = INCOMPATIBLE_DIRTY | INCOMPATIBLE_CORRUPT |
			 INCOMPATIBLE_DATA_FILE | INCOMPATIBLE_COMPRESSION |
			 INCOMPATIBLE_EXTENDED_L2;

	if (h->incompatible & ~known)
		return fail(error, -EINVAL,
			    "uses unknown incompatible features (mask %#llx)",
			    (unsigned long long)(h->incompatible & ~known));
	if (h->incompatible & INCOMPATIBLE_EXTENDED_L2 && h->cluster_bits < 14)
		return fail(
			error, -EINVAL,
			"extended L2 entries need clusters of 16 KiB at least");
	/* The meaning of its entries is unknown. */
	if (h->crypt_method > CRYPT_LUKS)
		return fail(error, -EINVAL, "unknown encryption method %u",
			    h->crypt_method);
	if (support_check_raw_data(h, error) ||
	    support_check_compression(h, error))
		return -EINVAL;
	return 0;
}

static int explain(int ret, struct qcow_error *error)
{
	if (ret == -ENOSPC)
		return fail(
			error, ret,
			"its repair needs space for new tables behind its last cluster, and there is none");
	return ret ? fail(error, ret, "checking it: %s", strerror(-ret)) : 0;
}

/* The header has been read. */
static int check_image(struct check *check, struct qcow_error *error)
{
	int ret = judge_features(check, error);

	if (!ret)
		ret = judge_data_file(check, error);
	if (ret)
		return ret;
	check->entry_size = check_has_subclusters(check) ? 16 : 8;
	check->block_bits = check->header.cluster_bits + 3 -
			    check->header.refcount_order;
	ret = allocate(check);
	if (!ret)
		ret = run(check);
	return explain(ret, error);
}

/* Another format is no broken image. */
static int judge_format(struct file *file, struct qcow_error *error)
{
	uint8_t *bytes;
	int ret = header_read_first(file, &bytes, error);

	if (ret)
		return ret;
	if (load_be32(bytes + HEADER_MAGIC) != QCOW_MAGIC)
		ret = fail(error, -ENOTSUP,
			   "not a qcow2 image; other formats have no check");
	else if (load_be32(bytes + HEADER_VERSION) == 1)
		ret = fail(error, -ENOTSUP, "qcow version 1 has no check");
	free(bytes);
	return ret;
}

static int judge_journal(struct check *check, struct qcow_error *error)
{
	if (!journal_is_pending(check->file, &check->header,
				check->options->journal_dir))
		return 0;
	if (check->options->repair != QCOW_REPAIR_NONE)
		return fail(
			error, -EBUSY,
			"acknowledged writes are still in its journal and not in its tables; 'ublk-qcow2 add' and 'del' bring them in, then repair it");
	check_say(
		check,
		"WARNING acknowledged writes are still in its journal and not in its tables; this report is about the tables; 'ublk-qcow2 recover' or 'add' bring them in");
	return 0;
}

static int open_and_check(struct check *check, const char *path,
			  struct qcow_error *error)
{
	struct qcow_options options = {
		.read_only = check->options->repair == QCOW_REPAIR_NONE,
		.cache = QCOW_CACHE_WRITEBACK,
		.locking = QCOW_LOCK_TEST,
		.test = check->options->test,
	};
	int ret = file_open(check->file, path, &options, error);

	if (!ret)
		ret = lock_image(check->file, &options, error);
	if (!ret)
		ret = judge_format(check->file, error);
	if (!ret)
		ret = header_read_unplaced(check->file, &check->header,
					   &check->header_area, error);
	if (!ret)
		ret = judge_journal(check, error);
	return ret ? ret : check_image(check, error);
}

int qcow_check(const char *path, const struct qcow_check_options *options,
	       struct qcow_check *result, struct qcow_error *error)
{
	struct file file = { .fd = -1 };
	struct check check = { .file = &file, .options = options };
	int ret = open_and_check(&check, path, error);

	*result = check.result;
	release(&check);
	file_close(&file);
	return ret;
}

int check_rebuild(struct file *file, const struct qcow_options *engine,
		  struct qcow_error *error)
{
	const struct qcow_check_options options = {
		.repair = QCOW_REPAIR_ALL,
	};
	struct check check = {
		.file = file,
		.options = &options,
		.keep_mark = true,
	};
	int ret = header_read(file, &check.header, &check.header_area, error);

	if (!ret)
		ret = check_image(&check, error);
	if (!ret && (check.result.corruptions || check.result.check_errors))
		ret = fail(
			error, -EUCLEAN,
			"its refcounts were left behind and cannot be rebuilt: %llu corruptions, %llu errors; see 'ublk-qcow2 check'",
			(unsigned long long)check.result.corruptions,
			(unsigned long long)check.result.check_errors);
	if (!ret && engine->notice)
		engine->notice(
			engine->opaque,
			"was not closed cleanly by its last user; its refcounts have been rebuilt");
	release(&check);
	return ret;
}
