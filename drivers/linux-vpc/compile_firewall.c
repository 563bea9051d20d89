/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The rules of firewalls: one of a manifest becomes one line for each of its protocols, in the
 * order of the policy.
 *
 * What comes in may meet thousands. A commit of the kernel's costs what it writes, so a long list
 * stands in sections, which the chain jumps to one after the other, and a rule that changes is
 * written with its section alone. Where a section begins depends on the name of the rule there, and
 * not on how many stand before it: a rule more or less moves no other section's rules. What goes
 * out has no sections: there, a rule that allows returns to whoever jumped.
 */
#include "drivers/linux-vpc/compile.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/arena.h"
#include "model/digest.h"
#include "model/text.h"

enum {
    RULE_DIGEST = 8,
    LOG_GROUP = 64,
    MARK_DIGITS = 24,
    LONG_LIST = 64, /* rules; fewer stand in the chain itself */
    SECTION_MIN = 8,
    SECTION_USUAL = 32, /* of so many rules' names, one begins a section */
    SECTION_MAX = 128,
};

/* ---- rules -------------------------------------------------------------------------- */

void compile_rule_mark(char out[COMPILE_COMMENT_MAX], const char *firewall, const char *rule,
                       size_t n)
{
    enum { ROOM = COMPILE_COMMENT_MAX - RULE_DIGEST - MARK_DIGITS };
    int len = snprintf(out, ROOM, "%s/%s", firewall, rule);
    if (len >= ROOM)
        len = ROOM - 1;
    if (n > 1)
        snprintf(out + len, MARK_DIGITS, ".%zu#", n);
    else
        snprintf(out + len, MARK_DIGITS, "#");
}

static void match_write(struct text *line, const char *end, const struct policy_set *set)
{
    if (set->name)
        text_printf(line, "ip %s %s%s ", end, set->is_prefix ? "" : "@", set->name);
}

/* One nft rule: `match` between the sets and the verdict. */
static void rule_write(struct text *out, const struct policy_rule *rule, size_t n,
                       const char *match)
{
    char mark[COMPILE_COMMENT_MAX];
    char digest[DIGEST_TEXT];
    struct text line = TEXT_INIT;
    const char *target = rule->is_in ? "daddr" : "saddr";
    const char *host = rule->is_in ? "saddr" : "daddr";
    match_write(&line, target, rule->targets);
    match_write(&line, host, rule->hosts);
    text_add(&line, match);
    if (rule->is_logged)
        text_printf(&line, "counter log prefix \"spinel %.40s/%.40s \" group %d ",
                    rule->firewall->name, rule->name, LOG_GROUP);
    text_add(&line, rule->is_deny ? "drop" : rule->is_in ? "accept" : "return");
    compile_rule_mark(mark, rule->firewall->name, rule->name, n);
    digest_bytes(line.data, line.len, digest);
    text_printf(out, "\t\t%s comment \"%s%.*s\"\n", line.data, mark, RULE_DIGEST, digest);
    text_free(&line);
}

static void ports_write(struct text *match, const char *protocol, const struct value *ports)
{
    text_printf(match, "%s dport { ", protocol);
    for (size_t i = 0; i < ports->count; i++)
        text_printf(match, "%s%s", i ? ", " : "", value_item_text(ports, i));
    text_add(match, " } ");
}

/* Types of one protocol: those without a code in one rule, each code in its own. */
static size_t types_write(struct text *out, const struct policy_rule *rule, size_t n,
                          const char *protocol, const struct value *types)
{
    struct text plain = TEXT_INIT;
    for (size_t i = 0; i < types->count; i++) {
        struct text match = TEXT_INIT;
        int type;
        int code;
        policy_icmp(value_item_text(types, i), &type, &code);
        if (code < 0) {
            text_printf(&plain, "%s%d", plain.len ? ", " : "", type);
        } else {
            text_printf(&match, "%s type %d %s code %d ", protocol, type, protocol, code);
            rule_write(out, rule, ++n, match.data);
        }
        text_free(&match);
    }
    if (plain.len) {
        struct text match = TEXT_INIT;
        text_printf(&match, "%s type { %s } ", protocol, plain.data);
        rule_write(out, rule, ++n, match.data);
        text_free(&match);
    }
    text_free(&plain);
    return n;
}

