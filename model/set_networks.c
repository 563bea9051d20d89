/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Networks as a whole: prefixes nest or are apart, so that overlaps are found
 * between neighbours of a sorted list; addresses and ports are claims.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/net.h"
#include "model/set_build.h"
#include "model/set_claim.h"
#include "model/text.h"

static bool is_a(const struct resource *resource, const char *kind)
{
    return text_equal(resource->kind->name, kind);
}

static bool prefix_of(const struct value *text, struct prefix *prefix)
{
    struct error err = ERROR_INIT;

    return value_is_text(text) && prefix_read(text->text, prefix, &err) == 0;
}

static bool address_of(const struct value *text, struct address *address)
{
    struct error err = ERROR_INIT;

    return value_is_text(text) && address_read(text->text, address, &err) == 0;
}

static const struct resource *target(const struct set *set, const struct resource *resource,
                                     const char *kind, const char *field)
{
    return set_target(set, resource, kind, value_get_text(resource->spec, field, NULL));
}

/* True for the network address, and for IPv4's broadcast address. */
static const char *reserved_as(const struct prefix *prefix, const struct address *address)
{
    struct prefix network = prefix_network(prefix);
    struct error err = ERROR_INIT;
    struct address last;
    int bits = (address->family == 4 ? 32 : 128) - prefix->length;

    invariant(prefix->address.family == address->family && bits >= 0,
              "an address of family %d lies in a prefix of family %d, %d bits", address->family,
              prefix->address.family, prefix->length);

    if (address_equal(&network.address, address))
        return "network";
    if (address->family == 4 && bits > 0 &&
        prefix_nth(prefix, (UINT64_C(1) << bits) - 1, &last, &err) == 0 &&
        address_equal(&last, address))
        return "broadcast";
    return NULL;
}

/* Reports an address that a subnet cannot give; false then. */
static bool check_within(struct checker *checker, const struct resource *by,
                         const struct value *address_value, const struct resource *subnet,
                         const char *what)
{
    struct position at = value_place(by, address_value);
    struct address address;
    struct prefix prefix;
    char text[PREFIX_MAX_TEXT];
    const char *reserved;

    if (!address_of(address_value, &address) ||
        !prefix_of(value_get(subnet->spec, "cidr"), &prefix))
        return false;
    prefix_text(&prefix, text);
    if (!prefix_has(&prefix, &address)) {
        report_add(checker->report, at, "bad-address", "%s: %s is outside %s (%s)", what,
                   address_value->text, resource_label(checker->arena, subnet), text);
        return false;
    }
    reserved = reserved_as(&prefix, &address);
    if (reserved)
        report_add(checker->report, at, "bad-address", "%s: %s is the %s address of %s (%s)", what,
                   address_value->text, reserved, resource_label(checker->arena, subnet), text);
    return !reserved;
}

/* Networks whose addresses no guest can have: one that reaches into them, 0.0.0.0/0 above all,
 * would take the host's own addresses, and everybody else's, for the VPC's. */
static const struct {
    const char *prefix;
    const char *what;
} not_for_guests[] = {
    {"0.0.0.0/8", "\"this network\""}, {"127.0.0.0/8", "loopback"},
    {"169.254.0.0/16", "link-local"},  {"224.0.0.0/3", "multicast and reserved"},
    {"::/8", "loopback and reserved"}, {"fe80::/10", "link-local"},
    {"ff00::/8", "multicast"},
};

