/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a bridge knows is written down and never learned: static forwarding
 * entries leave a guest nothing to poison.
 */
#include "drivers/linux-vpc/route.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include "drivers/linux-vpc/rtnl.h"
#include "model/arena.h"
#include "model/error.h"

enum { V4_BYTES = 4 };

/* A growing array in an arena: what one dump brought. */
struct route_reading {
    struct arena *arena;
    void *items;
    size_t count;
    size_t room;
    int index; /* only this link's, for routes */
};

static void *reading_add(struct route_reading *reading, size_t size)
{
    reading->items =
        arena_grow(reading->arena, reading->items, reading->count, &reading->room, size);
    return (char *)reading->items + size * reading->count++;
}

static struct address address_from(const struct nlattr *attr)
{
    struct address address = {.family = 4};
    if (mnl_attr_get_payload_len(attr) >= V4_BYTES)
        memcpy(address.bytes, mnl_attr_get_payload(attr), V4_BYTES);
    return address;
}

static void put_address(struct nlmsghdr *request, uint16_t type, const struct address *address)
{
    mnl_attr_put(request, type, V4_BYTES, address->bytes);
}

/* ---- addresses ---------------------------------------------------------------------- */

static int address_attribute(const struct nlattr *attr, void *context)
{
    struct route_address *address = context;
    if (mnl_attr_get_type(attr) == IFA_LOCAL)
        address->prefix.address = address_from(attr);
    return MNL_CB_OK;
}

static int address_message(const struct nlmsghdr *message, void *context)
{
    const struct ifaddrmsg *head = rtnl_head(message, sizeof *head);
    if (!head || head->ifa_family != AF_INET)
        return MNL_CB_OK;
    struct route_address *address = reading_add(context, sizeof *address);
    address->index = (int)head->ifa_index;
    address->prefix.length = head->ifa_prefixlen;
    mnl_attr_parse(message, sizeof *head, address_attribute, address);
    return MNL_CB_OK;
}

int route_addresses(struct rtnl *rtnl, struct arena *arena, struct route_addresses *out,
                    struct error *err)
{
    struct route_reading reading = {.arena = arena};
    struct ifaddrmsg *head;
    struct nlmsghdr *request = rtnl_request(rtnl, RTM_GETADDR, 0, sizeof *head, &head);
    head->ifa_family = AF_INET;
    int result = rtnl_dump(rtnl, request, address_message, &reading);
    if (result < 0)
        return rtnl_error(err, result, "cannot list the addresses");
    *out = (struct route_addresses){.items = reading.items, .count = reading.count};
    return 0;
}

static int address_ask(struct rtnl *rtnl, int type, int flags, int index,
                       const struct prefix *prefix)
{
    struct ifaddrmsg *head;
    struct nlmsghdr *request = rtnl_request(rtnl, type, flags, sizeof *head, &head);
    head->ifa_family = AF_INET;
    head->ifa_prefixlen = (uint8_t)prefix->length;
    head->ifa_index = (unsigned)index;
    put_address(request, IFA_LOCAL, &prefix->address);
    put_address(request, IFA_ADDRESS, &prefix->address);
    return rtnl_ask(rtnl, request);
}

static bool prefix_same(const struct prefix *a, const struct prefix *b)
{
    return a->length == b->length && address_equal(&a->address, &b->address);
}

int route_set_address(struct rtnl *rtnl, int index, const struct prefix *prefix, struct error *err)
{
    struct arena *arena = arena_new();
    struct route_addresses have;
    bool is_there = false;
    int result = route_addresses(rtnl, arena, &have, err);
    for (size_t i = 0; result == 0 && i < have.count; i++) {
        if (have.items[i].index != index)
            continue;
        if (prefix_same(&have.items[i].prefix, prefix))
            is_there = true;
        else
            address_ask(rtnl, RTM_DELADDR, 0, index, &have.items[i].prefix);
    }
    if (result == 0 && !is_there) {
        int asked = address_ask(rtnl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, prefix);
        char text[PREFIX_MAX_TEXT];
        if (asked < 0 && asked != -EEXIST)
            result = rtnl_error(err, asked, "cannot set address %s", prefix_text(prefix, text));
    }
    arena_free(arena);
    return result;
}

/* ---- routes ------------------------------------------------------------------------- */

