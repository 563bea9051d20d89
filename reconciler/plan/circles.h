/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_PLAN_CIRCLES_H
#define RECONCILER_PLAN_CIRCLES_H

#include <stddef.h>

#include "model/arena.h"

/*
 * Steps that come before each other: the strongly connected components of their order
 * (R. E. Tarjan, Depth-first search and linear graph algorithms, 1972). Private to plan/.
 */
enum edge_kind {
    EDGE_FREES,  /* it frees what the other lacks, which waits for another plan anyway */
    EDGE_FIRST,  /* it comes first if it runs at all */
    EDGE_MUST,   /* without it the other cannot be done */
    EDGE_POINTS, /* what leads to a machine is led elsewhere before that goes */
    EDGE_TAKES,  /* a hand-over */
    EDGE_SWAPS,  /* a hand-over that gave way: no order, but neither goes without the other */
    EDGE_NONE,   /* another that gave way */
};

struct edge {
    unsigned before, after; /* positions in plan->steps */
    enum edge_kind kind;
};

/* For each of `count` steps a number that it shares with those that it comes before and after, and
 * with no other; by edges that have not given way. `edges` are sorted by `before`. */
unsigned *circles_find(struct arena *arena, size_t count, const struct edge *edges,
                       size_t edge_count);

#endif
