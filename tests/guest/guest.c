// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest without a kernel, for tests: up in seconds even where virtual
 * machines are emulated twice.  It drives virtio-blk itself, through the
 * legacy interface, with sixteen requests at a time, and never flushes.
 *
 * In pass P = 1, 2, 3 ... it writes P into every block of a region on each of
 * its disks, a batch of sixteen at a time, in an order that jumps about.
 * After each batch it reads that batch, and then sixteen blocks of chance,
 * which must hold P, or P - 1 if their turn is still to come.  A sector holds
 * P, its own number, and words that follow from both, so that a lost, a stale
 * and a torn one are told from the right one; a block of pass 0 is zeroes.
 * A disk that was in use before is read from end to end first: its work goes
 * on where it was left, and of what was written nothing may be missing.
 *
 * On the serial port it says `disk D: N` when N blocks have been written and
 * verified; D counts from 0 in the order of the PCI slots.  `error` and
 * `mismatch` end it.  When the power button is pressed (virsh shutdown), it
 * says `disk D: N in the end` and turns the power off.  Disks may come and go.
 *
 * It knows the machine `pc` with ACPI, and no other.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BLOCKS = 512,		/* of a region; these four as in guest-data.c */
	STRIDE = 16,		/* sectors from one to the next */
	FIRST = 128,		/* sector of the region */
	JUMP = 0x9e5,
	LENGTH = 8,		/* sectors of a block */
	WORDS = 128,		/* of a sector */
	BATCH = 16,
	DISKS = 4,
	SLOTS = 32,
};

struct disk {
	uint16_t port;		/* of its registers; 0: no disk */
	uint8_t slot;
	uint16_t size;		/* of its queue */
	uint16_t submitted;	/* requests, ever */
	uint32_t pass;		/* that is under way */
	uint32_t done;		/* blocks of it that are written */
	uint32_t chance;
	uint32_t batch[BATCH];	/* blocks that are under way or in memory */
};

static struct disk disks[DISKS];

/* --- the machine ---------------------------------------------------------- */

enum {
	COM1 = 0x3f8,
	PCI_ADDRESS = 0xcf8,
	PCI_DATA = 0xcfc,
	PM_STATUS = 0x600,	/* where SeaBIOS puts them */
	PM_ENABLE = 0x602,
	PM_CONTROL = 0x604,
	POWER_BUTTON = 0x100,
	POWER_OFF = 0x2000,
	PLUGGED = 0xae00,	/* slots, one bit each */
	UNPLUG = 0xae04,
	EJECT = 0xae08,
	FREE_PORTS = 0xe000,	/* for disks that BIOS has not seen */
};

#define DEFINE_PORT(type, letter)					\
static inline void out##letter(uint16_t port, type value)		\
{									\
	__asm__ volatile("out" #letter " %0, %1" :: "a"(value),		\
			 "Nd"(port) : "memory");			\
}									\
static inline type in##letter(uint16_t port)				\
{									\
	type value;							\
	__asm__ volatile("in" #letter " %1, %0" : "=a"(value) :		\
			 "Nd"(port) : "memory");			\
	return value;							\
}
DEFINE_PORT(uint8_t, b)
DEFINE_PORT(uint16_t, w)
DEFINE_PORT(uint32_t, l)

static void pci_select(uint8_t slot, uint8_t where)
{
	outl(PCI_ADDRESS, 1u << 31 | (uint32_t)slot << 11 | where);
}

static uint32_t pci_read(uint8_t slot, uint8_t where)
{
	pci_select(slot, where);
	return inl(PCI_DATA);
}

static void pci_write(uint8_t slot, uint8_t where, uint32_t value)
{
	pci_select(slot, where);
	outl(PCI_DATA, value);
}

/* 115200 baud: QEMU does emulate the time that takes. */
static void serial_setup(void)
{
	outb(COM1 + 3, 0x80);
	outb(COM1, 1);
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 3);
}

static void put(char c)
{
	while (!(inb(COM1 + 5) & 0x20))
		;
	outb(COM1, c);
}

static void print(const char *text)
{
	while (*text)
		put(*text++);
}

static void print_number(uint32_t number)
{
	if (number >= 10)
		print_number(number / 10);
	put('0' + number % 10);
}

static void __attribute__((noreturn)) halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

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

