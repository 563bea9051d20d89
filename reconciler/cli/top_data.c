/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/cli/top.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "model/hash.h"
#include "model/json.h"
#include "model/resource.h"
#include "model/when.h"
#include "reconciler/cli/drift_rows.h"
#include "reconciler/cli/objects.h"
#include "reconciler/store/documents.h"

enum { STALE_MS = 5000, LEAST_MS = 250, RETRY_MS = 2000, OPERATIONS = 500, EVENTS = 500 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the daemon's events ------------------------------------------------------------ */

static void daemon_lost(struct top_data *data)
{
    control_close(data->control);
    data->control = NULL;
    data->is_stale = true;
}

static void daemon_follow(struct top_data *data)
{
    struct error err = ERROR_INIT;
    struct arena *arena = arena_new();
    struct value *params = value_map(arena), *result = NULL;
    data->tried_ms = now_ms();
    value_set(arena, params, "seq", value_null(arena));
    if (control_open(data->site, &data->control, &err) == 0 &&
        control_call(data->control, arena, "follow", params, 2000, &result, NULL, &err) < 0)
        daemon_lost(data);
    data->is_stale = true;
    arena_free(arena);
}

static void progress_take(struct top_data *data, const struct value *event)
{
    if (strcmp(value_get_text(event, "type", ""), "op.progress") != 0)
        return;
    if (!data->following || data->progress->pair_count > 1000) {
        arena_free(data->following);
        data->following = arena_new();
        data->progress = value_map(data->following);
    }
    value_set_int(data->following, data->progress, value_at_text(event, "data.op", ""),
                  value_at_int(event, "data.percent", 0));
}

static void events_take(struct top_data *data)
{
    enum { AT_ONCE = 10000 };
    struct arena *arena = arena_new();
    for (int i = 0; data->control && i < AT_ONCE; i++) {
        struct error err = ERROR_INIT;
        struct value *event = NULL;
        int got = control_next(data->control, arena, 0, &event, &err);
        if (got < 0)
            daemon_lost(data);
        if (got <= 0)
            break;
        progress_take(data, event);
        data->is_stale = true;
    }
    arena_free(arena);
}

/* ---- tables ------------------------------------------------------------------------- */

static struct top_row *row_add(struct top_table *table)
{
    struct top_row *row = &table->rows[table->count++];
    row->percent = -1;
    return row;
}

static void table_make(struct top_data *data, enum top_tab tab, size_t room)
{
    data->tables[tab] =
        (struct top_table){.rows = arena_array(data->arena, room + 1, sizeof(struct top_row))};
}

static const char *identity_text(struct arena *arena, const char *project, const char *name)
{
    return project && *project ? arena_printf(arena, "%s/%s", project, name)
                               : arena_text(arena, name);
}

static int operations_load(struct top_data *data, struct store *store, struct error *err)
{
    struct intent *intents = NULL;
    size_t count = 0;
    int rc = store_intents(store, data->arena, NULL, (struct page){.limit = OPERATIONS}, &intents,
                           &count, err);
    table_make(data, TOP_OPERATIONS, count);
    for (size_t i = 0; i < count; i++) {
        const struct intent *intent = &intents[i];
        struct top_row *row = row_add(&data->tables[TOP_OPERATIONS]);
        bool is_open = !intent->finished_at;
        row->cells[0] = intent->verb;
        row->cells[1] = value_get_text(intent->step, "kind", "");
        row->cells[2] = identity_text(data->arena, value_get_text(intent->step, "project", NULL),
                                      value_get_text(intent->step, "name", ""));
        row->cells[3] = intent->state;
        row->cells[4] = intent->error[0] ? intent->error
                                         : when_age(data->arena, intent->created_at, when_now());
        row->look = strcmp(intent->state, "failed") == 0 || intent->error[0] ? TOP_BAD
                    : is_open                                                ? TOP_WARN
                                                                             : TOP_PLAIN;
        row->percent =
            is_open && data->progress ? (int)value_get_int(data->progress, intent->op, -1) : -1;
        row->detail = intent_value(data->arena, intent);
    }
    return rc;
}

static void drift_row_add(struct top_data *data, const struct value *drift)
{
    struct arena *arena = data->arena;
    struct top_row *row = row_add(&data->tables[TOP_DRIFT]);
    bool is_open = drift_is_open(drift) && !drift_is_ignored(drift);
    row->cells[0] =
        identity_label(arena, value_get_text(drift, "kind", ""),
                       value_get_text(drift, "project", NULL), value_get_text(drift, "name", ""));
    row->cells[1] = value_get_text(drift, "path", "");
    row->cells[2] = drift_side_text(arena, drift, "observed");
    row->cells[3] = drift_side_text(arena, drift, "desired");
    row->cells[4] = drift_age_text(arena, drift);
    row->cells[5] = drift_state_text(arena, drift);
    row->cells[6] = value_get_text(drift, "cause", "");
    row->look = is_open ? TOP_BAD : drift_is_open(drift) ? TOP_FAINT : TOP_GOOD;
    row->detail = drift;
    data->open_drift += is_open;
}

/* What is open first, then the newest. */
static int drift_load(struct top_data *data, struct store *store, struct error *err)
{
    enum { DAY_S = 86400 };
    struct drift_row *rows = NULL;
    struct value *list = value_list(data->arena);
    size_t count = 0;
    int rc = store_drifts(store, data->arena, when_now() - DAY_S, &rows, &count, err);
    for (size_t i = 0; i < count; i++)
        value_append(data->arena, list, drift_value(data->arena, &rows[i]));
    const struct value *folded = drift_rows_folded(data->arena, list);
    table_make(data, TOP_DRIFT, folded->count);
    for (int wants_open = 1; wants_open >= 0; wants_open--) {
        for (size_t n = folded->count; n-- > 0;) {
            const struct value *drift = folded->items[n];
            if ((drift_is_open(drift) && !drift_is_ignored(drift)) == wants_open)
                drift_row_add(data, drift);
        }
    }
    return rc;
}

static int events_load(struct top_data *data, struct store *store, struct error *err)
{
    struct event *events = NULL;
    size_t count = 0;
    int rc = store_events(store, data->arena, -1, EVENTS, &events, &count, err);
    table_make(data, TOP_EVENTS, count);
    for (size_t i = count; i-- > 0;) {
        struct top_row *row = row_add(&data->tables[TOP_EVENTS]);
        const char *type = events[i].type;
        size_t len = strlen(type);
        row->detail = event_value(data->arena, &events[i]);
        row->cells[0] =
            arena_printf(data->arena, "%.8s", value_get_text(row->detail, "at", "") + 11);
        row->cells[1] = type;
        row->cells[2] = events[i].text;
        row->look = len > 7 && strcmp(type + len - 7, ".failed") == 0 ? TOP_BAD
                    : strcmp(type, "drift.found") == 0                ? TOP_WARN
                    : strcmp(type, "converged") == 0                  ? TOP_GOOD
                                                                      : TOP_PLAIN;
    }
    return rc;
}

struct marked {
    const char *uid, *mark;
    UT_hash_handle hh;
};

static struct marked *marks_index(struct top_data *data)
{
    size_t count = value_is_map(data->marks) ? data->marks->pair_count : 0;
    struct marked *all = arena_array(data->arena, count + 1, sizeof *all), *index = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct pair *pair = &data->marks->pairs[i];
        if (!value_is_text(pair->value))
            continue;
        all[i].uid = pair->key;
        all[i].mark = pair->value->text;
        HASH_ADD_KEYPTR(hh, index, all[i].uid, strlen(all[i].uid), &all[i]);
    }
    return index;
}

