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

/* For tables of one's own: FNV-1a by words of eight bytes, each folded so that its upper half
 * counts below. Quick, and no defence against who chooses the texts; another one on another
 * machine. */
static inline uint64_t hash_bytes(const void *bytes, size_t len)
{
    const uint64_t prime = UINT64_C(1099511628211);
    const unsigned char *at = bytes;
    uint64_t hash = UINT64_C(14695981039346656037);

    for (uint64_t word; len >= sizeof word; at += sizeof word, len -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = (hash ^ word) * prime;
        hash ^= hash >> 32;
    }
    for (; len > 0; len--)
        hash = (hash ^ *at++) * prime;
    return hash;
}

static inline uint64_t hash_text(const char *text)
{
    return hash_bytes(text, strlen(text));
}

#endif
