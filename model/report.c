/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Problems are collected and shown together, each with the line it points into:
 * a person who fixes one file wants all of its mistakes at once.
 */
#include "model/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/text.h"

void report_init(struct report *report, struct arena *arena)
{
    *report = (struct report){.arena = arena};
}

static struct problem *problem_new(struct report *report)
{
    report->problems = arena_grow(report->arena, report->problems, report->kept, &report->room,
                                  sizeof(*report->problems));
    invariant(report->arena && report->kept < report->room, "problem %zu of %zu", report->kept,
              report->room);
    return &report->problems[report->kept++];
}

/* Problems quote what strangers wrote, and end on terminals. */
static const char *shown_text(struct arena *arena, const char *bytes, size_t len)
{
    struct text shown = TEXT_INIT;
    const char *kept;

    text_add_shown(&shown, bytes, len);
    kept = arena_text_n(arena, shown.data, shown.len);
    text_free(&shown);
    return kept;
}

bool report_is_full(const struct report *report)
{
    return report->kept == REPORT_KEPT_MAX;
}

void report_add(struct report *report, struct position at, const char *code, const char *fmt, ...)
{
    struct problem *problem;
    char message[2048];
    va_list args;

    invariant(code && code[0], "a problem without a code at %u:%u", at.line, at.column);
    report->count++;
    if (report_is_full(report))
        return;
    problem = problem_new(report);
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    at.file = arena_text(report->arena, at.file); /* the reader's own may end before the report */
    *problem = (struct problem){
        .at = at,
        .code = code,
        .message = shown_text(report->arena, message, strlen(message)),
    };
}

void report_forget(struct report *report, size_t count)
{
    report->count = count < report->count ? count : report->count;
    report->kept = count < report->kept ? count : report->kept;
}

static bool same_file(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* By line, so that one walk over a file's bytes serves all its problems. */
static int problem_compare_line(const void *a, const void *b)
{
    unsigned x = (*(struct problem *const *)a)->at.line;
    unsigned y = (*(struct problem *const *)b)->at.line;

    return (x > y) - (x < y);
}

enum { SOURCE_MAX = 4096 }; /* bytes of a line that are kept to be shown */

static void attach_lines(struct report *report, struct problem **wanted, size_t count,
                         const char *data, size_t len)
{
    unsigned line = 1;
    size_t start = 0;

    for (size_t i = 0; i < count; i++) {
        const char *end;
        size_t size;

        while (line < wanted[i]->at.line && start < len) {
            end = memchr(data + start, '\n', len - start);
            start = end ? (size_t)(end - data) + 1 : len;
            line++;
        }
        if (i > 0 && wanted[i - 1]->at.line == wanted[i]->at.line) {
            wanted[i]->source = wanted[i - 1]->source;
            continue;
        }
        end = memchr(data + start, '\n', len - start);
        size = end ? (size_t)(end - data) - start : len - start;
        if (size > 0 && data[start + size - 1] == '\r')
            size--;
        if (size <= SOURCE_MAX)
            wanted[i]->source = shown_text(report->arena, data + start, size);
    }
}

void report_attach_source(struct report *report, const char *file, const char *data, size_t len)
{
    struct problem *wanted[REPORT_KEPT_MAX];
    size_t count = 0;

    for (size_t i = 0; i < report->kept; i++) {
        struct problem *problem = &report->problems[i];

        if (!problem->source && problem->at.line > 0 && same_file(problem->at.file, file))
            wanted[count++] = problem;
    }
    if (count == 0)
        return;
    qsort(wanted, count, sizeof(struct problem *), problem_compare_line);
    attach_lines(report, wanted, count, data, len);
}

static int problem_compare(const void *a, const void *b)
{
    const struct problem *x = a;
    const struct problem *y = b;
    int order = text_compare(x->at.file, y->at.file);

    if (order == 0)
        order = (x->at.line > y->at.line) - (x->at.line < y->at.line);
    if (order == 0)
        order = (x->at.column > y->at.column) - (x->at.column < y->at.column);
    if (order == 0)
        order = strcmp(x->code, y->code);
    return order ? order : strcmp(x->message, y->message);
}

void report_sort(struct report *report)
{
    if (report->kept > 1)
        qsort(report->problems, report->kept, sizeof(*report->problems), problem_compare);
}

static int name_compare(const void *a, const void *b)
{
    return text_compare(*(const char *const *)a, *(const char *const *)b);
}

size_t report_files(const struct report *report)
{
    const char **names = arena_array(report->arena, report->kept, sizeof(*names));
    size_t distinct = 0;

    if (report->kept == 0)
        return 0;
    for (size_t i = 0; i < report->kept; i++)
        names[i] = report->problems[i].at.file;
    qsort(names, report->kept, sizeof(const char *), name_compare);
    for (size_t i = 0; i < report->kept; i++)
        if (i == 0 || !same_file(names[i - 1], names[i]))
            distinct++;
    return distinct;
}

/* The blank that is as wide as the first `column - 1` characters. */
static void write_pad(struct text *out, const char *line, unsigned column)
{
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)line;

    for (unsigned n = 1; *at && n < column; n++) {
        utf8proc_int32_t point = -1;
        utf8proc_ssize_t len = utf8proc_iterate(at, -1, &point);
        int width = *at == '\t' || len < 1 ? 1 : utf8proc_charwidth(point);

        for (int i = 0; i < width; i++)
            text_add_char(out, *at == '\t' ? '\t' : ' ');
        at += len < 1 ? 1 : len;
    }
}

static void problem_write(struct text *out, const struct problem *problem, bool color)
{
    const char *bold = color ? "\033[1m" : "";
    const char *red = color ? "\033[1;31m" : "";
    const char *green = color ? "\033[1;32m" : "";
    const char *off = color ? "\033[0m" : "";

    const char *file = problem->at.file ? problem->at.file : "<unknown>";

    text_add(out, bold);
    text_add_shown(out, file, strlen(file));
    if (problem->at.line > 0)
        text_printf(out, ":%u:%u", problem->at.line, problem->at.column);
    text_printf(out, ":%s %serror:%s %s\n", off, red, off, problem->message);
    if (problem->source) {
        text_printf(out, "%s\n", problem->source);
        write_pad(out, problem->source, problem->at.column);
        text_printf(out, "%s^%s\n", green, off);
    }
}

void report_write(struct text *out, const struct report *report, bool color)
{
    for (size_t i = 0; i < report->kept; i++)
        problem_write(out, &report->problems[i], color);
}

struct value *report_value(struct arena *arena, const struct report *report)
{
    struct value *list = value_list(arena);

    for (size_t i = 0; i < report->kept; i++) {
        const struct problem *problem = &report->problems[i];
        struct value *item = value_append(arena, list, value_map(arena));

        value_set_text(arena, item, "file", problem->at.file);
        value_set_int(arena, item, "line", problem->at.line);
        value_set_int(arena, item, "column", problem->at.column);
        value_set_text(arena, item, "code", problem->code);
        value_set_text(arena, item, "message", problem->message);
    }
    return list;
}
