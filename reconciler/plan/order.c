/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The order of steps. What is referred to is made before what refers to it, and
 * removed after; what one step frees is taken by another only then. Among steps
 * that may go at the same time the order is (removals last, kind rank, project,
 * name), so that the same inputs give the same numbers. References lead from higher
 * to lower ranks only, so that they cannot form a circle; hand-overs can (two
 * instances swap a volume; a forward follows a volume to another instance), and
 * something is then let go.
 */
#include <stdlib.h>
#include <string.h>

#include "model/invariant.h"
#include "model/text.h"
#include "reconciler/plan/circles.h"
#include "reconciler/plan/claims.h"
#include "reconciler/plan/steps.h"

struct leaver {
    const struct step *step;
    const struct leaver *next;
};

struct ordering {
    struct arena *arena;
    struct plan *plan;
    const struct match *match;
    unsigned *step_of;             /* of each subject; the step count if it has none */
    const struct leaver **leavers; /* of each subnet; NULL until somebody lacks an address */
    struct edge *edges;
    size_t edge_count, edge_room;
};

static struct step *step_of(const struct ordering *ordering, const struct subject *subject)
{
    const struct match *match = ordering->match;
    unsigned at;

    invariant(subject >= match->subjects && subject < match->subjects + match->count,
              "%s is a subject of another plan", subject->name);
    at = ordering->step_of[subject - match->subjects];
    return at < ordering->plan->step_count ? &ordering->plan->steps[at] : NULL;
}

static void edge_add(struct ordering *ordering, const struct step *before, const struct step *after,
                     enum edge_kind kind)
{
    invariant(before != after, "a step would wait for itself");
    ordering->edges = arena_grow(ordering->arena, ordering->edges, ordering->edge_count,
                                 &ordering->edge_room, sizeof(*ordering->edges));
    ordering->edges[ordering->edge_count++] =
        (struct edge){(unsigned)(before - ordering->plan->steps),
                      (unsigned)(after - ordering->plan->steps), kind};
}

/* ---- references --------------------------------------------------------------------- */

static bool makes(const struct step *step)
{
    return step->action == ACTION_CREATE || step->action == ACTION_ADOPT ||
           step->action == ACTION_REPLACE;
}

static void order_needs(struct ordering *ordering, const struct step *step)
{
    const struct resource *resource = step->subject->is_renewed ? NULL : step->resource;

    for (size_t i = 0; resource && i < resource->ref_count; i++) {
        const struct resource *ref = resource->refs[i];
        const struct step *before = step_of(ordering, match_declared(ordering->match, ref));

        invariant(ref->kind->rank < step->kind->rank, "%s needs %s, which comes later", step->name,
                  ref->name);
        if (before)
            edge_add(ordering, before, step, makes(before) ? EDGE_MUST : EDGE_FIRST);
    }
}

static bool list_has(const struct subject_list *list, const struct subject *subject)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i] == subject)
            return true;
    return false;
}

static const char *still_used(struct arena *arena, const struct subject *user)
{
    return arena_printf(arena, "still in use by %s",
                        identity_label(arena, user->kind->name, user->project, user->name));
}

/* What `user`, which has a row, has by `spec` goes only once it has it no more. */
static void order_used(struct ordering *ordering, const struct subject *user,
                       const struct value *spec, const struct subject_list *then, bool is_kept)
{
    const struct step *step = step_of(ordering, user);
    struct subject_list now = spec_refs(ordering->arena, ordering->match, user->kind, user->project,
                                        user->known->name, spec);

    for (size_t i = 0; i < now.count; i++) {
        struct step *removal = step_of(ordering, now.items[i]);

        if (!removal || !step_removes(removal) || removal->kind->rank >= user->kind->rank)
            continue;
        invariant(removal != step, "%s is in use by itself", removal->name);
        if (is_kept || list_has(then, now.items[i]))
            step_withhold(removal, DEFERRED, still_used(ordering->arena, user));
        else if (step)
            edge_add(ordering, step, removal,
                     strcmp(removal->kind->name, "Instance") == 0 ? EDGE_POINTS : EDGE_MUST);
    }
}

static void order_user(struct ordering *ordering, const struct subject *user)
{
    const struct step *step = step_of(ordering, user);
    const struct known *known = user->known;
    struct subject_list then = {0};

    if (!known)
        return;
    if (user->resource)
        then = spec_refs(ordering->arena, ordering->match, user->kind, user->project, user->name,
                         step ? step->spec : user->spec);
    order_used(ordering, user, known_applied(known), &then, false);
    order_used(ordering, user, known_observed(known), &then, false);
    order_used(ordering, user, known_tried(known), &then, true);
}

