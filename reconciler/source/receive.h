/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SOURCE_RECEIVE_H
#define RECONCILER_SOURCE_RECEIVE_H

#include "reconciler/source/source.h"

/*
 * What git tells its pre-receive and post-receive hooks, and what a push means for
 * the branch that is applied. Nothing is written.
 */
struct ref_update {
    const char *ref; /* "refs/heads/main" */
    const char *old; /* hex; NULL: the reference is made by this push */
    const char *new; /* hex; NULL: it is deleted */
};

/* Reads "old new ref" lines until the end of `fd`. ERR_INVALID if they do not read so. */
int receive_read(struct arena *arena, int fd, struct ref_update **updates, size_t *count,
                 struct error *err);

/*
 * The update of the site's branch: `*update` is NULL if the push has none of it (tags
 * only). ERR_DENIED, with a hint, if the push as a whole is to be refused: it deletes
 * the branch, or has another branch or reference that would never be applied.
 */
int receive_branch(struct source *source, const struct ref_update *updates, size_t count,
                   const struct ref_update **update, struct error *err);

struct received {
    const char *ref;
    const char *old;         /* hex, or NULL */
    const char *new;         /* hex */
    bool forced;             /* `new` does not descend from `old` */
    struct changed *changes; /* from `old` to `new` */
    size_t count;
    const struct set *set; /* that `new` declares; for messages only if there are problems */
};

/*
 * Judges an update by itself: what changes, and whether the set is valid. Problems go to
 * `report`; then it is to be refused. `store` (may be NULL) is for its parse cache only.
 * Errors are those of source_changes() and source_load().
 */
int receive_judge(struct source *source, struct store *store, struct arena *arena,
                  const struct ref_update *update, struct received *out, struct report *report,
                  struct error *err);

#endif
