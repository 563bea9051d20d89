/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A value against its field: one function a type. Each returns the normal form,
 * and reports instead of returning early, so that one look finds every mistake.
 */
#include "model/check.h"

#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/error.h"
#include "model/format.h"
#include "model/json.h"
#include "model/text.h"
#include "model/unit.h"
#include "model/invariant.h"

enum { FEW_NAMES = 128 };

/* The field's name; an element's is its list's. */
static const char *label(const struct field *field)
{
    while (!field->name)
        field = field->parent;
    return field->name;
}

char *check_found(struct arena *arena, const struct value *value)
{
    switch (value->type) {
    case VALUE_BOOL:
        return arena_printf(arena, "%s", value->boolean ? "true" : "false");
    case VALUE_INT:
        return arena_printf(arena, "the whole number %" PRId64, value->integer);
    case VALUE_STRING:
        return arena_printf(arena, "text \"%.60s%s\"", value->text,
                            value->text_len > 60 ? "..." : "");
    case VALUE_LIST:
        return arena_printf(arena, "a list");
    case VALUE_MAP:
        return arena_printf(arena, "a map");
    case VALUE_NULL:
    default:
        return arena_printf(arena, "nothing");
    }
}

static struct value *refuse_type(struct checker *checker, const struct field *field,
                                 const struct value *given, const char *expected)
{
    bool is_scalar = given->type == VALUE_INT || given->type == VALUE_BOOL;
    bool wants_text = field->type == FIELD_STRING;
    const char *hint = "";

    if (wants_text && is_scalar)
        hint = "; put it in quotes";
    else if (given->type == VALUE_NULL)
        hint = "; leave the field out or give it a value";
    report_add(checker->report, given->at, "wrong-type", "%s: expected %s, found %s%s",
               label(field), expected,
               field->is_sensitive ? "something else" : check_found(checker->arena, given), hint);
    return NULL;
}

static struct value *made(struct value *value, const struct value *given)
{
    value->at = given->at;
    return value;
}

static struct value *check_bool(struct checker *checker, const struct field *field,
                                const struct value *given)
{
    if (given->type != VALUE_BOOL)
        return refuse_type(checker, field, given, "true or false");
    return made(value_bool(checker->arena, given->boolean), given);
}

/* A number as its unit writes it. */
static const char *number_text(enum field_unit unit, int64_t number, char *buf)
{
    if (unit == UNIT_BYTES)
        return size_text(number, buf);
    if (unit == UNIT_SECONDS)
        return duration_text(number, buf);
    snprintf(buf, UNIT_MAX_TEXT, "%" PRId64, number);
    return buf;
}

static void check_range(struct checker *checker, const struct field *field,
                        const struct value *given, int64_t number)
{
    char limit[UNIT_MAX_TEXT];
    char found[UNIT_MAX_TEXT];

    if (number < field->minimum)
        report_add(checker->report, given->at, "out-of-range", "%s: %s is less than %s",
                   label(field), number_text(field->unit, number, found),
                   number_text(field->unit, field->minimum, limit));
    else if (number > field->maximum)
        report_add(checker->report, given->at, "out-of-range", "%s: %s is more than %s",
                   label(field), number_text(field->unit, number, found),
                   number_text(field->unit, field->maximum, limit));
}

/* A size or duration: text with its unit, never a bare number. */
static int unit_read(struct checker *checker, const struct field *field, const struct value *given,
                     int64_t *number)
{
    struct error err = ERROR_INIT;
    const char *text = given->text;
    int rc;

    invariant(field->unit != UNIT_NONE && (given->type == VALUE_INT || given->type == VALUE_STRING),
              "%s, unit %d, is read from a value of type %d", label(field), (int)field->unit,
              (int)given->type);
    if (given->type == VALUE_INT)
        text = arena_printf(checker->arena, "%" PRId64, given->integer);
    rc = field->unit == UNIT_BYTES ? size_read(text, number, &err)
                                   : duration_read(text, number, &err);
    if (rc < 0)
        report_add(checker->report, given->at, "bad-value", "%s: %s", label(field), err.message);
    return rc;
}

