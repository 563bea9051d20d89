/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Live changes. QEMU's "yes" is not convergence: an unplug is done when the device is
 * gone, so leaving is waited for, with a deadline, and whoever looks next sees what
 * came of it. The order for a device to leave is fixed: device, then its
 * back end, then its descriptor; a back end taken from under a device leaves it dead.
 */
#include "drivers/qemu/live.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/qemu/argv.h"
#include "drivers/qemu/instance.h"
#include "drivers/qemu/look.h"
#include "drivers/qemu/qmp.h"
#include "drivers/qemu/tap.h"
#include "drivers/spinel-driver.h"
#include "model/arena.h"
#include "model/json.h"
#include "model/value.h"

enum { ANSWER_MS = 5000, LEAVE_MS = 8000, RETRY_MS = 500, DIMM_STEP = 128 << 20 };

struct live {
    struct instance *instance;
    struct arena *arena;
    struct qmp *qmp;
    const struct spinel_op *op;
};

/* One text argument or none: most commands want no more. */
static int call(struct live *live, const char *command, const char *key, const char *text,
                struct error *err)
{
    struct value *arguments = value_map(live->arena);
    if (key)
        value_set_text(live->arena, arguments, key, text);
    return qmp_call(live->qmp, command, arguments, NULL, err);
}

static int save(struct live *live, struct error *err)
{
    return instance_save(live->instance, NULL, err);
}

/* The booted spec follows what is plugged in and out: restart fields of a device are
 * compared with how that device was started. */
static void booted_device(struct live *live, const char *list_key, const char *name,
                          const struct value *element)
{
    struct value *booted = value_copy(live->arena, live->instance->booted);
    struct value *list = value_list(live->arena);
    const struct value *before = value_get(booted, list_key);
    for (size_t i = 0; value_is_list(before) && i < before->count; i++)
        if (strcmp(value_get_text(before->items[i], "name", ""), name) != 0)
            value_append(live->arena, list, before->items[i]);
    if (element)
        value_append(live->arena, list, value_copy(live->arena, element));
    value_set(live->arena, booted, list_key, list);
    live->instance->booted = booted;
}

/* Asks for a device to leave until it has left. A guest that is busy is asked again. */
static int device_leave(struct live *live, const char *id, struct error *err)
{
    bool present = true;
    for (int waited_ms = 0; waited_ms < LEAVE_MS; waited_ms += RETRY_MS) {
        struct error ignored = ERROR_INIT;
        if (device_present(live->qmp, id, &present, err) < 0)
            return err->code;
        if (!present)
            return 0;
        call(live, "device_del", "id", id, &ignored);
        qmp_wait(live->qmp, "DEVICE_DELETED", "device", id, RETRY_MS, NULL, &ignored);
    }
    error_set(err, ERR_BUSY, "the guest does not let %s go", id);
    return error_hint(err, "It may be in use in the guest, or the guest is still booting; this is "
                           "tried again.");
}

/* ---- CPUs ---------------------------------------------------------------------------- */

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
    if (*present > wanted && strcmp(live->instance->accel_used, "tcg") == 0) {
        error_set(err, ERR_UNSUPPORTED, "QEMU cannot take CPUs from an emulated machine safely");
        return error_hint(err, "Fewer CPUs take a restart here; under KVM they leave live.");
    }
    for (size_t i = 0; i < slots->count && *present > wanted; i++) {
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
    error_set(err, ERR_UNSUPPORTED, "%" PRId64 " CPUs cannot be reached while it runs, only %" PRId64,
              wanted, present);
    return error_hint(err, "CPUs it was started with leave, and more than maxCpus come, only by a "
                           "restart.");
}

