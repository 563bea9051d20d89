/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The bytes of a manifest before the parser sees them. Invisible and reordering
 * characters are refused everywhere, comments included: what a reviewer sees is
 * what is applied. One pass, one table look-up a byte; columns are only counted
 * for what is reported.
 */
#include "model/yaml_text.h"
#include "model/invariant.h"

#include <string.h>
#include <utf8proc.h>

#include "model/report.h"
#include "model/yaml.h"

enum { CHARACTER_PROBLEMS_MAX = 20 };

/* The last two of each plane, and those in the middle of one: Unicode will never give them a
 * meaning, and libyaml does not say where it met them. */
static bool is_noncharacter(int32_t point)
{
    return (point & 0xFFFE) == 0xFFFE || (point >= 0xFDD0 && point <= 0xFDEF);
}

const char *yaml_refused(int32_t point)
{
    if (point == 0xFEFF)
        return "byte-order mark";
    if ((point >= 0x202A && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069) ||
        point == 0x200E || point == 0x200F || point == 0x061C)
        return "bidirectional formatting character";
    if (is_noncharacter(point))
        return "noncharacter";
    switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_CC:
        return "control character";
    case UTF8PROC_CATEGORY_CF:
        return "invisible character";
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return "Unicode line separator";
    default:
        return NULL;
    }
}

bool yaml_is_boundary(const char *data, size_t len, size_t at)
{
    invariant(at <= len, "byte %zu of %zu", at, len);
    if (len - at < 3 || (memcmp(data + at, "---", 3) != 0 && memcmp(data + at, "...", 3) != 0))
        return false;
    return len - at == 3 || strchr(" \t\r\n", data[at + 3]) != NULL;
}

struct walk {
    const char *file;
    const char *data;
    size_t len;
    struct report *report;
    size_t line_start;
    unsigned line;
    size_t document_start;
    unsigned document_line;
    unsigned problems;
    unsigned directives;
    bool is_readable;
};

static struct position walk_position(const struct walk *walk, size_t at)
{
    struct position position = {.file = walk->file, .line = walk->line, .column = 1};

    for (size_t i = walk->line_start; i < at; i++)
        if (((unsigned char)walk->data[i] & 0xC0) != 0x80)
            position.column++;
    return position;
}

static void document_end(struct walk *walk, size_t at)
{
    invariant(at >= walk->document_start && at <= walk->len,
              "%s: a document from %zu to %zu of %zu", walk->file, walk->document_start, at,
              walk->len);
    if (at - walk->document_start > YAML_MAX_DOCUMENT) {
        report_add(walk->report, (struct position){walk->file, walk->document_line, 1}, "too-large",
                   "document of %zu bytes; one may have at most %d (1 MiB)",
                   at - walk->document_start, YAML_MAX_DOCUMENT);
        walk->is_readable = false;
    }
    walk->document_start = at;
    walk->document_line = walk->line;
}

/* A line of `%YAML 1.2` or 1.1, which say nothing. */
static bool is_version(const char *line, size_t len)
{
    return len >= 9 && (memcmp(line, "%YAML 1.2", 9) == 0 || memcmp(line, "%YAML 1.1", 9) == 0) &&
           (len == 9 || line[9] == '\n' || line[9] == '\r');
}

/* libyaml compares each directive with all before it, and copies what one stands for into each tag:
 * they are refused before it sees them. */
static void directive_check(struct walk *walk, size_t at)
{
    if (is_version(walk->data + at, walk->len - at))
        return;
    if (++walk->directives == 1)
        report_add(walk->report, (struct position){walk->file, walk->line, 1}, "directive",
                   "a line that begins with %% is a directive, such as %%TAG, and those are not "
                   "allowed; take it out, or indent it if it is text");
    walk->is_readable = false;
}

static void line_start(struct walk *walk, size_t at)
{
    walk->line++;
    walk->line_start = at;
    if (at < walk->len && walk->data[at] == '%')
        directive_check(walk, at);
    if (at < walk->len && (walk->data[at] == '-' || walk->data[at] == '.') &&
        yaml_is_boundary(walk->data, walk->len, at))
        document_end(walk, at);
}

/* 16 or 32 for text in units of so many bits, by its mark or by the zeroes in its first characters;
 * 0 for any other. */
static int unit_bits(const char *data, size_t len)
{
    static const struct {
        const char *begin, *mask; /* 1 of the mask: this byte; 2: any but zero */
        size_t len;
        int bits;
    } forms[] = {
        {"\xff\xfe\0\0", "\1\1\1\1", 4, 32}, {"\0\0\xfe\xff", "\1\1\1\1", 4, 32},
        {"\0\0\0\0", "\2\1\1\1", 4, 32},     {"\0\0\0\0", "\1\1\1\2", 4, 32},
        {"\xff\xfe", "\1\1", 2, 16},         {"\xfe\xff", "\1\1", 2, 16},
        {"\0\0\0\0", "\2\1\2\1", 4, 16},     {"\0\0\0\0", "\1\2\1\2", 4, 16},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        size_t at = 0;
        while (len >= forms[i].len && at < forms[i].len &&
               (forms[i].mask[at] == 2 ? data[at] != '\0' : data[at] == forms[i].begin[at]))
            at++;
        if (at == forms[i].len)
            return forms[i].bits;
    }
    return 0;
}

