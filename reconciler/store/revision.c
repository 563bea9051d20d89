/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Revisions: each head that was looked at, accepted or refused, newest last. The
 * target is the newest accepted one; nothing else points at it, so that accepting
 * a revision is one row.
 */
#include "reconciler/store/query.h"

#include <string.h>
#include "model/invariant.h"

#define COLUMNS                                                                            \
    "id, commit_id, parent, author, subject, pushed_by, state, message, at, converged_at," \
    " resources"

enum { COMMIT_LONGEST = 64 }; /* of SHA-256 */

static bool is_state(const char *word)
{
    static const char *const states[] = {"target", "applied", "superseded", "refused"};
    size_t i = 0;
    while (i < sizeof(states) / sizeof(*states) && strcmp(states[i], word) != 0)
        i++;
    return i < sizeof(states) / sizeof(*states);
}

int store_revision_add(struct store *store, const struct revision *revision, int64_t *id,
                       struct error *err)
{
    struct query query;
    invariant(revision->commit && revision->commit[0] && revision->state,
              "a revision without a commit or a state");
    invariant(is_state(revision->state), "revision %s is '%s'", revision->commit, revision->state);
    invariant(revision->resources >= 0 && revision->converged_at >= 0,
              "revision %s: %lld resources, true since %lld", revision->commit,
              (long long)revision->resources, (long long)revision->converged_at);
    query_start(&query, store,
                "INSERT INTO revision (commit_id, parent, author, subject, pushed_by, state,"
                " message, at, converged_at, resources) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                err);
    query_bind_word(&query, revision->commit);
    query_bind_word(&query, revision->parent);
    query_bind_word(&query, revision->author);
    query_bind_word(&query, revision->subject);
    query_bind_word(&query, revision->pushed_by);
    query_bind_word(&query, revision->state);
    query_bind_word(&query, revision->message);
    query_bind_int(&query, revision->at);
    query_bind_int(&query, revision->converged_at);
    query_bind_int(&query, revision->resources);
    int rc = query_run(&query, NULL);
    if (rc < 0 || !id)
        return rc;
    *id = sqlite3_last_insert_rowid(store->db);
    if (*id > 0) /* else those before it were numbered by somebody else */
        return 0;
    return query_error(NULL, SQLITE_CORRUPT, store->path, "number a revision", err);
}

int store_revision_state(struct store *store, int64_t id, const char *state, int64_t converged_at,
                         struct error *err)
{
    struct query query;
    int64_t changes = 0;
    invariant(state && is_state(state), "revision %lld becomes '%s'", (long long)id,
              state ? state : "nothing");
    invariant(converged_at >= 0, "revision %lld is true since %lld", (long long)id,
              (long long)converged_at);
    query_start(&query, store, "UPDATE revision SET state = ?, converged_at = ? WHERE id = ?", err);
    query_bind_word(&query, state);
    query_bind_int(&query, converged_at);
    query_bind_int(&query, id);
    int rc = query_run(&query, &changes);
    if (rc == 0 && changes == 0)
        return error_set(err, ERR_NOT_FOUND, "there is no revision %lld", (long long)id);
    return rc;
}

static struct revision revision_read(struct query *query, struct arena *arena)
{
    struct revision revision = {.id = query_int(query)};
    revision.commit = query_text(query, arena);
    revision.parent = query_text(query, arena);
    revision.author = query_text(query, arena);
    revision.subject = query_text(query, arena);
    revision.pushed_by = query_text(query, arena);
    revision.state = query_text(query, arena);
    revision.message = query_text(query, arena);
    revision.at = query_time(query);
    revision.converged_at = query_time(query);
    revision.resources = query_int(query);
    if (query->failed == 0 &&
        (revision.id <= 0 || !revision.commit[0] || strlen(revision.commit) > COMMIT_LONGEST))
        query_refuse(query, "a revision has no number or is of no commit");
    return revision;
}

static int revision_one(struct query *query, struct arena *arena, const char *none,
                        struct revision *out)
{
    int found = query_next(query);
    struct revision revision = {0};
    if (found > 0)
        revision = revision_read(query, arena);
    int rc = query_end(query);
    if (found == 0)
        return error_set(query->err, ERR_NOT_FOUND, "%s", none);
    if (rc == 0)
        *out = revision;
    return rc;
}

int store_revision_target(struct store *store, struct arena *arena, struct revision *out,
                          struct error *err)
{
    struct query query;
    query_start(&query, store,
                "SELECT " COLUMNS " FROM revision WHERE state IN ('target', 'applied')"
                " ORDER BY id DESC LIMIT 1",
                err);
    return revision_one(&query, arena, "no revision was accepted yet", out);
}

int store_revision_good(struct store *store, struct arena *arena, struct revision *out,
                        struct error *err)
{
    struct query query;
    query_start(&query, store,
                "SELECT " COLUMNS " FROM revision WHERE converged_at > 0 ORDER BY id DESC LIMIT 1",
                err);
    return revision_one(&query, arena, "the rack was not true to any revision yet", out);
}

int store_revisions(struct store *store, struct arena *arena, struct page page,
                    struct revision **out, size_t *count, struct error *err)
{
    struct revision *rows = NULL;
    size_t n = 0, room = 0;
    struct query query;
    query_start(&query, store, "SELECT " COLUMNS " FROM revision ORDER BY id DESC LIMIT ? OFFSET ?",
                err);
    query_bind_page(&query, page);
    while (query_next(&query) > 0) {
        rows = arena_grow(arena, rows, n, &room, sizeof(*rows));
        rows[n++] = revision_read(&query, arena);
    }
    int rc = query_end(&query);
    if (rc < 0)
        return rc;
    *out = rows;
    *count = n;
    return 0;
}