static struct value *check_int(struct checker *checker, const struct field *field,
                               const struct value *given)
{
    static const char *const expected[] = {
        [UNIT_NONE] = "a whole number",
        [UNIT_BYTES] = "a size such as 512MiB",
        [UNIT_SECONDS] = "a duration such as 5m",
    };
    int64_t number = given->integer;

    if (given->type != VALUE_INT && (field->unit == UNIT_NONE || given->type != VALUE_STRING))
        return refuse_type(checker, field, given, expected[field->unit]);
    if (field->unit != UNIT_NONE && unit_read(checker, field, given, &number) < 0)
        return NULL;
    check_range(checker, field, given, number);
    return made(value_int(checker->arena, number), given);
}

static void refuse_choice(struct checker *checker, const struct field *field,
                          const struct value *given)
{
    const char *words[FEW_NAMES];
    size_t count = 0;
    char *all = arena_text(checker->arena, "");
    const char *nearest;

    invariant(given->type == VALUE_STRING, "%s is chosen by a value of type %d", field->name,
              (int)given->type);
    invariant(field->allowed->count <= FEW_NAMES, "%s allows too many words", field->name);
    for (size_t i = 0; i < field->allowed->count; i++) {
        words[count] = field->allowed->items[i]->text;
        all = arena_printf(checker->arena, "%s%s%s", all, count ? ", " : "", words[count]);
        count++;
    }
    nearest = report_suggest(checker->report, given->text, words, count);
    if (nearest)
        report_add(checker->report, given->at, "bad-value",
                   "%s: \"%.60s\" is not one of %s; did you mean `%s`?", label(field), given->text,
                   all, nearest);
    else
        report_add(checker->report, given->at, "bad-value", "%s: \"%.60s\" is not one of %s",
                   label(field), given->text, all);
}

static bool is_allowed(const struct field *field, const char *text)
{
    for (size_t i = 0; i < field->allowed->count; i++)
        if (strcmp(field->allowed->items[i]->text, text) == 0)
            return true;
    return false;
}

static int64_t characters(const struct value *text)
{
    int64_t count = 0;

    for (size_t i = 0; i < text->text_len; i++)
        count += ((unsigned char)text->text[i] & 0xC0) != 0x80;
    return count;
}

static bool check_reference(struct checker *checker, const struct field *field,
                            const struct value *given)
{
    const char *slash = strchr(given->text, '/');

    if (format_is_label(given->text))
        return true;
    if (slash)
        report_add(checker->report, given->at, "bad-reference",
                   "%s: \"%.80s\" leads into another project, which is not allowed; name a %s of "
                   "this project",
                   label(field), given->text, field->ref);
    else
        report_add(checker->report, given->at, "bad-reference",
                   "%s: \"%.80s\" cannot be the name of a %s; names take a-z, 0-9 and - inside, at "
                   "most 63 characters",
                   label(field), given->text, field->ref);
    return false;
}

static bool check_pattern(struct checker *checker, const struct field *field,
                          const struct value *given)
{
    int status = field->compiled ? regexec(field->compiled, given->text, 0, NULL, 0) : 0;
    if (status == 0)
        return true;
    report_add(checker->report, given->at, "bad-value",
               status == REG_ESPACE ? "%s: there is no memory to see whether \"%.60s\" matches %s"
                                    : "%s: \"%.60s\" does not match %s",
               label(field), given->text, field->pattern);
    return false;
}

/* All that can be wrong with a text; its canonical form, or NULL. */
static const char *text_normal(struct checker *checker, const struct field *field,
                               const struct value *given)
{
    struct error err = ERROR_INIT;
    const char *canonical = given->text;
    int64_t length = characters(given);

    invariant(given->type == VALUE_STRING && given->text, "%s is read as text from type %d",
              label(field), (int)given->type);
    if (length > field->max_length) {
        report_add(checker->report, given->at, "out-of-range",
                   "%s: %" PRId64 " characters; at most %" PRId64, label(field), length,
                   field->max_length);
        return NULL;
    }
    if (field->allowed && !is_allowed(field, given->text)) {
        refuse_choice(checker, field, given);
        return NULL;
    }
    if (!check_pattern(checker, field, given) ||
        (field->ref && !check_reference(checker, field, given)))
        return NULL;
    if (field->format &&
        format_read(checker->arena, field->format, given->text, &canonical, &err) < 0) {
        report_add(checker->report, given->at, "bad-value", "%s: %s", label(field), err.message);
        return NULL;
    }
    return canonical;
}

