/* SPDX-License-Identifier: MPL-2.0 */
/* Times as programs and as people read them. Always UTC: a rack has no time zone. */
#include "model/when.h"
#include "model/invariant.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/unit.h"

int64_t when_now(void)
{
    return (int64_t)time(NULL);
}

char *when_rfc3339(struct arena *arena, int64_t at)
{
    time_t seconds = (time_t)at;
    char text[32] = "";
    struct tm parts;

    if (at != 0 && gmtime_r(&seconds, &parts))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return arena_text(arena, text);
}

char *when_rfc3339_ms(struct arena *arena, int64_t at_ms)
{
    int64_t last = WHEN_LAST * 1000 + 999;
    int64_t ms = at_ms < 0 ? 0 : at_ms > last ? last : at_ms;
    time_t seconds = (time_t)(ms / 1000);
    char text[32] = "";
    struct tm parts;

    if (gmtime_r(&seconds, &parts))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    return arena_printf(arena, "%s.%03dZ", text, (int)(ms % 1000));
}

char *when_age(struct arena *arena, int64_t at, int64_t now)
{
    int64_t age = now - at;

    if (at == 0)
        return arena_text(arena, "never");
    if (age < 2)
        return arena_text(arena, "just now");
    if (age < 120)
        return arena_printf(arena, "%llds ago", (long long)age);
    if (age < 2 * 3600)
        return arena_printf(arena, "%lldm ago", (long long)(age / 60));
    if (age < 2 * 86400)
        return arena_printf(arena, "%lldh ago", (long long)(age / 3600));
    return arena_printf(arena, "%lldd ago", (long long)(age / 86400));
}

char *when_took(struct arena *arena, int64_t ms)
{
    if (ms < 1000)
        return arena_printf(arena, "%lldms", (long long)ms);
    if (ms < 10000)
        return arena_printf(arena, "%lld.%llds", (long long)(ms / 1000),
                            (long long)(ms % 1000 / 100));
    if (ms < 120000)
        return arena_printf(arena, "%llds", (long long)(ms / 1000));
    return arena_printf(arena, "%lldm%02llds", (long long)(ms / 60000),
                        (long long)(ms / 1000 % 60));
}

int when_read(const char *text, int sign, int64_t *at, struct error *err)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"};
    struct error ignored = ERROR_INIT;
    int64_t seconds;

    invariant(sign == 1 || sign == -1, "a duration counts %d times", sign);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm parts = {0};
        const char *end = strptime(text, forms[i], &parts);

        if (end && *end == '\0') {
            int day = parts.tm_mday;

            seconds = (int64_t)timegm(&parts);
            if (seconds < 0 || parts.tm_mday != day) /* the 30th of February is none */
                break;
            *at = seconds;
            return 0;
        }
    }
    if (duration_read(text, &seconds, &ignored) == 0 && seconds <= WHEN_LAST - when_now()) {
        *at = when_now() + sign * seconds;
        return 0;
    }
    error_set(err, ERR_INVALID, "'%s' is neither a time nor a duration", text);
    return error_hint(err, "Write 2026-01-31T23:59:59Z, 2026-01-31, or a duration such as 2h.");
}
