/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Values as block-style YAML. Text is left plain where every reader agrees on it:
 * what YAML 1.1 takes for a number, a date or a boolean is quoted as well.
 */
#include "model/yaml.h"
#include "model/invariant.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>

#include "model/text.h"
#include "model/yaml_text.h"

static void write_node(struct text *out, const struct value *value, int depth, bool after_key);

static void indent(struct text *out, int depth)
{
    for (int i = 0; i < depth; i++)
        text_add_n(out, "  ", 2);
}

static bool is_word_of_yaml_1_1(const char *text)
{
    static const char *const words[] = {"y",   "n",    "yes",   "no",  "on",
                                        "off", "true", "false", "null"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

/* Numbers, dates and base-60 numbers: digits with nothing but their punctuation. */
static bool is_like_number(const char *text)
{
    char *end;

    if (strspn(text, "0123456789:_+-TZ ") == strlen(text))
        return true;
    strtod(text, &end);
    return end != text && *end == '\0';
}

static bool has_refused(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                                 (utf8proc_ssize_t)(len - i), &point);

        if (step <= 0 || (point != '\n' && point != '\t' && yaml_refused(point)))
            return true;
        i += (size_t)step;
    }
    return false;
}

static bool is_plain(const char *text, size_t len)
{
    struct value ignored;

    if (len == 0 || yaml_resolve(text, len, &ignored) != VALUE_STRING || *text == ' ' ||
        text[len - 1] == ' ' || text[len - 1] == ':')
        return false;
    if (strchr("-?:,[]{}#&*!|>'\"%@`=<~.+", *text) || strstr(text, ": ") || strstr(text, " #"))
        return false;
    return !strpbrk(text, "\n\t\r") && !is_word_of_yaml_1_1(text) && !is_like_number(text) &&
           !has_refused(text, len);
}

/* A literal block keeps text as it is, if no line starts or ends in its way. */
static bool is_literal(const char *text, size_t len)
{
    return len > 1 && memchr(text, '\n', len) && *text != ' ' && *text != '\n' &&
           !strchr(text, '\t') && !strchr(text, '\r') && !has_refused(text, len) &&
           !strstr(text, " \n") && text[len - 1] != ' ' && strcmp(text + len - 2, "\n\n") != 0;
}

static void write_literal(struct text *out, const char *text, size_t len, int depth)
{
    invariant(len > 0 && text[len] == '\0', "a block of %zu bytes", len);
    text_add(out, text[len - 1] == '\n' ? "|" : "|-");
    while (*text) {
        size_t line = strcspn(text, "\n");

        text_add_char(out, '\n');
        if (line > 0)
            indent(out, depth);
        text_add_n(out, text, line);
        text += line;
        if (*text == '\n')
            text++;
    }
}

static void write_escaped(struct text *out, utf8proc_int32_t point)
{
    switch (point) {
    case '\n':
        text_add(out, "\\n");
        return;
    case '\t':
        text_add(out, "\\t");
        return;
    case '"':
    case '\\':
        text_add_char(out, '\\');
        text_add_char(out, (char)point);
        return;
    default:
        text_printf(out, point > 0xFFFF ? "\\U%08x" : "\\u%04x", (unsigned)point);
        return;
    }
}

static void write_quoted(struct text *out, const char *text, size_t len)
{
    text_add_char(out, '"');
    for (size_t i = 0; i < len;) {
        utf8proc_int32_t point = 0xFFFD;
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                                 (utf8proc_ssize_t)(len - i), &point);

        if (step <= 0) {
            text_add(out, "\\ufffd");
            step = 1;
        } else if (point == '"' || point == '\\' || yaml_refused(point)) {
            write_escaped(out, point);
        } else {
            text_add_n(out, text + i, (size_t)step);
        }
        i += (size_t)step;
    }
    text_add_char(out, '"');
}

static void write_text(struct text *out, const char *text, size_t len, int depth)
{
    if (is_plain(text, len))
        text_add_n(out, text, len);
    else if (is_literal(text, len))
        write_literal(out, text, len, depth);
    else
        write_quoted(out, text, len);
}

/* A key of more than 1024 characters must be marked as one. Escapes are at most six for a byte. */
enum { KEY_PLAIN_MAX = 1000, KEY_QUOTED_MAX = KEY_PLAIN_MAX / 6 };

static void write_key(struct text *out, const char *key, int depth)
{
    size_t len = strlen(key);
    bool is_bare = is_plain(key, len);
    bool is_long = len > (is_bare ? KEY_PLAIN_MAX : KEY_QUOTED_MAX);

    text_add(out, is_long ? "? " : "");
    if (is_bare)
        text_add_n(out, key, len);
    else
        write_quoted(out, key, len);
    if (is_long) {
        text_add_char(out, '\n');
        indent(out, depth);
    }
    text_add_char(out, ':');
}

static void write_map(struct text *out, const struct value *map, int depth)
{
    for (size_t i = 0; i < map->pair_count; i++) {
        const struct pair *pair = &map->pairs[i];

        if (i > 0)
            indent(out, depth);
        write_key(out, pair->key, depth);
        write_node(out, pair->value, depth + 1, true);
    }
}

static void write_list(struct text *out, const struct value *list, int depth)
{
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            indent(out, depth);
        text_add_char(out, '-');
        write_node(out, list->items[i], depth + 1, false);
    }
}

static void write_scalar(struct text *out, const struct value *value, int depth)
{
    switch (value ? value->type : VALUE_NULL) {
    case VALUE_BOOL:
        text_add(out, value->boolean ? "true" : "false");
        return;
    case VALUE_INT:
        text_printf(out, "%" PRId64, value->integer);
        return;
    case VALUE_STRING:
        write_text(out, value->text, value->text_len, depth);
        return;
    case VALUE_LIST:
        text_add(out, "[]");
        return;
    case VALUE_MAP:
        text_add(out, "{}");
        return;
    case VALUE_NULL:
    default:
        text_add(out, "null");
        return;
    }
}

/* The node behind "key:" or "-", to the end of its last line. */
static void write_node(struct text *out, const struct value *value, int depth, bool after_key)
{
    bool is_map = value_is_map(value) && value->pair_count > 0;
    bool is_list = value_is_list(value) && value->count > 0;

    if (!is_map && !is_list) {
        text_add_char(out, ' ');
        write_scalar(out, value, depth);
        text_add_char(out, '\n');
        return;
    }
    if (after_key) {
        text_add_char(out, '\n');
        indent(out, depth);
    } else {
        text_add_char(out, ' ');
    }
    if (is_map)
        write_map(out, value, depth);
    else
        write_list(out, value, depth);
}

void yaml_write(struct text *out, const struct value *value)
{
    if (value_is_map(value) && value->pair_count > 0) {
        write_map(out, value, 0);
    } else if (value_is_list(value) && value->count > 0) {
        write_list(out, value, 0);
    } else {
        write_scalar(out, value, 1);
        text_add_char(out, '\n');
    }
}
