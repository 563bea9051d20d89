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

struct renames {
    const struct resource **items; /* of the set, sorted by kind, project and the former name */
    size_t count;
};

static int texts_order(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static int rename_order(const void *left, const void *right)
{
    const struct resource *a = *(const struct resource *const *)left;
    const struct resource *b = *(const struct resource *const *)right;
    int by_kind = strcmp(a->kind->name, b->kind->name);
    int by_project = texts_order(a->project, b->project);
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

static bool protection_tighten(const struct resource *resource, struct known *row)
{
    if (!resource->kind->holds_data)
        return false;
    bool is_protected = row->protect || value_get_bool(resource->spec, "protect", false);
    bool is_deleted =
        row->remove_deletes && !strcmp(value_get_text(resource->spec, "onRemove", ""), "delete");
    bool is_tighter = is_protected != row->protect || is_deleted != row->remove_deletes;
    row->protect = is_protected;
    row->remove_deletes = is_deleted;
    return is_tighter;
}

static bool rename_keep(struct arena *arena, const struct resource *resource, struct known *row)
{
    const char *before = value_get_text(row->chosen, "becomes", row->name);
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
    const struct resource *resource = row->life == LIFE_LIVE ? successor(set, renames, row) : NULL;
    if (!resource)
        return false;
    bool is_tighter = protection_tighten(resource, row);
    return rename_keep(arena, resource, row) || is_tighter;
}

void promises_keep(struct core *core, struct arena *arena, const struct set *set)
{
    struct error err = ERROR_INIT;
    struct known *rows = NULL;
    size_t count = 0;
    if (!batch_open(core))
        return;
    if (core->env->ledger->objects(core->env->store, arena, &rows, &count, &err) < 0)
        core_fail(core, &err);
    struct renames renames = renames_of(arena, set);
    for (size_t i = 0; i < count && !core->failure.code; i++)
        if (row_promise(arena, set, &renames, &rows[i]))
            save_object(core, &rows[i]);
    for (struct task *task = core->tasks; task; task = task->hh.next)
        row_promise(task->arena, set, &renames, &task->after);
}
