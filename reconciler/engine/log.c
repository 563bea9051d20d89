/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/engine/log.h"

#include <stdio.h>
#include <string.h>

#include "model/json.h"
#include "model/text.h"

static void quoted_add(struct text *out, const char *text)
{
    text_add_char(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            text_add_char(out, '\\');
        text_add_char(out, *text);
    }
    text_add_char(out, '"');
}

/* https://brandur.org/logfmt: names and values; a value that is more than a word is quoted. */
static void logfmt_add(struct text *out, const char *key, const struct value *value)
{
    struct text shown = TEXT_INIT;
    if (value_is_text(value))
        text_add_shown(&shown, value->text, value->text_len);
    else
        json_write(&shown, value);
    bool is_word = shown.len && !strpbrk(shown.data, " \"\\=\n\r\t");
    text_printf(out, "%s%s=", out->len ? " " : "", key);
    if (is_word)
        text_add(out, shown.data);
    else
        quoted_add(out, shown.data ? shown.data : "");
    text_free(&shown);
}

void log_write(const char *format, const struct value *fields)
{
    struct text line = TEXT_INIT;
    if (format && strcmp(format, "json") == 0)
        json_write(&line, fields);
    else
        for (size_t i = 0; i < fields->pair_count; i++)
            logfmt_add(&line, fields->pairs[i].key, fields->pairs[i].value);
    text_add_char(&line, '\n');
    fwrite(line.data, 1, line.len, stderr);
    text_free(&line);
}
