/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An image's header: its fields, and the writes to some of them. */
#ifndef QCOW_HEADER_H
#define QCOW_HEADER_H

#include "qcow/file.h"
#include "qcow/inspect.h"
#include "qcow/format.h"

/* header.c */

struct header {
	unsigned int version;
	uint32_t cluster_bits;
	uint64_t size; /* of the virtual disk, bytes */
	uint32_t crypt_method;
	uint32_t l1_size; /* entries */
	uint64_t l1_offset;
	uint64_t refcount_table_offset;
	uint32_t refcount_table_clusters;
	uint32_t nb_snapshots;
	uint64_t snapshots_offset;
	uint64_t incompatible, compatible, autoclear;
	uint32_t refcount_order;
	uint32_t length; /* bytes, without extensions */
	uint8_t compression_type;
	uint64_t backing_offset;
	uint32_t backing_size;
	uint32_t extensions_end; /* offset of the end mark */
	uint32_t life_offset;	 /* of our extension, 0: none */
	uint32_t life_size;	 /* of its data, bytes */
	struct life_mark {	 /* its contents */
		uint64_t nonce;	 /* of the life */
		uint8_t boot_id[16];
		uint64_t generation; /* of the tables in that life */
	} mark;
};

/* The clusters from byte 0 that hold the header and its extensions. */
struct header_area {
	uint8_t *bytes;	 /* as they stand in the file */
	uint32_t length; /* a multiple of the alignment */
};

/* Is the L1 table inside the file, and apart from the header? */
int header_judge_l1(struct file *file, const struct header *header,
		    struct qcow_error *error);
/* And the refcount table? */
int header_judge_refcount_table(struct file *file, const struct header *header,
				struct qcow_error *error);
/* Where extensions end at the latest: at the backing name or the cluster. */
uint32_t header_extensions_limit(const struct header *header);
/* The bytes that have every field of every format; free() frees them. */
int header_read_first(struct file *file, uint8_t **bytes,
		      struct qcow_error *error);
/* The name of the backing file, if backing_offset says that there is one. */
int header_read_backing(struct file *file, const struct header *header,
			char name[MAX_BACKING_NAME + 1]);
/* The format of the backing file, or an empty string. */
void header_backing_format(const struct header *header,
			   const struct header_area *area, char format[64]);
/* Reads and judges the header, and leaves the top tables unjudged.  On failure,
   too, the caller frees area->bytes. */
int header_read_unplaced(struct file *file, struct header *header,
			 struct header_area *area, struct qcow_error *error);
/* Reads and judges the header and its top tables.  On failure, too, the caller
   frees area->bytes. */
int header_read(struct file *file, struct header *header,
		struct header_area *area, struct qcow_error *error);
/* Walks the extensions; *at begins as header->length. */
bool header_next_extension(const struct header *header,
			   const struct header_area *area, uint32_t *at,
			   uint32_t *type, uint32_t *length,
			   const uint8_t **data);

/* merged.c */

/* Does it have the mark of an image that was merged into another one?  Tells
   into which; the name does not end with a zero, and may be empty. */
bool header_is_merged(const struct header *header,
		      const struct header_area *area, const char **into,
		      uint32_t *length);

/* support.c */

/* Is the type of compression one that the engine has? */
int support_check_compression(const struct header *header,
			      struct qcow_error *error);
/* May the bit of raw data files be set as it is? */
int support_check_raw_data(const struct header *header,
			   struct qcow_error *error);
/* Are all features of the image known, and can it be opened so? */
int support_check(const struct header *header, const struct header_area *area,
		  bool read_only, struct qcow_error *error);
/* features.c */

/* The name of a feature bit, if anybody knows one. */
void feature_describe(const struct header *header,
		      const struct header_area *area,
		      enum qcow_feature_kind kind, unsigned int bit,
		      struct qcow_feature *feature);
/* All that are set; returns how many. */
unsigned int features_list(const struct header *header,
			   const struct header_area *area,
			   struct qcow_feature features[QCOW_FEATURES_MAX]);

/* life.c: writes to the header */

#define EXTENSION_HEAD 8u  /* type, length */
#define LIFE_SIZE      32u /* nonce, boot id, generation */
#define LIFE_SIZE_MIN  24u /* without a generation */

/* Can the image carry our whole mark (R12)?  Some can after
   header_make_room(). */
bool header_has_room(const struct header *header);
/* Puts the mark in, and makes it durable. */
int header_write_life(struct file *file, struct header *header,
		      struct header_area *area, const struct life_mark *mark);
/* Writes a mark that is in the image anew; does not sync.  Only where
   header_has_room(). */
int header_write_mark(struct file *file, struct header *header,
		      struct header_area *area, const struct life_mark *mark);
int header_clear_life(struct file *file, struct header *header,
		      struct header_area *area);
/* Writes where the refcount table is, as *header says. */
int header_write_refcount_table(struct file *file, const struct header *header,
				struct header_area *area);
/* Writes where the snapshot table is, likewise. */
int header_write_snapshots(struct file *file, const struct header *header,
			   struct header_area *area);
/* Writes the disk's size and where its L1 table is, likewise, at once. */
int header_write_size(struct file *file, const struct header *header,
		      struct header_area *area);
/* Sets bits of incompatible_features. */
int header_write_incompatible(struct file *file, struct header *header,
			      struct header_area *area, uint64_t bits);
/* Makes all extensions of a type mean nothing. */
int header_void_extensions(struct file *file, const struct header *header,
			   struct header_area *area, uint32_t type);

/* header-room.c */

/* Before the first mark of a life: moves the backing file's name if that makes
   room for the mark, durably.  0, too, if there can be no room. */
int header_make_room(struct file *file, struct header *header,
		     struct header_area *area);

#endif /* QCOW_HEADER_H */
