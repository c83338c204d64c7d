// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names in a header that lead to a file that must not be opened, or in circles.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "tests/engine/broken.h"
#include "tests/lib/helpers.h"

/* ---- backing files ---- */

struct backing_row {
	const char *backing; /* a name, as the header has it */
	const char *format;
	const char *says;
};

static const struct backing_row backing_rows[] = {
	/* CVE-2015-5163, CVE-2024-32498, CVE-2024-4467 and their like */
	{ "/etc/passwd", "raw",
	  "/etc/passwd is outside the image's directory" },
	{ "../../../etc/passwd", "raw", "is outside the image's directory" },
	{ "link", "raw", "is outside the image's directory" },
	{ "directory/../link", "raw", "is outside the image's directory" },
	{ "/dev/zero", "raw", "is outside the image's directory" },
	{ "/proc/self/mem", "raw", "is outside the image's directory" },
	{ "nbd://localhost/x", "raw", "is named by a protocol" },
	{ "file:base.raw", "raw", "is named by a protocol" },
	{ "fat:rw:directory", "raw", "is named by a protocol" },
	{ "json:{\"driver\":\"file\",\"filename\":\"base.raw\"}", "raw",
	  "is named by a protocol" },
	{ "base.raw", "", "without its format" }, /* CVE-2008-2004 */
	{ "base.raw", "vmdk", "format \"vmdk\" is not supported" },
	{ "base.raw", "host_device", "is not supported" },
	{ "base.raw", "qcow2", "not a qcow2 image" },
	{ "missing", "raw", "its backing file missing: No such file" },
	{ "", "raw", "with an empty name" },
	{ "", "", "with an empty name" },
	{ "directory", "raw", "/directory: is a directory" },
	{ "directory", "qcow2", "/directory: is a directory" },
	{ "directory/", "raw", "/directory: is a directory" },
	{ ".", "raw", "is outside the image's directory" },
	{ "pipe", "raw", "/pipe: is a pipe" },
	{ "pipe", "qcow", "/pipe: is a pipe" },
	{ "socket", "qcow2", "/socket: is a socket" },
	{ "image", "qcow2", "loop: " },
	{ "image", "raw", "loop: " },
	{ "./directory/../image", "qcow2", "loop: " },
	{ "second", "qcow2", "loop: " },
	{ "chain.0", "qcow2", "backing chain is longer than" },
};

/* An overlay of any name, which qemu-img would not make. */
static void make_overlay(const char *path, const char *backing,
			 const char *format)
{
	const uint32_t format_size = strlen(format);
	uint32_t at = 112;
	struct bytes_of b = bytes_of(bases[PLAIN]);

	memset(b.bytes + at, 0, CLUSTER - at);
	if (format_size) {
		broken_store(b.bytes + at, 4, EXTENSION_BACKING_FORMAT);
		broken_store(b.bytes + at + 4, 4, format_size);
		memcpy(b.bytes + at + 8, format, format_size);
	}
	at = 1024;
	memcpy(b.bytes + at, backing, strlen(backing));
	broken_store(b.bytes + HEADER_BACKING_OFFSET, 8, at);
	broken_store(b.bytes + HEADER_BACKING_SIZE, 4, strlen(backing));
	write_file(path, b.bytes, b.size);
	free(b.bytes);
}

static void make_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket",
		 scratch());
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("cannot make a socket");
	close(fd);
}

/* The files that the names lead to. */
static void make_surroundings(void)
{
	char *second = scratch_path("second");

	must_run(
		"cd %s && mkdir directory && ln -s /etc/passwd link && mkfifo pipe",
		scratch());
	make_socket();
	make_overlay(second, "image", "qcow2");
	for (unsigned int i = 0; i < 70; i++) {
		char name[16], *path;

		snprintf(name, sizeof(name), "chain.%u", i);
		path = scratch_path(name);
		snprintf(name, sizeof(name), "chain.%u", i + 1);
		make_overlay(path, i < 69 ? name : "base.raw",
			     i < 69 ? "qcow2" : "raw");
		free(path);
	}
	free(second);
}

