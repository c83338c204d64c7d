// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The journal's native protocol: a datagram with a line NAME=value for each
 * field.  A value with a newline in it is binary: the name alone on a line,
 * then the length, 64 bits of little endian, then the value and a newline.
 * https://systemd.io/JOURNAL_NATIVE_PROTOCOL has it, and it stays as it is.
 *
 * Why not sd_journal_sendv() of libsystemd: that waits for a journal that hangs
 * without any limit, and the journal may lie on the very disk that is to be
 * recovered.  It keeps a descriptor, which it shows to nobody, across forks;
 * our children close all descriptors, and its next write would go wherever the
 * number then leads.  And its libraries would be in the locked memory of each
 * supervisor.
 */
#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "plugin/common/datagram.h"
#include "plugin/common/journald.h"

#define SOCKET "/run/systemd/journal/socket"

static void put(struct journald_entry *entry, const void *bytes, size_t length)
{
	memcpy(entry->bytes + entry->length, bytes, length);
	entry->length += length;
}

void journald_add(struct journald_entry *entry, const char *name,
		  const char *value)
{
	const size_t length = strlen(value);
	const uint64_t binary = htole64(length);

	if (strlen(name) + sizeof(binary) + length + 2 >
	    sizeof(entry->bytes) - entry->length)
		return;
	put(entry, name, strlen(name));
	if (strchr(value, '\n')) {
		put(entry, "\n", 1);
		put(entry, &binary, sizeof(binary));
	} else {
		put(entry, "=", 1);
	}
	put(entry, value, length);
	put(entry, "\n", 1);
}

int journald_send(const struct journald_entry *entry)
{
	return datagram_send(SOCKET, entry->bytes, entry->length);
}