static void order_removals(struct ordering *ordering)
{
    bool is_any = false;

    for (size_t i = 0; i < ordering->plan->step_count && !is_any; i++)
        is_any = step_removes(&ordering->plan->steps[i]);
    for (size_t i = 0; is_any && i < ordering->match->count; i++)
        if (!ordering->match->subjects[i].is_twin)
            order_user(ordering, &ordering->match->subjects[i]);
}

/* ---- what is lacking ---------------------------------------------------------------- */

/* NICs that go, by the subnet that they leave. */
static void leavers_collect(struct ordering *ordering, const struct kind *nic)
{
    const struct match *match = ordering->match;

    ordering->leavers = arena_array(ordering->arena, match->count, sizeof(*ordering->leavers));
    for (size_t i = 0; i < ordering->plan->step_count; i++) {
        const struct step *step = &ordering->plan->steps[i];
        const struct leaver **first;
        struct leaver *leaver;
        const struct subject *subnet;

        if (step->kind != nic || !step_removes(step))
            continue;
        subnet = match_resolve(match, "Subnet", step->project,
                               value_get_text(known_applied(step->known), "subnet", NULL));
        if (!subnet)
            continue;
        first = &ordering->leavers[subnet - match->subjects];
        leaver = arena_alloc(ordering->arena, sizeof(*leaver));
        *leaver = (struct leaver){step, *first};
        *first = leaver;
    }
}

/* NICs that go from the subnet in which it has found no address. */
static void order_address(struct ordering *ordering, const struct step *nic)
{
    const struct subject *subnet =
        match_wanted(ordering->match, "Subnet", nic->project,
                     value_get_text(nic->resource->spec, "subnet", NULL));

    invariant(subnet, "NIC %s is in a subnet that nobody declares", nic->name);
    if (!ordering->leavers)
        leavers_collect(ordering, nic->kind);
    for (const struct leaver *leaver = ordering->leavers[subnet - ordering->match->subjects];
         leaver; leaver = leaver->next)
        edge_add(ordering, leaver->step, nic, EDGE_FREES);
}

/* So that nobody who is to free it waits, in a circle, for who lacks it. */
static void order_lacking(struct ordering *ordering, const struct step *step)
{
    const struct subject *until = step->subject->lacks_until;
    const struct step *frees = until ? step_of(ordering, until) : NULL;

    if (frees && frees != step)
        edge_add(ordering, frees, step, EDGE_FREES);
    if (!until && step->subject->lacks)
        order_address(ordering, step);
}

/* ---- hand-overs --------------------------------------------------------------------- */

static bool claims_have(const struct claim_list *list, const char *key, const struct step *step)
{
    size_t low = 0, high = list->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct claim_on *item = &list->items[middle];
        int order = strcmp(item->key, key);

        if (order < 0 || (order == 0 && item->step < step))
            low = middle + 1;
        else
            high = middle;
    }
    return low < list->count && list->items[low].step == step &&
           strcmp(list->items[low].key, key) == 0;
}

/* Of a machine that runs only its disks wait; anything else waits as a whole. */
static void taker_wait(struct ordering *ordering, struct step *taker, const struct subject *keeper)
{
    const char *reason = still_used(ordering->arena, keeper);
    bool is_part = false;
    bool changes = taker->subject->is_running &&
                   (taker->action == ACTION_UPDATE || taker->action == ACTION_RESTART);

    invariant(taker->disposition == RUN && taker->subject != keeper,
              "%s is %s, and would wait for %s", taker->name, disposition_text(taker->disposition),
              keeper->name);
    for (size_t i = 0; changes && i < taker->field_count; i++) {
        struct plan_field *field = &taker->fields[i];

        if (field->disposition != RUN || strncmp(field->path, "spec.disks", 10) != 0)
            continue;
        field->disposition = DEFERRED;
        field->reason = reason;
        is_part = true;
    }
    if (!is_part)
        step_withhold(taker, DEFERRED, reason);
    step_settle(ordering->arena, taker);
}

/* What its holder keeps for now, because that change waits, nobody else takes. What a taker that
 * waits would have given up it keeps in turn: true if claims have changed, and are to be read anew.
 */
static bool takers_withhold(struct ordering *ordering, struct claim_list had,
                            struct claim_list wanted)
{
    bool is_any = false;

