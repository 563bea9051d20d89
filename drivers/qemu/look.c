/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is true of an instance now. The process tells whether it runs, QEMU's monitor
 * what is plugged in, the kernel whether the taps are still those it was given.
 * Our record only says which name belongs to which device; what it claims beyond that is
 * not reported as seen.
 */
#include "drivers/qemu/look.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "drivers/lib/proc.h"
#include "drivers/qemu/instance.h"
#include "drivers/qemu/qmp.h"
#include "drivers/qemu/tap.h"
#include "drivers/spinel-driver.h"
#include "model/arena.h"
#include "model/value.h"

enum { ANSWER_MS = 5000, FULL_LOOK_S = 300, MEMORY_SLACK = 1 << 20 };

/* ---- how it ended ------------------------------------------------------------------- */

static const struct {
    const char *event; /* of QMP's SHUTDOWN */
    const char *reason;
} shutdown_reasons[] = {
    {"guest-shutdown", "guest-shutdown"},
    {"guest-reset", "guest-reset"},
    {"guest-panic", "guest-panic"},
    {"host-qmp-quit", "requested"},
    {"host-signal", "killed"},
    {"host-error", "crash"},
};

static bool killed_by(int signal)
{
    return signal == 9 || signal == 15 || signal == 2 || signal == 1;
}

const char *instance_exit_reason(const struct instance *instance)
{
    struct process_exit ended;
    char boot[BOOT_ID_TEXT];
    if (!process_read_exit(instance->arena, instance->dir_fd, &instance->process, &ended)) {
        proc_boot_id(boot);
        return strcmp(boot, instance->process.boot) != 0 ? "host-reboot" : "unknown";
    }
    if (ended.event && strcmp(ended.event, "GUEST_PANICKED") == 0)
        return "guest-panic";
    if (ended.signal)
        return killed_by(ended.signal) ? (instance->stopping_since ? "requested" : "killed")
                                       : "crash";
    if (instance->stopping_since && ended.code == 0)
        return "requested";
    for (size_t i = 0; ended.reason && i < sizeof shutdown_reasons / sizeof *shutdown_reasons; i++)
        if (strcmp(ended.reason, shutdown_reasons[i].event) == 0)
            return shutdown_reasons[i].reason;
    return ended.code == 0 ? "guest-shutdown" : "crash";
}

const char *instance_exit_text(const struct instance *instance)
{
    struct process_exit ended;
    const char *reason = instance_exit_reason(instance);
    if (!process_read_exit(instance->arena, instance->dir_fd, &instance->process, &ended))
        return arena_printf(instance->arena, "process exited: %s", reason);
    if (ended.signal)
        return arena_printf(instance->arena, "process exited: signal %d", ended.signal);
    return arena_printf(instance->arena, "process exited: status %d, %s", ended.code, reason);
}

static struct value *time_value(struct arena *arena, int64_t seconds)
{
    char text[32];
    struct tm tm;
    time_t at = (time_t)seconds;
    if (seconds <= 0 || !gmtime_r(&at, &tm) || !strftime(text, sizeof text, "%FT%TZ", &tm))
        return NULL;
    return value_text(arena, text);
}

static struct value *exit_value(const struct instance *instance)
{
    struct arena *arena = instance->arena;
    struct process_exit ended;
    struct value *map = value_map(arena);
    const char *reason = instance_exit_reason(instance);
    value_set_text(arena, map, "reason", reason);
    if (!process_read_exit(arena, instance->dir_fd, &instance->process, &ended))
        return map;
    if (ended.signal)
        value_set_int(arena, map, "signal", ended.signal);
    else
        value_set_int(arena, map, "code", ended.code);
    value_set(arena, map, "at", time_value(arena, ended.at));
    return map;
}

/* ---- questions to the monitor ------------------------------------------------------- */

int memory_actual(struct qmp *qmp, int64_t *bytes, struct error *err)
{
    const struct value *result;
    if (qmp_call(qmp, "query-balloon", NULL, &result, err) < 0)
        return err->code;
    *bytes = value_get_int(result, "actual", 0);
    return 0;
}

