/* SPDX-License-Identifier: MPL-2.0 */
/*
 * JSON Schema (draft 2020-12) of a kind's manifests as people write them: sizes
 * and durations are text here. It is for editors and says less than the checks
 * do; what it refuses, they refuse too.
 */
#include <string.h>

#include "model/arena.h"
#include "model/kind.h"
#include "model/unit.h"
#include "model/value.h"

static const char label_pattern[] = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

/* Patterns for x-format; a format that is not here is any text to an editor. */
static const struct {
    const char *format;
    const char *pattern;
} patterns[] = {
    {"cidr", "^[0-9a-fA-F.:]+/[0-9]{1,3}$"},
    {"address", "^[0-9a-fA-F.:]+$"},
    {"mac", "^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$"},
    {"url", "^(https?://|file:///)[^ ]+$"},
    {"digest", "^(sha256:[0-9a-fA-F]{64}|sha512:[0-9a-fA-F]{128})$"},
    {"path", "^/"},
    {"ports", "^[0-9]{1,5}(-[0-9]{1,5})?$"},
    {"label", label_pattern},
    {"time-of-day", "^[0-9]{2}:[0-9]{2}$"},
};

static struct value *schema_field(struct arena *arena, const struct field *field);

static const char *format_pattern(const char *format)
{
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        if (strcmp(patterns[i].format, format) == 0)
            return patterns[i].pattern;
    return NULL;
}

static void set_limit(struct arena *arena, struct value *schema, const char *key, int64_t limit,
                      int64_t none)
{
    if (limit != none)
        value_set_int(arena, schema, key, limit);
}

static void schema_int(struct arena *arena, struct value *schema, const struct field *field)
{
    if (field->unit == UNIT_NONE) {
        value_set_text(arena, schema, "type", "integer");
        set_limit(arena, schema, "minimum", field->minimum, INT64_MIN);
        set_limit(arena, schema, "maximum", field->maximum, INT64_MAX);
        return;
    }
    value_set_text(arena, schema, "type", "string");
    value_set_text(arena, schema, "pattern",
                   field->unit == UNIT_BYTES
                       ? "^[0-9]+(B|[KMGTPE]iB?)$"
                       : "^([0-9]+d([0-9]+h)?([0-9]+m)?([0-9]+s)?|[0-9]+h([0-9]+m)?([0-9]+s)?|"
                         "[0-9]+m([0-9]+s)?|[0-9]+s)$");
}

static void schema_text(struct arena *arena, struct value *schema, const struct field *field)
{
    const char *pattern = field->pattern;

    if (field->format && strcmp(field->format, "ports") == 0) {
        struct value *types = value_set(arena, schema, "type", value_list(arena));

        value_append(arena, types, value_text(arena, "string"));
        value_append(arena, types, value_text(arena, "integer"));
    } else {
        value_set_text(arena, schema, "type", "string");
    }
    set_limit(arena, schema, "maxLength", field->max_length, INT64_MAX);
    if (!pattern && field->format)
        pattern = format_pattern(field->format);
    if (!pattern && field->ref)
        pattern = label_pattern;
    if (pattern)
        value_set_text(arena, schema, "pattern", pattern);
    if (field->allowed)
        value_set(arena, schema, "enum", value_copy(arena, field->allowed));
}

static void schema_list(struct arena *arena, struct value *schema, const struct field *field)
{
    value_set_text(arena, schema, "type", "array");
    set_limit(arena, schema, "minItems", field->min_length, 0);
    set_limit(arena, schema, "maxItems", field->max_length, INT64_MAX);
    value_set(arena, schema, "items", schema_field(arena, field->item));
}

static void schema_map(struct arena *arena, struct value *schema, const struct field *field)
{
    struct value *properties = value_map(arena);
    struct value *required = value_list(arena);

    value_set_text(arena, schema, "type", "object");
    set_limit(arena, schema, "minProperties", field->min_length, 0);
    set_limit(arena, schema, "maxProperties", field->max_pairs, INT64_MAX);
    if (field->is_open) {
        value_set(arena, schema, "additionalProperties",
                  field->item ? schema_field(arena, field->item) : value_bool(arena, true));
        return;
    }
    for (size_t i = 0; i < field->field_count; i++) {
        const struct field *child = field->fields[i];

        value_push(arena, properties, child->name, schema_field(arena, child));
        if (child->is_required)
            value_append(arena, required, value_text(arena, child->name));
    }
    value_set(arena, schema, "properties", properties);
    if (required->count > 0)
        value_set(arena, schema, "required", required);
    value_set_bool(arena, schema, "additionalProperties", false);
}

