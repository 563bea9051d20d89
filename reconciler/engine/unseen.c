/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/engine/unseen.h"

#include <stdlib.h>
#include <string.h>
#include "model/kind.h"
#include "model/resource.h"

char *counted_under(struct arena *arena, const struct value *object)
{
    const char *kind_name = value_get_text(object, "kind", "");
    const char *project = value_get_text(object, "project", NULL);
    const char *name = value_get_text(object, "name", "");
    const struct kind *kind = kind_find(kind_name);
    if (kind && kind->is_derived)
        return identity_label(arena, "Instance", project,
                              arena_printf(arena, "%.*s", (int)strcspn(name, "."), name));
    return identity_label(arena, kind_name, project, name);
}

static int label_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int64_t unseen_count(struct arena *arena, const struct value *unseen, const char *const *touched,
                     size_t touched_count)
{
    size_t count = value_is_list(unseen) ? unseen->count : 0;
    const char **labels = arena_array(arena, count + 1, sizeof *labels);
    const char **sorted = arena_array(arena, touched_count + 1, sizeof *sorted);
    int64_t found = 0;
    for (size_t i = 0; i < touched_count; i++)
        sorted[i] = touched[i];
    qsort(sorted, touched_count, sizeof *sorted, label_order);
    for (size_t i = 0; i < count; i++)
        labels[i] = counted_under(arena, unseen->items[i]);
    qsort(labels, count, sizeof *labels, label_order);
    for (size_t i = 0; i < count; i++)
        found += (i == 0 || strcmp(labels[i], labels[i - 1]) != 0) &&
                 !bsearch(&labels[i], sorted, touched_count, sizeof *sorted, label_order);
    return found;
}
