/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Plain YAML, a line at a time. A construct that is not known here, and everything that is
 * wrong or even doubtful (a duplicate key, an empty value, a scalar that goes on in the next
 * line, a byte beyond ASCII), ends the reading, and libyaml reads the text from its beginning:
 * so this file has no error messages, decides nothing that libyaml might decide otherwise, and
 * may be taken away without a trace but for time. tests/model/test_yaml_plain.c holds the two
 * together.
 */
#include "model/yaml_plain.h"

#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/yaml.h"
#include "model/yaml_text.h"

enum {
    DEPTH_MAX = 32,
    TEXT_MAX = YAML_MAX_DOCUMENT, /* so that none in it is longer */
    KEY_MAX = 128,
    LARGE = 1 << 16,
    PAIRS_MAX = 256, /* of a map: each key is compared with all before it */
};

struct plain {
    struct arena *arena;
    const char *file;
    const char *next; /* line after the current one */
    const char *end;  /* of all */
    const char *line; /* where the current one begins */
    const char *at;   /* in it */
    const char *stop; /* its end, spaces left out */
    unsigned number;
    int indent; /* column of its first character, from 0; -1: a separator or the end */
    bool is_end;
    bool is_doubtful; /* nothing more is read */
    int depth;
    size_t values_left; /* below documents, as libyaml's reader counts */
};

static struct value *block_read(struct plain *plain);
static struct value *flow_read(struct plain *plain);

static struct value *doubt(struct plain *plain)
{
    plain->is_doubtful = true;
    return NULL;
}

static bool value_counts(struct plain *plain)
{
    if (plain->values_left == 0)
        return doubt(plain) != NULL;
    plain->values_left--;
    return true;
}

/* ---- lines -------------------------------------------------------------------------- */

static bool line_is_printable(const char *from, const char *to)
{
    for (; from < to; from++)
        if (*from < 0x20 || *from > 0x7e)
            return false;
    return true;
}

static bool line_take(struct plain *plain)
{
    const char *end = memchr(plain->next, '\n', (size_t)(plain->end - plain->next));

    plain->line = plain->at = plain->next;
    plain->stop = end ? end : plain->end;
    plain->next = end ? end + 1 : plain->end;
    plain->number++;
    if (!line_is_printable(plain->line, plain->stop))
        return doubt(plain) != NULL;
    while (plain->stop > plain->line && plain->stop[-1] == ' ')
        plain->stop--;
    while (plain->at < plain->stop && *plain->at == ' ')
        plain->at++;
    return true;
}

/* To the next line that holds more than a comment. */
static void line_next(struct plain *plain)
{
    do {
        plain->indent = -1;
        plain->is_end = plain->next == plain->end;
        if (plain->is_end || !line_take(plain))
            return;
    } while (plain->at == plain->stop || *plain->at == '#');
    if (plain->stop - plain->line == 3 && memcmp(plain->line, "---", 3) == 0)
        return;
    plain->indent = (int)(plain->at - plain->line);
}

static struct position here(const struct plain *plain)
{
    invariant(plain->line <= plain->at && plain->at <= plain->stop, "%s:%u: %td of %td bytes",
              plain->file, plain->number, plain->at - plain->line, plain->stop - plain->line);
    return (struct position){plain->file, plain->number, (unsigned)(plain->at - plain->line) + 1};
}

/* Nothing but a comment is left of the line; goes to the next one. */
static bool line_ends(struct plain *plain)
{
    const char *from = plain->at;

    while (plain->at < plain->stop && *plain->at == ' ')
        plain->at++;
    if (plain->at < plain->stop && (*plain->at != '#' || plain->at == from))
        return doubt(plain) != NULL;
    line_next(plain);
    return !plain->is_doubtful;
}

/* ---- scalars ------------------------------------------------------------------------ */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '/';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A plain scalar may begin so: not with what means something else in YAML. */
static bool begins_scalar(const char *at, const char *stop)
{
    return at < stop && (is_word(*at) || (*at == '-' && at + 1 < stop && is_digit(at[1])));
}

static struct value *scalar_make(struct plain *plain, struct position at, const char *text,
                                 size_t len)
{
    struct value *value = value_null(plain->arena);

    if (yaml_resolve(text, len, value) == VALUE_STRING) {
        value->text = arena_text_n(plain->arena, text, len);
        value->text_len = len;
    }
    value->at = at;
    return value;
}

/* To the end of the line or to a comment. */
static struct value *scalar_read(struct plain *plain)
{
    struct position at = here(plain);
    const char *start = plain->at, *end;

