/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_TEXT_H
#define MODEL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A growable, always NUL-terminated text. Start as `= TEXT_INIT`; text_free()
 * releases it and makes it usable again. Out of memory ends the process. */
struct text {
    char *data; /* "" before the first append; owned by the text */
    size_t len;
    size_t size;
};

#define TEXT_INIT                                        \
    {                                                    \
        .data = (char *)(size_t) "", .len = 0, .size = 0 \
    }

void text_free(struct text *text);
void text_reset(struct text *text); /* keeps the memory */
void text_add(struct text *text, const char *more);
void text_add_n(struct text *text, const char *more, size_t len);
void text_add_char(struct text *text, char c);
void text_printf(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Bytes of any origin as text of one line that is safe to show: what is no UTF-8, and
 * control, bidirectional and invisible characters, each become U+FFFD. Tabs stay. */
void text_add_shown(struct text *text, const char *bytes, size_t len);
/* The length in bytes of the character at `bytes`, at least 1; sets whether it may be shown. */
size_t text_next_shown(const char *bytes, size_t len, bool *is_shown);

/* Hands the heap string over to the caller (free()); the text is empty again. */
char *text_take(struct text *text) __attribute__((returns_nonnull));

/* Whether two texts are the same. Most that are not differ in their first byte, and no call is made
 * for those. */
static inline bool text_equal(const char *a, const char *b)
{
    return a[0] == b[0] && strcmp(a, b) == 0;
}

/* As strcmp(); NULL is as "", and comes first. */
int text_compare(const char *a, const char *b);

/* Columns that UTF-8 text takes on a terminal (libutf8proc); invalid bytes count 1. */
int text_columns(const char *utf8);
int text_columns_n(const char *utf8, size_t len); /* of its first bytes */
/* The bytes of its longest beginning that takes at most so many columns. */
size_t text_fitting(const char *utf8, int columns);

#endif
