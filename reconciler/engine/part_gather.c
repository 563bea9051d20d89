/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From a change to all that has to do with it. Two marks: what is wanted stands in the part, with
 * all that it refers to, so that references resolve as in the whole; what is affected may have
 * steps, so that whoever refers to it is affected, too, and whoever could clash with it is wanted.
 */
#include "reconciler/engine/part_gather.h"

#include <string.h>
#include "model/invariant.h"
#include "model/kind.h"

/* A change that reaches further is planned with the whole: that is linear and no slower. */
enum { CHANGES_MAX = 256, MEMBERS_MAX = 4096 };

struct gather *gather_new(struct arena *arena, const struct part_ask *ask)
{
    struct gather *gather = arena_alloc(arena, sizeof(*gather));
    gather->arena = arena;
    gather->ask = *ask;
    gather->declared = ask->declared;
    report_init(&gather->report, arena);
    gather->builder = set_builder_new(arena, &gather->report);
    gather->before = set_builder_new(arena, &gather->report);
    return gather;
}

void gather_free(struct gather *gather)
{
    set_builder_drop(gather->builder);
    set_builder_drop(gather->before);
    HASH_CLEAR(hh, gather->members);
    HASH_CLEAR(hh, gather->keys);
    HASH_CLEAR(hh, gather->files);
}

/* ---- members and keys --------------------------------------------------------------- */

struct member *gather_member(struct gather *gather, const char *kind, const char *project,
                             const char *name)
{
    const char *label = identity_label(gather->arena, kind, project, name);
    struct member *member;
    HASH_FIND_STR(gather->members, label, member);
    if (member)
        return member;
    member = arena_alloc(gather->arena, sizeof(*member));
    *member = (struct member){.label = label, .kind = kind, .project = project, .name = name};
    HASH_ADD_KEYPTR(hh, gather->members, label, strlen(label), member);
    return member;
}

static struct key *key_get(struct gather *gather, int64_t number)
{
    struct key *key;
    HASH_FIND(hh, gather->keys, &number, sizeof(number), key);
    if (key)
        return key;
    key = arena_alloc(gather->arena, sizeof(*key));
    key->key = number;
    HASH_ADD(hh, gather->keys, key, sizeof(key->key), key);
    return key;
}

static bool file_is_new(struct gather *gather, const char *path)
{
    struct file *file;
    HASH_FIND_STR(gather->files, path, file);
    if (file)
        return false;
    file = arena_alloc(gather->arena, sizeof(*file));
    file->path = path;
    HASH_ADD_KEYPTR(hh, gather->files, path, strlen(path), file);
    return true;
}

struct bearing {
    struct gather *gather;
    struct member *member;
};

static void bearer_add(void *context, const struct mentioned *mentioned)
{
    struct bearing *bearing = context;
    struct key *key = key_get(bearing->gather, mentioned->key);
    invariant(key->key == mentioned->key, "key %lld is found under %lld", (long long)key->key,
              (long long)mentioned->key);
    struct bearer *bearer = arena_alloc(bearing->gather->arena, sizeof(*bearer));
    *bearer = (struct bearer){bearing->member, key->bearers};
    key->bearers = bearer;
}

static void resource_declare(struct gather *gather, const struct resource *resource)
{
    struct member *member =
        gather_member(gather, resource->kind->name, resource->project, resource->name);
    struct bearing bearing = {gather, member};
    if (member->resource) /* declared twice: the whole says where */
        gather->is_given_up = true;
    member->resource = resource;
    mentions_each(resource, bearer_add, &bearing);
}

/* Those that were added behind the first `known`. */
static void added_declare(struct gather *gather, size_t known)
{
    size_t count;
    struct resource *const *added = set_builder_added(gather->builder, &count);
    if (gather->report.count > 0)
        gather->is_given_up = true;
    for (size_t i = known; i < count && !gather->is_given_up; i++)
        resource_declare(gather, added[i]);
}

/* As `to` has it. */
static void file_read(struct gather *gather, const char *path)
{
    const struct part_ask *ask = &gather->ask;
    struct error ignored = ERROR_INIT;
    size_t known;
    set_builder_added(gather->builder, &known);
    if (ask->reader->manifest(ask->context, ask->to, path, gather->builder, &gather->report,
                              &gather->bytes, &ignored) <= 0)
        gather->is_given_up = true;
    added_declare(gather, known);
}

static void key_look_up(struct gather *gather, struct key *key)
{
    struct error ignored = ERROR_INIT;
    const char *const *paths = NULL;
    size_t count = 0;
    invariant(!key->is_looked_up, "key %lld is looked up twice", (long long)key->key);
    key->is_looked_up = true;
    if (store_mentions(gather->ask.store, gather->arena, key->key, MEMBERS_MAX + 1, &paths, &count,
                       &ignored) < 0 ||
        count > MEMBERS_MAX)
        gather->is_given_up = true;
    for (size_t i = 0; i < count && !gather->is_given_up; i++)
        if (file_is_new(gather, paths[i]))
            file_read(gather, paths[i]);
}

const struct bearer *gather_bearers(struct gather *gather, int64_t number)
{
    struct key *key = key_get(gather, number);
    if (!key->is_looked_up && !gather->is_given_up)
        key_look_up(gather, key);
    return gather->is_given_up ? NULL : key->bearers;
}

struct member *gather_find(struct gather *gather, const char *kind, const char *project,
                           const char *name)
{
    gather_bearers(gather, mention_key(MENTION_IS, kind, project, name));
    return gather_member(gather, kind, project, name);
}

/* ---- marks -------------------------------------------------------------------------- */

