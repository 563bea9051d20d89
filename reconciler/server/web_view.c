/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the viewer shows: each object of the store beside what the last plan says of
 * it. The plan is the one function's that everybody uses, made here from the stored
 * observations, so the core is not asked. A view is good until the store changes; a large
 * rack's a little longer, so that making it never takes most of the time.
 */
#include "reconciler/server/web_view.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "model/hash.h"

#include "model/invariant.h"
#include "model/kind.h"
#include "model/when.h"
#include "reconciler/engine/shell_state.h"
#include "reconciler/store/documents.h"
#include "reconciler/store/trace.h"

enum { PAGE_DEFAULT = 200, PAGE_MAX = 500, DRIFT_MAX = 5000, LASTING_MS = 30000, SHARE = 4 };

static const char *const marks[] = {"true", "pending", "drifting", "held"};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int view_open(const struct site *site, const char *program, struct view **out, struct error *err)
{
    struct view *view = memory_need(calloc(1, sizeof *view));
    view->site = site;
    int status = shell_open(site, SHELL_READ, program, &view->shell, err);
    if (status < 0) {
        free(view);
        return status;
    }
    *out = view;
    return 0;
}

void view_close(struct view *view)
{
    if (!view)
        return;
    HASH_CLEAR(hh, view->by_uid);
    arena_free(view->arena);
    shell_close(view->shell);
    free(view);
}

/* ---- making one --------------------------------------------------------------------- */

static size_t mark_of(const struct value *step)
{
    if (!step)
        return 0;
    if (strcmp(value_get_text(step, "disposition", ""), "held") == 0)
        return 3;
    return strcmp(value_get_text(step, "cause", ""), "drift") == 0 ? 2 : 1;
}

static void shown_add(struct view *view, const char *uid, const struct known *row)
{
    struct shown *shown = &view->shown[view->count++];
    *shown = (struct shown){.uid = uid, .row = row};
    HASH_ADD_KEYPTR(hh, view->by_uid, shown->uid, strlen(shown->uid), shown);
}

static void steps_take(struct view *view)
{
    const struct value *steps = value_get(view->plan, "steps");
    for (size_t i = 0; value_is_list(steps) && i < steps->count; i++) {
        const char *uid = value_get_text(steps->items[i], "uid", "");
        struct shown *shown;
        HASH_FIND_STR(view->by_uid, uid, shown);
        if (!shown) {
            shown_add(view, uid, NULL);
            HASH_FIND_STR(view->by_uid, uid, shown);
        }
        shown->step = steps->items[i];
        shown->mark = mark_of(shown->step);
    }
}

static int view_fill(struct view *view, struct error *err)
{
    struct known *rows = NULL;
    size_t count = 0, steps;
    int status = store_revision_target(view->shell->store, view->arena, &view->target, err);
    view->has_target = status == 0;
    if (status == ERR_NOT_FOUND)
        status = 0;
    if (status == 0)
        status = store_objects(view->shell->store, view->arena, &rows, &count, err);
    if (status == 0 && view->has_target)
        status = shell_plan(view->shell, view->arena, view->target.commit, true, &view->plan, err);
    if (status < 0)
        return status;
    const struct value *list = value_get(view->plan, "steps");
    steps = value_is_list(list) ? list->count : 0;
    view->shown = arena_array(view->arena, count + steps + 1, sizeof *view->shown);
    for (size_t i = 0; i < count; i++)
        shown_add(view, rows[i].uid, &rows[i]);
    steps_take(view);
    return 0;
}

static int newest_event(struct view *view, struct arena *arena, int64_t *seq, struct error *err)
{
    struct event *events = NULL;
    size_t count = 0;
    int status = store_events(view->shell->store, arena, -1, 1, &events, &count, err);
    *seq = count ? events[count - 1].seq : 0;
    return status;
}

/* The ages of things are shown, so it is made anew now and then though nothing happened; and
 * while much happens, making it takes a fifth of the time at most. */
static bool is_good(const struct view *view, int64_t version)
{
    int64_t age_ms = now_ms() - view->made_ms;
    return view->arena && age_ms < (version == view->version ? LASTING_MS : SHARE * view->took_ms);
}

