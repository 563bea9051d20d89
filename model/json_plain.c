/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Plain JSON in one pass, without a tree in between. Anything out of the ordinary (an
 * escape by number or in a key, a byte beyond ASCII, a fraction, a large map, an error) ends the
 * pass, and jansson reads the text from its beginning: so this file has no error messages, and may
 * be taken away without a trace but for time. tests/model/test_json.c holds the two together.
 */
#include "model/json_plain.h"

#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"

enum { DEPTH_MAX = 64, KEYS_MAX = 32, DIGITS_MAX = 18, LARGE = 1 << 16 };

/* Members gather here until their list or map ends, so that it is made in its exact size. */
struct gather {
    struct pair *pairs;
    size_t count;
    size_t room;
};

struct plain {
    struct arena *arena;
    const char *at;
    const char *end;
    int depth;
    size_t left; /* how many more are counted */
    struct gather gather;
    struct json_rows *rows; /* NULL: all lists are read */
    bool in_result;
};

static struct value *value_read(struct plain *plain);

static void blank_skip(struct plain *plain)
{
    while (plain->at < plain->end &&
           (*plain->at == ' ' || *plain->at == '\n' || *plain->at == '\t' || *plain->at == '\r'))
        plain->at++;
}

static bool char_take(struct plain *plain, char c)
{
    blank_skip(plain);
    if (plain->at == plain->end || *plain->at != c)
        return false;
    plain->at++;
    return true;
}

/* A comma or an opening bracket, counted as json_read.c does. */
static bool counted_take(struct plain *plain, char c)
{
    size_t count = c == '{' ? 2 : 1;

    if (plain->left < count || !char_take(plain, c))
        return false;
    plain->left -= count;
    return true;
}

/* What a backslash before this character stands for; 0: nothing plain. */
static char escaped(char c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = c ? strchr(from, c) : NULL;

    return at ? to[at - from] : '\0';
}

/* Behind the opening quote: the text up to the closing one, which is passed, with `*escapes` of
 * two characters in it. */
static const char *text_take(struct plain *plain, size_t *len, size_t *escapes)
{
    const char *start = plain->at;

    *escapes = 0;
    for (; plain->at < plain->end; plain->at++) {
        unsigned char c = (unsigned char)*plain->at;

        if (c == '"') {
            *len = (size_t)(plain->at++ - start);
            return start;
        }
        if (c < 0x20 || c >= 0x7f)
            return NULL;
        if (c == '\\') {
            plain->at++;
            if (plain->at == plain->end || !escaped(*plain->at))
                return NULL;
            ++*escapes;
        }
    }
    return NULL;
}

static struct value *number_read(struct plain *plain)
{
    bool is_negative = *plain->at == '-';
    const char *digits = plain->at + is_negative;
    int64_t number = 0;
    size_t count = 0;

    while (digits + count < plain->end && digits[count] >= '0' && digits[count] <= '9') {
        if (count == DIGITS_MAX)
            return NULL;
        number = number * 10 + (digits[count++] - '0');
    }
    plain->at = digits + count;
    if (count == 0 || (digits[0] == '0' && (count > 1 || is_negative)) ||
        (plain->at < plain->end && strchr(".eE+-", *plain->at)))
        return NULL;
    return value_int(plain->arena, is_negative ? -number : number);
}

static bool word_take(struct plain *plain, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(plain->end - plain->at) < len || memcmp(plain->at, word, len) != 0)
        return false;
    plain->at += len;
    return true;
}

static void gather_add(struct gather *gather, const char *key, struct value *value)
{
    if (gather->count == gather->room) {
        gather->room = gather->room ? 2 * gather->room : 64;
        gather->pairs =
            memory_need(reallocarray(gather->pairs, gather->room, sizeof(*gather->pairs)));
    }
    gather->pairs[gather->count++] = (struct pair){.key = key, .value = value};
}