static struct value *check_text(struct checker *checker, const struct field *field,
                                const struct value *given)
{
    bool takes_number = field->format && strcmp(field->format, "ports") == 0;
    struct value number;
    const char *canonical;

    if (given->type == VALUE_INT && takes_number) {
        number = *value_printf(checker->arena, "%" PRId64, given->integer);
        number.at = given->at;
        given = &number;
    }
    if (given->type != VALUE_STRING)
        return refuse_type(checker, field, given, "text");
    canonical = text_normal(checker, field, given);
    return canonical ? made(value_text(checker->arena, canonical), given) : NULL;
}

/* Elements with the text that they are ordered by. */
struct ordered {
    const char *order;
    struct value *value;
};

static int ordered_compare(const void *a, const void *b)
{
    const struct ordered *x = a;
    const struct ordered *y = b;
    int order = strcmp(x->order, y->order);

    if (order == 0)
        order = (x->value->at.line > y->value->at.line) - (x->value->at.line < y->value->at.line);
    if (order == 0)
        order = (x->value->at.column > y->value->at.column) -
                (x->value->at.column < y->value->at.column);
    return order;
}

static void refuse_second(struct checker *checker, const struct field *field,
                          const struct value *first, const struct value *second)
{
    report_add(checker->report, value_get(second, field->list_key)->at, "duplicate-element",
               "%s: %s \"%s\" is there already, on line %u", label(field), field->list_key,
               value_get_text(second, field->list_key, ""), first->at.line);
}

/* Orders by key or by content; equal elements of a set become one. */
static void list_order(struct checker *checker, const struct field *field, struct value *list)
{
    struct ordered *elements;
    size_t kept = 0;

    if (list->count < 2 || (!field->is_set && !field->list_key))
        return;
    elements = arena_array(checker->arena, list->count, sizeof(*elements));
    for (size_t i = 0; i < list->count; i++) {
        struct value *item = list->items[i];

        elements[i].value = item;
        if (field->list_key)
            elements[i].order = value_get_text(item, field->list_key, "");
        else
            elements[i].order = value_is_text(item) ? item->text : json_text(checker->arena, item);
    }
    qsort(elements, list->count, sizeof(*elements), ordered_compare);
    for (size_t i = 0; i < list->count; i++) {
        bool is_same = i > 0 && strcmp(elements[i - 1].order, elements[i].order) == 0;

        if (is_same && field->list_key && *elements[i].order)
            refuse_second(checker, field, elements[i - 1].value, elements[i].value);
        if (!is_same || (field->list_key && !*elements[i].order))
            list->items[kept++] = elements[i].value;
    }
    list->count = kept;
}

static struct value *check_list(struct checker *checker, const struct field *field,
                                const struct value *given)
{
    struct value *list;
    int64_t count;

    if (given->type != VALUE_LIST)
        return refuse_type(checker, field, given, "a list");
    count = (int64_t)given->count;
    if (count > field->max_length || count < field->min_length)
        report_add(checker->report, given->at, "out-of-range",
                   "%s: %" PRId64 " elements; at %s %" PRId64, label(field), count,
                   count > field->max_length ? "most" : "least",
                   count > field->max_length ? field->max_length : field->min_length);
    list = made(value_list(checker->arena), given);
    /* Of what is too many, no more is looked at: it would be reported a second time, and at length.
     */
    for (size_t i = 0; i < given->count && (int64_t)i < field->max_length; i++) {
        struct value *item = check_field(checker, field->item, given->items[i]);

        if (item)
            value_append(checker->arena, list, item);
    }
    list_order(checker, field, list);
    return list;
}

void check_unknown(struct checker *checker, const struct value *map, const char *const *names,
                   size_t count)
{
    for (size_t i = 0; i < map->pair_count; i++) {
        const struct pair *pair = &map->pairs[i];
        const char *nearest;
        size_t n = 0;

        while (n < count && !text_equal(names[n], pair->key))
            n++;
        if (n < count || text_equal(pair->key, "<<")) /* merge keys were reported as such */
            continue;
        nearest = report_suggest(checker->report, pair->key, names, count);
        if (nearest)
            report_add(checker->report, pair->at, "unknown-field",
                       "unknown field `%.80s`, did you mean `%s`?", pair->key, nearest);
        else
            report_add(checker->report, pair->at, "unknown-field", "unknown field `%.80s`",
                       pair->key);
    }
}

