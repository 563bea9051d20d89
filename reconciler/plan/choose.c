/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is chosen once: uids, and the addresses and MACs of NICs. A choice follows
 * from the inputs alone, is written into the plan and kept for ever: known.chosen
 * wins over a new choice, the manifest over both. A chosen address is the lowest
 * host address of its subnet that no NIC has, desired or known, so that nothing
 * that is about to go is collided with.
 */
#include <stdlib.h>
#include <string.h>

#include "model/native.h"
#include "model/net.h"
#include "model/invariant.h"
#include "model/sort.h"
#include "reconciler/plan/match.h"

/* An address of a subnet that is spoken for. */
struct claim {
    const struct subject *subnet;
    struct address address;
    const struct subject *nic;
    bool is_pinned; /* by a manifest */
};

struct pool {
    struct arena *arena;
    struct match *match;
    struct claim *claims; /* sorted */
    size_t count;
    uint64_t *next;    /* of each subject that is a subnet: addresses below were tried */
    const char **uids; /* of all rows, sorted; NULL until one is to be chosen */
};

/* ---- uids --------------------------------------------------------------------------- */

static const char **uids_known(struct arena *arena, const struct plan_input *input)
{
    const char **uids = arena_array(arena, input->known_count + 1, sizeof(*uids));

    for (size_t i = 0; i < input->known_count; i++) {
        invariant(input->known[i].uid && input->known[i].uid[0], "row %zu of %zu has no uid", i,
                  input->known_count);
        uids[i] = input->known[i].uid;
    }
    qsort(uids, input->known_count, sizeof(*uids), text_order);
    return uids;
}

/* The next incarnation of the identity whose uid no row has: an object that was
 * renamed still bears the uid of its first name. */
static const char *choose_uid(struct pool *pool, const struct subject *subject)
{
    struct arena *arena = pool->arena;
    const struct plan_input *input = pool->match->input;
    char *uid = arena_alloc(arena, UID_TEXT);
    uint64_t incarnation = 0;

    if (!pool->uids)
        pool->uids = uids_known(arena, input);
    if (input->incarnations)
        incarnation = input->incarnations(input->incarnations_context, subject->kind->name,
                                          subject->project, subject->name);
    /* R8 of docs/model/README.md: a new object under an old name is a new uid. */
    do
        digest_uid(input->seed, subject->kind->name, subject->project, subject->name, incarnation++,
                   uid);
    while (bsearch(&uid, pool->uids, input->known_count, sizeof(*pool->uids), text_order));
    invariant(strlen(uid) == UID_TEXT - 1, "%s would have the uid '%s'", subject->name, uid);
    return uid;
}

/* ---- addresses ---------------------------------------------------------------------- */

static int compare_claims(const void *left, const void *right)
{
    const struct claim *a = left, *b = right;

    if (a->subnet != b->subnet)
        return a->subnet < b->subnet ? -1 : 1;
    if (a->address.family != b->address.family)
        return a->address.family - b->address.family;
    return memcmp(a->address.bytes, b->address.bytes, sizeof(a->address.bytes));
}

static const struct subject *subnet_of(const struct match *match, const struct subject *nic,
                                       const struct value *spec)
{
    return match_resolve(match, "Subnet", nic->project, value_get_text(spec, "subnet", NULL));
}

/* What its manifest means: a record may mean another one by that name (renew.c). */
static const struct subject *subnet_declared(const struct match *match, const struct resource *nic)
{
    size_t i = 0;

    while (strcmp(nic->refs[i]->kind->name, "Subnet") != 0) {
        i++;
        invariant(i < nic->ref_count, "NIC %s is in a subnet that nobody declares", nic->name);
    }
    return match_declared(match, nic->refs[i]);
}

static bool read_address(const char *text, struct address *address)
{
    struct error ignored = ERROR_INIT;

    *address = (struct address){0};
    return text && address_read(text, address, &ignored) == 0;
}

static void claim(struct pool *pool, const struct subject *nic, const struct subject *subnet,
                  const char *text, bool is_pinned)
{
    struct address address;

    if (subnet && read_address(text, &address))
        pool->claims[pool->count++] = (struct claim){subnet, address, nic, is_pinned};
}

