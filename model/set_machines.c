/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Machines as a whole: who holds which volume and which MAC, and whether what
 * leads to a machine finds a NIC of it in the VPC that it comes from.
 */
#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/set_build.h"
#include "model/set_claim.h"
#include "model/text.h"

static bool is_a(const struct resource *resource, const char *kind)
{
    return text_equal(resource->kind->name, kind);
}

static void claim_volumes(struct checker *checker, const struct set *set,
                          const struct resource *instance, struct claims *claims)
{
    const struct value *disks = value_get(instance->spec, "disks");

    for (size_t i = 0; value_is_list(disks) && i < disks->count; i++) {
        const struct value *disk = disks->items[i];
        const struct value *name = value_get(disk, "volume");
        const struct resource *volume =
            name ? set_target(set, instance, "Volume", name->text) : NULL;

        if (!volume)
            continue;
        claim_add(checker->arena, claims,
                  (struct claim){
                      .what = arena_printf(checker->arena, "volume: %s",
                                           resource_label(checker->arena, volume)),
                      .detail = value_get_bool(disk, "readOnly", false) ? "readOnly" : NULL,
                      .by = arena_printf(checker->arena, "disk %s of %s",
                                         value_get_text(disk, "name", "?"),
                                         resource_label(checker->arena, instance)),
                      .at = value_place(instance, name),
                  });
    }
}

static void claim_macs(struct checker *checker, const struct resource *instance,
                       struct claims *claims)
{
    const struct value *nics = value_get(instance->spec, "nics");

    for (size_t i = 0; value_is_list(nics) && i < nics->count; i++) {
        const struct value *mac = value_get(nics->items[i], "mac");

        if (!mac)
            continue;
        claim_add(checker->arena, claims,
                  (struct claim){
                      .what = arena_printf(checker->arena, "mac: %s", mac->text),
                      .by = arena_printf(checker->arena, "NIC %s of %s",
                                         value_get_text(nics->items[i], "name", "?"),
                                         resource_label(checker->arena, instance)),
                      .at = value_place(instance, mac),
                  });
    }
}

/* The VPC that a NIC of an instance is in, or NULL. */
static const struct resource *nic_vpc(const struct set *set, const struct resource *instance,
                                      const struct value *nic)
{
    const struct resource *subnet =
        set_target(set, instance, "Subnet", value_get_text(nic, "subnet", NULL));

    if (!subnet)
        return NULL;
    return set_target(set, subnet, "VPC", value_get_text(subnet->spec, "vpc", NULL));
}

static const struct value *nic_in_vpc(const struct set *set, const struct resource *instance,
                                      const struct resource *vpc)
{
    const struct value *nics = value_get(instance->spec, "nics");

    for (size_t i = 0; value_is_list(nics) && i < nics->count; i++)
        if (nic_vpc(set, instance, nics->items[i]) == vpc)
            return nics->items[i];
    return NULL;
}

static bool leads_to_nic(const struct resource *resource)
{
    return is_a(resource, "FloatingIP") || is_a(resource, "PortForward");
}

/* A copy of the spec with its nic; the one without is kept for the parse cache,
 * because which NIC is the first changes with the instance. */
static void fill_nic(struct arena *arena, struct resource *resource, const char *nic)
{
    struct value *spec = value_map(arena);

    invariant(!value_get(resource->spec, "nic"), "%s %s has a nic of its own beside %s",
              resource->kind->name, resource->name, nic);
    for (size_t i = 0; i < resource->spec->pair_count; i++) {
        const struct pair *pair = &resource->spec->pairs[i];

        value_push_owned(arena, spec, pair->key, pair->at, pair->value);
    }
    spec->at = resource->spec->at;
    value_set_text(arena, spec, "nic", nic);
    resource->own_spec = resource->spec;
    resource->spec = spec;
}

static void check_nic_alone(struct checker *checker, const struct resource *resource)
{
    if (value_get(resource->spec, "nic") && !value_get(resource->spec, "instance"))
        report_add(checker->report, resource_place(resource, "nic"), "bad-combination",
                   "nic: it is a NIC of spec.instance, which is left out");
}

void set_complete(struct checker *checker, const struct set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct resource *resource = set->resources[i];
        const struct resource *instance;
        const struct resource *vpc;
        const struct value *nic;

        if (!leads_to_nic(resource))
            continue;
        check_nic_alone(checker, resource);
        if (value_get(resource->spec, "nic"))
            continue;
        instance =
            set_target(set, resource, "Instance", value_get_text(resource->spec, "instance", NULL));
        vpc = set_target(set, resource, "VPC", value_get_text(resource->spec, "vpc", NULL));
        nic = instance && vpc ? nic_in_vpc(set, instance, vpc) : NULL;
        if (nic && value_get_text(nic, "name", NULL))
            fill_nic(checker->arena, resource, value_get_text(nic, "name", NULL));
    }
}

static void check_leads_to_nic(struct checker *checker, const struct set *set,
                               const struct resource *resource)
{
    const struct value *name = value_get(resource->spec, "nic");
    const struct resource *instance =
        set_target(set, resource, "Instance", value_get_text(resource->spec, "instance", NULL));
    const struct resource *vpc =
        set_target(set, resource, "VPC", value_get_text(resource->spec, "vpc", NULL));
    const struct value *nic;

    if (!instance || !vpc)
        return;
    if (!name) {
        report_add(checker->report, resource_place(resource, "instance"), "bad-reference",
                   "instance: %s has no NIC in %s", resource_label(checker->arena, instance),
                   resource_label(checker->arena, vpc));
        return;
    }
    nic = value_find(value_get(instance->spec, "nics"), "name", name->text);
    if (!nic)
        report_add(checker->report, value_place(resource, name), "bad-reference",
                   "nic: %s has no NIC `%s`", resource_label(checker->arena, instance), name->text);
    else if (nic_vpc(set, instance, nic) && nic_vpc(set, instance, nic) != vpc)
        report_add(checker->report, value_place(resource, name), "bad-reference",
                   "nic: NIC `%s` of %s is not in %s", name->text,
                   resource_label(checker->arena, instance), resource_label(checker->arena, vpc));
}

void set_check_machines(struct checker *checker, const struct set *set)
{
    struct claims volumes = {0};
    struct claims macs = {0};

    for (size_t i = 0; i < set->count; i++) {
        const struct resource *resource = set->resources[i];

        if (is_a(resource, "Instance")) {
            claim_volumes(checker, set, resource, &volumes);
            claim_macs(checker, resource, &macs);
        } else if (leads_to_nic(resource)) {
            check_leads_to_nic(checker, set, resource);
        }
    }
    claims_check(checker, &volumes, PARTS_SHARED, "shared-volume",
                 "; a volume is shared only if every disk of it is readOnly");
    claims_check(checker, &macs, PARTS_EXCLUSIVE, "duplicate-mac", "");
}
