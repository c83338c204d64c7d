/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The events in a disk's life: each event has a word, a priority and an id
 * for the journal.
 */
#ifndef DISK_EVENT_H
#define DISK_EVENT_H

enum disk_event {
	DISK_EVENT_NONE,	    /* a line about something else */
	DISK_EVENT_LIVE,	    /* a new disk is usable */
	DISK_EVENT_CRASHED,	    /* its server died */
	DISK_EVENT_RECOVERY_FAILED, /* the next one died before it served */
	DISK_EVENT_RECOVERY_SLOW,   /* the next one does not serve yet */
	DISK_EVENT_RECOVERED,	    /* the next one serves */
	DISK_EVENT_GAVE_UP,	    /* the disk waits for `recover` */
	DISK_EVENT_NO_SPACE,	    /* requests fail for want of room */
	DISK_EVENT_IO_ERROR,	    /* requests fail for the storage does */
	DISK_EVENT_WELL_AGAIN,	    /* they no longer fail */
	DISK_EVENT_NO_PROGRESS,	    /* its server does nothing, blamelessly */
	DISK_EVENT_GOES_ON,	    /* it does something again */
	DISK_EVENT_STUCK,	    /* it does nothing, and is replaced */
	DISK_EVENT_POISONED,	    /* a request has killed three servers */
	DISK_EVENT_ADOPTED,	    /* its server has a new supervisor */
	DISK_EVENT_HANDED_OVER,	    /* its supervisor ends for another one */
	DISK_EVENT_UPGRADED,	    /* another server, of the new program */
	DISK_EVENT_RESIZED,	    /* it is larger */
	DISK_EVENT_SNAPSHOT,	    /* an overlay is in its image's place */
	DISK_EVENT_MERGING,	    /* its image is merged into that below */
	DISK_EVENT_MERGED,	    /* the one below is in its image's place */
	DISK_EVENT_NOT_MERGED,	    /* it goes on with the image it has */
	DISK_EVENT_NOT_CHANGED,	    /* one of these has failed */
	DISK_EVENT_ENDING,	    /* it should go, and is in use */
	DISK_EVENT_WANTED,	    /* it is not to go after all */
	DISK_EVENT_STOPPED,	    /* somebody else has stopped the device */
	DISK_EVENT_REMOVED,	    /* it is gone in good order */
	DISK_EVENT_NOT_CLOSED,	    /* it is gone, but not in good order */
	NR_DISK_EVENTS
};

/* "crashed", for example; also the word for hooks.d, where there is a hook.
   NULL: of no event. */
const char *disk_event_word(enum disk_event event);

/* One of syslog's. */
int disk_event_priority(enum disk_event event);

/* The journal's MESSAGE_ID: 128 bits in hexadecimal, the same for ever. */
const char *disk_event_id(enum disk_event event);

#endif /* DISK_EVENT_H */