static const char *mark_of(const struct top_data *data, struct marked *index,
                           const struct known *row)
{
    struct marked *found;
    HASH_FIND_STR(index, row->uid, found);
    if (found)
        return found->mark;
    return row->life == LIFE_RELEASED ? "released" : data->marks ? "true" : "not known";
}

static int resources_load(struct top_data *data, struct store *store, struct error *err)
{
    struct known *known = NULL;
    size_t count = 0;
    int rc = store_objects(store, data->arena, &known, &count, err);
    struct marked *index = marks_index(data);
    table_make(data, TOP_RESOURCES, count);
    for (size_t i = 0; i < count; i++) {
        struct top_row *row = row_add(&data->tables[TOP_RESOURCES]);
        const char *mark = mark_of(data, index, &known[i]);
        row->cells[0] = known[i].kind;
        row->cells[1] = identity_text(data->arena, known[i].project, known[i].name);
        row->cells[2] = object_state(&known[i]);
        row->cells[3] = mark;
        row->cells[4] = known[i].observed.known
                            ? when_age(data->arena, known[i].observed.at, when_now())
                            : "never";
        row->look = strcmp(mark, "drifting") == 0                               ? TOP_BAD
                    : strcmp(mark, "pending") == 0 || strcmp(mark, "held") == 0 ? TOP_WARN
                    : strcmp(mark, "true") == 0                                 ? TOP_PLAIN
                                                                                : TOP_FAINT;
        row->detail = object_value(data->arena, &known[i]);
    }
    HASH_CLEAR(hh, index);
    return rc;
}

