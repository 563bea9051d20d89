/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_PLUG_H
#define QEMU_PLUG_H

struct arena;
struct error;
struct instance;
struct qmp;
struct spinel_op;
struct value;

/* A running machine with its monitor held, for as long as one step changes it. */
struct live {
    struct instance *instance;
    struct arena *arena;
    struct qmp *qmp;
    const struct spinel_op *op; /* NULL outside of a step */
};

/* A command with one text argument (`key` NULL: none). */
int live_call(struct live *live, const char *command, const char *key, const char *text,
              struct error *err);

/* Asks the device to leave until it has left. ERR_BUSY if the guest does not let it go. */
int device_leave(struct live *live, const char *id, struct error *err);

/* Elements of the spec's lists, in and out. There already, or gone already, is success. */
int disk_attach(struct live *live, const struct value *element, struct error *err);
int disk_detach(struct live *live, const char *name, struct error *err);
int disk_set_boot_order(struct live *live, const struct value *element, struct error *err);
int nic_attach(struct live *live, const struct value *element, struct error *err);
int nic_detach(struct live *live, const char *name, struct error *err);
int nic_connect(struct live *live, const struct value *element, struct error *err);

/* Mends every NIC whose tap was replaced. */
int nics_mend(struct live *live, struct error *err);

#endif
