/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_POSIX_H
#define TESTS_SIM_POSIX_H

#include "tests/sim/disk.h"

/*
 * The store's system calls on a simulated disk, for paths under /sim/: its lock, the
 * rack's identity, and its file before SQLite opens it. Linked with the Makefile's
 * $(sim_wraps), which sends these calls of our own objects here first (SQLite's own are not
 * touched: vfs.h is their way). Directories are there as soon as they are made.
 *
 * A lock dies with the process that holds it, as the kernel's does: when the disk is
 * stopped, its descriptors are dead, and closing them is all that is left to do.
 *
 * libsodium's randomness (the rack's seed, uids) is the disk's as well.
 */
void sim_posix_use(struct sim_disk *disk); /* borrowed; NULL: no path is ours any more */

/* How often a file that is not on the simulated disk was made durable. */
extern uint64_t sim_posix_syncs;
/* Which program this is, to whoever asks: another number is another program. */
extern uint64_t sim_posix_program;

#endif
