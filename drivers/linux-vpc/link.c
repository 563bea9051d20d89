/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Requests for links. Port flags travel as IFLA_INFO_SLAVE_DATA both ways, so
 * that one dump of links shows everything that was set here.
 */
#include "drivers/linux-vpc/link.h"
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include "drivers/linux-vpc/netns.h"
#include "drivers/linux-vpc/rtnl.h"
#include "model/arena.h"
#include "model/error.h"

struct link_reading {
    struct arena *arena;
    struct link_list list;
    size_t room;
};

static int port_attribute(const struct nlattr *attr, void *context)
{
    struct link *link = context;
    switch (mnl_attr_get_type(attr)) {
    case IFLA_BRPORT_ISOLATED:
        link->is_isolated = rtnl_u8(attr) != 0;
        break;
    case IFLA_BRPORT_LEARNING:
        link->is_learning = rtnl_u8(attr) != 0;
        break;
    case IFLA_BRPORT_UNICAST_FLOOD:
        link->is_flooded = rtnl_u8(attr) != 0;
        break;
    default:
        break;
    }
    return MNL_CB_OK;
}

static int info_attribute(const struct nlattr *attr, void *context)
{
    struct link *link = context;
    char kind[sizeof "bridge "];
    int type = mnl_attr_get_type(attr);
    if (type == IFLA_INFO_SLAVE_KIND)
        link->is_port = strcmp(rtnl_text(attr, kind, sizeof kind), "bridge") == 0;
    if (type == IFLA_INFO_SLAVE_DATA)
        mnl_attr_parse_nested(attr, port_attribute, link);
    return MNL_CB_OK;
}

static int link_attribute(const struct nlattr *attr, void *context)
{
    struct link *link = context;
    switch (mnl_attr_get_type(attr)) {
    case IFLA_IFNAME:
        rtnl_text(attr, link->name, sizeof link->name);
        break;
    case IFLA_MASTER:
        link->master = (int)rtnl_u32(attr);
        break;
    case IFLA_GROUP:
        link->group = rtnl_u32(attr);
        break;
    case IFLA_MTU:
        link->mtu = (int)rtnl_u32(attr);
        break;
    case IFLA_ADDRESS:
        if (mnl_attr_get_payload_len(attr) == sizeof link->mac.bytes)
            memcpy(link->mac.bytes, mnl_attr_get_payload(attr), sizeof link->mac.bytes);
        break;
    case IFLA_LINKINFO:
        mnl_attr_parse_nested(attr, info_attribute, link);
        break;
    default:
        break;
    }
    return MNL_CB_OK;
}

static int link_message(const struct nlmsghdr *message, void *context)
{
    struct link_reading *reading = context;
    const struct ifinfomsg *info = rtnl_head(message, sizeof *info);
    if (!info)
        return MNL_CB_OK;
    reading->list.items = arena_grow(reading->arena, reading->list.items, reading->list.count,
                                     &reading->room, sizeof *reading->list.items);
    struct link *link = &reading->list.items[reading->list.count++];
    *link = (struct link){.index = info->ifi_index, .is_up = (info->ifi_flags & IFF_UP) != 0};
    mnl_attr_parse(message, sizeof *info, link_attribute, link);
    return MNL_CB_OK;
}

int link_list(struct rtnl *rtnl, struct arena *arena, struct link_list *out, struct error *err)
{
    struct link_reading reading = {.arena = arena};
    struct ifinfomsg *info;
    struct nlmsghdr *request = rtnl_request(rtnl, RTM_GETLINK, 0, sizeof *info, &info);
    info->ifi_family = AF_UNSPEC;
    int result = rtnl_dump(rtnl, request, link_message, &reading);
    if (result < 0)
        return rtnl_error(err, result, "cannot list the links");
    reading.list.by_name = names_make(arena, reading.list.count);
    for (size_t i = 0; i < reading.list.count; i++)
        names_add(&reading.list.by_name, reading.list.items[i].name, &reading.list.items[i]);
    *out = reading.list;
    return 0;
}

const struct link *link_find(const struct link_list *list, const char *name)
{
    return names_find(&list->by_name, name);
}

const struct link *link_at(const struct link_list *list, int index)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].index == index)
            return &list->items[i];
    return NULL;
}

