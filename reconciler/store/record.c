/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Records of decisions: plans that were made or used, holds of the guard with who
 * approved them, freezes. A plan's hash is its name, so putting it twice is once;
 * a use is recorded even of a plan that only its file remembers.
 */
#include "reconciler/store/query.h"

#include <string.h>
#include "model/invariant.h"
#include "model/when.h"

enum { PLAN_KEPT_S = 90 * 24 * 3600, PLAN_KEPT_LEAST = 100 };

/* ---- plans -------------------------------------------------------------------------- */

static int plans_prune(struct store *store, int64_t before, struct error *err)
{
    struct query query;
    invariant(store_in_batch(store), "%s: plans of before %lld go by themselves", store->path,
              (long long)before);
    query_start(&query, store,
                "DELETE FROM plan WHERE at < ?1 AND used_at < ?1"
                " AND id <= (SELECT max(id) FROM plan) - ?2",
                err);
    query_bind_int(&query, before);
    query_bind_int(&query, PLAN_KEPT_LEAST);
    return query_run(&query, NULL);
}

int store_plan_put(struct store *store, const char *hash, const char *commit, int64_t at,
                   const struct value *document, struct error *err)
{
    struct query query;
    bool own = false;
    invariant(hash && hash[0], "a plan without a hash");
    invariant(value_is_map(document), "plan %.12s has no document", hash);
    int rc = query_batch_begin(store, &own, err);
    if (rc < 0)
        return rc;
    query_start(&query, store,
                "INSERT INTO plan (hash, commit_id, at, used_at, document) VALUES (?, ?, ?, 0, ?)"
                " ON CONFLICT (hash) DO UPDATE SET commit_id = excluded.commit_id,"
                " document = excluded.document WHERE plan.document IS NULL",
                err);
    query_bind_text(&query, hash);
    query_bind_word(&query, commit);
    query_bind_int(&query, at);
    query_bind_json(&query, document);
    rc = query_run(&query, NULL);
    if (rc == 0)
        rc = plans_prune(store, at - PLAN_KEPT_S, err);
    return query_batch_end(store, own, rc, err);
}

int store_plan_get(struct store *store, struct arena *arena, const char *hash,
                   const struct value **document, struct error *err)
{
    struct query query;
    invariant(hash && document, "a plan is asked for without its hash, or without room for it");
    query_start(&query, store, "SELECT document FROM plan WHERE hash = ? AND document IS NOT NULL",
                err);
    query_bind_text(&query, hash);
    int found = query_next(&query);
    const struct value *value = found > 0 ? query_json(&query, arena) : NULL;
    int rc = query_end(&query);
    if (found == 0)
        return error_set(err, ERR_NOT_FOUND, "no plan %.12s is recorded", hash);
    if (rc == 0)
        *document = value;
    return rc;
}

int store_plan_use(struct store *store, const char *hash, int64_t at, struct error *err)
{
    struct query query;
    int64_t changes = 0;
    invariant(hash && hash[0], "a plan without a hash is used");
    invariant(at > 0, "plan %.12s is used at %lld, which says that it was not", hash,
              (long long)at);
    query_start(&query, store,
                "INSERT INTO plan (hash, commit_id, at, used_at) VALUES (?, '', ?, ?)"
                " ON CONFLICT (hash) DO UPDATE SET used_at = excluded.used_at"
                " WHERE plan.used_at = 0",
                err);
    query_bind_text(&query, hash);
    query_bind_int(&query, at);
    query_bind_int(&query, at);
    int rc = query_run(&query, &changes);
    if (rc < 0 || changes > 0)
        return rc;
    error_set(err, ERR_CONFLICT, "the plan %.12s was used before", hash);
    return error_hint(err, "Make a new one with `spinel plan -o FILE`.");
}

int store_plans(struct store *store, struct arena *arena, size_t limit, struct value **list,
                struct error *err)
{
    struct value *plans = value_list(arena);
    struct query query;
    query_start(&query, store,
                "SELECT hash, commit_id, at, used_at FROM plan ORDER BY id DESC LIMIT ?", err);
    query_bind_limit(&query, limit);
    while (query_next(&query) > 0) {
        struct value *plan = value_append(arena, plans, value_map(arena));
        value_set_text(arena, plan, "hash", query_text(&query, arena));
        value_set_text(arena, plan, "commit", query_text(&query, arena));
        value_set_int(arena, plan, "at", query_time(&query));
        value_set_int(arena, plan, "used", query_time(&query));
    }
    int rc = query_end(&query);
    if (rc == 0)
        *list = plans;
    return rc;
}