    for (; plain->at < plain->stop; plain->at++) {
        bool is_last = plain->at + 1 == plain->stop;

        if (*plain->at == ':' && (is_last || plain->at[1] == ' '))
            return doubt(plain);
        if (*plain->at == '#' && plain->at[-1] == ' ')
            break;
    }
    for (end = plain->at; end[-1] == ' ';)
        end--;
    plain->at = end;
    return scalar_make(plain, at, start, (size_t)(end - start));
}

static struct value *quoted_read(struct plain *plain)
{
    struct position at = here(plain);
    char quote = *plain->at++;
    const char *start = plain->at;
    struct value *value;

    while (plain->at < plain->stop && *plain->at != quote && *plain->at != '\\')
        plain->at++;
    if (plain->at == plain->stop || *plain->at != quote)
        return doubt(plain);
    value = value_text_n(plain->arena, start, (size_t)(plain->at++ - start));
    value->at = at;
    return value;
}

/* ---- keys --------------------------------------------------------------------------- */

/* The length of a key with its colon behind it; 0 if there is none here. */
static size_t key_length(const struct plain *plain)
{
    const char *at = plain->at;

    if (at == plain->stop || !is_word(*at))
        return 0;
    while (at < plain->stop && (is_word(*at) || *at == '-'))
        at++;
    if (at == plain->stop || *at != ':' || (at + 1 < plain->stop && at[1] != ' ') ||
        at - plain->at > KEY_MAX)
        return 0;
    return (size_t)(at - plain->at);
}

/* Adds the key here with no value yet, and passes it and its colon. */
static bool key_take(struct plain *plain, struct value *map)
{
    size_t len = map->pair_count < PAIRS_MAX ? key_length(plain) : 0;

    for (size_t i = 0; i < map->pair_count; i++)
        if (strncmp(map->pairs[i].key, plain->at, len) == 0 && map->pairs[i].key[len] == '\0')
            len = 0;
    if (len == 0)
        return doubt(plain) != NULL;
    if (!value_counts(plain))
        return false;
    value_push_owned(plain->arena, map, arena_text_n(plain->arena, plain->at, len), here(plain),
                     map);
    plain->at += len + 1;
    return true;
}

static void value_take(struct value *map, struct value *value)
{
    invariant(map->pair_count > 0 && value && value != map, "of %zu keys the last has no value",
              map->pair_count);
    map->pairs[map->pair_count - 1].value = value;
}

/* ---- flow style, on one line -------------------------------------------------------- */

static char flow_next(struct plain *plain)
{
    while (plain->at < plain->stop && *plain->at == ' ')
        plain->at++;
    return plain->at < plain->stop ? *plain->at : '\0';
}

static struct value *flow_scalar(struct plain *plain)
{
    struct position at = here(plain);
    const char *start = plain->at;

    if (!begins_scalar(start, plain->stop))
        return doubt(plain);
    while (plain->at < plain->stop &&
           (is_word(*plain->at) || (*plain->at && strchr(" -=+@", *plain->at))))
        plain->at++;
    while (plain->at[-1] == ' ')
        plain->at--;
    return scalar_make(plain, at, start, (size_t)(plain->at - start));
}

static struct value *flow_map(struct plain *plain)
{
    struct value *map = value_map(plain->arena);

    map->at = here(plain);
    plain->at++;
    if (flow_next(plain) == '}') {
        plain->at++;
        return map;
    }
    do {
        struct value *value;

        flow_next(plain);
        if (!key_take(plain, map) || !(value = flow_read(plain)))
            return NULL;
        value_take(map, value);
    } while (flow_next(plain) == ',' && plain->at++);
    return flow_next(plain) == '}' && plain->at++ ? map : doubt(plain);
}

static struct value *flow_list(struct plain *plain)
{
    struct value *list = value_list(plain->arena);

    list->at = here(plain);
    plain->at++;
    if (flow_next(plain) == ']') {
        plain->at++;
        return list;
    }
    do {
        struct value *value = flow_read(plain);

        if (!value || !value_counts(plain))
            return NULL;
        value_append(plain->arena, list, value);
    } while (flow_next(plain) == ',' && plain->at++);
    return flow_next(plain) == ']' && plain->at++ ? list : doubt(plain);
}

static struct value *flow_read(struct plain *plain)
{
    char c = flow_next(plain);
    struct value *value;

    if (++plain->depth > DEPTH_MAX)
        return doubt(plain);
    if (c == '{')
        value = flow_map(plain);
    else if (c == '[')
        value = flow_list(plain);
    else if (c == '"' || c == '\'')
        value = quoted_read(plain);
    else
        value = flow_scalar(plain);
    plain->depth--;
    c = flow_next(plain);
    return c == ',' || c == ']' || c == '}' || plain->depth == 0 ? value : doubt(plain);
}

