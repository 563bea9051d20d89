/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_DURABLE_H
#define MODEL_DURABLE_H

#include <stddef.h>
#include <sys/types.h>

struct error;

/*
 * Files and names that a power loss leaves as they were said to be. A file is durable once it is
 * synced, and its name once its directory is.
 */

/* All of it, in as many writes as it takes. -1 with errno set. */
int write_all(int fd, const void *data, size_t len);

/* A file that was not there before, 0600, close-on-exec, by its name in a directory (AT_FDCWD: by
 * its path); `flags` say how it is opened, O_WRONLY or O_RDWR, and more. What stood under the name
 * (the draft of a process that died, or a link that somebody else put there) goes, and is never
 * written to. -1 with errno set if it cannot be made. */
int fresh_open(int dir_fd, const char *name, int flags);

int directory_sync(const char *path, struct error *err);

/* Of the directory that holds the name: that it is there, or is gone. */
int parent_sync(const char *path, struct error *err);

/* One directory and its name. One that is there already is fine, and its name not synced. */
int directory_make(const char *path, mode_t mode, struct error *err);

/* A file with these bytes and mode 0600 under the name, in place of what was there: at any time it
 * is whole, the old one or the new. `file_create` is ERR_CONFLICT if there is one. A process that
 * dies in between leaves ".<name>.<pid>". */
int file_replace(int dir_fd, const char *name, const void *data, size_t len, struct error *err);
int file_create(int dir_fd, const char *name, const void *data, size_t len, struct error *err);

#endif
