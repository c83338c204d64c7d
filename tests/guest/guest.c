// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest without a kernel, for tests: up in seconds even where virtual
 * machines are emulated twice.  It drives virtio-blk itself, with sixteen
 * requests at a time, and never flushes.
 *
 * Each disk has a region of blocks.  In pass P = 1, 2, 3 and so on, the guest
 * writes P into every block of each region, a batch of sixteen at a time, in an
 * order that jumps about.  After each batch it reads that batch, and then
 * sixteen random blocks.  These must hold P, or P - 1 if their turn is still to
 * come.  A sector holds P, its own number, and words that follow from both.  So
 * the guest can tell a lost, a stale or a torn sector from the right one.  A
 * block of pass 0 is zeroes.  A disk that was in use before is read from end to
 * end first.  The work on that disk goes on where it was left, and no written
 * block may be missing.
 *
 * On the serial port the guest says `disk D: N` when N blocks have been written
 * and verified; D counts from 0 in the order of the PCI slots.  After `error`
 * or `mismatch` the guest halts.  When the power button is pressed (virsh
 * shutdown), it says `disk D: N in the end` and turns the power off.  Disks may
 * come and go.
 */
#include "machine.h"
#include "virtio.h"

enum {
	BLOCKS = 512, /* of a region; these four as in guest-data.c */
	STRIDE = 16,  /* sectors from one to the next */
	FIRST = 128,  /* sector of the region */
	JUMP = 0x9e5,
	DISKS = 4,
};

struct disk {
	bool there;
	uint8_t slot;
	struct virtio virtio;
	uint32_t pass; /* the pass under way */
	uint32_t done; /* written blocks of that pass */
	uint32_t chance;
	uint32_t batch[BATCH]; /* blocks that are under way or in memory */
};

static struct disk disks[DISKS];

/* --- telling -------------------------------------------------------------- */

static void tell(const struct disk *disk, const char *text)
{
	print("disk ");
	print_number(disk - disks);
	print(": ");
	print(text);
}

static void tell_progress(const struct disk *disk, const char *how)
{
	tell(disk, "");
	print_number((disk->pass - 1) * BLOCKS + disk->done);
	print(how);
}

/* The guest ends here: tells the failure and its block. */
static void __attribute__((noreturn))
stop(const struct disk *disk, const char *text, uint32_t block, uint32_t what)
{
	tell(disk, text);
	print(", block ");
	print_number(block);
	print(" ");
	print_number(what);
	print(", in pass ");
	print_number(disk->pass);
	print(" after block ");
	print_number(disk->done);
	print("\n");
	machine_halt();
}

/* --- reading and writing -------------------------------------------------- */

static uint32_t sector_of(uint32_t block)
{
	return FIRST + (block * JUMP & (BLOCKS - 1)) * STRIDE;
}

/* Begins to read or write all blocks of the batch at once. */
static void submit(struct disk *disk, enum operation operation)
{
	for (int i = 0; i < BATCH; i++)
		virtio_prepare(&disk->virtio, i, operation,
			       sector_of(disk->batch[i]));
	virtio_submit(&disk->virtio);
}

static void wait(const struct disk *disk)
{
	virtio_wait(&disk->virtio);
	for (int i = 0; i < BATCH; i++)
		if (virtio_status(&disk->virtio, i))
			stop(disk, "error", disk->batch[i],
			     virtio_status(&disk->virtio, i));
}

/* --- the contents of blocks ----------------------------------------------- */

static uint32_t follow(uint32_t word)
{
	return word * 1664525 + 1013904223;
}

/* Fills a sector for a pass; or tells whether the sector holds just that. */
static bool sector_for(uint32_t words[WORDS], uint32_t sector, uint32_t pass,
		       bool fill)
{
	uint32_t next = pass ^ (sector << 16 | sector >> 16);

	if (fill) {
		words[0] = pass;
		words[1] = sector;
	} else if (words[0] != pass || words[1] != (pass ? sector : 0)) {
		return false;
	}
	for (int i = 2; i < WORDS; i++) {
		next = pass ? follow(next) : 0;
		if (fill)
			words[i] = next;
		else if (words[i] != next)
			return false;
	}
	return true;
}

static void fill(struct disk *disk, int i)
{
	for (int j = 0; j < LENGTH; j++)
		sector_for(virtio_data(&disk->virtio, i)[j],
			   sector_of(disk->batch[i]) + j, disk->pass, true);
}

static bool holds(const struct disk *disk, int i, uint32_t pass)
{
	for (int j = 0; j < LENGTH; j++)
		if (!sector_for(virtio_data(&disk->virtio, i)[j],
				sector_of(disk->batch[i]) + j, pass, false))
			return false;
	return true;
}

