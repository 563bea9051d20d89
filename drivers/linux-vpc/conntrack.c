/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A connection has two tuples: the original one (guest to outside, or client to
 * floating IP) and the reply's, which shows the real far end after translation.
 * What the first packet asked for is (original source, reply source).
 */
#include "drivers/linux-vpc/conntrack.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include "drivers/linux-vpc/rtnl.h"
#include "model/arena.h"
#include "model/error.h"

enum { IP_V4_BYTES = 4 };

struct tuple {
    struct address from;
    struct address to;
    int protocol;
    int from_port;
    int to_port;
    int icmp_type;
    int icmp_code;
};

struct connection {
    struct tuple original;
    struct tuple reply;
    const void *original_attr; /* copies, to name the connection when it is deleted */
    size_t original_len;
    uint32_t id;
    struct connection *next;
};

struct conntrack_reading {
    struct arena *arena;
    struct connection *first;
};

/* ---- what may go on ----------------------------------------------------------------- */

static const struct network_forward *forward_at(const struct network *network, int protocol,
                                                int port)
{
    for (size_t i = 0; i < network->forward_count; i++)
        if (policy_protocol(network->forwards[i].protocol) == protocol &&
            network->forwards[i].transit_port == port)
            return &network->forwards[i];
    return NULL;
}

/* Where a connection to this address and port would be led now. */
static struct address led_to(const struct network *network, const struct address *to, int protocol,
                             int port)
{
    static const struct address nowhere = {.family = 4};
    for (size_t i = 0; i < network->floating_count; i++)
        if (address_equal(&network->floating[i].address, to))
            return network->floating[i].nic ? network->floating[i].nic->address : nowhere;
    if (!address_equal(&network->guest_end, to))
        return *to;
    const struct network_forward *forward = forward_at(network, protocol, port);
    return forward && forward->nic ? forward->nic->address : nowhere;
}

/* Whether a guest's connection outwards would leave under this address now. */
static bool may_speak_as(const struct network *network, const struct address *guest,
                         const struct address *as)
{
    for (size_t i = 0; i < network->floating_count; i++)
        if (network->floating[i].nic && address_equal(&network->floating[i].nic->address, guest))
            return address_equal(as, &network->floating[i].address);
    return network->has_nat && address_equal(as, &network->guest_end);
}

bool conntrack_may_go_on(const struct network *network, const struct policy *policy,
                         const struct address *original_to, int original_port,
                         const struct address *reply_to, const struct flow *flow)
{
    struct address led = led_to(network, original_to, flow->protocol, original_port);
    bool is_translated = !address_equal(original_to, &flow->to);
    bool is_ours = network_nic_at(network, &flow->from) != NULL;
    bool is_inside = network_nic_at(network, &flow->to) != NULL;
    /* To one of our own addresses that leads nowhere, such as a gateway's: not forwarded. */
    if ((is_translated || is_inside) && !address_equal(&led, &flow->to))
        return false;
    if (is_ours && !address_equal(reply_to, &flow->from) &&
        !may_speak_as(network, &flow->from, reply_to))
        return false;
    return policy_allows(policy, network, flow);
}

/* ---- reading ------------------------------------------------------------------------ */

static int tuple_ip(const struct nlattr *attr, void *context)
{
    struct tuple *tuple = context;
    int type = mnl_attr_get_type(attr);
    if (mnl_attr_get_payload_len(attr) < IP_V4_BYTES)
        return MNL_CB_OK;
    if (type == CTA_IP_V4_SRC)
        memcpy(tuple->from.bytes, mnl_attr_get_payload(attr), IP_V4_BYTES);
    if (type == CTA_IP_V4_DST)
        memcpy(tuple->to.bytes, mnl_attr_get_payload(attr), IP_V4_BYTES);
    return MNL_CB_OK;
}

static int tuple_protocol(const struct nlattr *attr, void *context)
{
    struct tuple *tuple = context;
    switch (mnl_attr_get_type(attr)) {
    case CTA_PROTO_NUM:
        tuple->protocol = rtnl_u8(attr);
        break;
    case CTA_PROTO_SRC_PORT:
        tuple->from_port = ntohs(rtnl_u16(attr));
        break;
    case CTA_PROTO_DST_PORT:
        tuple->to_port = ntohs(rtnl_u16(attr));
        break;
    case CTA_PROTO_ICMP_TYPE:
        tuple->icmp_type = rtnl_u8(attr);
        break;
    case CTA_PROTO_ICMP_CODE:
        tuple->icmp_code = rtnl_u8(attr);
        break;
    default:
        break;
    }
    return MNL_CB_OK;
}

