/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_STRAYS_H
#define DRIVER_STRAYS_H

#include <stdbool.h>
#include <sys/types.h>
#include "drivers/spinel-driver.h"

/*
 * What a call left that is not in its process group: a shell's job control and
 * timeout(1) make groups of their own. What called setsid() is none of it: that is how
 * a process says that it is to outlive the call and the driver (a launcher of VMs).
 *
 * Each call is the subreaper of what it starts. So whoever becomes a child of the main
 * process was left by a call that has ended.
 */

/* Kills them; whether there is one to wait for: they are gone once the main process has reaped
 * them. One that the kernel does not let go is not waited for without end. */
bool strays_kill(struct spinel_host *host);

/* Of a driver that led its session and is dead: kills whoever is left of it, until nobody is. */
void session_kill(pid_t session);

#endif
