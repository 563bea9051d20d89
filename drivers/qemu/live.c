/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Live changes. QEMU's "yes" is not convergence: an unplug is done when the device is
 * gone, so leaving is waited for, with a deadline, and whoever looks next sees what
 * came of it.
 */
#include "drivers/qemu/live.h"

#include <inttypes.h>
#include <string.h>

#include "drivers/lib/proc.h"
#include "drivers/qemu/instance.h"
#include "drivers/qemu/plug.h"
#include "drivers/qemu/qmp.h"
#include "drivers/spinel-driver.h"
#include "model/arena.h"
#include "model/value.h"

enum { ANSWER_MS = 5000, DIMM_STEP = 128 << 20 };

/* ---- CPUs --------------------------------------------------------------------------- */

static int cpu_add(struct live *live, const struct value *slot, struct error *err)
{
    const struct value *place = value_get(slot, "props");
    struct value *arguments = value_copy(live->arena, place);
    value_unset(arguments, "node-id");
    value_set_text(live->arena, arguments, "driver", value_get_text(slot, "type", ""));
    value_set(live->arena, arguments, "id",
              value_printf(live->arena, "cpu%" PRId64, value_get_int(place, "core-id", 0)));
    return qmp_call(live->qmp, "device_add", arguments, NULL, err);
}

/* Removes plugged CPUs, the highest first, as QEMU lists them. */
static int cpus_remove(struct live *live, const struct value *slots, int64_t wanted,
                       int64_t *present, struct error *err)
{
    static const char plugged[] = "/machine/peripheral/";
    /* QEMU's emulator keeps a pointer to a CPU that left, and follows it when the next
     * device comes or goes: the machine would die of a change that was to spare it. */
    if (*present > wanted && instance_is_emulated(live->instance)) {
        error_set(err, ERR_UNSUPPORTED, "QEMU cannot take CPUs from an emulated machine safely");
        return error_hint(err, "Fewer CPUs take a restart here; under KVM they leave live.");
    }
    for (size_t i = 0; i<slots->count && * present> wanted; i++) {
        const char *at = value_get_text(slots->items[i], "qom-path", "");
        if (strncmp(at, plugged, sizeof plugged - 1) != 0)
            continue;
        if (device_leave(live, at + sizeof plugged - 1, err) < 0)
            return err->code;
        --*present;
    }
    return 0;
}

static int cpus_change(struct live *live, const char *path, struct error *err)
{
    (void)path;
    const struct value *slots;
    int64_t wanted = value_get_int(live->op->spec, "cpus", 1), present = 0;
    if (qmp_call(live->qmp, "query-hotpluggable-cpus", NULL, &slots, err) < 0)
        return err->code;
    for (size_t i = 0; i < slots->count; i++)
        present += value_get(slots->items[i], "qom-path") != NULL;
    for (size_t i = slots->count; i-- > 0 && present < wanted;)
        if (!value_get(slots->items[i], "qom-path")) {
            if (cpu_add(live, slots->items[i], err) < 0)
                return err->code;
            present++;
        }
    if (cpus_remove(live, slots, wanted, &present, err) < 0)
        return err->code;
    if (present == wanted)
        return 0;
    error_set(err, ERR_UNSUPPORTED,
              "%" PRId64 " CPUs cannot be reached while it runs, only %" PRId64, wanted, present);
    return error_hint(err, "CPUs it was started with leave, and more than maxCpus come, only by a "
                           "restart.");
}

/* ---- memory ------------------------------------------------------------------------- */

