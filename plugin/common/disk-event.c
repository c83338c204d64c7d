// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of all events of a disk.
 *
 * Programs and people search the log by word or id, so neither ever changes. A
 * new event gets a new id, as `journalctl --new-id128` makes it.  The manual
 * page has the same table.
 */
#include <stddef.h>
#include <syslog.h>

#include "plugin/common/disk-event.h"

/* clang-format off */
static const struct {
	const char *word;
	int priority;
	const char *id;
} table[NR_DISK_EVENTS] = {
	[DISK_EVENT_LIVE] = { "live", LOG_INFO,
		"6b6dbf1fd3c946ef87c8bd5b30c4cf39" },
	[DISK_EVENT_CRASHED] = { "crashed", LOG_WARNING,
		"70838cd4943f441ca8a1b65ee8ebe282" },
	[DISK_EVENT_RECOVERY_FAILED] = { "recovery-failed", LOG_WARNING,
		"c138e40a8d4d4f81828c47d3b8191327" },
	[DISK_EVENT_RECOVERY_SLOW] = { "recovery-slow", LOG_WARNING,
		"a6bac97e4ce84a7bb279500a2c33fd8c" },
	[DISK_EVENT_RECOVERED] = { "recovered", LOG_INFO,
		"f020db662eb64865b478fd107bdb4ba9" },
	[DISK_EVENT_GAVE_UP] = { "gave-up", LOG_ERR,
		"d784173e24654960b27b32b3ea136787" },
	[DISK_EVENT_NO_SPACE] = { "no-space", LOG_ERR,
		"773c14268920434ea9cedf097b6b1c8e" },
	[DISK_EVENT_IO_ERROR] = { "io-error", LOG_ERR,
		"e7664b41cd8f4be180a9ba8ee9ca58a4" },
	[DISK_EVENT_WELL_AGAIN] = { "well-again", LOG_NOTICE,
		"7e6ce40d13b54b33b5672ef651cf7bf6" },
	[DISK_EVENT_NO_PROGRESS] = { "no-progress", LOG_WARNING,
		"8d3703eaba884e19a6040539290d1eb4" },
	[DISK_EVENT_GOES_ON] = { "goes-on", LOG_NOTICE,
		"4e87610e1b2e44539abc12edc0ff1054" },
	[DISK_EVENT_STUCK] = { "stuck", LOG_ERR,
		"c470b79e80b24a23a73a8a71da86f51b" },
	[DISK_EVENT_POISONED] = { "poisoned", LOG_ERR,
		"bb559b9c69b44a90910d64263aad3fba" },
	[DISK_EVENT_ADOPTED] = { "adopted", LOG_INFO,
		"b49c7948f81940b2aaec06a377260fcd" },
	[DISK_EVENT_HANDED_OVER] = { "handed-over", LOG_INFO,
		"5db62e3bdd754d83a920c8d180cccb51" },
	[DISK_EVENT_UPGRADED] = { "upgraded", LOG_INFO,
		"d2baf125343247acba3f6f98c7789406" },
	[DISK_EVENT_RESIZED] = { "resized", LOG_INFO,
		"7679592a3e1e49d7a8e86b06d24b2101" },
	[DISK_EVENT_SNAPSHOT] = { "snapshot", LOG_INFO,
		"e0e295daca014372a5676ddf74765254" },
	[DISK_EVENT_MERGING] = { "merging", LOG_INFO,
		"9d844ccb4beb4bd8b8a668aa6109d21f" },
	[DISK_EVENT_MERGED] = { "merged", LOG_INFO,
		"a576843e224643629ced08f160573076" },
	[DISK_EVENT_NOT_MERGED] = { "not-merged", LOG_NOTICE,
		"2f46204a683a4af88eca75f155165a02" },
	[DISK_EVENT_NOT_CHANGED] = { "not-changed", LOG_ERR,
		"9c0b8993dcb84bb39ff4e830dc58492a" },
	[DISK_EVENT_ENDING] = { "ending", LOG_NOTICE,
		"b2f108eecd12441c8196782bf874d3f1" },
	[DISK_EVENT_WANTED] = { "wanted", LOG_NOTICE,
		"a6037a5679f144e68546cc533b464db6" },
	[DISK_EVENT_STOPPED] = { "stopped", LOG_WARNING,
		"838d284629c74b69970970dfd05c17fe" },
	[DISK_EVENT_REMOVED] = { "removed", LOG_INFO,
		"5a3d783d04cf4e1daa3977b7d9b7e3a3" },
	[DISK_EVENT_NOT_CLOSED] = { "not-closed", LOG_ERR,
		"3e45e8c1a6494531ad9eb7ff9b990445" },
};
/* clang-format on */

const char *disk_event_word(enum disk_event event)
{
	return table[event].word;
}

int disk_event_priority(enum disk_event event)
{
	return table[event].priority;
}

const char *disk_event_id(enum disk_event event)
{
	return table[event].id;
}
