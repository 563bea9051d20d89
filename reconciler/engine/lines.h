/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_LINES_H
#define RECONCILER_ENGINE_LINES_H

#include <stddef.h>
#include "model/text.h"

/*
 * A stream of bytes as lines, however it was cut on its way. What has no newline yet
 * waits for it; who reads says how long a line may become.
 */
struct lines {
    struct text input; /* to which bytes are appended */
    size_t given;      /* of input: in lines that were given */
    size_t scanned;    /* of input: no newline before this */
};
#define LINES_INIT ((struct lines){.input = TEXT_INIT})

/* The next whole line, without its newline; NULL: there is none. It is borrowed until the next call
 * of any of these, or until something is appended. */
const char *lines_next(struct lines *lines, size_t *len);
/* Forgets what was waiting: who wrote it has ended. */
void lines_reset(struct lines *lines);
void lines_free(struct lines *lines);

#endif
