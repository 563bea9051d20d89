/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_VFS_H
#define TESTS_SIM_VFS_H

#include "tests/sim/disk.h"

/*
 * SQLite on a simulated disk (disk.h): files, locks, the shared memory of the write-ahead
 * log, randomness and time. It behaves as SQLite's own "unix" VFS does, its habit of
 * syncing the directory of a new journal or log included, so that what is proven here is
 * proven of the calls that the product makes.
 *
 * The store opens with SQLite's default VFS; a test makes this the default:
 *
 *     struct sim_disk disk;
 *     sim_disk_init(&disk, random, context);
 *     sim_vfs_register(&disk, "sim");
 *     store_open("/sim/state", STORE_WRITE, &store, &err);
 *
 * The state directory's other files (lock, rack) are reached by system calls: with
 * posix.h's linker wraps they lie on the same disk; without, in a real directory of
 * that name. A main database that is opened for writing is made if it is not there, since
 * the store makes its file by open(2) before SQLite sees it.
 *
 * To crash: stop the disk, or take its power, from `boundary` or between calls. Never
 * longjmp() out of SQLite. The code unwinds with I/O errors that change nothing; close the
 * store, start the disk, open again.
 */

/* Names it for `?vfs=` and makes it the default. `name` and `disk` are borrowed until
 * sim_vfs_unregister(). Several disks: the last registered is the default. */
void sim_vfs_register(struct sim_disk *disk, const char *name);
void sim_vfs_unregister(const char *name);

#endif
