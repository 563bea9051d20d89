/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The callbacks of the simulated drivers: what an operation does to the truth, and what
 * a look sees of it. An object is theirs only if its tag verifies, by the library's own
 * code; a name that is taken by something else is in the way, and is never touched.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "drivers/lib/host.h"
#include "drivers/sim/shape.h"
#include "model/kind.h"
#include "tests/sim/invariants.h"
#include "tests/sim/sim.h"

static struct sim_driver *driver_of(struct spinel_host *host)
{
    return (struct sim_driver *)(size_t)host->driver;
}

static const struct value *tag_of(struct spinel_host *host, const struct thing *thing)
{
    return thing->tag ? spinel_tag_read(host, thing->tag, thing->native) : NULL;
}

static bool is_of_driver(const struct sim_driver *driver, const struct thing *thing)
{
    return sim_driver_of_kind(driver->sim, thing->kind) == driver;
}

/* The object that bears a valid tag with this uid. */
static struct thing *thing_tagged(struct sim_driver *driver, struct spinel_host *host,
                                  const char *uid)
{
    struct truth *truth = &driver->sim->truth;
    for (size_t i = 0; i < truth->count; i++) {
        struct thing *thing = &truth->things[i];
        if (!thing->exists || strcmp(thing->uid, uid) != 0)
            continue;
        const struct value *tag = tag_of(host, thing);
        if (tag && strcmp(value_get_text(tag, "uid", ""), uid) == 0)
            return thing;
    }
    return NULL;
}

/* ---- looking ------------------------------------------------------------------------ */

/* Whatever a look tells changes with the version. */
static const char *etag_of(struct spinel_host *host, const struct thing *thing)
{
    return arena_printf(spinel_arena(host), "%" PRIu64, thing->version);
}

int effect_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    struct sim_driver *driver = driver_of(host);
    const struct truth *truth = &driver->sim->truth;
    (void)err;
    for (size_t i = 0; i < truth->count; i++) {
        const struct thing *thing = &truth->things[i];
        if (!thing->exists || !is_of_driver(driver, thing))
            continue;
        const struct value *tag = tag_of(host, thing);
        const char *etag = etag_of(host, thing);
        if (tag)
            spinel_list_add(list, value_get_text(tag, "uid", ""),
                            (uint64_t)value_get_int(tag, "epoch", 0), etag);
        else
            spinel_list_unmanaged(list, thing->kind, thing->native, "it bears no tag of this rack");
    }
    return 0;
}

int effect_look(struct spinel_host *host, struct spinel_object *object, struct error *err)
{
    struct sim_driver *driver = driver_of(host);
    struct arena *arena = spinel_arena(host);
    const struct thing *thing = thing_tagged(driver, host, object->uid);
    (void)err;
    object->absent = !thing;
    if (!thing)
        return 0;
    struct value *status = value_map(arena);
    value_set_text(arena, status, "state", thing->booted ? "running" : "ready");
    if (thing->exit_reason && !thing->booted) {
        struct value *exit = value_set(arena, status, "exit", value_map(arena));
        value_set_text(arena, exit, "reason", thing->exit_reason);
    }
    if (thing->booted && thing->refs)
        value_set(arena, status, "refs", value_copy(arena, thing->refs));
    object->kind = thing->kind;
    object->project = thing->project[0] ? thing->project : NULL;
    object->name = thing->name;
    object->epoch = (uint64_t)value_get_int(tag_of(host, thing), "epoch", 0);
    object->released = thing->is_released;
    object->spec = value_copy(arena, thing->spec);
    object->booted = thing->booted ? value_copy(arena, thing->booted) : NULL;
    object->status = status;
    object->etag = driver->able.tells_etag ? etag_of(host, thing) : NULL;
    return 0;
}

/* ---- doing -------------------------------------------------------------------------- */

struct work {
    struct sim_driver *driver;
    struct sim *sim;
    const struct spinel_op *op;
    const struct kind *kind;
    struct thing *thing; /* NULL: not there */
    bool is_part;
};

static bool is_instance(const struct work *work)
{
    return strcmp(work->op->kind, "Instance") == 0;
}

static bool wants_power(const struct value *spec)
{
    return strcmp(value_get_text(spec, "power", "on"), "on") == 0;
}

