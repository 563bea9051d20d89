/* SPDX-License-Identifier: MPL-2.0 */
#include "model/invariant.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Without stdio's buffers: they may be what is broken. One write, so that the lines of two
 * processes do not mix. */
static void last_words(const char *text, int len, size_t room)
{
    size_t n = len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
    if (write(STDERR_FILENO, text, n) < 0)
        return; /* nobody listens */
}

_Noreturn void invariant_broken(const char *file, int line, const char *function,
                                const char *condition, const char *fmt, ...)
{
    char what[512], text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    int len = snprintf(text, sizeof(text),
                       "%s: bug: %s (%s:%d, %s: not so: %s)\n"
                       "  Not your mistake: please report these lines and what 'spinel version' "
                       "says.\n  The process ends; nothing recorded is lost, and the next start "
                       "takes it up again.\n",
                       program_invocation_short_name, what, file, line, function, condition);
    last_words(text, len, sizeof(text));
    abort();
}

_Noreturn void memory_out(void)
{
    char text[128];
    int len = snprintf(text, sizeof(text), "%s: out of memory; the next start recovers\n",
                       program_invocation_short_name);
    last_words(text, len, sizeof(text));
    abort();
}

void *memory_need(void *memory)
{
    if (!memory)
        memory_out();
    return memory;
}
