// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include "tests/lib/helpers.h"
#include "qcow/bits.h"
#include "qcow/format.h"
#include "tests/lib/qemu-check.h"

static int status_of(const struct qcow_check *result)
{
	if (result->check_errors)
		return STATUS_FAILED;
	if (result->corruptions)
		return STATUS_CORRUPT;
	return result->leaks ? STATUS_LEAKS : STATUS_SOUND;
}

static void put_line(void *opaque, const char *line)
{
	fprintf(opaque, "%s\n", line);
}

int check_ours(const char *path, enum qcow_repair repair, size_t memory,
	       struct qcow_check *result)
{
	char *told = scratch_path("told");
	FILE *file = fopen(told, "w");
	struct qcow_check_options options = {
		.repair = repair,
		.memory = memory,
		.journal_dir = scratch(),
		.line = put_line,
		.opaque = file,
	};
	struct qcow_error error;
	int ret = qcow_check(path, &options, result, &error);

	if (ret)
		fprintf(file, "%s\n", error.text);
	fclose(file);
	free(told);
	return ret ? STATUS_FAILED : status_of(result);
}

int check_theirs(const char *path, const char *options)
{
	char *name = qemu_name(path);
	int status = run("qemu-img check %s %s >%s/qemu 2>&1", options, name,
			 scratch());

	free(name);
	return status;
}

void check_disk(const struct disk *disk, bool leaks_allowed, const char *name)
{
	char *path = scratch_path("sample");
	int status;

	disk_save(disk, path);
	status = run("qemu-img check -q %s >/dev/null 2>&1", path);
	if (status && !(leaks_allowed && status == STATUS_LEAKS))
		die("%s: qemu-img check: status %d, see %s", name, status,
		    path);
	free(path);
}

static bool is_luks(const char *path)
{
	uint8_t header[HEADER_V2_LENGTH] = { 0 };
	FILE *file = fopen(path, "rb");

	if (!file || fread(header, 1, sizeof(header), file) != sizeof(header))
		die("cannot read %s", path);
	fclose(file);
	return load_be32(header + HEADER_CRYPT_METHOD) == CRYPT_LUKS;
}

char *qemu_name(const char *path)
{
	const char *format =
		is_luks(path) ?
			"--object secret,id=key,data=secret --image-opts driver=qcow2,encrypt.key-secret=key,file.filename=%s" :
			"%s";
	char *name = NULL;

	if (asprintf(&name, format, path) < 0)
		abort();
	return name;
}
