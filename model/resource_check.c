/* SPDX-License-Identifier: MPL-2.0 */
/* What is wrong with one resource by itself, beyond what its schema can say. */
#include <inttypes.h>
#include <string.h>

#include "model/arena.h"
#include "model/invariant.h"
#include "model/net.h"
#include "model/set_build.h"
#include "model/unit.h"

/* By the manifest as it was given: a url that is wrong is there all the same. */
static void check_image(struct checker *checker, const struct resource *image,
                        const struct value *given)
{
    const struct value *path = value_get(given, "path");
    const struct value *url = value_get(given, "url");

    if (path && url)
        report_add(checker->report, value_place(image, url), "exactly-one",
                   "path and url are both given; give one of them");
    else if (!path && !url)
        report_add(checker->report, value_place(image, image->spec), "exactly-one",
                   "neither path nor url is given; give one of them");
}

static void check_maximum(struct checker *checker, const struct resource *instance, const char *now,
                          const char *most)
{
    int64_t value = value_get_int(instance->spec, now, 0);
    int64_t limit = value_get_int(instance->spec, most, INT64_MAX);
    bool is_size = strcmp(now, "memory") == 0;
    char small[UNIT_MAX_TEXT];
    char large[UNIT_MAX_TEXT];

    if (limit >= value)
        return;
    if (is_size)
        report_add(checker->report, resource_place(instance, most), "out-of-range",
                   "%s: %s is less than %s (%s)", most, size_text(limit, small), now,
                   size_text(value, large));
    else
        report_add(checker->report, resource_place(instance, most), "out-of-range",
                   "%s: %" PRId64 " is less than %s (%" PRId64 ")", most, limit, now, value);
}

static void check_boot_order(struct checker *checker, const struct resource *instance)
{
    const struct value *disks = value_get(instance->spec, "disks");

    for (size_t i = 0; value_is_list(disks) && i < disks->count; i++) {
        const struct value *order = value_get(disks->items[i], "bootOrder");

        for (size_t j = 0; order && j < i; j++) {
            if (!value_equal(order, value_get(disks->items[j], "bootOrder")))
                continue;
            report_add(checker->report, value_place(instance, order), "duplicate-boot-order",
                       "bootOrder: %" PRId64 " is taken by disk \"%s\"", order->integer,
                       value_get_text(disks->items[j], "name", "?"));
            break;
        }
    }
}

static void check_instance(struct checker *checker, const struct resource *instance,
                           const struct value *given)
{
    (void)given;
    check_maximum(checker, instance, "cpus", "maxCpus");
    check_maximum(checker, instance, "memory", "maxMemory");
    check_boot_order(checker, instance);
}

static void check_selectors(struct checker *checker, const struct resource *firewall,
                            const struct value *selectors, const char *name)
{
    for (size_t i = 0; value_is_list(selectors) && i < selectors->count; i++) {
        const struct value *selector = selectors->items[i];

        if (selector->pair_count > 1)
            report_add(checker->report, value_place(firewall, selector), "exactly-one",
                       "%s: a selector has one field, and this has %zu; write one element for each",
                       name, selector->pair_count);
    }
}

static bool has_elements(const struct value *map, const char *key)
{
    const struct value *list = value_get(map, key);

    return value_is_list(list) && list->count > 0;
}

static void check_protocol(struct checker *checker, const struct resource *firewall,
                           const struct value *entry)
{
    const char *protocol = value_get_text(entry, "protocol", NULL);
    bool has_ports;
    bool is_icmp;

    if (!protocol)
        return;
    is_icmp = strcmp(protocol, "icmp") == 0 || strcmp(protocol, "icmpv6") == 0;
    has_ports = strcmp(protocol, "tcp") == 0 || strcmp(protocol, "udp") == 0 ||
                strcmp(protocol, "sctp") == 0;
    if (!has_ports && has_elements(entry, "ports"))
        report_add(checker->report, value_place(firewall, value_get(entry, "ports")),
                   "bad-combination", "ports: %s has no ports; only tcp, udp and sctp have",
                   protocol);
    if (!is_icmp && has_elements(entry, "icmpTypes"))
        report_add(checker->report, value_place(firewall, value_get(entry, "icmpTypes")),
                   "bad-combination", "icmpTypes: %s has no ICMP types; only icmp and icmpv6 have",
                   protocol);
}

static void check_firewall(struct checker *checker, const struct resource *firewall,
                           const struct value *given)
{
    const struct value *rules = value_get(firewall->spec, "rules");

    (void)given;
    for (size_t i = 0; value_is_list(rules) && i < rules->count; i++) {
        const struct value *rule = rules->items[i];
        const struct value *protocols = value_get(rule, "protocols");

        check_selectors(checker, firewall, value_get(rule, "targets"), "targets");
        check_selectors(checker, firewall, value_get(rule, "hosts"), "hosts");
        for (size_t n = 0; value_is_list(protocols) && n < protocols->count; n++)
            check_protocol(checker, firewall, protocols->items[n]);
    }
}

static void check_subnet(struct checker *checker, const struct resource *subnet,
                         const struct value *given)
{
    const char *cidr = value_get_text(subnet->spec, "cidr", NULL);
    struct error err = ERROR_INIT;
    struct prefix prefix;

    (void)given;
    if (cidr && prefix_read(cidr, &prefix, &err) == 0 && prefix_hosts(&prefix) == 0)
        report_add(checker->report, resource_place(subnet, "cidr"), "out-of-range",
                   "cidr: %s has no address left for a guest after network, broadcast and gateway",
                   cidr);
}

static void check_renamed(struct checker *checker, const struct resource *resource)
{
    if (resource->renamed_from && strcmp(resource->renamed_from, resource->name) == 0)
        report_add(checker->report, resource->at, "bad-name",
                   "renamedFrom is the name itself; leave it out");
}

void resource_check(struct checker *checker, const struct resource *resource,
                    const struct value *given)
{
    static const struct {
        const char *kind;
        void (*check)(struct checker *, const struct resource *, const struct value *);
    } rules[] = {
        {"Image", check_image},
        {"Instance", check_instance},
        {"Firewall", check_firewall},
        {"Subnet", check_subnet},
    };

    invariant(resource->name && resource->spec, "a %s is checked before it is whole",
              resource->kind->name);
    check_renamed(checker, resource);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (strcmp(rules[i].kind, resource->kind->name) == 0)
            rules[i].check(checker, resource, given);
}
