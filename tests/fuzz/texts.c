/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Texts with a grammar of their own: sizes, durations, times, every x-format, JSON. The
 * first byte says which; what is canonical is canonical of itself.
 */
#include "model/arena.h"
#include "model/format.h"
#include "model/json.h"
#include "model/json_plain.h"
#include "model/text.h"
#include "model/unit.h"
#include "model/value.h"
#include "model/when.h"
#include "tests/fuzz/fuzz.h"

static void format_try(struct arena *arena, const char *format, const char *text)
{
    struct error err = ERROR_INIT;
    const char *once = NULL, *twice = NULL;
    if (format_read(arena, format, text, &once, &err) < 0)
        return;
    MUST(format_read(arena, format, once, &twice, &err) == 0 && strcmp(once, twice) == 0);
}

static void sizes_try(const char *text)
{
    struct error err = ERROR_INIT;
    char shown[UNIT_MAX_TEXT];
    int64_t bytes, seconds, again;
    if (size_read(text, &bytes, &err) == 0)
        MUST(bytes > 0 && size_read(size_text(bytes, shown), &again, &err) == 0 && again == bytes);
    if (duration_read(text, &seconds, &err) == 0)
        MUST(seconds >= 0 && duration_read(duration_text(seconds, shown), &again, &err) == 0 &&
             again == seconds);
    (void)when_read(text, 1, &again, &err);
    (void)format_label_key(text, &err);
    (void)format_label_value(text, &err);
}

static void json_try(struct arena *arena, const char *text, size_t len)
{
    struct error err = ERROR_INIT;
    struct value *value = NULL, *again = NULL;
    struct text out = TEXT_INIT;
    /* The fast path takes nothing that the other refuses, nor for something else. */
    const struct value *plain = json_plain_read(arena, text, len, value_count_max(len));
    if (plain)
        MUST(json_read_any(arena, text, len, value_count_max(len), &again, &err) == 0 &&
             value_equal(plain, again));
    if (json_read(arena, text, len, &value, &err) < 0)
        return;
    json_write_canonical(&out, value);
    MUST(json_read(arena, out.data, out.len, &again, &err) == 0 && value_equal(value, again));
    text_reset(&out);
    json_write_pretty(&out, value);
    MUST(json_read(arena, out.data, out.len, &again, &err) == 0 && value_equal(value, again));
    text_free(&out);
}

static void shown_try(const char *text, size_t len)
{
    struct text out = TEXT_INIT;
    text_add_shown(&out, text, len);
    text_columns(out.data);
    for (size_t i = 0; i < out.len; i++)
        MUST((unsigned char)out.data[i] >= ' ' || out.data[i] == '\t');
    text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const formats[] = {"cidr", "address", "mac",   "url",     "digest",
                                          "path", "ports",   "label", "ssh-key", "time-of-day"};
    enum { FORMATS = sizeof formats / sizeof *formats };
    if (size == 0)
        return 0;
    struct arena *arena = arena_new();
    char *text = fuzz_text(data + 1, size - 1);
    unsigned which = data[0] % (FORMATS + 3);
    if (which < FORMATS)
        format_try(arena, formats[which], text);
    else if (which == FORMATS)
        sizes_try(text);
    else if (which == FORMATS + 1)
        json_try(arena, text, size - 1);
    else
        shown_try(text, size - 1);
    free(text);
    arena_free(arena);
    return 0;
}
