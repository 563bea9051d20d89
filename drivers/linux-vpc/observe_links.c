/* SPDX-License-Identifier: MPL-2.0 */
/*
 * VPC, Subnet and NIC: what has links, addresses and settings of its own.
 */
#include <string.h>
#include "drivers/linux-vpc/compile.h"
#include "drivers/linux-vpc/decompile.h"
#include "drivers/linux-vpc/observe.h"
#include "drivers/linux-vpc/realise.h"
#include "model/arena.h"

static const char *number_text(struct arena *arena, int number)
{
    return arena_printf(arena, "%d", number);
}

static void check_up(struct observation *observation, const struct link *link, const char *path)
{
    if (!link->is_up)
        observation_damage(observation, path, "up", "down");
}

static void check_mtu(struct observation *observation, const struct link *link)
{
    int mtu = observation->view->network.mtu;
    if (link->mtu != mtu)
        observation_damage(observation, "status.mtu", number_text(observation->arena, mtu),
                           number_text(observation->arena, link->mtu));
}

/* The first address of a link, or NULL. */
static const struct prefix *address_of(const struct route_addresses *addresses,
                                       const struct link *link)
{
    for (size_t i = 0; i < addresses->count; i++)
        if (addresses->items[i].index == link->index)
            return &addresses->items[i].prefix;
    return NULL;
}

static void check_address(struct observation *observation, const char *path,
                          const struct prefix *found, const struct address *want, int length)
{
    char text[PREFIX_MAX_TEXT];
    struct prefix wanted = {.address = *want, .length = length};
    if (found && found->length == length && address_equal(&found->address, want))
        return;
    const char *desired = arena_text(observation->arena, prefix_text(&wanted, text));
    observation_damage(observation, path, desired, found ? prefix_text(found, text) : "missing");
}

/* ---- VPC ---------------------------------------------------------------------------- */

/* A rule of the VPC itself is any that no other object accounts for. */
static bool is_vpc_rule(const struct observation *observation, const struct nft_entry *entry)
{
    static const char *const accounted[] = {"floating_in", "floating_out", "floating_guests",
                                            "ports_in",    "ports_any",    "ports_at",
                                            "sources"};
    bool is_rule_of_firewall = entry->comment && strncmp(entry->comment, "base/", 5) != 0;
    if (strncmp(entry->place, "sel_", 4) == 0)
        return false;
    if (compile_is_firewall_chain(entry->place))
        return entry->comment && !is_rule_of_firewall;
    for (size_t i = 0; i < sizeof accounted / sizeof *accounted; i++)
        if (strcmp(entry->place, accounted[i]) == 0)
            return false;
    for (size_t i = 0; i < observation->view->network.nic_count; i++)
        if (strcmp(entry->place, observation->view->network.nics[i].tap) == 0)
            return false;
    return true;
}

static void check_tables(struct observation *observation)
{
    static const char *const paths[VIEW_TABLES] = {
        [VIEW_INSIDE] = "status.table",
        [VIEW_SPOOF] = "status.antiSpoofing",
        [VIEW_HOST] = "status.hostTable",
    };
    const struct view *view = observation->view;
    for (int i = 0; i < VIEW_TABLES; i++) {
        if (!view->observed[i].is_present)
            observation_missing(observation, paths[i]);
        else if (i != VIEW_SPOOF && strcmp(view->observed[i].comment, view->network.mark) != 0)
            observation_damage(observation, arena_printf(observation->arena, "%s.tag", paths[i]),
                               view->network.mark, view->observed[i].comment);
        observe_changes(observation, (enum view_table)i, is_vpc_rule);
    }
}

/* Elements that somebody added to a map lead somewhere that nobody declared. */
static void check_elements(struct observation *observation, enum view_table table,
                           const char *place)
{
    const struct view *view = observation->view;
    for (size_t i = 0; i < view->change_count[table]; i++) {
        const struct nft_change *change = &view->changes[table][i];
        if (!change->expected || !change->observed || strcmp(change->expected->place, place) != 0)
            continue;
        unsigned expected = decompile_element_count(change->expected->text);
        unsigned observed = decompile_element_count(change->observed->text);
        if (observed > expected)
            observation_damage(observation,
                               arena_printf(observation->arena, "status.maps[%s]", place),
                               change->expected->text, change->observed->text);
    }
}

static void check_uplink(struct observation *observation)
{
    const struct view *view = observation->view;
    const struct link *host = link_find(&view->host, view->network.uplink);
    const struct link *inside = link_find(&view->inside, NETWORK_UPLINK);
    if (!host || !inside) {
        observation_missing(observation, "status.uplink");
        return;
    }
    check_up(observation, host, "status.uplink");
    check_up(observation, inside, "status.uplink.inside");
    check_address(observation, "status.uplink.address", address_of(&view->host_addresses, host),
                  &view->network.host_end, 30);
    check_address(observation, "status.uplink.inside.address", address_of(&view->addresses, inside),
                  &view->network.guest_end, 30);
    if (!view->has_default_route)
        observation_missing(observation, "status.uplink.route");
    value_set_int(observation->arena, observation->spec, "mtu", host->mtu);
}

static void check_settings(struct observation *observation)
{
    for (size_t i = 0; realise_inside_settings[i].name; i++)
        if (!observation->view->inside_settings_ok[i])
            observation_damage(observation,
                               arena_printf(observation->arena, "status.settings[%s]",
                                            realise_inside_settings[i].name),
                               realise_inside_settings[i].value, "changed");
    if (!observation->view->is_host_forwarding)
        observation_damage(observation, "status.settings[host net/ipv4/ip_forward]", "1", "0");
}

