/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Each row finds its resource in the set, is given to step_make() beside it, and leaves its
 * digest in the resource's place, so that in the end the world is summed in its order. Released
 * objects that are kept have no resource; there are few, and what orders them is kept.
 */
#include "reconciler/plan/quiet.h"

#include <stdlib.h>
#include <string.h>
#include "model/invariant.h"
#include "model/kind.h"
#include "reconciler/plan/steps.h"

/* A released object that nobody declares. */
struct kept {
    struct known row; /* no more than its identity */
    uint8_t digest[DIGEST_BYTES];
    struct kept *next;
};

/* An address that a manifest gives to a NIC. */
struct pin {
    const struct resource *subnet;
    struct address address;
    const struct resource *nic;
};

struct quiet {
    struct arena *arena;
    struct arena *scratch; /* of the row that is judged; heap */
    const struct plan_input *input;
    struct plan_input few; /* what a row is judged by */
    struct match match;    /* of nobody: what it would tell matters only where something differs */
    struct world *world;
    uint8_t (*digests)[DIGEST_BYTES]; /* of each resource's row */
    bool *is_seen;                    /* of each resource: it has a row */
    size_t seen;
    size_t next; /* the resource behind the last row's: rows are mostly in the set's order */
    struct kept *kept;
    size_t kept_count;
    struct pin *pins; /* sorted */
    size_t pin_count;
    int64_t observed_at;
    bool is_over; /* something is not quiet */
};

/* ---- addresses ---------------------------------------------------------------------- */

static int compare_pins(const void *left, const void *right)
{
    const struct pin *a = left, *b = right;

    if (a->subnet != b->subnet)
        return a->subnet < b->subnet ? -1 : 1; /* each has addresses of one family */
    return memcmp(a->address.bytes, b->address.bytes, sizeof(a->address.bytes));
}

static bool is_nic(const struct resource *resource)
{
    return strcmp(resource->kind->name, "NIC") == 0;
}

static bool is_pinned(const struct resource *resource)
{
    return is_nic(resource) && value_get(resource->spec, "address");
}

static const struct resource *subnet_of(const struct quiet *quiet, const struct resource *nic)
{
    return set_resolve(quiet->input->set, "Subnet", nic->project,
                       value_get_text(nic->spec, "subnet", ""));
}

static void pins_find(struct quiet *quiet)
{
    const struct set *set = quiet->input->set;
    struct error err = ERROR_INIT;
    size_t room = 1;

    for (size_t i = 0; i < set->count; i++)
        room += is_pinned(set->resources[i]);
    quiet->pins = arena_array(quiet->arena, room, sizeof(*quiet->pins));
    for (size_t i = 0; i < set->count; i++) {
        const struct resource *nic = set->resources[i];
        struct pin *pin = &quiet->pins[quiet->pin_count];

        if (!is_pinned(nic))
            continue;
        int rc = address_read(value_get_text(nic->spec, "address", ""), &pin->address, &err);
        invariant(rc == 0, "NIC %s is in the set: %s", nic->name, err.message);
        pin->subnet = subnet_of(quiet, nic);
        pin->nic = nic;
        quiet->pin_count++;
    }
    qsort(quiet->pins, quiet->pin_count, sizeof(*quiet->pins), compare_pins);
}

static bool is_pinned_by_another(const struct quiet *quiet, const struct pin *wanted)
{
    const struct pin *found =
        bsearch(wanted, quiet->pins, quiet->pin_count, sizeof(*quiet->pins), compare_pins);

    return found && found->nic != wanted->nic; /* a valid set pins an address once */
}

/* The spec of a NIC for which nothing has to be chosen, or NULL. */
static const struct value *nic_spec(const struct quiet *quiet, const struct subject *nic)
{
    struct pin pin = {.subnet = subnet_of(quiet, nic->resource), .nic = nic->resource};
    const struct value *spec =
        pin.subnet ? choose_nothing(quiet->scratch, nic, pin.subnet, &pin.address) : NULL;

    return spec && !is_pinned_by_another(quiet, &pin) ? spec : NULL;
}

