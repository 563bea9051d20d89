/* SPDX-License-Identifier: MPL-2.0 */
/*
 * References: found in a spec by its kind's x-ref fields, resolved in the
 * resource's own project and then rack-wide. A weak one must exist, but makes no
 * order between the two.
 */
#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/set_build.h"
#include "model/text.h"

/* No search for a name that could have been meant begins once those of a set have looked at so
 * many names, or at so many times the set: what dangles by the thousand is no slip of the pen. */
enum { SEARCH_MAX = 100000, SEARCH_TIMES = 8 };

struct resolver {
    struct checker *checker;
    const struct set *set;
    const struct resource *resource;
    const struct resource **refs; /* `few` or heap */
    size_t count;
    size_t room;
    const struct resource *few[16];
};

static void ref_add(struct resolver *resolver, const struct resource *ref)
{
    if (resolver->count == resolver->room) {
        bool is_first = resolver->refs == resolver->few;
        size_t room = resolver->room * 2;
        const struct resource **bigger =
            memory_need(reallocarray(is_first ? NULL : resolver->refs, room, sizeof(*bigger)));

        if (is_first)
            memcpy(bigger, resolver->few, sizeof(resolver->few));
        resolver->refs = bigger;
        resolver->room = room;
    }
    resolver->refs[resolver->count++] = ref;
}

