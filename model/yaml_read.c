/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Manifests from libyaml's events. libyaml 0.2.5 has no limit on nesting and is
 * quadratic in it, so depth is counted here and the parse is given up at once.
 * What goes beyond a plain tree (anchors, aliases, tags, merge keys) is reported
 * and read as if it were not there, so that later mistakes are found as well;
 * after a syntax error reading goes on at the next document. Most manifests are
 * plain and never come here: yaml_plain.c.
 */
#include "model/yaml.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include <yaml.h>

#include "model/arena.h"
#include "model/error.h"
#include "model/invariant.h"
#include "model/report.h"
#include "model/yaml_plain.h"
#include "model/yaml_text.h"

enum { PROBLEMS_MAX = 100, FEW_PAIRS = 16 };

struct reader {
    yaml_parser_t parser;
    struct arena *arena;
    struct report *report;
    const char *file;
    const char *data;
    size_t len;
    size_t values_max; /* below documents */
    size_t values_left;
    bool is_full;         /* there was one more: nothing more is read */
    size_t problems_max;  /* of the report: no file fills it alone */
    unsigned line_before; /* lines in front of what the parser was given */
    unsigned stopped_at;  /* line at which the parse was given up; 0 while it goes on */
};

static struct value *node_read(struct reader *reader, yaml_event_t *event, int depth);

static struct position position_of(const struct reader *reader, yaml_mark_t mark)
{
    return (struct position){
        .file = reader->file,
        .line = (unsigned)mark.line + 1 + reader->line_before,
        .column = (unsigned)mark.column + 1,
    };
}

/* True if reading went on at a line that is wrong itself. */
static bool is_reported(const struct reader *reader, struct position at)
{
    const struct report *report = reader->report;
    bool is_kept = report->kept > 0 && report->kept == report->count;
    const struct problem *last = is_kept ? &report->problems[report->kept - 1] : NULL;

    return last && strcmp(last->code, "syntax") == 0 && last->at.line == at.line &&
           last->at.column == at.column && strcmp(last->at.file, at.file) == 0;
}

static void syntax_report(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    struct position at = position_of(reader, parser->problem_mark);
    const char *problem = parser->problem ? parser->problem : "the text cannot be read";
    const char *hint = "";

    reader->stopped_at = at.line;
    if (is_reported(reader, at))
        return;
    if (strstr(problem, "cannot start any token"))
        hint = "; indent with spaces, not tabs, and quote text that starts with @, `, % or a tab";
    else if (strstr(problem, "mapping values are not allowed"))
        hint = "; quote text that holds \": \", and check the indentation";
    if (parser->context && parser->context_mark.line != parser->problem_mark.line)
        report_add(reader->report, at, "syntax", "%s, %s that starts on line %u%s", problem,
                   parser->context, position_of(reader, parser->context_mark).line, hint);
    else
        report_add(reader->report, at, "syntax", "%s%s", problem, hint);
}

/* The next event, to be deleted by the caller. False once the parse has stopped. */
static bool event_next(struct reader *reader, yaml_event_t *event)
{
    if (reader->stopped_at)
        return false;
    if (!yaml_parser_parse(&reader->parser, event)) {
        if (reader->parser.error == YAML_MEMORY_ERROR)
            memory_out(); /* no fault of the text's */
        syntax_report(reader);
        return false;
    }
    return true;
}

static void refuse_anchor(struct reader *reader, const yaml_char_t *anchor, yaml_mark_t mark)
{
    if (anchor)
        report_add(reader->report, position_of(reader, mark), "anchor",
                   "anchors (&%.40s) are not allowed; write the value out", (const char *)anchor);
}

static void refuse_tag(struct reader *reader, const yaml_char_t *tag, yaml_mark_t mark)
{
    if (tag)
        report_add(reader->report, position_of(reader, mark), "tag",
                   "tags (%.60s) are not allowed; the schema gives every value its type",
                   (const char *)tag);
}

/* True if the bytes of a line were refused already. */
static bool line_is_refused(const struct reader *reader, unsigned line)
{
    size_t first = reader->problems_max - PROBLEMS_MAX;

    invariant(reader->problems_max >= PROBLEMS_MAX, "%s may have %zu problems", reader->file,
              reader->problems_max);

    for (size_t i = first; i < reader->report->kept; i++)
        if (reader->report->problems[i].at.line == line &&
            strcmp(reader->report->problems[i].code, "bad-character") == 0)
            return true;
    return false;
}