/* ---- one row ------------------------------------------------------------------------ */

/* NULL if there is none, or if another row was found for it before. */
static const struct resource *resource_take(struct quiet *quiet, const struct kind *kind,
                                            const struct known *row, size_t *at)
{
    const struct set *set = quiet->input->set;
    const struct resource key = {.kind = kind, .project = row->project, .name = row->name};
    const struct resource *wanted = &key;
    struct resource **found = set->resources + quiet->next;

    if (quiet->next >= set->count || resource_compare(&wanted, found) != 0)
        found = set->count
                    ? bsearch(&wanted, set->resources, set->count, sizeof(*found), resource_compare)
                    : NULL;
    if (!found)
        return NULL;
    *at = (size_t)(found - set->resources);
    invariant(*at < set->count, "resource %zu of %zu", *at, set->count);
    quiet->next = *at + 1;
    if (quiet->is_seen[*at])
        return NULL;
    quiet->is_seen[*at] = true;
    quiet->seen++;
    return *found;
}

/* Its name was always this one, and records can mean nobody else by it. */
static bool is_named_plainly(const struct known *row)
{
    return !value_get(row->chosen, "called") && !value_get(row->chosen, "becomes") &&
           !value_get(row->chosen, "formerly");
}

/* Nothing is to be done about it, by the function that says what is. Whether a guest runs in it is
 * asked more strictly: a record of how it was booted is compared, running or not. */
static bool is_as_declared(struct quiet *quiet, const struct resource *resource,
                           const struct known *row)
{
    const struct resource *of = resource->owner;
    struct step step;
    struct subject owner = {0};
    struct subject subject = {
        .kind = resource->kind,
        .project = resource->project,
        .name = resource->name,
        .resource = resource,
        .known = row,
        .is_running = known_booted(row) != NULL,
        .uid = row->uid,
        .chosen = row->chosen,
    };

    if (row->life != LIFE_LIVE || !value_is_map(row->chosen) || !is_named_plainly(row) ||
        (resource->kind->driver && !row->observed.known))
        return false;
    if (of) {
        owner = (struct subject){.kind = of->kind,
                                 .project = of->project,
                                 .name = of->name,
                                 .resource = of,
                                 .spec = of->spec};
        subject.owner = &owner; /* whose policy is asked as soon as something differs */
    }
    invariant(resource->kind == kind_find(row->kind), "%s is a %s, and declared as a %s", row->uid,
              row->kind, resource->kind->name);
    subject.spec = is_nic(resource) ? nic_spec(quiet, &subject) : resource->spec;
    return subject.spec && !step_make(quiet->scratch, &quiet->match, &subject, &step) &&
           !step.is_unrecorded;
}

static void kept_add(struct quiet *quiet, const struct known *row)
{
    struct kept *kept = arena_alloc(quiet->arena, sizeof(*kept));

    kept->row = (struct known){.uid = arena_text(quiet->arena, row->uid),
                               .kind = arena_text(quiet->arena, row->kind),
                               .project = arena_text(quiet->arena, row->project),
                               .name = arena_text(quiet->arena, row->name)};
    world_row(quiet->world, row, kept->digest);
    kept->next = quiet->kept;
    quiet->kept = kept;
    quiet->kept_count++;
}

static bool row_judge(struct quiet *quiet, const struct known *row)
{
    const struct kind *kind = kind_find(row->kind);
    const struct resource *resource;
    size_t at;

    if (!kind)
        return false;
    if (known_is_kept(row)) {
        if (row->observed.known && row->observed.epoch > row->epoch)
            return false; /* its row is an older one than what it was last done with */
        if (set_find(quiet->input->set, row->kind, row->project, row->name))
            return false; /* it is to be adopted */
        kept_add(quiet, row);
        return true;
    }
    resource = resource_take(quiet, kind, row, &at);
    if (!resource || !is_as_declared(quiet, resource, row))
        return false;
    world_row(quiet->world, row, quiet->digests[at]);
    return true;
}

