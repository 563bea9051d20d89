/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Records in, one resolved picture out. References are resolved here by name,
 * within the VPC, so the order in which objects were asked for does not matter:
 * a floating IP whose instance comes later starts to lead there when it comes.
 */
#include "drivers/linux-vpc/network.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/arena.h"
#include "model/digest.h"
#include "model/error.h"
#include "model/native.h"

static int address_field(const struct record *record, const char *text, struct address *out,
                         struct error *err)
{
    if (address_read(text, out, err) < 0)
        return error_wrap(err, "%s %s", record_kind_text(record->kind), record->name);
    if (out->family == 4)
        return 0;
    error_set(err, ERR_UNSUPPORTED, "%s %s: %s is IPv6, which this driver does not route yet",
              record_kind_text(record->kind), record->name, text);
    return error_hint(err, "Use an IPv4 address or prefix.");
}

static int prefix_field(const struct record *record, const char *text, struct prefix *out,
                        struct error *err)
{
    struct address address;
    if (prefix_read(text, out, err) < 0)
        return error_wrap(err, "%s %s", record_kind_text(record->kind), record->name);
    if (out->address.family == 4)
        return 0;
    return address_field(record, address_text(&out->address, (char[ADDRESS_MAX_TEXT]){0}), &address,
                         err);
}

static int vpc_read(struct network *network, const struct record *record, struct error *err)
{
    const char *tag = value_get_text(record->chosen, "tag", "");
    char digest[DIGEST_TEXT];
    struct prefix pool;
    struct prefix host;
    struct prefix guest;
    const char *text = value_get_text(record->chosen, "transitPool", NETWORK_TRANSIT_POOL);
    snprintf(network->mark, NETWORK_MARK_MAX, "spinel:%s:%s", record->uid,
             digest_bytes(tag, strlen(tag), digest));
    network->vpc = record;
    network->has_nat = value_get_bool(record->spec, "nat", true);
    network->mtu = (int)value_get_int(record->spec, "mtu", 1500);
    if (prefix_field(record, text, &pool, err) < 0 ||
        network_transit(&pool, value_get_int(record->chosen, "transit", 0), &host, &guest, err) < 0)
        return err->code;
    network->host_end = host.address;
    network->guest_end = guest.address;
    return 0;
}

static int subnet_read(struct network *network, const struct record *record, struct error *err)
{
    struct network_subnet *subnet = &network->subnets[network->subnet_count];
    const struct value *spec = record->spec;
    const char *gateway = value_get_text(spec, "gateway", NULL);
    subnet->record = record;
    native_bridge(record->uid, subnet->bridge);
    if (prefix_field(record, value_get_text(spec, "cidr", ""), &subnet->cidr, err) < 0)
        return err->code;
    subnet->cidr = prefix_network(&subnet->cidr);
    if (gateway ? address_field(record, gateway, &subnet->gateway, err)
                : prefix_nth(&subnet->cidr, 1, &subnet->gateway, err))
        return err->code;
    subnet->has_dhcp = value_get_bool(spec, "dhcp", true);
    subnet->has_dns = value_at_bool(spec, "dns.enabled", true);
    subnet->domain = value_at_text(spec, "dns.domain", "internal");
    subnet->servers = value_at(spec, "dns.servers");
    network->subnet_count++;
    return 0;
}

static int nic_read(struct network *network, const struct record *record, struct error *err)
{
    struct network_nic *nic = &network->nics[network->nic_count];
    const struct value *spec = record->spec;
    const char *subnet = value_get_text(spec, "subnet", "");
    nic->record = record;
    native_tap(record->uid, nic->tap);
    nic->instance = value_get_text(spec, "instance", "");
    nic->interface = value_get_text(spec, "interface", "");
    for (size_t i = 0; i < network->subnet_count; i++)
        if (strcmp(network->subnets[i].record->name, subnet) == 0)
            nic->subnet = &network->subnets[i];
    if (address_field(record, value_get_text(spec, "address", ""), &nic->address, err) < 0)
        return err->code;
    if (mac_read(value_get_text(spec, "mac", ""), &nic->mac, err) < 0)
        return error_wrap(err, "NIC %s", record->name);
    network->nic_count++;
    return 0;
}

/* The NIC that spec.instance and spec.nic name; its first by name without spec.nic. */
static const struct network_nic *target_of(const struct network *network, const struct value *spec)
{
    const char *instance = value_get_text(spec, "instance", NULL);
    const char *interface = value_get_text(spec, "nic", NULL);
    for (size_t i = 0; instance && i < network->nic_count; i++) {
        const struct network_nic *nic = &network->nics[i];
        if (strcmp(nic->instance, instance) == 0 &&
            (!interface || strcmp(nic->interface, interface) == 0))
            return nic;
    }
    return NULL;
}