void observe_vpc(struct observation *observation)
{
    char text[ADDRESS_MAX_TEXT];
    const struct view *view = observation->view;
    struct arena *arena = observation->arena;
    check_tables(observation);
    check_elements(observation, VIEW_INSIDE, "floating_in");
    check_elements(observation, VIEW_INSIDE, "ports_in");
    check_elements(observation, VIEW_HOST, "ports_any");
    check_elements(observation, VIEW_HOST, "ports_at");
    check_elements(observation, VIEW_HOST, "sources");
    check_uplink(observation);
    check_settings(observation);
    if (view->dhcp_damage)
        observation_damage(observation, "status.dhcp", "running", view->dhcp_damage);
    if (view->is_unfinished)
        observation_damage(observation, "status.rules", "as recorded", "unfinished");
    value_set_text(arena, observation->status, "namespace", view->network.netns);
    value_set_text(arena, observation->status, "uplink", view->network.uplink);
    value_set_text(arena, observation->status, "transit",
                   address_text(&view->network.guest_end, text));
    value_set_int(arena, observation->status, "nics", (int64_t)view->network.nic_count);
    if (view->dhcp_pid)
        value_set_int(arena, observation->status, "pid", view->dhcp_pid);
}

/* ---- Subnet ------------------------------------------------------------------------- */

void observe_subnet(struct observation *observation)
{
    char text[ADDRESS_MAX_TEXT];
    const struct view *view = observation->view;
    const struct network_subnet *subnet =
        network_subnet_find(&view->network, observation->record->uid);
    const struct link *bridge = link_find(&view->inside, subnet->bridge);
    value_set_text(observation->arena, observation->status, "bridge", subnet->bridge);
    value_set_text(observation->arena, observation->status, "gateway",
                   address_text(&subnet->gateway, text));
    if (!bridge) {
        observation_missing(observation, "status.bridge");
        return;
    }
    check_up(observation, bridge, "status.bridge");
    check_mtu(observation, bridge);
    check_address(observation, "status.gateway", address_of(&view->addresses, bridge),
                  &subnet->gateway, subnet->cidr.length);
    if (memcmp(bridge->mac.bytes, realise_gateway_mac.bytes, sizeof bridge->mac.bytes) != 0)
        observation_damage(observation, "status.mac", mac_text(&realise_gateway_mac, text),
                           mac_text(&bridge->mac, (char[MAC_TEXT]){0}));
}

/* ---- NIC ---------------------------------------------------------------------------- */

static bool is_spoof_rule(const struct observation *observation, const struct nft_entry *entry)
{
    const struct network_nic *nic =
        network_nic_find(&observation->view->network, observation->record->uid);
    return strcmp(entry->place, nic->tap) == 0;
}

static const struct network_subnet *subnet_of_bridge(const struct view *view, int index)
{
    const struct link *bridge = link_at(&view->inside, index);
    for (size_t i = 0; bridge && i < view->network.subnet_count; i++)
        if (strcmp(view->network.subnets[i].bridge, bridge->name) == 0)
            return &view->network.subnets[i];
    return NULL;
}

static void check_port(struct observation *observation, const struct link *tap)
{
    const struct network_subnet *subnet = subnet_of_bridge(observation->view, tap->master);
    if (!tap->master)
        observation_damage(observation, "status.port", "on its bridge", "on no bridge");
    else if (subnet)
        value_set_text(observation->arena, observation->spec, "subnet", subnet->record->name);
    else
        observation_damage(observation, "status.port", "on its bridge", "on another bridge");
    if (tap->is_port && !tap->is_isolated)
        observation_damage(observation, "status.port.isolated", "on", "off");
    if (tap->is_port && tap->is_learning)
        observation_damage(observation, "status.port.learning", "off", "on");
}

/* The address that the tap's chain lets through is the one that the NIC has. */
static void address_observe(struct observation *observation, const struct network_nic *nic)
{
    const struct nft_entry *entries;
    size_t count = nft_place(&observation->view->observed[VIEW_SPOOF], nic->tap, &entries);
    for (size_t i = 0; i < count; i++) {
        const struct nft_entry *entry = &entries[i];
        const char *address = strstr(entry->text, "ip saddr ");
        if (!address || !entry->comment || strcmp(entry->comment, "base/address") != 0)
            continue;
        address += strlen("ip saddr ");
        value_set(observation->arena, observation->spec, "address",
                  value_text_n(observation->arena, address, strcspn(address, " ")));
    }
}

void observe_nic(struct observation *observation)
{
    const struct view *view = observation->view;
    const struct network_nic *nic = network_nic_find(&view->network, observation->record->uid);
    const struct link *tap = link_find(&view->inside, nic->tap);
    value_set_text(observation->arena, observation->status, "tap", nic->tap);
    value_set_text(observation->arena, observation->status, "namespace", view->network.netns);
    if (!tap) {
        observation_missing(observation, "status.tap");
        return;
    }
    check_up(observation, tap, "status.tap");
    check_mtu(observation, tap);
    check_port(observation, tap);
    address_observe(observation, nic);
    observe_changes(observation, VIEW_SPOOF, is_spoof_rule);
    if (view->observed[VIEW_SPOOF].is_present && !view_definition(view, VIEW_SPOOF, nic->tap))
        observation_missing(observation, "status.antiSpoofing");
}
