/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_CGROUP_H
#define QEMU_CGROUP_H

/* Moves the calling process out of the service's control groups into "spinel.vms"
 * at the top of each hierarchy, so that stopping the service leaves machines alone.
 * Best effort: what cannot be left is kept. */
void cgroup_leave(void);

#endif
