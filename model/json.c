/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Writing JSON: the same value always gives the same bytes. Integers are exact,
 * there are no fractions, and only what RFC 8785 escapes is escaped.
 */
#include "model/json.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/text.h"

enum style { STYLE_LINE, STYLE_CANONICAL, STYLE_PRETTY };

static void write_value(struct text *out, const struct value *value, enum style style, int depth);

static void write_escape(struct text *out, unsigned char c)
{
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";

    for (size_t i = 0; named[i]; i += 2) {
        if ((unsigned char)named[i] == c) {
            text_add_char(out, '\\');
            text_add_char(out, named[i + 1]);
            return;
        }
    }
    text_printf(out, "\\u%04x", c);
}

/* The length of the character at `text`, or 0 if it is none: a file's name, the last words of a
 * program may be any bytes, and JSON is UTF-8. */
static size_t character(const char *text, size_t len)
{
    utf8proc_int32_t point;
    utf8proc_ssize_t taken;

    if ((unsigned char)*text < 0x80)
        return 1;
    taken = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len, &point);
    return taken > 0 ? (size_t)taken : 0;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void write_text(struct text *out, const char *text, size_t len)
{
    size_t start = 0, step;

    text_add_char(out, '"');
    for (size_t i = 0; i < len; i += step) {
        unsigned char c = (unsigned char)text[i];
        size_t taken = is_plain(c) ? 1 : character(text + i, len - i);

        step = taken ? taken : 1;
        if (is_plain(c) || (taken && c >= 0x80))
            continue;
        text_add_n(out, text + start, i - start);
        if (taken)
            write_escape(out, c);
        else
            text_add(out, "\xEF\xBF\xBD");
        start = i + 1;
    }
    text_add_n(out, text + start, len - start);
    text_add_char(out, '"');
}

static void write_integer(struct text *out, int64_t integer)
{
    char digits[24];
    char *at = digits + sizeof(digits);
    uint64_t left = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;

    do
        *--at = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    invariant(at > digits, "%lld has more than %zu digits", (long long)integer, sizeof(digits));
    if (integer < 0)
        *--at = '-';
    text_add_n(out, at, (size_t)(digits + sizeof(digits) - at));
}

static void write_break(struct text *out, enum style style, int depth)
{
    if (style != STYLE_PRETTY)
        return;
    text_add_char(out, '\n');
    for (int i = 0; i < depth; i++)
        text_add_n(out, "  ", 2);
}

static void write_list(struct text *out, const struct value *list, enum style style, int depth)
{
    text_add_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            text_add_char(out, ',');
        write_break(out, style, depth + 1);
        write_value(out, list->items[i], style, depth + 1);
    }
    if (list->count > 0)
        write_break(out, style, depth);
    text_add_char(out, ']');
}

static void write_pair(struct text *out, const struct pair *pair, enum style style, int depth)
{
    write_break(out, style, depth + 1);
    write_text(out, pair->key, strlen(pair->key));
    text_add(out, style == STYLE_PRETTY ? ": " : ":");
    write_value(out, pair->value, style, depth + 1);
}

static int pair_compare(const void *a, const void *b)
{
    return strcmp((*(const struct pair *const *)a)->key, (*(const struct pair *const *)b)->key);
}

static void write_sorted(struct text *out, const struct value *map)
{
    const struct pair *few[32];
    const struct pair **order = few;

    if (map->pair_count > sizeof(few) / sizeof(few[0]))
        order = memory_need(malloc(map->pair_count * sizeof(*order)));
    for (size_t i = 0; i < map->pair_count; i++)
        order[i] = &map->pairs[i];
    qsort(order, map->pair_count, sizeof(*order), pair_compare);
    for (size_t i = 0; i < map->pair_count; i++) {
        if (i > 0)
            text_add_char(out, ',');
        write_pair(out, order[i], STYLE_CANONICAL, 0);
    }
    if (order != few)
        free(order);
}

static void write_map(struct text *out, const struct value *map, enum style style, int depth)
{
    text_add_char(out, '{');
    if (style == STYLE_CANONICAL) {
        write_sorted(out, map);
    } else {
        for (size_t i = 0; i < map->pair_count; i++) {
            if (i > 0)
                text_add_char(out, ',');
            write_pair(out, &map->pairs[i], style, depth);
        }
    }
    if (map->pair_count > 0)
        write_break(out, style, depth);
    text_add_char(out, '}');
}

static void write_value(struct text *out, const struct value *value, enum style style, int depth)
{
    switch (value ? value->type : VALUE_NULL) {
    case VALUE_BOOL:
        text_add(out, value->boolean ? "true" : "false");
        return;
    case VALUE_INT:
        write_integer(out, value->integer);
        return;
    case VALUE_STRING:
        write_text(out, value->text, value->text_len);
        return;
    case VALUE_LIST:
        write_list(out, value, style, depth);
        return;
    case VALUE_MAP:
        write_map(out, value, style, depth);
        return;
    case VALUE_NULL:
    default:
        text_add(out, "null");
        return;
    }
}

void json_write(struct text *out, const struct value *value)
{
    write_value(out, value, STYLE_LINE, 0);
}

void json_write_canonical(struct text *out, const struct value *value)
{
    write_value(out, value, STYLE_CANONICAL, 0);
}

void json_write_pretty(struct text *out, const struct value *value)
{
    write_value(out, value, STYLE_PRETTY, 0);
}

char *json_text(struct arena *arena, const struct value *value)
{
    struct text text = TEXT_INIT;
    char *copy;

    json_write(&text, value);
    copy = arena_text_n(arena, text.data, text.len);
    text_free(&text);
    return copy;
}
