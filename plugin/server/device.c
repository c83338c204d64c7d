// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One ublk device.
 *
 * Its parameters are fixed when it is added and stay so for life: recovery may
 * change nothing.  The parameters follow from the image alone:
 *
 * - A logical block of 512 bytes on any storage, since a guest's partition
 *   table counts in these; the physical block and the optimal size tell the
 *   guest which requests are cheap for us.
 * - A volatile cache, because qcow_write() is not durable before
 *   qcow_flush() (P2).  A write with FUA is flushed by us (request.c).  The
 *   kernel would do that by a FLUSH after the write.  But in between it takes
 *   the write for one that we still have.  If we die then, a driver of 6.12
 *   waits for that write for ever, and no command reaches the device any more.
 * - The discard granularity is the cluster, the smallest thing that gives
 *   space back.  One request covers at most DISCARD_MAX, lest a single one
 *   keep a worker busy for ages.
 *
 * Where the driver can, the server does not touch the bytes of a request:
 * they are a buffer of the ring, registered when the request comes
 * (UBLK_F_AUTO_BUF_REG), and the server takes them from /dev/ublkcN when it
 * needs them after all (UBLK_F_USER_COPY).  Elsewhere the driver copies them.
 *
 * /dev/ublkcN may be open once only, and the kernel lets nobody recover the
 * device while it is: hence O_CLOEXEC, and nobody passes the descriptor on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "plugin/server/device.h"
#include "plugin/server/fault.h"
#include "plugin/server/node.h"

#define SECTOR_SHIFT	   9
#define PHYSICAL_BLOCK_MIN 4096u
#define DISCARD_MAX	   (1u << 30)
#define RECOVERY_PAUSE_MIN 1  /* ms */
#define RECOVERY_PAUSE_MAX 20 /* ms */

static unsigned int log2_of(uint64_t power)
{
	return __builtin_ctzll(power);
}

static uint32_t at_least(uint32_t value, uint32_t least)
{
	return value < least ? least : value;
}

static uint32_t at_most(uint32_t value, uint32_t most)
{
	return value > most ? most : value;
}

static void basic_params(const struct device_shape *shape,
			 struct ublk_param_basic *basic)
{
	uint32_t physical = at_least(shape->alignment, PHYSICAL_BLOCK_MIN);
	uint32_t optimal = at_most(shape->cluster_size, DEVICE_MAX_IO);

	basic->attrs = UBLK_ATTR_VOLATILE_CACHE | UBLK_ATTR_FUA;
	if (shape->read_only)
		basic->attrs |= UBLK_ATTR_READ_ONLY;
	basic->logical_bs_shift = SECTOR_SHIFT;
	basic->physical_bs_shift = log2_of(physical);
	basic->io_min_shift = log2_of(physical);
	basic->io_opt_shift = log2_of(at_least(optimal, physical));
	basic->max_sectors = DEVICE_MAX_IO >> SECTOR_SHIFT;
	basic->dev_sectors = shape->size >> SECTOR_SHIFT;
}

static void discard_params(const struct device_shape *shape,
			   struct ublk_param_discard *discard)
{
	discard->discard_granularity = shape->cluster_size;
	discard->max_discard_sectors = DISCARD_MAX >> SECTOR_SHIFT;
	discard->max_write_zeroes_sectors = DISCARD_MAX >> SECTOR_SHIFT;
	discard->max_discard_segments = 1;
}

void device_params(const struct device_shape *shape, struct ublk_params *params)
{
	memset(params, 0, sizeof(*params));
	params->len = sizeof(*params);
	params->types = UBLK_PARAM_TYPE_BASIC;
	basic_params(shape, &params->basic);
	if (shape->read_only)
		return;
	params->types |= UBLK_PARAM_TYPE_DISCARD;
	discard_params(shape, &params->discard);
}

#define RECOVERY_FLAGS	(UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE)
#define ZERO_COPY_FLAGS (UBLK_F_AUTO_BUF_REG | UBLK_F_USER_COPY)
/* UBLK_F_SHMEM_ZC is of no use to us, but only 7.1 and later have it: earlier
   drivers have bugs in their handling of a dead server's buffers. */
#define ZERO_COPY_NEEDS (ZERO_COPY_FLAGS | UBLK_F_SHMEM_ZC)
#define BUFFERS_MAX	16384u /* that a ring can know */
#define OPTIONAL_FLAGS \
	(UBLK_F_NO_AUTO_PART_SCAN | UBLK_F_UPDATE_SIZE | UBLK_F_QUIESCE)