static void test_backing(const struct backing_row *row)
{
	char *path = scratch_path("image");
	struct qcow_error error = { "" };
	struct qcow_info info;
	struct bytes_of before;

	make_overlay(path, row->backing, row->format);
	before = bytes_of(path);
	if (qcow_read_info(path, &info, &error) ||
	    strcmp(info.backing, row->backing) ||
	    strcmp(info.backing_format, row->format))
		die("%s: qcow_read_info: %s", row->backing, error.text);
	expect_refused(row->backing, path, false, row->says);
	expect_refused(row->backing, path, true, row->says);
	expect_judged(row->backing, path, QCOW_REFUSED, row->says);
	expect_last_part(row->backing, path, row->says);
	expect_unchanged(row->backing, path, before);
	expect_no_journal(row->backing);
	free(before.bytes);
	free(path);
}

/* ---- data files ---- */

static const struct data_row {
	const char *data; /* a name, as the header has it */
	const char *says;
} data_rows[] = {
	/* CVE-2024-32498 */
	{ "/etc/passwd", "its data file /etc/passwd would be written" },
	{ "../../../etc/passwd", "/etc/passwd would be written" },
	{ "link", "would be written" },
	{ "/dev/zero", "would be written" },
	{ "nbd://localhost/x", "is named by a protocol" },
	{ "json:{\"driver\":\"null-co\"}", "is named by a protocol" },
	{ "missing", "its data file missing: No such file" },
	{ "directory", "data file" },
	{ "image", "would be written" },
	{ "", "does not name its external data file" },
};

static void make_data_image(const char *path, const char *data)
{
	struct bytes_of b = bytes_of(bases[PLAIN]);

	broken_store(b.bytes + HEADER_INCOMPATIBLE, 8, INCOMPATIBLE_DATA_FILE);
	broken_store(b.bytes + 112, 4, EXTENSION_DATA_FILE);
	broken_store(b.bytes + 116, 4, strlen(data));
	memcpy(b.bytes + 120, data, strlen(data));
	write_file(path, b.bytes, b.size);
	free(b.bytes);
}

static void test_data(const struct data_row *row)
{
	char *path = scratch_path("image");
	struct bytes_of before;

	make_data_image(path, row->data);
	before = bytes_of(path);
	expect_refused(row->data, path, false, row->says);
	expect_refused(row->data, path, true, row->says);
	expect_unchanged(row->data, path, before);
	expect_no_journal(row->data);
	free(before.bytes);
	free(path);
}

/* ---- symbolic links ---- */

static void expect_link(const char *name, const char *says)
{
	char *path = scratch_path(name);

	expect_judged(name, path, says ? QCOW_REFUSED : QCOW_READ_WRITE,
		      says ? says : "");
	free(path);
}

/* An image in one directory, a link to it in another, and files of one name
   in both. */
static void test_links(void)
{
	char *top = scratch_path("real/top"), *base = scratch_path("real/base");
	struct bytes_of before;

	must_run("cd %s && mkdir real linked && ln -s ../real/top linked",
		 scratch());
	make_overlay(top, "base", "qcow2");
	before = bytes_of(bases[PLAIN]);
	write_file(base, before.bytes, before.size);
	free(before.bytes);
	expect_link("linked/top", NULL);
	must_run("cd %s && ln -s ../real/base linked", scratch());
	expect_link("linked/top", NULL);
	must_run("cd %s && ln -f real/base linked/base", scratch());
	expect_link("linked/top", NULL);
	must_run("cd %s && rm linked/base && cp real/base linked", scratch());
	expect_link("linked/top", "its backing file base is one file beside");
	expect_link("real/top", NULL);

	/* Further down. */
	must_run(
		"cd %s && mv real/top real/middle && ln -sf ../real/middle linked/middle",
		scratch());
	make_overlay(top, "middle", "qcow2");
	expect_link("linked/top", "its backing file base is one file beside");
	must_run("cd %s && rm linked/base", scratch());
	expect_link("linked/top", NULL);
	free(base);
	free(top);
}

void broken_names(void)
{
	make_surroundings();
	for (unsigned int i = 0; i < ARRAY_SIZE(backing_rows); i++)
		test_backing(&backing_rows[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(data_rows); i++)
		test_data(&data_rows[i]);
	test_links();
}