static int view_refresh(struct view *view, struct arena *arena, struct error *err)
{
    int64_t version = 0;
    int status = newest_event(view, arena, &version, err);
    if (status < 0 || is_good(view, version))
        return status;
    int64_t began_ms = now_ms();
    HASH_CLEAR(hh, view->by_uid);
    arena_free(view->arena);
    view->arena = arena_new();
    view->plan = NULL;
    view->edges = NULL;
    view->groups = view->sums = NULL;
    view->shown = NULL;
    view->count = 0;
    status = view_fill(view, err);
    view->version = version;
    view->made_ms = now_ms();
    view->took_ms = view->made_ms - began_ms;
    if (status < 0) {
        HASH_CLEAR(hh, view->by_uid);
        arena_free(view->arena);
        view->arena = NULL;
    }
    return status;
}

/* ---- resources ---------------------------------------------------------------------- */

const char *shown_text(const struct shown *shown, const char *member)
{
    const struct known *row = shown->row;
    if (!row)
        return value_get_text(shown->step, member, NULL);
    return strcmp(member, "kind") == 0      ? row->kind
           : strcmp(member, "project") == 0 ? row->project
                                            : row->name;
}

static bool contains(const char *text, const char *wanted)
{
    return text && strcasestr(text, wanted);
}

static bool is_wanted(const struct shown *shown, const struct asked *asked)
{
    static const char *const members[] = {"kind", "project", "name"};
    const char *mark = asked_text(asked, "mark"), *words = asked_text(asked, "q");
    bool is_found = !words || !*words || contains(shown->uid, words);
    for (size_t i = 0; i < 3; i++) {
        const char *wanted = asked_text(asked, members[i]);
        const char *text = shown_text(shown, members[i]);
        if (wanted && *wanted && (!text || strcasecmp(text, wanted) != 0))
            return false;
        is_found = is_found || contains(text, words);
    }
    return is_found && (!mark || !*mark || strcmp(mark, marks[shown->mark]) == 0);
}

struct value *shown_value(struct arena *arena, const struct shown *shown)
{
    struct value *item = value_map(arena);
    const struct known *row = shown->row;
    value_set_text(arena, item, "uid", shown->uid);
    value_set_text(arena, item, "kind", shown_text(shown, "kind"));
    value_set_text(arena, item, "project", shown_text(shown, "project"));
    value_set_text(arena, item, "name", shown_text(shown, "name"));
    value_set_text(arena, item, "mark", marks[shown->mark]);
    value_set_text(arena, item, "state", row ? object_state(row) : "pending");
    value_set_text(arena, item, "observedAt",
                   row && row->observed.at ? when_rfc3339(arena, row->observed.at) : NULL);
    value_set_text(arena, item, "action",
                   shown->step ? value_get_text(shown->step, "action", NULL) : NULL);
    value_set_text(arena, item, "disposition",
                   shown->step ? value_get_text(shown->step, "disposition", NULL) : NULL);
    value_set_text(arena, item, "reason",
                   shown->step ? value_get_text(shown->step, "reason", NULL) : NULL);
    return item;
}

struct value *view_resources(struct view *view, struct asked *asked, struct error *err)
{
    struct arena *arena = asked->arena;
    if (view_refresh(view, arena, err) < 0)
        return NULL;
    int64_t offset = asked_int(asked, "offset", 0, 0, INT32_MAX), total = 0;
    int64_t limit = asked_int(asked, "limit", PAGE_DEFAULT, 1, PAGE_MAX);
    struct value *document = value_map(arena);
    struct value *items = value_set(arena, document, "items", value_list(arena));
    for (size_t i = 0; i < view->count; i++) {
        if (!is_wanted(&view->shown[i], asked))
            continue;
        if (total >= offset && total < offset + limit)
            value_append(arena, items, shown_value(arena, &view->shown[i]));
        total++;
    }
    value_set_int(arena, document, "total", total);
    value_set_int(arena, document, "offset", offset);
    return document;
}

static struct value *copy_or_null(struct arena *arena, const struct value *value)
{
    return value ? value_copy(arena, value) : value_null(arena);
}

