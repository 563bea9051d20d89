/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_COMPILE_H
#define LINUX_VPC_COMPILE_H

#include <stdbool.h>
#include "drivers/linux-vpc/network.h"
#include "drivers/linux-vpc/policy.h"

struct arena;
struct text;

/*
 * A VPC as nftables text. Pure: the same records give the same bytes. Each text
 * replaces its tables whole, in one transaction. Every rule bears a comment that
 * says whose it is: "base/<what>" of the VPC, "<firewall>/<rule>#<digest>" of
 * a firewall, with ".2", ".3" before the # where one rule becomes several.
 */
#define COMPILE_TABLE "spinel" /* families inet and netdev, inside the namespace */

enum { COMPILE_COMMENT_MAX = 128 };

/* Tables of the namespace, both or one. `has_tap` says whether a tap exists: the kernel refuses a
 * chain on a link that does not. */
void compile_inside(struct text *out, const struct network *network, const struct policy *policy,
                    bool (*has_tap)(void *context, const char *tap), void *context);
void compile_rules(struct text *out, const struct network *network, const struct policy *policy);
void compile_spoof(struct text *out, const struct network *network,
                   bool (*has_tap)(void *context, const char *tap), void *context);

/* Of the first table, if the chain of what comes in is long: the sections that it stands in, each a
 * chain, from the rules of the policy. None: its rules stand in itself. compile_frame() writes the
 * table with its sections empty, and compile_section() adds one's rules. */
#define COMPILE_SECTION "in_" /* how a section's name begins */
struct compile_section {
    const char *name;
    size_t first, end; /* those that come in of policy.rules[first..end) */
};
struct compile_sections {
    struct compile_section *items;
    size_t count;
};
struct compile_sections compile_sections(struct arena *arena, const struct policy *policy);
void compile_frame(struct text *out, const struct network *network, const struct policy *policy,
                   const struct compile_sections *sections);
void compile_section(struct text *out, const struct policy *policy,
                     const struct compile_section *section);

/* Its chains of rules of firewalls, sections among them: what compile_frame() has of them; and
 * whether a chain is one. */
void compile_firewall(struct text *out, const struct policy *policy,
                      const struct compile_sections *sections);
bool compile_is_firewall_chain(const char *chain);

/* Of the second table one chain: its text alone, and what removes it whether it is there or not. */
void compile_chain(struct text *out, const struct network_nic *nic);
void compile_chain_removal(struct text *out, const char *tap);
void compile_chain_made(struct text *out, const char *chain);

/* The table of the host side: "spinel_<uplink>", family inet. */
void compile_host(struct text *out, const struct network *network);

/* What undoes the host side. */
void compile_host_removal(struct text *out, const struct network *network);

/* The comment of the n-th nft rule (from 1) of a firewall's rule, up to the digest:
 * "web/http#", "web/http.2#"; long names are cut so that the whole fits. */
void compile_rule_mark(char out[COMPILE_COMMENT_MAX], const char *firewall, const char *rule,
                       size_t n);

#endif