/* Every NIC claims what its manifest says and what was chosen for it before. */
static void claims_collect(struct pool *pool)
{
    const struct match *match = pool->match;

    pool->claims = arena_array(pool->arena, 2 * match->count + 1, sizeof(struct claim));
    for (size_t i = 0; i < match->count; i++) {
        const struct subject *nic = &match->subjects[i];
        const struct value *wanted = nic->resource ? nic->resource->spec : NULL;
        const struct value *had;

        if (strcmp(nic->kind->name, "NIC") != 0)
            continue;
        if (wanted)
            claim(pool, nic, subnet_declared(match, nic->resource),
                  value_get_text(wanted, "address", NULL), true);
        if (!nic->known)
            continue;
        had = known_applied(nic->known);
        if (!had)
            had = known_observed(nic->known);
        claim(pool, nic, subnet_of(match, nic, had ? had : wanted),
              value_get_text(nic->known->chosen, "address", NULL), false);
    }
    invariant(pool->count <= 2 * match->count, "%zu addresses are claimed by %zu subjects",
              pool->count, match->count);
    qsort(pool->claims, pool->count, sizeof(struct claim), compare_claims);
}

/* Whether someone but `nic` has it; `pinned_only`: by its manifest. */
static bool is_claimed(const struct pool *pool, const struct subject *subnet,
                       const struct address *address, const struct subject *nic, bool pinned_only)
{
    struct claim key = {.subnet = subnet, .address = *address};
    size_t low = 0, high = pool->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_claims(&pool->claims[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < pool->count && compare_claims(&pool->claims[low], &key) == 0; low++)
        if (pool->claims[low].nic != nic && (pool->claims[low].is_pinned || !pinned_only))
            return true;
    return false;
}

struct range {
    struct prefix cidr;
    struct address gateway;
};

static bool range_read(const struct value *spec, struct range *range, struct error *err)
{
    return prefix_read(value_get_text(spec, "cidr", ""), &range->cidr, err) == 0 &&
           read_address(value_get_text(spec, "gateway", NULL), &range->gateway);
}

/* Of a subnet that is declared: the model has given it a gateway. */
static struct range declared_range(const struct resource *subnet)
{
    struct error err = ERROR_INIT;
    struct range range;
    bool is_read = range_read(subnet->spec, &range, &err);

    invariant(is_read, "subnet %s is declared without a prefix or a gateway: %s", subnet->name,
              err.message);
    return range;
}

/* What is there keeps its prefix, whatever is declared meanwhile: it cannot be changed (policy.c).
 */
static struct range subnet_range(const struct subject *subnet)
{
    struct range declared = declared_range(subnet->resource), kept;
    const struct known *known = subnet->known;
    bool is_there = known && !(known->observed.known && known->observed.absent);
    struct error ignored = ERROR_INIT;

    if (!is_there || !range_read(known_applied(known), &kept, &ignored) ||
        (kept.cidr.length == declared.cidr.length &&
         address_equal(&kept.cidr.address, &declared.cidr.address)))
        return declared;
    return kept;
}

/* The all-ones address of an IPv4 subnet is its broadcast address. */
static bool is_broadcast(const struct prefix *cidr, const struct address *address)
{
    struct address last = {0};
    struct error ignored = ERROR_INIT;

    if (cidr->address.family != 4)
        return false;
    (void)prefix_nth(cidr, ((uint64_t)1 << (32 - cidr->length)) - 1, &last, &ignored);
    return address_equal(&last, address);
}

static const char *lowest_free(struct pool *pool, const struct subject *subnet)
{
    size_t at = (size_t)(subnet - pool->match->subjects);
    uint64_t *next = &pool->next[at];
    struct range range = subnet_range(subnet);
    struct address address;
    struct error ignored = ERROR_INIT;
    char text[ADDRESS_MAX_TEXT];

    invariant(at < pool->match->count, "subnet %s is at %zu of %zu", subnet->name, at,
              pool->match->count);
    if (*next == 0)
        *next = 1;
    while (prefix_nth(&range.cidr, *next, &address, &ignored) == 0) {
        (*next)++;
        if (!address_equal(&address, &range.gateway) && !is_broadcast(&range.cidr, &address) &&
            !is_claimed(pool, subnet, &address, NULL, false))
            return arena_text(pool->arena, address_text(&address, text));
    }
    return NULL;
}

static bool lies_in(struct range range, const char *text, struct address *address)
{
    return read_address(text, address) && prefix_has(&range.cidr, address) &&
           !address_equal(address, &range.gateway);
}

/* What was chosen before still holds if it lies in the subnet and no manifest took it. */
static bool is_still_good(const struct pool *pool, const struct subject *nic,
                          const struct subject *subnet, const char *text)
{
    struct address address;

    return lies_in(subnet_range(subnet), text, &address) &&
           !is_claimed(pool, subnet, &address, nic, true);
}

static const char *choose_address(struct pool *pool, struct subject *nic)
{
    const char *text = value_get_text(nic->resource->spec, "address", NULL);
    const struct subject *subnet = subnet_declared(pool->match, nic->resource);
    struct address address;

    if (text && !lies_in(subnet_range(subnet), text, &address))
        nic->lacks = arena_printf(pool->arena,
                                  "Subnet %s keeps the cidr that it has, and %s is no "
                                  "address of a guest there",
                                  subnet->name, text);
    if (text)
        return text;
    if (nic->known)
        text = value_get_text(nic->known->chosen, "address", NULL);
    if (text && is_still_good(pool, nic, subnet, text))
        return text;
    text = lowest_free(pool, subnet);
    if (!text)
        nic->lacks = arena_printf(pool->arena, "Subnet %s has no free address left", subnet->name);
    return text;
}

static const char *choose_mac(struct arena *arena, const struct subject *nic)
{
    const char *text = value_get_text(nic->resource->spec, "mac", NULL);
    char mac[MAC_TEXT];

    if (!text && nic->known)
        text = value_get_text(nic->known->chosen, "mac", NULL);
    invariant(nic->uid && nic->uid[0], "NIC %s gets a MAC before it has a uid", nic->name);
    return text ? text : arena_text(arena, native_mac(nic->uid, mac));
}

/* ---- all ---------------------------------------------------------------------------- */

/* A name that the object bore is remembered with it, so that records which still
 * use it (how a guest was booted) are not taken for a difference. */
static void remember_name(struct arena *arena, struct value *chosen, const char *name)
{
    struct value *names = value_list(arena);
    const struct value *before = value_get(chosen, "formerly");

    for (size_t i = 0; value_is_list(before) && i < before->count; i++)
        if (!value_is_text(before->items[i]) || strcmp(before->items[i]->text, name) != 0)
            value_append(arena, names, before->items[i]);
    value_append(arena, names, value_text(arena, name));
    value_set(arena, chosen, "formerly", names);
}

static struct value *shallow_copy(struct arena *arena, const struct value *map)
{
    struct value *copy = value_map(arena);

    for (size_t i = 0; value_is_map(map) && i < map->pair_count; i++)
        value_set(arena, copy, map->pairs[i].key, map->pairs[i].value);
    return copy;
}

static const struct value *nic_spec(struct arena *arena, const struct subject *nic,
                                    const char *address, const char *mac)
{
    struct value *spec = shallow_copy(arena, nic->resource->spec);

    if (address)
        value_set_text(arena, spec, "address", address);
    value_set_text(arena, spec, "mac", mac);
    return spec;
}

static void choose_nic(struct pool *pool, struct subject *nic, struct value *chosen)
{
    const char *address = choose_address(pool, nic);
    const char *mac = choose_mac(pool->arena, nic);

    if (address)
        value_set_text(pool->arena, chosen, "address", address);
    value_set_text(pool->arena, chosen, "mac", mac);
    nic->spec = nic_spec(pool->arena, nic, address, mac);
}

const struct value *choose_nothing(struct arena *arena, const struct subject *nic,
                                   const struct resource *subnet, struct address *address)
{
    const char *text = value_get_text(nic->resource->spec, "address", NULL);

    if (!text)
        text = value_get_text(nic->known->chosen, "address", NULL);
    return lies_in(declared_range(subnet), text, address)
               ? nic_spec(arena, nic, text, choose_mac(arena, nic))
               : NULL;
}

static void choose(struct pool *pool, struct subject *subject)
{
    const struct known *known = subject->known;
    bool is_nic = strcmp(subject->kind->name, "NIC") == 0;
    struct value *chosen;

    invariant(!subject->uid && !subject->chosen, "%s %s is chosen for twice", subject->kind->name,
              subject->name);
    invariant(known || subject->resource, "%s %s is neither declared nor known",
              subject->kind->name, subject->name);
    subject->uid = known ? known->uid : choose_uid(pool, subject);
    if (subject->resource)
        subject->spec = subject->resource->spec;
    if (known && value_is_map(known->chosen) &&
        (!subject->resource || (!subject->renamed_from && !is_nic))) {
        subject->chosen = known->chosen; /* nothing is added to it */
        return;
    }
    subject->chosen = chosen = shallow_copy(pool->arena, known ? known->chosen : NULL);
    if (subject->resource && subject->renamed_from)
        remember_name(pool->arena, chosen, subject->renamed_from);
    if (subject->resource && is_nic)
        choose_nic(pool, subject, chosen);
}

void choose_all(struct arena *arena, struct match *match)
{
    struct pool pool = {.arena = arena, .match = match};

    pool.next = arena_array(arena, match->count + 1, sizeof(*pool.next));
    claims_collect(&pool);
    for (size_t i = 0; i < match->count; i++)
        choose(&pool, &match->subjects[i]);
    for (size_t i = 0; match->has_names_in_use && i < match->count; i++)
        match_renew(arena, match, &match->subjects[i]);
}
