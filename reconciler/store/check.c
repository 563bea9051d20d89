/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Whether the database is whole. A small one is read through before it is written to; a large one
 * would cost each start seconds, so it is read while the daemon is at work already (server/
 * checking.c). What was found then is kept in a file beside it, so that the next start reads it
 * through first, whatever its size, and refuses it.
 */
#include "reconciler/store/query.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model/invariant.h"

enum { CHECK_AT_MOST_BYTES = 32 << 20 /* before the start */ };

static void mark_path(const struct store *store, char path[PATH_MAX])
{
    const char *slash = strrchr(store->path, '/');
    invariant(slash, "the store %s is in no directory", store->path);
    snprintf(path, PATH_MAX, "%.*s/damaged", (int)(slash - store->path), store->path);
    invariant(strcmp(path, store->path) != 0, "the mark of damage is the store %s", path);
}

void store_mark_damaged(const struct store *store)
{
    char path[PATH_MAX];
    mark_path(store, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd >= 0)
        close(fd);
}

/* 1 or 0. */
static int is_small(const struct store *store, struct error *err)
{
    struct stat st;
    if (stat(store->path, &st) != 0)
        return error_sys(err, "cannot look at the store %s", store->path);
    return st.st_size <= CHECK_AT_MOST_BYTES;
}

static int quick_check(struct store *store, struct error *err)
{
    struct query query;
    query_start(&query, store, "PRAGMA quick_check(1)", err);
    if (query_next(&query) > 0) {
        const char *verdict = query_peek(&query);
        if (verdict && strcmp(verdict, "ok") != 0)
            query.failed = query_error(NULL, SQLITE_CORRUPT, store->path, "open the store", err);
    }
    return query_end(&query);
}

int check_at_start(struct store *store, struct error *err)
{
    char path[PATH_MAX];
    mark_path(store, path);
    bool was_damaged = access(path, F_OK) == 0;
    int small = is_small(store, err);
    if (small < 0)
        return small;
    store->is_unchecked = !small && !was_damaged;
    return store->is_unchecked ? 0 : quick_check(store, err);
}

void check_passed(const struct store *store)
{
    char path[PATH_MAX];
    invariant(!store->is_unchecked, "%s was not read through, and has passed", store->path);
    mark_path(store, path);
    unlink(path); /* it was repaired, or put back */
}

bool store_is_unchecked(const struct store *store)
{
    return store->is_unchecked;
}

int store_check(struct store *store, struct error *err)
{
    invariant(!store_in_batch(store), "%s is read through within a batch", store->path);
    int rc = quick_check(store, err);
    return rc < 0 ? rc : object_identities_check(store, err);
}
