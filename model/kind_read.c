/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A kind file is YAML with a closed set of words: the tables below. A word that
 * is not in them is a mistake of ours, so it ends the process at once, with file
 * and line; a kind that was read is right for as long as the process lives.
 */
#include "model/kind_read.h"

#include <regex.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/format.h"
#include "model/report.h"
#include "model/unit.h"
#include "model/value.h"
#include "model/yaml.h"

struct loader {
    struct arena *arena;
    const struct value *definitions;
    unsigned depth;
};

static _Noreturn void refuse(struct position at, const char *what, const char *word)
{
    fprintf(stderr, "kinds/%s:%u:%u: %s: %s\n", at.file, at.line, at.column, what, word);
    abort();
}

/* Words whose value goes into a member as it stands. */
enum slot { SLOT_TEXT, SLOT_INT, SLOT_BOOL };

static const struct {
    const char *word;
    enum slot slot;
    size_t offset;
} slots[] = {
    {"doc", SLOT_TEXT, offsetof(struct field, doc)},
    {"x-means", SLOT_TEXT, offsetof(struct field, means)},
    {"x-at-most", SLOT_TEXT, offsetof(struct field, at_most)},
    {"x-ref", SLOT_TEXT, offsetof(struct field, ref)},
    {"x-format", SLOT_TEXT, offsetof(struct field, format)},
    {"x-list-key", SLOT_TEXT, offsetof(struct field, list_key)},
    {"pattern", SLOT_TEXT, offsetof(struct field, pattern)},
    {"minimum", SLOT_INT, offsetof(struct field, minimum)},
    {"maximum", SLOT_INT, offsetof(struct field, maximum)},
    {"maxLength", SLOT_INT, offsetof(struct field, max_length)},
    {"maxItems", SLOT_INT, offsetof(struct field, max_length)},
    {"minItems", SLOT_INT, offsetof(struct field, min_length)},
    {"minProperties", SLOT_INT, offsetof(struct field, min_length)},
    {"maxProperties", SLOT_INT, offsetof(struct field, max_pairs)},
    {"x-weak", SLOT_BOOL, offsetof(struct field, ref_weak)},
    {"x-set", SLOT_BOOL, offsetof(struct field, is_set)},
    {"x-sensitive", SLOT_BOOL, offsetof(struct field, is_sensitive)},
    {"x-grows-only", SLOT_BOOL, offsetof(struct field, grows_only)},
};

/* Words that have a meaning of their own below. */
static const char *const special[] = {
    "$ref",     "type",     "properties", "additionalProperties",
    "items",    "required", "default",    "enum",
    "x-change", "x-unit",   "x-origin",
};

enum { FIELDS_DEEP_MAX = 32 }; /* a definition that refers to itself has no end */

static void type_need(const struct value *value, enum value_type type, const char *what)
{
    if (value->type != type)
        refuse(value->at, "expected", what);
}

static const char *text_need(const struct value *value)
{
    if (!value_is_text(value))
        refuse(value->at, "expected", "text");
    return value->text;
}

static void slot_fill(struct field *field, enum slot slot, size_t offset, const struct value *value)
{
    void *member = (char *)field + offset;

    if (slot == SLOT_TEXT)
        *(const char **)member = text_need(value);
    else if (slot == SLOT_INT && value->type == VALUE_INT)
        *(int64_t *)member = value->integer;
    else if (slot == SLOT_BOOL && value->type == VALUE_BOOL)
        *(bool *)member = value->boolean;
    else
        refuse(value->at, "expected", slot == SLOT_INT ? "a whole number" : "true or false");
}

static bool is_special(const char *word)
{
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
        if (strcmp(special[i], word) == 0)
            return true;
    return false;
}

static void slots_read(struct field *field, const struct value *schema)
{
    for (size_t i = 0; i < schema->pair_count; i++) {
        const struct pair *pair = &schema->pairs[i];
        size_t n = 0;

        while (n < sizeof(slots) / sizeof(slots[0]) && strcmp(slots[n].word, pair->key) != 0)
            n++;
        if (n < sizeof(slots) / sizeof(slots[0]))
            slot_fill(field, slots[n].slot, slots[n].offset, pair->value);
        else if (!is_special(pair->key))
            refuse(pair->at, "unknown word", pair->key);
    }
}

static int word_index(const char *const *words, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (words[i] && strcmp(words[i], word) == 0)
            return (int)i;
    return -1;
}

