/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor from the inside; for its own files only.
 */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "plugin/supervisor/hooks.h"
#include "plugin/supervisor/merge.h"
#include "plugin/supervisor/poison.h"
#include "plugin/supervisor/suspicion.h"
#include "plugin/common/disk-event.h"
#include "plugin/common/process.h"
#include "plugin/common/channel.h"
#include "plugin/common/rpc.h"
#include "plugin/server/server.h"
#include "plugin/common/state.h"
#include "plugin/common/stats.h"

enum phase {
	PHASE_ADDING, /* the first server opens and starts */
	PHASE_LIVE,
	PHASE_LOCKING,	  /* until the files can be locked */
	PHASE_RECOVERING, /* another server opens and takes over */
	PHASE_WAITING,	  /* until it is time to start another one */
	PHASE_CHANGING,	  /* until another image is in the image's place */
	PHASE_FAILED,	  /* gave up; the device waits, quiesced */
	PHASE_STOPPING,	  /* the device, and then the server */
	PHASE_CLOSING,	  /* the image, in a dead server's stead */
	NR_PHASES
};

enum event {
	EVENT_OPENED, /* the server has opened the image */
	EVENT_LIVE,   /* the server serves */
	EVENT_DIED,   /* the server is gone */
	EVENT_TIMER,
	EVENT_RECOVER,	 /* a command wants it live */
	EVENT_STOP,	 /* a command or a signal wants it gone */
	EVENT_HAND_OVER, /* another supervisor wants the disk */
	EVENT_RENEW,	 /* a new program is installed */
	EVENT_CHANGE,	 /* a command wants the disk changed */
	EVENT_JOB,	 /* our child has done its work */
	EVENT_CALLER_LEFT,
	NR_EVENTS
};

#define TALLY_DEATHS 10

/* Deaths, to tell an accident from a server that cannot live. */
struct tally {
	unsigned int short_lives;    /* in a row */
	unsigned int stillborn;	     /* in a row, never live */
	unsigned int lasting;	     /* of these, the last in a row that
					said: for a cause that lasts */
	uint64_t when[TALLY_DEATHS]; /* the last of those, as a ring */
	uint64_t live_since;
};

/* The signal to end, which waits until nobody uses the disk. */
struct leave {
	struct job job;		    /* looks for its users */
	uint64_t next;		    /* when to look, 0: there was no signal */
	char used_by[JOB_TEXT_MAX]; /* the user that was told last */
	bool told;		    /* there was one, taken back or not */
};

/* Over the server of a live disk. */
struct watchdog {
	uint64_t next; /* when to look again, by clock_ms(); 0: never */
	/* The server as a whole, and then its I/O threads. */
	struct suspect {
		struct suspicion suspicion;
		uint64_t looked_at; /* clock_ms(), at the threads; 0: not yet */
		uint64_t cpu;	    /* ms, then */
	} suspects[1 + STATS_THREADS];
};

/* To another image of the disk.  The rest of the record is not here, for it may
   change between the plan and the move. */
struct move {
	char image[PATH_MAX];
	struct qcow_identity identity;
	struct layers layers;
};

/* A single thread has it all to itself. */
struct supervisor {
	struct disk disk;
	struct stats *stats; /* mapped; with the servers, see stats.h */
	enum phase phase;
	enum phase before; /* STOPPING: where a refusal leads back to */
	bool ended;
	bool foreground; /* see struct task */
	bool managed;
	bool stand_in; /* see struct task */

	/* The server of the moment; -1 when there is none. */
	int server; /* pidfd */
	int channel;
	bool adopted;	   /* not our child: its exit status is unknown */
	bool orderly;	   /* the last one closed the image (status 0) */
	bool signalled;	   /* the last one was killed */
	bool told_merged;  /* the server says so, in the end */
	bool told_failure; /* the server says that it cannot merge */
	struct server_message opened; /* its size is 0 before that */
	char death[512];	      /* how the last one died, and why */
	enum failure_cause cause;     /* of that, as far as it is known */
	unsigned int may_say;	      /* so many messages from then on */
	uint64_t heard_since;	      /* clock_ms() */

	struct qcow_lock *image_lock;
	struct layers layers; /* of the disk; when known, locked, too */
	struct qcow_lock *layer_locks[QCOW_FILES_MAX];
	struct qcow_lock *behind_locks[QCOW_FILES_MAX + 1]; /* loop.h */
	unsigned int nr_behind;
	struct change asked;  /* by the caller */
	struct change change; /* for which the server was killed */
	struct move move;
	unsigned int merge_place;	/* of the layer, as disk.merging */
	struct qcow_merge_kept kept;	/* shared with the servers of a merge */
	char change_text[JOB_TEXT_MAX]; /* why it failed; "": it has not */
	char notice[256];		/* the last one of this server */
	bool unbroken; /* our locks are older than the last death */
	bool force_open;
	bool id_chosen; /* by the user: there is no other */

