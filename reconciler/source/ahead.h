/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SOURCE_AHEAD_H
#define RECONCILER_SOURCE_AHEAD_H

#include "reconciler/source/repository.h"

/*
 * A fast path for a load of many manifests: threads read and check them ahead of the one who adds
 * them to the set, in order, one by one. What has a problem, is large, is no blob or cannot be read
 * is left to that one, who does all that again: so errors and problems are found in one place and
 * in one order, and with no thread at all it is as if this file were not there.
 * tests/source/test_ahead.c holds the two together.
 */
struct ahead;

/* Files to be read. `blob` NULL: this one is left. */
struct ahead_file {
    const char *path;
    const git_oid *blob;
};
typedef struct ahead_file ahead_file_of(const void *context, size_t i);

/* NULL where it would not help or cannot be: few files, one processor. */
struct ahead *ahead_start(const struct source *source, size_t count, ahead_file_of *file_of,
                          const void *context);
/* What file i declares; `made` NULL if it is left. Lives until the next is taken. */
struct ahead_taken {
    const struct resource *made;
    size_t count;
    size_t bytes; /* of the file */
};
/* To be called for each file, in order; `ahead` NULL leaves every one. */
struct ahead_taken ahead_take(struct ahead *ahead, size_t i);

void ahead_stop(struct ahead *ahead); /* at any time; NULL is allowed */

#endif