static void states_put(struct arena *arena, struct value *document, const struct known *row)
{
    const struct observation *seen = row ? &row->observed : NULL;
    value_set(arena, document, "desired", copy_or_null(arena, row ? row->applied : NULL));
    value_set(arena, document, "booted", copy_or_null(arena, seen ? seen->booted : NULL));
    value_set(arena, document, "observed", copy_or_null(arena, seen ? seen->spec : NULL));
    value_set(arena, document, "status", copy_or_null(arena, seen ? seen->status : NULL));
    value_set(arena, document, "damage", copy_or_null(arena, seen ? seen->damage : NULL));
}

static const char *const unit_names[] = {[UNIT_BYTES] = "bytes", [UNIT_SECONDS] = "seconds"};

/* Says of one changed field what its numbers are in, if they are in anything. */
static void unit_put(struct arena *arena, struct value *entry, const char *kind_name)
{
    const struct kind *kind = kind_find(kind_name);
    const char *path = value_get_text(entry, "path", "");
    const struct field *field = kind ? kind_field(kind, path) : NULL;
    if (field && field->unit != UNIT_NONE)
        value_set_text(arena, entry, "unit", unit_names[field->unit]);
}

static struct value *step_value(struct arena *arena, const struct value *step)
{
    struct value *copy = value_copy(arena, step);
    const struct value *fields = value_get(copy, "fields");
    for (size_t i = 0; value_is_list(fields) && i < fields->count; i++)
        unit_put(arena, fields->items[i], value_get_text(step, "kind", ""));
    return copy;
}

static int drift_put(struct view *view, struct arena *arena, struct value *document,
                     const char *uid, int64_t since, size_t limit, struct error *err)
{
    struct value *list = value_set(arena, document, "drift", value_list(arena));
    struct drift_row *rows = NULL;
    size_t count = 0;
    int status = store_drifts(view->shell->store, arena, since, &rows, &count, err);
    for (size_t i = count; i-- > 0 && list->count < limit;)
        if (!uid || strcmp(rows[i].uid, uid) == 0)
            unit_put(arena, value_append(arena, list, drift_value(arena, &rows[i])), rows[i].kind);
    return status;
}

static int operations_put(struct view *view, struct arena *arena, struct value *document,
                          const char *uid, size_t limit, struct error *err)
{
    struct value *list = value_set(arena, document, "operations", value_list(arena));
    struct intent *intents = NULL;
    size_t count = 0;
    int status = store_intents(view->shell->store, arena, uid, limit, &intents, &count, err);
    for (size_t i = 0; i < count; i++)
        value_append(arena, list, intent_value(arena, &intents[i]));
    return status;
}

/* Which fields are bytes or seconds, by their paths without list keys: {"disks.size":"bytes"}. */
static void units_put(struct arena *arena, struct value *units, const struct field *field,
                      const char *path)
{
    if (field->unit != UNIT_NONE)
        value_set_text(arena, units, path, unit_names[field->unit]);
    for (size_t i = 0; i < field->field_count; i++)
        units_put(arena, units, field->fields[i],
                  arena_printf(arena, "%s%s%s", path, *path ? "." : "", field->fields[i]->name));
    if (field->item)
        units_put(arena, units, field->item, path);
}

struct value *view_resource(struct view *view, struct asked *asked, struct error *err)
{
    struct arena *arena = asked->arena;
    struct shown *shown;
    if (view_refresh(view, arena, err) < 0)
        return NULL;
    HASH_FIND_STR(view->by_uid, asked->rest, shown);
    if (!shown) {
        error_set(err, ERR_NOT_FOUND, "There is no object with this uid.");
        return NULL;
    }
    struct value *document = shown_value(arena, shown);
    states_put(arena, document, shown->row);
    value_set(arena, document, "labels",
              copy_or_null(arena, shown->row ? shown->row->labels : NULL));
    value_set(arena, document, "step",
              shown->step ? step_value(arena, shown->step) : value_null(arena));
    tree_put(view, arena, document, shown);
    const struct kind *kind = kind_find(shown_text(shown, "kind"));
    struct value *units = value_set(arena, document, "units", value_map(arena));
    if (kind)
        units_put(arena, units, kind->spec, "");
    if (drift_put(view, arena, document, shown->uid, 1, PAGE_DEFAULT, err) < 0 ||
        operations_put(view, arena, document, shown->uid, 50, err) < 0)
        return NULL;
    return document;
}