/* The end: what went wrong with which block. */
static void __attribute__((noreturn))
stop(const struct disk *disk, const char *text, uint32_t block, uint32_t what)
{
	tell(disk, text);
	print(", block ");
	print_number(block);
	put(' ');
	print_number(what);
	print(", in pass ");
	print_number(disk->pass);
	print(" after block ");
	print_number(disk->done);
	put('\n');
	halt();
}

/* --- virtio-blk ----------------------------------------------------------- */

/* Registers of the legacy interface. */
enum {
	HOST_FEATURES = 0,
	GUEST_FEATURES = 4,
	QUEUE_PAGE = 8,
	QUEUE_SIZE = 12,
	QUEUE_SELECT = 14,
	QUEUE_NOTIFY = 16,
	STATUS = 18,
};

enum {
	VIRTIO_BLK = 0x10011af4,	/* device and vendor */
	DRIVER = 3,			/* acknowledged, and there is a driver */
	DRIVER_OK = 7,
	HAS_FLUSH = 1 << 9,		/* or QEMU flushes after each write */
	NEXT = 1,
	DEVICE_WRITES = 2,
	NO_INTERRUPT = 1,
	PAGE = 4096,
};

enum operation {
	READ,
	WRITE,
};

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags;
	uint16_t next;
};

struct available {
	uint16_t flags;
	uint16_t index;
	uint16_t ring[];
};

struct used {
	uint16_t flags;
	volatile uint16_t index;
};

struct request {
	uint32_t operation;
	uint32_t reserved;
	uint64_t sector;
	uint8_t status;
};

/* What each disk has in memory, a MiB up. */
struct memory {
	uint8_t queue[16 * PAGE];
	uint32_t data[BATCH][LENGTH][WORDS];
	struct request requests[BATCH];
};

static struct memory *memory_of(const struct disk *disk)
{
	return (struct memory *)(0x100000 + (disk - disks) * 0x40000);
}

static struct descriptor *descriptors(const struct disk *disk)
{
	return (struct descriptor *)memory_of(disk)->queue;
}

static struct available *available(const struct disk *disk)
{
	return (struct available *)&descriptors(disk)[disk->size];
}

static struct used *used(const struct disk *disk)
{
	uintptr_t end = (uintptr_t)&available(disk)->ring[disk->size + 1];

	return (struct used *)((end + PAGE - 1) & -PAGE);
}

static uint64_t address_of(const void *pointer)
{
	return (uintptr_t)pointer;
}

static uint32_t sector_of(uint32_t block)
{
	return FIRST + (block * JUMP & (BLOCKS - 1)) * STRIDE;
}

/* Request i of a batch has the descriptors 3i to 3i + 2. */
static void queue_request(struct disk *disk, int i, enum operation operation)
{
	struct memory *memory = memory_of(disk);
	struct descriptor *d = descriptors(disk) + 3 * i;
	struct request *request = &memory->requests[i];

	*request = (struct request){
		.operation = operation,
		.sector = sector_of(disk->batch[i]),
		.status = 0xff,
	};
	d[0] = (struct descriptor){ address_of(request),
		offsetof(struct request, status), NEXT, 3 * i + 1 };
	d[1] = (struct descriptor){ address_of(memory->data[i]),
		sizeof(memory->data[i]),
		NEXT | (operation == READ ? DEVICE_WRITES : 0), 3 * i + 2 };
	d[2] = (struct descriptor){ address_of(&request->status), 1,
		DEVICE_WRITES, 0 };
	available(disk)->ring[disk->submitted++ & (disk->size - 1)] = 3 * i;
}

/* Begins to read or write all blocks of the batch at once. */
static void submit(struct disk *disk, enum operation operation)
{
	for (int i = 0; i < BATCH; i++)
		queue_request(disk, i, operation);
	__asm__ volatile("" ::: "memory");
	available(disk)->index = disk->submitted;
	__asm__ volatile("" ::: "memory");
	outw(disk->port + QUEUE_NOTIFY, 0);
}

/* However long it takes. */
static void wait(const struct disk *disk)
{
	const struct request *requests = memory_of(disk)->requests;

	while (used(disk)->index != disk->submitted)
		__asm__ volatile("pause" ::: "memory");
	for (int i = 0; i < BATCH; i++)
		if (requests[i].status)
			stop(disk, "error", disk->batch[i], requests[i].status);
}