static struct nlmsghdr *route_request(struct rtnl *rtnl, int type, int flags,
                                      const struct prefix *to, int index)
{
    struct rtmsg *head;
    struct nlmsghdr *request = rtnl_request(rtnl, type, flags, sizeof *head, &head);
    head->rtm_family = AF_INET;
    head->rtm_dst_len = (unsigned char)to->length;
    head->rtm_table = RT_TABLE_MAIN;
    head->rtm_protocol = ROUTE_PROTOCOL;
    head->rtm_type = RTN_UNICAST;
    if (to->length)
        put_address(request, RTA_DST, &to->address);
    mnl_attr_put_u32(request, RTA_OIF, (uint32_t)index);
    return request;
}

int route_set(struct rtnl *rtnl, const struct prefix *to, const struct address *via, int index,
              struct error *err)
{
    char text[PREFIX_MAX_TEXT];
    struct nlmsghdr *request =
        route_request(rtnl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, to, index);
    struct rtmsg *head = mnl_nlmsg_get_payload(request);
    head->rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    if (via)
        put_address(request, RTA_GATEWAY, via);
    int result = rtnl_ask(rtnl, request);
    return result < 0 ? rtnl_error(err, result, "cannot set route %s", prefix_text(to, text)) : 0;
}

int route_delete(struct rtnl *rtnl, const struct prefix *to, int index, struct error *err)
{
    char text[PREFIX_MAX_TEXT];
    struct nlmsghdr *request = route_request(rtnl, RTM_DELROUTE, 0, to, index);
    struct rtmsg *head = mnl_nlmsg_get_payload(request);
    head->rtm_scope = RT_SCOPE_NOWHERE;
    int result = rtnl_ask(rtnl, request);
    if (result == 0 || result == -ESRCH)
        return 0;
    return rtnl_error(err, result, "cannot remove route %s", prefix_text(to, text));
}

struct route_fields {
    struct prefix to;
    int index;
};

static int route_attribute(const struct nlattr *attr, void *context)
{
    struct route_fields *fields = context;
    if (mnl_attr_get_type(attr) == RTA_DST)
        fields->to.address = address_from(attr);
    if (mnl_attr_get_type(attr) == RTA_OIF)
        fields->index = (int)rtnl_u32(attr);
    return MNL_CB_OK;
}

static int route_message(const struct nlmsghdr *message, void *context)
{
    struct route_reading *reading = context;
    const struct rtmsg *head = rtnl_head(message, sizeof *head);
    if (!head)
        return MNL_CB_OK;
    struct route_fields fields = {.to = {.address = {.family = 4}, .length = head->rtm_dst_len}};
    mnl_attr_parse(message, sizeof *head, route_attribute, &fields);
    if (head->rtm_protocol == ROUTE_PROTOCOL && fields.index == reading->index)
        *(struct prefix *)reading_add(reading, sizeof(struct prefix)) = fields.to;
    return MNL_CB_OK;
}

int route_list(struct rtnl *rtnl, struct arena *arena, int index, struct prefix **out,
               size_t *count, struct error *err)
{
    struct route_reading reading = {.arena = arena, .index = index};
    struct rtmsg *head;
    struct nlmsghdr *request = rtnl_request(rtnl, RTM_GETROUTE, 0, sizeof *head, &head);
    head->rtm_family = AF_INET;
    int result = rtnl_dump(rtnl, request, route_message, &reading);
    if (result < 0)
        return rtnl_error(err, result, "cannot list the routes");
    *out = reading.items;
    *count = reading.count;
    return 0;
}

bool route_has(struct rtnl *rtnl, const struct prefix *to, int index)
{
    struct arena *arena = arena_new();
    struct error ignored = ERROR_INIT;
    struct prefix *routes;
    size_t count;
    bool found = false;
    if (route_list(rtnl, arena, index, &routes, &count, &ignored) == 0)
        for (size_t i = 0; i < count && !found; i++)
            found = prefix_same(&routes[i], to);
    arena_free(arena);
    return found;
}

/* ---- neighbours --------------------------------------------------------------------- */

static int neighbour_attribute(const struct nlattr *attr, void *context)
{
    struct route_neighbour *neighbour = context;
    if (mnl_attr_get_type(attr) == NDA_DST)
        neighbour->address = address_from(attr);
    if (mnl_attr_get_type(attr) == NDA_LLADDR &&
        mnl_attr_get_payload_len(attr) == sizeof neighbour->mac.bytes)
        memcpy(neighbour->mac.bytes, mnl_attr_get_payload(attr), sizeof neighbour->mac.bytes);
    return MNL_CB_OK;
}

