/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The set is an array ordered by (kind rank, project, name): finding is a binary
 * search, and everything that walks it meets resources in the order in which
 * people list them. It is built in one go and never changed.
 */
#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/document.h"
#include "model/invariant.h"
#include "model/set_build.h"
#include "model/sort.h"
#include "model/intern.h"

struct set_builder {
    struct checker checker;
    struct resource_list list;
    struct intern *intern;
    struct arena *scratch; /* of the document that is added; heap */
    void (*made)(void *context, const struct resource *made);
    void *made_context;
};

struct set_builder *set_builder_new(struct arena *arena, struct report *report)
{
    struct set_builder *builder = arena_alloc(arena, sizeof(*builder));

    builder->checker = (struct checker){.arena = arena, .report = report};
    builder->intern = intern_new(arena);
    builder->scratch = arena_new();
    return builder;
}

void set_builder_watch(struct set_builder *builder,
                       void (*made)(void *context, const struct resource *made), void *context)
{
    builder->made = made;
    builder->made_context = context;
}

void resource_append(struct arena *arena, struct resource_list *list, struct resource *resource)
{
    list->items = arena_grow(arena, list->items, list->count, &list->room, sizeof(*list->items));
    list->items[list->count++] = resource;
}

static const struct value *map_or_empty(const struct value *value)
{
    static const struct value empty = {.type = VALUE_MAP};

    return value_is_map(value) ? value : &empty;
}

/* Copies what a resource is made of, each part once in the set if it can be. */
static void resource_keep(struct set_builder *builder, const struct resource *made)
{
    struct arena *arena = builder->checker.arena;
    struct intern *intern = builder->intern;
    struct resource *resource = arena_alloc(arena, sizeof(*resource));

    *resource = *made;
    resource->project = intern_text(intern, made->project);
    resource->name = arena_text(arena, made->name);
    resource->renamed_from = arena_text(arena, made->renamed_from);
    resource->labels = intern_value(intern, made->labels);
    resource->annotations =
        builder->made ? map_or_empty(NULL) : intern_value(intern, made->annotations);
    resource->drift_policy = intern_value(intern, made->drift_policy);
    resource->spec = intern_value(intern, made->spec);
    resource_append(arena, &builder->list, resource);
}

bool resource_read(struct arena *arena, struct report *report, const struct value *document,
                   struct resource *made)
{
    struct checker checker = {.arena = arena, .report = report};
    struct document head;

    if (!document_check(&checker, document, DOCUMENT_MANIFEST, &head)) {
        if (head.kind)
            check_spec(&checker, head.kind, head.spec, head.at);
        return false;
    }
    *made = (struct resource){
        .kind = head.kind,
        .project = head.project,
        .name = head.name,
        .renamed_from = head.renamed_from,
        .labels = head.labels,
        .annotations = head.annotations,
        .drift_policy = head.drift_policy,
        .at = head.at,
        .project_at = head.project_at,
        .spec = check_spec(&checker, head.kind, head.spec, head.at),
    };
    resource_complete(&checker, made);
    resource_check(&checker, made, head.spec);
    return true;
}

void set_builder_take(struct set_builder *builder, const struct resource *made)
{
    if (builder->made)
        builder->made(builder->made_context, made);
    resource_keep(builder, made);
}

void set_builder_add(struct set_builder *builder, const struct value *document)
{
    struct resource made;

    if (resource_read(builder->scratch, builder->checker.report, document, &made))
        set_builder_take(builder, &made);
    arena_reset(builder->scratch);
}

void set_builder_add_normal(struct set_builder *builder, const struct value *normal,
                            struct position at)
{
    const struct value *metadata = value_get(normal, "metadata");
    const struct kind *kind = kind_find(value_get_text(normal, "kind", ""));
    const char *name = value_get_text(metadata, "name", NULL);
    struct resource resource;

