/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Files of model/kinds/. A mistake in one ends the process, as it is one of ours; here it
 * ends the input. Patterns are not judged: a hostile regular expression is the C library's.
 */
#include <setjmp.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include "model/arena.h"
#include "model/json.h"
#include "model/report.h"
#include "model/text.h"
#include "tests/fuzz/fuzz.h"

static jmp_buf refused;
static regex_t *patterns[256];
static size_t pattern_count;

static int pattern_compile(regex_t *regex, const char *pattern, int flags)
{
    if (pattern_count == sizeof patterns / sizeof *patterns || strlen(pattern) > 40 ||
        strpbrk(pattern, "{*+"))
        return REG_ESPACE;
    int rc = regcomp(regex, pattern, flags);
    if (rc == 0)
        patterns[pattern_count++] = regex;
    return rc;
}

#define regcomp pattern_compile
#define fprintf(file, format, ...) ((void)snprintf(NULL, 0, format, __VA_ARGS__))
#define abort() longjmp(refused, 1)
#include "model/kind_read.c"
#undef regcomp
#undef fprintf
#undef abort

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *volatile arena = arena_new();
    char *volatile text = fuzz_text(data, size);
    pattern_count = 0;
    if (setjmp(refused) == 0) {
        const struct kind_file file = {.name = "a.yaml", .text = text, .len = size};
        struct kind *kind = kind_read(arena, &file);
        struct text out = TEXT_INIT;
        kind_manual(&out, kind);
        kind_explain(&out, kind, "", false);
        json_text(arena, kind_schema(arena, kind));
        text_free(&out);
    }
    for (size_t i = 0; i < pattern_count; i++)
        regfree(patterns[i]);
    free(text);
    arena_free(arena);
    return 0;
}
