/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Firewall, FloatingIP and PortForward: what lives in rules and maps. An edit that
 * can be read back as fields of the manifest is told as such; any other is told
 * as the text of the rule that should be there and the one that is.
 */
#include <stdio.h>
#include <string.h>
#include "drivers/linux-vpc/compile.h"
#include "drivers/linux-vpc/decompile.h"
#include "drivers/linux-vpc/observe.h"
#include "model/arena.h"

/* ---- Firewall ----------------------------------------------------------------------- */

/* Whether a comment is of any nft rule of this firewall's rule. */
static bool is_of_rule(const char *comment, const char *firewall, const char *rule)
{
    char first[COMPILE_COMMENT_MAX];
    compile_rule_mark(first, firewall, rule, 1);
    size_t stem = strlen(first) - strlen("#");
    return comment && strncmp(comment, first, stem) == 0 &&
           (comment[stem] == '#' || comment[stem] == '.');
}

static bool is_of_firewall(const char *comment, const char *firewall)
{
    size_t len = strlen(firewall);
    return comment && strncmp(comment, firewall, len) == 0 && comment[len] == '/';
}

static const struct nft_change *change_of(const struct view *view, const struct nft_entry *expected)
{
    for (size_t i = 0; i < view->change_count[VIEW_INSIDE]; i++)
        if (view->changes[VIEW_INSIDE][i].expected == expected)
            return &view->changes[VIEW_INSIDE][i];
    return NULL;
}

static bool text_in(const struct value *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(value_item_text(list, i), text) == 0)
            return true;
    return false;
}

/* Two lists of texts with the same members, in whatever order; no list is an empty one. */
static bool members_same(const struct value *a, const struct value *b)
{
    size_t count = value_is_list(a) ? a->count : 0;
    if (count != (value_is_list(b) ? b->count : 0))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!text_in(b, value_item_text(a, i)))
            return false;
    return true;
}

/* As the manifest writes it, where the two mean the same. */
static const struct value *protocol_as_written(const struct value *rule, size_t index,
                                               const struct value *now)
{
    const struct value *protocols = value_get(rule, "protocols");
    const struct value *asked =
        value_is_list(protocols) && index < protocols->count ? protocols->items[index] : NULL;
    bool is_same =
        strcmp(value_get_text(asked, "protocol", ""), value_get_text(now, "protocol", "")) == 0 &&
        members_same(value_get(asked, "ports"), value_get(now, "ports")) &&
        members_same(value_get(asked, "icmpTypes"), value_get(now, "icmpTypes"));
    return is_same ? asked : now;
}

/* The rule as the kernel has it now, or NULL if it cannot be told in a manifest's
 * words, or says the same as the manifest. */
static struct value *rule_decompiled(struct observation *observation, const struct value *rule)
{
    struct arena *arena = observation->arena;
    const struct view *view = observation->view;
    const struct nft_table *table = &view->expected[VIEW_INSIDE];
    struct value *found = value_copy(arena, rule);
    struct value *protocols = value_list(arena);
    const char *verdict = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct nft_entry *entry = &table->entries[i];
        if (!is_of_rule(entry->comment, observation->record->name,
                        value_get_text(rule, "name", "")))
            continue;
        const struct nft_change *change = change_of(view, entry);
        struct decompiled now;
        if (change && !change->observed)
            return NULL;
        if (!decompile_rule(arena, entry->text, change ? change->observed->text : entry->text,
                            &now) ||
            (verdict && strcmp(verdict, now.verdict) != 0))
            return NULL;
        verdict = now.verdict;
        if (now.protocol)
            value_append(
                arena, protocols,
                value_copy(arena, protocol_as_written(rule, protocols->count, now.protocol)));
    }
    if (!verdict)
        return NULL;
    value_set_text(arena, found, "action", strcmp(verdict, "drop") == 0 ? "deny" : "allow");
    value_set(arena, found, "protocols", protocols);
    return value_equal(found, rule) ? NULL : found;
}

static void rule_damage(struct observation *observation, const char *name,
                        const struct nft_change *change)
{
    struct arena *arena = observation->arena;
    observation_damage(
        observation, arena_printf(arena, "spec.rules[%s]", name),
        change->expected ? decompile_shown(arena, change->expected->text) : "nothing",
        change->observed ? decompile_shown(arena, change->observed->text) : "missing");
}

