/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_QMP_H
#define QEMU_QMP_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct error;
struct value;

/*
 * One connection to QEMU's monitor. A socket takes one client at a time: hold it
 * for as short as can be. Every call has a deadline; silence is ERR_BUSY, so that
 * a wedged QEMU costs one call. What is returned lives in the connection's arena.
 */
struct qmp;

/* Takes over `fd`, a connected stream socket, also on failure. Reads the greeting
 * and enters command mode. `timeout_ms` holds for each later call too. */
int qmp_start(struct arena *arena, int fd, int64_t timeout_ms, struct qmp **out, struct error *err);

/* Connects to the socket `name` in the directory `dir_fd` (its path may be longer
 * than a socket address), waiting its turn behind other clients of ours.
 * ERR_NOT_FOUND if nothing listens, ERR_BUSY on silence. */
int qmp_open(struct arena *arena, int dir_fd, const char *name, int64_t timeout_ms,
             struct qmp **out, struct error *err);

void qmp_close(struct qmp *qmp); /* NULL is allowed */

/*
 * Sends a command and waits for the reply with its id. `arguments` may be NULL,
 * `result` too. A refusal by QEMU is ERR_SYSTEM (ERR_NOT_FOUND for an unknown
 * device) with QEMU's own words.
 */
int qmp_call(struct qmp *qmp, const char *command, struct value *arguments,
             const struct value **result, struct error *err);

/* The same, handing over the descriptor `fd` (add-fd, getfd); it stays the caller's. */
int qmp_call_with_fd(struct qmp *qmp, const char *command, struct value *arguments, int fd,
                     const struct value **result, struct error *err);

/* As qmp_call() of "quit", for which the end of the connection is success. */
int qmp_quit(struct qmp *qmp, struct error *err);

/*
 * Waits until an event `name` has come whose data has `key` equal to `text` (any, if
 * `key` is NULL). Events that came with earlier replies count; each is used once.
 * `*data` (may be NULL) gets the event's data.
 */
int qmp_wait(struct qmp *qmp, const char *name, const char *key, const char *text,
             int64_t timeout_ms, const struct value **data, struct error *err);

#endif