static bool has_only_known(const struct field *field, const struct value *given)
{
    for (size_t i = 0; i < given->pair_count; i++) {
        size_t n = 0;

        while (n < field->field_count && !text_equal(field->fields[n]->name, given->pairs[i].key))
            n++;
        if (n == field->field_count)
            return false;
    }
    return true;
}

static void unknown_fields(struct checker *checker, const struct field *field,
                           const struct value *given)
{
    const char *names[FEW_NAMES];
    size_t count = 0;

    if (has_only_known(field, given))
        return;
    invariant(field->field_count <= FEW_NAMES, "%s has too many fields", field->name);
    for (size_t i = 0; i < field->field_count; i++)
        names[count++] = field->fields[i]->name;
    check_unknown(checker, given, names, count);
}

static void check_child(struct checker *checker, const struct field *child,
                        const struct value *given, struct value *map)
{
    const struct value *value = value_get(given, child->name);
    struct value *normal;

    if (!value && child->fallback) {
        value_push_owned(checker->arena, map, child->name, (struct position){0},
                         (struct value *)(uintptr_t)child->fallback);
    } else if (!value && child->is_required) {
        report_add(checker->report, given->at, "missing-field", "%s: %s is missing",
                   label(child->parent), child->name);
    } else if (value) {
        normal = check_field(checker, child, value);
        if (normal)
            value_push_owned(checker->arena, map, child->name, value->at, normal);
    }
}

static int pair_compare(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

/* A map whose keys are the user's. */
static struct value *check_open(struct checker *checker, const struct field *field,
                                const struct value *given)
{
    struct value *map = made(value_map(checker->arena), given);

    for (size_t i = 0; i < given->pair_count; i++) {
        const struct pair *pair = &given->pairs[i];
        struct value *value = field->item ? check_field(checker, field->item, pair->value)
                                          : value_copy(checker->arena, pair->value);

        if (value)
            value_push_owned(checker->arena, map, pair->key, pair->at, value);
    }
    if (map->pair_count > 1)
        qsort(map->pairs, map->pair_count, sizeof(*map->pairs), pair_compare);
    return map;
}

static struct value *check_map(struct checker *checker, const struct field *field,
                               const struct value *given)
{
    struct value *map;

    if (given->type != VALUE_MAP)
        return refuse_type(checker, field, given, "a map");
    if ((int64_t)given->pair_count < field->min_length ||
        (int64_t)given->pair_count > field->max_pairs)
        report_add(checker->report, given->at, "out-of-range", "%s: %zu fields; at %s %" PRId64,
                   label(field), given->pair_count,
                   (int64_t)given->pair_count < field->min_length ? "least" : "most",
                   (int64_t)given->pair_count < field->min_length ? field->min_length
                                                                  : field->max_pairs);
    if (field->is_open)
        return check_open(checker, field, given);
    map = made(value_map(checker->arena), given);
    unknown_fields(checker, field, given);
    for (size_t i = 0; i < field->field_count; i++)
        check_child(checker, field->fields[i], given, map);
    return map;
}

struct value *check_field(struct checker *checker, const struct field *field,
                          const struct value *given)
{
    switch (field->type) {
    case FIELD_BOOL:
        return check_bool(checker, field, given);
    case FIELD_INT:
        return check_int(checker, field, given);
    case FIELD_STRING:
        return check_text(checker, field, given);
    case FIELD_LIST:
        return check_list(checker, field, given);
    case FIELD_MAP:
    default:
        return check_map(checker, field, given);
    }
}

struct value *check_spec(struct checker *checker, const struct kind *kind,
                         const struct value *given, struct position at)
{
    struct value *empty = value_map(checker->arena);
    struct value *spec;

    empty->at = at;
    if (!given || given->type == VALUE_NULL)
        given = empty;
    spec = check_field(checker, kind->spec, given);
    return spec ? spec : empty;
}
