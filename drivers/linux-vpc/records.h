/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_RECORDS_H
#define LINUX_VPC_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "drivers/linux-vpc/names.h"
#include "model/value.h"

struct arena;
struct error;

/*
 * What this driver was asked for, one JSON file an object, in a directory a VPC:
 * <own>/<vpc uid>/<Kind>-<uid>.json. From these files alone the kernel's state is
 * rebuilt; a verb changes one file and then makes the kernel agree.
 */
enum record_kind {
    RECORD_VPC,
    RECORD_SUBNET,
    RECORD_NIC,
    RECORD_FIREWALL,
    RECORD_FLOATINGIP,
    RECORD_PORTFORWARD,
    RECORD_KINDS,
};

struct record {
    enum record_kind kind;
    const char *uid;
    const char *project; /* NULL if rack-wide */
    const char *name;
    uint64_t epoch;
    bool is_released;
    const struct value *spec;   /* as asked, with what the plan chose; a map */
    const struct value *chosen; /* what the driver chose: a map, may be empty */
};

/* All records of one VPC, ordered by kind, name, uid. */
struct records {
    const char *vpc; /* uid */
    struct record *items;
    size_t count;
    struct names by_uid;
};

const char *record_kind_text(enum record_kind kind); /* "VPC", "Subnet", ... */
int record_kind_read(const char *text, enum record_kind *kind);

/* Reads all; a VPC without a directory has none. */
int records_load(struct arena *arena, const char *own_dir, const char *vpc, struct records *out,
                 struct error *err);
/* What the file of that name in it holds, for as long as `value` does. False: no record, or not the
 * one that the name says. */
bool record_parse(struct arena *arena, const char *name, const struct value *value,
                  struct record *record);
const struct record *records_find(const struct records *records, const char *uid);

/* Writes one atomically, making the VPC's directory when needed. It is there after a power cut
 * once records_sync() was called, as is the removal of one: a sync for many. */
int record_write(const char *own_dir, const char *vpc, const struct record *record,
                 struct error *err);

/* Many records, made durable at the same time: a draft has no name until records_publish(). */
enum { RECORD_DRAFTS = 128 };
struct record_draft {
    int fd;
    char *path; /* that it will have */
    struct error *outcome;
};
struct record_drafts { /* begins as all zero */
    struct record_draft items[RECORD_DRAFTS];
    size_t count;
};

/* What fails later is said by `outcome` too, which has to live until then. */
int record_draft(struct record_drafts *drafts, const char *own_dir, const char *vpc,
                 const struct record *record, struct error *outcome);
/* Syncs all and gives them their names. */
void records_publish(struct record_drafts *drafts);

/* Absent already is success. */
int record_remove(const char *own_dir, const char *vpc, const struct record *record,
                  struct error *err);

/* Makes durable what was written and removed in the VPC's directory, and that it is there or gone.
 */
int records_sync(const char *own_dir, const char *vpc, struct error *err);

/* Uids of the VPCs that have a directory, as a list of texts, in order. */
int records_vpcs(struct arena *arena, const char *own_dir, struct value **out, struct error *err);

/* The VPC in whose directory the object lies, or NULL; with `err` set if that cannot be told. */
const char *records_vpc_of(struct arena *arena, const char *own_dir, enum record_kind kind,
                           const char *uid, struct error *err);

/* Serialises changes of one VPC, and of what all share (vpc NULL). Makes the
 * directory when needed. Waits; close() the descriptor to release. */
int records_lock(const char *own_dir, const char *vpc, struct error *err);

/* Keeps changes out while one looks. -1 if the VPC has no directory. */
int records_hold(const char *own_dir, const char *vpc);

/* Whether somebody is changing the VPC at this moment. */
bool records_are_locked(const char *own_dir, const char *vpc);

/* Removes the VPC's directory with all files in it. */
int records_forget(const char *own_dir, const char *vpc, struct error *err);

/* Removes the directory if there is nothing in it. */
void records_forget_empty(const char *own_dir, const char *vpc);

/* One file of the VPC's directory: read into the arena, or as it was read before (kept.h); `*out`
 * is NULL if there is none or it holds no JSON; an error if that cannot be told. Written atomically
 * and durably. `name` without directory. */
int records_read_file(struct arena *arena, const char *own_dir, const char *vpc, const char *name,
                      const struct value **out, struct error *err);
/* The same by its path, and from the disk in any case. */
int records_read_path(struct arena *arena, const char *path, struct value **out, struct error *err);
int records_write_file(const char *own_dir, const char *vpc, const char *name,
                       const struct value *value, struct error *err);
/* The same of what describes the kernel's state, which no power cut survives: it is not synced. */
int records_note_file(const char *own_dir, const char *vpc, const char *name,
                      const struct value *value, struct error *err);
/* Takes away what is noted of a namespace that is no more. */
void records_note_drop(const char *own_dir, const char *vpc, const char *name);

#endif
