// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: the input is an image.  It is looked at as `info` does, read,
 * written to and read again.
 */
#include <stdio.h>
#include <unistd.h>
#include "memory.h"
#include "tests/lib/helpers.h"
#include "qcow/qcow.h"

static void look(const struct memory *memory, const uint8_t *bytes, size_t size)
{
	struct qcow_error error;
	struct qcow_info info;

	write_file(memory->path, bytes, size);
	qcow_read_info(memory->path, &info, &error);
	if (truncate(memory->path, 0) < 0)
		memory_complain("truncate");
}

/* libqcow reads these, in a process of its own. */
static bool is_legacy(const uint8_t *bytes, size_t size)
{
	return size >= HEADER_V2_LENGTH &&
	       (load_be32(bytes + HEADER_VERSION) == 1 ||
		load_be32(bytes + HEADER_CRYPT_METHOD) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct memory *memory = memory_load(bytes, size);
	const struct qcow_options reading = memory_options(memory, true);
	struct qcow_options writing = memory_options(memory, false);
	uint64_t seed = memory_hash(bytes, size);

	if (is_legacy(bytes, size))
		return 0;
	look(memory, bytes, min_u64(size, 8192));
	memory_use(memory, &reading, seed);
	if (memory_hash(memory->bytes, memory->size) != seed)
		memory_complain("a read-only image was changed");
	memory_use(memory, &writing, seed);
	memory_use(memory, &writing, ~seed);
	writing.force = true;
	memory_use(memory, &writing, ~seed);
	/* After an error the journal stays, and would keep the next input
	   out. */
	unlink(memory->journal);
	return 0;
}