static void encoding_refuse(struct walk *walk, size_t at)
{
    report_add(walk->report, walk_position(walk, at), "bad-encoding",
               "invalid UTF-8 (byte 0x%02x); save the file as UTF-8",
               (unsigned)(unsigned char)walk->data[at]);
    walk->is_readable = false;
}

/* Judges the character at `at`; returns its length in bytes, 0 to stop. */
static size_t character_check(struct walk *walk, size_t at)
{
    utf8proc_int32_t point;
    utf8proc_ssize_t len = utf8proc_iterate((const utf8proc_uint8_t *)walk->data + at,
                                            (utf8proc_ssize_t)(walk->len - at), &point);
    const char *why;

    invariant(at < walk->len, "%s: byte %zu of %zu is judged", walk->file, at, walk->len);
    if (len <= 0) {
        encoding_refuse(walk, at);
        return 0;
    }
    if (point == 0xFEFF && at == 0)
        return (size_t)len;
    if (point == '\r' && at + 1 < walk->len && walk->data[at + 1] == '\n')
        return 1;
    why = yaml_refused(point);
    if (why) {
        report_add(walk->report, walk_position(walk, at), "bad-character",
                   "%s U+%04X is not allowed; remove it", why, (unsigned)point);
        if (utf8proc_category(point) == UTF8PROC_CATEGORY_CC || is_noncharacter(point))
            walk->is_readable = false;
        if (++walk->problems == CHARACTER_PROBLEMS_MAX) {
            walk->is_readable = false;
            return 0;
        }
    }
    return (size_t)len;
}

/* True for bytes that need no second look: printable ASCII and tab. */
static bool is_plain(unsigned char c)
{
    return (c >= 0x20 && c < 0x7F) || c == '\t';
}

bool yaml_check_text(const char *file, const char *data, size_t len, struct report *report)
{
    struct walk walk = {
        .file = file,
        .data = data,
        .len = len,
        .report = report,
        .line = 1,
        .document_line = 1,
        .is_readable = true,
    };
    size_t at = 0, first = len >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    int bits = unit_bits(data, len);

    if (bits) {
        report_add(report, walk_position(&walk, 0), "bad-encoding",
                   "the file looks like UTF-%d; save it as UTF-8", bits);
        return false;
    }
    if (first < len && data[first] == '%')
        directive_check(&walk, first);
    while (at < len) {
        while (at < len && is_plain((unsigned char)data[at]))
            at++;
        if (at == len)
            break;
        if (data[at] == '\n') {
            line_start(&walk, ++at);
        } else {
            size_t step = character_check(&walk, at);

            if (step == 0)
                return false;
            at += step;
        }
    }
    document_end(&walk, len);
    return walk.is_readable;
}

static bool is_one_of(const char *text, size_t len, const char *const words[3])
{
    for (size_t i = 0; i < 3; i++)
        if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
            return true;
    return false;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

static bool integer_read(const char *text, size_t len, int64_t *integer)
{
    int base = 10;
    int sign = 1;
    int64_t sum = 0;
    size_t i = 0;

    if (len > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'o')) {
        base = text[1] == 'x' ? 16 : 8;
        i = 2;
    } else if (text[0] == '-' || text[0] == '+') {
        sign = text[0] == '-' ? -1 : 1;
        i = 1;
    }
    if (i == len)
        return false;
    for (; i < len; i++) {
        int digit = digit_value(text[i]);

        if (digit >= base || __builtin_mul_overflow(sum, base, &sum) ||
            __builtin_add_overflow(sum, sign * digit, &sum))
            return false;
    }
    *integer = sum;
    return true;
}

enum value_type yaml_resolve(const char *text, size_t len, struct value *value)
{
    static const char *const nulls[3] = {"null", "Null", "NULL"};
    static const char *const trues[3] = {"true", "True", "TRUE"};
    static const char *const falses[3] = {"false", "False", "FALSE"};

    value->type = VALUE_STRING;
    if (len == 0 || (len == 1 && *text == '~') || is_one_of(text, len, nulls)) {
        value->type = VALUE_NULL;
    } else if (is_one_of(text, len, trues) || is_one_of(text, len, falses)) {
        value->boolean = (*text | 0x20) == 't';
        value->type = VALUE_BOOL;
    } else {
        int64_t integer;

        if (integer_read(text, len, &integer)) {
            value->integer = integer;
            value->type = VALUE_INT;
        }
    }
    return value->type;
}