static struct value *list_end(struct plain *plain, size_t first)
{
    struct gather *gather = &plain->gather;
    struct value *list = value_list(plain->arena);

    list->room = list->count = gather->count - first;
    list->items = list->count ? arena_array(plain->arena, list->count, sizeof(*list->items)) : NULL;
    for (size_t i = 0; i < list->count; i++)
        list->items[i] = gather->pairs[first + i].value;
    gather->count = first;
    return list;
}

static struct value *list_read(struct plain *plain)
{
    size_t first = plain->gather.count;

    if (char_take(plain, ']'))
        return list_end(plain, first);
    do {
        struct value *item = value_read(plain);

        if (!item)
            return NULL;
        gather_add(&plain->gather, NULL, item);
    } while (counted_take(plain, ','));
    return char_take(plain, ']') ? list_end(plain, first) : NULL;
}

/* Few keys, each but once. */
static bool keys_are_fit(const struct pair *pairs, size_t count)
{
    if (count > KEYS_MAX)
        return false;
    for (size_t i = 1; i < count; i++)
        for (size_t n = 0; n < i; n++)
            if (pairs[i].key[0] == pairs[n].key[0] && strcmp(pairs[i].key, pairs[n].key) == 0)
                return false;
    return true;
}

static struct value *map_end(struct plain *plain, size_t first)
{
    struct gather *gather = &plain->gather;
    struct value *map = value_map(plain->arena);
    size_t count = gather->count - first;

    if (count > 0 && !keys_are_fit(gather->pairs + first, count))
        return NULL;
    map->pair_room = map->pair_count = count;
    if (count > 0) {
        map->pairs = arena_array(plain->arena, count, sizeof(*map->pairs));
        memcpy(map->pairs, gather->pairs + first, count * sizeof(*map->pairs));
    }
    gather->count = first;
    return map;
}

static bool is_row(const struct value *value)
{
    if (!value_is_list(value))
        return false;
    for (size_t i = 0; i < value->count; i++)
        if (!value_is_text(value->items[i]) && value->items[i]->type != VALUE_INT)
            return false;
    return true;
}

/* Reads rows and drops them, up to the end of their list: NULL if they are no plain rows. What is
 * dropped is not counted beside the others. */
static const char *rows_pass(struct plain *plain)
{
    struct arena *arena = plain->arena, *scratch = arena_new();
    size_t left = plain->left;
    bool are_rows;

    plain->arena = scratch;
    do {
        are_rows = is_row(value_read(plain));
        plain->left = left;
        arena_reset(scratch);
    } while (are_rows && char_take(plain, ','));
    plain->arena = arena;
    arena_free(scratch);
    blank_skip(plain);
    return are_rows && plain->at < plain->end && *plain->at == ']' ? plain->at++ : NULL;
}

/* A list that is left as text: an empty one, or NULL with nothing read. */
static struct value *rows_find(struct plain *plain)
{
    struct plain start;

    blank_skip(plain);
    start = *plain;
    if (counted_take(plain, '[')) {
        const char *first = plain->at, *end = rows_pass(plain);

        if (end) {
            *plain->rows = (struct json_rows){first, end};
            return value_list(plain->arena);
        }
    }
    start.gather.pairs = plain->gather.pairs; /* it may have grown */
    start.gather.room = plain->gather.room;
    *plain = start;
    return NULL;
}

static struct value *member_read(struct plain *plain, const char *key)
{
    bool was_in_result = plain->in_result;
    struct value *value = NULL;

    if (plain->rows && plain->depth == 2 && was_in_result && strcmp(key, "list") == 0)
        value = rows_find(plain);
    plain->in_result = plain->depth == 1 ? strcmp(key, "result") == 0 : was_in_result;
    if (!value)
        value = value_read(plain);
    plain->in_result = was_in_result;
    return value;
}

