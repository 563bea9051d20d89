/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A machine as it stands in the record. One table names every field, so that what
 * is written is what is read.
 */
#include <stddef.h>
#include <stdint.h>

#include "drivers/qemu/machine.h"
#include "model/arena.h"
#include "model/error.h"
#include "model/value.h"

enum field_type { FIELD_TEXT, FIELD_BOOL, FIELD_INT64, FIELD_INT };

struct field {
    const char *key;
    enum field_type type;
    size_t offset;
};

#define DISK(key, type, member)                  \
    {                                            \
        key, type, offsetof(struct disk, member) \
    }
#define NIC(key, type, member)                  \
    {                                           \
        key, type, offsetof(struct nic, member) \
    }
#define MACHINE(key, type, member)                  \
    {                                               \
        key, type, offsetof(struct machine, member) \
    }

static const struct field disk_fields[] = {
    DISK("name", FIELD_TEXT, name),
    DISK("volume", FIELD_TEXT, volume),
    DISK("uid", FIELD_TEXT, volume_uid),
    DISK("path", FIELD_TEXT, path),
    DISK("format", FIELD_TEXT, format),
    DISK("bus", FIELD_TEXT, bus),
    DISK("serial", FIELD_TEXT, serial),
    DISK("readOnly", FIELD_BOOL, read_only),
    DISK("bootOrder", FIELD_INT64, boot_order),
    DISK("slot", FIELD_INT, slot),
};

static const struct field nic_fields[] = {
    NIC("name", FIELD_TEXT, name),
    NIC("uid", FIELD_TEXT, uid),
    NIC("mac", FIELD_TEXT, mac),
    NIC("address", FIELD_TEXT, address),
    NIC("netns", FIELD_TEXT, netns),
    NIC("tap", FIELD_TEXT, tap),
    NIC("connected", FIELD_BOOL, connected),
    NIC("slot", FIELD_INT, slot),
    NIC("fd", FIELD_INT, fd),
};

static const struct field machine_fields[] = {
    MACHINE("uid", FIELD_TEXT, uid),
    MACHINE("title", FIELD_TEXT, title),
    MACHINE("type", FIELD_TEXT, type),
    MACHINE("accel", FIELD_TEXT, accel),
    MACHINE("cpuModel", FIELD_TEXT, cpu_model),
    MACHINE("cpus", FIELD_INT64, cpus),
    MACHINE("maxCpus", FIELD_INT64, max_cpus),
    MACHINE("memory", FIELD_INT64, memory),
    MACHINE("maxMemory", FIELD_INT64, max_memory),
    MACHINE("target", FIELD_INT64, target),
    MACHINE("uefi", FIELD_BOOL, uefi),
    MACHINE("serial", FIELD_BOOL, serial),
    MACHINE("kernel", FIELD_TEXT, kernel),
    MACHINE("initrd", FIELD_TEXT, initrd),
    MACHINE("cmdline", FIELD_TEXT, cmdline),
    MACHINE("seed", FIELD_TEXT, seed),
    MACHINE("sparePorts", FIELD_INT, spare_ports),
    MACHINE("ports", FIELD_INT, ports),
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static struct value *fields_write(struct arena *arena, const struct field *fields, size_t count,
                                  const void *object)
{
    struct value *map = value_map(arena);
    for (size_t i = 0; i < count; i++) {
        const void *at = (const char *)object + fields[i].offset;
        if (fields[i].type == FIELD_TEXT)
            value_set_text(arena, map, fields[i].key, *(const char *const *)at);
        else if (fields[i].type == FIELD_BOOL)
            value_set_bool(arena, map, fields[i].key, *(const bool *)at);
        else if (fields[i].type == FIELD_INT64)
            value_set_int(arena, map, fields[i].key, *(const int64_t *)at);
        else
            value_set_int(arena, map, fields[i].key, *(const int *)at);
    }
    return map;
}

static void fields_read(const struct value *map, const struct field *fields, size_t count,
                        void *object)
{
    for (size_t i = 0; i < count; i++) {
        void *at = (char *)object + fields[i].offset;
        if (fields[i].type == FIELD_TEXT)
            *(const char **)at = value_get_text(map, fields[i].key, NULL);
        else if (fields[i].type == FIELD_BOOL)
            *(bool *)at = value_get_bool(map, fields[i].key, false);
        else if (fields[i].type == FIELD_INT64)
            *(int64_t *)at = value_get_int(map, fields[i].key, 0);
        else
            *(int *)at = (int)value_get_int(map, fields[i].key, -1);
    }
}

struct value *machine_value(struct arena *arena, const struct machine *machine)
{
    struct value *map = fields_write(arena, machine_fields, COUNT(machine_fields), machine);
    struct value *disks = value_set(arena, map, "disks", value_list(arena));
    for (size_t i = 0; i < machine->disk_count; i++)
        value_append(arena, disks,
                     fields_write(arena, disk_fields, COUNT(disk_fields), &machine->disks[i]));
    struct value *nics = value_set(arena, map, "nics", value_list(arena));
    for (size_t i = 0; i < machine->nic_count; i++)
        value_append(arena, nics,
                     fields_write(arena, nic_fields, COUNT(nic_fields), &machine->nics[i]));
    return map;
}

static bool disk_whole(const struct disk *disk)
{
    return disk->name && disk->volume && disk->volume_uid && disk->path && disk->format &&
           disk->bus && disk->serial && disk->slot >= 0 && disk->slot < 2 * SLOT_SCSI;
}

static bool nic_whole(const struct nic *nic)
{
    return nic->name && nic->uid && nic->mac && nic->netns && nic->tap && nic->slot >= 0 &&
           nic->slot < SLOT_SCSI;
}

int machine_read(const struct value *value, struct machine *machine, struct error *err)
{
    const struct value *disks = value_get(value, "disks"), *nics = value_get(value, "nics");
    if (!value_is_list(disks) || disks->count > MACHINE_DISKS || !value_is_list(nics) ||
        nics->count > MACHINE_NICS)
        return error_set(err, ERR_CORRUPT, "the record of the instance has no list of devices");
    *machine = (struct machine){.disk_count = disks->count, .nic_count = nics->count};
    fields_read(value, machine_fields, COUNT(machine_fields), machine);
    bool whole = machine->uid && machine->type && machine->accel;
    for (size_t i = 0; i < disks->count; i++) {
        fields_read(disks->items[i], disk_fields, COUNT(disk_fields), &machine->disks[i]);
        whole = whole && disk_whole(&machine->disks[i]);
    }
    for (size_t i = 0; i < nics->count; i++) {
        fields_read(nics->items[i], nic_fields, COUNT(nic_fields), &machine->nics[i]);
        whole = whole && nic_whole(&machine->nics[i]);
    }
    if (!whole)
        return error_set(err, ERR_CORRUPT, "the record of the instance lacks parts of its devices");
    return 0;
}