static void verify(const struct disk *disk)
{
	for (int i = 0; i < BATCH; i++)
		if (!holds(disk, i,
			   disk->pass - (disk->batch[i] >= disk->done)))
			stop(disk, "mismatch", disk->batch[i],
			     virtio_data(&disk->virtio, i)[0][0]);
}

/* --- disks come and go ---------------------------------------------------- */

static void next_batch(struct disk *disk)
{
	for (int i = 0; i < BATCH; i++)
		disk->batch[i] = disk->done + i;
}

static void read_batch(struct disk *disk)
{
	next_batch(disk);
	submit(disk, READ);
	wait(disk);
}

static uint32_t newest_pass(const struct disk *disk)
{
	uint32_t newest = 0, pass;

	for (int i = 0; i < BATCH; i++) {
		pass = virtio_data(&disk->virtio, i)[0][0];
		if (pass > newest)
			newest = pass;
	}
	return newest;
}

/* Reads the whole disk and finds where the work was left.  Up to there the
   blocks are of one pass, and from there on of the pass before.  The batch that
   was under way then may hold both. */
static void survey(struct disk *disk)
{
	uint32_t left = BLOCKS;

	read_batch(disk);
	disk->pass = newest_pass(disk);
	for (; disk->done < BLOCKS; disk->done += BATCH) {
		read_batch(disk);
		for (int i = 0; i < BATCH; i++) {
			if (disk->done <= left && holds(disk, i, disk->pass))
				continue;
			if (!disk->pass || !holds(disk, i, disk->pass - 1))
				stop(disk, "mismatch", disk->batch[i],
				     virtio_data(&disk->virtio, i)[0][0]);
			if (left == BLOCKS)
				left = disk->done;
		}
	}
	disk->pass += left == BLOCKS;
	disk->done = left % BLOCKS;
}

static bool known(uint8_t slot)
{
	for (int i = 0; i < DISKS; i++)
		if (disks[i].there && disks[i].slot == slot)
			return true;
	return false;
}

static void look_into(uint8_t slot)
{
	struct disk *disk = disks;

	if (!virtio_probe(slot) || known(slot))
		return;
	while (disk->there)
		if (++disk == disks + DISKS)
			return;
	*disk = (struct disk){ .there = true, .slot = slot, .chance = 1 };
	virtio_setup(&disk->virtio, slot, disk - disks);
	survey(disk);
	tell_progress(disk, " at first\n");
}

/* Runs once in a round, when no request is under way. */
static void plug_and_unplug(void)
{
	uint32_t plugged = slots_plugged(), unplug = slots_to_unplug();

	for (int i = 0; i < DISKS; i++) {
		if (!disks[i].there || !(unplug >> disks[i].slot & 1))
			continue;
		tell_progress(&disks[i], " when unplugged\n");
		disks[i].there = false;
	}
	if (unplug)
		slots_eject(unplug);
	for (int slot = 0; slot < SLOTS; slot++)
		if (plugged >> slot & 1)
			look_into(slot);
}

/* --- the work ------------------------------------------------------------- */

static void begin_writing(struct disk *disk)
{
	next_batch(disk);
	for (int i = 0; i < BATCH; i++)
		fill(disk, i);
	submit(disk, WRITE);
}

static void begin_reading_that(struct disk *disk)
{
	disk->done += BATCH;
	submit(disk, READ);
}

static void begin_reading_others(struct disk *disk)
{
	verify(disk);
	for (int i = 0; i < BATCH; i++) {
		disk->chance = follow(disk->chance);
		disk->batch[i] = disk->chance >> 16 & (BLOCKS - 1);
	}
	submit(disk, READ);
}

static void report(struct disk *disk)
{
	verify(disk);
	tell_progress(disk, "\n");
	if (disk->done == BLOCKS) {
		disk->done = 0;
		disk->pass++;
	}
}

/* Does this on all disks at the same time. */
static void each(void (*begin)(struct disk *disk))
{
	for (int i = 0; i < DISKS; i++)
		if (disks[i].there)
			begin(&disks[i]);
	if (begin == report)
		return;
	for (int i = 0; i < DISKS; i++)
		if (disks[i].there)
			wait(&disks[i]);
}

static void end(void)
{
	for (int i = 0; i < DISKS; i++)
		if (disks[i].there)
			tell_progress(&disks[i], " in the end\n");
	power_off();
}

void guest(void);
void guest(void)
{
	machine_setup();
	for (int slot = 0; slot < SLOTS; slot++)
		look_into(slot);
	for (;;) {
		each(begin_writing);
		each(begin_reading_that);
		each(begin_reading_others);
		each(report);
		plug_and_unplug();
		if (power_button())
			end();
	}
}
