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

enum member_type { MEMBER_TEXT, MEMBER_BOOL, MEMBER_INT64, MEMBER_INT };

struct member {
    const char *key;
    enum member_type type;
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

static const struct member disk_fields[] = {
    DISK("name", MEMBER_TEXT, name),
    DISK("volume", MEMBER_TEXT, volume),
    DISK("uid", MEMBER_TEXT, volume_uid),
    DISK("path", MEMBER_TEXT, path),
    DISK("format", MEMBER_TEXT, format),
    DISK("bus", MEMBER_TEXT, bus),
    DISK("serial", MEMBER_TEXT, serial),
    DISK("readOnly", MEMBER_BOOL, read_only),
    DISK("bootOrder", MEMBER_INT64, boot_order),
    DISK("slot", MEMBER_INT, slot),
};

static const struct member nic_fields[] = {
    NIC("name", MEMBER_TEXT, name),
    NIC("uid", MEMBER_TEXT, uid),
    NIC("mac", MEMBER_TEXT, mac),
    NIC("address", MEMBER_TEXT, address),
    NIC("netns", MEMBER_TEXT, netns),
    NIC("tap", MEMBER_TEXT, tap),
    NIC("connected", MEMBER_BOOL, connected),
    NIC("slot", MEMBER_INT, slot),
    NIC("fd", MEMBER_INT, fd),
};

static const struct member machine_fields[] = {
    MACHINE("uid", MEMBER_TEXT, uid),
    MACHINE("title", MEMBER_TEXT, title),
    MACHINE("type", MEMBER_TEXT, type),
    MACHINE("accel", MEMBER_TEXT, accel),
    MACHINE("cpuModel", MEMBER_TEXT, cpu_model),
    MACHINE("cpus", MEMBER_INT64, cpus),
    MACHINE("maxCpus", MEMBER_INT64, max_cpus),
    MACHINE("memory", MEMBER_INT64, memory),
    MACHINE("maxMemory", MEMBER_INT64, max_memory),
    MACHINE("target", MEMBER_INT64, target),
    MACHINE("uefi", MEMBER_BOOL, uefi),
    MACHINE("serial", MEMBER_BOOL, serial),
    MACHINE("kernel", MEMBER_TEXT, kernel),
    MACHINE("initrd", MEMBER_TEXT, initrd),
    MACHINE("cmdline", MEMBER_TEXT, cmdline),
    MACHINE("seed", MEMBER_TEXT, seed),
    MACHINE("sparePorts", MEMBER_INT, spare_ports),
    MACHINE("ports", MEMBER_INT, ports),
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static struct value *fields_write(struct arena *arena, const struct member *fields, size_t count,
                                  const void *object)
{
    struct value *map = value_map(arena);
    for (size_t i = 0; i < count; i++) {
        const void *at = (const char *)object + fields[i].offset;
        if (fields[i].type == MEMBER_TEXT)
            value_set_text(arena, map, fields[i].key, *(const char *const *)at);
        else if (fields[i].type == MEMBER_BOOL)
            value_set_bool(arena, map, fields[i].key, *(const bool *)at);
        else if (fields[i].type == MEMBER_INT64)
            value_set_int(arena, map, fields[i].key, *(const int64_t *)at);
        else
            value_set_int(arena, map, fields[i].key, *(const int *)at);
    }
    return map;
}

static void fields_read(const struct value *map, const struct member *fields, size_t count,
                        void *object)
{
    for (size_t i = 0; i < count; i++) {
        void *at = (char *)object + fields[i].offset;
        if (fields[i].type == MEMBER_TEXT)
            *(const char **)at = value_get_text(map, fields[i].key, NULL);
        else if (fields[i].type == MEMBER_BOOL)
            *(bool *)at = value_get_bool(map, fields[i].key, false);
        else if (fields[i].type == MEMBER_INT64)
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
