/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/engine/lines.h"
#include "model/invariant.h"

#include <string.h>

enum { TEXT_KEPT = 1 << 18 };

static void given_drop(struct lines *lines)
{
    struct text *input = &lines->input;
    if (lines->given) {
        memmove(input->data, input->data + lines->given, input->len - lines->given);
        input->len -= lines->given;
        input->data[input->len] = '\0';
    }
    lines->given = 0;
    lines->scanned = input->len;
    if (input->len == 0 && input->size > TEXT_KEPT)
        text_free(input);
}

const char *lines_next(struct lines *lines, size_t *len)
{
    struct text *input = &lines->input;

    invariant(lines->given <= lines->scanned && lines->scanned <= input->len,
              "%zu bytes are given out and %zu scanned of %zu", lines->given, lines->scanned,
              input->len);
    char *end = input->len > lines->scanned
                    ? memchr(input->data + lines->scanned, '\n', input->len - lines->scanned)
                    : NULL;
    if (!end) {
        given_drop(lines);
        return NULL;
    }
    const char *line = input->data + lines->given;
    *end = '\0';
    *len = (size_t)(end - line);
    lines->given = lines->scanned = lines->given + *len + 1;
    return line;
}

void lines_reset(struct lines *lines)
{
    text_reset(&lines->input);
    lines->given = lines->scanned = 0;
}

void lines_free(struct lines *lines)
{
    text_free(&lines->input);
    lines->given = lines->scanned = 0;
}