static bool pair_read(struct plain *plain)
{
    size_t len, escapes;
    const char *key = char_take(plain, '"') ? text_take(plain, &len, &escapes) : NULL;
    struct value *value;

    if (!key || escapes || !char_take(plain, ':'))
        return false;
    key = arena_text_n(plain->arena, key, len);
    value = member_read(plain, key);
    if (value)
        gather_add(&plain->gather, key, value);
    return value != NULL;
}

static struct value *map_read(struct plain *plain)
{
    size_t first = plain->gather.count;

    if (char_take(plain, '}'))
        return map_end(plain, first);
    do {
        if (!pair_read(plain))
            return NULL;
    } while (counted_take(plain, ','));
    return char_take(plain, '}') ? map_end(plain, first) : NULL;
}

static struct value *nested_read(struct plain *plain, struct value *(*read)(struct plain *plain))
{
    struct value *value;

    if (plain->depth == DEPTH_MAX || !counted_take(plain, *plain->at))
        return NULL;
    plain->depth++;
    value = read(plain);
    plain->depth--;
    return value;
}

static struct value *text_unescape(struct arena *arena, const char *raw, size_t len, size_t escapes)
{
    struct value *value = value_text_n(arena, "", 0);
    char *text = arena_text_room(arena, len - escapes), *to = text;

    for (const char *at = raw; at < raw + len; at++)
        *to++ = *at == '\\' ? escaped(*++at) : *at;
    invariant(to == text + (len - escapes), "%zu bytes with %zu escapes are %td", len, escapes,
              to - text);
    value->text = text;
    value->text_len = len - escapes;
    return value;
}

static struct value *text_read(struct plain *plain)
{
    size_t len, escapes;
    const char *text;

    plain->at++;
    text = text_take(plain, &len, &escapes);
    if (text && escapes)
        return text_unescape(plain->arena, text, len, escapes);
    return text ? value_text_n(plain->arena, text, len) : NULL;
}

static struct value *value_read(struct plain *plain)
{
    blank_skip(plain);
    if (plain->at == plain->end)
        return NULL;
    switch (*plain->at) {
    case '{':
        return nested_read(plain, map_read);
    case '[':
        return nested_read(plain, list_read);
    case '"':
        return text_read(plain);
    case 't':
        return word_take(plain, "true") ? value_bool(plain->arena, true) : NULL;
    case 'f':
        return word_take(plain, "false") ? value_bool(plain->arena, false) : NULL;
    case 'n':
        return word_take(plain, "null") ? value_null(plain->arena) : NULL;
    default:
        return number_read(plain);
    }
}

struct value *json_plain_read(struct arena *arena, const char *data, size_t len, size_t values_max)
{
    return json_plain_message(arena, data, len, values_max, NULL);
}

const struct value *json_rows_next(struct json_rows *rows, struct arena *arena)
{
    struct plain plain = {.arena = arena, .at = rows ? rows->at : NULL, .left = SIZE_MAX};
    struct value *row;

    if (!plain.at)
        return NULL;
    plain.end = rows->end;
    row = value_read(&plain);
    invariant(is_row(row), "a row that was one is none");
    rows->at = char_take(&plain, ',') ? plain.at : NULL;
    free(plain.gather.pairs);
    return row;
}

struct value *json_plain_message(struct arena *arena, const char *data, size_t len,
                                 size_t values_max, struct json_rows *rows)
{
    struct plain plain = {.arena = len > LARGE ? arena_new() : arena, /* nothing is left of a try */
                          .at = data,
                          .end = data + len,
                          .left = values_max,
                          .rows = rows};
    struct value *value;

    if (rows)
        *rows = (struct json_rows){0};
    value = value_read(&plain);

    blank_skip(&plain);
    if (plain.at != plain.end)
        value = NULL;
    free(plain.gather.pairs);
    if (plain.arena != arena && value)
        arena_join(arena, plain.arena);
    else if (plain.arena != arena)
        arena_free(plain.arena);
    return value;
}
