/* SPDX-License-Identifier: MPL-2.0 */
/* Documents that the daemon makes from what it knows now: status and drift. */
#include <string.h>
#include <time.h>
#include "model/json.h"
#include "model/kind.h"
#include "reconciler/server/server.h"

struct value *time_value(struct arena *arena, int64_t unix_s)
{
    char text[32];
    time_t seconds = (time_t)unix_s;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return value_text(arena, text);
}

/* ---- status -------------------------------------------------------------------------- */

enum mark { MARK_PENDING, MARK_DRIFTING, MARK_HELD };

static enum mark step_mark(const struct step *step)
{
    if (step->disposition == HELD)
        return MARK_HELD;
    return step->cause == CAUSE_DRIFT ? MARK_DRIFTING : MARK_PENDING;
}

/* A derived step counts for its owner, and an owner counts once, by its worst mark. */
static const struct resource *step_owner(const struct step *step)
{
    const struct resource *resource = step->resource;
    return resource && resource->owner ? resource->owner : resource;
}

static struct value *resources_count(struct arena *arena, const struct plan *plan)
{
    static const char *const names[] = {"pending", "drifting", "held"};
    struct value *counts = value_map(arena);
    int64_t marks[3] = {0}, touched = 0;
    size_t steps = plan ? plan->step_count : 0;
    const struct resource **owners = arena_array(arena, steps + 1, sizeof(*owners));
    enum mark *worst = arena_array(arena, steps + 1, sizeof *worst);
    for (size_t i = 0; i < steps; i++) {
        const struct resource *owner = step_owner(&plan->steps[i]);
        int64_t at = 0;
        if (!owner && plan->steps[i].kind->is_derived)
            continue;
        while (at < touched && (!owner || owners[at] != owner))
            at++;
        if (at == touched) {
            owners[touched++] = owner;
            worst[at] = MARK_PENDING;
        }
        if (step_mark(&plan->steps[i]) > worst[at])
            worst[at] = step_mark(&plan->steps[i]);
    }
    int64_t declared = 0, total = plan ? (int64_t)plan->resources : 0;
    for (int64_t i = 0; i < touched; i++) {
        marks[worst[i]]++;
        declared += owners[i] != NULL;
    }
    value_set_int(arena, counts, "total", total);
    value_set_int(arena, counts, "true", total > declared ? total - declared : 0);
    for (int i = 0; i < 3; i++)
        value_set_int(arena, counts, names[i], marks[i]);
    return counts;
}

struct value *status_report(struct server *server, struct arena *arena)
{
    const struct core *core = server->shell->core;
    struct value *status = value_map(arena), *daemon = value_map(arena);
    const char *commit = core_commit(core);
    value_set_text(arena, status, "commit", *commit ? commit : NULL);
    value_set_bool(arena, status, "converged", core_is_converged(core));
    value_set(arena, status, "resources", resources_count(arena, core_plan(core)));
    value_set_int(arena, daemon, "pid", server->supervisor);
    value_set(arena, daemon, "since", time_value(arena, server->since));
    value_set(arena, status, "daemon", daemon);
    int64_t next = core_next_try(core);
    value_set(arena, status, "nextTry", next ? time_value(arena, next / 1000) : NULL);
    return status;
}

/* ---- drift ----------------------------------------------------------------------------- */

static struct value *json_of(struct arena *arena, const char *text)
{
    struct error err = ERROR_INIT;
    struct value *value = NULL;
    if (!text || json_read(arena, text, strlen(text), &value, &err) < 0)
        return text ? value_text(arena, text) : NULL;
    return value;
}

static struct value *drift_value(struct arena *arena, const struct drift_row *row)
{
    struct value *entry = value_map(arena);
    value_set_text(arena, entry, "kind", row->kind);
    value_set_text(arena, entry, "project", row->project);
    value_set_text(arena, entry, "name", row->name);
    value_set_text(arena, entry, "uid", row->uid);
    value_set_text(arena, entry, "path", row->path);
    value_set(arena, entry, "desired", json_of(arena, row->desired));
    value_set(arena, entry, "observed", json_of(arena, row->observed));
    value_set(arena, entry, "since", time_value(arena, row->since));
    value_set(arena, entry, "lastSeen", time_value(arena, row->last_seen));
    value_set_text(arena, entry, "detectedBy", row->detected_by);
    value_set_text(arena, entry, "cause", row->cause);
    value_set_text(arena, entry, "disposition", row->disposition);
    value_set(arena, entry, "healed", NULL);
    if (row->healed_at) {
        struct value *healed = value_map(arena);
        value_set(arena, healed, "at", time_value(arena, row->healed_at));
        value_set_text(arena, healed, "by", row->healed_by);
        value_set(arena, entry, "healed", healed);
    }
    value_set_int(arena, entry, "count", row->count);
    return entry;
}

int drift_report(struct server *server, struct arena *arena, struct value **out,
                 struct error *err)
{
    enum { HEALED_SHOWN_S = 86400 };
    int64_t now = (int64_t)time(NULL);
    struct drift_row *rows = NULL;
    size_t count = 0;
    int status =
        store_drifts(server->shell->store, arena, now - HEALED_SHOWN_S, &rows, &count, err);
    if (status < 0)
        return status;
    struct value *document = value_map(arena), *list = value_list(arena);
    for (size_t i = 0; i < count; i++)
        value_append(arena, list, drift_value(arena, &rows[i]));
    struct value *strangers = core_strangers(server->shell->core, arena);
    value_set_text(arena, document, "schema", "spinel/drift/v1");
    value_set(arena, document, "at", time_value(arena, now));
    value_set_text(arena, document, "commit", core_commit(server->shell->core));
    value_set(arena, document, "drift", list);
    value_set(arena, document, "unmanaged",
              (struct value *)(size_t)value_get(strangers, "unmanaged"));
    value_set(arena, document, "orphans",
              (struct value *)(size_t)value_get(strangers, "orphans"));
    *out = document;
    return 0;
}
