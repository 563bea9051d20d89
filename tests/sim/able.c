/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a simulated driver is able to beyond the least: as `file` and `linux-vpc` it carries out
 * together the steps of a pool and of a network, and looks at many objects at once; as `sim` its
 * etags last, and it knows without a list that nothing has changed.
 */
#include <inttypes.h>
#include <string.h>
#include "drivers/lib/host.h"
#include "tests/sim/process.h"

/* A network's own steps, what nobody describes any more and what may take long go alone. */
static const char *able_group(struct spinel_host *host, const struct spinel_op *op)
{
    struct arena *arena = spinel_arena(host);
    if (strcmp(op->kind, "Volume") == 0)
        return op->spec ? arena_text(arena, value_get_text(op->spec, "pool", "")) : NULL;
    return strcmp(op->kind, "VPC") == 0 || !op->project ? NULL : arena_text(arena, op->project);
}

static void able_look(struct spinel_host *host, struct spinel_list *list, const char *uid)
{
    struct sim_driver *driver = (struct sim_driver *)(size_t)host->driver;
    struct spinel_object object = {.uid = uid};
    struct error err = ERROR_INIT;
    if (faulty(driver, FAULT_LOOK_UNKNOWN, NULL, PHASES)) {
        error_set(&err, ERR_BUSY, "it does not answer");
        spinel_list_unknown(list, uid, &err);
    } else if (effect_look(host, &object, &err) == 0) {
        spinel_list_object(list, &object);
    }
}

static int able_look_all(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    size_t count;
    const char *const *uids = spinel_list_wanted(list, &count);
    (void)err;
    for (size_t i = 0; i < count; i++)
        able_look(host, list, uids[i]);
    return 0;
}

/* Of all that a list tells of, and what a look at it would tell. */
static const char *able_unchanged(struct spinel_host *host)
{
    struct sim_driver *driver = (struct sim_driver *)(size_t)host->driver;
    const struct truth *truth = &driver->sim->truth;
    uint64_t sum = 0;
    for (size_t i = 0; i < truth->count; i++) {
        const struct thing *thing = &truth->things[i];
        uint64_t state = sum + 2 * thing->version + thing->exists;
        sum = sim_driver_of_kind(driver->sim, thing->kind) == driver ? splitmix64(&state) : sum;
    }
    return arena_printf(spinel_arena(host), "%zu.%" PRIx64, truth->count, sum);
}

void sim_driver_able(struct sim_driver *driver, const struct able *able)
{
    static const char *const kinds[DRIVERS] = {[DRIVER_DISK] = "Volume"};
    bool groups = able->groups && driver->id != DRIVER_VM;
    driver->able = *able;
    driver->interface.flags = able->etags ? SPINEL_LASTING_ETAGS : 0;
    driver->interface.unchanged = able->knows ? able_unchanged : NULL;
    driver->interface.group = groups ? able_group : NULL;
    driver->interface.look_all = groups ? able_look_all : NULL;
    driver->interface.group_max = able->group_max;
    driver->interface.group_kinds = kinds[driver->id];
}