	bool renew_later; /* when its hooks have run; the caller waits */
	bool stop_forced; /* --force came with the last stop */
	bool job_forced;  /* --force holds for the job */
	bool device_stopped;
	bool abandoned; /* CHANGING: as soon as the job has ended */

	int lock; /* of the disk; while it is being set up */
	int signals;
	int listener;
	int newcomer;	       /* whose appeal has not come yet */
	int caller;	       /* whose appeal is the last one, */
	enum appeal_type wish; /*  and is this */
	struct job job;
	struct hooks hooks;
	struct leave leave;
	struct watchdog watchdog;
	struct tally tally;
	struct poison poison;
	uint64_t died_at;
	uint64_t deadline; /* of EVENT_TIMER, 0: none */
	bool clock_late;   /* in the last round, which a descriptor had */
	uint64_t slow;	   /* LOCKING: when to tell that it is */
	bool failed;	   /* the exit status */
};

/* supervisor.c: the phases. */

/* Enters a phase and writes it down.  0, or -errno after a line in the log. */
int supervisor_enter(struct supervisor *sv, enum phase phase);

/* Starts a server that takes over the device. */
void supervisor_recover(struct supervisor *sv);

/* Maps the file with the disk's figures. */
void supervisor_map_stats(struct supervisor *sv);

/* Takes the action of the phase for the event. */
void supervisor_handle(struct supervisor *sv, enum event event);

enum locking {
	LOCK_JOIN, /* beside a living server */
	LOCK_TEST, /* as a stranger */
};

/* hold.c: our locks on the files of the disk. */

/* Locks the image and the layers that are known, or none of them, at once; on
   failure disk.reason says why.  Returns:
   0
   -EBUSY	somebody else has one of them
   -EINPROGRESS	a dead server's last I/O goes on
   or another -errno. */
int hold_try(struct supervisor *sv, enum locking locking);

/* The lock on a layer becomes that of a writer.  -EBUSY: somebody reads it,
   perhaps the last server's I/O. */
int hold_raise_layer(struct supervisor *sv, unsigned int i,
		     struct qcow_error *error);

/* As hold_try(), but waits a minute for such I/O, and settles on failure. */
int hold_files(struct supervisor *sv, enum locking locking);

/* Notes a layer that a server tells of, unless they are known. */
void hold_note_layer(struct supervisor *sv,
		     const struct server_message *message);

/* RECOVERING: the server has opened the image.  Locks its layers beside it,
   unless they are known: then they have been locked for long. */
void hold_layers(struct supervisor *sv);

/* The same for a new disk; on failure sv->death says why. */
int hold_new_layers(struct supervisor *sv);

/* If the image is no longer under its name, adds to the text where it is; only
   this process, which has it open, knows that. */
void hold_tell_where(const struct supervisor *sv, char *text, size_t size);

void hold_drop(struct supervisor *sv);

/* begin.c: a new disk. */
void begin_add_device(struct supervisor *sv);
void begin_publish(struct supervisor *sv);
void begin_fail(struct supervisor *sv);
void begin_abandon(struct supervisor *sv);

/* adopt.c: a disk that has lost its supervisor. */

/* The server is dead, too: enters LOCKING, or RECOVERING if the files can be
   locked at once.  An obstacle that will last ends the supervisor. */
void adopt_lock(struct supervisor *sv);

/* Takes over the disk, whose server lives or not. */
int adopt_disk(struct supervisor *sv);

/* finish.c: the end of a disk. */
void finish_start(struct supervisor *sv);
void finish_recovering(struct supervisor *sv);
void finish_hasten(struct supervisor *sv);
void finish_lose_patience(struct supervisor *sv);
void finish_refuse_recovery(struct supervisor *sv);
void finish_server_ended(struct supervisor *sv);
void finish_device_stopped(struct supervisor *sv);
void finish_image_closed(struct supervisor *sv);

/* The device was found stopped, and no server is left: the rest of it. */
void finish_stopped(struct supervisor *sv);

/* leave.c: the disk will be removed as soon as nobody uses it. */
void leave_begin(struct supervisor *sv);
void leave_cancel(struct supervisor *sv);
void leave_look(struct supervisor *sv);
void leave_looked(struct supervisor *sv);

/* Another supervisor asks for the disk.  It gets the disk if this supervisor
   was told to end, and so was let go, or if this one only stands in. */
void leave_hand_over(struct supervisor *sv);

/* The same in the middle of a change: the other supervisor must ask again. */
void leave_put_off(struct supervisor *sv);

/* renew.c: becomes the program that is installed; returns if that fails. */
void renew(struct supervisor *sv);

/* move.c: from an image to an overlay of it. */

/* Fills in *move: the overlay, and its layers. */
int move_plan(const struct supervisor *sv, const char *image,
	      struct move *move);
void move_clear(struct move *move);

