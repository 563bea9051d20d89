/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The part's rows and its set. Rows lead further than manifests do: an object has what was
 * applied to it last, which may refer to others than its manifest does now, names that it bore
 * before, and an address that was chosen for it. What they lead to is gathered, too, until
 * neither leads anywhere new.
 */
#include "reconciler/engine/part_gather.h"

#include <string.h>
#include "model/invariant.h"
#include "model/kind.h"

enum { RENAMED_MAX = 256 };

struct rows {
    struct gather *gather;
    struct known *items;
    size_t count, room;
    const struct known *renamed;
    size_t renamed_count;
};

/* ---- owners ------------------------------------------------------------------------- */

/* What is derived goes with its instance: "web.eth0" and the Seed "web" with Instance web. */
static struct member *owner_find(struct gather *gather, const char *kind_name, const char *project,
                                 const char *name)
{
    const struct kind *kind = kind_find(kind_name);
    if (!kind || !kind->is_derived)
        return gather_find(gather, kind_name, project, name);
    const char *dot = strcmp(kind_name, "NIC") == 0 ? strrchr(name, '.') : NULL;
    size_t len = dot ? (size_t)(dot - name) : strlen(name);
    return gather_find(gather, "Instance", project, arena_text_n(gather->arena, name, len));
}

/* ---- rows --------------------------------------------------------------------------- */

static void rows_keep(struct rows *rows, const struct known *found, size_t count)
{
    invariant(found || count == 0, "%zu rows of nothing are kept", count);
    if (rows->count + count > rows->room) {
        size_t room = 2 * (rows->count + count) + 16;
        struct known *more = arena_array(rows->gather->arena, room, sizeof(*more));
        if (rows->count > 0)
            memcpy(more, rows->items, rows->count * sizeof(*more));
        rows->items = more;
        rows->room = room;
    }
    if (count > 0)
        memcpy(rows->items + rows->count, found, count * sizeof(*found));
    rows->count += count;
    invariant(rows->count <= rows->room, "%zu rows in room for %zu", rows->count, rows->room);
}

static void recorded_ref(void *context, const struct mentioned *mentioned)
{
    struct gather *gather = context;
    gather_want(gather, gather_find(gather, mentioned->kind, mentioned->project, mentioned->name));
}

static void recorded_refs(struct gather *gather, const struct known *row)
{
    const struct kind *kind = kind_find(row->kind);
    const struct value *const specs[] = {row->applied, row->observed.spec, row->observed.booted};
    for (size_t i = 0; kind && i < sizeof(specs) / sizeof(*specs); i++)
        mentions_refs(kind, row->project, specs[i], recorded_ref, gather);
}

/* Of an identity, once. */
static void rows_read(struct rows *rows, const char *kind, const char *project, const char *name)
{
    struct gather *gather = rows->gather;
    struct member *member = gather_member(gather, kind, project, name);
    struct error ignored = ERROR_INIT;
    struct known *found = NULL;
    size_t count = 0;
    if (member->has_rows)
        return;
    member->has_rows = true;
    if (store_objects_named(gather->ask.store, gather->arena, kind, project, name, &found, &count,
                            &ignored) < 0)
        gather->is_given_up = true;
    rows_keep(rows, found, gather->is_given_up ? 0 : count);
    for (size_t i = 0; i < count && !gather->is_given_up; i++) {
        invariant(!strcmp(found[i].kind, kind) && !strcmp(found[i].name, name),
                  "the row of %s %s was read as that of %s %s", found[i].kind, found[i].name, kind,
                  name);
        recorded_refs(gather, &found[i]);
    }
}

static const struct known *row_find(const struct rows *rows, const char *kind, const char *project,
                                    const char *name)
{
    for (size_t i = rows->count; i-- > 0;) {
        const struct known *row = &rows->items[i];
        if (strcmp(row->kind, kind) == 0 && strcmp(row->name, name) == 0 &&
            strcmp(row->project ? row->project : "", project ? project : "") == 0)
            return row;
    }
    return NULL;
}

