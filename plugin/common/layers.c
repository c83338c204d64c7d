// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The layers of a disk: a line for each in the record of the disk, and a last
 * line with their number, so that half a list is no list.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/common/layers.h"
#include "plugin/common/state.h"

#define LAYER  "layer"
#define MERGED "merged_layer"

static int append(struct qcow_layer *list, unsigned int *count,
		  const struct qcow_layer *layer)
{
	struct qcow_layer copy = *layer;

	if (*count == QCOW_FILES_MAX)
		return -E2BIG;
	copy.path = strdup(layer->path);
	if (!copy.path)
		return -ENOMEM;
	list[(*count)++] = copy;
	return 0;
}

static void clear(struct qcow_layer *list, unsigned int *count)
{
	while (*count)
		free((char *)list[--*count].path);
}

int layers_append(struct layers *layers, const struct qcow_layer *layer)
{
	return append(layers->list, &layers->count, layer);
}

int layers_append_merged(struct layers *layers, const struct qcow_layer *layer)
{
	return append(layers->merged, &layers->nr_merged, layer);
}

void layers_clear_merged(struct layers *layers)
{
	clear(layers->merged, &layers->nr_merged);
}

void layers_clear(struct layers *layers)
{
	clear(layers->list, &layers->count);
	layers_clear_merged(layers);
	layers->known = false;
}

static void put(FILE *file, const char *word, const struct qcow_layer *layer)
{
	fprintf(file, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %d ", word,
		layer->identity.device, layer->identity.inode,
		layer->identity.birth, layer->written);
	state_put_text(file, layer->path);
	putc('\n', file);
}

void layers_put(FILE *file, const struct layers *layers)
{
	unsigned int i;

	if (!layers || !layers->known)
		return;
	for (i = 0; i < layers->nr_merged; i++)
		put(file, MERGED, &layers->merged[i]);
	for (i = 0; i < layers->count; i++)
		put(file, LAYER, &layers->list[i]);
	fprintf(file, "layers %u\n", layers->count);
}

/* The line without its word. */
static int get_layer(struct qcow_layer *list, unsigned int *count,
		     const char *line)
{
	struct qcow_layer layer;
	char path[PATH_MAX];
	int written, at = 0;

	if (sscanf(line, " %" SCNu64 " %" SCNu64 " %" SCNu64 " %d %n",
		   &layer.identity.device, &layer.identity.inode,
		   &layer.identity.birth, &written, &at) != 4 ||
	    !at)
		return -EINVAL;
	state_get_text(path, sizeof(path), line + at);
	layer.path = path;
	layer.written = written;
	return append(list, count, &layer);
}

static bool begins(const char *line, const char *word)
{
	const size_t length = strlen(word);

	return !strncmp(line, word, length) && line[length] == ' ';
}

int layers_get_line(struct layers *layers, char *line)
{
	unsigned int count;

	line[strcspn(line, "\n")] = '\0';
	if (begins(line, LAYER))
		return get_layer(layers->list, &layers->count,
				 line + strlen(LAYER));
	if (begins(line, MERGED))
		return get_layer(layers->merged, &layers->nr_merged,
				 line + strlen(MERGED));
	if (sscanf(line, "layers %u", &count) != 1)
		return 0;
	layers->known = count == layers->count;
	return layers->known ? 0 : -EINVAL;
}

bool layers_of_backup(const struct disk *disk, char image[PATH_MAX])
{
	struct layers layers = { .known = false };
	char overlay[PATH_MAX + sizeof(BACKUP_SUFFIX)] = "";

	if (!disk_load_layers(disk->id, &layers) && layers.count)
		snprintf(overlay, sizeof(overlay), "%s" BACKUP_SUFFIX,
			 layers.list[0].path);
	if (!strcmp(overlay, disk->image))
		snprintf(image, PATH_MAX, "%s", layers.list[0].path);
	layers_clear(&layers);
	return !strcmp(overlay, disk->image);
}
