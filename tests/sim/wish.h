/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_WISH_H
#define TESTS_SIM_WISH_H

#include <stdbool.h>
#include "model/text.h"
#include "tests/sim/prng.h"

/*
 * What a commit declares, as the simulator thinks of it: two tenants with a network,
 * volumes and machines each. It becomes manifests as text, and the text goes through
 * the real parser. Every wish is valid; what is not comes from spoiling the text.
 */
enum { WISH_PROJECTS = 2, WISH_VOLUMES = 12, WISH_MACHINES = 2, WISH_NAME = 24 };
enum { WISH_FROM_IMAGE = 2 }; /* this volume of each tenant is made from the rack's image */
enum { WISH_FEW = 3, WISH_NICS = 12 }; /* volumes that come and go one by one; the rest together */

struct wish_volume {
    bool is_declared, is_protected, is_deleted; /* deleted: onRemove: delete */
    int gib;
    unsigned name; /* changes when it is renamed or declared anew under another name */
    unsigned renamed_from;
};

struct wish_machine {
    bool is_declared, has_nic, is_on, may_be_replaced, is_uefi, has_cloud_init;
    int cpus, memory;
    int nics;    /* beside the first */
    int labels;  /* a number in a label, which its NICs have, too */
    int disk;    /* index of a volume, or -1 */
    int restart; /* onNextStop, immediate, window, never */
    int restart_policy;
    unsigned name, renamed_from;
};

struct wish_project {
    bool is_declared, has_network, has_firewall;
    bool has_floating, has_forward; /* to the first machine with a NIC, if there is one */
    int mtu, port, rules;
    bool nat;
    struct wish_volume volumes[WISH_VOLUMES];
    struct wish_machine machines[WISH_MACHINES];
};

struct wish {
    bool has_pool, has_image;
    int image; /* its bytes, by a number */
    struct wish_project projects[WISH_PROJECTS];
};

struct wish wish_first(struct prng *prng);
/* What a repository's people mostly do; else some operations are hardly ever seen. */
enum wish_taste { TASTE_ALL, TASTE_RESTARTS, TASTE_KEEPS, TASTE_REMOVES, TASTES };
/* One edit, as a person would commit it. */
void wish_edit(struct wish *wish, enum wish_taste taste, struct prng *prng);
/* As a merge of two histories would have it: each tenant from one of them. */
struct wish wish_merge(const struct wish *left, const struct wish *right);
struct wish wish_empty(void);
void wish_text(const struct wish *wish, struct text *out);

void wish_volume_name(char out[WISH_NAME], int volume, unsigned name);
void wish_machine_name(char out[WISH_NAME], int machine, unsigned name);
extern const char wish_secret[]; /* the canary in every machine's userData */

#endif