/* One rule of the manifest: its changed lines either become fields or damage. */
static void rule_observe(struct observation *observation, struct value *rules, size_t index)
{
    const struct view *view = observation->view;
    const struct value *rule = rules->items[index];
    const char *name = value_get_text(rule, "name", "");
    struct value *now = NULL;
    bool is_decompiled = false;
    for (size_t i = 0; i < view->change_count[VIEW_INSIDE]; i++) {
        const struct nft_change *change = &view->changes[VIEW_INSIDE][i];
        if (!change->expected ||
            !is_of_rule(change->expected->comment, observation->record->name, name))
            continue;
        if (!is_decompiled)
            now = rule_decompiled(observation, rule);
        is_decompiled = true;
        if (!now)
            rule_damage(observation, name, change);
    }
    if (now)
        rules->items[index] = now;
}

/* The firewall that answers for rules that somebody added: the one that the comment
 * names, else the first of the VPC. */
static bool answers_for(const struct observation *observation, const struct nft_entry *entry)
{
    const struct records *records = &observation->view->records;
    const struct record *first = NULL;
    for (size_t i = 0; i < records->count; i++) {
        const struct record *record = &records->items[i];
        if (record->kind != RECORD_FIREWALL)
            continue;
        if (!first)
            first = record;
        if (is_of_firewall(entry->comment, record->name))
            return record == observation->record;
    }
    return first == observation->record;
}

static bool uses_set(const struct observation *observation, const char *set)
{
    const struct policy *policy = &observation->view->policy;
    for (size_t i = 0; i < policy->count; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        if (rule->firewall != observation->record)
            continue;
        if ((rule->targets->name && strcmp(rule->targets->name, set) == 0) ||
            (rule->hosts->name && strcmp(rule->hosts->name, set) == 0))
            return true;
    }
    return false;
}

static void others_observe(struct observation *observation)
{
    const struct view *view = observation->view;
    for (size_t i = 0; i < view->change_count[VIEW_INSIDE]; i++) {
        const struct nft_change *change = &view->changes[VIEW_INSIDE][i];
        const struct nft_entry *entry = change->expected ? change->expected : change->observed;
        bool is_chain = compile_is_firewall_chain(entry->place);
        if (is_chain && !change->expected && entry->comment && answers_for(observation, entry))
            rule_damage(observation, "?", change);
        if (is_chain && !entry->comment && answers_for(observation, entry))
            observation_damage(observation, "status.chain", "present",
                               change->observed ? "changed" : "missing");
        if (strncmp(entry->place, "sel_", 4) == 0 && uses_set(observation, entry->place))
            observation_damage(observation,
                               arena_printf(observation->arena, "status.sets[%s]", entry->place),
                               change->expected ? change->expected->text : "nothing",
                               change->observed ? change->observed->text : "missing");
    }
}

void observe_firewall(struct observation *observation)
{
    const struct value *asked = value_get(observation->spec, "rules");
    struct value *rules = value_is_list(asked) ? value_copy(observation->arena, asked)
                                               : value_list(observation->arena);
    value_set_int(observation->arena, observation->status, "rules", (int64_t)rules->count);
    if (!observation->view->observed[VIEW_INSIDE].is_present)
        return; /* the VPC says that its table is missing; nothing is known beyond that */
    for (size_t i = 0; i < rules->count; i++)
        rule_observe(observation, rules, i);
    others_observe(observation);
    value_set(observation->arena, observation->spec, "rules", rules);
}

/* ---- FloatingIP --------------------------------------------------------------------- */

/* Tells spec.instance and spec.nic from the address that a map element really has. */
static void target_observe(struct observation *observation, const struct network_nic *wanted,
                           const char *found, const char *path)
{
    struct arena *arena = observation->arena;
    struct error ignored = ERROR_INIT;
    struct address address;
    char text[ADDRESS_MAX_TEXT];
    const char *desired = wanted ? arena_text(arena, address_text(&wanted->address, text)) : NULL;
    if ((!desired && !found) || (desired && found && strcmp(desired, found) == 0))
        return;
    const struct network_nic *nic = NULL;
    if (found && address_read(found, &address, &ignored) == 0)
        nic = network_nic_at(&observation->view->network, &address);
    if (!nic || (wanted && strcmp(nic->instance, wanted->instance) == 0)) {
        observation_damage(observation, path, desired ? desired : "nothing",
                           found ? found : "missing");
        return;
    }
    value_set_text(arena, observation->spec, "instance", nic->instance);
    if (value_get(observation->spec, "nic"))
        value_set_text(arena, observation->spec, "nic", nic->interface);
}

