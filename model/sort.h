/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_SORT_H
#define MODEL_SORT_H

#include <stddef.h>

/* As qsort(), but what is in order already costs one walk: most of what is sorted comes
 * sorted, from Git's trees and from the store. */
void sort_items(void *items, size_t count, size_t size,
                int (*compare)(const void *left, const void *right));

/* Of `const char *`, by their bytes, for those and for bsearch(). */
int text_order(const void *left, const void *right);

#endif