struct value *view_network(struct view *view, struct asked *asked, struct error *err)
{
    struct arena *arena = asked->arena;
    if (view_refresh(view, arena, err) < 0)
        return NULL;
    struct value *document = value_map(arena);
    struct value *objects = value_set(arena, document, "objects", value_list(arena));
    for (size_t i = 0; i < view->count; i++) {
        const struct shown *shown = &view->shown[i];
        const struct kind *kind = kind_find(shown_text(shown, "kind"));
        const struct known *row = shown->row;
        if (!kind || !kind->driver || strcmp(kind->driver, "network") != 0 || !row)
            continue;
        struct value *object = value_append(arena, objects, shown_value(arena, shown));
        value_set(arena, object, "spec",
                  copy_or_null(arena, row->applied ? row->applied : row->observed.spec));
    }
    return document;
}

/* ---- the rest ----------------------------------------------------------------------- */

struct group {
    const char *project, *kind;
    int64_t counts[MARK_COUNT];
};

static struct group *group_find(struct group *groups, size_t *count, const char *project,
                                const char *kind)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(groups[i].project, project) == 0 && strcmp(groups[i].kind, kind) == 0)
            return &groups[i];
    groups[*count] = (struct group){.project = project, .kind = kind};
    return &groups[(*count)++];
}

/* By project and kind; an object that left Git for good counts in no group. */
static void groups_make(struct view *view)
{
    struct arena *arena = view->arena;
    struct group *groups = arena_array(arena, view->count + 1, sizeof *groups);
    struct value *list = view->groups = value_list(arena);
    struct value *resources = view->sums = value_map(arena);
    int64_t sums[MARK_COUNT] = {0};
    size_t count = 0;
    for (size_t i = 0; i < view->count; i++) {
        const struct shown *shown = &view->shown[i];
        const char *project = shown_text(shown, "project");
        if (shown->row && shown->row->life == LIFE_RELEASED && !shown->step)
            continue;
        group_find(groups, &count, project ? project : "", shown_text(shown, "kind"))
            ->counts[shown->mark]++;
        sums[shown->mark]++;
    }
    for (size_t i = 0; i < count; i++) {
        struct value *group = value_append(arena, list, value_map(arena));
        value_set_text(arena, group, "project", *groups[i].project ? groups[i].project : NULL);
        value_set_text(arena, group, "kind", groups[i].kind);
        for (size_t m = 0; m < MARK_COUNT; m++)
            value_set_int(arena, group, marks[m], groups[i].counts[m]);
    }
    for (size_t m = 0; m < MARK_COUNT; m++)
        value_set_int(arena, resources, marks[m], sums[m]);
}

static int freezes_put(struct view *view, struct arena *arena, struct value *document,
                       struct error *err)
{
    struct value *list = value_set(arena, document, "freezes", value_list(arena));
    struct freeze *freezes = NULL;
    size_t count = 0;
    int status = store_freezes(view->shell->store, arena, &freezes, &count, err);
    for (size_t i = 0; i < count; i++) {
        if (freezes[i].until && freezes[i].until <= when_now())
            continue;
        struct value *freeze = value_append(arena, list, value_map(arena));
        value_set_text(arena, freeze, "what", freezes[i].what);
        value_set_text(arena, freeze, "who", freezes[i].who);
        value_set_text(arena, freeze, "why", freezes[i].why);
        value_set_text(arena, freeze, "until",
                       freezes[i].until ? when_rfc3339(arena, freezes[i].until) : NULL);
    }
    return status;
}

struct value *view_status(struct view *view, struct arena *arena, struct error *err)
{
    if (view_refresh(view, arena, err) < 0)
        return NULL;
    struct value *document = value_map(arena);
    value_set_text(arena, document, "rack", view->site->name);
    value_set(arena, document, "revision",
              view->has_target ? revision_value(arena, &view->target) : value_null(arena));
    if (!view->groups)
        groups_make(view);
    value_set(arena, document, "groups", value_copy(arena, view->groups));
    value_set(arena, document, "resources", value_copy(arena, view->sums));
    value_set(arena, document, "holds", copy_or_null(arena, value_get(view->plan, "holds")));
    value_set(arena, document, "summary", copy_or_null(arena, value_get(view->plan, "summary")));
    value_set_bool(arena, document, "decisions", decisions_are_allowed(view->site));
    if (freezes_put(view, arena, document, err) < 0)
        return NULL;
    value_set_bool(arena, document, "converged",
                   view->plan && value_at_int(view->plan, "summary.run", 0) == 0 &&
                       view->target.converged_at > 0);
    value_set_int(arena, document, "seq", view->version);
    return document;
}

