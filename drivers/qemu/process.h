/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_PROCESS_H
#define QEMU_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "drivers/lib/proc.h"

struct arena;
struct error;

/*
 * Which process a machine is. A pid alone says nothing: it may be another's by
 * now. With its start time, the boot it belongs to and the uuid on its command
 * line it cannot be mistaken. The launcher writes this to process.json in the run
 * directory before QEMU starts, and exit.json when it has ended.
 */
struct process {
    pid_t pid;
    pid_t launcher;
    uint64_t start; /* field 22 of /proc/PID/stat, in clock ticks since boot */
    uint64_t launcher_start;
    int64_t since; /* seconds since 1970 */
    char boot[BOOT_ID_TEXT];
};

/* How it ended, from exit.json. */
struct process_exit {
    int code;           /* -1 if a signal ended it */
    int signal;         /* 0 if it exited by itself */
    int64_t at;         /* seconds since 1970 */
    const char *event;  /* QEMU's last word: "SHUTDOWN", "GUEST_PANICKED", or NULL */
    const char *reason; /* of a SHUTDOWN: "guest-shutdown", "host-qmp-quit", ... or NULL */
};

/* 1; 0: the file is missing, or tells of none; or <0: it cannot be read. */
int process_read(struct arena *arena, int dir_fd, struct process *process, struct error *err);
/* False when the file is missing, or is not of the process asked for. */
bool process_read_exit(struct arena *arena, int dir_fd, const struct process *process,
                       struct process_exit *out);

int process_write(int dir_fd, const struct process *process, struct error *err);
/* `event` is the line that QEMU's monitor sent, as it came, or NULL. What is no JSON is left out.
 */
int process_write_exit(int dir_fd, pid_t pid, int wait_status, const char *event,
                       struct error *err);

/* A pidfd of the process if it lives and is ours: to be polled, signalled and
 * closed. Else PROC_GONE or PROC_UNTOLD. */
int process_open(const struct process *process, const char *uuid);
int process_open_launcher(const struct process *process);

/* The pid of any process that runs a machine with this uuid, 0 if there is none; ERR_BUSY if nobody
 * can tell. One counts if it runs as a user of machines, or as we do and is `program`, which is to
 * stay. */
void process_trust(const char *program, bool (*is_machines_user)(uid_t user));
int process_find(const char *uuid, pid_t *pid, struct error *err);

#endif
