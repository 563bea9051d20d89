/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_RUNDIR_H
#define QEMU_RUNDIR_H

#include <stddef.h>

struct arena;
struct error;

/*
 * The run directory of an instance, by descriptor. That it is there, or is gone, is durable
 * before it is said. Files in it are replaced whole: a reader sees the old or the new, also
 * after a crash.
 *
 *   record.json   ownership tag, machine, booted spec     (record.h)
 *   process.json  which process runs it                   (process.h)
 *   exit.json     how that process ended
 *   qmp.sock      QEMU's monitor, one client at a time
 *   event.sock    a second monitor, for whoever watches
 *   serial.sock   the console; serial.log is all that it ever printed
 *   qemu.log      what QEMU wrote to its standard error
 */
int rundir_open(const char *path, int *dir_fd, struct error *err); /* ERR_NOT_FOUND */
int rundir_make(const char *path, int *dir_fd, struct error *err); /* there already is fine */
int rundir_remove(const char *path, int dir_fd, struct error *err);

/* The file's text (at most 4 MiB), or NULL with the error set. */
char *rundir_read(struct arena *arena, int dir_fd, const char *name, struct error *err);

/* A listening socket, mode 0600, in place of what was there. */
int rundir_listen(int dir_fd, const char *name, int *out, struct error *err);

#endif
