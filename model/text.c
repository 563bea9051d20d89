/* SPDX-License-Identifier: MPL-2.0 */
/* A text grows by doubling; its data is always terminated. */
#include "model/text.h"
#include "model/invariant.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static char empty[1] = "";

static void text_grow(struct text *text, size_t more)
{
    size_t size = text->size ? text->size : 64;
    char *data;

    invariant(more < SIZE_MAX / 4 && text->len <= text->size, "a text of %zu and %zu bytes in %zu",
              text->len, more, text->size);
    while (size <= text->len + more)
        size *= 2;
    invariant(size > text->len + more && size > text->size, "a text of %zu grows from %zu to %zu",
              text->len, text->size, size);
    data = memory_need(realloc(text->size ? text->data : NULL, size));
    data[text->len] = '\0';
    text->data = data;
    text->size = size;
}

/* Makes room for `more` bytes and the terminator. */
static inline void text_reserve(struct text *text, size_t more)
{
    if (more >= text->size - text->len)
        text_grow(text, more);
}

void text_free(struct text *text)
{
    if (text->size)
        free(text->data);
    text->data = empty;
    text->len = 0;
    text->size = 0;
}

void text_reset(struct text *text)
{
    text->len = 0;
    if (text->size)
        text->data[0] = '\0';
}

void text_add_n(struct text *text, const char *more, size_t len)
{
    invariant(more || len == 0, "%zu bytes of nothing are added to a text", len);
    text_reserve(text, len);
    if (len > 0)
        memcpy(text->data + text->len, more, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void text_add(struct text *text, const char *more)
{
    text_add_n(text, more, strlen(more));
}

void text_add_char(struct text *text, char c)
{
    text_reserve(text, 1);
    text->data[text->len++] = c;
    text->data[text->len] = '\0';
}

void text_printf(struct text *text, const char *fmt, ...)
{
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0)
        return;
    text_reserve(text, (size_t)len);
    va_start(args, fmt);
    vsnprintf(text->data + text->len, (size_t)len + 1, fmt, args);
    va_end(args);
    text->len += (size_t)len;
}

char *text_take(struct text *text)
{
    char *data;

    text_reserve(text, 0);
    data = text->data;
    text->data = empty;
    text->len = 0;
    text->size = 0;
    return data;
}

static bool is_shown(utf8proc_int32_t point)
{
    utf8proc_category_t category = utf8proc_category(point);

    return category != UTF8PROC_CATEGORY_CC && category != UTF8PROC_CATEGORY_CF &&
           category != UTF8PROC_CATEGORY_ZL && category != UTF8PROC_CATEGORY_ZP &&
           category != UTF8PROC_CATEGORY_CN;
}

size_t text_next_shown(const char *bytes, size_t len, bool *shown)
{
    utf8proc_int32_t point = -1;
    utf8proc_ssize_t taken =
        utf8proc_iterate((const utf8proc_uint8_t *)bytes, (utf8proc_ssize_t)len, &point);

    *shown = *bytes == '\t' || (taken > 0 && is_shown(point));
    return taken > 0 ? (size_t)taken : 1;
}

void text_add_shown(struct text *text, const char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        bool shown;
        size_t size = text_next_shown(bytes + at, len - at, &shown);

        if (shown)
            text_add_n(text, bytes + at, size);
        else
            text_add(text, "\xEF\xBF\xBD");
        at += size;
    }
}

/* Of the character at `at`; its bytes. */
static size_t character_columns(const char *at, size_t len, int *columns)
{
    utf8proc_int32_t point;
    utf8proc_ssize_t taken =
        (unsigned char)*at < 0x80
            ? 0
            : utf8proc_iterate((const utf8proc_uint8_t *)at, (utf8proc_ssize_t)len, &point);

    *columns = taken > 0 ? utf8proc_charwidth(point) : 1;
    return taken > 0 ? (size_t)taken : 1;
}

int text_columns_n(const char *utf8, size_t len)
{
    int columns = 0, width;

    for (size_t at = 0; at < len; columns += width)
        at += character_columns(utf8 + at, len - at, &width);
    return columns;
}

int text_columns(const char *utf8)
{
    return text_columns_n(utf8, strlen(utf8));
}

size_t text_fitting(const char *utf8, int columns)
{
    size_t len = strlen(utf8), at = 0;

    while (at < len) {
        int width;
        size_t size = character_columns(utf8 + at, len - at, &width);

        if (width > columns)
            break;
        columns -= width;
        at += size;
    }
    return at;
}

int text_compare(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}
