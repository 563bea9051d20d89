/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_PACKED_H
#define MODEL_PACKED_H

#include <stddef.h>
#include <stdint.h>

/*
 * Rows of one size in one piece, each found by the key that it begins with: for a program at rest
 * that holds a great many of them, where a node of its own and a handle for each would be more
 * than what it says. Rows are only added; their order is that in which they came.
 */
struct packed {
    size_t row_bytes;
    size_t key_bytes;
    size_t count;
    unsigned char *rows;
    size_t room;
    uint32_t *slots;   /* one more than the row's number; 0: none */
    size_t slot_count; /* a power of two, or 0 */
};

#define PACKED_OF(type, key)                                             \
    {                                                                    \
        .row_bytes = sizeof(type), .key_bytes = sizeof(((type *)0)->key) \
    }

/* The row with this key; NULL: there is none. It stays where it is until the next one is added. */
void *packed_find(const struct packed *table, const void *key);
/* A new row, zero but for its key, which none has yet. */
void *packed_add(struct packed *table, const void *key);
void *packed_row(const struct packed *table, size_t i); /* the ith that came */
/* Drops all rows. */
void packed_clear(struct packed *table);

#endif
