/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Selectors become sets of addresses. A set is named after its selectors and not
 * after its members, so that a NIC that comes or goes changes elements only and
 * no rule.
 */
#include "drivers/linux-vpc/policy.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/arena.h"
#include "model/digest.h"
#include "model/error.h"

static const struct policy_set everyone = {.name = NULL};

/* ---- selectors ---------------------------------------------------------------------- */

static bool label_matches(const struct value *labels, const char *want)
{
    const char *equals = strchr(want, '=');
    size_t len = equals ? (size_t)(equals - want) : strlen(want);
    for (size_t i = 0; value_is_map(labels) && i < labels->pair_count; i++) {
        const struct pair *pair = &labels->pairs[i];
        if (strlen(pair->key) != len || strncmp(pair->key, want, len) != 0)
            continue;
        return !equals || (value_is_text(pair->value) && !strcmp(pair->value->text, equals + 1));
    }
    return false;
}

static bool selector_has(const struct value *selector, const struct network *network,
                         const struct network_nic *nic)
{
    const char *instance = value_get_text(selector, "instance", NULL);
    const char *subnet = value_get_text(selector, "subnet", NULL);
    const char *label = value_get_text(selector, "label", NULL);
    const char *vpc = value_get_text(selector, "vpc", NULL);
    if (instance)
        return strcmp(nic->instance, instance) == 0;
    if (subnet)
        return nic->subnet && strcmp(nic->subnet->record->name, subnet) == 0;
    if (label)
        return label_matches(value_get(nic->record->spec, "labels"), label);
    /* Another VPC cannot be reached, so its NICs are no one's other end. */
    return vpc && network->vpc && strcmp(network->vpc->name, vpc) == 0;
}

static void set_add(struct policy_set *set, struct prefix prefix)
{
    set->items[set->count++] = prefix_network(&prefix);
}

static int prefix_order(const void *a, const void *b)
{
    const struct prefix *left = a;
    const struct prefix *right = b;
    int by_address = memcmp(left->address.bytes, right->address.bytes, 16);
    return by_address ? by_address : left->length - right->length;
}

static void set_settle(struct policy_set *set)
{
    size_t kept = 0;
    if (set->count)
        qsort(set->items, set->count, sizeof *set->items, prefix_order);
    for (size_t i = 0; i < set->count; i++)
        if (i == 0 || prefix_order(&set->items[kept - 1], &set->items[i]) != 0)
            set->items[kept++] = set->items[i];
    set->count = kept;
}

static void set_add_selector(struct policy_set *set, const struct network *network,
                             const struct value *selector)
{
    struct error ignored = ERROR_INIT;
    struct prefix prefix;
    const char *cidr = value_get_text(selector, "cidr", NULL);
    if (cidr && prefix_read(cidr, &prefix, &ignored) == 0 && prefix.address.family == 4)
        set_add(set, prefix);
    for (size_t i = 0; !cidr && i < network->nic_count; i++)
        if (selector_has(selector, network, &network->nics[i]))
            set_add(set, (struct prefix){.address = network->nics[i].address, .length = 32});
}

static struct policy_set *set_find(const struct policy *policy, const char *name)
{
    for (size_t i = 0; i < policy->set_count; i++)
        if (strcmp(policy->sets[i]->name, name) == 0)
            return policy->sets[i];
    return NULL;
}

/* NULL unless the one selector is a prefix that is no more than that. */
static const struct policy_set *prefix_of(struct arena *arena, const struct value *selectors)
{
    struct error ignored = ERROR_INIT;
    char text[PREFIX_MAX_TEXT];
    struct prefix prefix;
    const char *cidr = value_get_text(selectors->items[0], "cidr", NULL);
    if (selectors->count != 1 || !cidr || prefix_read(cidr, &prefix, &ignored) < 0 ||
        prefix.address.family != 4 || prefix.length == 0)
        return NULL;
    struct policy_set *set = arena_alloc(arena, sizeof *set);
    set->items = arena_array(arena, 1, sizeof *set->items);
    set_add(set, prefix);
    set->name = arena_text(arena, prefix_text(set->items, text));
    set->is_prefix = true;
    return set;
}

static const struct policy_set *set_of(struct arena *arena, struct policy *policy,
                                       const struct network *network, const struct value *selectors)
{
    char digest[DIGEST_TEXT];
    if (!value_is_list(selectors) || selectors->count == 0)
        return &everyone;
    const struct policy_set *prefix = prefix_of(arena, selectors);
    if (prefix)
        return prefix;
    const char *name = arena_printf(arena, "sel_%.12s", digest_value(selectors, digest));
    struct policy_set *set = set_find(policy, name);
    if (set)
        return set;
    set = arena_alloc(arena, sizeof *set);
    set->name = name;
    set->items =
        arena_array(arena, selectors->count * (network->nic_count + 1), sizeof *set->items);
    for (size_t i = 0; i < selectors->count; i++)
        set_add_selector(set, network, selectors->items[i]);
    set_settle(set);
    policy->sets[policy->set_count++] = set;
    return set;
}

/* ---- rules -------------------------------------------------------------------------- */

static int rule_order(const void *a, const void *b)
{
    const struct policy_rule *left = a;
    const struct policy_rule *right = b;
    if (left->priority != right->priority)
        return left->priority < right->priority ? -1 : 1;
    if (left->is_deny != right->is_deny)
        return left->is_deny ? -1 : 1;
    int by_firewall = strcmp(left->firewall->name, right->firewall->name);
    return by_firewall ? by_firewall : strcmp(left->name, right->name);
}

