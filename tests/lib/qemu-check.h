/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our check and qemu-img's, with the same exit statuses. */
#ifndef QEMU_CHECK_H
#define QEMU_CHECK_H

#include "qcow/qcow.h"
#include "tests/lib/disk.h"

#define STATUS_SOUND   0
#define STATUS_FAILED  1
#define STATUS_CORRUPT 2
#define STATUS_LEAKS   3

/* Commands of the shell that make an image with LUKS, of so many bytes, and
   write to it; $i is its name.  On a busy machine QEMU may find no measure
   for its key, so it gets several tries. */
#define MAKE_LUKS(options, size, write) \
	"for n in 1 2 3 4 5 6 7 8 9; do " \
	"qemu-img create -q -f qcow2 --object secret,id=key,data=secret -o " options \
	",encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10 " \
	"$i " size " 2>/dev/null && break; sleep 0.2; done;" \
	"qemu-io --object secret,id=key,data=secret --image-opts " \
	"driver=qcow2,encrypt.key-secret=key,file.filename=$i -c '" write "'"

/* memory: see struct qcow_check_options.  The output is in the scratch file
   "told". */
int check_ours(const char *path, enum qcow_repair repair, size_t memory,
	       struct qcow_check *result);
/* The output is in the scratch file "qemu". */
int check_theirs(const char *path, const char *options);
/* The test ends with the name if qemu-img check finds errors on a disk, or
   leaks unless they are allowed. */
void check_disk(const struct disk *disk, bool leaks_allowed, const char *name);
/* An image, as arguments of qemu-img's; LUKS needs the passphrase "secret".
   The caller frees it. */
char *qemu_name(const char *path);

#endif /* QEMU_CHECK_H */
