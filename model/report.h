/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_REPORT_H
#define MODEL_REPORT_H

#include <stddef.h>
#include <stdbool.h>
#include "model/value.h"

struct arena;
struct text;

/*
 * Problems found in manifests, all of them and not just the first. Each carries
 * its place, a stable code ("unknown-field", "duplicate-key", "bad-reference",
 * ...), one sentence, and the source line it points into. The first thousand are kept and
 * the rest counted: a file of three bytes a mistake would fill the memory with them.
 */
enum { REPORT_KEPT_MAX = 1000 };

struct problem {
    struct position at;
    const char *code;
    const char *message;
    const char *source; /* the line of the manifest as it may be shown; NULL if unknown */
};

struct report {
    struct arena *arena; /* everything below lives here; borrowed */
    struct problem *problems;
    size_t kept;  /* in `problems` */
    size_t count; /* found */
    size_t room;
};

void report_init(struct report *report, struct arena *arena);

/* Adds a problem. Nothing that it is given is borrowed but `code`, a literal. */
void report_add(struct report *report, struct position at, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* True if what is added next is counted only. */
bool report_is_full(const struct report *report);

/* Leaves the first `count`. */
void report_forget(struct report *report, size_t count);

/* Gives every problem of `file` that has none its source line from `data`. */
void report_attach_source(struct report *report, const char *file, const char *data, size_t len);

/* Orders by file, line, column, code. */
void report_sort(struct report *report);

/* Number of distinct files that have a problem that is kept. */
size_t report_files(const struct report *report);

/* Appends "file:line:column: error: message", the source line and a caret line
 * for each. `color` adds ANSI colours. Tabs and wide characters before the caret
 * keep it under its column. */
void report_write(struct text *out, const struct report *report, bool color);

/* [{"file","line","column","code","message"}] */
struct value *report_value(struct arena *arena, const struct report *report);

/* The candidate nearest to `word` by edit distance (at most 2, and less than half
 * of its length), or NULL: for "did you mean". */
const char *report_nearest(const char *word, const char *const *candidates, size_t count);

/* The same for a problem that is about to be added: NULL without a look if the report is full. */
const char *report_suggest(const struct report *report, const char *word,
                           const char *const *candidates, size_t count);

#endif
