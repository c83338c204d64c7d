// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The world of clerk and clerk-owned: a driver that is played, and journals on
 * a tmpfs of the test's own.
 *
 * Device OURS is the disk's, and each other is another program's.
 */
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "plugin/server/control.h"
#include "plugin/server/node.h"
#include "qcow/names.h"
#include "tests/commands/clerk-world.h"
#include "tests/lib/helpers.h"

unsigned int *node_user;

int __wrap_control_open(struct control **control);
int __wrap_control_open(struct control **control)
{
	*control = NULL;
	return 0;
}

int __wrap_control_get_features(struct control *control, uint64_t *features);
int __wrap_control_get_features(struct control *control, uint64_t *features)
{
	(void)control;
	*features = FEATURES;
	return 0;
}

int __wrap_control_get_info(struct control *control, int id,
			    struct ublksrv_ctrl_dev_info *info);
int __wrap_control_get_info(struct control *control, int id,
			    struct ublksrv_ctrl_dev_info *info)
{
	(void)control;
	*info = (struct ublksrv_ctrl_dev_info){
		.dev_id = id,
		.ublksrv_flags = id == OURS ? NONCE : ~NONCE,
	};
	return 0;
}

int __wrap_control_get_params(struct control *control, int id,
			      struct ublk_params *params);
int __wrap_control_get_params(struct control *control, int id,
			      struct ublk_params *params)
{
	(void)control;
	(void)id;
	(void)params;
	return 0;
}

/* As the driver: until somebody fetches. */
int __wrap_control_end_recovery(struct control *control, int id, int pid);
int __wrap_control_end_recovery(struct control *control, int id, int pid)
{
	(void)control;
	(void)id;
	(void)pid;
	for (;;)
		pause();
}

int __wrap_node_make(int directory, int id, unsigned int user);
int __wrap_node_make(int directory, int id, unsigned int user)
{
	(void)directory;
	*node_user = user;
	return id == OURS ? 0 : -EINVAL;
}

/* ---- the world ---- */

bool make_world(void)
{
	node_user = mmap(NULL, sizeof(*node_user), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	mkdir(QCOW_JOURNAL_DIR, 0755);
	return node_user != MAP_FAILED && !unshare(CLONE_NEWNS) &&
	       !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("journals", QCOW_JOURNAL_DIR, "tmpfs", 0, "size=16m");
}

/* ---- judgements ---- */

void expect(bool holds, const char *what)
{
	if (!holds)
		die("%s", what);
}

void expect_refused(int ret, const char *what)
{
	if (ret != -EACCES && ret != -EINVAL)
		die("%s: %s", what, ret < 0 ? strerror(-ret) : "done");
}