static void native_name(const struct spinel_op *op, char *out, size_t len)
{
    snprintf(out, len, "sp-%s-%s", op->kind, op->uid);
}

static struct thing *thing_make(struct work *work)
{
    struct truth *truth = &work->sim->truth;
    const struct spinel_op *op = work->op;
    struct thing *thing = thing_of_uid(truth, op->uid);
    if (!thing)
        thing = thing_add(truth);
    const bool is_new = thing->made == 0;
    char owner[sizeof thing->owner];
    snprintf(owner, sizeof owner, "%s", is_new ? op->project ? op->project : "" : thing->owner);
    uint64_t made = thing->made, gone_epoch = thing->gone_epoch, version = thing->version;
    uint64_t applied = thing->applied;
    int64_t born_ms = is_new ? work->sim->now_ms : thing->born_ms;
    *thing = (struct thing){.exists = true,
                            .is_ours = true,
                            .made = made + 1,
                            .applied = applied,
                            .born_ms = born_ms,
                            .gone_epoch = gone_epoch,
                            .version = version,
                            .spec = value_map(work->sim->arena)};
    snprintf(thing->uid, sizeof thing->uid, "%s", op->uid);
    memcpy(thing->owner, owner, sizeof owner);
    native_name(op, thing->native, sizeof thing->native);
    return thing;
}

static void start(struct work *work)
{
    struct arena *arena = work->sim->arena;
    work->thing->spec = shape_strip(arena, work->kind->spec, work->op->spec);
    work->thing->booted = wants_power(work->thing->spec) ? work->thing->spec : NULL;
    work->thing->exit_reason = NULL;
}

static void instance_change(struct work *work, const struct value *changed)
{
    struct thing *thing = work->thing;
    thing->spec = shape_merge(work->sim->arena, work->kind->spec, thing->spec, work->op->spec,
                              changed, thing->booted != NULL);
    if (!wants_power(thing->spec)) {
        thing->booted = NULL;
        thing->exit_reason = "host-request";
    } else if (!thing->booted) {
        start(work);
    } else {
        thing->booted = thing->spec;
    }
}

/* Only the first of what was to change is done. */
static const struct value *first_changed(struct work *work)
{
    const struct value *changed = work->op->changed;
    if (!work->is_part || !value_is_list(changed) || changed->count == 0)
        return changed;
    struct value *part = value_list(work->sim->arena);
    value_append(work->sim->arena, part, value_copy(work->sim->arena, changed->items[0]));
    return part;
}

static void fresh(struct work *work)
{
    work->thing = thing_make(work);
    if (is_instance(work))
        start(work);
    else
        work->thing->spec = shape_strip(work->sim->arena, work->kind->spec, work->op->spec);
}

static void create(struct work *work)
{
    if (!work->thing)
        fresh(work);
    else if (is_instance(work))
        instance_change(work, NULL);
    else
        work->thing->spec = shape_merge(work->sim->arena, work->kind->spec, work->thing->spec,
                                        work->op->spec, NULL, false);
}

static void update(struct work *work)
{
    if (!work->thing)
        fresh(work);
    else if (is_instance(work))
        instance_change(work, first_changed(work));
    else
        work->thing->spec = shape_merge(work->sim->arena, work->kind->spec, work->thing->spec,
                                        work->op->spec, first_changed(work), false);
}

static void restart(struct work *work)
{
    if (!work->thing)
        work->thing = thing_make(work);
    start(work);
}

static bool is_destruction(const struct work *work)
{
    return work->thing && work->op->verb == SPINEL_DELETE;
}

static void release(struct work *work)
{
    work->thing->is_released = true;
}

static void adopt(struct work *work)
{
    work->thing->is_released = false;
}

static void destroy(struct work *work)
{
    work->thing->exists = false;
    work->thing->booted = NULL;
    work->thing->spec = NULL;
    work->thing->writes = 0;
}

/* Which volumes its disks mean: what runs on keeps what it has open. `was`: before the effect. */
static void refs_note(struct work *work, const struct thing *was)
{
    struct thing *thing = work->thing;
    bool is_anew = !was->booted || work->op->verb == SPINEL_RESTART;
    thing->refs = shape_refs(work->sim->arena, thing->spec, work->op->refs,
                             is_anew ? NULL : was->spec, was->refs);
}