static int dimm_add(struct live *live, int64_t bytes, struct error *err)
{
    const struct value *dimms;
    if (qmp_call(live->qmp, "query-memory-devices", NULL, &dimms, err) < 0)
        return err->code;
    const char *id = arena_printf(live->arena, "dimm%zu", dimms->count);
    const char *memory = arena_printf(live->arena, "memory%zu", dimms->count);
    struct value *backend = value_map(live->arena), *device = value_map(live->arena);
    value_set_text(live->arena, backend, "qom-type", "memory-backend-ram");
    value_set_text(live->arena, backend, "id", memory);
    value_set_int(live->arena, backend, "size", bytes);
    value_set_text(live->arena, device, "driver", "pc-dimm");
    value_set_text(live->arena, device, "id", id);
    value_set_text(live->arena, device, "memdev", memory);
    if (qmp_call(live->qmp, "object-add", backend, NULL, err) < 0)
        return err->code;
    if (qmp_call(live->qmp, "device_add", device, NULL, err) == 0)
        return 0;
    struct error ignored = ERROR_INIT;
    live_call(live, "object-del", "id", memory, &ignored);
    err->code = ERR_UNSUPPORTED;
    return error_hint(err, "More memory than this needs a restart; see maxMemory.");
}

/* Grown by a DIMM of the missing size, rounded up to what guests can take; the balloon
 * sets it exactly, and takes it back. A DIMM once plugged in stays until a restart. */
static int memory_change(struct live *live, const char *path, struct error *err)
{
    (void)path;
    const struct value *summary;
    int64_t wanted = value_get_int(live->op->spec, "memory", 0);
    if (qmp_call(live->qmp, "query-memory-size-summary", NULL, &summary, err) < 0)
        return err->code;
    int64_t present =
        value_get_int(summary, "base-memory", 0) + value_get_int(summary, "plugged-memory", 0);
    int64_t missing = wanted - present;
    if (missing > 0 && wanted > live->instance->machine.max_memory) {
        error_set(err, ERR_UNSUPPORTED,
                  "memory cannot grow beyond the %" PRId64 " bytes that were "
                  "reserved when it was started",
                  live->instance->machine.max_memory);
        return error_hint(err, "It takes a restart with a larger maxMemory.");
    }
    if (missing > 0 && dimm_add(live, (missing + DIMM_STEP - 1) / DIMM_STEP * DIMM_STEP, err) < 0)
        return err->code;
    struct value *arguments = value_map(live->arena);
    value_set_int(live->arena, arguments, "value", wanted);
    live->instance->machine.target = wanted;
    if (qmp_call(live->qmp, "balloon", arguments, NULL, err) < 0)
        return err->code;
    return instance_save(live->instance, err);
}

static int state_mend(struct live *live, struct error *err)
{
    static const char *const paused[] = {"paused", "io-error", "watchdog"};
    const struct value *status;
    if (qmp_call(live->qmp, "query-status", NULL, &status, err) < 0)
        return err->code;
    for (size_t i = 0; i < sizeof paused / sizeof *paused; i++)
        if (strcmp(value_get_text(status, "status", ""), paused[i]) == 0)
            return live_call(live, "cont", NULL, NULL, err);
    return 0;
}

/* ---- from paths to changes ---------------------------------------------------------- */

/* "spec.disks[data].bootOrder": the name in brackets, and what follows them. */
static const char *path_element(struct live *live, const char *path, const char **rest)
{
    const char *open = strchr(path, '['), *close = open ? strchr(open, ']') : NULL;
    *rest = close ? close + 1 : "";
    return close ? arena_text_n(live->arena, open + 1, (size_t)(close - open - 1)) : NULL;
}

struct device_kind {
    const char *list;
    const char *field; /* the one that changes while it is plugged in */
    int (*attach)(struct live *, const struct value *, struct error *);
    int (*detach)(struct live *, const char *, struct error *);
    int (*change)(struct live *, const struct value *, struct error *);
};

static const struct device_kind disk_kind = {"disks", ".bootOrder", disk_attach, disk_detach,
                                             disk_set_boot_order};
static const struct device_kind nic_kind = {"nics", ".connected", nic_attach, nic_detach,
                                            nic_connect};

static int device_change(struct live *live, const struct device_kind *kind, const char *path,
                         struct error *err)
{
    const char *rest;
    const char *name = path_element(live, path, &rest);
    const struct value *list = value_get(live->op->spec, kind->list);
    const struct value *element = name ? value_find(list, "name", name) : NULL;
    if (name && !element)
        return kind->detach(live, name, err);
    if (name && rest[0] == '\0')
        return kind->attach(live, element, err);
    return name && strcmp(rest, kind->field) == 0 ? kind->change(live, element, err) : 0;
}

