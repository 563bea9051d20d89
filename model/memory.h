/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_MEMORY_H
#define MODEL_MEMORY_H

#include <malloc.h>

/* For who lives long. What is large lives as long as a list, a pass or a plan, and then goes back
 * to the system, instead of to a heap whose top is what happens to live longest; left to itself,
 * malloc() takes the first of it for a reason to keep the rest (mallopt(3)). Inline: what the core
 * is made of may not call it. */
static inline void memory_settle(void)
{
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

#endif
