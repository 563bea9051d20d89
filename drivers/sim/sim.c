/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The simulated driver: every kind, no effect but in one file, the same from the same
 * seed. What was applied is what is observed; an Instance that runs has a booted record,
 * whose restart fields move only when it is started. Faults come on demand (fault.h),
 * and damage from outside by `sim --world FILE` (damage.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>
#include "drivers/sim/damage.h"
#include "drivers/sim/fault.h"
#include "drivers/sim/shape.h"
#include "drivers/sim/world.h"
#include "drivers/spinel-driver.h"
#include "model/json.h"

static struct {
    struct world *world;
    struct faults faults;
    int64_t latency_ms;
    int notify_fd;
} sim = {.notify_fd = -1};

/* ---- start and watch ---------------------------------------------------------------- */

static int sim_start(struct spinel_host *host, const struct value *settings, struct value *reply,
                     struct error *err)
{
    struct arena *arena = spinel_arena(host);
    const char *path = arena_printf(arena, "%s/world", spinel_own_dir(host));
    int result = faults_read(&sim.faults, settings, err);
    if (result < 0)
        return result;
    sim.latency_ms = value_get_int(settings, "latencyMs", 0);
    value_set_text(arena, reply, "world", path);
    result = world_open(path, &sim.world, err);
    if (result < 0)
        return result;
    sim.notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (sim.notify_fd < 0 ||
        inotify_add_watch(sim.notify_fd, spinel_own_dir(host), IN_MODIFY | IN_MOVED_TO) < 0)
        return error_sys(err, "cannot watch %s", spinel_own_dir(host));
    return 0;
}

static int sim_watch_fd(struct spinel_host *host)
{
    (void)host;
    return sim.notify_fd;
}

static void outsider_seen(void *context, const char *uid, bool is_gone)
{
    spinel_changed(context, uid, is_gone ? "deleted from outside" : "changed from outside");
}

static void sim_watch(struct spinel_host *host)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    struct error err = ERROR_INIT;
    while (read(sim.notify_fd, events, sizeof events) > 0)
        continue;
    if (world_refresh(sim.world, outsider_seen, host, &err) < 0)
        spinel_log(host, SPINEL_WARNING, "%s", err.message);
}

/* What others did is told before the callback acts on it. */
static int world_look(struct spinel_host *host, struct error *err)
{
    return world_refresh(sim.world, outsider_seen, host, err);
}

enum { ETAG_TEXT = 17 };

static const char *etag_text(const struct thing *thing, char *etag)
{
    uint64_t left = thing->etag;
    for (int i = ETAG_TEXT - 1; i-- > 0; left >>= 4)
        etag[i] = "0123456789abcdef"[left & 15];
    etag[ETAG_TEXT - 1] = '\0';
    return etag;
}

/* ---- observe ------------------------------------------------------------------------ */

static int sim_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    int result = world_look(host, err);
    size_t left = SIZE_MAX;
    if (result < 0)
        return result;
    if (fault_strikes(&sim.faults, sim.world, FAULT_PARTIAL_LIST))
        left = world_count(sim.world) / 2;
    for (const struct thing *thing = NULL; (thing = world_next(sim.world, thing));) {
        char etag[ETAG_TEXT];
        if (left-- == 0)
            return error_set(err, ERR_BUSY, "the list broke off (a simulated fault)");
        spinel_list_add(list, thing->uid, thing->epoch, etag_text(thing, etag));
    }
    return 0;
}

/* A list that may break off is made. */
static const char *sim_unchanged(struct spinel_host *host)
{
    struct error ignored = ERROR_INIT;
    if (sim.faults.rates[FAULT_PARTIAL_LIST] || world_look(host, &ignored) < 0)
        return NULL;
    return world_stamp(sim.world, spinel_arena(host));
}

static const struct value *map_or_null(const struct value *value)
{
    return value_is_map(value) ? value : NULL;
}

static int thing_read(struct spinel_host *host, const struct thing *thing, struct value **body,
                      struct error *err)
{
    int result = world_body(sim.world, spinel_arena(host), thing, body, err);
    return result < 0 ? error_wrap(err, "the world's %s", thing->uid) : 0;
}

