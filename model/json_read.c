/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Reading JSON. What is plain has a fast path (json_plain.c); jansson parses the rest. Before it
 * does, one scan over the bytes refuses what it would take and we do not (fractions, more than 64
 * levels, far more values than bytes), with the line and column that jansson could not give
 * afterwards.
 */
#include "model/json.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "model/arena.h"
#include "model/error.h"
#include "model/invariant.h"
#include "model/json_plain.h"

enum { JSON_MAX_DEPTH = 64 };

struct scan {
    unsigned line;
    unsigned column;
    int depth;
    size_t values_max;
    size_t left; /* how many commas and opening brackets more, of maps counted twice */
    bool in_text;
    bool in_number;
};

static int scan_text(struct scan *scan, const char *data, size_t *i)
{
    if (data[*i] == '\\') {
        (*i)++;
        scan->column++;
    } else if (data[*i] == '"') {
        scan->in_text = false;
    }
    return 0;
}

/* Nothing is made of a text that would be far larger in memory than it is. */
static int scan_count(struct scan *scan, char c, struct error *err)
{
    size_t count = c == '{' ? 2 : 1;

    if (scan->left >= count) {
        scan->left -= count;
        return 0;
    }
    error_set(err, ERR_INVALID,
              "JSON at line %u, column %u: over %zu values, each a hundred bytes of memory",
              scan->line, scan->column, scan->values_max);
    return error_hint(err, "Leave out what is empty, or split it into several texts.");
}

static int scan_plain(struct scan *scan, char c, struct error *err)
{
    bool was_number = scan->in_number;

    scan->in_number = (c >= '0' && c <= '9') || (was_number && strchr("+-", c));
    switch (c) {
    case '"':
        scan->in_text = true;
        return 0;
    case '[':
    case '{':
        if (++scan->depth > JSON_MAX_DEPTH)
            return error_set(err, ERR_INVALID,
                             "JSON at line %u, column %u: nested deeper than %d levels", scan->line,
                             scan->column, JSON_MAX_DEPTH);
        return scan_count(scan, c, err);
    case ',':
        return scan_count(scan, c, err);
    case ']':
    case '}':
        scan->depth--;
        return 0;
    case '.':
    case 'e':
    case 'E':
        if (was_number)
            return error_set(err, ERR_INVALID,
                             "JSON at line %u, column %u: a number with a fraction or exponent; "
                             "only whole numbers are taken",
                             scan->line, scan->column);
        return 0;
    default:
        return 0;
    }
}

static int json_scan(const char *data, size_t len, size_t values_max, struct error *err)
{
    struct scan scan = {.line = 1, .column = 1, .values_max = values_max, .left = values_max};

    for (size_t i = 0; i < len; i++) {
        char c = data[i];
        int rc = scan.in_text ? scan_text(&scan, data, &i) : scan_plain(&scan, c, err);

        if (rc < 0)
            return rc;
        if (c == '\n') {
            scan.line++;
            scan.column = 1;
        } else if (((unsigned char)c & 0xC0) != 0x80) {
            scan.column++;
        }
    }
    return 0;
}

static struct value *value_of(struct arena *arena, json_t *json)
{
    struct value *value;
    const char *key;
    json_t *child;
    size_t i;

    switch (json_typeof(json)) {
    case JSON_TRUE:
    case JSON_FALSE:
        return value_bool(arena, json_is_true(json));
    case JSON_INTEGER:
        return value_int(arena, (int64_t)json_integer_value(json));
    case JSON_STRING:
        return value_text_n(arena, json_string_value(json), json_string_length(json));
    case JSON_ARRAY:
        value = value_list(arena);
        value->room = json_array_size(json);
        value->items = arena_array(arena, value->room, sizeof(*value->items));
        json_array_foreach(json, i, child)
            value_append(arena, value, value_of(arena, child));
        return value;
    case JSON_OBJECT:
        value = value_map(arena);
        value->pair_room = json_object_size(json);
        value->pairs = arena_array(arena, value->pair_room, sizeof(*value->pairs));
        json_object_foreach(json, key, child)
            value_push(arena, value, key, value_of(arena, child));
        return value;
    case JSON_NULL:
    case JSON_REAL:
    default:
        return value_null(arena);
    }
}

int json_read_any(struct arena *arena, const char *data, size_t len, size_t values_max,
                  struct value **out, struct error *err)
{
    json_error_t problem = {.text = ""};
    json_t *json;
    int rc = json_scan(data, len, values_max, err);

    if (rc < 0)
        return rc;
    json = json_loadb(data, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (!json && (!problem.text[0] || json_error_code(&problem) == json_error_out_of_memory))
        memory_out(); /* no fault of the text's */
    if (!json)
        return error_set(err, ERR_INVALID, "JSON at line %d, column %d: %s", problem.line,
                         problem.column, problem.text);
    *out = value_of(arena, json);
    json_decref(json);
    return 0;
}

int json_read_message(struct arena *arena, const char *data, size_t len, struct value **out,
                      struct json_rows *rows, struct error *err)
{
    size_t values_max = value_count_max(len);
    struct value *plain = json_plain_message(arena, data, len, values_max, rows);

    if (plain) {
        *out = plain;
        return 0;
    }
    *rows = (struct json_rows){0};
    return json_read_any(arena, data, len, values_max, out, err);
}

static int read_up_to(struct arena *arena, const char *data, size_t len, size_t values_max,
                      struct value **out, struct error *err)
{
    struct value *plain = json_plain_read(arena, data, len, values_max);

    if (plain) {
        *out = plain;
        return 0;
    }
    return json_read_any(arena, data, len, values_max, out, err);
}

int json_read(struct arena *arena, const char *data, size_t len, struct value **out,
              struct error *err)
{
    return read_up_to(arena, data, len, value_count_max(len), out, err);
}

int json_read_own(struct arena *arena, const char *data, size_t len, struct value **out,
                  struct error *err)
{
    return read_up_to(arena, data, len, SIZE_MAX, out, err);
}