/* ---- block style -------------------------------------------------------------------- */

/* What stands behind a key or a dash, on the rest of the line; no line after it belongs to
 * it, or it is not plain. */
static struct value *inline_read(struct plain *plain, int indent)
{
    char c = *plain->at;
    struct value *value;
    int depth = plain->depth;

    if (c == '{' || c == '[') {
        plain->depth = 0;
        value = c == '{' ? flow_map(plain) : flow_list(plain);
        plain->depth = depth;
    } else if (c == '"' || c == '\'') {
        value = quoted_read(plain);
    } else if (begins_scalar(plain->at, plain->stop)) {
        value = scalar_read(plain);
    } else {
        return doubt(plain);
    }
    if (!value || !line_ends(plain) || plain->indent > indent)
        return doubt(plain);
    return value;
}

static bool is_item(const struct plain *plain)
{
    return plain->indent >= 0 && plain->stop - plain->at > 1 && plain->at[0] == '-' &&
           plain->at[1] == ' ';
}

/* The lines below a key: deeper, or a list that stands as deep as the key. */
static struct value *below_read(struct plain *plain, int indent)
{
    if (!line_ends(plain))
        return NULL;
    if (plain->indent > indent || (plain->indent == indent && is_item(plain)))
        return block_read(plain);
    return doubt(plain);
}

static struct value *map_read(struct plain *plain)
{
    struct value *map = value_map(plain->arena), *value;
    int indent = plain->indent;

    map->at = here(plain);
    while (plain->indent == indent) {
        const char *colon;

        if (!key_take(plain, map))
            return NULL;
        colon = plain->at;
        while (plain->at < plain->stop && *plain->at == ' ')
            plain->at++;
        if (plain->at == plain->stop || *plain->at == '#') {
            plain->at = colon;
            value = below_read(plain, indent);
        } else {
            value = inline_read(plain, indent);
        }
        if (!value)
            return NULL;
        value_take(map, value);
    }
    return plain->indent > indent ? doubt(plain) : map;
}

/* An item that is a map begins on the line of its dash, as deep as its first key stands. */
static struct value *item_read(struct plain *plain, int indent)
{
    do
        plain->at++;
    while (plain->at < plain->stop && *plain->at == ' ');
    if (key_length(plain) == 0)
        return inline_read(plain, indent);
    plain->indent = (int)(plain->at - plain->line);
    return map_read(plain);
}

static struct value *list_read(struct plain *plain)
{
    struct value *list = value_list(plain->arena);
    int indent = plain->indent;

    list->at = here(plain);
    while (plain->indent == indent && is_item(plain)) {
        struct value *item = item_read(plain, indent);

        if (!item || !value_counts(plain))
            return NULL;
        value_append(plain->arena, list, item);
    }
    return plain->indent > indent ? doubt(plain) : list;
}

static struct value *block_read(struct plain *plain)
{
    struct value *value;

    if (++plain->depth > DEPTH_MAX)
        return doubt(plain);
    value = is_item(plain) ? list_read(plain) : map_read(plain);
    plain->depth--;
    return value;
}

/* A document is a map that begins in the first column. */
static struct value *documents_read(struct plain *plain)
{
    struct value *docs = value_list(plain->arena);

    line_next(plain);
    while (!plain->is_end && !plain->is_doubtful) {
        struct value *document;

        if (plain->indent < 0) {
            line_next(plain);
            continue;
        }
        if (plain->indent > 0 || is_item(plain) || !(document = block_read(plain)) ||
            plain->indent >= 0)
            return NULL;
        invariant(plain->depth == 0, "%s:%u: a document ends %d deep", plain->file, plain->number,
                  plain->depth);
        value_append(plain->arena, docs, document);
    }
    return plain->is_doubtful ? NULL : docs;
}

struct value *yaml_plain_read(struct arena *arena, const char *file, const char *data, size_t len)
{
    struct plain plain = {.arena = len > LARGE ? arena_new() : arena, /* nothing is left of a try */
                          .file = file,
                          .next = data,
                          .end = data + len,
                          .values_left = value_count_max(len)};
    struct value *docs = len <= TEXT_MAX ? documents_read(&plain) : NULL;

    if (plain.arena != arena && docs)
        arena_join(arena, plain.arena);
    else if (plain.arena != arena)
        arena_free(plain.arena);
    return docs;
}
