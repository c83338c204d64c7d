// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: the input is an image that is checked, then repaired.  If a
 * repair calls the image sound, the next check must find the image sound.
 */
#include <stdio.h>
#include "memory.h"
#include "tests/lib/helpers.h"
#include "qcow/qcow.h"

static int check(struct memory *memory, enum qcow_repair repair,
		 struct qcow_check *result)
{
	const struct qcow_check_options options = {
		.repair = repair,
		.journal_dir = memory->directory,
		.memory = 1u << 20,
		.test = &memory->hooks,
	};
	struct qcow_error error;

	return qcow_check(memory->path, &options, result, &error);
}

static bool is_sound(const struct qcow_check *result)
{
	return !result->corruptions && !result->leaks && !result->check_errors;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct memory *memory = memory_load(bytes, size);
	struct qcow_check found, left;

	check(memory, QCOW_REPAIR_NONE, &found);
	if (memory_hash(memory->bytes, memory->size) !=
	    memory_hash(bytes, size))
		memory_complain("a check changed the image");
	check(memory, QCOW_REPAIR_LEAKS, &found);
	if (check(memory, QCOW_REPAIR_ALL, &found) || !is_sound(&found))
		return 0;
	if (check(memory, QCOW_REPAIR_NONE, &left) || !is_sound(&left))
		memory_complain("a repaired image is not sound");
	return 0;
}