/* The index of schema[key] among `words`; `fallback` if it is not given. */
static int choice(const struct value *schema, const char *key, const char *const *words,
                  size_t count, int fallback)
{
    const struct value *value = value_get(schema, key);
    int index;

    if (!value)
        return fallback;
    index = word_index(words, count, text_need(value));
    if (index < 0)
        refuse(value->at, "unknown word", value->text);
    return index;
}

static void change_read_field(struct field *field, const struct value *schema)
{
    const struct value *given = value_get(schema, "x-change");

    if (given) {
        if (change_read(text_need(given), &field->change) < 0)
            refuse(given->at, "unknown change", given->text);
    } else if (field->parent) {
        field->change = field->parent->change;
        if (!field->means)
            field->means = field->parent->means;
    }
}

static void words_read(struct field *field, const struct value *schema)
{
    static const char *const types[] = {"boolean", "integer", "string", "array", "object"};
    static const char *const units[] = {NULL, "bytes", "seconds"};
    static const char *const origins[] = {"desired", "chosen", "observed"};
    const struct field *parent = field->parent;

    field->type = (enum field_type)choice(schema, "type", types, 5, -1);
    if ((int)field->type < 0)
        refuse(schema->at, "type is missing in", field->name);
    field->unit = (enum field_unit)choice(schema, "x-unit", units, 3, UNIT_NONE);
    field->origin = (enum field_origin)choice(schema, "x-origin", origins, 3,
                                              parent ? (int)parent->origin : ORIGIN_DESIRED);
    if (parent && parent->is_sensitive)
        field->is_sensitive = true;
    change_read_field(field, schema);
}

static void format_check(const struct field *field, const struct value *schema)
{
    if (field->format && !format_is_known(field->format))
        refuse(schema->at, "unknown format", field->format);
}

static void pattern_read(struct loader *loader, struct field *field, const struct value *schema)
{
    regex_t *compiled;

    if (!field->pattern)
        return;
    compiled = arena_alloc(loader->arena, sizeof(*compiled));
    int status = regcomp(compiled, field->pattern, REG_EXTENDED | REG_NOSUB);
    if (status != 0) /* one that needs more than there is may only be too large */
        refuse(schema->at, status == REG_ESPACE ? "out of memory for the pattern" : "bad pattern",
               field->pattern);
    field->compiled = compiled;
}

static struct field *field_read(struct loader *loader, const char *name, const struct value *schema,
                                const struct field *parent);

static void properties_read(struct loader *loader, struct field *field, const struct value *schema)
{
    const struct value *properties = value_get(schema, "properties");
    const struct value *required = value_get(schema, "required");
    const struct field **fields;

    if (required)
        type_need(required, VALUE_LIST, "a list");
    if (!properties)
        return;
    type_need(properties, VALUE_MAP, "a map");
    fields = arena_array(loader->arena, properties->pair_count, sizeof(*fields));
    for (size_t i = 0; i < properties->pair_count; i++) {
        const struct pair *pair = &properties->pairs[i];
        struct field *child = field_read(loader, pair->key, pair->value, field);

        for (size_t n = 0; required && n < required->count; n++)
            if (strcmp(text_need(required->items[n]), pair->key) == 0)
                child->is_required = true;
        fields[i] = child;
    }
    field->fields = fields;
    field->field_count = properties->pair_count;
}

static void items_read(struct loader *loader, struct field *field, const struct value *schema)
{
    const struct value *items = value_get(schema, "items");
    const struct value *open = value_get(schema, "additionalProperties");

    if (items)
        field->item = field_read(loader, NULL, items, field);
    if (open) {
        field->is_open = true;
        if (value_is_map(open))
            field->item = field_read(loader, NULL, open, field);
    }
    if (field->type == FIELD_LIST && !field->item)
        refuse(schema->at, "items is missing in", field->name);
}

/* A default as a manifest would be normalised: units read, maps filled. */
static const struct value *default_normal(struct loader *loader, const struct field *field,
                                          const struct value *given)
{
    struct error err = ERROR_INIT;
    struct value *filled;
    int64_t number;

    if (field->unit != UNIT_NONE && value_is_text(given)) {
        int rc = field->unit == UNIT_BYTES ? size_read(given->text, &number, &err)
                                           : duration_read(given->text, &number, &err);

        if (rc < 0)
            refuse(given->at, "bad default", err.message);
        return value_int(loader->arena, number);
    }
    if (field->type != FIELD_MAP || !value_is_map(given))
        return given;
    filled = value_copy(loader->arena, given);
    for (size_t i = 0; i < field->field_count; i++)
        if (field->fields[i]->fallback && !value_get(filled, field->fields[i]->name))
            value_set(loader->arena, filled, field->fields[i]->name,
                      value_copy(loader->arena, field->fields[i]->fallback));
    return filled;
}

