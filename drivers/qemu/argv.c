/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The command line, part by part; nothing is left for QEMU to choose.
 *
 * PCI: balloon, SCSI controller and entropy sit at fixed places of the root bus,
 * root port N at device 8 + N / 8, function N % 8, and one more port for the seed at
 * device 30, so that its disk comes after all others. Each disk and NIC is alone
 * behind the port that is its slot, hence every one of them can leave while the
 * guest runs.
 */
#include "drivers/qemu/argv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/qemu/machine.h"
#include "model/arena.h"
#include "model/json.h"
#include "model/value.h"

enum { ARGV_ROOM = 640, DIMM_STEP = 128 << 20, DIMM_SLOTS = 16, SEED_DEVICE = 30 };

struct argv {
    struct arena *arena;
    char **items;
    size_t count;
};

static void add(struct argv *argv, const char *item)
{
    assert(argv->count + 1 < ARGV_ROOM);
    argv->items[argv->count++] = arena_text(argv->arena, item);
}

static void add_pair(struct argv *argv, const char *option, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void add_pair(struct argv *argv, const char *option, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < sizeof text);
    add(argv, option);
    add(argv, text);
}

static void add_json(struct argv *argv, const char *option, const struct value *value)
{
    add(argv, option);
    add(argv, json_text(argv->arena, value));
}

const char *argv_uuid(const char *uid, char out[37])
{
    snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", uid, uid + 8, uid + 12, uid + 16, uid + 20);
    return out;
}

static struct value *device(struct arena *arena, const char *driver, const char *id)
{
    struct value *map = value_map(arena);
    value_set_text(arena, map, "driver", driver);
    value_set_text(arena, map, "id", id);
    return map;
}

static struct value *file_node(struct arena *arena, const char *node, int fdset, bool read_only)
{
    struct value *map = value_map(arena);
    value_set_text(arena, map, "driver", "file");
    value_set_text(arena, map, "node-name", node);
    value_set(arena, map, "filename", value_printf(arena, "/dev/fdset/%d", fdset));
    value_set_bool(arena, map, "read-only", read_only);
    if (!read_only)
        value_set_text(arena, map, "discard", "unmap");
    return map;
}

static struct value *format_node(struct arena *arena, const char *node, const char *format,
                                 const char *file, bool read_only)
{
    struct value *map = value_map(arena);
    value_set_text(arena, map, "driver", format);
    value_set_text(arena, map, "node-name", node);
    value_set_bool(arena, map, "read-only", read_only);
    if (!read_only)
        value_set_text(arena, map, "discard", "unmap");
    value_set_text(arena, map, "file", file);
    return map;
}

static const char *file_id(const struct disk *disk, char out[2 * SLOT_ID])
{
    char id[SLOT_ID];
    snprintf(out, 2 * SLOT_ID, "%s-file", disk_id(disk, id));
    return out;
}

struct value *argv_file_node(struct arena *arena, const struct disk *disk)
{
    char file[2 * SLOT_ID];
    return file_node(arena, file_id(disk, file), FDSET_DISKS + disk->slot, disk->read_only);
}

struct value *argv_format_node(struct arena *arena, const struct disk *disk)
{
    char id[SLOT_ID], file[2 * SLOT_ID];
    return format_node(arena, disk_id(disk, id), disk->format, file_id(disk, file),
                       disk->read_only);
}

struct value *argv_disk_device(struct arena *arena, const struct disk *disk)
{
    bool scsi = disk->slot >= SLOT_SCSI;
    char id[SLOT_ID];
    struct value *map = device(arena, scsi ? "scsi-hd" : "virtio-blk-pci", disk_id(disk, id));
    value_set_text(arena, map, "drive", id);
    value_set_text(arena, map, "serial", disk->serial);
    if (disk->boot_order > 0)
        value_set_int(arena, map, "bootindex", disk->boot_order);
    if (scsi) {
        value_set_text(arena, map, "bus", "scsi.0");
        value_set_int(arena, map, "scsi-id", disk->slot - SLOT_SCSI);
    } else {
        value_set(arena, map, "bus", value_printf(arena, "port%d", disk->slot));
        value_set_text(arena, map, "addr", "0x0");
    }
    return map;
}

