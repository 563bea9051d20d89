/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_GUARD_H
#define DRIVER_GUARD_H

#include <sys/types.h>

/*
 * What stays when the main process is killed: a process that does nothing but wait for
 * that, and then kills the process groups of the calls that were running, and whoever
 * else is left of the driver's session if it had one of its own. The kernel does it
 * for a call's own process only, not for what a script started beyond.
 */

/* Starts the guard; the end to write to, or -1. */
int guard_start(void);

/* In a call's process, before its callback: its group is to die with the driver. */
void guard_enter(int guard_fd);
/* In the main process: that group is empty. */
void guard_leave(int guard_fd, pid_t group);

#endif
