/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the viewer shows: each object of the store beside what the last plan says of
 * it. The plan is the one function's that everybody uses, made here from the stored
 * observations, so the core is not asked. A view is good until the store changes; a large
 * rack's a little longer, so that making it never takes most of the time.
 */
#include "reconciler/engine/unseen.h"
#include "reconciler/server/web_view.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "model/hash.h"

#include "model/json.h"
#include "model/invariant.h"
#include "model/kind.h"
#include "model/resource.h"
#include "model/when.h"
#include "reconciler/engine/shell_state.h"
#include "reconciler/store/documents.h"

enum { PAGE_DEFAULT = 200, PAGE_MAX = 500, LASTING_MS = 30000, SHARE = 4 };

/* From the best to the worst: of what is derived, its owner has the worst. */
enum { MARK_TRUE, MARK_UNKNOWN, MARK_PENDING, MARK_DRIFTING, MARK_HELD };
static const char *const marks[] = {"true", "unknown", "pending", "drifting", "held"};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void view_forget(struct view *view)
{
    HASH_CLEAR(hh, view->by_uid);
    HASH_CLEAR(by_label, view->by_label);
    arena_free(view->arena);
    view->arena = NULL;
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
    view_forget(view);
    shell_close(view->shell);
    free(view);
}

/* ---- making one --------------------------------------------------------------------- */

static size_t mark_of(const struct value *step)
{
    if (!step || strcmp(value_get_text(step, "disposition", ""), "ignored") == 0)
        return MARK_TRUE;
    if (strcmp(value_get_text(step, "disposition", ""), "held") == 0)
        return MARK_HELD;
    return strcmp(value_get_text(step, "cause", ""), "drift") == 0 ? MARK_DRIFTING : MARK_PENDING;
}

static void shown_add(struct view *view, const char *uid, const struct known *row)
{
    struct shown *shown = &view->shown[view->count++];
    *shown = (struct shown){.uid = uid, .row = row};
    HASH_ADD_KEYPTR(hh, view->by_uid, shown->uid, strlen(shown->uid), shown);
}

/* Of the objects that have a mark of their own: those that others are derived from. */
static struct shown *owner_find(const struct view *view, struct arena *arena,
                                const struct value *step)
{
    const struct value *owner = value_get(step, "owner");
    const char *label =
        identity_label(arena, value_get_text(owner, "kind", ""),
                       value_get_text(step, "project", NULL), value_get_text(owner, "name", ""));
    struct shown *shown;
    HASH_FIND(by_label, view->by_label, label, strlen(label), shown);
    return shown;
}

static void labels_index(struct view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        struct shown *shown = &view->shown[i];
        shown->label = identity_label(view->arena, shown_text(shown, "kind"),
                                      shown_text(shown, "project"), shown_text(shown, "name"));
        HASH_ADD_KEYPTR(by_label, view->by_label, shown->label, strlen(shown->label), shown);
    }
}

static void owners_mark(struct view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        const struct shown *shown = &view->shown[i];
        if (!shown->mark || !value_get(shown->step, "owner"))
            continue;
        if (!view->by_label)
            labels_index(view);
        struct shown *owner = owner_find(view, view->arena, shown->step);
        if (owner && owner->mark < shown->mark)
            owner->mark = shown->mark;
    }
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

static void unknown_put(struct shown *shown)
{
    if (shown && shown->mark == MARK_TRUE)
        shown->mark = MARK_UNKNOWN;
}

/* What nobody could look at and nothing is planned for is not true: nobody knows. Nor is what it
 * is derived from. */
