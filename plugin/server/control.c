// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /dev/ublk-control, one command at a time.
 *
 * A command is an io_uring command on a small ring of its own: the driver
 * answers from a kernel thread, so even a command that hangs in the driver
 * leaves this thread able to give up.  A thread that gave up must not touch the
 * ring again: the driver still has the command, and the buffer of the command.
 * That is why the buffer lives in struct control and not on the caller's stack,
 * and why a struct control that timed out is abandoned, not freed.
 *
 * Payloads are copied in before and copied out after a command, so a driver
 * of another edition that fills more or less than we know of does no harm.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "plugin/server/control.h"

#define PATIENCE 30 /* seconds; a driver in good health needs milliseconds */

struct control {
	struct io_uring ring;
	int fd;
	bool abandoned; /* a command never came back */
	union {
		struct ublksrv_ctrl_dev_info info;
		struct ublk_params params;
		uint64_t features;
	} payload;
};

struct command {
	uint32_t op;
	int id;
	bool waits; /* as long as it takes */
	uint16_t length;
	uint64_t data;
};

int control_open(struct control **result)
{
	struct control *control = calloc(1, sizeof(*control));
	int ret;

	if (!control)
		return -ENOMEM;
	control->fd = open(UBLK_CONTROL_PATH, O_RDWR | O_CLOEXEC);
	if (control->fd < 0) {
		ret = -errno;
		free(control);
		return ret;
	}
	ret = io_uring_queue_init(4, &control->ring, IORING_SETUP_SQE128);
	if (ret < 0) {
		close(control->fd);
		free(control);
		return ret;
	}
	/* A child could have a command executed in our name. */
	io_uring_ring_dontfork(&control->ring);
	*result = control;
	return 0;
}

void control_close(struct control *control)
{
	if (!control || control->abandoned)
		return;
	io_uring_queue_exit(&control->ring);
	close(control->fd);
	free(control);
}

static void prepare(struct control *control, const struct command *command,
		    struct io_uring_sqe *sqe)
{
	struct ublksrv_ctrl_cmd *cmd = (void *)sqe->cmd;

	memset(sqe, 0, 2 * sizeof(*sqe)); /* SQE128 */
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = control->fd;
	sqe->cmd_op = command->op;
	cmd->dev_id = command->id;
	cmd->queue_id = UINT16_MAX; /* not for a queue */
	cmd->len = command->length;
	cmd->addr = command->length ? (uintptr_t)&control->payload : 0;
	cmd->data[0] = command->data;
}

static int wait_for_answer(struct control *control, bool patient)
{
	struct __kernel_timespec limit = { .tv_sec = PATIENCE };
	struct io_uring_cqe *cqe;
	int ret;

	do
		ret = io_uring_wait_cqe_timeout(&control->ring, &cqe,
						patient ? NULL : &limit);
	while (ret == -EINTR);
	if (ret < 0) {
		control->abandoned = true;
		return ret == -ETIME ? -ETIMEDOUT : ret;
	}
	ret = cqe->res;
	io_uring_cqe_seen(&control->ring, cqe);
	return ret;
}

static int run(struct control *control, const struct command *command)
{
	struct io_uring_sqe *sqe;
	int ret;

	if (control->abandoned)
		return -ETIMEDOUT;
	sqe = io_uring_get_sqe(&control->ring);
	if (!sqe)
		return -EBUSY;
	prepare(control, command, sqe);
	do
		ret = io_uring_submit(&control->ring);
	while (ret == -EINTR || ret == -EAGAIN);
	if (ret < 0)
		return ret;
	ret = wait_for_answer(control, command->waits);
	if (ret == -EPERM) /* CAP_SYS_ADMIN is missing */
		return -EACCES;
	return ret < 0 ? ret : 0;
}

/* A command without payload. */
static int run_plain(struct control *control, uint32_t op, int id)
{
	const struct command command = { .op = op, .id = id };

	return run(control, &command);
}

/* The same, as long as it takes, with a number to go with it. */
static int run_waiting(struct control *control, uint32_t op, int id,
		       uint64_t data)
{
	const struct command command = {
		.op = op,
		.id = id,
		.waits = true,
		.data = data,
	};

	return run(control, &command);
}

static int run_with_info(struct control *control, uint32_t op, int id,
			 struct ublksrv_ctrl_dev_info *info)
{
	const struct command command = {
		.op = op,
		.id = id,
		.length = sizeof(*info),
	};
	int ret;

	control->payload.info = *info;
	ret = run(control, &command);
	if (!ret)
		*info = control->payload.info;
	return ret;
}

int control_get_features(struct control *control, uint64_t *features)
{
	const struct command command = {
		.op = UBLK_U_CMD_GET_FEATURES,
		.id = -1,
		.length = sizeof(*features),
	};
	int ret;

	ret = run(control, &command);
	if (!ret)
		*features = control->payload.features;
	return ret;
}

int control_add(struct control *control, struct ublksrv_ctrl_dev_info *info)
{
	return run_with_info(control, UBLK_U_CMD_ADD_DEV, info->dev_id, info);
}

int control_get_info(struct control *control, int id,
		     struct ublksrv_ctrl_dev_info *info)
{
	struct ublksrv_ctrl_dev_info answer = { 0 };
	int ret;

	ret = run_with_info(control, UBLK_U_CMD_GET_DEV_INFO, id, &answer);
	if (!ret)
		*info = answer;
	return ret;
}

int control_set_params(struct control *control, int id,
		       const struct ublk_params *params)
{
	const struct command command = {
		.op = UBLK_U_CMD_SET_PARAMS,
		.id = id,
		.length = sizeof(*params),
	};

	control->payload.params = *params;
	control->payload.params.len = sizeof(*params);
	return run(control, &command);
}

int control_get_params(struct control *control, int id,
		       struct ublk_params *params)
{
	const struct command command = {
		.op = UBLK_U_CMD_GET_PARAMS,
		.id = id,
		.length = sizeof(*params),
	};
	int ret;

	memset(&control->payload, 0, sizeof(control->payload));
	control->payload.params.len = sizeof(*params);
	ret = run(control, &command);
	if (!ret)
		*params = control->payload.params;
	return ret;
}

int control_update_size(struct control *control, int id, uint64_t sectors)
{
	const struct command command = {
		.op = UBLK_U_CMD_UPDATE_SIZE,
		.id = id,
		.data = sectors,
	};

	return run(control, &command);
}

int control_start(struct control *control, int id, int pid)
{
	return run_waiting(control, UBLK_U_CMD_START_DEV, id, pid);
}

int control_stop(struct control *control, int id)
{
	return run_waiting(control, UBLK_U_CMD_STOP_DEV, id, 0);
}

int control_try_stop(struct control *control, int id)
{
	return run_waiting(control, UBLK_U_CMD_TRY_STOP_DEV, id, 0);
}

int control_del_async(struct control *control, int id)
{
	return run_plain(control, UBLK_U_CMD_DEL_DEV_ASYNC, id);
}

int control_start_recovery(struct control *control, int id)
{
	return run_plain(control, UBLK_U_CMD_START_USER_RECOVERY, id);
}

int control_end_recovery(struct control *control, int id, int pid)
{
	return run_waiting(control, UBLK_U_CMD_END_USER_RECOVERY, id, pid);
}