static int set_order(const void *a, const void *b)
{
    const struct policy_set *const *left = a;
    const struct policy_set *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static void rule_add(struct arena *arena, struct policy *policy, const struct network *network,
                     const struct record *firewall, const struct value *rule)
{
    policy->rules[policy->count++] = (struct policy_rule){
        .firewall = firewall,
        .rule = rule,
        .name = value_get_text(rule, "name", ""),
        .is_in = strcmp(value_get_text(rule, "direction", "in"), "in") == 0,
        .is_deny = strcmp(value_get_text(rule, "action", "allow"), "deny") == 0,
        .is_logged = value_get_bool(rule, "log", false),
        .priority = value_get_int(rule, "priority", 1000),
        .targets = set_of(arena, policy, network, value_get(rule, "targets")),
        .hosts = set_of(arena, policy, network, value_get(rule, "hosts")),
        .protocols = value_get(rule, "protocols"),
    };
}

static size_t rules_of(const struct record *record)
{
    const struct value *rules = value_get(record->spec, "rules");
    return record->kind == RECORD_FIREWALL && value_is_list(rules) ? rules->count : 0;
}

struct policy policy_make(struct arena *arena, const struct network *network)
{
    struct policy policy = {0};
    size_t count = 0;
    for (size_t i = 0; i < network->records->count; i++)
        count += rules_of(&network->records->items[i]);
    policy.rules = arena_array(arena, count + 1, sizeof *policy.rules);
    policy.sets = arena_array(arena, 2 * count + 1, sizeof(struct policy_set *));
    for (size_t i = 0; i < network->records->count; i++) {
        const struct record *record = &network->records->items[i];
        for (size_t n = 0; n < rules_of(record); n++)
            rule_add(arena, &policy, network, record, value_get(record->spec, "rules")->items[n]);
    }
    if (policy.count)
        qsort(policy.rules, policy.count, sizeof *policy.rules, rule_order);
    if (policy.set_count)
        qsort(policy.sets, policy.set_count, sizeof *policy.sets, set_order);
    return policy;
}

/* ---- words -------------------------------------------------------------------------- */

int policy_protocol(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } protocols[] = {
        {"icmp", 1}, {"tcp", 6},     {"udp", 17},   {"gre", 47},
        {"esp", 50}, {"icmpv6", 58}, {"sctp", 132},
    };
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (strcmp(protocols[i].name, name) == 0)
            return protocols[i].number;
    return -1;
}

void policy_icmp(const char *text, int *type, int *code)
{
    static const struct {
        const char *name;
        int type;
    } types[] = {
        {"echo-reply", 0},       {"destination-unreachable", 3}, {"redirect", 5},
        {"echo-request", 8},     {"router-advertisement", 9},    {"router-solicitation", 10},
        {"time-exceeded", 11},   {"parameter-problem", 12},      {"timestamp-request", 13},
        {"timestamp-reply", 14},
    };
    const char *slash = strchr(text, '/');
    *type = atoi(text);
    *code = slash ? atoi(slash + 1) : -1;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, text) == 0)
            *type = types[i].type;
}

void policy_ports(const char *text, int *first, int *last)
{
    const char *dash = strchr(text, '-');
    *first = atoi(text);
    *last = dash ? atoi(dash + 1) : *first;
}

/* ---- evaluation --------------------------------------------------------------------- */

static bool set_has(const struct policy_set *set, const struct address *address)
{
    if (!set->name)
        return true;
    for (size_t i = 0; i < set->count; i++)
        if (prefix_has(&set->items[i], address))
            return true;
    return false;
}

static bool ports_have(const struct value *ports, int port)
{
    if (!value_is_list(ports) || ports->count == 0)
        return true;
    for (size_t i = 0; i < ports->count; i++) {
        int first;
        int last;
        policy_ports(value_item_text(ports, i), &first, &last);
        if (first <= port && port <= last)
            return true;
    }
    return false;
}

static bool types_have(const struct value *types, const struct flow *flow)
{
    if (!value_is_list(types) || types->count == 0)
        return true;
    for (size_t i = 0; i < types->count; i++) {
        int type;
        int code;
        policy_icmp(value_item_text(types, i), &type, &code);
        if (type == flow->icmp_type && (code < 0 || code == flow->icmp_code))
            return true;
    }
    return false;
}

static bool protocols_have(const struct value *protocols, const struct flow *flow)
{
    if (!value_is_list(protocols) || protocols->count == 0)
        return true;
    for (size_t i = 0; i < protocols->count; i++) {
        const struct value *one = protocols->items[i];
        if (policy_protocol(value_get_text(one, "protocol", "")) == flow->protocol &&
            ports_have(value_get(one, "ports"), flow->port) &&
            types_have(value_get(one, "icmpTypes"), flow))
            return true;
    }
    return false;
}

/* The verdict of the first rule of that direction that matches, else `fallback`. */
static bool direction_allows(const struct policy *policy, const struct flow *flow, bool is_in,
                             bool fallback)
{
    const struct address *target = is_in ? &flow->to : &flow->from;
    const struct address *host = is_in ? &flow->from : &flow->to;
    for (size_t i = 0; i < policy->count; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        if (rule->is_in == is_in && set_has(rule->targets, target) && set_has(rule->hosts, host) &&
            protocols_have(rule->protocols, flow))
            return !rule->is_deny;
    }
    return fallback;
}

bool policy_allows(const struct policy *policy, const struct network *network,
                   const struct flow *flow)
{
    bool is_ours_from = network_nic_at(network, &flow->from) != NULL;
    bool is_ours_to = network_nic_at(network, &flow->to) != NULL;
    if (is_ours_from && !direction_allows(policy, flow, false, true))
        return false;
    return !is_ours_to || direction_allows(policy, flow, true, false);
}
