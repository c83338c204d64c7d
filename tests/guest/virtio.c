// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A request is three descriptors: its header, the data, and the status.  Those
 * of request i of a batch are 3i to 3i + 2.
 */
#include <stddef.h>

#include "machine.h"
#include "virtio.h"

/* Offsets of registers in the device's ports. */
enum {
	HOST_FEATURES = 0,
	GUEST_FEATURES = 4,
	QUEUE_PAGE = 8,
	QUEUE_SIZE = 12,
	QUEUE_SELECT = 14,
	QUEUE_NOTIFY = 16,
	STATUS = 18,
};

/* Offsets of registers in PCI's configuration. */
enum {
	PCI_ID = 0,
	PCI_COMMAND = 4,
	PCI_BAR = 16,
	VIRTIO_BLK = 0x10011af4, /* device and vendor */
	PORTS_AND_MEMORY = 5,	 /* it may use both */
};

enum {
	DRIVER = 3, /* acknowledged, and there is a driver */
	DRIVER_OK = 7,
	HAS_FLUSH = 1 << 9, /* or QEMU flushes after each write */
	NEXT = 1,
	DEVICE_WRITES = 2,
	NO_INTERRUPT = 1,
	PAGE = 4096,
	FREE_PORTS = 0xe000, /* for disks that BIOS has not seen */
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

/* Each disk has this memory, from the first MiB on. */
#define MEMORY	    0x100000
#define MEMORY_SIZE 0x40000
struct memory {
	uint8_t queue[16 * PAGE];
	uint32_t data[BATCH][LENGTH][WORDS];
	struct request requests[BATCH];
};
_Static_assert(sizeof(struct memory) <= MEMORY_SIZE, "too much memory");

static struct descriptor *descriptors(const struct virtio *virtio)
{
	return (struct descriptor *)virtio->memory->queue;
}

static struct available *available(const struct virtio *virtio)
{
	return (struct available *)&descriptors(virtio)[virtio->size];
}

static struct used *used(const struct virtio *virtio)
{
	uintptr_t end = (uintptr_t)&available(virtio)->ring[virtio->size + 1];

	return (struct used *)((end + PAGE - 1) & -PAGE);
}

bool virtio_probe(uint8_t slot)
{
	return pci_read(slot, PCI_ID) == VIRTIO_BLK;
}

void virtio_setup(struct virtio *virtio, uint8_t slot, unsigned int number)
{
	uint32_t *word = (uint32_t *)(MEMORY + number * MEMORY_SIZE);
	uint16_t port;

	if (!(pci_read(slot, PCI_BAR) & ~3u))
		pci_write(slot, PCI_BAR, FREE_PORTS + slot * 0x80);
	pci_write(slot, PCI_COMMAND,
		  pci_read(slot, PCI_COMMAND) | PORTS_AND_MEMORY);
	port = pci_read(slot, PCI_BAR) & ~3u;
	for (int i = 0; i < MEMORY_SIZE / 4; i++)
		word[i] = 0;
	outb(port + STATUS, 0);
	outb(port + STATUS, DRIVER);
	outl(port + GUEST_FEATURES, inl(port + HOST_FEATURES) & HAS_FLUSH);
	outw(port + QUEUE_SELECT, 0);
	*virtio = (struct virtio){
		.memory = (struct memory *)word,
		.port = port,
		.size = inw(port + QUEUE_SIZE),
	};
	available(virtio)->flags = NO_INTERRUPT;
	outl(port + QUEUE_PAGE, (uintptr_t)word / PAGE);
	outb(port + STATUS, DRIVER_OK);
}

static uint64_t address_of(const void *pointer)
{
	return (uintptr_t)pointer;
}

void virtio_prepare(struct virtio *virtio, int i, enum operation operation,
		    uint64_t sector)
{
	struct memory *memory = virtio->memory;
	struct descriptor *d = descriptors(virtio) + 3 * i;
	struct request *request = &memory->requests[i];

	*request = (struct request){
		.operation = operation,
		.sector = sector,
		.status = 0xff,
	};
	d[0] = (struct descriptor){
		.address = address_of(request),
		.length = offsetof(struct request, status),
		.flags = NEXT,
		.next = 3 * i + 1,
	};
	d[1] = (struct descriptor){
		.address = address_of(memory->data[i]),
		.length = sizeof(memory->data[i]),
		.flags = NEXT | (operation == READ ? DEVICE_WRITES : 0),
		.next = 3 * i + 2,
	};
	d[2] = (struct descriptor){
		.address = address_of(&request->status),
		.length = 1,
		.flags = DEVICE_WRITES,
	};
	available(virtio)->ring[virtio->submitted++ & (virtio->size - 1)] = 3 *
									    i;
}

void virtio_submit(struct virtio *virtio)
{
	__asm__ volatile("" ::: "memory");
	available(virtio)->index = virtio->submitted;
	__asm__ volatile("" ::: "memory");
	outw(virtio->port + QUEUE_NOTIFY, 0);
}

void virtio_wait(const struct virtio *virtio)
{
	while (used(virtio)->index != virtio->submitted)
		__asm__ volatile("pause" ::: "memory");
}

uint8_t virtio_status(const struct virtio *virtio, int i)
{
	return virtio->memory->requests[i].status;
}

sector_words *virtio_data(const struct virtio *virtio, int i)
{
	return virtio->memory->data[i];
}
