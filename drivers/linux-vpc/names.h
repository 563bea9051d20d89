/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_NAMES_H
#define LINUX_VPC_NAMES_H

#include <stddef.h>

struct arena;

/*
 * What bears a name, found by it: records by uid, links and chains by theirs. A network of a
 * thousand NICs is looked at NIC by NIC, and must not be searched through for each.
 * Names and items are borrowed. All zero: nothing is found.
 */
struct names {
    struct name_slot *slots;
    size_t slot_count; /* a power of two, or 0 */
};

/* Room for so many, in the arena. */
struct names names_make(struct arena *arena, size_t count);
/* Of two of one name the first is found. */
void names_add(struct names *names, const char *name, const void *item);
/* NULL if there is none. */
const void *names_find(const struct names *names, const char *name);

#endif
