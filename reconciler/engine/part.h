/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_PART_H
#define RECONCILER_ENGINE_PART_H

#include "reconciler/plan/plan.h"
#include "reconciler/source/source.h"
#include "reconciler/store/store.h"

/*
 * A part of the rack, for the plan of a change.
 *
 * While a rack is as its commit declares, and not a line is to be planned for it, the plan of
 * another commit can only have lines about what that commit changes and what has to do with it.
 * The part is that: the changed resources, whoever refers to them, directly and beyond, all that
 * these refer to, and who else claims what they claim; with their rows. It is found by keys
 * (model/mention.h) and costs as much as it holds, however large the rack is.
 *
 * A fast path: it decides nothing. A commit with any problem, a change with too wide a reach,
 * whatever cannot be told from a part, is left to the plan of the whole. tests/engine/test_part.c
 * holds the two together.
 */
struct part_reader { /* of manifests; each as source.h has it */
    /* Whether the store has the keys of this commit's manifests; `*files` is how many it has. */
    bool (*has_keys)(void *context, const char *commit, int64_t *files);
    int (*changes)(void *context, struct arena *arena, const char *from, const char *to,
                   struct changed **out, size_t *count, struct report *report, struct error *err);
    int (*manifest)(void *context, const char *commit, const char *path,
                    struct set_builder *builder, struct report *report, int64_t *bytes,
                    struct error *err);
    int (*blob)(void *context, const char *blob, const char *path, struct set_builder *builder,
                struct report *report, int64_t *bytes, struct error *err);
};

/* The repository's, for keys that were made by this program (shell_made_by()). */
struct part_source {
    struct source *source;
    struct store *store;
    const char *by;
};
extern const struct part_reader part_reader_source; /* its context is a struct part_source */

struct part_ask {
    const struct part_reader *reader;
    void *context;
    struct store *store; /* of one moment: within a snapshot, or its only writer's */
    const char *from;    /* the commit that the rack is true to; the store's keys are of it */
    size_t declared;     /* resources of it */
    const char *to;
    int64_t max_files, max_bytes; /* of the whole commit, of what changes */
};

struct part {
    const struct set *set; /* `declared` is that of the whole commit */
    struct known *rows;
    size_t row_count;
    struct gather *gather; /* private */
};

/* False: the whole has to be planned. */
bool part_make(struct arena *arena, const struct part_ask *ask, struct part *part);
void part_free(struct part *part); /* of one that was made; its set and rows are in the arena */

/* Whether a plan made of the part is the plan of the whole: it has steps only of what the change
 * concerns, no uid that a row outside of the part has, destroys no more than any rack may, and is
 * no collapse. */
bool part_covers(const struct part *part, const struct plan *plan);

#endif