    if (!kind || kind->is_derived || !name) {
        report_add(builder->checker.report, at, "bad-cache",
                   "the cached form of this manifest cannot be read; remove the parse cache");
        return;
    }
    resource = (struct resource){
        .kind = kind,
        .project = value_get_text(metadata, "project", NULL),
        .name = name,
        .renamed_from = value_get_text(metadata, "renamedFrom", NULL),
        .labels = map_or_empty(value_get(metadata, "labels")),
        .annotations = map_or_empty(value_get(metadata, "annotations")),
        .drift_policy = map_or_empty(value_get(metadata, "driftPolicy")),
        .spec = map_or_empty(value_get(normal, "spec")),
        .at = at,
        .project_at = at,
    };
    resource_keep(builder, &resource);
}

struct resource *const *set_builder_added(const struct set_builder *builder, size_t *count)
{
    *count = builder->list.count;
    return builder->list.items;
}

void set_builder_share(struct set_builder *builder, const struct resource *resource)
{
    struct resource *own = arena_alloc(builder->checker.arena, sizeof(*own));

    *own = *resource;
    resource_append(builder->checker.arena, &builder->list, own);
}

/* By kind and project; project NULL comes first. */
static int home_compare(const struct resource *a, const struct resource *b)
{
    if (a->kind->rank != b->kind->rank)
        return a->kind->rank < b->kind->rank ? -1 : 1;
    if (a->project == b->project)
        return 0;
    return !a->project ? -1 : !b->project ? 1 : strcmp(a->project, b->project);
}

static int identity_compare(const struct resource *a, const struct resource *b)
{
    int order = home_compare(a, b);

    return order ? order : strcmp(a->name, b->name);
}

int resource_compare(const void *a, const void *b)
{
    return identity_compare(*(const struct resource *const *)a, *(const struct resource *const *)b);
}

static int sort_compare(const void *a, const void *b)
{
    const struct resource *x = *(const struct resource *const *)a;
    const struct resource *y = *(const struct resource *const *)b;
    int order = identity_compare(x, y);

    if (order == 0 && x->at.file && y->at.file)
        order = strcmp(x->at.file, y->at.file);
    return order ? order : (x->at.line > y->at.line) - (x->at.line < y->at.line);
}

static void duplicate_report(struct checker *checker, const struct resource *first,
                             const struct resource *second)
{
    report_add(checker->report, second->at, "duplicate-identity",
               "%s is declared twice; the first is at %s:%u",
               resource_label(checker->arena, second), first->at.file ? first->at.file : "?",
               first->at.line);
}

