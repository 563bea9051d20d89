/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/cli/drift_rows.h"

#include <string.h>

#include "model/diff.h"
#include "model/hash.h"
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
static int64_t time_of(const struct value *row, const char *member)
{
    struct error ignored = ERROR_INIT;
    int64_t at = 0;

    return when_read(value_get_text(row, member, ""), -1, &at, &ignored) < 0 ? 0 : at;
}

const char *drift_age_text(struct arena *arena, const struct value *row)
{
    return when_age(arena, time_of(row, "since"), when_now());
}

/* What becomes of open drift by itself, or who has to act. */
static const char *prospect_text(const char *disposition)
{
    static const struct {
        const char *disposition, *text;
    } prospects[] = {
        {"run", "Spinel heals it"},
        {"deferred", "healed at the next stop, or in the window of its updatePolicy"},
        {"held", "held until a person decides: spinel approve"},
        {"reported", "only reported: nothing heals it by itself"},
        {"ignored", "ignored, as the manifest's driftPolicy asks"},
        {"contested", "set back again and again; healed again after a pause"},
        {"frozen", "not healed while a freeze lasts: spinel freeze"},
    };

    for (size_t i = 0; i < sizeof(prospects) / sizeof(prospects[0]); i++)
        if (strcmp(prospects[i].disposition, disposition) == 0)
            return prospects[i].text;
    return disposition;
}

const char *drift_outcome_text(struct arena *arena, const struct value *row)
{
    const char *op = value_at_text(row, "healed.by", "");
    const char *reason = value_get_text(row, "reason", "");
    const char *at = value_at_text(row, "healed.at", "");
    long long after_s = (long long)value_at_int(row, "healed.after", 0);

    if (drift_is_open(row))
        return arena_printf(arena, "%s%s%s",
                            prospect_text(value_get_text(row, "disposition", "run")),
                            *reason ? ": " : "", reason);
    if (!*op)
        return arena_printf(arena, "%s, after %lld s, by no operation of Spinel's", at, after_s);
    return arena_printf(arena, "%s, healed after %lld s by operation %.12s", at, after_s, op);
}

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

struct folding {
    const char *key; /* uid and path */
    const struct value *first, *last;
    int64_t times;
    UT_hash_handle hh;
};

static void folding_add(struct arena *arena, struct folding **foldings, const struct value *row)
{
    const char *key = arena_printf(arena, "%s %s", value_get_text(row, "uid", ""),
                                   value_get_text(row, "path", ""));
    struct folding *folding;

    HASH_FIND_STR(*foldings, key, folding);
    if (!folding) {
        folding = arena_array(arena, 1, sizeof(*folding));
        *folding = (struct folding){.key = key, .first = row};
        HASH_ADD_KEYPTR(hh, *foldings, folding->key, strlen(folding->key), folding);
    }
    folding->last = row;
    folding->times++;
}

static int folding_compare(const struct folding *a, const struct folding *b)
{
    return strcmp(value_get_text(a->last, "since", ""), value_get_text(b->last, "since", ""));
}

struct value *drift_rows_folded(struct arena *arena, const struct value *rows)
{
    struct value *folded = value_list(arena);
    struct folding *foldings = NULL, *folding, *next;

    for (size_t i = 0; i < rows->count; i++)
        folding_add(arena, &foldings, rows->items[i]);
    HASH_SRT(hh, foldings, folding_compare);
    HASH_ITER(hh, foldings, folding, next) {
        struct value *row = value_append(arena, folded, value_copy(arena, folding->last));
        value_set_int(arena, row, "times", folding->times);
        value_set_int(arena, row, "within",
                      time_of(row, "lastSeen") - time_of(folding->first, "since"));
        HASH_DEL(foldings, folding);
    }
    return folded;
}
