/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A target: what one input does. libFuzzer calls it with inputs of its own, replay.c with
 * files. The input is not NUL-terminated, and is gone when the target returns.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv); /* optional */

/* What must hold whatever the input was: a failure is a finding, as a crash is. */
#define MUST(condition)                                                                \
    do {                                                                               \
        if (!(condition)) {                                                            \
            fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                   \
        }                                                                              \
    } while (0)

/* A heap copy with a NUL behind it, so that a read beyond the input is seen: free(). */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* A directory in memory for as long as the process lives; `path` is at least 64 bytes. */
char *fuzz_directory(char *path);

/* Lines of an input, one after the other. */
struct fuzz_lines {
    const char *at, *end;
};

static inline struct fuzz_lines fuzz_lines(const uint8_t *data, size_t size)
{
    const char *at = data ? (const char *)data : "";
    return (struct fuzz_lines){at, at + size};
}

/* 1 with the next line, without its newline; 0 at the end. */
static inline int fuzz_line(struct fuzz_lines *lines, const char **line, size_t *len)
{
    if (lines->at >= lines->end)
        return 0;
    size_t left = (size_t)(lines->end - lines->at);
    const char *newline = memchr(lines->at, '\n', left);
    *line = lines->at;
    *len = newline ? (size_t)(newline - lines->at) : left;
    lines->at += *len + (newline ? 1 : 0);
    return 1;
}

#endif