static int floating_read(struct network *network, const struct record *record, struct error *err)
{
    struct network_floating *floating = &network->floating[network->floating_count];
    const char *text = value_get_text(record->spec, "address", "");
    if (address_field(record, text, &floating->address, err) < 0)
        return err->code;
    floating->record = record;
    floating->nic = target_of(network, record->spec);
    network->floating_count++;
    return 0;
}

static int forward_read(struct network *network, const struct record *record, struct error *err)
{
    struct network_forward *forward = &network->forwards[network->forward_count];
    const struct value *spec = record->spec;
    const char *address = value_get_text(spec, "address", NULL);
    forward->record = record;
    forward->has_address = address != NULL;
    if (address && address_field(record, address, &forward->address, err) < 0)
        return err->code;
    forward->protocol = value_get_text(spec, "protocol", "tcp");
    forward->port = (int)value_get_int(spec, "port", 0);
    forward->target_port = (int)value_get_int(spec, "targetPort", forward->port);
    forward->transit_port = (int)value_get_int(record->chosen, "transitPort", forward->port);
    forward->nic = target_of(network, spec);
    network->forward_count++;
    return 0;
}

static int nic_order(const void *a, const void *b)
{
    const struct network_nic *left = a;
    const struct network_nic *right = b;
    int by_instance = strcmp(left->instance, right->instance);
    return by_instance ? by_instance : strcmp(left->interface, right->interface);
}

/* None for firewalls: their rules are resolved by policy.c. */
static int (*const readers[RECORD_KINDS])(struct network *, const struct record *,
                                          struct error *) = {
    [RECORD_VPC] = vpc_read,
    [RECORD_SUBNET] = subnet_read,
    [RECORD_NIC] = nic_read,
    [RECORD_FLOATINGIP] = floating_read,
    [RECORD_PORTFORWARD] = forward_read,
};

int network_make(struct arena *arena, const struct records *records, struct network *out,
                 struct error *err)
{
    size_t count = records->count + 1;
    struct network network = {.records = records, .has_nat = true, .mtu = 1500};
    native_netns(records->vpc, network.netns);
    native_uplink(records->vpc, network.uplink);
    network.subnets = arena_array(arena, count, sizeof *network.subnets);
    network.nics = arena_array(arena, count, sizeof *network.nics);
    network.floating = arena_array(arena, count, sizeof *network.floating);
    network.forwards = arena_array(arena, count, sizeof *network.forwards);
    /* Records are ordered by kind, so what is referred to has been read by then. */
    for (size_t i = 0; i < records->count; i++) {
        const struct record *record = &records->items[i];
        if (readers[record->kind] && readers[record->kind](&network, record, err) < 0)
            return err->code;
        bool is_last_nic = record->kind == RECORD_NIC &&
                           (i + 1 == records->count || records->items[i + 1].kind != RECORD_NIC);
        if (is_last_nic)
            qsort(network.nics, network.nic_count, sizeof *network.nics, nic_order);
    }
    network.nics_by_uid = names_make(arena, network.nic_count);
    for (size_t i = 0; i < network.nic_count; i++)
        names_add(&network.nics_by_uid, network.nics[i].record->uid, &network.nics[i]);
    *out = network;
    return 0;
}

const struct network_subnet *network_subnet_find(const struct network *network, const char *uid)
{
    for (size_t i = 0; i < network->subnet_count; i++)
        if (strcmp(network->subnets[i].record->uid, uid) == 0)
            return &network->subnets[i];
    return NULL;
}

const struct network_nic *network_nic_find(const struct network *network, const char *uid)
{
    return names_find(&network->nics_by_uid, uid);
}

const struct network_nic *network_nic_at(const struct network *network,
                                         const struct address *address)
{
    for (size_t i = 0; i < network->nic_count; i++)
        if (address_equal(&network->nics[i].address, address))
            return &network->nics[i];
    return NULL;
}

int network_transit(const struct prefix *pool, int64_t number, struct prefix *host,
                    struct prefix *guest, struct error *err)
{
    enum { LINK_ADDRESSES = 4, LINK_LENGTH = 30 };
    uint64_t first = (uint64_t)number * LINK_ADDRESSES;
    struct prefix found = {.length = LINK_LENGTH};
    struct prefix other = {.length = LINK_LENGTH};
    if (prefix_nth(pool, first + 1, &found.address, err) < 0 ||
        prefix_nth(pool, first + 2, &other.address, err) < 0)
        return error_wrap(err, "no transit link number %lld", (long long)number);
    *host = found;
    *guest = other;
    return 0;
}
