/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What an accepted commit promises about data holds from that moment on, and not only once it
 * was carried out: the next commit may no longer say it before that. A volume's protection is
 * tightened at once (it is lifted only when that is applied), and a row whose object is to be
 * renamed remembers what it becomes (`chosen.becomes`, read by plan/match.c). A rename that is
 * taken back before it was confirmed may have been carried out: the row remembers what its object
 * may be called (`chosen.called`), until it is told its name again.
 */
#include "reconciler/engine/core_state.h"

#include <stdlib.h>
#include <string.h>
#include "model/invariant.h"
#include "model/text.h"

struct renames {
    const struct resource **items; /* of the set, sorted by kind, project and the former name */
    size_t count;
};

static int rename_order(const void *left, const void *right)
{
    const struct resource *a = *(const struct resource *const *)left;
    const struct resource *b = *(const struct resource *const *)right;
    invariant(a->renamed_from && b->renamed_from, "%s or %s was never called anything else",
              a->name, b->name);
    int by_kind = strcmp(a->kind->name, b->kind->name);
    int by_project = text_compare(a->project, b->project);
    return by_kind ? by_kind : by_project ? by_project : strcmp(a->renamed_from, b->renamed_from);
}

static struct renames renames_of(struct arena *arena, const struct set *set)
{
    struct renames renames = {.items = arena_array(arena, set->count + 1, sizeof *renames.items)};
    for (size_t i = 0; i < set->count; i++)
        if (set->resources[i]->renamed_from)
            renames.items[renames.count++] = set->resources[i];
    if (renames.count)
        qsort(renames.items, renames.count, sizeof *renames.items, rename_order);
    return renames;
}

static const struct resource *renamed_from(const struct renames *renames, const struct known *row,
                                           const char *name)
{
    const struct kind *kind = kind_find(row->kind);
    if (!name || !kind || !renames->count)
        return NULL;
    const struct resource wanted = {.kind = kind, .project = row->project, .renamed_from = name};
    const struct resource *key = &wanted;
    const struct resource *const *found =
        bsearch(&key, renames->items, renames->count, sizeof *renames->items, rename_order);
    return found ? *found : NULL;
}

/* What `set` makes of the row's object: what has its name, or the name that it was promised, or
 * says that it had either. */
static const struct resource *successor(const struct set *set, const struct renames *renames,
                                        const struct known *row)
{
    const char *becomes = value_get_text(row->chosen, "becomes", NULL);
    const struct resource *found = set_find(set, row->kind, row->project, row->name);
    if (!found)
        found = renamed_from(renames, row, row->name);
    if (!found && becomes)
        found = set_find(set, row->kind, row->project, becomes);
    return found ? found : renamed_from(renames, row, becomes);
}

/* Also what was never confirmed may be there by now, by whichever of its names. */
static bool is_promised_to(const struct known *row)
{
    return row->life == LIFE_LIVE || row->life == LIFE_NEW;
}

static bool protection_tighten(const struct resource *resource, struct known *row)
{
    if (!resource->kind->holds_data)
        return false;
    bool is_protected = row->protect || value_get_bool(resource->spec, "protect", false);
    bool is_deleted = row->remove_deletes && spec_removes_data(resource->spec);
    bool is_tighter = is_protected != row->protect || is_deleted != row->remove_deletes;
    invariant(is_protected >= row->protect && is_deleted <= row->remove_deletes,
              "%s %s would be less safe by being promised more", row->kind, row->name);
    row->protect = is_protected;
    row->remove_deletes = is_deleted;
    return is_tighter;
}

static bool rename_keep(struct arena *arena, const struct resource *resource, struct known *row)
{
    const char *before = value_get_text(row->chosen, "becomes", row->name);
    invariant(strcmp(resource->kind->name, row->kind) == 0 && is_promised_to(row),
              "%s %s would go on as %s %s", row->kind, row->name, resource->kind->name,
              resource->name);
    if (!strcmp(before, resource->name))
        return false;
    struct value *chosen = row->chosen ? value_copy(arena, row->chosen) : value_map(arena);
    if (strcmp(resource->name, row->name) != 0)
        value_set_text(arena, chosen, "becomes", arena_text(arena, resource->name));
    else {
        value_set_text(arena, chosen, "called", arena_text(arena, before));
        value_unset(chosen, "becomes");
    }
    row->chosen = chosen;
    return true;
}

static bool row_promise(struct arena *arena, const struct set *set, const struct renames *renames,
                        struct known *row)
{
    const struct resource *resource = is_promised_to(row) ? successor(set, renames, row) : NULL;
    if (!resource)
        return false;
    bool is_tighter = protection_tighten(resource, row);
    return rename_keep(arena, resource, row) || is_tighter;
}

/* ---- whose rows --------------------------------------------------------------------- */

/* More changes than these, and all rows are read at once. */
enum { LOOKED_UP_MAX = 1000 };

struct rows {
    struct core *core;
    struct arena *arena;
    struct known *items;
    size_t count, room, looked_up;
};