/* Where the resources of a kind begin in the set, or would. */
static size_t kind_start(const struct set *set, const struct kind *kind)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (set->resources[middle]->kind->rank < kind->rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Names of a kind that could have been meant; one elsewhere goes to `*stranger`. */
static const char *nearest_name(struct resolver *resolver, const struct kind *kind,
                                const char *name, const struct resource **stranger)
{
    const struct set *set = resolver->set;
    const char *project = resolver->resource->project;
    size_t at = kind_start(set, kind);
    const char **names;
    const char *nearest;
    size_t count = 0;

    /* Not in the arena: hundreds of these lists are as large as a rack. */
    names = memory_need(malloc((set->count - at + 1) * sizeof(*names)));
    for (; at < set->count && set->resources[at]->kind == kind; at++) {
        const struct resource *other = set->resources[at];

        resolver->checker->searched++;
        if (!other->project || (project && strcmp(other->project, project) == 0))
            names[count++] = other->name;
        else if (strcmp(other->name, name) == 0)
            *stranger = other;
    }
    nearest = report_nearest(name, names, count);
    free(names);
    return nearest;
}

static bool may_search(const struct resolver *resolver)
{
    size_t searched = resolver->checker->searched;

    return !report_is_full(resolver->checker->report) &&
           (searched < SEARCH_MAX || searched / SEARCH_TIMES < resolver->set->count);
}

static void dangling_report(struct resolver *resolver, const char *label, const char *kind,
                            const char *name, struct position at)
{
    struct arena *arena = resolver->checker->arena;
    const struct kind *of = kind_find(kind);

    invariant(of, "%s refers to kind %s, which there is not", label, kind);
    const struct resource *stranger = NULL;
    const char *nearest = may_search(resolver) ? nearest_name(resolver, of, name, &stranger) : NULL;
    const char *project = of->scope == SCOPE_RACK ? NULL : resolver->resource->project;
    const char *where = project ? arena_printf(arena, " in project %s", project) : "";
    const char *more = "";

    if (project && of->scope == SCOPE_EITHER)
        where = arena_printf(arena, " in project %s or rack-wide", project);
    if (nearest)
        more = arena_printf(arena, ", did you mean `%s`?", nearest);
    else if (stranger)
        more = arena_printf(arena,
                            "; there is one in project %s, and references stay within "
                            "their project",
                            stranger->project);
    report_add(resolver->checker->report, at, "bad-reference", "%s: there is no %s `%s`%s%s", label,
               kind, name, where, more);
}

static const char *label(const struct field *field)
{
    while (!field->name) {
        invariant(field->parent, "a field of type %d has no name, nor has any above it",
                  (int)field->type);
        field = field->parent;
    }
    return field->name;
}

static void refs_walk(struct resolver *resolver, const struct field *field,
                      const struct value *value)
{
    const struct resource *ref;

    if (field->ref && value_is_text(value)) {
        ref = set_target(resolver->set, resolver->resource, field->ref, value->text);
        if (!ref && !resolver->resource->owner)
            dangling_report(resolver, label(field), field->ref, value->text,
                            value_place(resolver->resource, value));
        else if (ref && !field->ref_weak)
            ref_add(resolver, ref);
    } else if (field->type == FIELD_LIST && field->item && value_is_list(value)) {
        for (size_t i = 0; i < value->count; i++)
            refs_walk(resolver, field->item, value->items[i]);
    } else if (field->type == FIELD_MAP && value_is_map(value)) {
        for (size_t i = 0; i < value->pair_count; i++) {
            const struct field *child = field_child(field, value->pairs[i].key);

            if (child)
                refs_walk(resolver, child, value->pairs[i].value);
        }
    }
}

static void project_resolve(struct resolver *resolver)
{
    const char *name = resolver->resource->project;
    const struct resource *project = name ? set_find(resolver->set, "Project", NULL, name) : NULL;

    if (project)
        ref_add(resolver, project);
}

/* An instance waits for its NICs and its seed. */
static void derived_resolve(struct resolver *resolver)
{
    const struct resource *instance = resolver->resource;
    const struct value *nics = value_get(instance->spec, "nics");
    const struct resource *seed;

    if (strcmp(instance->kind->name, "Instance") != 0)
        return;
    for (size_t i = 0; value_is_list(nics) && i < nics->count; i++) {
        const char *interface = value_get_text(nics->items[i], "name", "");
        const char *name =
            arena_printf(resolver->checker->arena, "%s.%s", instance->name, interface);
        const struct resource *nic = set_find(resolver->set, "NIC", instance->project, name);

        if (nic)
            ref_add(resolver, nic);
    }
    seed = set_find(resolver->set, "Seed", instance->project, instance->name);
    if (seed)
        ref_add(resolver, seed);
}

static void refs_keep(struct arena *arena, struct resource *resource, const struct resource *before,
                      const struct resource *const *refs, size_t count)
{
    const struct resource **kept;
    bool is_same = before && before->ref_count == count;

    for (size_t i = 0; is_same && i < count; i++)
        is_same = before->refs[i] == refs[i];
    resource->ref_count = count;
    if (is_same) {
        resource->refs = before->refs;
        return;
    }
    resource->refs = kept = arena_array(arena, count, sizeof(*kept));
    for (size_t i = 0; i < count; i++)
        kept[i] = refs[i];
}

/* The kind's fields with references in a derived resource are its owner's too:
 * what dangles there was reported there. */
void resource_resolve(struct checker *checker, const struct set *set, struct resource *resource,
                      const struct resource *before)
{
    struct resolver resolver = {.checker = checker, .set = set, .resource = resource};
    size_t kept = 0;

    resolver.refs = resolver.few;
    resolver.room = sizeof(resolver.few) / sizeof(resolver.few[0]);
    project_resolve(&resolver);
    refs_walk(&resolver, resource->kind->spec, resource->spec);
    derived_resolve(&resolver);
    if (resolver.count > 1)
        qsort(resolver.refs, resolver.count, sizeof(struct resource *), resource_compare);
    for (size_t i = 0; i < resolver.count; i++)
        if (kept == 0 || resolver.refs[kept - 1] != resolver.refs[i])
            resolver.refs[kept++] = resolver.refs[i];
    invariant(kept <= resolver.count && resolver.count <= resolver.room,
              "%s keeps %zu of %zu references in room for %zu", resource->name, kept,
              resolver.count, resolver.room);
    refs_keep(checker->arena, resource, before, resolver.refs, kept);
    if (resolver.refs != resolver.few)
        free(resolver.refs);
}

/* By project and file, and as in the set. */
static int lost_compare(const void *a, const void *b)
{
    const struct resource *x = *(const struct resource *const *)a;
    const struct resource *y = *(const struct resource *const *)b;
    int order = strcmp(x->project, y->project);

    if (order == 0)
        order = text_compare(x->at.file, y->at.file);
    return order ? order : resource_compare(a, b);
}

/* A project that is missing is one mistake of a file, not one for each resource in it. */
static void lost_report(struct checker *checker, const struct set *set,
                        const struct resource **lost, size_t count)
{
    if (count > 1)
        qsort(lost, count, sizeof(*lost), lost_compare);
    for (size_t i = 0; i < count; i++) {
        struct resolver resolver = {.checker = checker, .set = set, .resource = lost[i]};

        if (i > 0 && strcmp(lost[i]->project, lost[i - 1]->project) == 0 &&
            text_compare(lost[i]->at.file, lost[i - 1]->at.file) == 0)
            continue;
        dangling_report(&resolver, "project", "Project", lost[i]->project, lost[i]->project_at);
    }
}

void set_check_projects(struct checker *checker, const struct set *set)
{
    const struct resource **lost = memory_need(malloc((set->declared + 1) * sizeof(*lost)));
    const char *known = NULL;
    size_t count = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct resource *resource = set->resources[i];

        if (!resource->project || resource->owner ||
            (known && strcmp(resource->project, known) == 0))
            continue;
        if (set_find(set, "Project", NULL, resource->project))
            known = resource->project;
        else
            lost[count++] = resource;
    }
    lost_report(checker, set, lost, count);
    free(lost);
}

static void refs_collect(struct arena *arena, const struct resource *resource, struct value *refs,
                         void (*decorate)(void *, struct arena *, const struct resource *,
                                          struct value *),
                         void *context)
{
    for (size_t i = 0; i < resource->ref_count; i++) {
        const struct resource *ref = resource->refs[i];
        struct value *of_kind = (struct value *)(uintptr_t)value_get(refs, ref->kind->name);
        struct value *entry;

        if (!of_kind)
            of_kind = value_set(arena, refs, ref->kind->name, value_map(arena));
        if (value_get(of_kind, ref->name))
            continue;
        entry = value_set(arena, of_kind, ref->name, value_map(arena));
        value_set(arena, entry, "spec", (struct value *)(uintptr_t)ref->spec);
        if (decorate)
            decorate(context, arena, ref, entry);
        refs_collect(arena, ref, refs, decorate, context);
    }
}

struct value *resource_refs(struct arena *arena, const struct resource *resource,
                            void (*decorate)(void *context, struct arena *arena,
                                             const struct resource *ref, struct value *entry),
                            void *context)
{
    struct value *refs = value_map(arena);

    refs_collect(arena, resource, refs, decorate, context);
    return refs;
}
