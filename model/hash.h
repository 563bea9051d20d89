/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_HASH_H
#define MODEL_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "model/invariant.h"

/* uthash, which would exit without a word when memory runs out. */
#define uthash_fatal(message) memory_out()
#include <uthash.h>

/* FNV-1a, for tables of one's own: quick for short texts, and no defence against who chooses them.
 */
static inline uint64_t hash_bytes(const void *bytes, size_t len)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(1099511628211);
    return hash;
}

static inline uint64_t hash_text(const char *text)
{
    return hash_bytes(text, strlen(text));
}

#endif
