/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Intents: what was going to be done, written before it was done. Open ones are
 * read at a start and taken up again; finished ones are history for 90 days, and the
 * newest longer: a clock that is set forward by months must not empty it. Age
 * is counted from the intent that is being written, so the store needs no clock.
 */
#include "reconciler/store/query.h"

#include <string.h>
#include "model/digest.h"
#include "model/invariant.h"

enum { KEPT_S = 90 * 24 * 3600, KEPT_LEAST = 1000 };

#define COLUMNS                                                                               \
    "op, uid, epoch, verb, plan, arguments_digest, state, attempts, created_at, finished_at," \
    " not_before, error, step, is_destructive, is_approved, leaves_git"

static int finished_prune(struct store *store, int64_t before, struct error *err)
{
    struct query query;
    invariant(before > 0 && store_in_batch(store), "intents that ended before %lld go",
              (long long)before);
    query_start(&query, store,
                "DELETE FROM intent WHERE finished_at > 0 AND finished_at < ?"
                " AND id <= (SELECT max(id) FROM intent) - ?",
                err);
    query_bind_int(&query, before);
    query_bind_int(&query, KEPT_LEAST);
    return query_run(&query, NULL);
}

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(word, *words) != 0)
        words++;
    return *words != NULL;
}

static const char *const open[] = {"pending", "claimed", NULL};
static const char *const ended[] = {"confirmed", "failed", "superseded", NULL};

static void intent_check(const struct intent *intent)
{
    invariant(intent->op && intent->op[0] && intent->uid && intent->verb, "an intent of nobody");
    invariant(intent->state && (is_one_of(intent->state, open) || is_one_of(intent->state, ended)),
              "op %s is %s", intent->op, intent->state ? intent->state : "in no state");
    invariant(intent->finished_at == 0 || is_one_of(intent->state, ended),
              "op %s has ended and is %s", intent->op, intent->state);
    invariant(intent->epoch <= INT64_MAX, "op %s has epoch %llu", intent->op,
              (unsigned long long)intent->epoch);
    invariant(intent->created_at >= 0 && intent->not_before >= 0 && intent->finished_at >= 0,
              "op %s was made at %lld, ended at %lld", intent->op, (long long)intent->created_at,
              (long long)intent->finished_at);
}

static int intent_write(struct store *store, const struct intent *intent, struct error *err)
{
    struct query query;
    query_start(&query, store,
                "INSERT INTO intent (" COLUMNS ")"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (op) DO UPDATE SET plan = excluded.plan, state = excluded.state,"
                " attempts = excluded.attempts, finished_at = excluded.finished_at,"
                " not_before = excluded.not_before, error = excluded.error,"
                " step = coalesce(excluded.step, step),"
                " is_destructive = excluded.is_destructive, is_approved = excluded.is_approved,"
                " leaves_git = excluded.leaves_git",
                err);
    query_bind_text(&query, intent->op);
    query_bind_text(&query, intent->uid);
    query_bind_int(&query, (int64_t)intent->epoch);
    query_bind_word(&query, intent->verb);
    query_bind_word(&query, intent->plan);
    query_bind_word(&query, intent->arguments_digest);
    query_bind_word(&query, intent->state);
    query_bind_int(&query, intent->attempts);
    query_bind_int(&query, intent->created_at);
    query_bind_int(&query, intent->finished_at);
    query_bind_int(&query, intent->not_before);
    query_bind_word(&query, intent->error);
    query_bind_json(&query, intent->step);
    query_bind_int(&query, intent->is_destructive);
    query_bind_int(&query, intent->is_approved);
    query_bind_int(&query, intent->leaves_git);
    return query_run(&query, NULL);
}

int store_intent_put(struct store *store, const struct intent *intent, struct error *err)
{
    bool own = false;
    intent_check(intent);
    int rc = query_batch_begin(store, &own, err);
    if (rc < 0)
        return rc;
    rc = intent_write(store, intent, err);
    if (rc == 0 && intent->finished_at > KEPT_S)
        rc = finished_prune(store, intent->finished_at - KEPT_S, err);
    return query_batch_end(store, own, rc, err);
}

static struct intent intent_read(struct query *query, struct arena *arena)
{
    struct intent intent = {.op = query_text(query, arena)};
    intent.uid = query_text(query, arena);
    intent.epoch = (uint64_t)query_int(query);
    intent.verb = query_text(query, arena);
    intent.plan = query_text(query, arena);
    intent.arguments_digest = query_text(query, arena);
    intent.state = query_text(query, arena);
    intent.attempts = (unsigned)query_int(query);
    intent.created_at = query_time(query);
    intent.finished_at = query_time(query);
    intent.not_before = query_time(query);
    intent.error = query_text(query, arena);
    intent.step = query_json(query, arena);
    intent.is_destructive = query_int(query) != 0;
    intent.is_approved = query_int(query) != 0;
    intent.leaves_git = query_int(query) != 0;
    return intent;
}

/* What the rest of the program relies on, of a row that may have been damaged or edited. */
static const char *intent_wrong(const struct intent *intent)
{
    if (!intent->op || !intent->op[0] || !digest_is_uid(intent->uid) || !intent->state)
        return "an intent is of no operation or of no object";
    if (intent->epoch == 0 || intent->epoch > UINT64_C(1) << 53)
        return "an intent has an epoch that nobody can have reached";
    if (!is_one_of(intent->state, ended) &&
        (!is_one_of(intent->state, open) || intent->finished_at != 0))
        return "an intent is in no state, or has ended and is open";
    return NULL;
}