static size_t protocol_write(struct text *out, const struct policy_rule *rule, size_t n,
                             const struct value *entry)
{
    const char *protocol = value_get_text(entry, "protocol", "");
    const struct value *ports = value_get(entry, "ports");
    const struct value *types = value_get(entry, "icmpTypes");
    bool is_icmp = strncmp(protocol, "icmp", 4) == 0;
    if (is_icmp && value_is_list(types) && types->count)
        return types_write(out, rule, n, protocol, types);
    struct text match = TEXT_INIT;
    if (!is_icmp && value_is_list(ports) && ports->count)
        ports_write(&match, protocol, ports);
    else
        text_printf(&match, "meta l4proto %d ", policy_protocol(protocol));
    rule_write(out, rule, ++n, match.data);
    text_free(&match);
    return n;
}

static void rule_of_policy_write(struct text *out, const struct policy_rule *rule)
{
    size_t n = 0, count = value_is_list(rule->protocols) ? rule->protocols->count : 0;
    for (size_t p = 0; p < count; p++)
        n = protocol_write(out, rule, n, rule->protocols->items[p]);
    if (count == 0)
        rule_write(out, rule, 1, "");
}

/* ---- sections ----------------------------------------------------------------------- */

/* The first eight digits of its name's digest, as a number. */
static uint32_t rule_number(const struct policy_rule *rule)
{
    char mark[COMPILE_COMMENT_MAX], digest[DIGEST_TEXT];
    compile_rule_mark(mark, rule->firewall->name, rule->name, 1);
    digest_bytes(mark, strlen(mark), digest);
    digest[8] = '\0';
    return (uint32_t)strtoul(digest, NULL, 16);
}

static bool begins_section(const struct policy_rule *rule, size_t since)
{
    return since >= SECTION_MAX || (since >= SECTION_MIN && rule_number(rule) % SECTION_USUAL == 0);
}

static bool has_name(const struct compile_sections *sections, const char *name)
{
    for (size_t i = 0; i < sections->count; i++)
        if (strcmp(sections->items[i].name, name) == 0)
            return true;
    return false;
}

/* Two rules of one number begin one section. */
static void section_begin(struct arena *arena, struct compile_sections *sections,
                          const struct policy_rule *rule, size_t at)
{
    const char *name = arena_printf(arena, COMPILE_SECTION "%08" PRIx32, rule_number(rule));
    if (!has_name(sections, name))
        sections->items[sections->count++] =
            (struct compile_section){.name = name, .first = at, .end = at};
}

struct compile_sections compile_sections(struct arena *arena, const struct policy *policy)
{
    struct compile_sections sections = {0};
    size_t count = 0, since = 0;
    for (size_t i = 0; i < policy->count; i++)
        count += policy->rules[i].is_in;
    if (count < LONG_LIST)
        return sections;
    sections.items = arena_array(arena, count / SECTION_MIN + 1, sizeof *sections.items);
    for (size_t i = 0; i < policy->count; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        if (!rule->is_in)
            continue;
        size_t before = sections.count;
        if (before == 0 || begins_section(rule, since))
            section_begin(arena, &sections, rule, i);
        since = sections.count > before ? 1 : since + 1;
        sections.items[sections.count - 1].end = i + 1;
    }
    return sections;
}

/* ---- chains ------------------------------------------------------------------------- */

static void rules_write(struct text *out, const struct policy *policy, size_t first, size_t end,
                        bool is_in)
{
    for (size_t i = first; i < end; i++)
        if (policy->rules[i].is_in == is_in)
            rule_of_policy_write(out, &policy->rules[i]);
}

void compile_firewall(struct text *out, const struct policy *policy,
                      const struct compile_sections *sections)
{
    text_add(out, "\tchain out {\n");
    rules_write(out, policy, 0, policy->count, false);
    text_add(out, "\t}\n");
    for (size_t i = 0; i < sections->count; i++)
        text_printf(out, "\tchain %s {\n\t}\n", sections->items[i].name);
    text_add(out, "\tchain in {\n");
    for (size_t i = 0; i < sections->count; i++)
        text_printf(out, "\t\tjump %s comment \"base/section\"\n", sections->items[i].name);
    if (sections->count == 0)
        rules_write(out, policy, 0, policy->count, true);
    text_add(out, "\t}\n");
}

void compile_section(struct text *out, const struct policy *policy,
                     const struct compile_section *section)
{
    text_printf(out, "table inet " COMPILE_TABLE " {\n\tchain %s {\n", section->name);
    rules_write(out, policy, section->first, section->end, true);
    text_add(out, "\t}\n}\n");
}

bool compile_is_firewall_chain(const char *chain)
{
    return strcmp(chain, "in") == 0 || strcmp(chain, "out") == 0 ||
           strncmp(chain, COMPILE_SECTION, strlen(COMPILE_SECTION)) == 0;
}