void gather_want(struct gather *gather, struct member *member)
{
    if (member->is_wanted || !member->resource || gather->is_given_up)
        return;
    invariant(!member->next_wanted, "%s is to be followed twice", member->label);
    member->is_wanted = true;
    member->next_wanted = gather->wanted;
    gather->wanted = member;
    gather->is_given_up = ++gather->wanted_count > MEMBERS_MAX;
}

void gather_affect(struct gather *gather, struct member *member)
{
    if (member->is_affected)
        return;
    invariant(!member->next_affected, "%s is to be followed twice", member->label);
    member->is_affected = true;
    member->next_affected = gather->affected;
    gather->affected = member;
}

static void bearers_want(struct gather *gather, int64_t key)
{
    for (const struct bearer *bearer = gather_bearers(gather, key); bearer; bearer = bearer->next)
        gather_want(gather, bearer->member);
}

static void bearers_affect(struct gather *gather, int64_t key)
{
    for (const struct bearer *bearer = gather_bearers(gather, key); bearer; bearer = bearer->next)
        gather_affect(gather, bearer->member);
}

/* What is wanted resolves all that it refers to. */
static void ref_follow(void *context, const struct mentioned *mentioned)
{
    struct gather *gather = context;
    if (mentioned->mention == MENTION_REF)
        gather_want(gather,
                    gather_find(gather, mentioned->kind, mentioned->project, mentioned->name));
}

/* Who could clash with it: by an identity, a claim, a place, or a disk of the same volume. */
static void rival_follow(void *context, const struct mentioned *mentioned)
{
    struct gather *gather = context;
    if (mentioned->mention != MENTION_REF || strcmp(mentioned->kind, "Volume") == 0)
        bearers_want(gather, mentioned->key);
    if (mentioned->mention == MENTION_WAS)
        gather_want(gather,
                    gather_find(gather, mentioned->kind, mentioned->project, mentioned->name));
}

static void affected_follow(struct gather *gather, struct member *member)
{
    const char *kind = member->kind, *project = member->project, *name = member->name;
    invariant(member->is_affected, "%s is followed, and does not change", member->label);
    gather_want(gather, gather_find(gather, kind, project, name));
    bearers_affect(gather, mention_key(MENTION_REF, kind, project, name));
    bearers_want(gather, mention_key(MENTION_WAS, kind, project, name));
    if (member->resource)
        mentions_each(member->resource, rival_follow, gather);
}

void gather_follow(struct gather *gather)
{
    while (!gather->is_given_up && (gather->affected || gather->wanted)) {
        struct member *member = gather->affected;
        if (member) {
            gather->affected = member->next_affected;
            affected_follow(gather, member);
            continue;
        }
        member = gather->wanted;
        gather->wanted = member->next_wanted;
        invariant(member->is_wanted && member->resource, "%s is followed, and is not in the part",
                  member->label);
        mentions_each(member->resource, ref_follow, gather);
    }
}

/* ---- what changed ------------------------------------------------------------------- */

static bool texts_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Places in the file apart. */
static bool is_same(const struct resource *a, const struct resource *b)
{
    return texts_equal(a->renamed_from, b->renamed_from) && value_equal(a->labels, b->labels) &&
           value_equal(a->annotations, b->annotations) &&
           value_equal(a->drift_policy, b->drift_policy) && value_equal(a->spec, b->spec);
}

/* As it was, and as it is. */
static void changed_read(struct gather *gather, const struct changed *change)
{
    const struct part_ask *ask = &gather->ask;
    struct error ignored = ERROR_INIT;
    size_t known;
    if (change->was && ask->reader->blob(ask->context, change->was, change->path, gather->before,
                                         &gather->report, &gather->bytes, &ignored) < 0)
        gather->is_given_up = true;
    set_builder_added(gather->builder, &known);
    if (file_is_new(gather, change->path) && change->data)
        manifest_add(gather->builder, change->path, change->data, change->len, &gather->report);
    added_declare(gather, known);
}

static void differences_mark(struct gather *gather)
{
    size_t was_count, is_count;
    struct resource *const *was = set_builder_added(gather->before, &was_count);
    set_builder_added(gather->builder, &is_count);
    for (size_t i = 0; i < was_count; i++)
        gather_member(gather, was[i]->kind->name, was[i]->project, was[i]->name)->was = was[i];
    invariant(gather->declared + is_count >= was_count,
              "%zu resources of %zu that were declared are gone", was_count, gather->declared);
    gather->declared = gather->declared - was_count + is_count;
    struct member *member, *next;
    HASH_ITER(hh, gather->members, member, next)
        if (!member->was || !member->resource || !is_same(member->was, member->resource))
            gather_affect(gather, member);
}

void gather_changes(struct gather *gather)
{
    const struct part_ask *ask = &gather->ask;
    struct error ignored = ERROR_INIT;
    struct changed *changes = NULL;
    size_t count = 0;
    int64_t files = 0, bytes = 0;
    if (!ask->reader->has_keys(ask->context, ask->from, &files) ||
        ask->reader->changes(ask->context, gather->arena, ask->from, ask->to, &changes, &count,
                             &gather->report, &ignored) < 0 ||
        gather->report.count > 0 || count > CHANGES_MAX) {
        gather->is_given_up = true;
        return;
    }
    for (size_t i = 0; i < count && !gather->is_given_up; i++) {
        invariant(changes[i].path && (changes[i].blob || changes[i].was),
                  "a file has changed that was not there and is not");
        files += (changes[i].blob != NULL) - (changes[i].was != NULL);
        bytes += (int64_t)changes[i].len;
        changed_read(gather, &changes[i]);
    }
    invariant(files >= 0 && bytes >= 0, "a commit of %lld files, %lld bytes of them changed",
              (long long)files, (long long)bytes);
    if (files > ask->max_files || bytes > ask->max_bytes)
        gather->is_given_up = true;
    if (!gather->is_given_up)
        differences_mark(gather);
}