static uint64_t zero_copy_flags(uint64_t features, unsigned int tags)
{
	/* A dead server's bytes in flight are a fence, too. */
	if ((features & ZERO_COPY_NEEDS) != ZERO_COPY_NEEDS ||
	    fault("no-fence-ring"))
		return 0;
	return tags <= BUFFERS_MAX ? ZERO_COPY_FLAGS : 0;
}

void device_add_info(int id, unsigned int queues, unsigned int depth,
		     uint64_t features, uint64_t nonce,
		     struct ublksrv_ctrl_dev_info *info)
{
	memset(info, 0, sizeof(*info));
	info->dev_id = id;
	info->nr_hw_queues = queues;
	info->queue_depth = depth;
	info->max_io_buf_bytes = DEVICE_MAX_IO;
	info->flags = RECOVERY_FLAGS | UBLK_F_CMD_IOCTL_ENCODE |
		      (features & OPTIONAL_FLAGS) |
		      zero_copy_flags(features, queues * depth);
	info->ublksrv_flags = nonce;
}

int device_check_info(const struct ublksrv_ctrl_dev_info *info)
{
	/* The driver silently drops flags that it does not know. */
	if ((info->flags & RECOVERY_FLAGS) != RECOVERY_FLAGS)
		return -EOPNOTSUPP;
	return 0;
}

static void sleep_ms(unsigned int ms)
{
	const struct timespec time = { .tv_nsec = ms * 1000000L };

	nanosleep(&time, NULL);
}

bool device_is_ours(const struct ublksrv_ctrl_dev_info *info, uint64_t nonce)
{
	return info->ublksrv_flags == nonce;
}

static int read_state(struct control *control, int id, uint64_t nonce)
{
	struct ublksrv_ctrl_dev_info info;
	int ret = control_get_info(control, id, &info);

	if (ret < 0)
		return ret;
	return device_is_ours(&info, nonce) ? info.state : -EXDEV;
}

int device_start_recovery(struct control *control, int id, uint64_t nonce)
{
	unsigned int pause = RECOVERY_PAUSE_MIN;
	int ret, state;

	/* Nothing is asked of a device before we know that it is ours. */
	state = read_state(control, id, nonce);
	if (state < 0)
		return state;
	while ((ret = control_start_recovery(control, id)) < 0) {
		state = read_state(control, id, nonce);
		if (state == UBLK_S_DEV_DEAD)
			return -ESHUTDOWN;
		/* A server that died in recovery has started it already. */
		if (ret == -EINVAL && state == UBLK_S_DEV_QUIESCED)
			return 0;
		if (state < 0 || ret != -EBUSY)
			return state < 0 ? state : ret;
		sleep_ms(pause);
		if (pause < RECOVERY_PAUSE_MAX)
			pause *= 2;
	}
	return 0;
}

static size_t round_up_to_page(size_t length)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (length + page - 1) & ~(page - 1);
}

static int map_descs(struct device *device, unsigned int queue)
{
	size_t stride = round_up_to_page(UBLK_MAX_QUEUE_DEPTH *
					 sizeof(struct ublksrv_io_desc));
	void *descs;

	descs = mmap(NULL, device->map_length, PROT_READ,
		     MAP_SHARED | MAP_POPULATE, device->fd,
		     UBLKSRV_CMD_BUF_OFFSET + queue * stride);
	if (descs == MAP_FAILED)
		return -errno;
	device->descs[queue] = descs;
	return 0;
}

int device_open(const struct ublksrv_ctrl_dev_info *info, int nodes,
		struct device *device)
{
	device->id = info->dev_id;
	device->queues = info->nr_hw_queues;
	device->depth = info->queue_depth;
	device->max_io = info->max_io_buf_bytes;
	device->map_length = round_up_to_page(device->depth *
					      sizeof(**device->descs));
	device->descs = calloc(device->queues, sizeof(*device->descs));
	if (!device->descs)
		return -ENOMEM;
	device->fd = node_open(nodes, device->id);
	if (device->fd < 0) {
		free(device->descs);
		return device->fd;
	}
	return 0;
}

int device_map(struct device *device, unsigned int first, unsigned int count)
{
	unsigned int queue;
	int ret = 0;

	for (queue = first; !ret && queue < first + count; queue++)
		ret = map_descs(device, queue);
	return ret;
}

void device_close(struct device *device)
{
	unsigned int queue;

	for (queue = 0; queue < device->queues; queue++)
		if (device->descs[queue])
			munmap((void *)device->descs[queue],
			       device->map_length);
	close(device->fd);
	free(device->descs);
}

static int set_attribute(int id, const char *name, const char *value)
{
	char path[64];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/sys/block/ublkb%d/queue/%s", id, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int device_set_timeout(int id)
{
	return set_attribute(id, "io_timeout", "2000"); /* ms */
}

int device_set_scheduler(int id)
{
	return set_attribute(id, "scheduler", "none");
}