static int peripherals(struct qmp *qmp, struct arena *arena, const struct value **list,
                       struct error *err)
{
    struct value *arguments = value_map(arena);
    value_set_text(arena, arguments, "path", "/machine/peripheral");
    return qmp_call(qmp, "qom-list", arguments, list, err);
}

int device_present(struct qmp *qmp, const char *id, bool *present, struct error *err)
{
    const struct value *list;
    struct arena *arena = arena_new();
    int status = peripherals(qmp, arena, &list, err);
    if (status == 0)
        *present = value_find(list, "name", id) != NULL;
    arena_free(arena);
    return status;
}

/* A device's property as QEMU has it; NULL if it cannot be told. */
static const struct value *property(struct qmp *qmp, struct arena *arena, const char *id,
                                    const char *name)
{
    struct error ignored = ERROR_INIT;
    const struct value *result;
    struct value *arguments = value_map(arena);
    value_set(arena, arguments, "path", value_printf(arena, "/machine/peripheral/%s", id));
    value_set_text(arena, arguments, "property", name);
    return qmp_call(qmp, "qom-get", arguments, &result, &ignored) == 0 ? result : NULL;
}

/* ---- running ------------------------------------------------------------------------ */

static struct value *disks_seen(struct instance *instance, struct qmp *qmp,
                                const struct value *devices)
{
    struct arena *arena = instance->arena;
    struct value *list = value_list(arena);
    for (size_t i = 0; i < instance->machine.disk_count; i++) {
        const struct disk *disk = &instance->machine.disks[i];
        char id[SLOT_ID];
        if (!value_find(devices, "name", disk_id(disk, id)))
            continue;
        struct value *element = value_append(arena, list, value_map(arena));
        value_set_text(arena, element, "name", disk->name);
        value_set_text(arena, element, "volume", disk->volume);
        value_set_text(arena, element, "bus", disk->bus);
        value_set_bool(arena, element, "readOnly", disk->read_only);
        const struct value *index = property(qmp, arena, id, "bootindex");
        if (disk->boot_order > 0 && index && index->type == VALUE_INT && index->integer >= 0)
            value_set_int(arena, element, "bootOrder", index->integer);
    }
    return list;
}

static struct value *nics_seen(struct instance *instance, const struct value *devices)
{
    struct arena *arena = instance->arena;
    struct value *list = value_list(arena);
    for (size_t i = 0; i < instance->machine.nic_count; i++) {
        const struct nic *nic = &instance->machine.nics[i];
        char id[SLOT_ID];
        if (!value_find(devices, "name", nic_id(nic, id)))
            continue;
        struct value *element = value_append(arena, list, value_map(arena));
        value_set_text(arena, element, "name", nic->name);
        value_set_bool(arena, element, "connected", nic->connected);
    }
    return list;
}

static void damage_add(struct arena *arena, struct value *damage, const char *path,
                       const char *desired, const char *observed)
{
    struct value *item = value_append(arena, damage, value_map(arena));
    value_set_text(arena, item, "path", path);
    value_set_text(arena, item, "desired", desired);
    value_set_text(arena, item, "observed", observed);
}

static void taps_look(struct instance *instance, struct value *damage)
{
    for (size_t i = 0; i < instance->machine.nic_count; i++) {
        const struct nic *nic = &instance->machine.nics[i];
        struct error missing = ERROR_INIT;
        int64_t ifindex = 0;
        const char *observed = NULL;
        if (tap_look(nic->netns, nic->tap, &ifindex, &missing) < 0)
            observed = missing.code == ERR_NOT_FOUND ? "network namespace missing" : NULL;
        else if (ifindex == 0)
            observed = "tap missing";
        else if (tap_find_fd(instance->process.pid, nic->tap) < 0)
            observed = "tap replaced";
        if (observed)
            damage_add(instance->arena, damage,
                       arena_printf(instance->arena, "spec.nics[%s]", nic->name), "attached",
                       observed);
    }
}