/* ---- memory ---------------------------------------------------------------------------- */

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
    call(live, "object-del", "id", memory, &ignored);
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
    int64_t present = value_get_int(summary, "base-memory", 0)
                      + value_get_int(summary, "plugged-memory", 0);
    int64_t missing = wanted - present;
    if (missing > 0 && wanted > live->instance->machine.max_memory) {
        error_set(err, ERR_UNSUPPORTED, "memory cannot grow beyond the %" PRId64 " bytes that were "
                  "reserved when it was started", live->instance->machine.max_memory);
        return error_hint(err, "It takes a restart with a larger maxMemory.");
    }
    if (missing > 0 && dimm_add(live, (missing + DIMM_STEP - 1) / DIMM_STEP * DIMM_STEP, err) < 0)
        return err->code;
    struct value *arguments = value_map(live->arena);
    value_set_int(live->arena, arguments, "value", wanted);
    live->instance->machine.target = wanted;
    if (qmp_call(live->qmp, "balloon", arguments, NULL, err) < 0)
        return err->code;
    return save(live, err);
}

/* ---- disks ----------------------------------------------------------------------------- */

static int fdset_add(struct live *live, int fd, int set, struct error *err)
{
    struct value *arguments = value_map(live->arena);
    value_set_int(live->arena, arguments, "fdset-id", set);
    return qmp_call_with_fd(live->qmp, "add-fd", arguments, fd, NULL, err);
}

/* Whatever there is of a disk leaves; that some of it is missing is fine. */
static void disk_backend_leave(struct live *live, const struct disk *disk)
{
    struct error ignored = ERROR_INIT;
    char id[SLOT_ID];
    struct value *arguments = value_map(live->arena);
    disk_id(disk, id);
    call(live, "blockdev-del", "node-name", id, &ignored);
    call(live, "blockdev-del", "node-name", arena_printf(live->arena, "%s-file", id), &ignored);
    value_set_int(live->arena, arguments, "fdset-id", FDSET_DISKS + disk->slot);
    qmp_call(live->qmp, "remove-fd", arguments, NULL, &ignored);
}

