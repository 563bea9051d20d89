/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_SEAL_H
#define LINUX_VPC_SEAL_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct link_list;
struct value;

/*
 * Spares the reading of rules that nobody can have changed, which takes longer than all the
 * rest of a look. Two things tell: the generation of the namespace's ruleset, which each
 * commit to it counts up (NFT_MSG_GETGEN, linux/netfilter/nf_tables.h), and the indices of its
 * links, since a chain goes with the link that it is bound to without any commit.
 */

/* Of the namespace of that name; 0 if it cannot be told. */
uint32_t seal_generation(const char *netns);

/* What is kept beside the committed rules, which were read at this generation of this namespace;
 * `comments` are those of the tables, in the order of enum view_table. Both in the arena. */
struct seal {
    const char *netns;
    uint32_t generation;
    const struct link_list *links;
    const char *comments[2];
    const char *rules;      /* digest of the text that the first table was written from, and, */
    struct value *sections; /* for each of its sections, its name and the digest of its text */
    struct value *chains;   /* of the second one: a list of texts that say for each, by the name of
                             * its tap, to which link it was bound and from which text it was made */
};
struct value *seal_make(struct arena *arena, const struct seal *seal);

/* Whether nobody has committed anything since `seal` (NULL: no), so that what is there can be told
 * from it; but for chains that went with their links: none did if seal_has_links(). */
bool seal_has_links(const struct value *seal, const struct link_list *links);
bool seal_is_last(const struct value *seal, const char *netns, uint32_t generation);
const char *seal_comment(const struct value *seal, int table);

#endif
