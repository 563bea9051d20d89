/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_DECOMPILE_H
#define LINUX_VPC_DECOMPILE_H

#include <stdbool.h>

struct arena;
struct value;

/*
 * From an nft rule, as nft prints it, back to the words of a manifest, so that a
 * hand edit reads as a difference of a field. Pure. Only what the compiler itself
 * writes is understood; anything else is left to be shown as text.
 */
struct decompiled {
    struct value *protocol; /* an element of spec.rules[].protocols; NULL: every protocol */
    const char *verdict;    /* "accept", "drop", "return" */
};

/* `expected` is the rule as it was committed: `observed` has to be about the same
 * targets and hosts. False if it says more than a manifest can. */
bool decompile_rule(struct arena *arena, const char *expected, const char *observed,
                    struct decompiled *out);

/* The rule without its comment, for people. */
char *decompile_shown(struct arena *arena, const char *rule);

/* The value of `key` in the elements of a map's definition, as text, or NULL:
 * "map x ... elements = { k : v, ... }". */
const char *decompile_element(struct arena *arena, const char *definition, const char *key);

/* How many elements the definition of a set or map has. */
unsigned decompile_element_count(const char *definition);

#endif