/* ---- the whole ---------------------------------------------------------------------- */

static void status_take(struct top_data *data)
{
    struct error ignored = ERROR_INIT;
    struct value *status = NULL, *params = value_map(data->arena);
    struct control *control = NULL;
    value_set_bool(data->arena, params, "marks", true);
    data->has_daemon =
        control_open(data->site, &control, &ignored) == 0 &&
        control_call(control, data->arena, "status", params, 2000, &status, NULL, &ignored) == 0;
    control_close(control);
    data->marks = value_get(status, "marks");
    data->commit = value_get_text(status, "commit", "");
    data->is_converged = value_get_bool(status, "converged", false);
    data->total = value_at_int(status, "resources.total", 0);
    data->good = value_at_int(status, "resources.true", 0);
    data->pending = value_at_int(status, "resources.pending", 0);
    data->drifting = value_at_int(status, "resources.drifting", 0);
    data->held = value_at_int(status, "resources.held", 0);
}

static void load(struct top_data *data)
{
    struct error err = ERROR_INIT;
    struct store *store = NULL;
    arena_free(data->arena);
    data->arena = arena_new();
    data->is_stale = false;
    data->loaded_ms = now_ms();
    data->open_drift = 0;
    for (int i = 0; i < TOP_TABS; i++)
        data->tables[i] = (struct top_table){0};
    status_take(data);
    int rc = store_open(data->site->state_dir, STORE_READ, &store, &err);
    if (rc == 0)
        rc = drift_load(data, store, &err);
    if (rc == 0)
        rc = operations_load(data, store, &err);
    if (rc == 0)
        rc = events_load(data, store, &err);
    if (rc == 0)
        rc = resources_load(data, store, &err);
    store_close(store);
    snprintf(data->problem, sizeof data->problem, "%s",
             rc == ERR_NOT_FOUND ? "nothing was recorded yet: push, and run 'spinel serve'"
             : rc < 0            ? err.message
                                 : "");
}

bool top_refresh(struct top_data *data)
{
    int64_t now = now_ms();
    if (!data->control && (!data->tried_ms || now - data->tried_ms > RETRY_MS))
        daemon_follow(data);
    events_take(data);
    int64_t age_ms = now - data->loaded_ms;
    if (data->arena && (age_ms < LEAST_MS || (!data->is_stale && age_ms < STALE_MS)))
        return false;
    load(data);
    return true;
}

void top_data_free(struct top_data *data)
{
    control_close(data->control);
    arena_free(data->arena);
    arena_free(data->following);
}