/* Escapes of a double-quoted scalar can spell what the bytes may not hold. */
static void check_escapes(struct reader *reader, const char *text, size_t len, yaml_mark_t mark)
{
    for (size_t i = 0; i < len;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)text + i,
                                                 (utf8proc_ssize_t)(len - i), &point);
        const char *why;

        if (step <= 0)
            return;
        i += (size_t)step;
        why = point == '\n' || point == '\t' || point == '\r' ? NULL : yaml_refused(point);
        if (!why)
            continue;
        if (line_is_refused(reader, position_of(reader, mark).line))
            return;
        report_add(reader->report, position_of(reader, mark), "bad-character",
                   "%s U+%04X is not allowed, escaped or not", why, (unsigned)point);
        return;
    }
}

static struct value *scalar_read(struct reader *reader, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    struct value *value = value_null(reader->arena);

    refuse_anchor(reader, event->data.scalar.anchor, event->start_mark);
    refuse_tag(reader, event->data.scalar.tag, event->start_mark);
    if (event->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE)
        check_escapes(reader, text, len, event->start_mark);
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
        yaml_resolve(text, len, value) != VALUE_STRING)
        return value;
    value->type = VALUE_STRING;
    value->text = arena_text_n(reader->arena, text, len);
    value->text_len = strlen(value->text);
    return value;
}

static struct value *list_read(struct reader *reader, int depth)
{
    struct value *list = value_list(reader->arena);
    yaml_event_t event;

    while (event_next(reader, &event)) {
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        value_append(reader->arena, list, node_read(reader, &event, depth));
    }
    return list;
}

/* The key as text; NULL (reported, and the node skipped) if it is not a scalar. */
static const char *key_read(struct reader *reader, yaml_event_t *event, int depth)
{
    struct position at = position_of(reader, event->start_mark);
    const char *key;

    if (event->type != YAML_SCALAR_EVENT) {
        report_add(reader->report, at, "bad-key", "a key must be plain text");
        node_read(reader, event, depth);
        return NULL;
    }
    key = arena_text_n(reader->arena, (const char *)event->data.scalar.value,
                       event->data.scalar.length);
    refuse_anchor(reader, event->data.scalar.anchor, event->start_mark);
    refuse_tag(reader, event->data.scalar.tag, event->start_mark);
    if (event->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE)
        check_escapes(reader, key, event->data.scalar.length, event->start_mark);
    if (strcmp(key, "<<") == 0)
        report_add(reader->report, at, "merge-key",
                   "merge keys (<<) are not allowed; write the fields out");
    else if (*key == '\0')
        report_add(reader->report, at, "bad-key", "a key may not be empty");
    yaml_event_delete(event);
    return key;
}

static int pair_compare(const void *a, const void *b)
{
    const struct pair *x = *(const struct pair *const *)a;
    const struct pair *y = *(const struct pair *const *)b;
    int order = strcmp(x->key, y->key);

    return order ? order : (x > y) - (x < y);
}

static void duplicate_report(struct reader *reader, const struct pair *first,
                             const struct pair *second)
{
    report_add(reader->report, second->at, "duplicate-key",
               "duplicate key `%.80s`; it is set on line %u already", second->key, first->at.line);
}

static void check_duplicates(struct reader *reader, const struct value *map)
{
    const struct pair **order;

    if (map->pair_count <= FEW_PAIRS) {
        for (size_t i = 1; i < map->pair_count; i++)
            for (size_t j = 0; j < i; j++)
                if (strcmp(map->pairs[i].key, map->pairs[j].key) == 0) {
                    duplicate_report(reader, &map->pairs[j], &map->pairs[i]);
                    break;
                }
        return;
    }
    order = arena_array(reader->arena, map->pair_count, sizeof(*order));
    for (size_t i = 0; i < map->pair_count; i++)
        order[i] = &map->pairs[i];
    qsort(order, map->pair_count, sizeof(*order), pair_compare);
    for (size_t i = 1; i < map->pair_count && reader->report->count < reader->problems_max; i++)
        if (strcmp(order[i - 1]->key, order[i]->key) == 0)
            duplicate_report(reader, order[i - 1], order[i]);
}

static struct value *map_read(struct reader *reader, int depth)
{
    struct value *map = value_map(reader->arena);
    yaml_event_t event;

    while (event_next(reader, &event)) {
        struct position at = position_of(reader, event.start_mark);
        struct value *value;
        const char *key;

        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        key = key_read(reader, &event, depth);
        if (!event_next(reader, &event))
            break;
        value = node_read(reader, &event, depth);
        if (!key)
            continue;
        value_push_owned(reader->arena, map, key, at, value);
    }
    check_duplicates(reader, map);
    return map;
}

/* False, and the reading is given up, if the text has too many values. */
static bool node_count(struct reader *reader, struct position at)
{
    if (reader->values_left > 0) {
        reader->values_left--;
        return true;
    }
    report_add(reader->report, at, "too-large",
               "over %zu values in one file, each a hundred bytes of memory; split it into several",
               reader->values_max);
    reader->stopped_at = at.line;
    reader->is_full = true;
    return false;
}

