/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_PART_GATHER_H
#define RECONCILER_ENGINE_PART_GATHER_H

#include "model/hash.h"
#include "model/mention.h"
#include "reconciler/engine/part.h"

/* The gathering of a part, shared by part*.c. */

/* An identity that was come across: declared by the commit, or only by the one before it. */
struct member {
    const char *label; /* as identity_label() */
    const char *kind, *project, *name;
    const struct resource *resource; /* as `to` declares it; NULL: it does not */
    const struct resource *was;      /* as `from` did, if its manifest changed; else NULL */
    bool is_wanted;                  /* it is in the part's set */
    bool is_affected;                /* the change concerns it */
    bool has_rows;                   /* its rows were read */
    struct member *next_wanted, *next_affected;
    UT_hash_handle hh;
};

/* Who bears a key, of the manifests that were read. */
struct bearer {
    struct member *member;
    struct bearer *next;
};

struct key {
    int64_t key;
    bool is_looked_up; /* all manifests that bear it were read */
    struct bearer *bearers;
    UT_hash_handle hh;
};

struct file {
    const char *path;
    UT_hash_handle hh;
};

struct gather {
    struct arena *arena;
    struct part_ask ask;
    struct report report;
    struct set_builder *builder, *before; /* of manifests, each by itself: as they are, were */
    struct member *members;
    struct key *keys;
    struct file *files;               /* read, or changed and so not where the store's keys say */
    struct member *wanted, *affected; /* yet to be followed */
    size_t wanted_count;
    size_t declared;
    int64_t bytes;
    bool is_given_up;
};

struct gather *gather_new(struct arena *arena, const struct part_ask *ask);
void gather_free(struct gather *gather); /* what is not in the arena */

struct member *gather_member(struct gather *gather, const char *kind, const char *project,
                             const char *name);
/* The same, with the manifest that declares it, if any does, read. */
struct member *gather_find(struct gather *gather, const char *kind, const char *project,
                           const char *name);
/* All who bear a key. */
const struct bearer *gather_bearers(struct gather *gather, int64_t key);

void gather_want(struct gather *gather, struct member *member);
void gather_affect(struct gather *gather, struct member *member);

/* Reads what differs between the two commits; what is concerned is marked so. */
void gather_changes(struct gather *gather);
/* Follows what is wanted and affected until nothing is left to follow. */
void gather_follow(struct gather *gather);

#endif
