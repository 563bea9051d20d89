/* SPDX-License-Identifier: MPL-2.0 */
/* Faults on demand: the n-th draw of a seed is always the same. */
#include "drivers/sim/fault.h"

#include <string.h>
#include "drivers/sim/world.h"

static const char *const names[FAULT_COUNT] = {
    "failBefore", "failAfter", "hang", "lie", "partialList", "crash",
};

static int rate_read(struct faults *faults, const struct pair *pair, struct error *err)
{
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        if (strcmp(names[i], pair->key) != 0)
            continue;
        if (pair->value->type != VALUE_INT || pair->value->integer < 0 ||
            pair->value->integer > 1000)
            return error_set(err, ERR_INVALID, "settings.faults.%s is not 0 to 1000 per mille",
                             pair->key);
        faults->rates[i] = pair->value->integer;
        return 0;
    }
    error_set(err, ERR_INVALID, "settings.faults: no fault \"%s\"", pair->key);
    return error_hint(err, "There are failBefore, failAfter, hang, lie, partialList and crash.");
}

int faults_read(struct faults *faults, const struct value *settings, struct error *err)
{
    const struct value *rates = value_get(settings, "faults");
    *faults = (struct faults){.seed = (uint64_t)value_get_int(settings, "seed", 1)};
    for (size_t i = 0; value_is_map(rates) && i < rates->pair_count; i++)
        if (rate_read(faults, &rates->pairs[i], err) < 0)
            return err->code;
    return 0;
}

/* splitmix64: each position of each seed by itself, without the ones before it. */
static uint64_t draw(uint64_t seed, uint64_t position)
{
    uint64_t x = seed * 0xd1342543de82ef95u + (position + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

bool fault_strikes(struct faults *faults, struct world *world, enum fault fault)
{
    struct error ignored = ERROR_INIT;
    if (faults->rates[fault] == 0)
        return false;
    if (faults->draws < world_draws(world))
        faults->draws = world_draws(world);
    if ((int64_t)(draw(faults->seed, faults->draws++) % 1000) >= faults->rates[fault])
        return false;
    world_note_draws(world, faults->draws, &ignored);
    return true;
}