static int intents_collect(struct query *query, struct arena *arena, struct intent **out,
                           size_t *count)
{
    struct intent *rows = NULL;
    size_t n = 0, room = 0;
    while (query_next(query) > 0) {
        rows = arena_grow(arena, rows, n, &room, sizeof(*rows));
        rows[n] = intent_read(query, arena);
        const char *wrong = query->failed == 0 ? intent_wrong(&rows[n]) : NULL;
        if (wrong)
            query_refuse(query, wrong);
        n++;
    }
    int rc = query_end(query);
    if (rc < 0)
        return rc;
    *out = rows;
    *count = n;
    return 0;
}

int store_intents_open(struct store *store, struct arena *arena, struct intent **out, size_t *count,
                       struct error *err)
{
    struct query query;
    query_start(&query, store,
                "SELECT " COLUMNS " FROM intent WHERE state IN ('pending', 'claimed') ORDER BY id",
                err);
    return intents_collect(&query, arena, out, count);
}

int store_intents(struct store *store, struct arena *arena, const char *uid, struct page page,
                  struct intent **out, size_t *count, struct error *err)
{
    struct query query;
    if (uid) {
        query_start(
            &query, store,
            "SELECT " COLUMNS " FROM intent WHERE uid = ? ORDER BY id DESC LIMIT ? OFFSET ?", err);
        query_bind_text(&query, uid);
    } else {
        query_start(&query, store,
                    "SELECT " COLUMNS " FROM intent ORDER BY id DESC LIMIT ? OFFSET ?", err);
    }
    query_bind_page(&query, page);
    return intents_collect(&query, arena, out, count);
}

/* What is done counts by intents. What failed or was given up may have been done all the same:
 * it counts, by objects, so that trying again costs nothing, unless the object is there as it
 * was before. */
#define DESTRUCTIVE " is_destructive AND NOT is_approved AND max(created_at, finished_at) >= ?1"
#define IS_DONE " state IN ('claimed', 'confirmed')"
/* The index is named: to have each uid once SQLite would rather walk through all intents ever made.
 */
static const char destroyed_sql[] =
    "SELECT coalesce(object.kind, ''), count(*),"
    " count(DISTINCT CASE WHEN coalesce(object.life, 3) != 1 THEN uid END) FROM"
    " (SELECT uid FROM intent WHERE" DESTRUCTIVE " AND" IS_DONE
    " UNION ALL SELECT DISTINCT uid FROM intent AS doubtful INDEXED BY intent_destructive "
    "WHERE" DESTRUCTIVE " AND NOT" IS_DONE
    " AND state IN ('pending', 'failed', 'superseded') AND NOT EXISTS (SELECT 1 FROM object"
    " WHERE object.uid = doubtful.uid AND life != 3 AND seen AND NOT seen_absent"
    " AND seen_epoch < doubtful.epoch AND seen_at >= doubtful.finished_at)"
    " AND NOT EXISTS (SELECT 1 FROM intent WHERE uid = doubtful.uid AND" DESTRUCTIVE " AND" IS_DONE
    ")) LEFT JOIN object USING (uid) GROUP BY 1";

int store_destroyed_since(struct store *store, struct arena *arena, int64_t since,
                          struct loss **out, size_t *count, struct error *err)
{
    struct query query;
    struct loss *losses = NULL;
    size_t n = 0, room = 0;
    query_start(&query, store, destroyed_sql, err);
    query_bind_int(&query, since);
    while (query_next(&query) > 0) {
        losses = arena_grow(arena, losses, n, &room, sizeof *losses);
        losses[n].kind = query_text(&query, arena);
        losses[n].count = query_int(&query);
        losses[n].gone = query_int(&query);
        invariant(losses[n].gone <= losses[n].count, "%lld of %lld destroyed objects are gone",
                  (long long)losses[n].gone, (long long)losses[n].count);
        n++;
    }
    int rc = query_end(&query);
    *out = losses;
    *count = rc == 0 ? n : 0;
    return rc;
}

#define GONE " FROM intent WHERE leaves_git AND NOT is_approved AND finished_at "
#define RENAMED " instr(coalesce(chosen, ''), '\"formerly\"') > 0"
/* Who bore one name after the other counts once, by who bore it last: whoever was never renamed and
 * has the name of what left was made afterwards, and is that which came back or was let go. */
static const char left_sql[] =
    "SELECT count(*) FROM (SELECT max(gone.id) AS id, gone.uid AS uid, kind, project, name," RENAMED
    " AS is_renamed"
    " FROM (SELECT uid, id" GONE "= 0 UNION ALL SELECT uid, id" GONE ">= max(?, 1)) AS gone"
    " LEFT JOIN object USING (uid) GROUP BY"
    " CASE WHEN name IS NULL OR is_renamed THEN gone.uid"
    " ELSE kind || '/' || coalesce(project, '') || '/' || name END) AS gone"
    " WHERE NOT EXISTS (SELECT 1 FROM object AS heir WHERE heir.kind = gone.kind"
    " AND heir.name = gone.name AND heir.project IS gone.project"
    " AND (heir.uid = gone.uid OR NOT (is_renamed OR" RENAMED "))"
    " AND (life = 1 OR EXISTS (SELECT 1 FROM intent AS later WHERE later.uid = heir.uid"
    " AND later.id > gone.id AND leaves_git AND is_approved)))";

int store_leavings_forget(struct store *store, struct error *err)
{
    struct query query;
    invariant(store_in_batch(store), "leavings are forgotten by themselves");
    query_start(&query, store,
                "UPDATE intent SET leaves_git = 0"
                " WHERE leaves_git AND NOT is_approved AND finished_at > 0",
                err);
    return query_run(&query, NULL);
}

int store_left_since(struct store *store, int64_t since, int64_t *count, struct error *err)
{
    struct query query;
    query_start(&query, store, left_sql, err);
    query_bind_int(&query, since);
    *count = query_next(&query) > 0 ? query_int(&query) : 0;
    return query_end(&query);
}
