// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The trouble of a disk that is served.
 *
 * A request can fail because its user asked for the impossible; that is no
 * trouble of the host.  Every other failure is one: there is no room, or the
 * storage fails, under any name.  The driver shows most names to the
 * disk's user as EIO.  Of these, a lack of room must not be one: a hypervisor
 * may pause its guest on ENOSPC alone, and on EIO hand the error on.
 *
 * EROFS comes from the host: a file system that has become read-only after an
 * error.  A write to a read-only disk is refused before it is a request.
 */
#include <errno.h>
#include <string.h>

#include "plugin/common/trouble.h"

static const char *const names[NR_HOST_TROUBLES] = {
	[HOST_WELL] = "none",
	[HOST_NO_SPACE] = "no-space",
	[HOST_IO_ERROR] = "io-error",
};

const char *trouble_name(enum host_trouble trouble)
{
	return names[trouble];
}

enum host_trouble trouble_named(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_HOST_TROUBLES; i++)
		if (!strcmp(names[i], name))
			return i;
	return HOST_WELL;
}

enum host_trouble trouble_of(int error)
{
	switch (-error) {
	case 0:
	case EINVAL:
	case EOPNOTSUPP:
		return HOST_WELL;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return HOST_NO_SPACE;
	default:
		return HOST_IO_ERROR;
	}
}

int trouble_answer(int error)
{
	return trouble_of(error) == HOST_NO_SPACE ? -ENOSPC : error;
}
