/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Manifests of the target, and the parse cache. A cached parse belongs to a blob
 * and to the schema that it was checked with: a Spinel with other kinds does not
 * see it. Losing the cache costs time and nothing else.
 */
#include "reconciler/store/query.h"

#include <string.h>
#include "model/invariant.h"
#include "model/json.h"
#include "model/kind.h"

/* Raised when the same manifest and kinds lead to other normal forms than before. */
#define SCHEMA_PREFIX "1:"
enum { SCHEMA_TEXT = 96, PARSES_AT_MOST = 2000000 };

static const char *schema(char buf[SCHEMA_TEXT])
{
    invariant(strlen(kinds_digest()) + sizeof(SCHEMA_PREFIX) <= SCHEMA_TEXT,
              "the kinds' digest is too long: %s", kinds_digest());
    sqlite3_snprintf(SCHEMA_TEXT, buf, SCHEMA_PREFIX "%s", kinds_digest());
    return buf;
}

int store_manifests(struct store *store, struct arena *arena, struct manifest **out, size_t *count,
                    struct error *err)
{
    struct manifest *rows = NULL;
    size_t n = 0, room = 0;
    char buf[SCHEMA_TEXT];
    struct query query;
    query_start(&query, store,
                "SELECT manifest.path, manifest.blob, parse.documents FROM manifest"
                " LEFT JOIN parse ON parse.blob = manifest.blob AND parse.schema = ?"
                " ORDER BY manifest.path",
                err);
    query_bind_text(&query, schema(buf));
    while (query_next(&query) > 0) {
        rows = query_room(arena, rows, n, &room, sizeof(*rows));
        rows[n].path = query_text(&query, arena);
        rows[n].blob = query_text(&query, arena);
        rows[n++].documents = query_json(&query, arena);
    }
    int rc = query_end(&query);
    if (rc < 0)
        return rc;
    *out = rows;
    *count = n;
    return 0;
}

int store_manifest_put(struct store *store, const struct manifest *manifest, struct error *err)
{
    struct query query;
    bool own = false;
    invariant(manifest->path && manifest->path[0] && manifest->path[0] != '/', "a manifest at '%s'",
              manifest->path ? manifest->path : "(nowhere)");
    invariant(manifest->blob && manifest->blob[0], "manifest %s has no blob", manifest->path);
    int rc = query_batch_begin(store, &own, err);
    if (rc < 0)
        return rc;
    query_start(&query, store,
                "INSERT INTO manifest (path, blob) VALUES (?, ?)"
                " ON CONFLICT (path) DO UPDATE SET blob = excluded.blob",
                err);
    query_bind_text(&query, manifest->path);
    query_bind_text(&query, manifest->blob);
    rc = query_run(&query, NULL);
    if (rc == 0 && manifest->documents)
        rc = store_parse_put(store, manifest->blob, manifest->documents, err);
    return query_batch_end(store, own, rc, err);
}

int store_manifest_drop(struct store *store, const char *path, struct error *err)
{
    struct query query;
    invariant(path && path[0], "a manifest without a path is dropped");
    query_start(&query, store, "DELETE FROM manifest WHERE path = ?", err);
    query_bind_text(&query, path);
    return query_run(&query, NULL);
}

int store_parse_get(struct store *store, struct arena *arena, const char *blob,
                    const struct value **documents, struct error *err)
{
    char buf[SCHEMA_TEXT];
    struct query query;
    invariant(blob && blob[0], "the parse of no blob");
    query_start(&query, store, "SELECT documents FROM parse WHERE blob = ? AND schema = ?", err);
    query_bind_text(&query, blob);
    query_bind_text(&query, schema(buf));
    const struct value *found = query_next(&query) > 0 ? query_json(&query, arena) : NULL;
    int rc = query_end(&query);
    if (rc == 0)
        *documents = found;
    return rc;
}

int store_has_parses(struct store *store, struct error *err)
{
    struct query query;
    query_start(&query, store, "SELECT EXISTS (SELECT 1 FROM parse)", err);
    int has = query_next(&query) > 0 ? (int)query_int(&query) : 0;
    int rc = query_end(&query);
    return rc < 0 ? rc : has;
}

int store_parse_put(struct store *store, const char *blob, const struct value *documents,
                    struct error *err)
{
    char buf[SCHEMA_TEXT];
    struct query query;
    invariant(blob && blob[0], "a parse of no blob");
    invariant(value_is_list(documents), "blob %s was parsed into what is no list", blob);
    query_start(&query, store,
                "INSERT INTO parse (blob, schema, documents) VALUES (?, ?, ?)"
                " ON CONFLICT (blob) DO UPDATE SET schema = excluded.schema,"
                " documents = excluded.documents",
                err);
    query_bind_text(&query, blob);
    query_bind_text(&query, schema(buf));
    query_bind_json(&query, documents);
    return query_run(&query, NULL);
}

static int parses_drop(struct store *store, const char *current, struct error *err)
{
    struct query query;
    query_start(&query, store, "DELETE FROM parse WHERE schema <> ?", err);
    query_bind_text(&query, current);
    int rc = query_run(&query, NULL);
    return rc < 0 ? rc : store_fact_put(store, "parseSchema", current, err);
}

/* The schema that the cache was last swept for is a fact, so that a start with the same
 * one need not read the cache through. */
static int schema_changed(struct store *store, const char *current, struct error *err)
{
    struct query query;
    query_start(&query, store, "SELECT 1 FROM fact WHERE key = 'parseSchema' AND text = ?", err);
    query_bind_text(&query, current);
    int found = query_next(&query);
    int rc = query_end(&query);
    return rc < 0 ? rc : !found;
}

int manifest_cache_prune(struct store *store, struct error *err)
{
    char buf[SCHEMA_TEXT];
    int rc = schema_changed(store, schema(buf), err);
    if (rc > 0)
        rc = parses_drop(store, buf, err);
    if (rc < 0)
        return rc;
    struct query query;
    query_start(&query, store, "DELETE FROM parse WHERE id <= (SELECT max(id) FROM parse) - ?",
                err);
    query_bind_int(&query, PARSES_AT_MOST);
    return query_run(&query, NULL);
}