bool quiet_row(struct quiet *quiet, const struct known *row)
{
    const struct observation *seen = &row->observed;

    quiet->is_over = quiet->is_over || !row_judge(quiet, row);
    arena_reset(quiet->scratch);
    if (seen->known && (quiet->observed_at == 0 || seen->at < quiet->observed_at))
        quiet->observed_at = seen->at;
    return !quiet->is_over;
}

/* ---- all of them -------------------------------------------------------------------- */

struct quiet *quiet_begin(struct arena *arena, const struct plan_input *input)
{
    struct quiet *quiet = arena_alloc(arena, sizeof(*quiet));
    size_t count = input->set->count;

    invariant(input->set && input->commit, "rows are judged by no set");
    quiet->arena = arena;
    quiet->scratch = arena_new();
    quiet->input = input;
    quiet->few = (struct plan_input){.set = input->set};
    memcpy(quiet->few.seed, input->seed, sizeof(quiet->few.seed));
    quiet->match.input = &quiet->few;
    quiet->match.contests = arena_array(arena, 1, sizeof(*quiet->match.contests));
    quiet->world = world_new(arena);
    quiet->digests = arena_array(arena, count + 1, sizeof(*quiet->digests));
    quiet->is_seen = arena_array(arena, count + 1, sizeof(*quiet->is_seen));
    pins_find(quiet);
    return quiet;
}

static int compare_kept(const void *left, const void *right)
{
    return plan_known_order(&(*(const struct kept *const *)left)->row,
                            &(*(const struct kept *const *)right)->row);
}

static struct kept **kept_sort(struct quiet *quiet)
{
    struct kept **sorted = arena_array(quiet->arena, quiet->kept_count + 1, sizeof(*sorted));
    size_t count = 0;

    for (struct kept *kept = quiet->kept; kept; kept = kept->next)
        sorted[count++] = kept;
    invariant(count == quiet->kept_count, "%zu rows are kept, and %zu were counted", count,
              quiet->kept_count);
    qsort(sorted, count, sizeof(*sorted), compare_kept);
    return sorted;
}

/* In the order of plan_input.known: the set's own, with what is kept in between. */
static void world_sum(struct quiet *quiet)
{
    const struct set *set = quiet->input->set;
    struct kept **kept = kept_sort(quiet);
    size_t at = 0;

    invariant(quiet->seen == set->count, "%zu of %zu resources have a digest", quiet->seen,
              set->count);
    for (size_t i = 0; i < set->count; i++) {
        const struct resource *resource = set->resources[i];
        const struct known row = {.uid = "",
                                  .kind = resource->kind->name,
                                  .project = resource->project,
                                  .name = resource->name};

        for (; at < quiet->kept_count && plan_known_order(&kept[at]->row, &row) < 0; at++)
            world_add(quiet->world, kept[at]->digest);
        world_add(quiet->world, quiet->digests[i]);
    }
    for (; at < quiet->kept_count; at++)
        world_add(quiet->world, kept[at]->digest);
    invariant(at == quiet->kept_count, "%zu of %zu kept rows are of the world", at,
              quiet->kept_count);
}

const struct plan *quiet_end(struct quiet *quiet)
{
    const struct plan_input *input = quiet->input;
    bool is_quiet = !quiet->is_over && quiet->seen == input->set->count;
    char world[DIGEST_TEXT];

    invariant(quiet->seen <= input->set->count, "%zu resources have rows, of %zu", quiet->seen,
              input->set->count);
    if (is_quiet)
        world_sum(quiet);
    world_end(quiet->world, world);
    arena_free(quiet->scratch);
    return is_quiet ? plan_settled(quiet->arena, input->commit, input->parent, input->set->declared,
                                   world, quiet->observed_at)
                    : NULL;
}
