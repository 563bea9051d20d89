/* SPDX-License-Identifier: MPL-2.0 */
/* What changes at once and what waits, by the kinds' change classes. */
#include "drivers/sim/shape.h"

#include <string.h>
#include "model/arena.h"

struct value *shape_strip(struct arena *arena, const struct field *field, const struct value *spec)
{
    if (!value_is_map(spec))
        return value_copy(arena, spec);
    struct value *kept = value_map(arena);
    for (size_t i = 0; i < spec->pair_count; i++) {
        const struct field *child = field ? field_child(field, spec->pairs[i].key) : NULL;
        if (!child || !child->is_sensitive)
            value_set(arena, kept, spec->pairs[i].key,
                      shape_strip(arena, child, spec->pairs[i].value));
    }
    return kept;
}

/* "spec.disks[root].volume" and "disks" are both about the field "disks". */
static bool is_about(const char *path, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(path, "spec.", 5) == 0)
        path += 5;
    return strncmp(path, name, len) == 0 && !strchr("abcdefghijklmnopqrstuvwxyz"
                                                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
                                                    path[len] ? path[len] : '.');
}

static bool is_named(const struct value *changed, const char *name)
{
    if (!value_is_list(changed))
        return true;
    for (size_t i = 0; i < changed->count; i++)
        if (value_is_text(changed->items[i]) && is_about(changed->items[i]->text, name))
            return true;
    return false;
}

static bool fits_headroom(const struct field *field, const struct value *booted,
                          const struct value *wanted)
{
    if (!field->at_most || !wanted || wanted->type != VALUE_INT)
        return true;
    const char *path =
        strncmp(field->at_most, "spec.", 5) == 0 ? field->at_most + 5 : field->at_most;
    return wanted->integer <= value_at_int(booted, path, INT64_MAX);
}

static bool changes_now(const struct field *field, const struct value *booted,
                        const struct value *wanted, bool is_running)
{
    switch (field->change) {
    case CHANGE_REPLACE:
    case CHANGE_REFUSE:
        return false;
    case CHANGE_RESTART:
        return !is_running;
    case CHANGE_LIVE_IF:
        return !is_running || fits_headroom(field, booted, wanted);
    default:
        return true;
    }
}

static struct value *item_merge(struct arena *arena, const struct field *item, const char *key,
                                const struct value *now, const struct value *wanted,
                                bool is_running)
{
    const char *name = value_get_text(wanted, key, NULL);
    const struct value *old = name && now ? value_find(now, key, name) : NULL;
    return old ? shape_merge(arena, item, old, wanted, NULL, is_running)
               : value_copy(arena, wanted);
}

static struct value *field_merge(struct arena *arena, const struct field *field,
                                 const struct value *now, const struct value *wanted,
                                 const struct value *booted, bool is_running)
{
    if (!changes_now(field, booted, wanted, is_running))
        return now ? value_copy(arena, now) : NULL;
    if (field->type == FIELD_MAP && field->field_count > 0 && now && value_is_map(wanted))
        return shape_merge(arena, field, now, wanted, NULL, is_running);
    if (!field->list_key || !value_is_list(wanted))
        return wanted ? shape_strip(arena, field, wanted) : NULL;
    struct value *list = value_list(arena);
    for (size_t i = 0; i < wanted->count; i++)
        value_append(
            arena, list,
            item_merge(arena, field->item, field->list_key, now, wanted->items[i], is_running));
    return list;
}

struct value *shape_merge(struct arena *arena, const struct field *field, const struct value *now,
                          const struct value *wanted, const struct value *changed, bool is_running)
{
    struct value *merged = value_copy(arena, now);
    for (size_t i = 0; i < field->field_count; i++) {
        const struct field *child = field->fields[i];
        if (!is_named(changed, child->name) || child->is_sensitive)
            continue;
        struct value *made = field_merge(arena, child, value_get(now, child->name),
                                         value_get(wanted, child->name), now, is_running);
        if (made)
            value_set(arena, merged, child->name, made);
        else
            value_unset(merged, child->name);
    }
    return merged;
}

static bool has_same_disk(const struct value *spec, const struct value *disk)
{
    const struct value *was =
        value_find(value_get(spec, "disks"), "name", value_get_text(disk, "name", ""));
    return was && value_equal(value_get(was, "volume"), value_get(disk, "volume"));
}

struct value *shape_refs(struct arena *arena, const struct value *spec, const struct value *told,
                         const struct value *before, const struct value *had)
{
    const struct value *disks = value_get(spec, "disks"), *volumes = value_get(told, "Volume");
    struct value *refs = value_map(arena);
    for (size_t i = 0; value_is_list(disks) && i < disks->count; i++) {
        const struct value *disk = disks->items[i];
        const char *path =
            arena_printf(arena, "spec.disks[%s].volume", value_get_text(disk, "name", ""));
        const char *kept = value_get_text(had, path, NULL);
        const char *uid =
            value_get_text(value_get(volumes, value_get_text(disk, "volume", "")), "uid", kept);
        value_set_text(arena, refs, path, kept && has_same_disk(before, disk) ? kept : uid);
    }
    return refs;
}

int shape_check(const struct field *field, const struct value *now, const struct value *wanted,
                struct error *err)
{
    for (size_t i = 0; i < field->field_count; i++) {
        const struct field *child = field->fields[i];
        int64_t from = value_get_int(now, child->name, 0),
                to = value_get_int(wanted, child->name, from);
        if (child->grows_only && to < from)
            return error_set(err, ERR_INVALID, "%s only grows: %lld to %lld would shrink it",
                             child->name, (long long)from, (long long)to);
    }
    return 0;
}
