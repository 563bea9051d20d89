/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_NFT_H
#define LINUX_VPC_NFT_H

#include <stdbool.h>
#include <stddef.h>

#include "drivers/linux-vpc/names.h"

struct arena;
struct error;
struct value;

/*
 * nftables by libnftables: one text, one transaction; and the kernel's ruleset
 * read back as entries that can be compared with what was committed.
 */

/* Runs commands in the namespace of that name (NULL: here). All or nothing. */
int nft_apply(const char *netns, const char *commands, struct error *err);

/* One thing in a table: a rule, or the definition of a chain, set or map. */
struct nft_entry {
    const char *table;   /* "inet spinel" */
    const char *place;   /* name of the chain, set or map */
    const char *comment; /* of a rule; "" if it has none; NULL for a definition */
    const char *text;    /* as nft prints it on one line; elements of sets in order */
};

struct nft_table {
    bool is_present;
    const char *comment; /* "" if it has none */
    struct nft_entry *entries;
    size_t count;
    struct names places; /* the first entry of each */
};

/* The entries of one place, which stand together; none: 0. */
size_t nft_place(const struct nft_table *table, const char *place, const struct nft_entry **out);

/* Reads one table, "inet spinel", into the arena. Absent is no error. */
int nft_read(struct arena *arena, const char *netns, const char *table, struct nft_table *out,
             struct error *err);

/* Reads one chain of it, and puts that in the place of what `table` has of it. One that is not
 * there leaves nothing. */
int nft_read_chain(struct arena *arena, const char *netns, const char *name, const char *chain,
                   struct nft_table *table, struct error *err);

/* Appends entries to a list of {"table","place","comment","text"}, and back. */
void nft_entries_save(struct arena *arena, struct value *list, const struct nft_table *table);
struct nft_table nft_entries_load(struct arena *arena, const struct value *list, const char *table);

/* One difference between what was committed and what is there. */
struct nft_change {
    const struct nft_entry *expected; /* NULL: somebody added it */
    const struct nft_entry *observed; /* NULL: it is gone */
};

/* All differences, in the arena: entries are paired by place and comment; what is
 * left on both sides of one place is taken for edited, in order. A rule that only
 * moved is a difference too. Returns how many. */
size_t nft_compare(struct arena *arena, const struct nft_table *expected,
                   const struct nft_table *observed, struct nft_change **out);

#endif