/* `given` is a prefix, or an address by itself. */
static void check_for_guests(struct checker *checker, const struct resource *by, const char *field,
                             const struct value *given)
{
    struct error ignored = ERROR_INIT;
    struct prefix mine, other;

    if (address_of(given, &mine.address))
        mine.length = mine.address.family == 4 ? 32 : 128;
    else if (!prefix_of(given, &mine))
        return;
    for (size_t i = 0; i < sizeof(not_for_guests) / sizeof(not_for_guests[0]); i++) {
        int known = prefix_read(not_for_guests[i].prefix, &other, &ignored);

        invariant(known == 0, "our own %s is no prefix", not_for_guests[i].prefix);
        if (!prefix_overlaps(&mine, &other))
            continue;
        report_add(checker->report, value_place(by, given), "bad-prefix",
                   "%s: %s %s no guest can have: %s is %s", field, given->text,
                   strchr(given->text, '/') ? "holds addresses that" : "is an address that",
                   not_for_guests[i].prefix, not_for_guests[i].what);
        return;
    }
}

static void check_vpc(struct checker *checker, const struct resource *vpc)
{
    const struct value *prefixes = value_get(vpc->spec, "prefixes");

    for (size_t i = 0; value_is_list(prefixes) && i < prefixes->count; i++) {
        struct prefix mine;

        check_for_guests(checker, vpc, "prefixes", prefixes->items[i]);
        for (size_t j = 0; j < i && prefix_of(prefixes->items[i], &mine); j++) {
            struct prefix other;

            if (!prefix_of(prefixes->items[j], &other) || !prefix_overlaps(&mine, &other))
                continue;
            report_add(checker->report, value_place(vpc, prefixes->items[i]), "overlap",
                       "prefixes: %s overlaps %s", prefixes->items[i]->text,
                       prefixes->items[j]->text);
            break;
        }
    }
}

struct placed {
    const struct resource *subnet;
    const struct resource *vpc;
    struct prefix prefix;
};

static void check_in_vpc(struct checker *checker, const struct placed *placed)
{
    const struct value *prefixes = value_get(placed->vpc->spec, "prefixes");
    struct prefix around;

    if (!value_is_list(prefixes) || prefixes->count == 0)
        return;
    for (size_t i = 0; i < prefixes->count; i++)
        if (prefix_of(prefixes->items[i], &around) && around.length <= placed->prefix.length &&
            prefix_has(&around, &placed->prefix.address))
            return;
    report_add(checker->report, resource_place(placed->subnet, "cidr"), "bad-prefix",
               "cidr: %s lies in no prefix of %s", value_get_text(placed->subnet->spec, "cidr", ""),
               resource_label(checker->arena, placed->vpc));
}

static int placed_compare(const void *a, const void *b)
{
    const struct placed *x = a;
    const struct placed *y = b;
    int order = resource_compare(&x->vpc, &y->vpc);

    if (order == 0)
        order = x->prefix.address.family - y->prefix.address.family;
    if (order == 0)
        order = memcmp(x->prefix.address.bytes, y->prefix.address.bytes, 16);
    if (order == 0)
        order = x->prefix.length - y->prefix.length;
    return order ? order : resource_compare(&x->subnet, &y->subnet);
}

static void overlap_report(struct checker *checker, const struct placed *wide,
                           const struct placed *narrow)
{
    report_add(checker->report, resource_place(narrow->subnet, "cidr"), "overlap",
               "cidr: %s overlaps %s of %s (%s:%u)",
               value_get_text(narrow->subnet->spec, "cidr", ""),
               value_get_text(wide->subnet->spec, "cidr", ""),
               resource_label(checker->arena, wide->subnet), wide->subnet->at.file,
               resource_place(wide->subnet, "cidr").line);
}

