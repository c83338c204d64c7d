/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Legacy images, read through libqcow: QCOW version 1 (plain, compressed or
 * AES) and qcow2 version 2 with AES, without a backing file.  Read only.
 *
 * The format cannot tell a wrong AES key from the right one: with a wrong key
 * the disk is noise.
 */
#ifndef QCOW_LEGACY_H
#define QCOW_LEGACY_H

#include <stdbool.h>
#include <stdint.h>
#include "qcow/file.h"

/* legacy.c */

struct legacy;

/* Is this a file for legacy_open() rather than for header_read()? */
int legacy_probe(struct file *file, bool *is_legacy);

/* Reads, on any thread, and blocks.  Returns:
   0
   -EIO		the reading process died of it, or hung; the next read has
		another process
   -EOWNERDEAD	the process that starts readers was killed: there is no other
   or another -errno. */
int legacy_read(struct legacy *legacy, void *buffer, uint64_t offset,
		size_t length);

/* Size of the virtual disk in bytes, a multiple of QCOW_SECTOR. */
uint64_t legacy_size(const struct legacy *legacy);

/* Was a key needed? */
bool legacy_is_encrypted(const struct legacy *legacy);

/*
 * Judges an open and locked image and starts the process that will read it.
 * key_file holds the AES key, NULL if there is none.  The file is not needed
 * afterwards, but its locks are: keep it open.
 *
 * Forks, once: call it before anything is mapped that must not outlive this
 * process (a device's queues) or must not be written by others (a journal).
 */
int legacy_open(struct file *file, const char *key_file, struct legacy **legacy,
		struct qcow_error *error);

/* No read may be under way; NULL is fine. */
void legacy_close(struct legacy *legacy);

/* gate.c */

/* The findings of our own look at the header. */
struct gate {
	uint32_t version;
	uint64_t size; /* of the virtual disk, bytes */
	uint32_t cluster_bits;
	uint32_t l2_bits;	 /* of version 1 */
	uint64_t backing_offset; /* 0: none */
	uint32_t backing_size;
	bool encrypted;
	uint64_t l1_offset;
	uint32_t l1_size;   /* entries */
	uint64_t file_size; /* bytes */
};

/* Takes the fields of the header, whether or not libqcow can read the image. */
int gate_look(struct file *file, struct gate *gate, struct qcow_error *error);

/* Lets pass only images that libqcow is known to read correctly. */
int gate_check(struct file *file, struct gate *gate, struct qcow_error *error);

/* helper.c */

/* Messages on the data socket. */
struct helper_request {
	uint64_t sequence; /* not 0 */
	uint64_t offset;
	uint32_t length; /* at most window_size */
};

struct helper_reply {
	uint64_t sequence; /* 0: the reader has died */
	int32_t result;	   /* 0 or -errno */
};

/* key.c */

/* The key that the image needs, if any, for the reading process.  key_file may
   be NULL. */
int legacy_choose_key(const struct file *file, const struct gate *gate,
		      const char *key_file, struct qcow_reader *job,
		      struct qcow_error *error);

/* jail.c: the steps of its jail, in this order; 0 or -errno */

/* Of the process that starts the readers, and of these: a user of their own,
   which may read the image. */
int jail_keeper(void);

/* Limits memory, and files to so many and to the image; none can be written
   or executed. */
int jail_enter(int image, unsigned int max_files);

/* From here on only files that are open can be read, and no system calls be
   made but those that reading takes. */
int jail_close(void);

#endif /* QCOW_LEGACY_H */
