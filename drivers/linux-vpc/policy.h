/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_POLICY_H
#define LINUX_VPC_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "drivers/linux-vpc/network.h"

struct arena;

/*
 * The firewalls of a VPC as one ordered list: lower priority first, deny before
 * allow on a tie. The compiler writes it as nft rules, and flow_is_allowed()
 * evaluates it for a connection that exists already, so that a tightened rule
 * also ends the flows that it forbids. Both read the same list.
 */
struct policy_set {
    const char *name;     /* of the nft set, from the selectors; NULL: anyone */
    bool is_prefix;       /* one prefix, whoever comes and goes: rules name it, and there is no set.
                           * A set each would slow down every other rule's commit. */
    struct prefix *items; /* ordered, without duplicates */
    size_t count;
};

struct policy_rule {
    const struct record *firewall;
    const struct value *rule; /* the element of spec.rules */
    const char *name;
    bool is_in;
    bool is_deny;
    bool is_logged;
    int64_t priority;
    const struct policy_set *targets;
    const struct policy_set *hosts;
    const struct value *protocols; /* list, may be empty or NULL: every protocol */
};

struct policy {
    struct policy_rule *rules;
    size_t count;
    struct policy_set **sets; /* each named one once, ordered by name */
    size_t set_count;
};

/* Everything in the arena; refers to the network. */
struct policy policy_make(struct arena *arena, const struct network *network);

/* A connection as its first packet showed it, after address translation. */
struct flow {
    struct address from;
    struct address to;
    int protocol; /* as in IP: 6, 17, 1 */
    int port;     /* destination port; 0 where there is none */
    int icmp_type;
    int icmp_code;
};

/* Whether the policy lets this connection begin: out for a sender of ours, in for
 * a receiver of ours. */
bool policy_allows(const struct policy *policy, const struct network *network,
                   const struct flow *flow);

/* IP protocol number of a name of the model, or -1. "icmpv6" is 58. */
int policy_protocol(const char *name);
/* Type (and code after a slash, else -1) of an ICMP type as manifests write it. */
void policy_icmp(const char *text, int *type, int *code);
/* "80" or "8000-8080" */
void policy_ports(const char *text, int *first, int *last);

#endif
