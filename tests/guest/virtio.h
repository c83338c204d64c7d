/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver of virtio-blk, through the legacy interface: one batch of requests
 * at a time on each disk.
 */
#ifndef VIRTIO_H
#define VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

enum {
	BATCH = 16,	/* requests */
	LENGTH = 8,	/* sectors of a request */
	WORDS = 128,	/* of a sector */
	DISKS_MAX = 16, /* that there is memory for */
};

enum operation {
	READ,
	WRITE,
};

struct virtio {
	struct memory *memory;
	uint16_t port;	    /* of its registers */
	uint16_t size;	    /* of its queue */
	uint16_t submitted; /* requests, ever */
};

/* Is there such a disk in the slot? */
bool virtio_probe(uint8_t slot);

/* Makes the disk ready; the number says which memory the disk has. */
void virtio_setup(struct virtio *virtio, uint8_t slot, unsigned int number);

/* Prepares request i of a batch, then begins all of them at once. */
void virtio_prepare(struct virtio *virtio, int i, enum operation operation,
		    uint64_t sector);
void virtio_submit(struct virtio *virtio);

/* Waits for all of them, however long it takes. */
void virtio_wait(const struct virtio *virtio);

/* How request i ended: 0 is well. */
uint8_t virtio_status(const struct virtio *virtio, int i);

/* The data that request i read, or has to write. */
typedef uint32_t sector_words[WORDS];
sector_words *virtio_data(const struct virtio *virtio, int i);

#endif /* VIRTIO_H */
