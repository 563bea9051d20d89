/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From a spec and its references to a machine.
 *
 * Slots are the part with a rule to keep: a device keeps its slot through restarts
 * and through the coming and going of others, because guests name disks and NICs
 * after their place on the bus.
 */
#include "drivers/qemu/machine.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "drivers/spinel-driver.h"
#include "model/arena.h"
#include "model/error.h"
#include "model/native.h"
#include "model/value.h"

static const struct value *ref_find(const struct spinel_op *op, const char *kind, const char *name)
{
    return value_get(value_get(op->refs, kind), name);
}

static int ref_need(const struct spinel_op *op, const char *kind, const char *name,
                    const struct value **out, struct error *err)
{
    const struct value *ref = name ? ref_find(op, kind, name) : NULL;
    if (!ref)
        return error_set(err, ERR_INVALID, "instance %s refers to %s %s, which came with no spec",
                         op->name, kind, name ? name : "(none)");
    *out = ref;
    return 0;
}

static int ref_uid(const struct value *ref, const char *kind, const char *name, const char **uid,
                   struct error *err)
{
    *uid = value_get_text(ref, "uid", NULL);
    if (!*uid)
        return error_set(err, ERR_INVALID, "%s %s came without a uid", kind, name);
    return 0;
}

static const char *volume_path(struct arena *arena, const char *state_dir,
                               const struct spinel_op *op, const struct value *spec,
                               const char *uid, const char *format)
{
    const char *pool = value_get_text(spec, "pool", NULL);
    const struct value *pool_spec = pool ? value_get(ref_find(op, "Pool", pool), "spec") : NULL;
    const char *dir = native_pool_dir(arena, state_dir, pool ? pool : "default", pool_spec);
    return native_volume_path(arena, dir, uid, format);
}

int machine_disk(struct arena *arena, const char *state_dir, const struct spinel_op *op,
                 const struct value *element, struct disk *disk, struct error *err)
{
    const char *volume = value_get_text(element, "volume", NULL);
    const struct value *ref;
    const char *uid;
    if (ref_need(op, "Volume", volume, &ref, err) < 0 ||
        ref_uid(ref, "Volume", volume, &uid, err) < 0)
        return err->code;
    const struct value *spec = value_get(ref, "spec");
    const char *name = value_get_text(element, "name", "");
    const char *format = value_get_text(spec, "format", "raw");
    *disk = (struct disk){
        .name = name,
        .volume = volume,
        .volume_uid = uid,
        .format = format,
        .path = volume_path(arena, state_dir, op, spec, uid, format),
        .bus = value_get_text(element, "bus", "virtio"),
        .serial = value_get_text(element, "serial", arena_text_n(arena, name, strnlen(name, 20))),
        .read_only = value_get_bool(element, "readOnly", false),
        .boot_order = value_get_int(element, "bootOrder", 0),
        .slot = SLOT_NONE,
    };
    return 0;
}

int machine_nic(struct arena *arena, const struct spinel_op *op, const struct value *element,
                struct nic *nic, struct error *err)
{
    const char *name = value_get_text(element, "name", "");
    const char *full = arena_printf(arena, "%s.%s", op->name, name);
    const char *subnet = value_get_text(element, "subnet", NULL);
    const struct value *ref, *net, *vpc;
    const char *uid, *vpc_uid;
    if (ref_need(op, "NIC", full, &ref, err) < 0 || ref_uid(ref, "NIC", full, &uid, err) < 0 ||
        ref_need(op, "Subnet", subnet, &net, err) < 0)
        return err->code;
    const char *vpc_name = value_at_text(net, "spec.vpc", NULL);
    if (ref_need(op, "VPC", vpc_name, &vpc, err) < 0 ||
        ref_uid(vpc, "VPC", vpc_name, &vpc_uid, err) < 0)
        return err->code;
    char *tap = arena_alloc(arena, 16), *netns = arena_alloc(arena, 16);
    char *mac = arena_alloc(arena, 18);
    *nic = (struct nic){
        .name = name,
        .uid = uid,
        .mac = value_at_text(ref, "spec.mac", native_mac(uid, mac)),
        .address = value_at_text(ref, "spec.address", NULL),
        .netns = native_netns(vpc_uid, netns),
        .tap = native_tap(uid, tap),
        .connected = value_get_bool(element, "connected", true),
        .slot = SLOT_NONE,
        .fd = -1,
    };
    return 0;
}

