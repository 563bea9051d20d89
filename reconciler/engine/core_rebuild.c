/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A store that was lost or is older than the world. An object that bears our valid
 * tag, has no row, and is what a manifest declares is never made a second time: it
 * gets its row back, with what was chosen for it; a row that never had an object gives way
 * to it, and one whose object is gone does if its uid is the earlier one. An object whose epoch is
 * higher than its row's means that the store was restored: the row takes the epoch over. After
 * either the plan is shown and nothing runs until a person has approved "rebuild".
 */
#include "reconciler/engine/core_state.h"

#include <stdlib.h>
#include <string.h>
#include "model/invariant.h"
#include "model/json.h"
#include "model/text.h"

static const char rebuild_hold[] = RULE_REBUILD;
static const char restored_reason[] = "objects have seen newer intents than the store knows of; "
                                      "it was restored from an old copy";

enum { INCARNATIONS_MAX = 4096 };

/* The row that the store has of what `resource` declares, or NULL. */
static struct known *row_of(struct plan_input *input, const struct resource *resource)
{
    struct known *rows = (struct known *)(size_t)input->known;
    for (size_t i = 0; i < input->known_count; i++)
        if (rows[i].life != LIFE_GONE && !strcmp(rows[i].kind, resource->kind->name) &&
            !text_compare(rows[i].project, resource->project) &&
            !strcmp(rows[i].name, resource->name))
            return &rows[i];
    return NULL;
}

/* Uids follow from the identity and a count of incarnations (RFD 4): was `later` chosen
 * after `earlier`? */
static bool is_later(const struct core *core, const struct resource *resource, const char *earlier,
                     const char *later)
{
    char uid[UID_TEXT];
    bool has_passed = false;
    for (uint64_t i = 0; i < INCARNATIONS_MAX; i++) {
        digest_uid(core->config.seed, resource->kind->name, resource->project, resource->name, i,
                   uid);
        if (!strcmp(uid, later))
            return has_passed;
        has_passed |= !strcmp(uid, earlier);
    }
    return false;
}

/* The row has no object, and nobody is making it one. Either it never had one: it was chosen
 * while the driver left out what was there. Or the store is older than the world: its object was
 * deleted since, and made anew under another uid: the next one, but for a still older copy of the
 * store that was in use in between and has counted anew. To make it now would put an empty one
 * beside the data. */
static bool is_succeeded(struct core *core, const struct known *row,
                         const struct resource *resource, const char *uid)
{
    const struct task *task = task_of_uid(core, row->uid);
    bool has_none = row->observed.known && row->observed.absent;
    bool may_come = task && task->state != TASK_WAITING;
    bool is_old_copy = core->is_restored || row->observed.epoch > row->epoch;
    return has_none &&
           ((row->life == LIFE_NEW && !may_come) ||
            (row->life == LIFE_LIVE && (is_old_copy || is_later(core, resource, row->uid, uid))));
}

static void row_retire(struct core *core, struct known *row)
{
    invariant((row->life == LIFE_LIVE || row->life == LIFE_NEW) && row->observed.absent,
              "%s %s gives way, and is there", row->kind, row->name);
    row->life = LIFE_GONE;
    save_object(core, row);
    seen_set_row(core, row);
}

static void rebuild_raise(struct core *core, const char *reason)
{
    struct error err = ERROR_INIT;
    if (core->is_restored)
        return;
    core->is_restored = true;
    save_fact(core, rebuild_hold, "pending");
    if (batch_open(core) &&
        core->env->ledger->hold_put(core->env->store, rebuild_hold, rebuild_hold, reason,
                                    core_now_s(core), &err) < 0)
        core_fail(core, &err);
    struct arena *arena = batch_arena(core);
    struct value *data = value_map(arena);
    value_set_text(arena, data, "hold", rebuild_hold);
    value_set_text(arena, data, "rule", rebuild_hold);
    value_set_text(arena, data, "reason", reason);
    core_event(core, "hold.raised", NULL, data, "held (%s): %s", rebuild_hold, reason);
}