static void driver_setup(struct disk *disk)
{
	uint32_t *word = (uint32_t *)memory_of(disk)->queue;
	uint16_t port = disk->port;

	for (int i = 0; i < 16 * PAGE / 4; i++)
		word[i] = 0;
	outb(port + STATUS, 0);
	outb(port + STATUS, DRIVER);
	outl(port + GUEST_FEATURES, inl(port + HOST_FEATURES) & HAS_FLUSH);
	outw(port + QUEUE_SELECT, 0);
	disk->size = inw(port + QUEUE_SIZE);
	available(disk)->flags = NO_INTERRUPT;
	outl(port + QUEUE_PAGE, (uintptr_t)word / PAGE);
	outb(port + STATUS, DRIVER_OK);
}

/* --- what blocks hold ----------------------------------------------------- */

static uint32_t follow(uint32_t word)
{
	return word * 1664525 + 1013904223;
}

/* Fills a sector for a pass, or finds out if it holds just that. */
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
		sector_for(memory_of(disk)->data[i][j],
			   sector_of(disk->batch[i]) + j, disk->pass, true);
}

static bool holds(const struct disk *disk, int i, uint32_t pass)
{
	for (int j = 0; j < LENGTH; j++)
		if (!sector_for(memory_of(disk)->data[i][j],
				sector_of(disk->batch[i]) + j, pass, false))
			return false;
	return true;
}

static void verify(const struct disk *disk)
{
	for (int i = 0; i < BATCH; i++)
		if (!holds(disk, i, disk->pass - (disk->batch[i] >= disk->done)))
			stop(disk, "mismatch", disk->batch[i],
			     memory_of(disk)->data[i][0][0]);
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
		pass = memory_of(disk)->data[i][0][0];
		if (pass > newest)
			newest = pass;
	}
	return newest;
}

/* Reads it all and finds where the work on a disk was left: up to there its
   blocks are of one pass, from there on of the one before, and the batch
   that was under way then may hold both. */
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
				     memory_of(disk)->data[i][0][0]);
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
		if (disks[i].port && disks[i].slot == slot)
			return true;
	return false;
}

static void look_into(uint8_t slot)
{
	struct disk *disk = disks;

	if (pci_read(slot, 0) != VIRTIO_BLK || known(slot))
		return;
	while (disk->port)
		if (++disk == disks + DISKS)
			return;
	if (!(pci_read(slot, 0x10) & ~3u))
		pci_write(slot, 0x10, FREE_PORTS + slot * 0x80);
	pci_write(slot, 4, pci_read(slot, 4) | 5);
	*disk = (struct disk){
		.port = pci_read(slot, 0x10) & ~3u,
		.slot = slot,
		.chance = 1,
	};
	driver_setup(disk);
	survey(disk);
	tell_progress(disk, " at first\n");
}

/* Once in a round, when no request is under way. */
static void plug_and_unplug(void)
{
	uint32_t plugged = inl(PLUGGED), unplug = inl(UNPLUG);

	for (int i = 0; i < DISKS; i++) {
		if (!disks[i].port || !(unplug >> disks[i].slot & 1))
			continue;
		tell_progress(&disks[i], " when unplugged\n");
		disks[i].port = 0;
	}
	if (unplug)
		outl(EJECT, unplug);
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

/* All disks at the same time. */
static void each(void (*begin)(struct disk *disk))
{
	for (int i = 0; i < DISKS; i++)
		if (disks[i].port)
			begin(&disks[i]);
	if (begin == report)
		return;
	for (int i = 0; i < DISKS; i++)
		if (disks[i].port)
			wait(&disks[i]);
}

static void power_button(void)
{
	if (!(inw(PM_STATUS) & POWER_BUTTON))
		return;
	for (int i = 0; i < DISKS; i++)
		if (disks[i].port)
			tell_progress(&disks[i], " in the end\n");
	outw(PM_CONTROL, POWER_OFF);
	halt();
}

void guest(void);
void guest(void)
{
	serial_setup();
	outw(PM_ENABLE, POWER_BUTTON);
	for (int slot = 0; slot < SLOTS; slot++)
		look_into(slot);
	for (;;) {
		each(begin_writing);
		each(begin_reading_that);
		each(begin_reading_others);
		each(report);
		plug_and_unplug();
		power_button();
	}
}
