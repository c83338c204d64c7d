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

int layers_append(struct layers *layers, const struct qcow_layer *layer)
{
	struct qcow_layer copy = *layer;

	if (layers->count == QCOW_FILES_MAX)
		return -E2BIG;
	copy.path = strdup(layer->path);
	if (!copy.path)
		return -ENOMEM;
	layers->list[layers->count++] = copy;
	return 0;
}

void layers_clear(struct layers *layers)
{
	while (layers->count)
		free((char *)layers->list[--layers->count].path);
	layers->known = false;
}

void layers_put(FILE *file, const struct layers *layers)
{
	unsigned int i;

	if (!layers || !layers->known)
		return;
	for (i = 0; i < layers->count; i++) {
		const struct qcow_layer *layer = &layers->list[i];

		fprintf(file, "layer %" PRIu64 " %" PRIu64 " %" PRIu64 " %d ",
			layer->identity.device, layer->identity.inode,
			layer->identity.birth, layer->written);
		state_put_text(file, layer->path);
		putc('\n', file);
	}
	fprintf(file, "layers %u\n", layers->count);
}

static int get_layer(struct layers *layers, const char *line)
{
	struct qcow_layer layer;
	char path[PATH_MAX];
	int written, at = 0;

	if (sscanf(line, "layer %" SCNu64 " %" SCNu64 " %" SCNu64 " %d %n",
		   &layer.identity.device, &layer.identity.inode,
		   &layer.identity.birth, &written, &at) != 4 ||
	    !at)
		return -EINVAL;
	state_get_text(path, sizeof(path), line + at);
	layer.path = path;
	layer.written = written;
	return layers_append(layers, &layer);
}

int layers_get_line(struct layers *layers, char *line)
{
	unsigned int count;

	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(line, "layer ", strlen("layer ")))
		return get_layer(layers, line);
	if (sscanf(line, "layers %u", &count) != 1)
		return 0;
	layers->known = count == layers->count;
	return layers->known ? 0 : -EINVAL;
}
