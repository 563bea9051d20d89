/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Reading only. A VPC whose namespace is gone is read no further: nothing in it
 * can be there.
 */
#include "drivers/linux-vpc/view.h"
#include <string.h>
#include <unistd.h>
#include "drivers/linux-vpc/compile.h"
#include "drivers/linux-vpc/dhcp.h"
#include "drivers/linux-vpc/netns.h"
#include "drivers/linux-vpc/realise.h"
#include "drivers/linux-vpc/rtnl.h"
#include "drivers/linux-vpc/seal.h"
#include "drivers/linux-vpc/sysctl.h"
#include "model/arena.h"
#include "model/error.h"

enum {
    OF_VPC = 1 << RECORD_VPC,
    OF_LINKS = OF_VPC | 1 << RECORD_SUBNET | 1 << RECORD_NIC,
    OF_HOST = OF_VPC | 1 << RECORD_FLOATINGIP | 1 << RECORD_PORTFORWARD,
};

static const unsigned of_table[VIEW_TABLES] = {
    [VIEW_INSIDE] = OF_HOST | 1 << RECORD_FIREWALL,
    [VIEW_SPOOF] = OF_VPC | 1 << RECORD_NIC,
    [VIEW_HOST] = OF_HOST,
};

static int inside_read(struct view *view, struct error *err)
{
    static const struct prefix everywhere = {.address = {.family = 4}, .length = 0};
    struct rtnl *rtnl;
    if (rtnl_open_in(view->network.netns, NETLINK_ROUTE, &rtnl, err) < 0)
        return err->code;
    int result = link_list(rtnl, view->arena, &view->inside, err);
    if (result == 0)
        result = route_addresses(rtnl, view->arena, &view->addresses, err);
    const struct link *uplink = link_find(&view->inside, NETWORK_UPLINK);
    view->has_default_route = uplink && route_has(rtnl, &everywhere, uplink->index);
    rtnl_close(rtnl);
    return result;
}

static int host_read(struct view *view, struct error *err)
{
    struct rtnl *rtnl;
    if (rtnl_open(NETLINK_ROUTE, &rtnl, err) < 0)
        return err->code;
    int result = link_list(rtnl, view->arena, &view->host, err);
    const struct link *uplink = link_find(&view->host, view->network.uplink);
    if (result == 0)
        result = route_addresses(rtnl, view->arena, &view->host_addresses, err);
    if (result == 0)
        result = route_proxies(rtnl, view->arena, &view->proxies, err);
    if (result == 0 && uplink)
        result =
            route_list(rtnl, view->arena, uplink->index, &view->routes, &view->route_count, err);
    rtnl_close(rtnl);
    int forwards = result == 0 ? sysctl_look("net/ipv4/ip_forward", "1", err) : 0;
    view->is_host_forwarding = forwards == 1;
    return forwards < 0 ? forwards : result;
}

/* 1, 0 or <0. A setting that this kernel does not have is as it should be. */
static int setting_is_right(const struct realise_setting *setting, struct error *err)
{
    char path[160] = "/proc/sys/";
    strncat(path, setting->name, sizeof path - strlen(path) - 1);
    return access(path, F_OK) != 0 ? 1 : sysctl_look(setting->name, setting->value, err);
}

static int settings_read(struct view *view, struct error *err)
{
    int home;
    size_t count = 0;
    while (realise_inside_settings[count].name)
        count++;
    view->inside_settings_ok = arena_array(view->arena, count + 1, sizeof(bool));
    if (netns_enter(view->network.netns, &home, err) < 0)
        return err->code;
    int is_right = 0;
    for (size_t i = 0; i < count && is_right >= 0; i++) {
        is_right = setting_is_right(&realise_inside_settings[i], err);
        view->inside_settings_ok[i] = is_right == 1;
    }
    netns_leave(home);
    return is_right < 0 ? is_right : 0;
}

/* What is sealed need not be asked for. */
static int table_read(struct view *view, enum view_table i, const char *name,
                      const struct value *note, const struct value *seal, struct error *err)
{
    const char *netns = i == VIEW_HOST ? NULL : view->network.netns;
    view->expected[i] = nft_entries_load(view->arena, note, name);
    if (seal) {
        view->observed[i] = view->expected[i];
        view->observed[i].comment = seal_comment(seal, (int)i);
        return 0;
    }
    if (nft_read(view->arena, netns, name, &view->observed[i], err) < 0)
        return err->code;
    if (view->observed[i].is_present)
        view->change_count[i] =
            nft_compare(view->arena, &view->expected[i], &view->observed[i], &view->changes[i]);
    return 0;
}