struct value *argv_nic_device(struct arena *arena, const struct nic *nic)
{
    char id[SLOT_ID];
    struct value *map = device(arena, "virtio-net-pci", nic_id(nic, id));
    value_set(arena, map, "netdev", value_printf(arena, "net%d", nic->slot));
    value_set_text(arena, map, "mac", nic->mac);
    value_set(arena, map, "bus", value_printf(arena, "port%d", nic->slot));
    value_set_text(arena, map, "addr", "0x0");
    value_set_text(arena, map, "romfile", ""); /* no network boot: disks and kernels only */
    return map;
}

static void add_basics(struct argv *argv, const char *accel, const struct machine *machine)
{
    char uuid[37];
    const char *model = machine->cpu_model;
    if (!model)
        model = strcmp(accel, "kvm") == 0 ? "host" : "max";
    add_pair(argv, "-name", "guest=%s", machine->title);
    add_pair(argv, "-uuid", "%s", argv_uuid(machine->uid, uuid));
    add(argv, "-S");
    add(argv, "-no-user-config");
    add(argv, "-nodefaults");
    add_pair(argv, "-display", "none");
    add_pair(argv, "-sandbox",
             "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    add_pair(argv, "-machine", "%s,usb=off,smm=off,vmport=off,dump-guest-core=off", machine->type);
    add_pair(argv, "-accel", "%s", accel);
    add_pair(argv, "-cpu", "%s", model);
    add_pair(argv, "-smp",
             "cpus=%" PRId64 ",maxcpus=%" PRId64 ",sockets=1,cores=%" PRId64 ",threads=1",
             machine->cpus, machine->max_cpus, machine->max_cpus);
    int64_t head = machine->max_memory - machine->memory;
    if (head > 0)
        add_pair(argv, "-m", "size=%" PRId64 "B,slots=%d,maxmem=%" PRId64 "B", machine->memory,
                 DIMM_SLOTS, machine->memory + (head + DIMM_STEP - 1) / DIMM_STEP * DIMM_STEP);
    else
        add_pair(argv, "-m", "size=%" PRId64 "B", machine->memory);
    add_pair(argv, "-action", "panic=exit-failure");
}

static void add_listener(struct argv *argv, const char *id, int fd)
{
    add_pair(argv, "-chardev", "socket,id=%s,fd=%d,server=on,wait=off", id, fd);
    add_pair(argv, "-mon", "chardev=%s,mode=control", id);
}

static void add_fdset(struct argv *argv, int fd, int set)
{
    add_pair(argv, "-add-fd", "fd=%d,set=%d", fd, set);
}

static void add_monitors(struct argv *argv, const struct machine *machine)
{
    add_listener(argv, "control", FD_CONTROL);
    add_listener(argv, "events", FD_EVENTS);
    add_pair(argv, "-chardev", "socket,id=launcher,fd=%d", FD_LAUNCHER);
    add_pair(argv, "-mon", "chardev=launcher,mode=control");
    if (!machine->serial)
        return;
    add_fdset(argv, FD_SERIAL_LOG, FDSET_SERIAL_LOG);
    add_pair(argv, "-chardev",
             "socket,id=serial,fd=%d,server=on,wait=off,logfile=/dev/fdset/%d,logappend=on",
             FD_SERIAL, FDSET_SERIAL_LOG);
    add_pair(argv, "-serial", "chardev:serial");
}

static void add_port(struct argv *argv, const char *id, int chassis, int device_number,
                     int function)
{
    struct value *map = device(argv->arena, "pcie-root-port", id);
    value_set_int(argv->arena, map, "chassis", chassis);
    value_set_text(argv->arena, map, "bus", "pcie.0");
    value_set(argv->arena, map, "addr",
              value_printf(argv->arena, "0x%x.0x%x", (unsigned)device_number, (unsigned)function));
    if (function == 0)
        value_set_bool(argv->arena, map, "multifunction", true);
    value_set_int(argv->arena, map, "io-reserve", 0); /* I/O space would run out at 15 ports */
    add_json(argv, "-device", map);
}

static struct value *root_device(struct arena *arena, const char *driver, const char *id,
                                 const char *addr)
{
    struct value *map = device(arena, driver, id);
    value_set_text(arena, map, "bus", "pcie.0");
    value_set_text(arena, map, "addr", addr);
    return map;
}

static void add_bus(struct argv *argv, const struct machine *machine)
{
    struct value *balloon = root_device(argv->arena, "virtio-balloon-pci", "balloon", "0x2");
    value_set_bool(argv->arena, balloon, "deflate-on-oom", true);
    add_json(argv, "-device", balloon);
    add_json(argv, "-device", root_device(argv->arena, "virtio-scsi-pci", "scsi", "0x3"));
    add_json(argv, "-device", root_device(argv->arena, "virtio-rng-pci", "rng", "0x4"));
    add_json(argv, "-device", device(argv->arena, "pvpanic", "panic"));
    for (int port = 0; port < machine->ports; port++) {
        char id[SLOT_ID];
        snprintf(id, sizeof id, "port%d", port);
        add_port(argv, id, port + 1, 8 + port / 8, port % 8);
    }
}

static void add_seed(struct argv *argv)
{
    add_port(argv, "port-seed", SLOT_SCSI + 1, SEED_DEVICE, 0);
    add_fdset(argv, FD_SEED, FDSET_SEED);
    add_json(argv, "-blockdev", file_node(argv->arena, "seed-file", FDSET_SEED, true));
    add_json(argv, "-blockdev", format_node(argv->arena, "seed", "raw", "seed-file", true));
    struct value *map = device(argv->arena, "virtio-blk-pci", "seed");
    value_set_text(argv->arena, map, "drive", "seed");
    value_set_text(argv->arena, map, "bus", "port-seed");
    value_set_text(argv->arena, map, "addr", "0x0");
    add_json(argv, "-device", map);
}

/* The only disk is booted from without being told. */
static struct disk boot_disk(const struct machine *machine, const struct disk *disk)
{
    struct disk copy = *disk;
    if (machine->disk_count == 1 && copy.boot_order == 0)
        copy.boot_order = 1;
    return copy;
}

static void add_devices(struct argv *argv, const struct machine *machine)
{
    for (size_t i = 0; i < machine->disk_count; i++) {
        struct disk disk = boot_disk(machine, &machine->disks[i]);
        add_fdset(argv, FD_DISKS + disk.slot, FDSET_DISKS + disk.slot);
        add_json(argv, "-blockdev", argv_file_node(argv->arena, &disk));
        add_json(argv, "-blockdev", argv_format_node(argv->arena, &disk));
        add_json(argv, "-device", argv_disk_device(argv->arena, &disk));
    }
    for (size_t i = 0; i < machine->nic_count; i++) {
        const struct nic *nic = &machine->nics[i];
        add_pair(argv, "-netdev", "tap,id=net%d,fd=%d", nic->slot, FD_NICS + nic->slot);
        add_json(argv, "-device", argv_nic_device(argv->arena, nic));
    }
    if (machine->seed)
        add_seed(argv);
}

static void add_kernel(struct argv *argv, const struct machine *machine)
{
    if (!machine->kernel)
        return;
    add_pair(argv, "-kernel", "/proc/self/fd/%d", FD_KERNEL);
    if (machine->initrd)
        add_pair(argv, "-initrd", "/proc/self/fd/%d", FD_INITRD);
    if (machine->cmdline && machine->cmdline[0])
        add_pair(argv, "-append", "%s", machine->cmdline);
}

static void add_firmware(struct argv *argv, const struct machine *machine)
{
    if (!machine->uefi)
        return;
    add_fdset(argv, FD_FIRMWARE, FDSET_FIRMWARE);
    add_fdset(argv, FD_VARIABLES, FDSET_VARIABLES);
    struct arena *arena = argv->arena;
    add_json(argv, "-blockdev", file_node(arena, "firmware-file", FDSET_FIRMWARE, true));
    add_json(argv, "-blockdev", format_node(arena, "firmware", "raw", "firmware-file", true));
    add_json(argv, "-blockdev", file_node(arena, "variables-file", FDSET_VARIABLES, false));
    add_json(argv, "-blockdev", format_node(arena, "variables", "raw", "variables-file", false));
    add_pair(argv, "-machine", "pflash0=firmware,pflash1=variables");
}

char **argv_build(struct arena *arena, const char *binary, const char *accel,
                  const struct machine *machine)
{
    struct argv argv = {.arena = arena, .items = arena_array(arena, ARGV_ROOM, sizeof(char *))};
    add(&argv, binary);
    add_basics(&argv, accel, machine);
    add_monitors(&argv, machine);
    add_firmware(&argv, machine);
    add_kernel(&argv, machine);
    add_bus(&argv, machine);
    add_devices(&argv, machine);
    return argv.items;
}