    for (size_t w = 0, h = 0; w < wanted.count; w++) {
        const struct claim_on *want = &wanted.items[w];
        struct step *taker;

        while (h < had.count && strcmp(had.items[h].key, want->key) < 0)
            h++;
        if (!want->step || want->step->disposition != RUN ||
            claims_have(&had, want->key, want->step))
            continue;
        taker = &ordering->plan->steps[want->step - ordering->plan->steps];
        for (size_t i = h; i < had.count && strcmp(had.items[i].key, want->key) == 0; i++)
            if (claims_have(&wanted, want->key, had.items[i].step)) {
                taker_wait(ordering, taker, had.items[i].subject);
                if (had.items[i].step)
                    edge_add(ordering, had.items[i].step, taker, EDGE_FREES);
                is_any = true;
                break;
            }
    }
    return is_any;
}

/* Both lists are sorted by key: they are merged. */
static void order_handovers(struct ordering *ordering)
{
    struct arena *scratch = arena_new();
    struct claim_list had, wanted;
    size_t h = 0;

    do {
        arena_reset(scratch);
        had = claims_before(scratch, ordering->plan);
        wanted = claims_after(scratch, ordering->plan);
    } while (takers_withhold(ordering, had, wanted));
    for (size_t w = 0; w < wanted.count; w++) {
        const struct claim_on *taker = &wanted.items[w];

        while (h < had.count && strcmp(had.items[h].key, taker->key) < 0)
            h++;
        if (claims_have(&had, taker->key, taker->step))
            continue;
        for (size_t i = h; i < had.count && strcmp(had.items[i].key, taker->key) == 0; i++)
            if (!claims_have(&wanted, taker->key, had.items[i].step))
                edge_add(ordering, had.items[i].step, taker->step, EDGE_TAKES);
    }
    arena_free(scratch);
}

/* ---- sorting ------------------------------------------------------------------------ */

/* Removals come last, and what depends on others goes first among them. */
static int compare_steps(const struct step *a, const struct step *b)
{
    bool removes = step_removes(a);
    int order;

    if (removes != step_removes(b))
        return removes ? 1 : -1;
    if (a->kind->rank != b->kind->rank)
        return (a->kind->rank < b->kind->rank) != removes ? -1 : 1;
    order = text_compare(a->project, b->project); /* each kind has a rank of its own */
    if (order == 0)
        order = strcmp(a->name, b->name);
    return order ? order : strcmp(a->uid, b->uid);
}

struct ready {
    const struct step *steps;
    unsigned *heap;
    size_t count, room;
};

static bool comes_before(const struct ready *ready, size_t i, size_t j)
{
    return compare_steps(&ready->steps[ready->heap[i]], &ready->steps[ready->heap[j]]) < 0;
}

static void swap(struct ready *ready, size_t i, size_t j)
{
    unsigned held = ready->heap[i];

    ready->heap[i] = ready->heap[j];
    ready->heap[j] = held;
}

static void ready_push(struct ready *ready, unsigned step)
{
    size_t i = ready->count++;

    invariant(i < ready->room, "step %u is ready twice", step);
    ready->heap[i] = step;
    for (; i > 0 && comes_before(ready, i, (i - 1) / 2); i = (i - 1) / 2)
        swap(ready, i, (i - 1) / 2);
}

static unsigned ready_pop(struct ready *ready)
{
    unsigned first = ready->heap[0];
    size_t i = 0;

    invariant(ready->count > 0, "nothing is ready, and a step is taken");
    ready->heap[0] = ready->heap[--ready->count];
    for (;;) {
        size_t least = i, left = 2 * i + 1, right = 2 * i + 2;

        if (left < ready->count && comes_before(ready, left, least))
            least = left;
        if (right < ready->count && comes_before(ready, right, least))
            least = right;
        if (least == i)
            return first;
        swap(ready, i, least);
        i = least;
    }
}

static int compare_edges(const void *left, const void *right)
{
    const struct edge *a = left, *b = right;

    if (a->before != b->before)
        return a->before < b->before ? -1 : 1;
    if (a->after != b->after)
        return a->after < b->after ? -1 : 1;
    return (int)b->kind - (int)a->kind;
}

