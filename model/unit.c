/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Sizes and durations. One table of suffixes for each; reading is exact in 64
 * bits or fails, and writing takes the largest unit that loses nothing.
 */
#include "model/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "model/invariant.h"

struct suffix {
    const char *text;
    int64_t factor;
};

static const struct suffix sizes[] = {
    {"EiB", INT64_C(1) << 60},
    {"PiB", INT64_C(1) << 50},
    {"TiB", INT64_C(1) << 40},
    {"GiB", INT64_C(1) << 30},
    {"MiB", INT64_C(1) << 20},
    {"KiB", INT64_C(1) << 10},
    {"B", 1},
    {"Ei", INT64_C(1) << 60},
    {"Pi", INT64_C(1) << 50},
    {"Ti", INT64_C(1) << 40},
    {"Gi", INT64_C(1) << 30},
    {"Mi", INT64_C(1) << 20},
    {"Ki", INT64_C(1) << 10},
};

static const struct suffix durations[] = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}};

enum {
    SIZE_COUNT = sizeof(sizes) / sizeof(sizes[0]),
    SIZE_IEC_COUNT = 7, /* the first ones, which size_text() writes */
    DURATION_COUNT = sizeof(durations) / sizeof(durations[0]),
};

/* Digits at *at into *number; moves *at behind them. 0, or -1 for none or too many. */
static int digits_read(const char **at, int64_t *number)
{
    const char *start = *at;
    int64_t sum = 0;

    for (; **at >= '0' && **at <= '9'; (*at)++)
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, **at - '0', &sum))
            return -1;
    if (*at == start)
        return -1;
    *number = sum;
    return 0;
}

static int size_refuse(const char *text, const char *suffix, struct error *err)
{
    if (strspn(text, "0123456789") == strlen(text) && *text)
        return error_set(err, ERR_INVALID,
                         "\"%.40s\" has no unit; write %.30sMiB, %.30sGiB or %.30sB", text, text,
                         text, text);
    if (suffix && *suffix && strchr("KMGTPEkmgtpe", *suffix) &&
        (suffix[1] == '\0' || strcmp(suffix + 1, "B") == 0 || strcmp(suffix + 1, "b") == 0))
        return error_set(err, ERR_INVALID,
                         "\"%.40s\" is ambiguous; sizes are powers of 1024: write \"%.*s%ciB\"",
                         text, (int)(suffix - text), text, *suffix & ~0x20);
    return error_set(err, ERR_INVALID,
                     "\"%.40s\" is not a size; write digits and a unit, such as 512MiB or 20GiB",
                     text);
}

int size_read(const char *text, int64_t *bytes, struct error *err)
{
    const char *at = text;
    int64_t number;
    int64_t total;

    if (digits_read(&at, &number) < 0)
        return size_refuse(text, NULL, err);
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        if (strcmp(at, sizes[i].text) != 0)
            continue;
        if (__builtin_mul_overflow(number, sizes[i].factor, &total))
            return error_set(err, ERR_INVALID, "\"%.40s\" is beyond 64 bits", text);
        if (total == 0)
            return error_set(err, ERR_INVALID, "\"%.40s\" is zero", text);
        *bytes = total;
        return 0;
    }
    return size_refuse(text, at, err);
}

static int duration_refuse(const char *text, struct error *err)
{
    if (strspn(text, "0123456789") == strlen(text) && *text)
        return error_set(err, ERR_INVALID, "\"%.40s\" has no unit; write %.40ss for seconds", text,
                         text);
    return error_set(err, ERR_INVALID,
                     "\"%.40s\" is not a duration; write digits and units, largest first, such as "
                     "90s, 5m or 1h30m",
                     text);
}

int duration_read(const char *text, int64_t *seconds, struct error *err)
{
    const char *at = text;
    size_t unit = 0;
    int64_t total = 0;

    do {
        int64_t number;

        if (digits_read(&at, &number) < 0)
            return duration_refuse(text, err);
        while (unit < DURATION_COUNT && *at != durations[unit].text[0])
            unit++;
        if (unit == DURATION_COUNT)
            return duration_refuse(text, err);
        if (__builtin_mul_overflow(number, durations[unit].factor, &number) ||
            __builtin_add_overflow(total, number, &total))
            return error_set(err, ERR_INVALID, "\"%.40s\" is beyond 64 bits", text);
        unit++;
        at++;
    } while (*at);
    *seconds = total;
    return 0;
}

const char *size_text(int64_t bytes, char *buf)
{
    for (size_t i = 0; i < SIZE_IEC_COUNT; i++) {
        if (bytes == 0 || bytes % sizes[i].factor != 0)
            continue;
        snprintf(buf, UNIT_MAX_TEXT, "%" PRId64 "%s", bytes / sizes[i].factor, sizes[i].text);
        return buf;
    }
    snprintf(buf, UNIT_MAX_TEXT, "0B");
    return buf;
}

const char *duration_text(int64_t seconds, char *buf)
{
    size_t len = 0;

    if (seconds <= 0) {
        snprintf(buf, UNIT_MAX_TEXT, "%" PRId64 "s", seconds);
        return buf;
    }
    for (size_t i = 0; i < DURATION_COUNT; i++) {
        int64_t whole = seconds / durations[i].factor;

        seconds %= durations[i].factor;
        if (whole > 0)
            len += (size_t)snprintf(buf + len, UNIT_MAX_TEXT - len, "%" PRId64 "%s", whole,
                                    durations[i].text);
    }
    invariant(len < UNIT_MAX_TEXT && seconds == 0, "%s and %" PRId64 "s", buf, seconds);
    return buf;
}
