/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What only one object may have at a time: a volume that an instance has open, an
 * address within a subnet, an outside address, a port of the host. What one step
 * frees, another may take in the same plan, but only after it.
 */
#include <stdlib.h>
#include <string.h>

#include "model/invariant.h"
#include "reconciler/plan/claims.h"

static void add(struct claim_list *list, const char *key, struct claim_on who)
{
    invariant(list->count < list->room, "%s claims %s, and there is room for %zu claims",
              who.subject->name, key, list->room);
    who.key = key;
    list->items[list->count++] = who;
}

static size_t disks_of(const struct value *spec)
{
    const struct value *disks = value_get(spec, "disks");

    return value_is_list(disks) ? disks->count : 0;
}

static void instance_claims(struct claim_list *list, const struct match *match, struct claim_on who,
                            const struct value *spec)
{
    const struct value *disks = value_get(spec, "disks");

    for (size_t i = 0; i < disks_of(spec); i++) {
        const struct subject *volume = match_resolve(
            match, "Volume", who.subject->project, value_get_text(disks->items[i], "volume", NULL));

        if (volume)
            add(list, arena_printf(list->arena, "volume %s", volume->uid), who);
    }
}

static void nic_claims(struct claim_list *list, const struct match *match, struct claim_on who,
                       const struct value *spec)
{
    const struct subject *subnet =
        match_resolve(match, "Subnet", who.subject->project, value_get_text(spec, "subnet", NULL));
    const char *address = value_get_text(spec, "address", NULL);

    if (subnet && address)
        add(list, arena_printf(list->arena, "address %s %s", subnet->uid, address), who);
}

static void floating_claims(struct claim_list *list, const struct match *match, struct claim_on who,
                            const struct value *spec)
{
    (void)match;
    add(list, arena_printf(list->arena, "outside %s", value_get_text(spec, "address", "")), who);
}

static void forward_claims(struct claim_list *list, const struct match *match, struct claim_on who,
                           const struct value *spec)
{
    (void)match;
    add(list,
        arena_printf(list->arena, "port %s %s %lld", value_get_text(spec, "address", "*"),
                     value_get_text(spec, "protocol", "tcp"),
                     (long long)value_get_int(spec, "port", 0)),
        who);
}

static const struct {
    const char *kind;
    void (*claims)(struct claim_list *, const struct match *, struct claim_on,
                   const struct value *);
} claimants[] = {
    {"Instance", instance_claims},
    {"NIC", nic_claims},
    {"FloatingIP", floating_claims},
    {"PortForward", forward_claims},
};

bool plan_kind_claims(const struct kind *kind)
{
    bool is_claimant = false;

    for (size_t i = 0; i < sizeof(claimants) / sizeof(*claimants); i++)
        is_claimant |= strcmp(claimants[i].kind, kind->name) == 0;
    return is_claimant;
}

static void claims_of(struct claim_list *list, const struct match *match, struct claim_on who,
                      const struct value *spec)
{
    invariant(who.subject && (!who.step || who.step->subject == who.subject),
              "what a step claims is another's");
    for (size_t i = 0; spec && i < sizeof(claimants) / sizeof(*claimants); i++)
        if (strcmp(claimants[i].kind, who.subject->kind->name) == 0)
            claimants[i].claims(list, match, who, spec);
}

static int compare_keys(const void *left, const void *right)
{
    const struct claim_on *a = left, *b = right;
    int order = strcmp(a->key, b->key);

    return order ? order : (a->step > b->step) - (a->step < b->step);
}

/* What a machine has open is what it was seen with: it may not have taken up what was applied,
 * or have taken up what was never confirmed. One that does not run has nothing open, and yet
 * nobody takes what it is told anew to have. */
static bool is_seen_machine(const struct step *step)
{
    return strcmp(step->kind->name, "Instance") == 0 && step->known->observed.known &&
           !step->subject->is_renewed;
}

static const struct value *spec_applied(const struct step *step)
{
    return step->known && !is_seen_machine(step) ? known_applied(step->known) : NULL;
}

static const struct value *spec_seen(const struct step *step)
{
    if (!step->known || (is_seen_machine(step) && !known_booted(step->known)))
        return NULL;
    return known_observed(step->known);
}

static const struct value *spec_after(const struct step *step)
{
    return step_removes(step) ? NULL : step->spec;
}

typedef const struct value *spec_fn(const struct step *step);

/* What nobody can look at may have what it was last told to have, and keeps it, whether or not the
 * plan has a step for it. */
static const struct value *spec_tried(const struct subject *subject)
{
    return subject->known ? known_tried(subject->known) : NULL;
}

static size_t room_for(const struct plan *plan, spec_fn *const *specs, size_t count)
{
    size_t room = 1;

    for (size_t i = 0; i < plan->step_count; i++)
        for (size_t s = 0; s < count; s++)
            room += 1 + disks_of(specs[s](&plan->steps[i]));
    for (size_t i = 0; plan->match->has_tried && i < plan->match->count; i++)
        if (spec_tried(&plan->match->subjects[i]))
            room += 1 + disks_of(spec_tried(&plan->match->subjects[i]));
    return room;
}

static struct claim_list collect(struct arena *arena, const struct plan *plan,
                                 spec_fn *const *specs, size_t count)
{
    struct claim_list list = {.arena = arena, .room = room_for(plan, specs, count)};

    list.items = arena_array(arena, list.room, sizeof(*list.items));
    for (size_t i = 0; i < plan->step_count; i++)
        for (size_t s = 0; s < count; s++)
            claims_of(&list, plan->match,
                      (struct claim_on){.subject = plan->steps[i].subject, .step = &plan->steps[i]},
                      specs[s](&plan->steps[i]));
    for (size_t i = 0; plan->match->has_tried && i < plan->match->count; i++)
        claims_of(&list, plan->match, (struct claim_on){.subject = &plan->match->subjects[i]},
                  spec_tried(&plan->match->subjects[i]));
    invariant(list.count < list.room, "%zu claims in room for %zu", list.count, list.room);
    qsort(list.items, list.count, sizeof(*list.items), compare_keys);
    return list;
}

struct claim_list claims_before(struct arena *arena, const struct plan *plan)
{
    return collect(arena, plan, (spec_fn *const[]){spec_applied, spec_seen}, 2);
}

struct claim_list claims_after(struct arena *arena, const struct plan *plan)
{
    return collect(arena, plan, (spec_fn *const[]){spec_after}, 1);
}
