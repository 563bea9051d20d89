/* SPDX-License-Identifier: MPL-2.0 */
/* Tarjan's components, with a stack of its own: plans are long, and the process's stack is not. */
#include "reconciler/plan/circles.h"

#include "model/invariant.h"

struct visit {
    unsigned step;
    size_t edge; /* the next to follow */
};

struct search {
    const struct edge *edges;
    size_t edge_count;
    size_t *first;         /* edge of each step, and the end */
    unsigned *order, *low; /* from 1; 0: not visited */
    unsigned *circle;      /* 0: not known yet */
    struct visit *path;
    unsigned *open; /* visited, and in no circle yet */
    size_t depth, open_count;
    unsigned visited, circles;
};

static void first_edges(struct search *search, size_t count)
{
    size_t edge = 0;

    for (size_t step = 0; step <= count; step++) {
        while (edge < search->edge_count && search->edges[edge].before < step)
            edge++;
        search->first[step] = edge;
    }
    invariant(edge == search->edge_count, "edge %zu of %zu leaves no step", edge,
              search->edge_count);
}

static void enter(struct search *search, unsigned step)
{
    search->order[step] = search->low[step] = ++search->visited;
    search->open[search->open_count++] = step;
    search->path[search->depth++] = (struct visit){step, search->first[step]};
}

static void reach(struct search *search, unsigned step, unsigned low)
{
    if (low < search->low[step])
        search->low[step] = low;
}

/* All that was entered after `step` and is still open comes round to it. */
static void close_circle(struct search *search, unsigned step)
{
    unsigned last;

    search->circles++;
    do {
        invariant(search->open_count, "step %u was never entered", step);
        last = search->open[--search->open_count];
        search->circle[last] = search->circles;
    } while (last != step);
}

static void leave(struct search *search)
{
    unsigned step = search->path[--search->depth].step;

    if (search->low[step] == search->order[step])
        close_circle(search, step);
    if (search->depth)
        reach(search, search->path[search->depth - 1].step, search->low[step]);
}

static void follow(struct search *search, const struct edge *edge)
{
    if (edge->kind >= EDGE_SWAPS || search->circle[edge->after])
        return;
    if (search->order[edge->after])
        reach(search, edge->before, search->order[edge->after]);
    else
        enter(search, edge->after);
}

static void search_from(struct search *search, unsigned step)
{
    enter(search, step);
    while (search->depth) {
        struct visit *at = &search->path[search->depth - 1];

        if (at->edge < search->first[at->step + 1])
            follow(search, &search->edges[at->edge++]);
        else
            leave(search);
    }
}

unsigned *circles_find(struct arena *arena, size_t count, const struct edge *edges,
                       size_t edge_count)
{
    struct search search = {
        .edges = edges,
        .edge_count = edge_count,
        .first = arena_array(arena, count + 1, sizeof(size_t)),
        .order = arena_array(arena, count, sizeof(unsigned)),
        .low = arena_array(arena, count, sizeof(unsigned)),
        .circle = arena_array(arena, count, sizeof(unsigned)),
        .path = arena_array(arena, count, sizeof(struct visit)),
        .open = arena_array(arena, count, sizeof(unsigned)),
    };

    first_edges(&search, count);
    for (unsigned step = 0; step < count; step++)
        if (!search.order[step])
            search_from(&search, step);
    return search.circle;
}
