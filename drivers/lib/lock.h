/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_LOCK_H
#define DRIVER_LOCK_H

#include "drivers/lib/host.h"

/*
 * One process drives a state directory; others may observe it at the same time. The
 * lock file "<own dir>/lock" is held with POSIX record locks because a child does not
 * inherit them: byte 0 belongs to the main process that applies, and each call's
 * process shares byte 1, so that a successor can tell when the last call of its
 * predecessor is dead. A VM launcher that outlives us holds neither.
 */

/* Becomes the one that drives. ERR_BUSY, naming the process, if another one does. */
int lock_take(struct spinel_host *host, struct error *err);

/* In the process of a call. */
void lock_share(struct spinel_host *host);

#endif