static void row_rebuild(struct core *core, struct plan_input *input, struct arena *arena,
                        struct seen *seen, const struct resource *resource,
                        const struct value *chosen)
{
    struct known *rows = arena_array(arena, input->known_count + 1, sizeof *rows);
    invariant(!seen->has_row && seen->uid[0], "%s has a row, and would get another", seen->uid);
    invariant(seen->epoch < (uint64_t)EPOCH_CREDIBLE && seen->driver,
              "%s would be taken back at epoch %llu", seen->uid, (unsigned long long)seen->epoch);
    for (size_t i = 0; i < input->known_count; i++)
        rows[i] = input->known[i];
    struct known *row = &rows[input->known_count++];
    *row = (struct known){
        .uid = arena_text(arena, seen->uid),
        .kind = resource->kind->name,
        .project = resource->project,
        .name = resource->name,
        .life = LIFE_LIVE,
        .epoch = seen->epoch,
        .chosen = chosen ? value_copy(arena, chosen) : value_map(arena),
    };
    if (seen_rare(seen)->object)
        row->observed = observation_read(core, arena, seen_rare(seen)->object);
    input->known = rows;
    save_object(core, row);
    invariant(row->epoch <= (uint64_t)EPOCH_MAX && row->chosen, "%s is taken back as nothing",
              row->uid);
    seen->has_row = true;
    seen->has_details = seen_rare(seen)->object != NULL; /* looked at again, and stored this time */
    core->wants_full |= core->config.effects;
    const struct about about = {row->uid, row->kind, row->project, row->name};
    core_event(core, "adopted", &about, NULL, "%s: found by its tag and taken back into the store",
               identity_label(batch_arena(core), row->kind, row->project, row->name));
}

static void strangers_rebuild(struct core *core, struct plan_input *input, struct arena *arena)
{
    size_t before = input->known_count;
    for (struct seen *seen = core->seen.first; seen; seen = seen->next) {
        struct error err = ERROR_INIT;
        struct value *identity = NULL;
        if (seen->has_row || !seen->etag || !seen_rare(seen)->identity ||
            json_read(arena, seen_rare(seen)->identity, strlen(seen_rare(seen)->identity),
                      &identity, &err) < 0)
            continue;
        const struct resource *resource = set_find(input->set, value_get_text(identity, "kind", ""),
                                                   value_get_text(identity, "project", NULL),
                                                   value_get_text(identity, "name", ""));
        struct known *row = resource ? row_of(input, resource) : NULL;
        bool is_told_by_its_own = resource && seen->epoch < (uint64_t)EPOCH_CREDIBLE &&
                                  driver_of_kind(core, resource->kind->name) == seen->driver;
        if (!is_told_by_its_own || (row && !is_succeeded(core, row, resource, seen->uid)))
            continue;
        if (row)
            row_retire(core, row);
        invariant(!task_of_uid(core, seen->uid), "%s has no row, and is under way", seen->uid);
        row_rebuild(core, input, arena, seen, resource, value_get(identity, "chosen"));
    }
    if (input->known_count == before)
        return;
    qsort((void *)(size_t)input->known, input->known_count, sizeof *input->known, plan_known_order);
    rebuild_raise(core, "objects that bear this rack's tag had no row in the store; "
                        "it was lost or is not the one they were made with");
}

/* The row has its name of before, and so it is declared; its object still bears the other one, and
 * is told (core_promise.c has it so for a rename that was taken back before it was carried out). */
static void name_take_back(struct known *row, struct arena *arena, const char *name)
{
    if (!value_is_map(row->chosen))
        return;
    struct value *chosen = value_copy(arena, row->chosen);
    value_set_text(arena, chosen, "called", name);
    row->chosen = chosen;
}

/* What was renamed after the copy of the store was made goes by its new name, unless Git has gone
 * back as well and declares the old one. If another has the name, too, they are twins, and a
 * person decides. */
static bool name_import(struct core *core, struct plan_input *input, struct arena *arena,
                        struct known *row)
{
    struct error err = ERROR_INIT;
    struct value *identity = NULL;
    const struct seen *seen = seen_find(core, row->uid);
    if (!seen || !seen_rare(seen)->identity ||
        json_read(arena, seen_rare(seen)->identity, strlen(seen_rare(seen)->identity), &identity,
                  &err) < 0)
        return false;
    const char *name = value_get_text(identity, "name", row->name);
    if (!strcmp(name, row->name) || strcmp(value_get_text(identity, "kind", ""), row->kind) ||
        text_compare(value_get_text(identity, "project", NULL), row->project))
        return false;
    if (!set_find(input->set, row->kind, row->project, name) &&
        set_find(input->set, row->kind, row->project, row->name)) {
        name_take_back(row, arena, name);
        return false;
    }
    row->name = name;
    return true;
}

static const struct value *certain_of(struct arena *arena, const struct field *field,
                                      const struct value *applied, const struct value *observed);