/* Sorts, and keeps the strictest of edges between the same two steps. */
static void edges_unique(struct ordering *ordering)
{
    size_t kept = 0;

    if (ordering->edge_count)
        qsort(ordering->edges, ordering->edge_count, sizeof(struct edge), compare_edges);
    for (size_t i = 0; i < ordering->edge_count; i++) {
        const struct edge *edge = &ordering->edges[i];

        if (kept && ordering->edges[kept - 1].before == edge->before &&
            ordering->edges[kept - 1].after == edge->after)
            continue;
        ordering->edges[kept++] = *edge;
    }
    ordering->edge_count = kept;
}

/* The edges that leave each step are next to one another. */
static size_t first_edge(const struct ordering *ordering, unsigned before)
{
    size_t low = 0, high = ordering->edge_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (ordering->edges[middle].before < before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Positions of the steps in their order go to `sorted`; returns how many got a place. */
static size_t sort_once(const struct ordering *ordering, unsigned *sorted, unsigned *waits)
{
    size_t total = ordering->plan->step_count, count = 0;
    struct ready ready = {ordering->plan->steps,
                          arena_array(ordering->arena, total + 1, sizeof(unsigned)), 0, total};

    memset(waits, 0, total * sizeof(*waits));
    for (size_t i = 0; i < ordering->edge_count; i++)
        waits[ordering->edges[i].after] += ordering->edges[i].kind < EDGE_SWAPS;
    for (unsigned i = 0; i < total; i++)
        if (waits[i] == 0)
            ready_push(&ready, i);
    while (ready.count) {
        unsigned next = ready_pop(&ready);

        invariant(next < total && count < total, "step %u of %zu comes at place %zu", next, total,
                  count);
        sorted[count++] = next;
        for (size_t i = first_edge(ordering, next);
             i < ordering->edge_count && ordering->edges[i].before == next; i++)
            if (ordering->edges[i].kind < EDGE_SWAPS && --waits[ordering->edges[i].after] == 0)
                ready_push(&ready, ordering->edges[i].after);
    }
    return count;
}

/* Of two that take from each other both go at the same time; where that is a volume, the storage's
 * lock decides who comes first. */
static void give_way(struct ordering *ordering, enum edge_kind kind)
{
    const unsigned *circle = circles_find(ordering->arena, ordering->plan->step_count,
                                          ordering->edges, ordering->edge_count);

    for (size_t i = 0; i < ordering->edge_count; i++) {
        struct edge *edge = &ordering->edges[i];

        if (edge->kind == kind && circle[edge->before] == circle[edge->after])
            edge->kind = kind == EDGE_TAKES ? EDGE_SWAPS : EDGE_NONE;
    }
}

/* ---- writing down ------------------------------------------------------------------- */

static int compare_after(const void *left, const void *right)
{
    const struct edge *a = left, *b = right;

    if (a->after != b->after)
        return a->after < b->after ? -1 : 1;
    return a->before < b->before ? -1 : 1;
}

static void write_edge(struct step *step, const struct edge *edge)
{
    if (edge->kind == EDGE_NONE)
        return;
    if (edge->kind == EDGE_SWAPS) {
        step->swaps[step->swap_count++] = edge->before + 1;
        return;
    }
    invariant(edge->before < edge->after, "step %u (%s) would wait for a later one", step->id,
              step->name);
    step->after_must[step->after_count] = edge->kind > EDGE_FIRST;
    step->after[step->after_count++] = edge->before + 1;
}

static void write_after(struct ordering *ordering)
{
    struct step *steps = ordering->plan->steps;
    size_t i = 0;

    if (ordering->edge_count)
        qsort(ordering->edges, ordering->edge_count, sizeof(struct edge), compare_after);
    while (i < ordering->edge_count) {
        struct step *step = &steps[ordering->edges[i].after];
        size_t end = i;

        while (end < ordering->edge_count && ordering->edges[end].after == ordering->edges[i].after)
            end++;
        step->after = arena_array(ordering->arena, end - i, sizeof(*step->after));
        step->after_must = arena_array(ordering->arena, end - i, sizeof(*step->after_must));
        step->swaps = arena_array(ordering->arena, end - i, sizeof(*step->swaps));
        invariant(step->after_count == 0, "step %u has its order already", step->id);
        for (; i < end; i++)
            write_edge(step, &ordering->edges[i]);
    }
}

static void permute(struct ordering *ordering, const unsigned *sorted)
{
    size_t count = ordering->plan->step_count;
    struct step *steps = arena_array(ordering->arena, count + 1, sizeof(*steps));
    unsigned *place = arena_array(ordering->arena, count + 1, sizeof(*place));

    for (unsigned i = 0; i < count; i++) {
        steps[i] = ordering->plan->steps[sorted[i]];
        steps[i].id = i + 1;
        place[sorted[i]] = i;
    }
    for (size_t i = 0; i < ordering->edge_count; i++) {
        ordering->edges[i].before = place[ordering->edges[i].before];
        ordering->edges[i].after = place[ordering->edges[i].after];
    }
    ordering->plan->steps = steps;
}

void steps_order(struct arena *arena, struct plan *plan)
{
    static const enum edge_kind weakest[] = {EDGE_POINTS, EDGE_FREES, EDGE_TAKES};
    struct ordering ordering = {.arena = arena, .plan = plan, .match = plan->match};
    unsigned *sorted = arena_array(arena, plan->step_count + 1, sizeof(*sorted));
    unsigned *waits = arena_array(arena, plan->step_count + 1, sizeof(*waits));
    size_t placed;

    ordering.step_of = arena_array(arena, plan->match->count + 1, sizeof(unsigned));
    for (size_t i = 0; i < plan->match->count; i++)
        ordering.step_of[i] = (unsigned)plan->step_count;
    for (unsigned i = 0; i < plan->step_count; i++)
        ordering.step_of[plan->steps[i].subject - plan->match->subjects] = i;
    for (size_t i = 0; i < plan->step_count; i++) {
        order_needs(&ordering, &plan->steps[i]);
        order_lacking(&ordering, &plan->steps[i]);
    }
    order_removals(&ordering);
    order_handovers(&ordering);
    edges_unique(&ordering);
    placed = sort_once(&ordering, sorted, waits);
    for (size_t i = 0; i < sizeof(weakest) / sizeof(*weakest) && placed < plan->step_count; i++) {
        give_way(&ordering, weakest[i]);
        placed = sort_once(&ordering, sorted, waits);
    }
    invariant(placed == plan->step_count, "%zu of %zu steps have a place: references go round",
              placed, plan->step_count);
    permute(&ordering, sorted);
    write_after(&ordering);
}

/* ---- waiting ------------------------------------------------------------------------ */

static void wait_for(struct arena *arena, struct step *step, const struct step *before)
{
    const char *label = identity_label(arena, before->kind->name, before->project, before->name);

    if (before->disposition == HELD) {
        step_withhold(step, HELD, arena_printf(arena, "waits for %s, which is held", label));
        step->hold = before->hold;
    } else {
        step_withhold(step, DEFERRED, arena_printf(arena, "waits for %s", label));
    }
    step_settle(arena, step);
}

/* Whether the step gives up nothing for now: it waits, or what it does leaves its disks alone,
 * which are frozen, or as somebody may have them. */
static bool gives_nothing(const struct step *step)
{
    if (step->disposition != RUN)
        return true;
    if (step->action != ACTION_UPDATE && step->action != ACTION_RESTART)
        return false;
    for (size_t i = 0; i < step->field_count; i++)
        if (step->fields[i].disposition != RUN &&
            strncmp(step->fields[i].path, "spec.disks", 10) == 0)
            return true;
    return false;
}

/* Nobody takes from another that does not give for now; true if one more waits. */
static bool swaps_wait(struct arena *arena, struct plan *plan)
{
    bool is_any = false;

    for (size_t i = 0; i < plan->step_count; i++) {
        struct step *step = &plan->steps[i];

        for (size_t s = 0; s < step->swap_count && step->disposition == RUN; s++) {
            const struct step *other = &plan->steps[step->swaps[s] - 1];

            if (!gives_nothing(other))
                continue;
            wait_for(arena, step, other);
            is_any = true;
        }
    }
    return is_any;
}

static void afters_wait(struct arena *arena, struct plan *plan)
{
    for (size_t i = 0; i < plan->step_count; i++) {
        struct step *step = &plan->steps[i];
        size_t kept = 0;

        for (size_t a = 0; a < step->after_count; a++) {
            const struct step *before = &plan->steps[step->after[a] - 1];

            if (before->disposition != RUN && !step->after_must[a])
                continue;
            step->after_must[kept] = step->after_must[a];
            step->after[kept++] = step->after[a];
            if (step->after_must[kept - 1] && gives_nothing(before) && step->disposition == RUN)
                wait_for(arena, step, before);
        }
        step->after_count = kept;
    }
}

void steps_wait(struct arena *arena, struct plan *plan)
{
    do
        afters_wait(arena, plan);
    while (swaps_wait(arena, plan));
}