static void instance_rows(struct rows *rows, const struct resource *resource, const char *name)
{
    const struct value *nics = value_get(resource->spec, "nics");
    for (size_t i = 0; value_is_list(nics) && i < nics->count; i++)
        rows_read(rows, "NIC", resource->project,
                  arena_printf(rows->gather->arena, "%s.%s", name,
                               value_get_text(nics->items[i], "name", "")));
    rows_read(rows, "Seed", resource->project, name);
}

static void resource_rows(struct rows *rows, const struct resource *resource, const char *name)
{
    if (!resource || !name)
        return;
    rows_read(rows, resource->kind->name, resource->project, name);
    if (strcmp(resource->kind->name, "Instance") == 0)
        instance_rows(rows, resource, name);
}

/* ---- addresses ---------------------------------------------------------------------- */

/* The lowest free address of a subnet is known only beside all its NICs. */
static void subnet_want(struct gather *gather, const char *project, const char *subnet)
{
    const struct bearer *bearer =
        gather_bearers(gather, mention_key(MENTION_REF, "Subnet", project, subnet));
    for (; bearer; bearer = bearer->next)
        gather_want(gather, bearer->member);
}

/* Whoever has an address by choice gives way to a manifest that says it. */
static void address_take(struct gather *gather, const struct member *by, const char *address)
{
    struct error ignored = ERROR_INIT;
    struct known *found = NULL;
    size_t count = 0;
    if (store_nics_at(gather->ask.store, gather->arena, by->project, address, &found, &count,
                      &ignored) < 0)
        gather->is_given_up = true;
    for (size_t i = 0; i < count && !gather->is_given_up; i++) {
        struct member *owner = owner_find(gather, "NIC", found[i].project, found[i].name);
        const struct value *nics =
            owner->resource ? value_get(owner->resource->spec, "nics") : NULL;
        if (owner == by)
            continue;
        gather_affect(gather, owner);
        for (size_t n = 0; value_is_list(nics) && n < nics->count; n++)
            subnet_want(gather, owner->project, value_get_text(nics->items[n], "subnet", ""));
    }
}

static void address_choose(struct rows *rows, const struct member *member, const struct value *nic)
{
    const char *subnet = value_get_text(nic, "subnet", "");
    const char *name =
        arena_printf(rows->gather->arena, "%s.%s", member->name, value_get_text(nic, "name", ""));
    const struct known *row = row_find(rows, "NIC", member->project, name);
    if (!row || !value_get_text(row->chosen, "address", NULL) ||
        strcmp(value_get_text(row->applied, "subnet", ""), subnet) != 0)
        subnet_want(rows->gather, member->project, subnet);
}

static void instance_addresses(struct rows *rows, const struct member *member)
{
    invariant(member->resource, "addresses of %s, which is not declared", member->label);
    const struct value *nics = value_get(member->resource->spec, "nics");
    for (size_t i = 0; value_is_list(nics) && i < nics->count; i++) {
        const char *address = value_get_text(nics->items[i], "address", NULL);
        if (address)
            address_take(rows->gather, member, address);
        else
            address_choose(rows, member, nics->items[i]);
    }
}

/* ---- names that objects bore before ------------------------------------------------- */

/* Whether the change has to do with a name. */
static bool is_changed(struct gather *gather, const struct known *row, const struct value *name)
{
    if (!value_is_text(name))
        return false;
    const struct member *member = owner_find(gather, row->kind, row->project, name->text);
    return member->was || (member->is_affected && member->resource);
}

static bool has_changed_name(struct gather *gather, const struct known *row)
{
    const struct value *names = value_get(row->chosen, "formerly");
    bool is_any = is_changed(gather, row, value_get(row->chosen, "becomes"));
    for (size_t i = 0; value_is_list(names) && i < names->count; i++)
        is_any |= is_changed(gather, row, names->items[i]);
    return is_any;
}

/* A record may still have such a name, and then means whoever bears it now: those that ever had
 * another are all in the part. Who has one on record is not in the store's keys: a change that
 * gives or takes such a name is the whole's. */