struct value *view_plan(struct view *view, struct asked *asked, struct error *err)
{
    if (view_refresh(view, asked->arena, err) < 0)
        return NULL;
    if (!view->plan) {
        error_set(err, ERR_NOT_FOUND, "There is no revision yet; push one.");
        return NULL;
    }
    struct value *document = value_copy(asked->arena, view->plan);
    struct value *steps = value_set(asked->arena, document, "steps", value_list(asked->arena));
    const struct value *known = value_get(view->plan, "steps");
    for (size_t i = 0; value_is_list(known) && i < known->count; i++)
        value_append(asked->arena, steps, step_value(asked->arena, known->items[i]));
    return document;
}

struct value *view_drift(struct view *view, struct asked *asked, struct error *err)
{
    struct value *document = value_map(asked->arena);
    size_t limit = (size_t)asked_int(asked, "limit", PAGE_DEFAULT, 1, DRIFT_MAX);
    int64_t since = asked_int(asked, "since", 1, 1, INT64_MAX);
    int status = drift_put(view, asked->arena, document, NULL, since, limit, err);
    return status < 0 ? NULL : document;
}

int view_open_drift(struct view *view, struct arena *arena, struct open_drift *out,
                    struct error *err)
{
    struct drift_row *rows = NULL;
    size_t count = 0;
    int status = store_drifts(view->shell->store, arena, INT64_MAX, &rows, &count, err);
    *out = (struct open_drift){0};
    for (size_t i = 0; status == 0 && i < count; i++) {
        if (strcmp(rows[i].disposition, "ignored") == 0) {
            out->ignored++;
            continue;
        }
        out->fields++;
        out->oldest = out->oldest && out->oldest < rows[i].since ? out->oldest : rows[i].since;
    }
    return status;
}

struct value *view_events(struct view *view, struct asked *asked, struct error *err)
{
    struct arena *arena = asked->arena;
    struct value *document = value_map(arena);
    struct value *list = value_set(arena, document, "events", value_list(arena));
    size_t limit = (size_t)asked_int(asked, "limit", PAGE_DEFAULT, 1, PAGE_MAX), count = 0;
    struct event *events = NULL;
    if (store_events(view->shell->store, arena, asked_int(asked, "after", -1, -1, INT64_MAX), limit,
                     &events, &count, err) < 0)
        return NULL;
    for (size_t i = 0; i < count; i++)
        value_append(arena, list, event_value(arena, &events[i]));
    return document;
}

struct value *view_revisions(struct view *view, struct asked *asked, struct error *err)
{
    struct arena *arena = asked->arena;
    struct value *document = value_map(arena);
    struct value *list = value_set(arena, document, "revisions", value_list(arena));
    struct revision *revisions = NULL;
    size_t count = 0;
    if (store_revisions(view->shell->store, arena,
                        (size_t)asked_int(asked, "limit", 50, 1, PAGE_MAX), &revisions, &count,
                        err) < 0)
        return NULL;
    for (size_t i = 0; i < count; i++)
        value_append(arena, list, revision_value(arena, &revisions[i]));
    return document;
}

struct value *view_trace(struct view *view, struct asked *asked, struct error *err)
{
    struct store *store = view->shell->store;
    const char *rev = asked_text(asked, "revision");
    struct revision revision;
    struct value *trace = NULL;
    int status = revision_find(store, asked->arena, rev ? rev : "", &revision, err);
    if (status == 0)
        status = trace_make(store, asked->arena, &revision, &trace, err);
    return status < 0 ? NULL : trace;
}

struct value *view_operations(struct view *view, struct asked *asked, struct error *err)
{
    struct value *document = value_map(asked->arena);
    size_t limit = (size_t)asked_int(asked, "limit", 50, 1, PAGE_MAX);
    return operations_put(view, asked->arena, document, asked_text(asked, "uid"), limit, err) < 0
               ? NULL
               : document;
}
