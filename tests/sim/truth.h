/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_TRUTH_H
#define TESTS_SIM_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/arena.h"
#include "model/value.h"

struct sim;
struct wish;

/*
 * What really exists, and whose it is: the ledger that Spinel never sees. An entry
 * stays when its object is gone, so that what comes back can be told from what is new.
 */
struct thing {
    bool exists;
    bool is_ours; /* Spinel had it made; else a stranger's, or a copy */
    bool is_released;
    bool is_purged;  /* a person has given it up */
    bool is_meddled; /* a person made it, or took its tag: nothing that Spinel left behind */
    char uid[33];    /* "" of what is not ours */
    char kind[16], project[32], name[64];
    char owner[32];      /* the tenant that it was first made for; whatever is said later */
    char native[80];     /* its name on the machine */
    const char *tag;     /* as it lies on the object; NULL: none */
    uint64_t epoch;      /* of the last effect */
    uint64_t version;    /* rises with every change */
    uint64_t made;       /* times that it came into being */
    uint64_t applied;    /* operations that were begun on it */
    uint64_t gone_epoch; /* its deletion was confirmed at this epoch; 0: it was not */
    uint64_t writes;     /* of a volume: what a guest has written and synced */
    const struct value *spec, *booted;
    const struct value *refs; /* of a machine: by its disks' paths, uids of what it has opened */
    const char *exit_reason;
    int64_t born_ms; /* it came into being for the first time */
    int64_t told_ms; /* the daemon that runs has heard of it since; 0: it has not */
    int64_t left_ms; /* wall clock: it left Git then, and nobody approved that; 0 */
    bool was_told;   /* a daemon had heard that it is there: until then nobody can use it */
};

/* What was last sent about an object, whatever came of it. */
enum { SENT_VOLUMES = 4 };
struct sent {
    char uid[33], name[64];
    char volumes[SENT_VOLUMES][33]; /* that its disks are to have */
    size_t volume_count;
    bool is_release;
};

/* Of each uid, there or not: the highest epoch at which this driver has begun an operation. A store
 * that was lost and found again by tags cannot know of another's: a volume that its machine's
 * driver has grown bears none of that. */
struct fence {
    const struct sim_driver *driver;
    char uid[33];
    uint64_t epoch;
};

/* What the last accepted commit that declared a volume said of it. */
struct last_word {
    char project[32], name[64], moved_to[64];
    bool is_protected, is_deleted, is_declared;
};

/* What an effect that is not synced yet has changed. */
struct undo {
    struct thing before;
    uint64_t version; /* after it: nobody else has touched it since */
};

struct truth {
    struct thing *things;
    size_t count, room;
    struct sent *sent;
    size_t sent_count, sent_room;
    struct fence *fences;
    size_t fence_count, fence_room;
    struct undo *undos; /* oldest first */
    size_t undo_count, undo_room;
    struct last_word *words;
    size_t word_count, word_room;
    /* Wall clock of destructions that nobody approved, and of what. */
    int64_t destroyed_at[512];
    char destroyed_uid[512][33];
    size_t destroyed;
    size_t most; /* objects at one time, of those that count for the budget */
};

/* The one that Spinel made under this uid; NULL: it never did. */
struct thing *thing_of_uid(const struct truth *truth, const char *uid);
struct thing *thing_of_native(const struct truth *truth, const char *native);
struct thing *thing_add(struct truth *truth);
/* A person let a collapse through, and has seen what left before. */
void truth_leavers_forget(struct truth *truth);
void truth_free(struct truth *truth);
/* A commit has become the target. */
void truth_declare(struct truth *truth, const struct wish *wish);
/* NULL: no commit ever declared this volume. */
const struct last_word *truth_last_word(const struct truth *truth, const char *project,
                                        const char *name);
/* Guests write to the disks that they have. */
void truth_write(struct truth *truth);
/* A running Instance other than `but` that has this volume open, ours or not; NULL: none. */
const struct thing *truth_holder(const struct truth *truth, const char *volume_uid,
                                 const struct thing *but);
/* The volume, by its name, that a machine has as two of its disks; NULL: none. */
const char *truth_open_twice(const struct thing *machine);
bool truth_has_open(const struct thing *machine, const char *volume_uid);
/* Of the volume that a disk of it has open; "": none. */
const char *truth_disk_uid(const struct thing *machine, const struct value *disk);
/* The one that exists under this name, rather than one that was released; NULL: none. */
const struct thing *truth_volume(const struct truth *truth, const char *project, const char *name);
/* A driver is sent this `apply`. */
void truth_sent(struct truth *truth, const struct value *params);
/* NULL: nothing was ever sent about it. */
const struct sent *truth_last_sent(const struct truth *truth, const char *uid);
/* A driver begins an operation. */
void truth_begun(struct truth *truth, const struct sim_driver *driver, const char *uid,
                 uint64_t epoch);
/* 0: none was ever begun. */
uint64_t truth_fence(const struct truth *truth, const struct sim_driver *driver, const char *uid);
/* The core gets an answer that tells of objects, or the daemon has ended and knows nothing. */
void truth_told(struct truth *truth, const struct value *message, int64_t now_ms);
void truth_forgotten(struct truth *truth);
/* The object is about to be changed; `thing` NULL: it is not there. */
void truth_change_begins(struct truth *truth, const char *uid, const struct thing *thing);
void truth_change_ends(struct truth *truth);
/* All that was done to it is on the disk. */
void truth_synced(struct truth *truth, const char *uid);
/* The last `count` changes that were not synced are undone, and no other can be any more. */
void truth_undo(struct truth *truth, size_t count);
/* The host lost power: processes and the kernel's objects are gone. */
void truth_power_loss(struct truth *truth, struct arena *arena);
bool thing_is_kernel_state(const struct thing *thing);

#endif