static int neighbour_message(const struct nlmsghdr *message, void *context)
{
    const struct ndmsg *head = rtnl_head(message, sizeof *head);
    if (!head)
        return MNL_CB_OK;
    struct route_neighbour *neighbour = reading_add(context, sizeof *neighbour);
    neighbour->index = head->ndm_ifindex;
    neighbour->is_proxy = (head->ndm_flags & NTF_PROXY) != 0;
    mnl_attr_parse(message, sizeof *head, neighbour_attribute, neighbour);
    return MNL_CB_OK;
}

static int neighbours_read(struct rtnl *rtnl, struct arena *arena, uint8_t flags,
                           struct route_neighbours *out, struct error *err)
{
    struct route_reading reading = {.arena = arena};
    struct ndmsg *head;
    struct nlmsghdr *request = rtnl_request(rtnl, RTM_GETNEIGH, 0, sizeof *head, &head);
    head->ndm_family = AF_INET;
    head->ndm_flags = flags;
    int result = rtnl_dump(rtnl, request, neighbour_message, &reading);
    if (result < 0)
        return rtnl_error(err, result, "cannot list the neighbours");
    *out = (struct route_neighbours){.items = reading.items, .count = reading.count};
    return 0;
}

int route_neighbours(struct rtnl *rtnl, struct arena *arena, struct route_neighbours *out,
                     struct error *err)
{
    return neighbours_read(rtnl, arena, 0, out, err);
}

int route_proxies(struct rtnl *rtnl, struct arena *arena, struct route_neighbours *out,
                  struct error *err)
{
    return neighbours_read(rtnl, arena, NTF_PROXY, out, err);
}

static int neighbour_ask(struct rtnl *rtnl, int type, struct ndmsg want,
                         const struct address *address, const struct mac *mac)
{
    struct ndmsg *head;
    int flags = type == RTM_NEWNEIGH ? NLM_F_CREATE | NLM_F_REPLACE : 0;
    struct nlmsghdr *request = rtnl_request(rtnl, type, flags, sizeof *head, &head);
    *head = want;
    if (address)
        put_address(request, NDA_DST, address);
    if (mac)
        mnl_attr_put(request, NDA_LLADDR, sizeof mac->bytes, mac->bytes);
    int result = rtnl_ask(rtnl, request);
    bool is_gone = result == -ENOENT || result == -ENODEV; /* itself, or with its link */
    return type == RTM_DELNEIGH && is_gone ? 0 : result;
}

static int neighbour_result(int result, const struct address *address, struct error *err)
{
    char text[ADDRESS_MAX_TEXT];
    if (result == 0)
        return 0;
    return rtnl_error(err, result, "cannot change neighbour %s", address_text(address, text));
}

int route_set_neighbour(struct rtnl *rtnl, int index, const struct address *address,
                        const struct mac *mac, struct error *err)
{
    struct ndmsg want = {.ndm_family = AF_INET, .ndm_ifindex = index, .ndm_state = NUD_PERMANENT};
    return neighbour_result(neighbour_ask(rtnl, RTM_NEWNEIGH, want, address, mac), address, err);
}

int route_delete_neighbour(struct rtnl *rtnl, int index, const struct address *address,
                           struct error *err)
{
    struct ndmsg want = {.ndm_family = AF_INET, .ndm_ifindex = index};
    return neighbour_result(neighbour_ask(rtnl, RTM_DELNEIGH, want, address, NULL), address, err);
}

int route_set_proxy(struct rtnl *rtnl, int index, const struct address *address, struct error *err)
{
    struct ndmsg want = {.ndm_family = AF_INET, .ndm_ifindex = index, .ndm_flags = NTF_PROXY};
    return neighbour_result(neighbour_ask(rtnl, RTM_NEWNEIGH, want, address, NULL), address, err);
}

int route_delete_proxy(struct rtnl *rtnl, int index, const struct address *address,
                       struct error *err)
{
    struct ndmsg want = {.ndm_family = AF_INET, .ndm_ifindex = index, .ndm_flags = NTF_PROXY};
    return neighbour_result(neighbour_ask(rtnl, RTM_DELNEIGH, want, address, NULL), address, err);
}

int route_set_forwarding(struct rtnl *rtnl, int index, const struct mac *mac, struct error *err)
{
    char text[MAC_TEXT];
    struct ndmsg want = {.ndm_family = AF_BRIDGE,
                         .ndm_ifindex = index,
                         .ndm_state = NUD_NOARP,
                         .ndm_flags = NTF_MASTER};
    int result = neighbour_ask(rtnl, RTM_NEWNEIGH, want, NULL, mac);
    if (result == 0)
        return 0;
    return rtnl_error(err, result, "cannot add forwarding entry %s", mac_text(mac, text));
}