static int sim_look(struct spinel_host *host, struct spinel_object *object, struct error *err)
{
    struct value *body;
    int result = world_look(host, err);
    const struct thing *thing = world_find(sim.world, object->uid);
    object->absent = !thing;
    if (result < 0 || !thing)
        return result;
    result = thing_read(host, thing, &body, err);
    if (result < 0)
        return result;
    struct arena *arena = spinel_arena(host);
    object->kind = value_get_text(body, "kind", "");
    object->project = value_get_text(body, "project", NULL);
    object->name = value_get_text(body, "name", "");
    object->epoch = thing->epoch;
    object->released = value_get_bool(body, "released", false);
    object->spec = value_copy(arena, value_get(body, "spec"));
    object->status = value_copy(arena, value_get(body, "status"));
    const struct value *booted = map_or_null(value_get(body, "booted"));
    object->booted = booted ? value_copy(arena, booted) : NULL;
    object->etag = etag_text(thing, arena_alloc(arena, ETAG_TEXT));
    return 0;
}

/* ---- apply -------------------------------------------------------------------------- */

/* A body under work: what stands in the world, or would, and the kind's fields. */
struct work {
    struct arena *arena;
    const struct spinel_op *op;
    const struct kind *kind;
    const struct value *before; /* the body, or NULL if it is not there */
    const struct value *spec;   /* the new one */
    const struct value *booted; /* the new one, or NULL */
    int64_t starts;
};

static bool wants_power(const struct value *spec)
{
    return strcmp(value_get_text(spec, "power", "on"), "on") == 0;
}

static void instance_start(struct work *work)
{
    work->spec = shape_strip(work->arena, work->kind->spec, work->op->spec);
    work->booted = wants_power(work->spec) ? work->spec : NULL;
    work->starts += work->booted != NULL;
}

static void instance_change(struct work *work, const struct value *changed)
{
    const struct value *now = value_get(work->before, "spec");
    work->spec = shape_merge(work->arena, work->kind->spec, now, work->op->spec, changed,
                             work->booted != NULL);
    bool is_on = wants_power(work->spec);
    if (is_on && !work->booted)
        instance_start(work);
    else
        work->booted = is_on ? work->spec : NULL;
}

static void work_create(struct work *work)
{
    bool is_instance = strcmp(work->op->kind, "Instance") == 0;
    if (is_instance && !work->before)
        instance_start(work);
    else if (is_instance)
        instance_change(work, NULL);
    else
        work->spec = shape_strip(work->arena, work->kind->spec, work->op->spec);
}

static void work_update(struct work *work)
{
    if (!work->before)
        work_create(work);
    else if (strcmp(work->op->kind, "Instance") == 0)
        instance_change(work, work->op->changed);
    else
        work->spec = shape_merge(work->arena, work->kind->spec, value_get(work->before, "spec"),
                                 work->op->spec, work->op->changed, false);
}

static void work_restart(struct work *work)
{
    if (strcmp(work->op->kind, "Instance") == 0)
        instance_start(work);
    else
        work_update(work);
}

static struct value *instance_refs(const struct work *work)
{
    bool is_anew = work->starts != value_at_int(work->before, "status.starts", 0);
    return shape_refs(work->arena, work->spec, work->op->refs,
                      is_anew ? NULL : value_get(work->before, "spec"),
                      value_at(work->before, "status.refs"));
}

static struct value *work_body(const struct work *work)
{
    struct arena *arena = work->arena;
    struct value *body = value_map(arena), *status = value_map(arena);
    const char *state = work->op->verb == SPINEL_RELEASE ? "released" : "ready";
    if (strcmp(work->op->kind, "Instance") == 0) {
        state = work->booted ? "running" : "stopped";
        value_set_int(arena, status, "starts", work->starts);
        if (work->booted)
            value_set(arena, status, "refs", instance_refs(work));
    }
    value_set_text(arena, status, "state", state);
    value_set_text(arena, body, "kind", work->op->kind);
    value_set_text(arena, body, "project", work->op->project);
    value_set_text(arena, body, "name", work->op->name);
    value_set_bool(arena, body, "released", work->op->verb == SPINEL_RELEASE);
    value_set(arena, body, "spec", work->spec ? value_copy(arena, work->spec) : value_map(arena));
    value_set(arena, body, "booted", work->booted ? value_copy(arena, work->booted) : NULL);
    value_set(arena, body, "status", status);
    return body;
}