static void rows_add(struct rows *rows, const struct known *found, size_t count)
{
    invariant(found || count == 0, "%zu rows of nothing", count);
    if (rows->count + count > rows->room) {
        size_t room = 2 * (rows->count + count);
        struct known *more = arena_array(rows->arena, room, sizeof *more);
        if (rows->count)
            memcpy(more, rows->items, rows->count * sizeof *more);
        rows->items = more;
        rows->room = room;
    }
    if (count)
        memcpy(rows->items + rows->count, found, count * sizeof *found);
    rows->count += count;
    invariant(rows->count <= rows->room || count == 0, "%zu rows in room for %zu", rows->count,
              rows->room);
}

static void rows_named(struct rows *rows, const struct resource *resource, const char *name)
{
    const struct env *env = rows->core->env;
    struct error err = ERROR_INIT;
    struct known *found = NULL;
    size_t count = 0;
    invariant(name && name[0], "a %s without a name is promised something", resource->kind->name);
    rows->looked_up++;
    if (env->ledger->objects_named(env->store, rows->arena, resource->kind->name, resource->project,
                                   name, &found, &count, &err) < 0)
        core_fail(rows->core, &err);
    else
        rows_add(rows, found, count);
}

static bool promises_same(const struct resource *was, const struct resource *is)
{
    return value_get_bool(was->spec, "protect", false) ==
               value_get_bool(is->spec, "protect", false) &&
           text_compare(value_get_text(was->spec, "onRemove", NULL),
                        value_get_text(is->spec, "onRemove", NULL)) == 0 &&
           text_compare(was->renamed_from, is->renamed_from) == 0;
}

/* A fast path: what the commit before promised was kept when that was accepted, so that only
 * those need be looked at whose promise is another now, and those that are promised a name. False
 * if there is no commit before, or too much has changed. */
static bool rows_concerned(struct rows *rows, const struct set *was, const struct set *is)
{
    const struct env *env = rows->core->env;
    struct error err = ERROR_INIT;
    struct known *renamed = NULL;
    size_t count = 0, w = 0;
    for (size_t i = 0; was && i < is->count && rows->looked_up < LOOKED_UP_MAX; i++) {
        const struct resource *resource = is->resources[i];
        while (w < was->count && resource_compare(&was->resources[w], &resource) < 0)
            w++;
        if (w < was->count && resource_compare(&was->resources[w], &resource) == 0 &&
            promises_same(was->resources[w], resource))
            continue;
        rows_named(rows, resource, resource->name);
        if (resource->renamed_from)
            rows_named(rows, resource, resource->renamed_from);
    }
    if (!was || rows->looked_up >= LOOKED_UP_MAX)
        return false;
    if (env->ledger->objects_renamed(env->store, rows->arena, SIZE_MAX, &renamed, &count, &err) < 0)
        core_fail(rows->core, &err);
    else
        rows_add(rows, renamed, count);
    return true;
}

static void rows_all(struct rows *rows)
{
    const struct env *env = rows->core->env;
    struct error err = ERROR_INIT;
    if (env->ledger->objects(env->store, rows->arena, &rows->items, &rows->count, &err) < 0)
        core_fail(rows->core, &err);
}

void promises_keep(struct core *core, struct arena *arena, const struct set *set)
{
    struct rows rows = {.core = core, .arena = arena};
    invariant(set, "no set promises anything");
    if (!batch_open(core))
        return;
    if (!rows_concerned(&rows, core->set, set))
        rows_all(&rows);
    struct renames renames = renames_of(arena, set);
    for (size_t i = 0; i < rows.count && !core->failure.code; i++)
        if (row_promise(arena, set, &renames, &rows.items[i]))
            save_object(core, &rows.items[i]);
    for (struct task *task = core->tasks; task; task = task->hh.next)
        row_promise(task->arena, set, &renames, &task->after);
}

/* ---- of a part ---------------------------------------------------------------------- */

/* Rows that the part has are all that it concerns, and nothing is under way. */
bool promises_find(struct taken *taken)
{
    const struct part *part = &taken->part;
    struct renames renames = renames_of(taken->arena, part->set);
    taken->is_promised = arena_array(taken->arena, part->row_count + 1, sizeof(bool));
    for (size_t i = 0; i < part->row_count; i++) {
        struct known *row = &part->rows[i];
        const struct resource *resource =
            is_promised_to(row) ? successor(part->set, &renames, row) : NULL;
        if (resource && rename_keep(taken->arena, resource, row))
            return false;
        taken->is_promised[i] = resource && protection_tighten(resource, row);
    }
    return true;
}

void promises_write(struct core *core, const struct taken *taken)
{
    invariant(!core->tasks, "a part is promised while %u are under way", HASH_COUNT(core->tasks));
    for (size_t i = 0; i < taken->part.row_count; i++)
        if (taken->is_promised[i])
            save_object(core, &taken->part.rows[i]);
}