/* ---- holds -------------------------------------------------------------------------- */

int store_hold_put(struct store *store, const char *id, const char *rule, const char *reason,
                   int64_t at, struct error *err)
{
    struct query query;
    invariant(id && id[0] && rule && rule[0], "a hold without an id or a rule");
    invariant(reason && reason[0], "hold %s has no reason", id);
    query_start(&query, store,
                "INSERT INTO hold (id, rule, reason, at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, at = excluded.at,"
                " approved_by = NULL, approved_at = NULL",
                err);
    query_bind_text(&query, id);
    query_bind_word(&query, rule);
    query_bind_word(&query, reason);
    query_bind_int(&query, at);
    return query_run(&query, NULL);
}

static int hold_unknown(const char *id, struct error *err)
{
    error_set(err, ERR_NOT_FOUND, "there is no hold %s", id);
    return error_hint(err, "`spinel plan` shows the holds and their ids.");
}

/* A plan says it in its document only; that can be megabytes, and is read if it names the hold. */
static int hold_plan_read(struct store *store, struct arena *arena, const char *id,
                          struct value *hold, struct error *err)
{
    struct arena *scratch = arena_new();
    struct query query;
    query_start(&query, store,
                "SELECT commit_id, document FROM (SELECT id, commit_id, document FROM plan"
                " WHERE document IS NOT NULL ORDER BY id DESC LIMIT 16)"
                " WHERE instr(document, json_quote(?)) ORDER BY id DESC LIMIT 1",
                err);
    query_bind_text(&query, id);
    if (query_next(&query) > 0) {
        const char *commit = query_text(&query, arena);
        const struct value *document = query_json(&query, scratch);
        const struct value *held = value_find(value_get(document, "holds"), "id", id);
        if (held) {
            value_set_text(arena, hold, "commit", commit);
            value_set_int(arena, hold, "steps", value_get_int(held, "steps", 0));
        }
    }
    arena_free(scratch);
    return query_end(&query);
}

int store_hold_get(struct store *store, struct arena *arena, const char *id, struct value **hold,
                   struct error *err)
{
    struct value *found = value_map(arena);
    struct query query;
    invariant(id && hold, "a hold without an id, or no room for it");
    query_start(&query, store, "SELECT rule, reason FROM hold WHERE id = ?", err);
    query_bind_text(&query, id);
    bool is_known = query_next(&query) > 0;
    if (is_known) {
        value_set_text(arena, found, "hold", id);
        value_set_text(arena, found, "rule", query_text(&query, arena));
        value_set_text(arena, found, "reason", query_text(&query, arena));
    }
    int rc = query_end(&query);
    if (rc == 0 && !is_known)
        rc = hold_unknown(id, err);
    if (rc == 0)
        rc = hold_plan_read(store, arena, id, found, err);
    if (rc == 0)
        *hold = found;
    return rc;
}

static int hold_needs_more(const char *id, struct error *err)
{
    error_set(err, ERR_CONFLICT, "no approval lifts the hold %s", id);
    return error_hint(err, "Take the change back in Git, or do what its reason says: `spinel "
                           "approve` shows it.");
}

/* Why an approval touched nothing: the hold is not there, has its approval, or takes none. */
static int hold_unapprovable(struct store *store, const char *id, struct error *err)
{
    struct query query;
    query_start(&query, store, "SELECT approved_by FROM hold WHERE id = ?", err);
    query_bind_text(&query, id);
    int found = query_next(&query);
    const char *who = found > 0 ? query_peek(&query) : NULL;
    if (who)
        query.failed =
            error_set(err, ERR_CONFLICT, "the hold %s was approved before by %s", id, who);
    else if (found > 0)
        query.failed = hold_needs_more(id, err);
    int rc = query_end(&query);
    return found != 0 ? rc : hold_unknown(id, err);
}

int store_hold_approve(struct store *store, const char *id, const char *who, int64_t at,
                       struct error *err)
{
    struct query query;
    int64_t changes = 0;
    invariant(id && who, "a hold without an id, or approved by nobody");
    query_start(&query, store,
                "UPDATE hold SET approved_by = ?, approved_at = ?"
                " WHERE id = ? AND approved_by IS NULL"
                " AND rule NOT IN ('" RULE_OWNERSHIP "', '" RULE_PROTECT "')",
                err);
    query_bind_word(&query, who);
    query_bind_int(&query, at);
    query_bind_text(&query, id);
    int rc = query_run(&query, &changes);
    invariant(changes <= 1, "%lld holds are called %s", (long long)changes, id);
    return rc < 0 || changes > 0 ? rc : hold_unapprovable(store, id, err);
}

