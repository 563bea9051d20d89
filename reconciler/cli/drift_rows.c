/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/cli/drift_rows.h"

#include <string.h>

#include "model/diff.h"
#include "model/kind.h"
#include "model/when.h"

bool drift_is_open(const struct value *row)
{
    return !value_is_map(value_get(row, "healed"));
}

bool drift_is_ignored(const struct value *row)
{
    return strcmp(value_get_text(row, "disposition", ""), "ignored") == 0;
}

char *drift_side_text(struct arena *arena, const struct value *row, const char *side)
{
    const struct kind *kind = kind_find(value_get_text(row, "kind", ""));
    const struct value *value = value_get(row, side);
    const char *path = value_get_text(row, "path", "");
    const struct field *field =
        kind && strncmp(path, "spec.", 5) == 0 ? kind_field(kind, path) : NULL;

    return value && value->type != VALUE_NULL ? diff_value_text(arena, field, value)
                                              : arena_text(arena, "nothing");
}

/* What becomes of it: healed, and after how long, open, or why it stays; and how often
 * it came back. */
const char *drift_state_text(struct arena *arena, const struct value *row)
{
    const char *disposition = value_get_text(row, "disposition", "run");
    int64_t count = value_get_int(row, "count", 0);
    const char *state = !drift_is_open(row)
                            ? arena_printf(arena, "healed within %lld s",
                                           (long long)value_at_int(row, "healed.after", 0) + 1)
                        : strcmp(disposition, "run") == 0 ? "open"
                                                          : disposition;

    if (value_get_int(row, "times", 1) > 1) {
        int64_t within = value_get_int(row, "within", 0);
        return arena_printf(arena, "%s, %lld times in %s", state,
                            (long long)value_get_int(row, "times", 1),
                            when_took(arena, 1000 * (within > 0 ? within : 1)));
    }
    return count > 1    ? arena_printf(arena, "%s, %lld times before", state, (long long)count)
           : count == 1 ? arena_printf(arena, "%s, once before", state)
                        : state;
}

static bool is_same_field(const struct value *a, const struct value *b)
{
    return strcmp(value_get_text(a, "uid", ""), value_get_text(b, "uid", "")) == 0 &&
           strcmp(value_get_text(a, "path", ""), value_get_text(b, "path", "")) == 0;
}

static int64_t time_of(const struct value *row, const char *member)
{
    struct error ignored = ERROR_INIT;
    int64_t at = 0;

    return when_read(value_get_text(row, member, ""), -1, &at, &ignored) < 0 ? 0 : at;
}

/* A field that came back again and again is one row, its last, with how often in how long. */
struct value *drift_rows_folded(struct arena *arena, const struct value *rows)
{
    struct value *folded = value_list(arena);

    for (size_t i = 0; i < rows->count; i++) {
        size_t times = 1;
        bool is_last = true;

        for (size_t k = i + 1; k < rows->count && is_last; k++)
            is_last = !is_same_field(rows->items[i], rows->items[k]);
        if (!is_last)
            continue;
        const struct value *first = rows->items[i];
        for (size_t k = i; k-- > 0;)
            if (is_same_field(rows->items[i], rows->items[k])) {
                first = rows->items[k];
                times++;
            }
        struct value *row = value_append(arena, folded, value_copy(arena, rows->items[i]));
        value_set_int(arena, row, "times", (int64_t)times);
        value_set_int(arena, row, "within", time_of(row, "lastSeen") - time_of(first, "since"));
    }
    return folded;
}