/* Reads the node that `event` begins, and deletes the event. */
static struct value *node_read(struct reader *reader, yaml_event_t *event, int depth)
{
    struct position at = position_of(reader, event->start_mark);
    yaml_event_type_t type = event->type;
    struct value *value;

    invariant(depth <= YAML_MAX_DEPTH, "%s:%u is read %d deep", at.file, at.line, depth);
    if (depth > 0 && !node_count(reader, at)) {
        value = value_null(reader->arena);
    } else if (type == YAML_SCALAR_EVENT) {
        value = scalar_read(reader, event);
    } else if (type == YAML_ALIAS_EVENT) {
        report_add(reader->report, at, "alias",
                   "aliases (*%.40s) are not allowed; "
                   "write the value out",
                   (const char *)event->data.alias.anchor);
        value = value_null(reader->arena);
    } else if (depth == YAML_MAX_DEPTH) {
        report_add(reader->report, at, "too-deep", "nested deeper than %d levels", YAML_MAX_DEPTH);
        reader->stopped_at = at.line;
        value = value_null(reader->arena);
    } else if (type == YAML_SEQUENCE_START_EVENT) {
        refuse_anchor(reader, event->data.sequence_start.anchor, event->start_mark);
        refuse_tag(reader, event->data.sequence_start.tag, event->start_mark);
        value = list_read(reader, depth + 1);
    } else {
        refuse_anchor(reader, event->data.mapping_start.anchor, event->start_mark);
        refuse_tag(reader, event->data.mapping_start.tag, event->start_mark);
        value = map_read(reader, depth + 1);
    }
    value->at = at;
    yaml_event_delete(event);
    return value;
}

/* Reads documents until the end or the first error of syntax. */
static void stream_read(struct reader *reader, struct value *docs)
{
    yaml_event_t event;

    while (reader->report->count < reader->problems_max && event_next(reader, &event)) {
        yaml_event_type_t type = event.type;

        if (type == YAML_STREAM_END_EVENT) {
            yaml_event_delete(&event);
            return;
        }
        if (type == YAML_SCALAR_EVENT || type == YAML_ALIAS_EVENT ||
            type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT) {
            struct value *doc = node_read(reader, &event, 0);

            if (doc->type != VALUE_NULL && !reader->stopped_at)
                value_append(reader->arena, docs, doc);
        } else {
            yaml_event_delete(&event);
        }
    }
}

/* Where the first document at line `after` or later starts, behind the line that
 * `from` is in; `*line` counts the lines before it. */
static size_t next_document(const struct reader *reader, size_t from, unsigned *line,
                            unsigned after)
{
    size_t at = from;

    while (at < reader->len) {
        const char *end = memchr(reader->data + at, '\n', reader->len - at);

        at = end ? (size_t)(end - reader->data) + 1 : reader->len;
        (*line)++;
        if (*line + 1 >= after && yaml_is_boundary(reader->data, reader->len, at))
            return at;
    }
    return reader->len;
}

static void documents_read(struct reader *reader, struct value *docs)
{
    unsigned line = 0; /* lines before `at` */
    size_t at = 0;

    while (at < reader->len && reader->report->count < reader->problems_max) {
        if (!yaml_parser_initialize(&reader->parser))
            memory_out();
        yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&reader->parser, (const unsigned char *)reader->data + at,
                                     reader->len - at);
        reader->line_before = line;
        reader->stopped_at = 0;
        stream_read(reader, docs);
        yaml_parser_delete(&reader->parser);
        if (!reader->stopped_at || reader->is_full)
            return;
        size_t stopped = at;

        at = next_document(reader, at, &line, reader->stopped_at);
        invariant(at > stopped, "%s is read from byte %zu again", reader->file, stopped);
    }
}

int yaml_read_any(struct arena *arena, const char *file, const char *data, size_t len,
                  struct value **docs, struct report *report)
{
    struct reader reader = {
        .arena = arena, .report = report, .file = file, .data = data, .len = len};
    size_t before = report->count;

    *docs = value_list(arena);
    reader.problems_max = before + PROBLEMS_MAX;
    reader.values_max = reader.values_left = value_count_max(len);
    if (!yaml_check_text(file, data, len, report))
        return ERR_INVALID;
    if (len >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) {
        reader.data += 3;
        reader.len -= 3;
    }
    documents_read(&reader, *docs);
    return report->count > before ? ERR_INVALID : 0;
}

int yaml_read(struct arena *arena, const char *file, const char *data, size_t len,
              struct value **docs, struct report *report)
{
    struct value *plain = yaml_plain_read(arena, file, data, len);

    if (plain) {
        *docs = plain;
        return 0;
    }
    return yaml_read_any(arena, file, data, len, docs, report);
}
