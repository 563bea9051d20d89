/* SPDX-License-Identifier: MPL-2.0 */
#include "model/sort.h"
#include "model/invariant.h"

#include <stdlib.h>
#include <string.h>

int text_order(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

void sort_items(void *items, size_t count, size_t size,
                int (*compare)(const void *left, const void *right))
{
    const char *at = items;

    invariant(size > 0 && (items || count == 0), "%zu items of %zu bytes are sorted", count, size);
    for (size_t i = 1; i < count; i++, at += size)
        if (compare(at, at + size) > 0) {
            qsort(items, count, size, compare);
            return;
        }
}