static int unknown_mark(struct view *view, struct error *err)
{
    struct value *unknown = NULL;
    int status = store_fact_list(view->shell->store, view->arena, "unseen", &unknown, err);
    view->unseen = unknown ? unknown->count : 0;
    for (size_t i = 0; unknown && i < unknown->count; i++) {
        struct shown *shown;
        HASH_FIND_STR(view->by_uid, value_get_text(unknown->items[i], "uid", ""), shown);
        unknown_put(shown);
        if (!view->by_label)
            labels_index(view);
        const char *label = counted_under(view->arena, unknown->items[i]);
        HASH_FIND(by_label, view->by_label, label, strlen(label), shown);
        unknown_put(shown);
    }
    return status;
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
    status = unknown_mark(view, err);
    owners_mark(view);
    return status;
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
    view_forget(view);
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
    if (status < 0)
        view_forget(view);
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

static bool is_wanted(const struct shown *shown, const struct asked *asked, size_t mark)
{
    static const char *const members[] = {"kind", "project", "name"};
    const char *words = asked_text(asked, "q");
    bool is_found = !words || !*words || contains(shown->uid, words);
    for (size_t i = 0; i < 3; i++) {
        const char *wanted = asked_text(asked, members[i]);
        const char *text = shown_text(shown, members[i]);
        if (wanted && *wanted && (!text || strcasecmp(text, wanted) != 0))
            return false;
        is_found = is_found || contains(text, words);
    }
    return is_found && (mark == MARK_COUNT || mark == shown->mark);
}

/* ---- in the order of a column */

enum column { BY_KIND, BY_PROJECT, BY_NAME, BY_MARK, BY_STATE, COLUMN_COUNT };
static const char *const columns[] = {"kind", "project", "name", "mark", "state"};

static const char *state_of(const struct shown *shown)
{
    return shown->row ? object_state(shown->row) : "pending";
}

static const char *column_text(const struct shown *shown, enum column column)
{
    const char *text = column == BY_STATE ? state_of(shown) : shown_text(shown, columns[column]);
    return text ? text : "";
}

struct sorting {
    enum column column;
    int direction; /* 1 up, -1 down */
};

static int shown_compare(const void *left, const void *right, void *context)
{
    const struct shown *a = *(struct shown *const *)left, *b = *(struct shown *const *)right;
    const struct sorting *sorting = context;
    int order = sorting->column == BY_MARK
                    ? (a->mark > b->mark) - (a->mark < b->mark)
                    : strcmp(column_text(a, sorting->column), column_text(b, sorting->column));
    return order ? order * sorting->direction : (a > b) - (a < b);
}

/* Those that are asked for, in the order that is asked for. */
static const struct shown **shown_find(const struct view *view, struct asked *asked, size_t *count)
{
    static const char *const directions[] = {"up", "down"};
    const struct shown **found = arena_array(asked->arena, view->count + 1, sizeof(*found));
    size_t mark = asked_choice(asked, "mark", marks, MARK_COUNT);
    size_t column = asked_choice(asked, "sort", columns, COLUMN_COUNT);
    struct sorting sorting = {.column = (enum column)column,
                              .direction =
                                  asked_choice(asked, "order", directions, 2) == 1 ? -1 : 1};
    *count = 0;
    for (size_t i = 0; i < view->count; i++)
        if (is_wanted(&view->shown[i], asked, mark))
            found[(*count)++] = &view->shown[i];
    if (column < COLUMN_COUNT)
        qsort_r(found, *count, sizeof(*found), shown_compare, &sorting);
    return found;
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
    value_set_text(arena, item, "state", state_of(shown));
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
    size_t offset = (size_t)asked_int(asked, "offset", 0, 0, INT32_MAX), total = 0;
    size_t limit = (size_t)asked_int(asked, "limit", PAGE_DEFAULT, 1, PAGE_MAX);
    const struct shown **found = shown_find(view, asked, &total);
    struct value *document = value_map(arena);
    struct value *items = value_set(arena, document, "items", value_list(arena));
    for (size_t i = offset; i < total && i < offset + limit; i++)
        value_append(arena, items, shown_value(arena, found[i]));
    value_set_int(arena, document, "total", (int64_t)total);
    value_set_int(arena, document, "offset", (int64_t)offset);
    return document;
}

static struct value *copy_or_null(struct arena *arena, const struct value *value)
{
    return value ? value_copy(arena, value) : value_null(arena);
}

/* What Git says: what was applied last, and what the plan would change of it. */
static struct value *desired_value(struct arena *arena, const struct shown *shown)
{
    const struct value *fields = value_get(shown->step, "fields");
    const struct value *applied = shown->row ? shown->row->applied : NULL;
    const struct kind *kind = kind_find(shown_text(shown, "kind"));
    struct value *spec = applied ? value_copy(arena, applied) : value_map(arena);
    if (!applied && !fields)
        return value_null(arena);
    for (size_t i = 0; kind && i < kind->spec->field_count; i++)
        if (kind->spec->fields[i]->list_key && !value_get(spec, kind->spec->fields[i]->name))
            value_set(arena, spec, kind->spec->fields[i]->name, value_list(arena));
    for (size_t i = 0; kind && value_is_list(fields) && i < fields->count; i++)
        spec = spec_put(arena, kind, spec, value_get_text(fields->items[i], "path", ""),
                        value_get(fields->items[i], "to"));
    return spec;
}

static void states_put(struct arena *arena, struct value *document, const struct shown *shown)
{
    const struct known *row = shown->row;
    const struct observation *seen = row ? &row->observed : NULL;
    value_set(arena, document, "desired", desired_value(arena, shown));
    value_set(arena, document, "booted", copy_or_null(arena, seen ? seen->booted : NULL));
    value_set(arena, document, "observed", copy_or_null(arena, seen ? seen->spec : NULL));
    value_set(arena, document, "status", copy_or_null(arena, seen ? seen->status : NULL));
    value_set(arena, document, "damage", copy_or_null(arena, seen ? seen->damage : NULL));
}

static const char *const unit_names[] = {[UNIT_BYTES] = "bytes", [UNIT_SECONDS] = "seconds"};

void unit_put(struct arena *arena, struct value *entry, const char *kind_name)
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
    states_put(arena, document, shown);
    value_set(arena, document, "labels",
              copy_or_null(arena, shown->row ? shown->row->labels : NULL));
    value_set(arena, document, "step",
              shown->step ? step_value(arena, shown->step) : value_null(arena));
    tree_put(view, arena, document, shown);
    const struct kind *kind = kind_find(shown_text(shown, "kind"));
    struct value *units = value_set(arena, document, "units", value_map(arena));
    if (kind)
        units_put(arena, units, kind->spec, "");
    const struct page newest = {.limit = 50};
    if (drift_put(view, arena, document, shown->uid, 1, newest, err) < 0 ||
        operations_put(view, arena, document, shown->uid, newest, err) < 0 ||
        events_put(view, arena, document, shown->uid, INT64_MAX, newest.limit, err) < 0)
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
        bool is_machine = kind && strcmp(kind->name, "Instance") == 0;
        if (!kind || !kind->driver || !row || (strcmp(kind->driver, "network") != 0 && !is_machine))
            continue;
        struct value *object = value_append(arena, objects, shown_value(arena, shown));
        const struct value *spec = row->applied ? row->applied : row->observed.spec;
        value_set(arena, object, "spec", copy_or_null(arena, is_machine ? NULL : spec));
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

/* By project and kind. An object that left Git for good counts in no group, and a derived one
 * with the one that it is derived from. */
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
        const struct kind *kind = kind_find(shown_text(shown, "kind"));
        if ((shown->row && shown->row->life == LIFE_RELEASED && !shown->step) ||
            (kind && kind->is_derived))
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
                       value_get_int(view->sums, marks[MARK_UNKNOWN], 0) == 0 &&
                       view->target.converged_at > 0);
    value_set_int(arena, document, "seq", view->version);
    return document;
}