static int index_message(const struct nlmsghdr *message, void *context)
{
    const struct ifinfomsg *info = rtnl_head(message, sizeof *info);
    if (info)
        *(int *)context = info->ifi_index;
    return MNL_CB_OK;
}

int link_index(struct rtnl *rtnl, const char *name)
{
    struct ifinfomsg *info;
    int index = 0;
    struct nlmsghdr *request = rtnl_request(rtnl, RTM_GETLINK, 0, sizeof *info, &info);
    mnl_attr_put_strz(request, IFLA_IFNAME, name);
    return rtnl_get(rtnl, request, index_message, &index) < 0 ? 0 : index;
}

/* A request to make a link; 0 and -EEXIST both mean that it is there now. */
static int link_made(int result, const char *what, const char *name, struct error *err)
{
    if (result == 0 || result == -EEXIST)
        return 0;
    return rtnl_error(err, result, "cannot make %s %s", what, name);
}

int link_add_bridge(struct rtnl *rtnl, const char *name, const struct mac *mac, struct error *err)
{
    struct ifinfomsg *info;
    struct nlmsghdr *request =
        rtnl_request(rtnl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *info, &info);
    mnl_attr_put_strz(request, IFLA_IFNAME, name);
    mnl_attr_put(request, IFLA_ADDRESS, sizeof mac->bytes, mac->bytes);
    struct nlattr *kind = mnl_attr_nest_start(request, IFLA_LINKINFO);
    mnl_attr_put_strz(request, IFLA_INFO_KIND, "bridge");
    struct nlattr *data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
    mnl_attr_put_u32(request, IFLA_BR_STP_STATE, 0);
    mnl_attr_put_u32(request, IFLA_BR_FORWARD_DELAY, 0);
    mnl_attr_put_u8(request, IFLA_BR_MCAST_SNOOPING, 0);
    mnl_attr_nest_end(request, data);
    mnl_attr_nest_end(request, kind);
    return link_made(rtnl_ask(rtnl, request), "bridge", name, err);
}

