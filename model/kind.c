/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The table of kinds: read from the binary at the first look, ordered by rank,
 * never changed afterwards.
 */
#include "model/kind.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model/arena.h"
#include "model/digest.h"
#include "model/kind_read.h"
#include "model/text.h"
#include "model/invariant.h"

extern const struct kind_file kind_files[]; /* model/embed.sh */
extern const uint64_t kind_files_count;

static const char *const changes[] = {
    [CHANGE_LIVE] = "live",       [CHANGE_LIVE_IF] = "live-if",   [CHANGE_RESTART] = "restart",
    [CHANGE_REPLACE] = "replace", [CHANGE_METADATA] = "metadata", [CHANGE_REFUSE] = "refuse",
};

const char *change_text(enum change change)
{
    invariant((size_t)change < sizeof(changes) / sizeof(changes[0]), "there is no change %d",
              (int)change);
    return changes[change];
}

int change_read(const char *text, enum change *change)
{
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        if (strcmp(changes[i], text) == 0) {
            *change = (enum change)i;
            return 0;
        }
    }
    return -1;
}

static int rank_compare(const void *a, const void *b)
{
    const struct kind *x = *(const struct kind *const *)a;
    const struct kind *y = *(const struct kind *const *)b;

    return (x->rank > y->rank) - (x->rank < y->rank);
}

const struct kind *const *kinds_get(size_t *count)
{
    static struct arena *arena; /* lives as long as the process */
    static const struct kind **kinds;

    if (!kinds) {
        const struct kind **all;

        arena = arena_new();
        all = arena_array(arena, kind_files_count, sizeof(*all));
        for (size_t i = 0; i < kind_files_count; i++)
            all[i] = kind_read(arena, &kind_files[i]);
        qsort(all, kind_files_count, sizeof(struct kind *), rank_compare);
        for (size_t i = 1; i < kind_files_count; i++)
            invariant(all[i - 1]->rank < all[i]->rank, "each kind has a rank of its own");
        kinds = all;
    }
    *count = kind_files_count;
    return kinds;
}

const struct kind *kind_find(const char *name)
{
    size_t count;
    const struct kind *const *kinds = kinds_get(&count);

    for (size_t i = 0; i < count; i++)
        if (text_equal(kinds[i]->name, name))
            return kinds[i];
    return NULL;
}

const struct kind *kind_find_loose(const char *word)
{
    size_t count;
    const struct kind *const *kinds = kinds_get(&count);

    for (size_t i = 0; i < count; i++)
        if (strcasecmp(kinds[i]->name, word) == 0 || strcasecmp(kinds[i]->plural, word) == 0)
            return kinds[i];
    return NULL;
}

static const struct field *child_n(const struct field *field, const char *name, size_t len)
{
    while (field->type == FIELD_LIST)
        field = field->item;
    for (size_t i = 0; i < field->field_count; i++)
        if (strncmp(field->fields[i]->name, name, len) == 0 && field->fields[i]->name[len] == '\0')
            return field->fields[i];
    return field->is_open ? field->item : NULL;
}

const struct field *field_child(const struct field *field, const char *name)
{
    return child_n(field, name, strlen(name));
}

/* Steps over one name of `path` and the [element] behind it. */
static const struct field *field_step(const struct field *field, const char **path)
{
    size_t len = strcspn(*path, ".[");

    field = child_n(field, *path, len);
    *path += len;
    while (field && **path == '[') {
        field = field->item;
        *path += strcspn(*path, "]");
        if (**path == ']')
            (*path)++;
    }
    return field;
}

const struct field *kind_field(const struct kind *kind, const char *path)
{
    const struct field *field = kind->spec;

    if (strcmp(path, "spec") == 0)
        return field;
    if (strncmp(path, "spec.", 5) == 0)
        path += 5;
    while (field && *path) {
        field = field_step(field, &path);
        if (*path == '.')
            path++;
        else if (*path)
            return NULL;
    }
    return field;
}

char *field_path(struct arena *arena, const struct field *field)
{
    char *above;

    invariant(field->name || field->parent, "a field of type %d has neither name nor parent",
              (int)field->type);
    if (!field->parent)
        return arena_printf(arena, "%s", field->name);
    above = field_path(arena, field->parent);
    return field->name ? arena_printf(arena, "%s.%s", above, field->name) : above;
}

const char *kinds_digest(void)
{
    static char hex[DIGEST_TEXT];
    struct text all = TEXT_INIT;

    if (*hex)
        return hex;
    for (size_t i = 0; i < kind_files_count; i++) {
        text_printf(&all, "%s %zu\n", kind_files[i].name, kind_files[i].len);
        text_add_n(&all, kind_files[i].text, kind_files[i].len);
    }
    digest_bytes(all.data, all.len, hex);
    text_free(&all);
    return hex;
}