/* With the steps of one page. */
struct value *view_plan(struct view *view, struct asked *asked, struct error *err)
{
    struct arena *arena = asked->arena;
    if (view_refresh(view, arena, err) < 0)
        return NULL;
    if (!view->plan) {
        error_set(err, ERR_NOT_FOUND, "There is no revision yet; push one.");
        return NULL;
    }
    struct value *document = value_map(arena), *steps = value_list(arena);
    const struct value *known = value_get(view->plan, "steps");
    size_t total = value_is_list(known) ? known->count : 0;
    size_t offset = (size_t)asked_int(asked, "offset", 0, 0, INT32_MAX);
    size_t limit = (size_t)asked_int(asked, "limit", PAGE_DEFAULT, 1, PAGE_MAX);
    for (size_t i = 0; i < view->plan->pair_count; i++)
        if (strcmp(view->plan->pairs[i].key, "steps") != 0)
            value_push(arena, document, view->plan->pairs[i].key,
                       value_copy(arena, view->plan->pairs[i].value));
    /* It is made of what was seen last, which is nothing to go by. */
    value_set_int(arena,
                  value_set(arena, document, "observed",
                            value_copy(arena, value_get(view->plan, "observed"))),
                  "unknown", (int64_t)view->unseen);
    for (size_t i = offset; i < total && i < offset + limit; i++)
        value_append(arena, steps, step_value(arena, known->items[i]));
    value_set(arena, document, "steps", steps);
    value_set_int(arena, document, "total", (int64_t)total);
    value_set_int(arena, document, "offset", (int64_t)offset);
    return document;
}