/* The record as it will be after the move. */
void move_describe(const struct supervisor *sv, const struct move *move,
		   struct disk *disk);

/* Before the move nobody may write any more.  After a move that failed the next
   server may write again. */
void move_lower_locks(struct supervisor *sv);
void move_raise_locks(struct supervisor *sv);

/* Locks the overlay and writes the record; both images are closed.  On failure
   all is as before. */
int move_make(struct supervisor *sv, struct move *move,
	      struct qcow_error *error);

/* From an image that is merged to the layer that holds all of it. */
int move_down(struct supervisor *sv);

/* refuse.c: tells the caller if the change that is asked for is not possible.
   During a merge that is each change that has nothing to do with the merge. */
bool refuse_change(struct supervisor *sv);
bool refuse_while_merging(struct supervisor *sv);

/* change.c: the planned death of a server. */

/* The disk is in the middle of something else: the caller must ask again. */
void change_put_off(struct supervisor *sv);

/* Into which layer is the image to be merged?  0: the caller does not
   say. */
unsigned int change_merge_place(const struct change *change);

/* LIVE: a command asks for it. */
void change_begin(struct supervisor *sv);

/* LIVE: a command wants the disk live, and hears of the end of a change. */
void change_await(struct supervisor *sv);

/* The supervisor that began a growth or a merge is dead; the server lives, and
   cannot tell us anything. */
void change_resume(struct supervisor *sv);

/* LIVE: the merge must end. */
void change_end_merge(struct supervisor *sv);

/* LIVE: another program is installed. */
void change_program(struct supervisor *sv);

/* The server is dead. */
void change_server_ended(struct supervisor *sv);

/* CHANGING: the image is closed, or is not; or the job was a merge's. */
void change_job_ended(struct supervisor *sv);

/* RECOVERING: the server serves.  If the disk was growing, its device grows. */
void change_grow_device(struct supervisor *sv);

/* The change is done, or has failed. */
void change_end(struct supervisor *sv);

/* abandon.c: CHANGING, and the disk must be removed all the same; the job has
   ended; it is time to try again, or the job does not end. */
void abandon_change(struct supervisor *sv);
void abandon_job_ended(struct supervisor *sv);
void abandon_time(struct supervisor *sv);

/* kept.c: which bytes are merged, for the next server.  Before each server; and
   when our locks go. */
void kept_prepare(struct supervisor *sv);
void kept_drop(struct supervisor *sv);

/* trouble.c: the host's storage is full, or fails. */
void trouble_hear(struct supervisor *sv, const struct server_message *message);

/* Tells the service manager how a live disk fares. */
void trouble_notify(const struct disk *disk);

/* poison-tell.c: RECOVERING, the server serves.  Tells of a request that it
   fails, since servers before it died of it. */
void poison_tell(struct supervisor *sv);

/* watchdog.c: is the server, which lives, at work?  LIVE begins and ends the
   watch; the look is for the time that watchdog.next says. */
void watchdog_begin(struct supervisor *sv);
void watchdog_end(struct supervisor *sv);
void watchdog_look(struct supervisor *sv);
/* Of a server that serves, and is adopted, or was not watched for a while:
   takes back that it makes no progress, if that was told.  Where that is still
   so, it is told again. */
void watchdog_forget(struct supervisor *sv);

/* hear.c: a message of the server. */
#define MESSAGES_MAX (QCOW_FILES_MAX + 128) /* in a minute */
void hear_server(struct supervisor *sv);

/* watch.c: the descriptors of the supervisor, and the commands that wait. */

int watch_open(struct supervisor *sv);
void watch_close(struct supervisor *sv);

/* Tells the command that waits, and nobody else, to ask again later: the disk
   is just being STATE. */
void watch_put_off(struct supervisor *sv, const char *state);

/* Tells the command that waits how it ended, and the log.  The text of a
   failure does not begin with the device's or the image's name. */
void watch_settle(struct supervisor *sv, bool failed, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same of an event of the disk; an event that is an error is a failure. */
void watch_settle_event(struct supervisor *sv, enum disk_event event,
			const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Turns all that the descriptors tell into events, until sv->ended. */
void watch(struct supervisor *sv);

/* spawn.c: the server as a child.  It begins when its pid is in the record. */
int spawn_server(struct supervisor *sv, bool recover);

/* Takes over a server whose supervisor died; -ESRCH: it died too. */
int spawn_adopt(struct supervisor *sv);

void spawn_kill(struct supervisor *sv);

/* Reads one message; true if there was one. */
bool spawn_receive(struct supervisor *sv, struct server_message *message);
void spawn_tell_added(struct supervisor *sv);

/* Notes the last words of a server: SERVER_FAILED, SERVER_DYING. */
void spawn_note_last_words(struct supervisor *sv,
			   const struct server_message *message);

/* After its death: takes leave of it; sv->orderly and sv->death tell how it
   went. */
void spawn_reap(struct supervisor *sv);

#endif /* WATCH_H */
