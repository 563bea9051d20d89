/* SPDX-License-Identifier: MPL-2.0 */
/* Clashes are neighbours once claims are sorted, so that a hundred thousand of
 * them cost a sort and not a comparison of all with all. */
#include "model/set_claim.h"

#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/text.h"

void claim_add(struct arena *arena, struct claims *claims, struct claim claim)
{
    claims->items =
        arena_grow(arena, claims->items, claims->count, &claims->room, sizeof(*claims->items));
    invariant(claim.what && claims->count < claims->room, "claim %zu of %zu", claims->count,
              claims->room);
    claims->items[claims->count++] = claim;
}

static int position_compare(struct position a, struct position b)
{
    int order = text_compare(a.file, b.file);

    if (order == 0)
        order = (a.line > b.line) - (a.line < b.line);
    return order ? order : (a.column > b.column) - (a.column < b.column);
}

static int claim_compare(const void *a, const void *b)
{
    const struct claim *x = a;
    const struct claim *y = b;
    int order = strcmp(x->what, y->what);

    if (order == 0)
        order = text_compare(x->detail, y->detail);
    return order ? order : position_compare(x->at, y->at);
}

static void clash_report(struct checker *checker, const struct claim *a, const struct claim *b,
                         const char *code, const char *advice)
{
    const struct claim *first = position_compare(a->at, b->at) <= 0 ? a : b;
    const struct claim *second = first == a ? b : a;

    invariant(a != b && strcmp(a->what, b->what) == 0, "%s clashes with %s", a->what, b->what);

    report_add(checker->report, second->at, code, "%s is taken already, by %s (%s:%u)%s",
               second->what, first->by, first->at.file ? first->at.file : "?", first->at.line,
               advice);
}

void claims_check(struct checker *checker, struct claims *claims, enum claim_sharing sharing,
                  const char *code, const char *advice)
{
    const struct claim *first = claims->items;

    if (claims->count < 2)
        return;
    qsort(claims->items, claims->count, sizeof(*claims->items), claim_compare);
    for (size_t i = 1; i < claims->count; i++) {
        const struct claim *claim = &claims->items[i];

        if (strcmp(first->what, claim->what) != 0)
            first = claim;
        else if (!first->detail)
            clash_report(checker, first, claim, code, advice);
        else if (sharing == PARTS_EXCLUSIVE && text_compare(claim[-1].detail, claim->detail) == 0)
            clash_report(checker, &claim[-1], claim, code, advice);
    }
}
