/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_LIVE_H
#define QEMU_LIVE_H

#include <stdint.h>

struct error;
struct instance;
struct spinel_op;

/*
 * Brings the step's changed fields to a running machine, and mends what can be mended
 * without a restart: replaced taps, a machine paused by a full disk. Every change is
 * tried; the first failure is returned. ERR_UNSUPPORTED: only a restart can do it.
 */
int live_update(struct instance *instance, const struct spinel_op *op, struct error *err);

/* Grows the disk that is backed by the volume `uid`. ERR_NOT_FOUND if it has none. */
int live_grow(struct instance *instance, const char *uid, int64_t bytes, struct error *err);

#endif