static int tuple_part(const struct nlattr *attr, void *context)
{
    int type = mnl_attr_get_type(attr);
    if (type == CTA_TUPLE_IP)
        mnl_attr_parse_nested(attr, tuple_ip, context);
    if (type == CTA_TUPLE_PROTO)
        mnl_attr_parse_nested(attr, tuple_protocol, context);
    return MNL_CB_OK;
}

static struct tuple tuple_read(const struct nlattr *attr)
{
    struct tuple tuple = {.from = {.family = 4}, .to = {.family = 4}};
    mnl_attr_parse_nested(attr, tuple_part, &tuple);
    return tuple;
}

struct connection_context {
    struct arena *arena;
    struct connection *connection;
};

static int connection_attribute(const struct nlattr *attr, void *context)
{
    struct connection_context *reading = context;
    struct connection *connection = reading->connection;
    int type = mnl_attr_get_type(attr);
    if (type == CTA_TUPLE_ORIG) {
        connection->original = tuple_read(attr);
        connection->original_len = mnl_attr_get_payload_len(attr);
        void *copy = arena_alloc(reading->arena, connection->original_len);
        memcpy(copy, mnl_attr_get_payload(attr), connection->original_len);
        connection->original_attr = copy;
    }
    if (type == CTA_TUPLE_REPLY)
        connection->reply = tuple_read(attr);
    if (type == CTA_ID)
        connection->id = rtnl_u32(attr);
    return MNL_CB_OK;
}

static int connection_message(const struct nlmsghdr *message, void *context)
{
    struct conntrack_reading *reading = context;
    struct connection *connection = arena_alloc(reading->arena, sizeof *connection);
    struct connection_context one = {.arena = reading->arena, .connection = connection};
    mnl_attr_parse(message, sizeof(struct nfgenmsg), connection_attribute, &one);
    connection->next = reading->first;
    reading->first = connection;
    return MNL_CB_OK;
}

/* ---- ending ------------------------------------------------------------------------- */

static struct nlmsghdr *conntrack_request(struct rtnl *rtnl, int message)
{
    struct nfgenmsg *head;
    struct nlmsghdr *request =
        rtnl_request(rtnl, NFNL_SUBSYS_CTNETLINK << 8 | message, 0, sizeof *head, &head);
    head->nfgen_family = AF_INET;
    head->version = NFNETLINK_V0;
    return request;
}

static int connection_end(struct rtnl *rtnl, const struct connection *connection, struct error *err)
{
    struct nlmsghdr *request = conntrack_request(rtnl, IPCTNL_MSG_CT_DELETE);
    mnl_attr_put(request, CTA_TUPLE_ORIG | NLA_F_NESTED, connection->original_len,
                 connection->original_attr);
    mnl_attr_put_u32(request, CTA_ID, connection->id);
    int result = rtnl_ask(rtnl, request);
    if (result == 0 || result == -ENOENT)
        return 0;
    return rtnl_error(err, result, "cannot end a connection that the rules forbid");
}

static bool connection_may_go_on(const struct network *network, const struct policy *policy,
                                 const struct connection *connection)
{
    const struct tuple *original = &connection->original;
    const struct tuple *reply = &connection->reply;
    struct flow flow = {
        .from = original->from,
        .to = reply->from,
        .protocol = original->protocol,
        .port = reply->from_port,
        .icmp_type = original->icmp_type,
        .icmp_code = original->icmp_code,
    };
    return conntrack_may_go_on(network, policy, &original->to, original->to_port, &reply->to,
                               &flow);
}

int conntrack_flush(struct arena *arena, const struct network *network, const struct policy *policy,
                    size_t *ended, struct error *err)
{
    struct conntrack_reading reading = {.arena = arena};
    struct rtnl *rtnl;
    size_t count = 0;
    if (rtnl_open_in(network->netns, NETLINK_NETFILTER, &rtnl, err) < 0)
        return err->code;
    int result =
        rtnl_dump(rtnl, conntrack_request(rtnl, IPCTNL_MSG_CT_GET), connection_message, &reading);
    if (result < 0)
        result = rtnl_error(err, result, "cannot list the connections of %s", network->netns);
    for (const struct connection *connection = reading.first; connection && result == 0;
         connection = connection->next) {
        if (connection_may_go_on(network, policy, connection))
            continue;
        result = connection_end(rtnl, connection, err);
        count++;
    }
    rtnl_close(rtnl);
    if (result == 0)
        *ended = count;
    return result;
}
