/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_LAUNCH_H
#define QEMU_LAUNCH_H

#include <stddef.h>
#include <sys/types.h>

struct error;
struct process;

/* What QEMU is started with. Descriptors are the caller's and stay open in it. */
struct launch {
    char **argv;
    int dir_fd; /* run directory */
    uid_t user; /* 0: whoever we are */
    gid_t group;
    struct launch_fd {
        int from; /* here */
        int to;   /* in QEMU; FD_CONTROL and up (argv.h) */
    } * fds;
    size_t fd_count;
};

/*
 * Starts QEMU under a launcher that outlives us: a session of its own, outside our
 * control groups, which holds one of QEMU's monitors, waits, and writes exit.json. On
 * success QEMU has been executed (stopped before its first instruction, by -S) and
 * process.json is on disk.
 */
int launch_start(const struct launch *launch, struct process *process, struct error *err);

#endif