/* What a seed is made with can be read back from it, and is. */
static void secret_keep(struct work *work)
{
    const struct value *secret = value_get(work->op->spec, "userData");
    if (strcmp(work->op->kind, "Seed") != 0 || !secret || !work->thing->spec)
        return;
    struct value *spec = value_copy(work->sim->arena, work->thing->spec);
    value_set(work->sim->arena, spec, "userData", value_copy(work->sim->arena, secret));
    work->thing->spec = spec;
}

/* The tag is written last; one half of an operation has not come so far. */
static void tag_write(struct work *work)
{
    struct thing *thing = work->thing;
    struct spinel_host *host = work->driver->host;
    const struct spinel_op *op = work->op;
    thing->version++;
    if (op->verb == SPINEL_DELETE)
        return;
    snprintf(thing->kind, sizeof thing->kind, "%s", op->kind);
    snprintf(thing->project, sizeof thing->project, "%s", op->project ? op->project : "");
    snprintf(thing->name, sizeof thing->name, "%s", op->name);
    if (work->is_part && thing->tag)
        return;
    thing->epoch = op->epoch;
    thing->tag = arena_text(work->sim->arena, spinel_tag_make(host, op, thing->native, NULL));
}

/* A volume that a machine has open is grown by the machine's driver; the tag stays the
 * volume's driver's. */
static int grow_held(struct work *work, struct error *err)
{
    struct thing *volume = work->thing;
    if (!volume)
        return error_set(err, ERR_NOT_FOUND, "there is no volume %s", work->op->name);
    volume->spec = shape_merge(work->sim->arena, work->kind->spec, volume->spec, work->op->spec,
                               work->op->changed, false);
    volume->version++;
    return 0;
}

/* An update that says nothing of power does not start a machine that is off. */
static bool starts_nothing(const struct spinel_op *op, const struct thing *machine)
{
    if (op->verb != SPINEL_UPDATE || !machine || machine->booted || !value_is_list(op->changed))
        return false;
    for (size_t i = 0; i < op->changed->count; i++)
        if (strcmp(op->changed->items[i]->text, "spec.power") == 0)
            return false;
    return true;
}

/* It has it already, and opens nothing anew. */
static bool keeps_disk(const struct spinel_op *op, const struct thing *machine,
                       const struct value *disk)
{
    const struct value *had = machine && machine->booted && op->verb != SPINEL_RESTART
                                  ? value_find(value_get(machine->spec, "disks"), "name",
                                               value_get_text(disk, "name", ""))
                                  : NULL;
    return had && value_equal(value_get(had, "volume"), value_get(disk, "volume"));
}

const struct thing *effect_holder(const struct truth *truth, const struct spinel_op *op,
                                  const struct thing *machine, const char **volume)
{
    const struct value *disks = value_get(op->spec, "disks");
    bool opens =
        op->verb == SPINEL_CREATE || op->verb == SPINEL_UPDATE || op->verb == SPINEL_RESTART;
    if (strcmp(op->kind, "Instance") != 0 || !opens || !wants_power(op->spec) ||
        starts_nothing(op, machine))
        return NULL;
    for (size_t i = 0; value_is_list(disks) && i < disks->count; i++) {
        *volume = value_get_text(disks->items[i], "volume", "");
        if (keeps_disk(op, machine, disks->items[i]))
            continue;
        const struct value *known = value_get(value_get(op->refs, "Volume"), *volume);
        const struct thing *holder = truth_holder(truth, value_get_text(known, "uid", ""), machine);
        if (holder)
            return holder;
    }
    return NULL;
}

/* It lets go of what it is not to have any more before it fails to get the rest. */
static void detach(struct work *work)
{
    struct arena *arena = work->sim->arena;
    struct value *spec = value_copy(arena, work->thing->spec), *kept = value_list(arena);
    const struct value *had = value_get(spec, "disks"),
                       *wanted = value_get(work->op->spec, "disks");
    for (size_t i = 0; value_is_list(had) && i < had->count; i++)
        for (size_t n = 0; value_is_list(wanted) && n < wanted->count; n++)
            if (value_equal(had->items[i], wanted->items[n]))
                value_append(arena, kept, value_copy(arena, had->items[i]));
    value_set(arena, spec, "disks", kept);
    work->thing->spec = spec;
    if (work->thing->booted)
        work->thing->booted = spec;
    work->thing->version++;
}

