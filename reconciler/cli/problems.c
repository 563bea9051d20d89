/* SPDX-License-Identifier: MPL-2.0 */
/* What is wrong with manifests, for people. */
#include "reconciler/cli/problems.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "model/arena.h"
#include "model/text.h"
#include "reconciler/cli/follow.h"
#include "reconciler/cli/terminal.h"

const char *problems_count(const struct report *report)
{
    size_t files = report_files(report);

    if (report->count > report->kept)
        return arena_printf(report->arena, "%zu errors; these are the first %zu", report->count,
                            report->kept);
    return arena_printf(report->arena, "%zu error%s in %zu file%s", report->count,
                        report->count == 1 ? "" : "s", files, files == 1 ? "" : "s");
}

void problems_print(const struct report *report)
{
    struct text text = TEXT_INIT;

    report_write(&text, report, terminal_has_color(stderr));
    text_printf(&text, "%s\n", problems_count(report));
    fwrite(text.data, 1, text.len, stderr);
    text_free(&text);
}

/* Bytes of `text` before its `points`-th character. */
static size_t bytes_before(const char *text, unsigned points)
{
    size_t at = 0;

    while (points-- > 0 && text[at]) {
        utf8proc_int32_t point;
        utf8proc_ssize_t len = utf8proc_iterate((const utf8proc_uint8_t *)text + at, -1, &point);

        at += len > 0 ? (size_t)len : 1;
    }
    return at;
}

/* A few characters before the caret are enough to find the place again. */
static void source_print(const char *source, unsigned column, int columns)
{
    unsigned before = column > 0 ? column - 1 : 0;
    unsigned start = before > (unsigned)columns * 2 / 3 ? before - (unsigned)columns / 3 : 0;
    const char *from = source + bytes_before(source, start);
    size_t len = text_fitting(from, columns), lead = bytes_before(from, before - start);

    while (len > 0 && (from[len - 1] == ' ' || from[len - 1] == '\t'))
        len--;
    for (size_t i = 0; i < len; i++)
        putchar(from[i] == '\t' ? ' ' : from[i]);
    printf("\n%*s^\n", text_columns_n(from, lead), "");
}

void problems_print_narrow(const struct report *report, int columns)
{
    struct follow out = {.out = stdout, .width = columns};

    for (size_t i = 0; i < report->kept; i++) {
        const struct problem *problem = &report->problems[i];
        const char *name = problem->at.file ? problem->at.file : "?";
        struct text file = TEXT_INIT;

        text_add_shown(&file, name, strlen(name));
        follow_say(&out, 2,
                   arena_printf(report->arena, "%s:%u:%u: error: %s", file.data, problem->at.line,
                                problem->at.column, problem->message));
        if (problem->source)
            source_print(problem->source, problem->at.column, columns);
        text_free(&file);
    }
}
