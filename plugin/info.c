// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `info`: what an image's header says.
 *
 * Nothing but the header is read, neither a backing file nor a lock is
 * touched: it works on any image at any time, also on one that `add` refuses.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin/json.h"
#include "plugin/log.h"
#include "plugin/options.h"
#include "qcow/qcow.h"

struct feature {
	unsigned int bit;
	const char *name;
};

static const struct feature incompatible[] = {
	{ 0, "dirty" },		{ 1, "corrupt" },
	{ 2, "external-data" }, { 3, "compression-type" },
	{ 4, "extended-l2" },	{ 0, NULL },
};

static const struct feature compatible[] = {
	{ 0, "lazy-refcounts" },
	{ 0, NULL },
};

static const struct feature autoclear[] = {
	{ 0, "bitmaps" },
	{ 1, "raw-external-data" },
	{ 0, NULL },
};

static const char *const encryptions[] = { "none", "aes", "luks" };

static const char *feature_name(const struct feature *known, unsigned int bit,
				char text[16])
{
	for (; known->name; known++)
		if (known->bit == bit)
			return known->name;
	snprintf(text, 16, "bit-%u", bit);
	return text;
}

static void print_features(const char *kind, const struct feature *known,
			   uint64_t bits)
{
	char text[16];
	unsigned int bit;

	if (!bits)
		return;
	printf("%s:", kind);
	for (bit = 0; bit < 64; bit++)
		if (bits >> bit & 1)
			printf(" %s", feature_name(known, bit, text));
	putchar('\n');
}

static void put_features(struct json *json, const char *kind,
			 const struct feature *known, uint64_t bits)
{
	char text[16];
	unsigned int bit;

	json_begin(json, kind, '[');
	for (bit = 0; bit < 64; bit++)
		if (bits >> bit & 1)
			json_text(json, NULL, feature_name(known, bit, text));
	json_end(json, ']');
}

static const char *encryption(const struct qcow_info *info)
{
	return info->crypt_method < 3 ? encryptions[info->crypt_method]
				      : "unknown";
}

/* A text from the image: it must not command the terminal (P6). */
static void print_text(const char *text)
{
	for (; *text; text++)
		putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?'
								    : *text);
}

static void print_info(const char *image, const struct qcow_info *info)
{
	printf("image: %s\n", image);
	printf("format: %s, version %u\n",
	       info->version == 1 ? "qcow" : "qcow2", info->version);
	printf("size: %" PRIu64 " bytes\n", info->size);
	printf("file size: %" PRIu64 " bytes\n", info->file_size);
	printf("cluster size: %" PRIu32 " bytes\n", info->cluster_size);
	printf("refcount bits: %u\n", info->refcount_bits);
	print_features("incompatible features", incompatible,
		       info->incompatible);
	print_features("compatible features", compatible, info->compatible);
	print_features("autoclear features", autoclear, info->autoclear);
	printf("encryption: %s\n", encryption(info));
	printf("snapshots: %u\n", info->snapshots);
	if (!info->has_backing)
		return;
	fputs("backing file: ", stdout);
	print_text(info->backing);
	fputs(" (format ", stdout);
	print_text(info->backing_format[0] ? info->backing_format
					   : "not named");
	puts(")");
}

static void put_info(const char *image, const struct qcow_info *info)
{
	struct json json = { .file = stdout };

	json_begin(&json, NULL, '{');
	json_text(&json, "image", image);
	json_text(&json, "format", info->version == 1 ? "qcow" : "qcow2");
	json_number(&json, "version", info->version);
	json_number(&json, "size", info->size);
	json_number(&json, "file_size", info->file_size);
	json_number(&json, "cluster_size", info->cluster_size);
	json_number(&json, "refcount_bits", info->refcount_bits);
	put_features(&json, "incompatible", incompatible, info->incompatible);
	put_features(&json, "compatible", compatible, info->compatible);
	put_features(&json, "autoclear", autoclear, info->autoclear);
	json_text(&json, "encryption", encryption(info));
	json_number(&json, "snapshots", info->snapshots);
	if (info->has_backing)
		json_text(&json, "backing", info->backing);
	else
		json_null(&json, "backing");
	if (info->backing_format[0])
		json_text(&json, "backing_format", info->backing_format);
	else
		json_null(&json, "backing_format");
	json_end(&json, '}');
}

int command_info(const struct options *options)
{
	struct qcow_error error;
	struct qcow_info info;

	if (qcow_read_info(options->subject, &info, &error))
		return complain("%s: %s", options->subject, error.text);
	if (options->json)
		put_info(options->subject, &info);
	else
		print_info(options->subject, &info);
	return EXIT_SUCCESS;
}