/* A driver leaves out what it did not look at, and what there is none of. */
static bool may_be_gone(const struct field *field)
{
    return field->change == CHANGE_LIVE && field->origin == ORIGIN_DESIRED && !field->fallback &&
           !field->is_sensitive && field->type != FIELD_MAP && field->type != FIELD_LIST;
}

static const struct value *certain_map(struct arena *arena, const struct field *field,
                                       const struct value *applied, const struct value *observed)
{
    struct value *map = value_map(arena);
    for (size_t i = 0; i < applied->pair_count; i++) {
        const struct pair *pair = &applied->pairs[i];
        const struct field *child = field_child(field, pair->key);
        const struct value *seen = value_get(observed, pair->key);
        if (seen || !child || !may_be_gone(child))
            value_push(arena, map, pair->key,
                       (struct value *)(size_t)certain_of(arena, child, pair->value, seen));
    }
    return map;
}

static const struct value *certain_list(struct arena *arena, const struct field *field,
                                        const struct value *applied, const struct value *observed)
{
    struct value *list = value_list(arena);
    for (size_t i = 0; i < applied->count; i++) {
        const char *name = value_get_text(applied->items[i], field->list_key, "");
        value_append(
            arena, list,
            (struct value *)(size_t)certain_of(arena, field->item, applied->items[i],
                                               value_find(observed, field->list_key, name)));
    }
    return list;
}

/* Of what an old copy says was applied last, without what may have been taken away since: it is
 * done once more, which harms nothing that changes live. */
static const struct value *certain_of(struct arena *arena, const struct field *field,
                                      const struct value *applied, const struct value *observed)
{
    if (!field || !observed || applied->type != observed->type)
        return applied;
    if (value_is_map(applied))
        return certain_map(arena, field, applied, observed);
    return value_is_list(applied) && field->list_key ? certain_list(arena, field, applied, observed)
                                                     : applied;
}

static void epochs_import(struct core *core, struct plan_input *input, struct arena *arena)
{
    bool is_renamed = false;
    struct known *rows = (struct known *)(size_t)input->known;
    for (size_t i = 0; i < input->known_count; i++) {
        struct known *row = &rows[i];
        if (row->life == LIFE_GONE) /* it has just given way: a tombstone keeps its name */
            continue;
        if (!row->observed.known || row->observed.epoch <= row->epoch)
            continue;
        if (row->observed.epoch >= (uint64_t)EPOCH_CREDIBLE) {
            row->observed = (struct observation){.at = row->observed.at};
            continue;
        }
        invariant(row->observed.epoch < (uint64_t)EPOCH_CREDIBLE, "%s takes over epoch %llu",
                  row->uid, (unsigned long long)row->observed.epoch);
        bool was_live = row->life == LIFE_LIVE && !row->observed.absent;
        row->epoch = row->observed.epoch;
        const struct kind *kind = kind_find(row->kind);
        if (was_live && kind && row->applied)
            row->applied = certain_of(arena, kind->spec, row->applied, row->observed.spec);
        is_renamed |= name_import(core, input, arena, row);
        save_object(core, row);
        if (was_live)
            rebuild_raise(core, restored_reason);
    }
    if (is_renamed)
        qsort(rows, input->known_count, sizeof *rows, plan_known_order);
}

/* A later commit may have said that the data stay, before one left them out: who asks an old copy
 * cannot know. Nothing that Git does not declare is destroyed by its word; once declared again it
 * is as that says. */
static void data_keep(struct core *core, struct plan_input *input)
{
    struct known *rows = (struct known *)(size_t)input->known;
    for (size_t i = 0; core->is_restored && i < input->known_count; i++) {
        struct known *row = &rows[i];
        const struct kind *kind = kind_find(row->kind);
        if (!kind || !kind->holds_data || row->life != LIFE_LIVE || !row->remove_deletes ||
            set_find(input->set, row->kind, row->project, row->name))
            continue;
        row->remove_deletes = false;
        save_object(core, row);
    }
}

void rebuild_input(struct core *core, struct plan_input *input, struct arena *arena)
{
    invariant(input->set && (input->known || input->known_count == 0),
              "%zu rows are rebuilt for no target", input->known_count);
    bool has_asked = core->is_restored; /* an approval of an earlier restore is not one of this */
    strangers_rebuild(core, input, arena);
    epochs_import(core, input, arena);
    data_keep(core, input);
    for (size_t i = 0; has_asked && i < input->approved_count; i++)
        if (!strcmp(input->approved[i], rebuild_hold)) {
            core->is_restored = false;
            save_fact(core, rebuild_hold, "approved");
        }
    input->report_only = core->is_restored;
}
