/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Which manifests have which key. A row is a key and a path and no more, so that the rows of one
 * key lie side by side: who has something in common with a manifest is read in one go.
 */
#include "reconciler/store/query.h"

#include "model/invariant.h"

int store_mention_put(struct store *store, int64_t key, const char *path, struct error *err)
{
    struct query query;
    invariant(path && path[0], "a manifest without a path has key %lld", (long long)key);
    query_start(&query, store, "INSERT OR IGNORE INTO mention (key, path) VALUES (?, ?)", err);
    query_bind_int(&query, key);
    query_bind_text(&query, path);
    return query_run(&query, NULL);
}

int store_mention_drop(struct store *store, int64_t key, const char *path, struct error *err)
{
    struct query query;
    query_start(&query, store, "DELETE FROM mention WHERE key = ? AND path = ?", err);
    query_bind_int(&query, key);
    query_bind_text(&query, path);
    return query_run(&query, NULL);
}

int store_mentions_clear(struct store *store, struct error *err)
{
    struct query query;
    query_start(&query, store, "DELETE FROM mention", err);
    return query_run(&query, NULL);
}

int store_mentions(struct store *store, struct arena *arena, int64_t key, size_t limit,
                   const char *const **paths, size_t *count, struct error *err)
{
    const char **found = NULL;
    size_t n = 0, room = 0;
    struct query query;
    query_start(&query, store, "SELECT path FROM mention WHERE key = ? ORDER BY path LIMIT ?", err);
    query_bind_int(&query, key);
    query_bind_limit(&query, limit);
    while (query_next(&query) > 0) {
        found = arena_grow(arena, found, n, &room, sizeof(*found));
        found[n++] = query_text(&query, arena);
    }
    invariant(n <= limit, "%zu manifests of key %lld, and %zu were asked for", n, (long long)key,
              limit);
    int rc = query_end(&query);
    *paths = found;
    *count = n;
    return rc;
}