static void renamed_want(struct rows *rows)
{
    struct gather *gather = rows->gather;
    invariant(rows->renamed || rows->renamed_count == 0,
              "%zu objects were renamed, and none is known", rows->renamed_count);
    for (size_t i = 0; i < rows->renamed_count && !gather->is_given_up; i++) {
        const struct known *row = &rows->renamed[i];
        gather_want(gather, owner_find(gather, row->kind, row->project, row->name));
        rows_read(rows, row->kind, row->project, row->name);
        gather->is_given_up |= has_changed_name(gather, row);
    }
}

static void renamed_read(struct rows *rows)
{
    struct error ignored = ERROR_INIT;
    struct known *found = NULL;
    if (store_objects_renamed(rows->gather->ask.store, rows->gather->arena, RENAMED_MAX + 1, &found,
                              &rows->renamed_count, &ignored) < 0 ||
        rows->renamed_count > RENAMED_MAX)
        rows->gather->is_given_up = true;
    rows->renamed = found;
}

/* ---- the whole part ----------------------------------------------------------------- */

/* True if there is more to follow. */
static bool members_rows(struct rows *rows)
{
    struct member *member, *next;
    HASH_ITER(hh, rows->gather->members, member, next) {
        if (!member->is_wanted && !member->is_affected)
            continue;
        rows_read(rows, member->kind, member->project, member->name);
        resource_rows(rows, member->resource, member->name);
        resource_rows(rows, member->was, member->name);
        if (member->resource)
            resource_rows(rows, member->resource, member->resource->renamed_from);
        if (member->is_affected && member->resource && strcmp(member->kind, "Instance") == 0)
            instance_addresses(rows, member);
    }
    renamed_want(rows);
    return (rows->gather->wanted || rows->gather->affected) && !rows->gather->is_given_up;
}

static const struct set *set_make(struct gather *gather)
{
    invariant(!gather->wanted && !gather->affected,
              "a part is made while something is still to be followed");
    struct set_builder *builder = set_builder_new(gather->arena, &gather->report);
    struct set *set = arena_alloc(gather->arena, sizeof(*set));
    struct member *member, *next;
    HASH_ITER(hh, gather->members, member, next)
        if (member->is_wanted)
            set_builder_share(builder, member->resource);
    *set = *set_builder_finish(builder);
    invariant(set->count >= gather->wanted_count, "%zu resources are in a part that wants %zu",
              set->count, gather->wanted_count);
    set->declared = gather->declared;
    return set;
}

bool part_make(struct arena *arena, const struct part_ask *ask, struct part *part)
{
    invariant(ask->reader && ask->store && ask->from && ask->to,
              "a part is asked of nobody, or between no commits");
    struct gather *gather = gather_new(arena, ask);
    struct rows rows = {.gather = gather};
    gather_changes(gather);
    renamed_read(&rows);
    do
        gather_follow(gather);
    while (members_rows(&rows));
    if (!gather->is_given_up)
        *part = (struct part){set_make(gather), rows.items, rows.count, gather};
    bool is_made = !gather->is_given_up && gather->report.count == 0;
    if (!is_made)
        gather_free(gather);
    return is_made;
}

void part_free(struct part *part)
{
    invariant(part->gather, "a part is freed that was not made");
    gather_free(part->gather);
}

/* How much may go is a share of all that is there. */
static bool is_over_budget(const struct plan *plan)
{
    for (size_t i = 0; i < plan->hold_count; i++)
        if (strcmp(plan->holds[i].rule, RULE_BUDGET) == 0 ||
            strcmp(plan->holds[i].rule, RULE_COLLAPSE) == 0)
            return true;
    return false;
}

bool part_covers(const struct part *part, const struct plan *plan)
{
    struct gather *gather = part->gather;
    struct error ignored = ERROR_INIT;
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        invariant(step->uid && step->uid[0], "step %u of a part has no object", step->id);
        if (!owner_find(gather, step->kind->name, step->project, step->name)->is_affected)
            return false;
        if (!step->known && store_has_object(gather->ask.store, step->uid, &ignored) != 0)
            return false;
    }
    return !gather->is_given_up && !is_over_budget(plan);
}