static int tables_read(struct view *view, const char *own_dir, struct error *err)
{
    const char *names[VIEW_TABLES] = {
        [VIEW_INSIDE] = "inet " COMPILE_TABLE,
        [VIEW_SPOOF] = "netdev " COMPILE_TABLE,
        [VIEW_HOST] = realise_host_table(view->arena, &view->network),
    };
    const char *vpc = view->records.vpc;
    const struct value *committed, *spoof, *seal;
    if (records_read_file(view->arena, own_dir, vpc, REALISE_COMMITTED, &committed, err) < 0 ||
        records_read_file(view->arena, own_dir, vpc, REALISE_COMMITTED_SPOOF, &spoof, err) < 0 ||
        records_read_file(view->arena, own_dir, vpc, REALISE_SEAL, &seal, err) < 0)
        return err->code;
    uint32_t generation = seal_generation(view->network.netns);
    bool is_last = seal_is_last(seal, view->network.netns, generation);
    const bool is_sealed[VIEW_TABLES] = {
        [VIEW_INSIDE] = is_last,
        [VIEW_SPOOF] =
            is_last && (view->kinds & of_table[VIEW_SPOOF]) && seal_has_links(seal, &view->inside),
    };
    for (int i = 0; i < VIEW_TABLES; i++) {
        const struct value *note = i == VIEW_SPOOF && spoof ? spoof : committed;
        if ((view->kinds & of_table[i]) && table_read(view, (enum view_table)i, names[i], note,
                                                      is_sealed[i] ? seal : NULL, err) < 0)
            return err->code;
    }
    return 0;
}

/* What is of the VPC alone. */
static int vpc_read(struct view *view, const char *own_dir, struct error *err)
{
    const struct value *unfinished;
    if (settings_read(view, err) < 0 || records_read_file(view->arena, own_dir, view->records.vpc,
                                                          REALISE_UNFINISHED, &unfinished, err) < 0)
        return err->code;
    view->is_unfinished = unfinished != NULL;
    view->dhcp_pid = dhcp_pid(view->arena, own_dir, view->records.vpc);
    view->dhcp_damage = dhcp_damage(view->arena, &view->network, view->dhcp_pid);
    return 0;
}

static int kernel_read(struct view *view, const char *own_dir, struct error *err)
{
    uint64_t inode;
    if (netns_find(view->network.netns, &inode, err) < 0)
        return err->code;
    const struct record *vpc = view->network.vpc;
    view->is_there = vpc && inode && (int64_t)inode == value_get_int(vpc->chosen, "inode", 0);
    view->is_foreign = inode && !view->is_there;
    if (!view->is_there)
        return 0;
    if ((view->kinds & OF_LINKS) && inside_read(view, err) < 0)
        return err->code;
    if ((view->kinds & OF_HOST) && host_read(view, err) < 0)
        return err->code;
    if ((view->kinds & OF_VPC) && vpc_read(view, own_dir, err) < 0)
        return err->code;
    if (tables_read(view, own_dir, err) < 0)
        return err->code;
    if (view->change_count[VIEW_INSIDE])
        view->policy = policy_make(view->arena, &view->network);
    return 0;
}

int view_make(struct arena *arena, const char *own_dir, const char *vpc, unsigned kinds,
              struct view *out, struct error *err)
{
    int lock = records_hold(own_dir, vpc);
    *out = (struct view){.arena = arena, .kinds = kinds};
    int result = records_load(arena, own_dir, vpc, &out->records, err);
    if (result == 0)
        result = network_make(arena, &out->records, &out->network, err);
    if (result == 0)
        result = kernel_read(out, own_dir, err);
    if (lock >= 0)
        close(lock);
    return result;
}

const char *view_definition(const struct view *view, enum view_table table, const char *place)
{
    const struct nft_entry *entries;
    size_t count = nft_place(&view->observed[table], place, &entries);
    for (size_t i = 0; i < count; i++)
        if (!entries[i].comment)
            return entries[i].text;
    return NULL;
}
