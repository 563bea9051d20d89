/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A rule is read as words: the part about targets and hosts, then the protocol
 * part, then logging, then the verdict.
 */
#include "drivers/linux-vpc/decompile.h"
#include <stdlib.h>
#include <string.h>
#include "model/arena.h"
#include "model/text.h"
#include "model/value.h"

char *decompile_shown(struct arena *arena, const char *rule)
{
    const char *comment = strstr(rule, " comment \"");
    return comment ? arena_text_n(arena, rule, (size_t)(comment - rule)) : arena_text(arena, rule);
}

/* Moves past "ip daddr @sel_x ip saddr 192.0.2.0/24 "; what it moved past is the scope. */
static const char *scope_end(const char *rule)
{
    enum { END_LEN = sizeof "ip saddr " - 1 };
    while ((strncmp(rule, "ip saddr ", END_LEN) == 0 || strncmp(rule, "ip daddr ", END_LEN) == 0) &&
           strspn(rule + END_LEN, "@0123456789") > 0) {
        rule += END_LEN;
        rule += strcspn(rule, " ");
        rule += *rule == ' ';
    }
    return rule;
}

static bool scope_same(const char *a, const char *b)
{
    size_t len = (size_t)(scope_end(a) - a);
    return len == (size_t)(scope_end(b) - b) && strncmp(a, b, len) == 0;
}

static bool word_take(const char **rest, const char *words)
{
    size_t len = strlen(words);
    if (strncmp(*rest, words, len) != 0 || ((*rest)[len] != ' ' && (*rest)[len] != '\0'))
        return false;
    *rest += len + ((*rest)[len] == ' ');
    return true;
}

static int text_order(const void *a, const void *b)
{
    const struct value *const *left = a;
    const struct value *const *right = b;
    return strcmp((*left)->text, (*right)->text);
}

/* "80 " or "{ 80, 443 } ": a list of texts, in order. */
static struct value *operands_take(struct arena *arena, const char **rest)
{
    struct value *list = value_list(arena);
    bool is_set = word_take(rest, "{");
    do {
        size_t len = strcspn(*rest, " ,");
        value_append(arena, list, value_text_n(arena, *rest, len));
        *rest += len;
        *rest += strspn(*rest, ", ");
    } while (is_set && **rest && **rest != '}');
    if (is_set)
        word_take(rest, "}");
    qsort(list->items, list->count, sizeof *list->items, text_order);
    return list;
}

struct protocol_words {
    const char *words;
    const char *protocol; /* NULL: the operand names it */
    const char *field;    /* of the protocol that the operands are */
};

static const struct protocol_words protocol_words[] = {
    {"tcp dport", "tcp", "ports"},          {"udp dport", "udp", "ports"},
    {"sctp dport", "sctp", "ports"},        {"icmp type", "icmp", "icmpTypes"},
    {"icmpv6 type", "icmpv6", "icmpTypes"}, {"meta l4proto", NULL, NULL},
};

static const char *protocol_name(const struct value *operand)
{
    return strcmp(operand->text, "ipv6-icmp") == 0 ? "icmpv6" : operand->text;
}

static struct value *protocol_take(struct arena *arena, const char **rest)
{
    for (size_t i = 0; i < sizeof protocol_words / sizeof *protocol_words; i++) {
        const struct protocol_words *form = &protocol_words[i];
        if (!word_take(rest, form->words))
            continue;
        struct value *operands = operands_take(arena, rest);
        struct value *protocol = value_map(arena);
        value_set_text(arena, protocol, "protocol",
                       form->protocol ? form->protocol : protocol_name(operands->items[0]));
        value_set(arena, protocol, "ports", value_list(arena));
        value_set(arena, protocol, "icmpTypes", value_list(arena));
        if (form->field)
            value_set(arena, protocol, form->field, operands);
        return protocol;
    }
    return NULL;
}

/* "counter log prefix "..." group 64 " */
static void logging_skip(const char **rest)
{
    word_take(rest, "counter");
    if (!word_take(rest, "log"))
        return;
    const char *group = strstr(*rest, "\" group ");
    if (!group)
        return;
    *rest = group + strlen("\" group ");
    *rest += strcspn(*rest, " ");
    *rest += strspn(*rest, " ");
}

bool decompile_rule(struct arena *arena, const char *expected, const char *observed,
                    struct decompiled *out)
{
    static const char *const verdicts[] = {"accept", "drop", "return"};
    const char *rest = decompile_shown(arena, observed);
    if (!scope_same(expected, observed))
        return false;
    rest = scope_end(rest);
    struct decompiled found = {.protocol = protocol_take(arena, &rest)};
    logging_skip(&rest);
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
        if (word_take(&rest, verdicts[i]))
            found.verdict = verdicts[i];
    if (!found.verdict || *rest)
        return false;
    *out = found;
    return true;
}

static const char *elements_of(const char *definition)
{
    const char *open = strstr(definition, "elements = { ");
    return open ? open + strlen("elements = { ") : NULL;
}

const char *decompile_element(struct arena *arena, const char *definition, const char *key)
{
    size_t len = strlen(key);
    for (const char *rest = elements_of(definition); rest && *rest && *rest != '}';) {
        size_t item = strcspn(rest, ",}");
        if (strncmp(rest, key, len) == 0 && strncmp(rest + len, " : ", 3) == 0) {
            size_t value = item - len - 3;
            while (value && rest[len + 3 + value - 1] == ' ')
                value--;
            return arena_text_n(arena, rest + len + 3, value);
        }
        rest += item;
        rest += strspn(rest, ", ");
    }
    return NULL;
}

unsigned decompile_element_count(const char *definition)
{
    unsigned count = 0;
    const char *rest = elements_of(definition);
    if (rest && *rest != '}')
        count = 1;
    for (; rest && *rest; rest++)
        count += *rest == ',';
    return count;
}
