/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_MACHINE_H
#define QEMU_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct spinel_op;
struct value;

/*
 * A virtual machine as this driver builds it: what the spec says, with every
 * reference turned into a path or a name, and a fixed slot for each device. It is
 * pure data, made from a step or read back from the record.
 *
 * A slot is where a device stays for as long as the instance has it, so that
 * adding a NIC never renumbers a disk. 0 to SLOT_SCSI - 1 are PCI root ports;
 * from SLOT_SCSI on, targets of the one SCSI controller.
 */
enum { MACHINE_DISKS = 32, MACHINE_NICS = 16, SLOT_SCSI = 64, SLOT_NONE = -1, SLOT_ID = 16 };

struct disk {
    const char *name;
    const char *volume; /* name, as the manifest has it */
    const char *volume_uid;
    const char *path;
    const char *format; /* raw or qcow2 */
    const char *bus;    /* virtio or scsi */
    const char *serial;
    bool read_only;
    int64_t boot_order; /* 0: not given */
    int slot;
};

struct nic {
    const char *name;
    const char *uid;
    const char *mac;
    const char *address; /* NULL if none was chosen */
    const char *netns;   /* file name under /run/netns */
    const char *tap;
    bool connected;
    int slot;
    int fd; /* QEMU's own descriptor of the tap; -1 if unknown */
};

struct machine {
    const char *uid;
    const char *title;     /* project/name */
    const char *type;      /* pc-q35-7.2 */
    const char *accel;     /* as wanted: auto, kvm, tcg */
    const char *cpu_model; /* NULL: by accelerator */
    int64_t cpus, max_cpus;
    int64_t memory, max_memory; /* bytes, at boot */
    int64_t target;             /* bytes: memory as last asked for */
    bool uefi;
    bool serial;
    const char *kernel; /* paths, NULL without direct kernel boot */
    const char *initrd;
    const char *cmdline;
    const char *seed; /* path, NULL without cloud-init */
    struct disk disks[MACHINE_DISKS];
    size_t disk_count;
    struct nic nics[MACHINE_NICS];
    size_t nic_count;
    int spare_ports; /* beside those in use */
    int ports;       /* root ports of the running machine; set by machine_place() */
};

/* From a step's spec and refs; texts are borrowed from them or live in `arena`.
 * ERR_INVALID when a reference has nothing behind it. Slots are SLOT_NONE. */
int machine_from_op(struct arena *arena, const char *state_dir, const struct spinel_op *op,
                    struct machine *machine, struct error *err);

/* One disk or NIC of the spec, for attaching it alone. */
int machine_disk(struct arena *arena, const char *state_dir, const struct spinel_op *op,
                 const struct value *element, struct disk *disk, struct error *err);
int machine_nic(struct arena *arena, const struct spinel_op *op, const struct value *element,
                struct nic *nic, struct error *err);

/* Gives every device a slot: the one that `before` (may be NULL) gave to the
 * same name on the same bus, else the lowest free one. Sets `ports`. */
void machine_place(struct machine *machine, const struct machine *before);

/* A slot on `bus` that no device of the running machine has; SLOT_NONE if it is full. */
int machine_free_slot(const struct machine *machine, const char *bus);

struct disk *machine_find_disk(struct machine *machine, const char *name);
struct nic *machine_find_nic(struct machine *machine, const char *name);
void machine_drop_disk(struct machine *machine, const struct disk *disk);
void machine_drop_nic(struct machine *machine, const struct nic *nic);

/* The device ids that QEMU knows them by: "disk3", "nic4"; and of a disk's nodes. */
const char *disk_id(const struct disk *disk, char out[SLOT_ID]);
const char *nic_id(const struct nic *nic, char out[SLOT_ID]);

/* For the record, and back. Reading keeps texts in `arena`; what does not fit is ERR_CORRUPT. */
struct value *machine_value(struct arena *arena, const struct machine *machine);
int machine_read(const struct value *value, struct machine *machine, struct error *err);

#endif
