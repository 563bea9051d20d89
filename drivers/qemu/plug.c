/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Disks and NICs, plugged in and out while the machine runs.
 *
 * The order for a device to leave is fixed: device, then its back end, then its
 * descriptor; a back end taken from under a device leaves it dead. The record is
 * written before a device comes and after it has left, so whatever is plugged in is in it.
 */
#include "drivers/qemu/plug.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "drivers/qemu/argv.h"
#include "drivers/qemu/instance.h"
#include "drivers/qemu/look.h"
#include "drivers/qemu/qmp.h"
#include "drivers/qemu/tap.h"
#include "drivers/spinel-driver.h"
#include "model/arena.h"
#include "model/value.h"

enum { LEAVE_MS = 8000, RETRY_MS = 500 };

int live_call(struct live *live, const char *command, const char *key, const char *text,
              struct error *err)
{
    struct value *arguments = value_map(live->arena);
    if (key)
        value_set_text(live->arena, arguments, key, text);
    return qmp_call(live->qmp, command, arguments, NULL, err);
}

static int save(struct live *live, struct error *err)
{
    return instance_save(live->instance, err);
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
int device_leave(struct live *live, const char *id, struct error *err)
{
    bool present = true;
    for (int waited_ms = 0; waited_ms < LEAVE_MS; waited_ms += RETRY_MS) {
        struct error ignored = ERROR_INIT;
        if (device_present(live->qmp, id, &present, err) < 0)
            return err->code;
        if (!present)
            return 0;
        live_call(live, "device_del", "id", id, &ignored);
        qmp_wait(live->qmp, "DEVICE_DELETED", "device", id, RETRY_MS, NULL, &ignored);
    }
    error_set(err, ERR_BUSY, "the guest does not let %s go", id);
    return error_hint(err, "It may be in use in the guest, or the guest is still booting; this is "
                           "tried again.");
}

/* ---- disks -------------------------------------------------------------------------- */

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
    live_call(live, "blockdev-del", "node-name", id, &ignored);
    live_call(live, "blockdev-del", "node-name", arena_printf(live->arena, "%s-file", id),
              &ignored);
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
        status =
            qmp_call(live->qmp, "blockdev-add", argv_format_node(live->arena, disk), NULL, err);
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
    return error_hint(err,
                      "A restart gives it new spare ports (setting sparePorts of driver qemu).");
}

int disk_attach(struct live *live, const struct value *element, struct error *err)
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

int disk_detach(struct live *live, const char *name, struct error *err)
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

int disk_set_boot_order(struct live *live, const struct value *element, struct error *err)
{
    struct disk *disk =
        machine_find_disk(&live->instance->machine, value_get_text(element, "name", ""));
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

/* ---- NICs --------------------------------------------------------------------------- */

static void nic_backend_leave(struct live *live, const struct nic *nic)
{
    struct error ignored = ERROR_INIT;
    live_call(live, "netdev_del", "id", arena_printf(live->arena, "net%d", nic->slot), &ignored);
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

int nic_attach(struct live *live, const struct value *element, struct error *err)
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

int nic_detach(struct live *live, const char *name, struct error *err)
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

int nic_connect(struct live *live, const struct value *element, struct error *err)
{
    struct nic *nic =
        machine_find_nic(&live->instance->machine, value_get_text(element, "name", ""));
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

int nics_mend(struct live *live, struct error *err)
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