static int image_path(struct arena *arena, const char *state_dir, const struct spinel_op *op,
                      const char *name, const char **path, struct error *err)
{
    *path = NULL;
    if (!name)
        return 0;
    const struct value *ref;
    if (ref_need(op, "Image", name, &ref, err) < 0)
        return err->code;
    const char *digest = value_at_text(ref, "spec.digest", NULL);
    if (!digest)
        return error_set(err, ERR_INVALID, "Image %s has no digest", name);
    const char *colon = strchr(digest, ':');
    *path = native_image_path(arena, state_dir, colon ? colon + 1 : digest);
    return 0;
}

static int kernel_from_op(struct arena *arena, const char *state_dir, const struct spinel_op *op,
                          struct machine *machine, struct error *err)
{
    const struct value *kernel = value_get(op->spec, "kernel");
    const char *image = value_get_text(kernel, "image", NULL);
    const char *initrd = value_get_text(kernel, "initrd", NULL);
    if (initrd && !image)
        return error_set(err, ERR_INVALID, "spec.kernel.initrd is given without spec.kernel.image");
    if (image_path(arena, state_dir, op, image, &machine->kernel, err) < 0 ||
        image_path(arena, state_dir, op, initrd, &machine->initrd, err) < 0)
        return err->code;
    machine->cmdline = value_get_text(kernel, "cmdline", "console=ttyS0");
    return 0;
}

static int devices_from_op(struct arena *arena, const char *state_dir, const struct spinel_op *op,
                           struct machine *machine, struct error *err)
{
    const struct value *disks = value_get(op->spec, "disks");
    const struct value *nics = value_get(op->spec, "nics");
    size_t disk_count = value_is_list(disks) ? disks->count : 0;
    size_t nic_count = value_is_list(nics) ? nics->count : 0;
    if (disk_count > MACHINE_DISKS || nic_count > MACHINE_NICS)
        return error_set(err, ERR_INVALID, "instance %s has more than %d disks or %d NICs",
                         op->name, MACHINE_DISKS, MACHINE_NICS);
    for (size_t i = 0; i < disk_count; i++)
        if (machine_disk(arena, state_dir, op, disks->items[i], &machine->disks[i], err) < 0)
            return err->code;
    for (size_t i = 0; i < nic_count; i++)
        if (machine_nic(arena, op, nics->items[i], &machine->nics[i], err) < 0)
            return err->code;
    machine->disk_count = disk_count;
    machine->nic_count = nic_count;
    return 0;
}

int machine_from_op(struct arena *arena, const char *state_dir, const struct spinel_op *op,
                    struct machine *machine, struct error *err)
{
    if (!op->spec)
        return error_set(err, ERR_INVALID, "instance %s came without a spec", op->name);
    int64_t cpus = value_get_int(op->spec, "cpus", 1);
    int64_t memory = value_get_int(op->spec, "memory", 0);
    *machine = (struct machine){
        .uid = op->uid,
        .title = arena_printf(arena, "%s/%s", op->project ? op->project : "-", op->name),
        .type = value_get_text(op->spec, "machine", "pc-q35-7.2"),
        .accel = value_get_text(op->spec, "accel", "auto"),
        .cpu_model = value_get_text(op->spec, "cpuModel", NULL),
        .cpus = cpus,
        .max_cpus = value_get_int(op->spec, "maxCpus", cpus),
        .memory = memory,
        .max_memory = value_get_int(op->spec, "maxMemory", memory),
        .target = memory,
        .uefi = strcmp(value_get_text(op->spec, "firmware", "bios"), "uefi") == 0,
        .serial = value_at_bool(op->spec, "console.serial", true),
    };
    if (strncmp(machine->type, "pc-q35-", 7) != 0) {
        error_set(err, ERR_UNSUPPORTED, "machine type %s is not a versioned q35", machine->type);
        return error_hint(err, "Use one of pc-q35-*, as in `qemu-system-x86_64 -machine help`.");
    }
    if (kernel_from_op(arena, state_dir, op, machine, err) < 0)
        return err->code;
    const char *seed_uid = value_get_text(ref_find(op, "Seed", op->name), "uid", NULL);
    if (seed_uid)
        machine->seed = native_seed_path(arena, state_dir, seed_uid);
    return devices_from_op(arena, state_dir, op, machine, err);
}

/* ---- slots -------------------------------------------------------------------------- */