static void check_subnets(struct checker *checker, const struct set *set)
{
    struct placed *all;
    const struct placed *wide;
    size_t count = 0, room;

    for (size_t i = 0; i < set->count; i++)
        count += is_a(set->resources[i], "Subnet");
    room = count;
    wide = all = arena_array(checker->arena, room, sizeof(*all));
    count = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct resource *subnet = set->resources[i];
        struct placed placed = {.subnet = subnet};

        if (!is_a(subnet, "Subnet"))
            continue;
        check_for_guests(checker, subnet, "cidr", value_get(subnet->spec, "cidr"));
        check_within(checker, subnet, value_get(subnet->spec, "gateway"), subnet, "gateway");
        placed.vpc = target(set, subnet, "VPC", "vpc");
        if (!placed.vpc || !prefix_of(value_get(subnet->spec, "cidr"), &placed.prefix))
            continue;
        check_in_vpc(checker, &placed);
        invariant(count < room, "subnet %zu of %zu", count, room);
        all[count++] = placed;
    }
    if (count > 1)
        qsort(all, count, sizeof(*all), placed_compare);
    for (size_t i = 1; i < count; i++) {
        if (wide->vpc == all[i].vpc && prefix_overlaps(&wide->prefix, &all[i].prefix))
            overlap_report(checker, wide, &all[i]);
        else
            wide = &all[i];
    }
}

static void check_nic(struct checker *checker, const struct set *set, const struct resource *nic,
                      struct claims *claims)
{
    const struct resource *subnet = target(set, nic, "Subnet", "subnet");
    const struct value *address = value_get(nic->spec, "address");
    const char *vpc = subnet ? value_get_text(subnet->spec, "vpc", NULL) : NULL;
    const char *gateway = subnet ? value_get_text(subnet->spec, "gateway", "") : "";
    struct claim claim = {.at = value_place(nic, address)};

    if (!address || !vpc || !check_within(checker, nic, address, subnet, "address"))
        return;
    if (strcmp(address->text, gateway) == 0) {
        report_add(checker->report, claim.at, "bad-address", "address: %s is the gateway of %s",
                   address->text, resource_label(checker->arena, subnet));
        return;
    }
    claim.by = resource_label(checker->arena, nic);
    claim.what = arena_printf(checker->arena, "address: %s of VPC %s/%s", address->text,
                              subnet->project ? subnet->project : "", vpc);
    claim_add(checker->arena, claims, claim);
}

static void claim_floating(struct checker *checker, const struct resource *floating,
                           struct claims *claims)
{
    const struct value *address = value_get(floating->spec, "address");

    check_for_guests(checker, floating, "address", address);
    if (address)
        claim_add(checker->arena, claims,
                  (struct claim){
                      .what = arena_printf(checker->arena, "address: %s", address->text),
                      .by = resource_label(checker->arena, floating),
                      .at = value_place(floating, address),
                  });
}

static void claim_forward(struct checker *checker, const struct resource *forward,
                          struct claims *claims)
{
    const struct value *port = value_get(forward->spec, "port");

    if (port)
        claim_add(checker->arena, claims,
                  (struct claim){
                      .what = arena_printf(checker->arena, "port: %s %" PRId64,
                                           value_get_text(forward->spec, "protocol", "tcp"),
                                           port->integer),
                      .detail = value_get_text(forward->spec, "address", NULL),
                      .by = resource_label(checker->arena, forward),
                      .at = value_place(forward, port),
                  });
}

void set_check_networks(struct checker *checker, const struct set *set)
{
    struct claims nics = {0};
    struct claims floating = {0};
    struct claims forwards = {0};

    check_subnets(checker, set);
    for (size_t i = 0; i < set->count; i++) {
        const struct resource *resource = set->resources[i];

        if (is_a(resource, "VPC"))
            check_vpc(checker, resource);
        else if (is_a(resource, "NIC"))
            check_nic(checker, set, resource, &nics);
        else if (is_a(resource, "FloatingIP"))
            claim_floating(checker, resource, &floating);
        else if (is_a(resource, "PortForward"))
            claim_forward(checker, resource, &forwards);
    }
    claims_check(checker, &nics, PARTS_EXCLUSIVE, "duplicate-address", "");
    claims_check(checker, &floating, PARTS_EXCLUSIVE, "duplicate-address", "");
    claims_check(checker, &forwards, PARTS_EXCLUSIVE, "duplicate-port",
                 "; a forward without address takes the port on every address");
}