/* QEMU's run states that are not what anybody wants for long. */
static const struct {
    const char *status, *state, *observed;
    bool is_damage; /* `cont` may help */
} odd_states[] = {
    {"io-error", "paused-no-space", "paused: a disk's storage is full or fails", true},
    {"paused", "paused", "paused by hand", true},
    {"suspended", "suspended", "suspended by the guest", false},
    {"internal-error", "failed", "stopped by an error of QEMU or KVM", false},
    {"guest-panicked", "panicked", "the guest panicked", false},
    {"watchdog", "paused", "paused by its watchdog", true},
};

static void state_look(struct instance *instance, const char *status, struct value *out,
                       struct value *damage)
{
    struct arena *arena = instance->arena;
    value_set_text(arena, out, "state", strcmp(status, "prelaunch") == 0 ? "starting" : status);
    for (size_t i = 0; i < sizeof odd_states / sizeof *odd_states; i++) {
        if (strcmp(status, odd_states[i].status) != 0)
            continue;
        value_set_text(arena, out, "state", odd_states[i].state);
        value_set_text(arena, out, "problem", odd_states[i].observed);
        if (odd_states[i].is_damage)
            damage_add(arena, damage, "status.state", "running", odd_states[i].observed);
    }
}

static void status_basics(struct instance *instance, struct value *status)
{
    struct arena *arena = instance->arena;
    value_set_int(arena, status, "pid", instance->process.pid);
    value_set(arena, status, "since", time_value(arena, instance->process.since));
    value_set_int(arena, status, "user", instance->user);
    if (instance->machine.serial)
        value_set(arena, status, "serial", value_printf(arena, "%s/serial.sock", instance->dir));
    struct value *accel = value_set(arena, status, "accel", value_map(arena));
    value_set_text(arena, accel, "wanted", instance->machine.accel);
    value_set_text(arena, accel, "used", instance->accel_used);
    value_set_text(arena, accel, "reason", instance->accel_reason);
    struct value *addresses = value_set(arena, status, "addresses", value_list(arena));
    for (size_t i = 0; i < instance->machine.nic_count; i++)
        if (instance->machine.nics[i].address)
            value_append(arena, addresses, value_text(arena, instance->machine.nics[i].address));
}

/* What a live change cannot go below: the plan says so, instead of asking for what is refused. */
static void bounds_tell(const struct instance *instance, int64_t cpus, struct value *status)
{
    struct arena *arena = instance->arena;
    bool is_emulated = instance_is_emulated(instance); /* live.c says why */
    int64_t started_with = value_get_int(instance->booted, "cpus", 1);
    struct value *bounds = value_set(arena, status, "bounds", value_map(arena));
    struct value *bound = value_set(arena, bounds, "spec.cpus", value_map(arena));
    value_set_int(arena, bound, "atLeast", is_emulated ? cpus : started_with);
    value_set_text(arena, bound, "reason",
                   is_emulated ? "an emulated machine keeps its CPUs"
                               : "the CPUs that it was started with stay");
}

/* A volume may be called otherwise by now, and another have got its name: the plan goes by these.
 */
static void refs_tell(const struct instance *instance, const struct value *disks,
                      struct value *status)
{
    struct arena *arena = instance->arena;
    struct value *refs = value_set(arena, status, "refs", value_map(arena));
    for (size_t i = 0; i < instance->machine.disk_count; i++) {
        const struct disk *disk = &instance->machine.disks[i];
        if (value_find(disks, "name", disk->name))
            value_set_text(arena, refs, arena_printf(arena, "spec.disks[%s].volume", disk->name),
                           disk->volume_uid);
    }
}