static bool is_scsi(const char *bus)
{
    return strcmp(bus, "scsi") == 0;
}

static bool slot_taken(const struct machine *machine, int slot)
{
    for (size_t i = 0; i < machine->disk_count; i++)
        if (machine->disks[i].slot == slot)
            return true;
    for (size_t i = 0; i < machine->nic_count; i++)
        if (machine->nics[i].slot == slot)
            return true;
    return false;
}

static int lowest_slot(const struct machine *machine, const char *bus, int ports)
{
    int first = is_scsi(bus) ? SLOT_SCSI : 0;
    int end = is_scsi(bus) ? 2 * SLOT_SCSI : ports;
    for (int slot = first; slot < end; slot++)
        if (!slot_taken(machine, slot))
            return slot;
    return SLOT_NONE;
}

int machine_free_slot(const struct machine *machine, const char *bus)
{
    return lowest_slot(machine, bus, machine->ports);
}

static void keep_slots(struct machine *machine, const struct machine *before)
{
    for (size_t i = 0; i < machine->disk_count; i++)
        for (size_t j = 0; j < before->disk_count; j++)
            if (strcmp(machine->disks[i].name, before->disks[j].name) == 0 &&
                strcmp(machine->disks[i].bus, before->disks[j].bus) == 0)
                machine->disks[i].slot = before->disks[j].slot;
    for (size_t i = 0; i < machine->nic_count; i++)
        for (size_t j = 0; j < before->nic_count; j++)
            if (strcmp(machine->nics[i].name, before->nics[j].name) == 0)
                machine->nics[i].slot = before->nics[j].slot;
}

/* The disk without a slot that boots first, or NULL. */
static struct disk *next_disk(struct machine *machine)
{
    struct disk *next = NULL;
    for (size_t i = 0; i < machine->disk_count; i++) {
        struct disk *disk = &machine->disks[i];
        if (disk->slot != SLOT_NONE)
            continue;
        int64_t order = disk->boot_order ? disk->boot_order : INT64_MAX;
        if (!next || order < (next->boot_order ? next->boot_order : INT64_MAX))
            next = disk;
    }
    return next;
}

void machine_place(struct machine *machine, const struct machine *before)
{
    if (before)
        keep_slots(machine, before);
    for (struct disk *disk; (disk = next_disk(machine));)
        disk->slot = lowest_slot(machine, disk->bus, SLOT_SCSI);
    int used = 0;
    for (size_t i = 0; i < machine->nic_count; i++)
        if (machine->nics[i].slot == SLOT_NONE)
            machine->nics[i].slot = lowest_slot(machine, "virtio", SLOT_SCSI);
    for (int slot = 0; slot < SLOT_SCSI; slot++)
        if (slot_taken(machine, slot))
            used = slot + 1;
    machine->ports = used + machine->spare_ports;
    if (machine->ports > SLOT_SCSI)
        machine->ports = SLOT_SCSI;
}

struct disk *machine_find_disk(struct machine *machine, const char *name)
{
    for (size_t i = 0; i < machine->disk_count; i++)
        if (strcmp(machine->disks[i].name, name) == 0)
            return &machine->disks[i];
    return NULL;
}

struct nic *machine_find_nic(struct machine *machine, const char *name)
{
    for (size_t i = 0; i < machine->nic_count; i++)
        if (strcmp(machine->nics[i].name, name) == 0)
            return &machine->nics[i];
    return NULL;
}

void machine_drop_disk(struct machine *machine, const struct disk *disk)
{
    size_t i = (size_t)(disk - machine->disks);
    assert(i < machine->disk_count);
    machine->disk_count--;
    memmove(machine->disks + i, machine->disks + i + 1,
            (machine->disk_count - i) * sizeof *machine->disks);
}

void machine_drop_nic(struct machine *machine, const struct nic *nic)
{
    size_t i = (size_t)(nic - machine->nics);
    assert(i < machine->nic_count);
    machine->nic_count--;
    memmove(machine->nics + i, machine->nics + i + 1,
            (machine->nic_count - i) * sizeof *machine->nics);
}

const char *disk_id(const struct disk *disk, char out[SLOT_ID])
{
    snprintf(out, SLOT_ID, "disk%d", disk->slot);
    return out;
}

const char *nic_id(const struct nic *nic, char out[SLOT_ID])
{
    snprintf(out, SLOT_ID, "nic%d", nic->slot);
    return out;
}
