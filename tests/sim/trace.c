/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/sim/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void trace_begin(struct trace *trace, bool is_shown)
{
    crypto_generichash_init(&trace->hash, NULL, 0, 32);
    trace->is_shown = is_shown;
    trace->lines = 0;
}

void trace_line(struct trace *trace, int64_t at_ms, const char *fmt, ...)
{
    char head[24];
    char *line = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&line, fmt, args);
    va_end(args);
    if (len < 0)
        abort();
    snprintf(head, sizeof head, "%12lld ", (long long)at_ms);
    crypto_generichash_update(&trace->hash, (const unsigned char *)head, strlen(head));
    crypto_generichash_update(&trace->hash, (const unsigned char *)line, (unsigned long long)len);
    trace->lines++;
    if (trace->is_shown)
        printf("%s%s\n", head, line);
    free(line);
}

void trace_end(struct trace *trace, char out[17])
{
    unsigned char hash[32];
    crypto_generichash_final(&trace->hash, hash, sizeof hash);
    sodium_bin2hex(out, 17, hash, 8);
}
