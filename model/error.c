/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Errors are filled by value into a struct that the caller owns, so that failing
 * never allocates. A message is cut rather than refused: half a sentence about
 * what went wrong beats none.
 */
#include "model/error.h"
#include "model/invariant.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
    va_list args;

    invariant(code < ERR_NONE, "an error of code %d: %s", (int)code, fmt);
    va_start(args, fmt);
    vsnprintf(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    err->code = code;
    err->sys_errno = 0;
    err->hint[0] = '\0';
    return (int)code;
}

static enum error_code code_of_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    default:
        return ERR_SYSTEM;
    }
}

int error_sys(struct error *err, const char *fmt, ...)
{
    int number = errno;
    char reason[128];
    size_t len;
    va_list args;

    va_start(args, fmt);
    vsnprintf(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    len = strlen(err->message);
    snprintf(err->message + len, sizeof(err->message) - len, ": %s",
             strerror_r(number, reason, sizeof(reason)));
    err->code = code_of_errno(number);
    err->sys_errno = number;
    err->hint[0] = '\0';
    errno = number;
    return (int)err->code;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
    char inner[sizeof(err->message)];
    size_t len;
    va_list args;

    invariant(err->code != ERR_NONE, "no error is explained by: %s", fmt);
    memcpy(inner, err->message, sizeof(inner));
    va_start(args, fmt);
    vsnprintf(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    len = strlen(err->message);
    snprintf(err->message + len, sizeof(err->message) - len, ": %.*s", (int)sizeof(inner) - 1,
             inner);
    return (int)err->code;
}

int error_hint(struct error *err, const char *fmt, ...)
{
    va_list args;

    invariant(err->code != ERR_NONE, "no error has the hint: %s", fmt);
    va_start(args, fmt);
    vsnprintf(err->hint, sizeof(err->hint), fmt, args);
    va_end(args);
    return (int)err->code;
}

const char *error_code_text(enum error_code code)
{
    static const char *const words[] = {
        "none",   "invalid",  "not-found", "conflict", "busy",        "denied",
        "system", "no-space", "stale",     "corrupt",  "unsupported",
    };
    size_t index = (size_t) - (int)code;

    return index < sizeof(words) / sizeof(words[0]) ? words[index] : "unknown";
}

char *error_line(const struct error *err, char line[ERROR_LINE])
{
    snprintf(line, ERROR_LINE, "%s%s%s", err->message, err->hint[0] ? "; " : "", err->hint);
    return line;
}