/* Takes the positions away: a default stands in no manifest. */
static const struct value *unplaced(struct value *value)
{
    value->at = (struct position){0};
    if (value->type == VALUE_LIST) {
        for (size_t i = 0; i < value->count; i++)
            unplaced(value->items[i]);
    } else if (value->type == VALUE_MAP) {
        for (size_t i = 0; i < value->pair_count; i++) {
            value->pairs[i].at = (struct position){0};
            unplaced(value->pairs[i].value);
        }
    }
    return value;
}

static const struct value *definition(struct loader *loader, const struct value *schema)
{
    const struct value *name = value_get(schema, "$ref");
    const struct value *found;

    if (!name)
        return schema;
    found = value_get(loader->definitions, text_need(name));
    if (!found)
        refuse(name->at, "unknown definition", name->text);
    return found;
}

static void choices_read(struct field *field, const struct value *words)
{
    if (!words)
        return;
    type_need(words, VALUE_LIST, "a list");
    for (size_t i = 0; i < words->count; i++)
        (void)text_need(words->items[i]);
    field->allowed = words;
}

static struct field *field_read(struct loader *loader, const char *name, const struct value *schema,
                                const struct field *parent)
{
    struct field *field = arena_alloc(loader->arena, sizeof(*field));
    const struct value *fallback;

    schema = definition(loader, schema);
    type_need(schema, VALUE_MAP, "a map");
    if (loader->depth++ == FIELDS_DEEP_MAX)
        refuse(schema->at, "nested too deep", name ? name : "items");
    *field = (struct field){
        .name = name,
        .parent = parent,
        .minimum = INT64_MIN,
        .maximum = INT64_MAX,
        .max_length = INT64_MAX,
        .max_pairs = INT64_MAX,
    };
    slots_read(field, schema);
    words_read(field, schema);
    pattern_read(loader, field, schema);
    format_check(field, schema);
    choices_read(field, value_get(schema, "enum"));
    properties_read(loader, field, schema);
    items_read(loader, field, schema);
    fallback = value_get(schema, "default");
    if (fallback)
        field->fallback =
            unplaced(value_copy(loader->arena, default_normal(loader, field, fallback)));
    loader->depth--;
    return field;
}

static const struct value *file_parse(struct arena *arena, const struct kind_file *file)
{
    struct report report;
    struct value *docs;

    report_init(&report, arena);
    if (yaml_read(arena, file->name, file->text, file->len, &docs, &report) < 0)
        refuse(report.problems[0].at, "not YAML", report.problems[0].message);
    if (docs->count != 1 || !value_is_map(docs->items[0]))
        refuse(docs->at, "not one map", file->name);
    return docs->items[0];
}

struct kind *kind_read(struct arena *arena, const struct kind_file *file)
{
    static const char *const scopes[] = {"project", "rack", "either", "site"};
    static const char *const words[] = {"kind",    "plural",    "rank", "scope", "driver",
                                        "derived", "holdsData", "doc",  "spec",  "definitions"};
    const struct value *root = file_parse(arena, file);
    struct loader loader = {.arena = arena, .definitions = value_get(root, "definitions")};
    struct kind *kind = arena_alloc(arena, sizeof(*kind));

    for (size_t i = 0; i < root->pair_count; i++)
        if (word_index(words, sizeof(words) / sizeof(words[0]), root->pairs[i].key) < 0)
            refuse(root->pairs[i].at, "unknown word", root->pairs[i].key);
    kind->name = value_get_text(root, "kind", NULL);
    kind->plural = value_get_text(root, "plural", NULL);
    kind->doc = value_get_text(root, "doc", NULL);
    kind->driver = value_get_text(root, "driver", NULL);
    kind->scope = (enum kind_scope)choice(root, "scope", scopes, 4, SCOPE_PROJECT);
    kind->is_derived = value_get_bool(root, "derived", false);
    kind->holds_data = value_get_bool(root, "holdsData", false);
    kind->rank = (int)value_get_int(root, "rank", 0);
    if (!kind->name || !kind->plural || !kind->doc || !value_is_map(value_get(root, "spec")))
        refuse(root->at, "kind, plural, doc or spec is missing in", file->name);
    kind->spec = field_read(&loader, "spec", value_get(root, "spec"), NULL);
    return kind;
}
