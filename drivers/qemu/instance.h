/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_INSTANCE_H
#define QEMU_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/qemu/machine.h"
#include "drivers/qemu/process.h"

struct arena;
struct error;
struct qmp;
struct spinel_host;
struct spinel_op;
struct value;

/*
 * An instance as a call holds it: its run directory, its record, and the process that
 * runs it, if one does. Everything lives in the call's arena but the descriptors.
 *
 * record.json carries the ownership tag (native id: the uid), the machine with its
 * slots, and the spec that it was started with.
 */
struct instance {
    struct spinel_host *host;
    struct arena *arena;
    const char *uid;
    char uuid[37];
    const char *dir;
    int dir_fd;
    int pidfd;                 /* -1: no process */
    struct process process;    /* the last one, also when it has ended */
    bool has_process;          /* whether there ever was one that we know of */
    const char *tag;           /* as it stands in the record, or is to */
    const struct value *owner; /* the tag's content, verified */
    struct machine machine;
    int64_t user; /* user id that QEMU runs as; 0: ours */
    const char *accel_used, *accel_reason;
    int64_t stopping_since;     /* seconds since 1970 since we asked it to stop; 0: not */
    const struct value *booted; /* spec, frozen at start; devices follow hotplug */
    bool has_new_tag;           /* that is not in the record on disk yet */
};

/* ERR_NOT_FOUND if there is no run directory or no record in it; ERR_DENIED if the
 * record is not ours. */
int instance_open(struct spinel_host *host, const char *uid, struct instance *instance,
                  struct error *err);

/* As instance_open(), but makes directory and record, with the step's tag, when they are not there.
 */
int instance_make(struct spinel_host *host, const struct spinel_op *op, struct instance *instance,
                  struct error *err);
void instance_close(struct instance *instance);

/* Makes the tag anew from the step. It is on disk with the next instance_save(). */
void instance_tag(struct instance *instance, const struct spinel_op *op);

/* Writes the record, durable. */
int instance_save(struct instance *instance, struct error *err);

/* Looks for the process again, after it was started or may have ended. ERR_BUSY if it cannot be
 * told whether it still runs, or why its file cannot be read; `pidfd` is -1 then too. */
int instance_refresh(struct instance *instance, struct error *err);

/* Its monitor, for at most `timeout_ms` a command. ERR_BUSY if it does not answer. */
int instance_monitor(struct instance *instance, int64_t timeout_ms, struct qmp **qmp,
                     struct error *err);

/* Whether its CPUs are emulated, as far as the record tells. */
bool instance_is_emulated(const struct instance *instance);

/* Last line of QEMU's own log, for messages; "" if it said nothing. */
const char *instance_last_words(const struct instance *instance);

#endif
