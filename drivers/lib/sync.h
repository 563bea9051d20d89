/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_SYNC_H
#define DRIVER_SYNC_H

#include <stddef.h>

/* A file, or a directory, that is to be durable. */
struct to_sync {
    int fd;
    int failed; /* errno of its fsync; 0 if it is durable */
};

/* fsync of all of them. What a disk is asked to flush at the same time it flushes once, so they are
 * asked for by some threads, which end before this returns. */
void files_sync(struct to_sync *files, size_t count);

#endif
