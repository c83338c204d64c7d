// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The AES key of a legacy image, from a file.
 *
 * The format has keys of 16 bytes.  A shorter one is padded with zeros, as QEMU
 * does it; a longer one is refused, because QEMU uses only its beginning.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "qcow/error.h"
#include "qcow/legacy/legacy.h"

/* The contents of a key file, without a newline at its end. */
static int read_key(const struct qcow_names *names, const char *path,
		    uint8_t key[QCOW_KEY_SIZE], struct qcow_error *error)
{
	uint8_t bytes[QCOW_KEY_SIZE + 2];
	int fd = names->open(names->opaque, path,
			     O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return fail(error, fd, "key file %s: %s", path, strerror(-fd));
	n = read(fd, bytes, sizeof(bytes));
	close(fd);
	if (n < 0)
		return fail(error, -EIO, "key file %s: cannot be read", path);
	if (n && bytes[n - 1] == '\n')
		n--;
	if (n < 1)
		return fail(
			error, -EINVAL,
			"key file %s: is empty; write the key into it, 1 to %d bytes",
			path, QCOW_KEY_SIZE);
	if (n > QCOW_KEY_SIZE)
		return fail(
			error, -EINVAL,
			"key file %s: holds more than %d bytes; QEMU takes no more than so many of a longer key, so leave only these in it",
			path, QCOW_KEY_SIZE);
	memset(key, 0, QCOW_KEY_SIZE);
	memcpy(key, bytes, n);
	explicit_bzero(bytes, sizeof(bytes));
	return 0;
}

int legacy_choose_key(const struct file *file, const struct gate *gate,
		      const char *key_file, struct qcow_reader *job,
		      struct qcow_error *error)
{
	job->encrypted = gate->encrypted;
	if (!gate->encrypted)
		return 0;
	if (!key_file)
		return fail(
			error, -ENOKEY,
			"encrypted with AES; name a file that holds its key with --key-file");
	return read_key(file->names, key_file, job->key, error);
}
