/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_PROC_H
#define DRIVER_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/*
 * Processes that outlive the driver, told apart for certain. A pid is pinned by a pidfd before
 * anything of it is believed, and is signalled by that alone. What a process says of itself, its
 * command line, anybody can say: it counts together with who runs it and what it runs.
 */

/* The kernel's name of this boot; "" if it tells none. */
enum { BOOT_ID_TEXT = 37 };
void proc_boot_id(char out[BOOT_ID_TEXT]);

/* Start time in clock ticks since boot, field 22 of /proc/PID/stat; 0: it is gone, or has ended. */
uint64_t proc_start_time(pid_t pid);

/* What follows asks /proc: 1 yes, 0 no, or it has ended. PROC_UNTOLD: nobody can tell, for lack of
 * a descriptor or of memory; who takes that for gone starts a second one. */
enum { PROC_GONE = -1, PROC_UNTOLD = -2 };

/* Whether the first argument that is `name` is followed by `value`; NULL: whether it is there. */
int proc_has_argument(pid_t pid, const char *name, const char *value);

/* Who runs it, if it is the same in every respect: of a program that is set to run as another user
 * it is not, and its arguments are those of whoever called it. */
int proc_owner(pid_t pid, uid_t *owner);

/* Whether it runs `program`, a name or a path, by the name of its file: an upgrade may have
 * replaced the file. Means nothing without the owner. */
int proc_runs(pid_t pid, const char *program);

/* A pidfd of the process that had this pid and start time in that boot: ticks begin again with
 * each. PROC_GONE: it is gone, or has ended. Or PROC_UNTOLD. */
int proc_open(pid_t pid, uint64_t start, const char *boot);

/* Waits for a child of ours, whose number is nobody else's until then: how it ended. `err` says of
 * `name` that it cannot be told how. */
int proc_reap(pid_t pid, const char *name, int *status, struct error *err);

/* A pidfd of any process for which `is_it` is 1, and its pid. PROC_GONE: there is none.
 * PROC_UNTOLD: none was found, and of some nobody can tell. */
int proc_find(int (*is_it)(pid_t pid, const void *context), const void *context, pid_t *pid);

/* Waits for its end; false if `timeout_ms` passes first. */
bool proc_wait(int pidfd, int64_t timeout_ms);
int proc_signal(int pidfd, int number);

#endif
