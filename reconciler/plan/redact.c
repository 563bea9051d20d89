/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Sensitive leaves become "keyed:<digest>": enough to tell changed from same, and
 * nothing to learn from. A leaf that is redacted already stays as it is, so that
 * what comes back from the store compares equal.
 */
#include <string.h>

#include "model/invariant.h"
#include "model/json.h"
#include "model/text.h"
#include "reconciler/plan/fields.h"

static const char mark[] = "keyed:";

static bool has_sensitive(const struct field *field)
{
    if (field->is_sensitive)
        return true;
    for (size_t i = 0; i < field->field_count; i++)
        if (has_sensitive(field->fields[i]))
            return true;
    return field->item && has_sensitive(field->item);
}

bool value_is_redacted(const struct value *value)
{
    return value_is_text(value) && value->text_len == sizeof(mark) - 1 + DIGEST_TEXT - 1 &&
           strncmp(value->text, mark, sizeof(mark) - 1) == 0;
}

static struct value *redact_leaf(struct arena *arena, const struct value *leaf,
                                 const uint8_t key[32])
{
    struct text bytes = TEXT_INIT;
    char digest[DIGEST_TEXT];

    if (value_is_redacted(leaf))
        return value_text(arena, leaf->text);
    json_write_canonical(&bytes, leaf);
    invariant(key, "a secret is hidden without a key");
    digest_keyed(key, 32, bytes.data, bytes.len, digest);
    text_free(&bytes);
    invariant(strlen(digest) == DIGEST_TEXT - 1, "a secret is hidden as '%s'", digest);
    return value_printf(arena, "%s%s", mark, digest);
}

/* Only what leads to a secret is made anew; the rest is shared. What is not of the
 * declared shape stays as it is: it can be no secret of ours. */
static struct value *redact(struct arena *arena, const struct field *field,
                            const struct value *value, const uint8_t key[32])
{
    struct value *copy;

    if (!field || !value || value->type == VALUE_NULL || !has_sensitive(field))
        return (struct value *)(size_t)value;
    if (field->is_sensitive)
        return redact_leaf(arena, value, key);
    if (value_is_map(value)) {
        copy = value_map(arena);
        for (size_t i = 0; i < value->pair_count; i++)
            value_set(
                arena, copy, value->pairs[i].key,
                redact(arena, field_child(field, value->pairs[i].key), value->pairs[i].value, key));
        return copy;
    }
    if (value_is_list(value)) {
        copy = value_list(arena);
        for (size_t i = 0; i < value->count; i++)
            value_append(arena, copy, redact(arena, field->item, value->items[i], key));
        return copy;
    }
    return (struct value *)(size_t)value;
}

struct value *plan_redact(struct arena *arena, const struct kind *kind, const struct value *spec,
                          const uint8_t key[32])
{
    return spec ? value_copy(arena, redact(arena, kind->spec, spec, key)) : NULL;
}

const struct value *spec_redacted(struct arena *arena, const struct kind *kind,
                                  const struct value *spec, const uint8_t key[32])
{
    return redact(arena, kind->spec, spec, key);
}

/* A digest in place of a secret is for comparing; no driver may take it for content. */
struct value *spec_without_digests(struct arena *arena, const struct value *spec)
{
    struct value *copy;

    if (value_is_map(spec)) {
        copy = value_map(arena);
        for (size_t i = 0; i < spec->pair_count; i++)
            if (!value_is_redacted(spec->pairs[i].value))
                value_set(arena, copy, spec->pairs[i].key,
                          spec_without_digests(arena, spec->pairs[i].value));
        return copy;
    }
    if (value_is_list(spec)) {
        copy = value_list(arena);
        for (size_t i = 0; i < spec->count; i++)
            value_append(arena, copy, spec_without_digests(arena, spec->items[i]));
        return copy;
    }
    return spec ? value_copy(arena, spec) : NULL;
}
