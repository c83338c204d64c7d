// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The judgement on each end of a record.  A model of the operations gives the
 * stamps that a sector may have.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/engine/crash.h"
#include "tests/engine/ends.h"
#include "tests/lib/helpers.h"
#include "tests/lib/judge.h"
#include "tests/lib/qemu-check.h"

void read_stamps(struct qcow_image *image, uint32_t *stamps, const char *where)
{
	uint8_t *bytes = aligned_alloc(4096, round_up(test.script.size, 4096));

	must(qcow_read(image, bytes, 0, test.script.size), "read");
	for (uint64_t s = 0; s < test.script.size / SECTOR; s++)
		stamps[s] = stamp_of(bytes + s * SECTOR, s, where);
	free(bytes);
}

/* ---- judgement ---- */

static void read_raw_stamps(const struct disk *disk, uint32_t *stamps,
			    const char *where)
{
	for (uint64_t s = 0; s < test.script.size / SECTOR; s++) {
		uint8_t bytes[SECTOR];

		judge_read(disk->bytes, disk->size, s, bytes);
		stamps[s] = stamp_of(bytes, s, where);
	}
}

/* Reads the stamps of images that the judge cannot read: through the engine,
   without a journal. */
static void read_layered_stamps(const struct disk *disk, uint32_t *stamps,
				const char *where)
{
	struct qcow_image *image;
	struct disk copy;

	disk_copy(&copy, disk);
	unlink(journal_path());
	image = open_disk(&copy, true);
	read_stamps(image, stamps, where);
	must(qcow_close(image), "close");
	disk_free(&copy);
}

static void check_image(const struct disk *disk, bool leaks_allowed,
			unsigned int high, unsigned int low, const char *where)
{
	uint32_t *stamps = script_new_stamps(&test.script);
	struct verdict verdict;

	judge(disk->bytes, disk->size, &verdict);
	if (verdict.corruptions || (verdict.leaks && !leaks_allowed))
		die("%s: %s: %u corruptions, %u leaks: %s",
		    test.script.geometry->options, where, verdict.corruptions,
		    verdict.leaks, verdict.first);
	if (test.script.geometry->base >= COMPRESSED)
		read_layered_stamps(disk, stamps, where);
	else
		read_raw_stamps(disk, stamps, where);
	script_check(&test.script, stamps, low, high, where);
	free(stamps);
}

/* A second judge, which is not ours: qemu-img check. */
static void check_qemu(const struct disk *disk, bool leaks_allowed)
{
	check_disk(disk, leaks_allowed, test.script.geometry->options);
	test.checks++;
}

static void judge_death(const struct disk *state, const struct step *step,
			bool sample)
{
	uint32_t *stamps = script_new_stamps(&test.script);
	unsigned int low = step->acked;
	struct qcow_image *image;
	struct disk disk;

	disk_copy(&disk, state);
	write_file(journal_path(), step->journal, SCRIPT_JOURNAL);
	image = open_disk(&disk, false);
	read_stamps(image, stamps, "death");
	script_check(&test.script, stamps, step->acked, step->begun, "death");
	if (step->begun > step->acked && test.deaths % 2) {
		must(operation_do(&test.script.operations[step->acked], image,
				  true, &disk.hooks),
		     "reissue");
		low = step->begun;
	}
	must(qcow_close(image), "close");
	check_image(&disk, false, step->begun, low, "death, close");
	/* The next open finds nothing of ours that it would ask about. */
	must(qcow_close(open_disk(&disk, false)), "second close");
	if (sample)
		check_qemu(&disk, false);
	test.deaths++;
	free(stamps);
	disk_free(&disk);
}

static void check_power(struct disk *disk, const struct step *step, bool sample)
{
	unsigned int low = script_flushed(&test.script, step->acked);

	check_image(disk, true, step->begun, low, "power loss");
	if (sample)
		check_qemu(disk, true);
	test.powers++;
}

void judge_steps(const struct disk *base, const struct disk *record,
		 struct random *random)
{
	static const struct ends ends = {
		.death = judge_death,
		.power = check_power,
		.death_sample = 100,
		.power_sample = 300,
	};

	ends_judge(&ends, base, record, random);
}
