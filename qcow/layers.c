// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files of an image besides its own: a data file, and its backing, which
 * may be an image with a data file in turn.
 *
 * A process that opens an image once more, after the death of the process that
 * had it open, must come to the same files: a name may have got another file
 * since.  The files are compared by their places from the top down, as in
 * qcow_fds().
 */
#include <errno.h>
#include "qcow/error.h"
#include "qcow/layers.h"

int layers_check_file(const struct qcow_options *options, unsigned int index,
		      const struct file *file, struct qcow_error *error)
{
	if (!options->layers)
		return 0;
	if (index > options->nr_layers)
		return fail(
			error, -ESTALE,
			"it was no part of the disk before; undo the change that was made to the image meanwhile");
	return file_check(file, &options->layers[index - 1].identity, error);
}

bool layers_is_written(const struct qcow_options *options, unsigned int index)
{
	return options->layers && index <= options->nr_layers &&
	       options->layers[index - 1].written;
}

static int check_count(const struct qcow_image *image,
		       const struct qcow_options *options,
		       struct qcow_error *error)
{
	unsigned int count = qcow_layers(image, NULL, 0);

	if (count >= QCOW_FILES_MAX)
		return fail(error, -ELOOP,
			    "it consists of %u files, and %d are the most",
			    count + 1, QCOW_FILES_MAX);
	if (!options->layers || count == options->nr_layers)
		return 0;
	return fail(
		error, -ESTALE,
		"it consisted of %u more files and consists of %u more now; undo the change that was made to it meanwhile",
		options->nr_layers, count);
}

/* With a key given, the user believes that the image is encrypted. */
static int check_key(const struct qcow_image *image,
		     const struct qcow_options *options,
		     struct qcow_error *error)
{
	if (!options->key_file || backing_is_encrypted(image->backing))
		return 0;
	return fail(
		error, -EINVAL,
		"a key file is given, but neither the image nor a file under it is encrypted with AES; leave out --key-file");
}

int layers_check_all(const struct qcow_image *image,
		     const struct qcow_options *options,
		     struct qcow_error *error)
{
	int ret;

	if (image->overlay)
		return 0;
	ret = check_count(image, options, error);
	return ret ? ret : check_key(image, options, error);
}

unsigned int layers_add(struct qcow_layer *layers, unsigned int max,
			unsigned int count, const struct qcow_layer *layer)
{
	if (count < max)
		layers[count] = *layer;
	return count + 1;
}

unsigned int layers_of_image(const struct qcow_image *image,
			     struct qcow_layer *layers, unsigned int max,
			     unsigned int count)
{
	const struct qcow_layer data = {
		.path = image->data_path,
		.identity = image->data_file.identity,
		.written = !image->read_only,
	};

	if (image->external)
		count = layers_add(layers, max, count, &data);
	return backing_layers(image->backing, layers, max, count);
}

unsigned int qcow_layers(const struct qcow_image *image,
			 struct qcow_layer *layers, unsigned int max)
{
	return layers_of_image(image, layers, max, 0);
}