static int work_check(struct work *work, struct error *err)
{
    char native[80];
    const struct spinel_op *op = work->op;
    native_name(op, native, sizeof native);
    if (!work->kind)
        return error_set(err, ERR_UNSUPPORTED, "there is no kind %s", op->kind);
    if (!work->thing && op->verb != SPINEL_DELETE && op->verb != SPINEL_RELEASE &&
        thing_of_native(&work->sim->truth, native))
        return error_set(err, ERR_CONFLICT, "%s is there and bears no tag of this rack", native);
    if (!work->thing && op->verb == SPINEL_ADOPT)
        return error_set(err, ERR_NOT_FOUND, "%s %s is not there to adopt", op->kind, op->name);
    const char *volume = "";
    const struct thing *holder = effect_holder(&work->sim->truth, op, work->thing, &volume);
    if (holder && work->thing)
        detach(work);
    if (holder)
        return error_set(err, ERR_BUSY, "volume %s is open in %s", volume, holder->native);
    bool changes =
        op->verb == SPINEL_CREATE || op->verb == SPINEL_UPDATE || op->verb == SPINEL_RESTART;
    if (work->thing && op->spec && changes)
        return shape_check(work->kind->spec, work->thing->spec, op->spec, err);
    return 0;
}

int effect_apply(struct sim_driver *driver, const struct spinel_op *op, bool is_part,
                 struct error *err)
{
    static void (*const effects[])(struct work *) = {
        [SPINEL_CREATE] = create,  [SPINEL_UPDATE] = update,   [SPINEL_RESTART] = restart,
        [SPINEL_DELETE] = destroy, [SPINEL_RELEASE] = release, [SPINEL_ADOPT] = adopt,
    };
    struct work work = {.driver = driver,
                        .sim = driver->sim,
                        .op = op,
                        .kind = kind_find(op->kind),
                        .thing = thing_tagged(driver, driver->host, op->uid),
                        .is_part = is_part};
    const struct moment moment = {
        .when = ON_EFFECT, .driver = driver, .thing = work.thing, .op = op};
    if (!is_part || op->verb != SPINEL_DELETE) /* there is no half of a deletion */
        invariants_check(driver->sim, &moment);
    if (work.thing)
        work.thing->applied++;
    int result = work_check(&work, err);
    if (result < 0)
        return result;
    tally_add(&driver->sim->tally->effects[op->verb], 1);
    if (sim_driver_of_kind(driver->sim, op->kind) != driver)
        return grow_held(&work, err);
    if (!work.thing && (op->verb == SPINEL_DELETE || op->verb == SPINEL_RELEASE))
        return 0;
    if (is_part && is_destruction(&work))
        return 0;
    if (is_destruction(&work))
        TRACE(work.sim, "destroyed %s %s/%s", op->kind, work.thing->project, op->name);
    const struct thing was = work.thing ? *work.thing : (struct thing){.exists = false};
    truth_change_begins(&work.sim->truth, op->uid, work.thing);
    effects[op->verb](&work);
    if (is_instance(&work))
        refs_note(&work, &was);
    secret_keep(&work);
    tag_write(&work);
    truth_change_ends(&work.sim->truth);
    return 0;
}

void effect_handed_over(struct sim_driver *driver, const struct spinel_op *op,
                        struct thing *machine)
{
    struct work work = {.driver = driver,
                        .sim = driver->sim,
                        .op = op,
                        .kind = kind_find(op->kind),
                        .thing = machine,
                        .is_part = true};
    const char *volume = "";
    if (effect_holder(&work.sim->truth, op, machine, &volume))
        return; /* the storage's lock is asked by whoever opens a disk */
    const struct moment moment = {
        .when = ON_EFFECT, .driver = driver, .thing = machine, .op = op, .is_late = true};
    invariants_check(driver->sim, &moment);
    const struct thing was = *machine;
    if (machine->booted)
        instance_change(&work, first_changed(&work));
    else if (wants_power(op->spec) && !starts_nothing(op, machine))
        start(&work);
    else
        return;
    refs_note(&work, &was);
    machine->version++;
}