int link_add_pair(struct rtnl *rtnl, const char *name, const char *peer, int peer_netns_fd,
                  struct error *err)
{
    struct ifinfomsg *info;
    struct nlmsghdr *request =
        rtnl_request(rtnl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *info, &info);
    mnl_attr_put_strz(request, IFLA_IFNAME, name);
    struct nlattr *kind = mnl_attr_nest_start(request, IFLA_LINKINFO);
    mnl_attr_put_strz(request, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
    struct nlattr *other = mnl_attr_nest_start(request, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(request, IFLA_IFNAME, peer);
    mnl_attr_put_u32(request, IFLA_NET_NS_FD, (uint32_t)peer_netns_fd);
    mnl_attr_nest_end(request, other);
    mnl_attr_nest_end(request, data);
    mnl_attr_nest_end(request, kind);
    return link_made(rtnl_ask(rtnl, request), "veth", name, err);
}

static int tap_open(const char *name, struct error *err)
{
    struct ifreq want = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    strncpy(want.ifr_name, name, IFNAMSIZ - 1);
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        error_sys(err, "cannot open /dev/net/tun");
        return error_hint(err, "Load the tun module, or give this container the device.");
    }
    int result = 0;
    if (ioctl(fd, TUNSETIFF, &want) < 0)
        result = error_sys(err, "cannot make tap %s", name);
    else if (ioctl(fd, TUNSETPERSIST, 1) < 0)
        result = error_sys(err, "cannot keep tap %s", name);
    close(fd);
    return result;
}

int link_add_tap(const char *netns, const char *name, struct error *err)
{
    int home;
    int result = netns_enter(netns, &home, err);
    if (result < 0)
        return result;
    result = tap_open(name, err);
    netns_leave(home);
    return result;
}

int link_set(struct rtnl *rtnl, const char *name, const struct link_change *change,
             struct error *err)
{
    return link_set_at(rtnl, link_index(rtnl, name), name, change, err);
}

int link_set_at(struct rtnl *rtnl, int index, const char *name, const struct link_change *change,
                struct error *err)
{
    struct ifinfomsg *info;
    if (!index)
        return error_set(err, ERR_NOT_FOUND, "there is no link %s", name);
    struct nlmsghdr *request = rtnl_request(rtnl, RTM_NEWLINK, 0, sizeof *info, &info);
    info->ifi_index = index;
    if (change->up || change->down) {
        info->ifi_change = IFF_UP;
        info->ifi_flags = change->up ? IFF_UP : 0;
    }
    if (change->mtu)
        mnl_attr_put_u32(request, IFLA_MTU, (uint32_t)change->mtu);
    if (change->master)
        mnl_attr_put_u32(request, IFLA_MASTER, (uint32_t)change->master);
    if (change->mac)
        mnl_attr_put(request, IFLA_ADDRESS, sizeof change->mac->bytes, change->mac->bytes);
    if (change->alias)
        mnl_attr_put_strz(request, IFLA_IFALIAS, change->alias);
    int result = rtnl_ask(rtnl, request);
    return result < 0 ? rtnl_error(err, result, "cannot change link %s", name) : 0;
}

int link_close_port(struct rtnl *rtnl, int index, const char *name, struct error *err)
{
    struct ifinfomsg *info;
    struct nlmsghdr *request = rtnl_request(rtnl, RTM_NEWLINK, 0, sizeof *info, &info);
    info->ifi_index = index;
    struct nlattr *kind = mnl_attr_nest_start(request, IFLA_LINKINFO);
    mnl_attr_put_strz(request, IFLA_INFO_SLAVE_KIND, "bridge");
    struct nlattr *data = mnl_attr_nest_start(request, IFLA_INFO_SLAVE_DATA);
    mnl_attr_put_u8(request, IFLA_BRPORT_ISOLATED, 1);
    mnl_attr_put_u8(request, IFLA_BRPORT_LEARNING, 0);
    mnl_attr_put_u8(request, IFLA_BRPORT_UNICAST_FLOOD, 0);
    mnl_attr_nest_end(request, data);
    mnl_attr_nest_end(request, kind);
    int result = index ? rtnl_ask(rtnl, request) : -ENODEV;
    return result < 0 ? rtnl_error(err, result, "cannot isolate port %s", name) : 0;
}

int link_delete(struct rtnl *rtnl, const char *name, struct error *err)
{
    struct ifinfomsg *info;
    int index = link_index(rtnl, name);
    if (!index)
        return 0;
    struct nlmsghdr *request = rtnl_request(rtnl, RTM_DELLINK, 0, sizeof *info, &info);
    info->ifi_index = index;
    int result = rtnl_ask(rtnl, request);
    if (result == 0 || result == -ENODEV)
        return 0;
    return rtnl_error(err, result, "cannot remove link %s", name);
}

/* ---- many at once ------------------------------------------------------------------- */

static int group_set(struct rtnl *rtnl, int index, uint32_t group)
{
    struct ifinfomsg *info;
    struct nlmsghdr *request = rtnl_request(rtnl, RTM_NEWLINK, 0, sizeof *info, &info);
    info->ifi_index = index;
    mnl_attr_put_u32(request, IFLA_GROUP, group);
    return rtnl_ask(rtnl, request);
}

static int group_delete(struct rtnl *rtnl, uint32_t group)
{
    struct ifinfomsg *info;
    struct nlmsghdr *request = rtnl_request(rtnl, RTM_DELLINK, 0, sizeof *info, &info);
    mnl_attr_put_u32(request, IFLA_GROUP, group);
    return rtnl_ask(rtnl, request);
}

/* One that no link is in: somebody who died here may have left some in his. 0, which the kernel
 * removes nothing of, if there is none. */
static uint32_t group_free(const struct link_list *list)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].group > highest)
            highest = list->items[i].group;
    return highest + 1;
}

int links_delete(struct rtnl *rtnl, struct arena *arena, const char *const *names, size_t count,
                 struct error *err)
{
    struct link_list list;
    size_t there = 0;
    if (link_list(rtnl, arena, &list, err) < 0)
        return err->code;
    uint32_t group = group_free(&list);
    for (size_t i = 0; i < count; i++) {
        const struct link *link = link_find(&list, names[i]);
        int result = link ? group_set(rtnl, link->index, group) : -ENODEV;
        if (result < 0 && result != -ENODEV)
            return rtnl_error(err, result, "cannot remove link %s", names[i]);
        there += result == 0;
    }
    int result = there ? group_delete(rtnl, group) : 0;
    if (result == 0 || result == -ENODEV)
        return 0;
    return rtnl_error(err, result, "cannot remove %zu links", there);
}
