/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The parse cache. A cached parse belongs to a blob and to the schema that it was checked with: a
 * Spinel with other kinds does not see it. Losing the cache costs time and nothing else.
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
    invariant(current[0], "parses of no schema are kept");
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