/* Orders the list and keeps the first of each identity. */
static void list_sort(struct checker *checker, struct resource_list *list)
{
    size_t kept = 0;

    if (list->count > 1)
        sort_items(list->items, list->count, sizeof(*list->items), sort_compare);
    for (size_t i = 0; i < list->count; i++) {
        if (kept > 0 && identity_compare(list->items[kept - 1], list->items[i]) == 0)
            duplicate_report(checker, list->items[kept - 1], list->items[i]);
        else
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

static bool takes_same_name(const struct resource *a, const struct resource *b)
{
    return home_compare(a, b) == 0 && strcmp(a->renamed_from, b->renamed_from) == 0;
}

static int rename_compare(const void *a, const void *b)
{
    const struct resource *x = *(const struct resource *const *)a;
    const struct resource *y = *(const struct resource *const *)b;
    int order = home_compare(x, y);

    order = order ? order : strcmp(x->renamed_from, y->renamed_from);
    return order ? order : strcmp(x->name, y->name);
}

/* Those that are renamed, of each kind and project by the name that they take. */
static struct resource_list renames_list(struct arena *arena, const struct set *set)
{
    struct resource_list renames = {0};

    for (size_t i = 0; i < set->count; i++)
        if (set->resources[i]->renamed_from)
            resource_append(arena, &renames, set->resources[i]);
    if (renames.count > 1)
        sort_items(renames.items, renames.count, sizeof(*renames.items), rename_compare);
    return renames;
}

/* The last before it that takes the same name. */
static const struct resource *rename_rival(const struct resource_list *renames,
                                           const struct resource *resource)
{
    struct resource **at =
        bsearch(&resource, renames->items, renames->count, sizeof(*renames->items), rename_compare);

    invariant(at, "%s %s is renamed, and is not among those", resource->kind->name, resource->name);
    return at != renames->items && takes_same_name(at[-1], resource) ? at[-1] : NULL;
}

static void check_renames(struct checker *checker, const struct set *set)
{
    struct resource_list renames = renames_list(checker->arena, set);

    for (size_t i = 0; renames.count && i < set->count; i++) {
        const struct resource *resource = set->resources[i];
        const char *old = resource->renamed_from;
        const struct resource *rival =
            old && !resource->owner ? rename_rival(&renames, resource) : NULL;

        if (rival)
            report_add(checker->report, resource->at, "bad-name",
                       "renamedFrom: %s takes the name %s, too; one object has one new name",
                       rival->name, old);
        if (old && !resource->owner && strcmp(old, resource->name) != 0 &&
            set_find(set, resource->kind->name, resource->project, old))
            report_add(
                checker->report, resource->at, "bad-name",
                "renamedFrom: %s is still declared; a rename takes the old manifest away",
                identity_label(checker->arena, resource->kind->name, resource->project, old));
    }
}

/* What searches rely on: each identity once, in order, and what is derived has an owner. */
static void set_check_order(const struct set *set)
{
    invariant(set->declared <= set->count, "%zu of %zu resources are declared", set->declared,
              set->count);
    for (size_t i = 0; i < set->count; i++) {
        const struct resource *resource = set->resources[i];

        invariant(resource->kind && resource->name && resource->spec, "resource %zu is nothing", i);
        invariant(i == 0 || identity_compare(set->resources[i - 1], resource) < 0,
                  "%s %s is out of order", resource->kind->name, resource->name);
        invariant(resource->kind->is_derived == (resource->owner != NULL), "%s %s: whose is it?",
                  resource->kind->name, resource->name);
    }
}

void set_builder_drop(struct set_builder *builder)
{
    arena_free(builder->scratch);
    builder->scratch = NULL;
    intern_close(builder->intern);
}

const struct set *set_builder_finish(struct set_builder *builder)
{
    struct checker *checker = &builder->checker;
    struct resource_list *list = &builder->list;
    struct set *set = arena_alloc(checker->arena, sizeof(*set));

    set_builder_drop(builder);
    list_sort(checker, list);
    *set = (struct set){list->items, list->count, list->count};
    set_complete(checker, set);
    for (size_t i = 0; i < set->declared; i++)
        if (strcmp(set->resources[i]->kind->name, "Instance") == 0)
            instance_derive(checker->arena, set, set->resources[i], list);
    list_sort(checker, list);
    set->resources = list->items;
    set->count = list->count;
    set_check_projects(checker, set);
    for (size_t i = 0; i < set->count; i++)
        resource_resolve(checker, set, set->resources[i], i ? set->resources[i - 1] : NULL);
    set_check_order(set);
    check_renames(checker, set);
    set_check_cycles(checker, set);
    set_check_networks(checker, set);
    set_check_machines(checker, set);
    return set;
}

const struct resource *set_find(const struct set *set, const char *kind, const char *project,
                                const char *name)
{
    struct resource key = {.kind = kind_find(kind), .project = project, .name = name};
    const struct resource *pointer = &key;
    struct resource **found;

    if (!key.kind || set->count == 0)
        return NULL;
    found =
        bsearch(&pointer, set->resources, set->count, sizeof(struct resource *), resource_compare);
    return found ? *found : NULL;
}

const struct resource *set_resolve(const struct set *set, const char *kind, const char *project,
                                   const char *name)
{
    const struct resource *found = project ? set_find(set, kind, project, name) : NULL;

    return found ? found : set_find(set, kind, NULL, name);
}

const struct resource *set_target(const struct set *set, const struct resource *resource,
                                  const char *kind, const char *name)
{
    return name ? set_resolve(set, kind, resource->project, name) : NULL;
}