/* The default as a manifest would write it. Those of maps are their fields'. */
static void schema_default(struct arena *arena, struct value *schema, const struct field *field)
{
    char buf[UNIT_MAX_TEXT];

    if (!field->fallback || field->type == FIELD_MAP)
        return;
    if (field->unit == UNIT_BYTES)
        value_set_text(arena, schema, "default", size_text(field->fallback->integer, buf));
    else if (field->unit == UNIT_SECONDS)
        value_set_text(arena, schema, "default", duration_text(field->fallback->integer, buf));
    else
        value_set(arena, schema, "default", value_copy(arena, field->fallback));
}

static struct value *schema_field(struct arena *arena, const struct field *field)
{
    struct value *schema = value_map(arena);

    if (field->doc)
        value_set_text(arena, schema, "description", field->doc);
    switch (field->type) {
    case FIELD_BOOL:
        value_set_text(arena, schema, "type", "boolean");
        break;
    case FIELD_INT:
        schema_int(arena, schema, field);
        break;
    case FIELD_STRING:
        schema_text(arena, schema, field);
        break;
    case FIELD_LIST:
        schema_list(arena, schema, field);
        break;
    case FIELD_MAP:
    default:
        schema_map(arena, schema, field);
        break;
    }
    schema_default(arena, schema, field);
    return schema;
}

static struct value *schema_const(struct arena *arena, const char *text)
{
    struct value *schema = value_map(arena);

    value_set_text(arena, schema, "const", text);
    return schema;
}

static struct value *schema_name(struct arena *arena, const char *doc)
{
    struct value *schema = value_map(arena);

    value_set_text(arena, schema, "description", doc);
    value_set_text(arena, schema, "type", "string");
    value_set_text(arena, schema, "pattern", label_pattern);
    return schema;
}

static struct value *schema_texts(struct arena *arena, const char *doc)
{
    struct value *schema = value_map(arena);
    struct value *item = value_map(arena);

    value_set_text(arena, item, "type", "string");
    value_set_text(arena, schema, "description", doc);
    value_set_text(arena, schema, "type", "object");
    value_set(arena, schema, "additionalProperties", item);
    return schema;
}

static struct value *schema_metadata(struct arena *arena, const struct kind *kind)
{
    struct value *schema = value_map(arena);
    struct value *required = value_list(arena);
    struct value *properties = value_map(arena);

    if (kind->scope == SCOPE_PROJECT || kind->scope == SCOPE_EITHER)
        value_set(arena, properties, "project", schema_name(arena, "The project it belongs to."));
    value_set(arena, properties, "name", schema_name(arena, "Its name, unique for its kind."));
    value_set(arena, properties, "renamedFrom",
              schema_name(arena, "Its name before: moves it without replacing anything."));
    value_set(arena, properties, "labels", schema_texts(arena, "For selectors and for people."));
    value_set(arena, properties, "annotations", schema_texts(arena, "For people and tools."));
    value_set(arena, properties, "driftPolicy",
              schema_texts(arena,
                           "What is done about drift: heal, report or ignore, by the path of "
                           "a field (spec.memory), object (it is gone) or default."));
    if (kind->scope == SCOPE_PROJECT)
        value_append(arena, required, value_text(arena, "project"));
    value_append(arena, required, value_text(arena, "name"));
    value_set_text(arena, schema, "type", "object");
    value_set(arena, schema, "required", required);
    value_set(arena, schema, "properties", properties);
    value_set_bool(arena, schema, "additionalProperties", false);
    return schema;
}

static bool spec_is_needed(const struct kind *kind)
{
    for (size_t i = 0; i < kind->spec->field_count; i++)
        if (kind->spec->fields[i]->is_required)
            return true;
    return false;
}

struct value *kind_schema(struct arena *arena, const struct kind *kind)
{
    struct value *schema = value_map(arena);
    struct value *required = value_list(arena);
    struct value *properties = value_map(arena);

    value_set_text(arena, schema, "$schema", "https://json-schema.org/draft/2020-12/schema");
    value_set_text(arena, schema, "title", kind->name);
    value_set_text(arena, schema, "description", kind->doc);
    value_set_text(arena, schema, "type", "object");
    value_append(arena, required, value_text(arena, "apiVersion"));
    value_append(arena, required, value_text(arena, "kind"));
    value_append(arena, required, value_text(arena, "metadata"));
    if (spec_is_needed(kind))
        value_append(arena, required, value_text(arena, "spec"));
    value_set(arena, schema, "required", required);
    value_set(arena, properties, "apiVersion", schema_const(arena, "spinel/v1"));
    value_set(arena, properties, "kind", schema_const(arena, kind->name));
    value_set(arena, properties, "metadata", schema_metadata(arena, kind));
    value_set(arena, properties, "spec", schema_field(arena, kind->spec));
    value_set(arena, schema, "properties", properties);
    value_set_bool(arena, schema, "additionalProperties", false);
    return schema;
}
