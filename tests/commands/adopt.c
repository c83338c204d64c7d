// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A supervisor adopts a disk whose record it cannot read just now: then it does
 * not write that record, which would forget the disk's layers.
 *
 * It adopts a server that serves: whatever the last supervisor has noted, the
 * disk's users do not wait any more.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/common/link.h"
#include "plugin/supervisor/teardown.h"
#include "plugin/supervisor/watch.h"
#include "tests/lib/helpers.h"

#define ID    3
#define NONCE 7

static int load_result, layers_result, save_result = -ENOSPC;
static unsigned int saved, refused;
static struct disk recorded = { .id = ID, .nonce = NONCE };

int __wrap_disk_load(int id, struct disk *disk);
int __wrap_disk_load(int id, struct disk *disk)
{
	(void)id;
	*disk = recorded;
	return load_result;
}

int __wrap_disk_load_layers(int id, struct layers *layers);
int __wrap_disk_load_layers(int id, struct layers *layers)
{
	(void)id;
	(void)layers;
	return layers_result;
}

int __wrap_disk_save(const struct disk *disk, const struct layers *layers);
int __wrap_disk_save(const struct disk *disk, const struct layers *layers)
{
	(void)disk;
	(void)layers;
	saved++;
	return save_result;
}

int __wrap_link_make(const struct disk *disk);
int __wrap_link_make(const struct disk *disk)
{
	(void)disk;
	return 0;
}

int __wrap_hold_files(struct supervisor *sv, enum locking locking);
int __wrap_hold_files(struct supervisor *sv, enum locking locking)
{
	(void)sv;
	(void)locking;
	return 0;
}

int __wrap_teardown_look(const struct disk *disk,
			 enum device_presence *presence);
int __wrap_teardown_look(const struct disk *disk,
			 enum device_presence *presence)
{
	(void)disk;
	*presence = DEVICE_SERVED;
	return 0;
}

void __wrap_watch_settle(struct supervisor *sv, bool failed, const char *format,
			 ...);
void __wrap_watch_settle(struct supervisor *sv, bool failed, const char *format,
			 ...)
{
	(void)sv;
	(void)format;
	refused += failed;
}

/* Does it come to the write, which fails here? */
static void adopt(int load, int layers, int expected)
{
	struct supervisor sv = { .disk = { .id = ID, .nonce = NONCE } };
	int ret;

	load_result = load;
	layers_result = layers;
	saved = refused = 0;
	ret = adopt_disk(&sv);
	if (ret != expected || refused != 1 || saved != (ret == -ENOSPC))
		die("record %d, layers %d: %d and not %d, %u writes", load,
		    layers, ret, expected, saved);
}

/* The last supervisor could not lock the disk's files, and stood down. */
static void adopt_serving(enum disk_state state)
{
	struct supervisor sv = { .disk = { .id = ID, .nonce = NONCE } };
	struct stats *stats;
	const pid_t server = fork();

	if (!server) {
		pause();
		_exit(EXIT_SUCCESS);
	}
	recorded.state = state;
	if (process_identify(server, &recorded.server) ||
	    stats_map(ID, NONCE, 0, &stats))
		die("no server");
	stats_begin_stall(stats, "its server died", clock_ms());
	save_result = 0;
	sv.lock = -1;
	hooks_init(&sv.hooks);
	if (adopt_disk(&sv) || sv.phase != PHASE_LIVE)
		die("state %d: it is not adopted", state);
	if (!stats_last_stall(stats) || !stats_stall(stats, 0)->ended)
		die("state %d: its users are said to wait for ever", state);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

int main(void)
{
	setenv("UBLK_QCOW2_RUN", scratch(), 1);
	setenv("UBLK_QCOW2_HOOKS", "/nonexistent", 1);
	adopt(0, 0, -ENOSPC);
	adopt(-ENFILE, 0, -ENFILE);
	adopt(0, -ENFILE, -ENFILE);
	adopt(0, -ENOMEM, -ENOMEM);
	/* A list of an older version. */
	adopt(0, -EINVAL, -ENOSPC);
	adopt_serving(DISK_RECOVERING);
	adopt_serving(DISK_FAILED);
	adopt_serving(DISK_STOPPING);
	return 0;
}