static int disk_plug(struct live *live, const struct disk *disk, struct error *err)
{
    int fd = open(disk->path, (disk->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, "disk %s (volume %s): cannot open %s", disk->name, disk->volume,
                         disk->path);
    int status = fdset_add(live, fd, FDSET_DISKS + disk->slot, err);
    close(fd);
    if (status == 0)
        status = qmp_call(live->qmp, "blockdev-add", argv_file_node(live->arena, disk), NULL, err);
    if (status == 0)
        status = qmp_call(live->qmp, "blockdev-add", argv_format_node(live->arena, disk), NULL, err);
    if (status == 0)
        status = qmp_call(live->qmp, "device_add", argv_disk_device(live->arena, disk), NULL, err);
    if (status < 0)
        disk_backend_leave(live, disk);
    return status;
}

static int no_free_port(const struct live *live, struct error *err)
{
    error_set(err, ERR_UNSUPPORTED, "all %d ports of the machine are taken",
              live->instance->machine.ports);
    return error_hint(err, "A restart gives it new spare ports (setting sparePorts of driver qemu).");
}

static int disk_attach(struct live *live, const struct value *element, struct error *err)
{
    struct machine *machine = &live->instance->machine;
    struct disk disk;
    char id[SLOT_ID];
    bool present = false;
    struct disk *known = machine_find_disk(machine, value_get_text(element, "name", ""));
    if (known && device_present(live->qmp, disk_id(known, id), &present, err) < 0)
        return err->code;
    if (present)
        return 0;
    if (machine_disk(live->arena, spinel_state_dir(live->instance->host), live->op, element, &disk,
                     err) < 0)
        return err->code;
    if (known) {
        disk_backend_leave(live, known);
        machine_drop_disk(machine, known);
    }
    disk.slot = machine_free_slot(machine, disk.bus);
    if (disk.slot == SLOT_NONE || machine->disk_count == MACHINE_DISKS)
        return no_free_port(live, err);
    /* Written down first: a device that is not in the record would be nobody's. */
    machine->disks[machine->disk_count++] = disk;
    booted_device(live, "disks", disk.name, element);
    if (save(live, err) < 0)
        return err->code;
    disk_backend_leave(live, &disk);
    return disk_plug(live, &disk, err);
}

static int disk_detach(struct live *live, const char *name, struct error *err)
{
    struct machine *machine = &live->instance->machine;
    struct disk *disk = machine_find_disk(machine, name);
    char id[SLOT_ID];
    if (!disk)
        return 0;
    if (device_leave(live, disk_id(disk, id), err) < 0)
        return error_wrap(err, "disk %s", name);
    disk_backend_leave(live, disk);
    machine_drop_disk(machine, disk);
    booted_device(live, "disks", name, NULL);
    return save(live, err);
}

static int boot_order(struct live *live, const struct value *element, struct error *err)
{
    struct disk *disk = machine_find_disk(&live->instance->machine,
                                          value_get_text(element, "name", ""));
    char id[SLOT_ID];
    if (!disk)
        return 0;
    disk->boot_order = value_get_int(element, "bootOrder", 0);
    struct value *arguments = value_map(live->arena);
    value_set(live->arena, arguments, "path",
              value_printf(live->arena, "/machine/peripheral/%s", disk_id(disk, id)));
    value_set_text(live->arena, arguments, "property", "bootindex");
    value_set_int(live->arena, arguments, "value", disk->boot_order > 0 ? disk->boot_order : -1);
    if (qmp_call(live->qmp, "qom-set", arguments, NULL, err) < 0)
        return error_wrap(err, "boot order of disk %s", disk->name);
    return save(live, err);
}

/* ---- NICs ------------------------------------------------------------------------------ */

static void nic_backend_leave(struct live *live, const struct nic *nic)
{
    struct error ignored = ERROR_INIT;
    call(live, "netdev_del", "id", arena_printf(live->arena, "net%d", nic->slot), &ignored);
}

static int set_link(struct live *live, const struct nic *nic, struct error *err)
{
    char id[SLOT_ID];
    struct value *arguments = value_map(live->arena);
    value_set_text(live->arena, arguments, "name", nic_id(nic, id));
    value_set_bool(live->arena, arguments, "up", nic->connected);
    return qmp_call(live->qmp, "set_link", arguments, NULL, err);
}

static int nic_plug(struct live *live, struct nic *nic, struct error *err)
{
    struct value *named = value_map(live->arena), *netdev = value_map(live->arena);
    const char *id = arena_printf(live->arena, "net%d", nic->slot);
    int fd = -1;
    if (tap_open(nic->netns, nic->tap, &fd, err) < 0)
        return error_wrap(err, "NIC %s", nic->name);
    value_set_text(live->arena, named, "fdname", id);
    value_set_text(live->arena, netdev, "type", "tap");
    value_set_text(live->arena, netdev, "id", id);
    value_set_text(live->arena, netdev, "fd", id);
    int status = qmp_call_with_fd(live->qmp, "getfd", named, fd, NULL, err);
    close(fd);
    if (status == 0)
        status = qmp_call(live->qmp, "netdev_add", netdev, NULL, err);
    if (status == 0)
        status = qmp_call(live->qmp, "device_add", argv_nic_device(live->arena, nic), NULL, err);
    if (status == 0 && !nic->connected)
        status = set_link(live, nic, err);
    if (status < 0) {
        nic_backend_leave(live, nic);
        return status;
    }
    nic->fd = tap_find_fd(live->instance->process.pid, nic->tap);
    return save(live, err);
}

static int nic_attach(struct live *live, const struct value *element, struct error *err)
{
    struct machine *machine = &live->instance->machine;
    struct nic nic;
    char id[SLOT_ID];
    bool present = false;
    struct nic *known = machine_find_nic(machine, value_get_text(element, "name", ""));
    if (known && device_present(live->qmp, nic_id(known, id), &present, err) < 0)
        return err->code;
    if (present)
        return 0;
    if (machine_nic(live->arena, live->op, element, &nic, err) < 0)
        return err->code;
    if (known) {
        nic_backend_leave(live, known);
        machine_drop_nic(machine, known);
    }
    nic.slot = machine_free_slot(machine, "virtio");
    if (nic.slot == SLOT_NONE || machine->nic_count == MACHINE_NICS)
        return no_free_port(live, err);
    struct nic *place = &machine->nics[machine->nic_count++];
    *place = nic;
    booted_device(live, "nics", nic.name, element);
    if (save(live, err) < 0)
        return err->code;
    return nic_plug(live, place, err);
}

static int nic_detach(struct live *live, const char *name, struct error *err)
{
    struct machine *machine = &live->instance->machine;
    struct nic *nic = machine_find_nic(machine, name);
    char id[SLOT_ID];
    if (!nic)
        return 0;
    if (device_leave(live, nic_id(nic, id), err) < 0)
        return error_wrap(err, "NIC %s", name);
    nic_backend_leave(live, nic);
    machine_drop_nic(machine, nic);
    booted_device(live, "nics", name, NULL);
    return save(live, err);
}

static int nic_connect(struct live *live, const struct value *element, struct error *err)
{
    struct nic *nic = machine_find_nic(&live->instance->machine,
                                       value_get_text(element, "name", ""));
    if (!nic)
        return 0;
    nic->connected = value_get_bool(element, "connected", true);
    if (set_link(live, nic, err) < 0)
        return error_wrap(err, "NIC %s", nic->name);
    return save(live, err);
}

/* A tap that was made anew goes under QEMU's own descriptor, unseen by the guest; where
 * that cannot be, the guest sees its NIC leave and come back. */
static int nic_mend(struct live *live, struct nic *nic, struct error *err)
{
    struct error first = ERROR_INIT;
    char id[SLOT_ID];
    if (tap_reattach(live->instance->pidfd, nic->fd, nic->netns, nic->tap, &first) == 0)
        return 0;
    if (first.code == ERR_NOT_FOUND) {
        *err = first;
        return error_wrap(err, "NIC %s", nic->name);
    }
    spinel_log(live->instance->host, SPINEL_INFO, "%s: NIC %s is plugged in anew: %s",
               live->instance->machine.title, nic->name, first.message);
    if (device_leave(live, nic_id(nic, id), err) < 0)
        return error_wrap(err, "NIC %s", nic->name);
    nic_backend_leave(live, nic);
    return nic_plug(live, nic, err);
}

static int nics_mend(struct live *live, struct error *err)
{
    int result = 0;
    for (size_t i = 0; i < live->instance->machine.nic_count; i++) {
        struct nic *nic = &live->instance->machine.nics[i];
        struct error local = ERROR_INIT;
        int status = 0;
        if (tap_find_fd(live->instance->process.pid, nic->tap) < 0)
            status = nic_mend(live, nic, &local);
        if (status < 0 && result == 0) {
            *err = local;
            result = status;
        }
    }
    return result;
}

static int state_mend(struct live *live, struct error *err)
{
    static const char *const paused[] = {"paused", "io-error", "watchdog"};
    const struct value *status;
    if (qmp_call(live->qmp, "query-status", NULL, &status, err) < 0)
        return err->code;
    for (size_t i = 0; i < sizeof paused / sizeof *paused; i++)
        if (strcmp(value_get_text(status, "status", ""), paused[i]) == 0)
            return call(live, "cont", NULL, NULL, err);
    return 0;
}

/* ---- from paths to changes --------------------------------------------------------------- */

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
                                             boot_order};
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
        if (strncmp(path, changes[i].path, len) == 0
            && (path[len] == '\0' || changes[i].path[len - 1] == '['))
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
    if (process_wait(instance->pidfd, 0))
        return error_set(err, ERR_BUSY, "QEMU ended in the middle of it: %s",
                         instance_last_words(instance));
    if (first.code != ERR_NONE)
        *err = first;
    return first.code;
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
        struct value *arguments = value_map(live.arena);
        value_set_text(live.arena, arguments, "node-name", disk_id(&machine->disks[i], id));
        value_set_int(live.arena, arguments, "size", bytes);
        int status = qmp_call(live.qmp, "block_resize", arguments, NULL, err);
        qmp_close(live.qmp);
        return status;
    }
    return error_set(err, ERR_NOT_FOUND, "%s has no disk with this volume", machine->title);
}