static const struct network_floating *floating_find(const struct network *network, const char *uid)
{
    for (size_t i = 0; i < network->floating_count; i++)
        if (strcmp(network->floating[i].record->uid, uid) == 0)
            return &network->floating[i];
    return NULL;
}

static bool has_route(const struct view *view, const struct address *address)
{
    for (size_t i = 0; i < view->route_count; i++)
        if (view->routes[i].length == 32 && address_equal(&view->routes[i].address, address))
            return true;
    return false;
}

static bool has_proxy(const struct view *view, int index, const struct address *address)
{
    for (size_t i = 0; i < view->proxies.count; i++)
        if (view->proxies.items[i].index == index &&
            address_equal(&view->proxies.items[i].address, address))
            return true;
    return false;
}

static void check_proxies(struct observation *observation, const struct address *address)
{
    const struct view *view = observation->view;
    for (size_t i = 0; i < view->host_addresses.count; i++) {
        const struct route_address *on = &view->host_addresses.items[i];
        const struct link *link = link_at(&view->host, on->index);
        if (link && on->prefix.length < 31 && prefix_has(&on->prefix, address) &&
            !has_proxy(view, on->index, address))
            observation_missing(observation,
                                arena_printf(observation->arena, "status.proxy[%s]", link->name));
    }
}

void observe_floating(struct observation *observation)
{
    char text[ADDRESS_MAX_TEXT];
    const struct view *view = observation->view;
    const struct network_floating *floating =
        floating_find(&view->network, observation->record->uid);
    const char *map = view_definition(view, VIEW_INSIDE, "floating_in");
    address_text(&floating->address, text);
    if (map)
        target_observe(observation, floating->nic, decompile_element(observation->arena, map, text),
                       "status.in");
    if (link_find(&view->host, view->network.uplink) && !has_route(view, &floating->address))
        observation_missing(observation, "status.route");
    check_proxies(observation, &floating->address);
    if (floating->nic)
        value_set_text(observation->arena, observation->status, "target",
                       address_text(&floating->nic->address, text));
}

/* ---- PortForward -------------------------------------------------------------------- */

static const struct network_forward *forward_find(const struct network *network, const char *uid)
{
    for (size_t i = 0; i < network->forward_count; i++)
        if (strcmp(network->forwards[i].record->uid, uid) == 0)
            return &network->forwards[i];
    return NULL;
}

static void check_host_element(struct observation *observation,
                               const struct network_forward *forward)
{
    char text[ADDRESS_MAX_TEXT];
    struct arena *arena = observation->arena;
    const struct view *view = observation->view;
    const char *map =
        view_definition(view, VIEW_HOST, forward->has_address ? "ports_at" : "ports_any");
    const char *key = arena_printf(
        arena, "%s%s%s . %d", forward->has_address ? address_text(&forward->address, text) : "",
        forward->has_address ? " . " : "", forward->protocol, forward->port);
    const char *want = arena_printf(arena, "%s . %d", address_text(&view->network.guest_end, text),
                                    forward->transit_port);
    const char *found = map ? decompile_element(arena, map, key) : NULL;
    if (map && (!found || strcmp(found, want) != 0))
        observation_damage(observation, "status.host", want, found ? found : "missing");
}

static void check_inside_element(struct observation *observation,
                                 const struct network_forward *forward)
{
    struct arena *arena = observation->arena;
    const char *map = view_definition(observation->view, VIEW_INSIDE, "ports_in");
    const char *key = arena_printf(arena, "%s . %d", forward->protocol, forward->transit_port);
    const char *found = map ? decompile_element(arena, map, key) : NULL;
    const char *dot = found ? strstr(found, " . ") : NULL;
    int port = 0;
    if (!map)
        return;
    if (dot && sscanf(dot, " . %d", &port) == 1 && port != forward->target_port)
        value_set_int(arena, observation->spec, "targetPort", port);
    target_observe(observation, forward->nic,
                   dot ? arena_text_n(arena, found, (size_t)(dot - found)) : NULL, "status.in");
}

void observe_forward(struct observation *observation)
{
    char text[ADDRESS_MAX_TEXT];
    const struct network_forward *forward =
        forward_find(&observation->view->network, observation->record->uid);
    check_host_element(observation, forward);
    check_inside_element(observation, forward);
    if (forward->nic)
        value_set_text(observation->arena, observation->status, "target",
                       arena_printf(observation->arena, "%s:%d",
                                    address_text(&forward->nic->address, text),
                                    forward->target_port));
}