static int disks_change(struct live *live, const char *path, struct error *err)
{
    return device_change(live, &disk_kind, path, err);
}

static int nics_change(struct live *live, const char *path, struct error *err)
{
    return device_change(live, &nic_kind, path, err);
}

static const struct {
    const char *path;
    int (*change)(struct live *, const char *, struct error *);
} changes[] = {
    {"spec.cpus", cpus_change},
    {"spec.memory", memory_change},
    {"spec.disks[", disks_change},
    {"spec.nics[", nics_change},
};

static int path_change(struct live *live, const char *path, struct error *err)
{
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        size_t len = strlen(changes[i].path);
        if (strncmp(path, changes[i].path, len) == 0 &&
            (path[len] == '\0' || changes[i].path[len - 1] == '['))
            return changes[i].change(live, path, err);
    }
    return 0;
}

static void keep_first(struct error *first, int status, const struct error *err)
{
    if (status < 0 && first->code == ERR_NONE)
        *first = *err;
}

int live_update(struct instance *instance, const struct spinel_op *op, struct error *err)
{
    struct live live = {.instance = instance, .arena = instance->arena, .op = op};
    struct error first = ERROR_INIT;
    if (instance_monitor(instance, ANSWER_MS, &live.qmp, err) < 0)
        return err->code;
    for (size_t i = 0; value_is_list(op->changed) && i < op->changed->count; i++) {
        const struct value *path = op->changed->items[i];
        struct error local = ERROR_INIT;
        if (value_is_text(path))
            keep_first(&first, path_change(&live, path->text, &local), &local);
    }
    struct error local = ERROR_INIT;
    keep_first(&first, nics_mend(&live, &local), &local);
    local = (struct error)ERROR_INIT;
    keep_first(&first, state_mend(&live, &local), &local);
    qmp_close(live.qmp);
    if (proc_wait(instance->pidfd, 0))
        return error_set(err, ERR_BUSY, "QEMU ended in the middle of it: %s",
                         instance_last_words(instance));
    if (first.code != ERR_NONE)
        *err = first;
    return first.code;
}

/* QEMU would shrink a disk just as well. */
static int node_grow(struct live *live, const char *node, int64_t bytes, struct error *err)
{
    const struct value *nodes;
    struct value *arguments = value_map(live->arena);
    value_set_bool(live->arena, arguments, "flat", true);
    if (qmp_call(live->qmp, "query-named-block-nodes", arguments, &nodes, err) < 0)
        return err->code;
    const struct value *found = value_find(nodes, "node-name", node);
    int64_t present = value_at_int(found, "image.virtual-size", 0);
    if (bytes == present)
        return 0;
    if (bytes + 511 < present) /* it counts whole sectors */
        return error_set(err, ERR_INVALID, "%" PRId64 " bytes would shrink a disk of %" PRId64,
                         bytes, present);
    arguments = value_map(live->arena);
    value_set_text(live->arena, arguments, "node-name", node);
    value_set_int(live->arena, arguments, "size", bytes);
    return qmp_call(live->qmp, "block_resize", arguments, NULL, err);
}

int live_grow(struct instance *instance, const char *uid, int64_t bytes, struct error *err)
{
    struct live live = {.instance = instance, .arena = instance->arena};
    const struct machine *machine = &instance->machine;
    for (size_t i = 0; i < machine->disk_count; i++) {
        char id[SLOT_ID];
        if (strcmp(machine->disks[i].volume_uid, uid) != 0)
            continue;
        if (instance_monitor(instance, ANSWER_MS, &live.qmp, err) < 0)
            return err->code;
        int status = node_grow(&live, disk_id(&machine->disks[i], id), bytes, err);
        qmp_close(live.qmp);
        return status < 0 ? error_wrap(err, "disk %s", machine->disks[i].name) : 0;
    }
    return error_set(err, ERR_NOT_FOUND, "%s has no disk with this volume", machine->title);
}
