/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_ARGV_H
#define QEMU_ARGV_H

#include <stdbool.h>

struct arena;
struct disk;
struct machine;
struct nic;
struct value;

/*
 * QEMU's command line. It opens nothing by path: sockets, logs, images, disks and
 * taps are descriptors that the launcher leaves at these fixed numbers, so that
 * QEMU can run as a user who may open none of them, and the command line is a
 * function of the machine alone.
 */
enum inherited {
    FD_CONTROL = 10, /* listening: qmp.sock */
    FD_EVENTS,       /* listening: event.sock */
    FD_LAUNCHER,     /* connected: the launcher's own monitor */
    FD_SERIAL,       /* listening: serial.sock */
    FD_SERIAL_LOG,
    FD_KERNEL,
    FD_INITRD,
    FD_SEED,
    FD_FIRMWARE,
    FD_VARIABLES,
    FD_DISKS = 32, /* plus slot */
    FD_NICS = 192, /* plus slot */
    FD_END = 256,
};

/* Ids of QEMU's descriptor sets: a disk's is FDSET_DISKS plus its slot. */
enum { FDSET_SERIAL_LOG = 1, FDSET_SEED, FDSET_FIRMWARE, FDSET_VARIABLES, FDSET_DISKS = 16 };

/* NULL-terminated, in `arena`. `binary` is QEMU's path, `accel` kvm or tcg. */
char **argv_build(struct arena *arena, const char *binary, const char *accel,
                  const struct machine *machine);

/* Arguments for blockdev-add and device_add, the same at boot and later. The
 * nodes are named by disk_id(): "disk3" on top of "disk3-file". */
struct value *argv_file_node(struct arena *arena, const struct disk *disk);
struct value *argv_format_node(struct arena *arena, const struct disk *disk);
struct value *argv_disk_device(struct arena *arena, const struct disk *disk);
struct value *argv_nic_device(struct arena *arena, const struct nic *nic);

/* The uid in the form of a UUID, as -uuid takes it. `out` holds 37 bytes. */
const char *argv_uuid(const char *uid, char out[37]);

#endif