static int monitor_look(struct instance *instance, struct qmp *qmp, struct spinel_object *object,
                        struct error *err)
{
    struct arena *arena = instance->arena;
    const struct value *status, *cpus, *devices;
    int64_t memory = 0;
    if (qmp_call(qmp, "query-status", NULL, &status, err) < 0 ||
        qmp_call(qmp, "query-cpus-fast", NULL, &cpus, err) < 0 ||
        peripherals(qmp, arena, &devices, err) < 0 || memory_actual(qmp, &memory, err) < 0)
        return err->code;
    const char *state = value_get_text(status, "status", "unknown");
    int64_t target = instance->machine.target;
    if (memory > target - MEMORY_SLACK && memory < target + MEMORY_SLACK)
        memory = target;
    value_set_text(arena, object->spec, "power", strcmp(state, "prelaunch") == 0 ? "off" : "on");
    value_set_int(arena, object->spec, "cpus", (int64_t)cpus->count);
    value_set_int(arena, object->spec, "memory", memory);
    const struct value *disks =
        value_set(arena, object->spec, "disks", disks_seen(instance, qmp, devices));
    refs_tell(instance, disks, object->status);
    value_set(arena, object->spec, "nics", nics_seen(instance, devices));
    bounds_tell(instance, (int64_t)cpus->count, object->status);
    state_look(instance, state, object->status, object->damage);
    return 0;
}

static int running_look(struct instance *instance, struct spinel_object *object, struct error *err)
{
    struct qmp *qmp;
    if (instance_monitor(instance, ANSWER_MS, &qmp, err) < 0)
        return err->code;
    status_basics(instance, object->status);
    int status = monitor_look(instance, qmp, object, err);
    qmp_close(qmp);
    if (status < 0)
        return status;
    taps_look(instance, object->damage);
    object->booted = value_copy(instance->arena, instance->booted);
    return 0;
}

int instance_look(struct instance *instance, struct spinel_object *object, struct error *err)
{
    struct arena *arena = instance->arena;
    object->kind = "Instance";
    object->project = value_get_text(instance->owner, "project", NULL);
    object->name = value_get_text(instance->owner, "name", "");
    object->epoch = (uint64_t)value_get_int(instance->owner, "epoch", 0);
    object->released = value_get_bool(instance->owner, "released", false);
    object->spec = value_map(arena);
    object->status = value_map(arena);
    object->damage = value_list(arena);
    if (instance->pidfd >= 0) {
        struct error local = ERROR_INIT;
        if (running_look(instance, object, &local) == 0)
            return 0;
        if (!proc_wait(instance->pidfd, 200)) { /* it did not end just now: unknown */
            local.code = ERR_BUSY;
            *err = local;
            return ERR_BUSY;
        }
        if (instance_refresh(instance, err) < 0)
            return err->code;
        object->spec = value_map(arena);
        object->status = value_map(arena);
        object->damage = value_list(arena);
    }
    value_set_text(arena, object->spec, "power", "off");
    value_set_text(arena, object->status, "state", "off");
    if (instance->has_process)
        value_set(arena, object->status, "exit", exit_value(instance));
    return 0;
}

const char *instance_etag(struct instance *instance)
{
    static const char *const files[] = {"record.json", "process.json", "exit.json"};
    struct arena *arena = instance->arena;
    bool running = instance->pidfd >= 0;
    const char *tag = running ? "on" : "off";
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct stat st = {0};
        const char *path = arena_printf(arena, "%s/%s", instance->dir, files[i]);
        if (stat(path, &st) == 0)
            tag = arena_printf(arena, "%s.%jx", tag,
                               (intmax_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
    }
    for (size_t i = 0; running && i < instance->machine.nic_count; i++) {
        const struct nic *nic = &instance->machine.nics[i];
        struct error ignored = ERROR_INIT;
        int64_t ifindex = 0;
        tap_look(nic->netns, nic->tap, &ifindex, &ignored);
        tag = arena_printf(arena, "%s.%" PRId64, tag, ifindex);
    }
    /* What is done to QEMU by hand does not show in any of these. */
    return running ? arena_printf(arena, "%s.%jd", tag, (intmax_t)(time(NULL) / FULL_LOOK_S)) : tag;
}