static int work_begin(struct spinel_host *host, const struct spinel_op *op, struct work *work,
                      struct error *err)
{
    const struct thing *thing = world_find(sim.world, op->uid);
    struct value *before = NULL;
    *work = (struct work){.arena = spinel_arena(host), .op = op, .kind = kind_find(op->kind)};
    if (!work->kind)
        return error_set(err, ERR_UNSUPPORTED, "there is no kind %s", op->kind);
    int result = thing ? thing_read(host, thing, &before, err) : 0;
    if (result < 0 || !before)
        return result;
    if (thing->epoch > op->epoch)
        return error_set(err, ERR_STALE, "the object has seen epoch %" PRIu64, thing->epoch);
    work->before = before;
    work->spec = value_get(before, "spec");
    work->booted = map_or_null(value_get(before, "booted"));
    work->starts = value_at_int(before, "status.starts", 0);
    bool changes =
        op->verb == SPINEL_CREATE || op->verb == SPINEL_UPDATE || op->verb == SPINEL_RESTART;
    return op->spec && changes ? shape_check(work->kind->spec, work->spec, op->spec, err) : 0;
}

static int effect(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    static void (*const steps[])(struct work *) = {
        [SPINEL_CREATE] = work_create,
        [SPINEL_UPDATE] = work_update,
        [SPINEL_RESTART] = work_restart,
        [SPINEL_ADOPT] = NULL,
    };
    struct work work;
    if (op->verb == SPINEL_DELETE)
        return world_find(sim.world, op->uid) ? world_remove(sim.world, op->uid, err) : 0;
    int result = work_begin(host, op, &work, err);
    if (result < 0)
        return result;
    if (!work.before && (op->verb == SPINEL_RELEASE || op->verb == SPINEL_ADOPT))
        return op->verb == SPINEL_RELEASE
                   ? 0
                   : error_set(err, ERR_NOT_FOUND, "%s %s is not there to adopt", op->kind,
                               op->name);
    if (steps[op->verb])
        steps[op->verb](&work);
    return world_put(sim.world, op->uid, op->epoch, work_body(&work), err);
}

static void dawdle(void)
{
    struct timespec pause_for = {sim.latency_ms / 1000, sim.latency_ms % 1000 * 1000000};
    if (sim.latency_ms > 0)
        nanosleep(&pause_for, NULL);
}

static bool strikes(enum fault fault)
{
    return fault_strikes(&sim.faults, sim.world, fault);
}

static int sim_apply(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    int result = world_look(host, err);
    if (result < 0)
        return result;
    dawdle();
    if (strikes(FAULT_FAIL_BEFORE))
        return error_set(err, ERR_BUSY, "failed before anything was done (a simulated fault)");
    while (strikes(FAULT_HANG))
        for (;;)
            pause();
    if (strikes(FAULT_LIE))
        return 0;
    bool dies = strikes(FAULT_CRASH);
    if (dies && op->epoch % 2 == 0)
        abort();
    result = effect(host, op, err);
    if (dies)
        abort();
    if (result == 0 && strikes(FAULT_FAIL_AFTER))
        return error_set(err, ERR_BUSY, "failed after all was done (a simulated fault)");
    return result;
}

static const struct spinel_driver driver = {
    .name = "sim",
    .version = "1",
    .kinds = "Pool Image Volume VPC Subnet Firewall NIC Seed FloatingIP PortForward Instance",
    .flags = SPINEL_IN_PROCESS | SPINEL_LASTING_ETAGS,
    .start = sim_start,
    .list = sim_list,
    .look = sim_look,
    .apply = sim_apply,
    .watch_fd = sim_watch_fd,
    .watch = sim_watch,
    .unchanged = sim_unchanged,
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--version") != 0)
        return damage_main(argc, argv);
    return spinel_driver_main(&driver, argc, argv);
}
