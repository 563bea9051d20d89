/* SPDX-License-Identifier: MPL-2.0 */
#include "drivers/linux-vpc/names.h"

#include <string.h>
#include "model/arena.h"
#include "model/hash.h"

struct name_slot {
    const char *name; /* NULL: free */
    const void *item;
};

struct names names_make(struct arena *arena, size_t count)
{
    struct names names = {.slot_count = 4};
    while (names.slot_count < 2 * count) /* so that one is always free */
        names.slot_count *= 2;
    names.slots = arena_array(arena, names.slot_count, sizeof *names.slots);
    return names;
}

static struct name_slot *slot_of(const struct names *names, const char *name)
{
    size_t at = hash_text(name) & (names->slot_count - 1);
    while (names->slots[at].name && strcmp(names->slots[at].name, name) != 0)
        at = (at + 1) & (names->slot_count - 1);
    return &names->slots[at];
}

void names_add(struct names *names, const char *name, const void *item)
{
    struct name_slot *slot = slot_of(names, name);
    if (!slot->name)
        *slot = (struct name_slot){name, item};
}

const void *names_find(const struct names *names, const char *name)
{
    return names->slot_count ? slot_of(names, name)->item : NULL;
}
