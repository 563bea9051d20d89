/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_LOOK_H
#define QEMU_LOOK_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct instance;
struct qmp;
struct spinel_object;
struct value;

/* Fills `object` from the process, its monitor and its taps. ERR_BUSY if a living
 * process does not answer: unknown. */
int instance_look(struct instance *instance, struct spinel_object *object, struct error *err);

/* A short text that changes when instance_look() would say something else. */
const char *instance_etag(struct instance *instance);

/* Why the last process ended, as a word: guest-shutdown, guest-reset, guest-panic,
 * requested, killed, crash, host-reboot, unknown; and as "process exited: signal 9". */
const char *instance_exit_reason(const struct instance *instance);
const char *instance_exit_text(const struct instance *instance);

/* Memory that the guest has now, in bytes, by its balloon. */
int memory_actual(struct qmp *qmp, int64_t *bytes, struct error *err);

/* Whether QEMU has a device with this id (it has left only when it is gone from here). */
int device_present(struct qmp *qmp, const char *id, bool *present, struct error *err);

#endif
