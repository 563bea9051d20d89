/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_POWER_H
#define QEMU_POWER_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct instance;
struct settings;
struct spinel_op;

/* Starts the machine as the step's spec says, or finishes a start that was cut
 * short. Running already is success. */
int power_on(struct instance *instance, const struct settings *settings, const struct spinel_op *op,
             struct error *err);

/*
 * How a machine is stopped. The guest is asked by ACPI for `grace_s` seconds, counted
 * from the first time it was asked, over several calls if need be (ERR_BUSY while it
 * still has time); then the process is ended.
 */
struct stop {
    bool ask;
    int64_t grace_s;
};
struct stop stop_read(const struct spinel_op *op, const struct instance *instance);
int power_off(struct instance *instance, struct stop stop, struct error *err);

#endif