int store_hold_drop(struct store *store, const char *id, struct error *err)
{
    struct query query;
    invariant(id && id[0], "a hold without an id is dropped");
    query_start(&query, store, "DELETE FROM hold WHERE id = ?", err);
    query_bind_text(&query, id);
    return query_run(&query, NULL);
}

int store_holds(struct store *store, struct arena *arena, struct value **list, struct error *err)
{
    struct value *holds = value_list(arena);
    struct query query;
    query_start(&query, store,
                "SELECT id, rule, reason, at, approved_by, approved_at FROM hold ORDER BY at, id",
                err);
    while (query_next(&query) > 0) {
        struct value *hold = value_append(arena, holds, value_map(arena));
        value_set_text(arena, hold, "id", query_text(&query, arena));
        value_set_text(arena, hold, "rule", query_text(&query, arena));
        value_set_text(arena, hold, "reason", query_text(&query, arena));
        value_set_int(arena, hold, "at", query_time(&query));
        const char *approved_by = query_text(&query, arena);
        value_set_text(arena, hold, "approvedBy", approved_by);
        value_set(arena, hold, "approvedAt",
                  approved_by ? value_int(arena, query_time(&query)) : value_null(arena));
    }
    int rc = query_end(&query);
    if (rc == 0)
        *list = holds;
    return rc;
}

/* ---- freezes ------------------------------------------------------------------------ */

enum { WHY_MAX = 1000 };

/* What was never in force would look like a freeze to who asked for it. */
static int freeze_check(const struct freeze *freeze, int64_t at, struct error *err)
{
    if (freeze->until < 0 || freeze->until > WHEN_LAST) /* it could not be read again */
        return error_set(err, ERR_INVALID, "%lld is no time at which a freeze can end",
                         (long long)freeze->until);
    if (freeze->until && freeze->until <= at)
        return error_set(err, ERR_INVALID,
                         "a freeze that has ended before it begins freezes nothing");
    if (freeze->why && strlen(freeze->why) > WHY_MAX)
        return error_set(err, ERR_INVALID, "a reason of %zu bytes; at most %d are taken",
                         strlen(freeze->why), WHY_MAX);
    return 0;
}

int store_freeze_put(struct store *store, const struct freeze *freeze, int64_t at,
                     struct error *err)
{
    struct query query;
    invariant(freeze->what && freeze->what[0], "a freeze of nothing");
    int rc = freeze_check(freeze, at, err);
    if (rc < 0)
        return rc;
    query_start(&query, store,
                "INSERT INTO freeze (what, who, why, until, at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (what) DO UPDATE SET who = excluded.who, why = excluded.why,"
                " until = excluded.until, at = excluded.at",
                err);
    query_bind_text(&query, freeze->what);
    query_bind_word(&query, freeze->who);
    query_bind_word(&query, freeze->why);
    query_bind_int(&query, freeze->until);
    query_bind_int(&query, at);
    return query_run(&query, NULL);
}

int store_freeze_lift(struct store *store, const char *what, struct error *err)
{
    struct query query;
    int64_t changes = 0;
    invariant(what, "a freeze of nothing is lifted");
    query_start(&query, store, "DELETE FROM freeze WHERE what = ?", err);
    query_bind_text(&query, what);
    int rc = query_run(&query, &changes);
    if (rc == 0 && changes == 0)
        return error_set(err, ERR_NOT_FOUND, "%s are not frozen", what);
    return rc;
}

int store_freezes(struct store *store, struct arena *arena, struct freeze **out, size_t *count,
                  struct error *err)
{
    struct freeze *rows = NULL;
    size_t n = 0, room = 0;
    struct query query;
    query_start(&query, store, "SELECT what, who, why, until FROM freeze ORDER BY what", err);
    while (query_next(&query) > 0) {
        rows = arena_grow(arena, rows, n, &room, sizeof(*rows));
        rows[n].what = query_text(&query, arena);
        rows[n].who = query_text(&query, arena);
        rows[n].why = query_text(&query, arena);
        rows[n++].until = query_time(&query);
    }
    int rc = query_end(&query);
    if (rc < 0)
        return rc;
    *out = rows;
    *count = n;
    return 0;
}
