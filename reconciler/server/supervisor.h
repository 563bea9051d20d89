/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SERVER_SUPERVISOR_H
#define RECONCILER_SERVER_SUPERVISOR_H

#include <sys/types.h>
#include "model/error.h"
#include "reconciler/engine/launcher.h"

/*
 * The supervisor: starts the core and the drivers, watches them, and kills what the
 * core asks it to or what the core left behind. It parses nothing but the fixed
 * message below and runs only programs that were found before it began.
 */

/* Over a SOCK_SEQPACKET pair. A driver is named by its index among the programs. */
enum supervisor_verb {
    SUPERVISOR_START,   /* from the core */
    SUPERVISOR_KILL,    /* from the core */
    SUPERVISOR_ANSWERS, /* from the core: its socket is open, and the viewer may begin */
    SUPERVISOR_READY,   /* from the core: what it needs is loaded, and it serves */
    SUPERVISOR_REFUSED, /* from the core: text and hint say why it cannot start */
    SUPERVISOR_STARTED, /* to the core; three descriptors come along: to_in, from_out, from_err */
    SUPERVISOR_ENDED,   /* to the core; status as of waitpid() */
    SUPERVISOR_FAILED,  /* to the core; text says why it could not be started */
};

struct supervisor_message {
    enum supervisor_verb verb;
    unsigned driver;
    pid_t pid;
    int status;
    char text[sizeof((struct error *)0)->message];
    char hint[sizeof((struct error *)0)->hint];
};

int supervisor_send(int fd, const struct supervisor_message *message, const int *fds, int count);
/* 1 with a message, 0 if there is none now, -1 at the end. `fds` holds three; those that
 * did not come are -1. */
int supervisor_receive(int fd, struct supervisor_message *message, int fds[3]);

/* Closes those that came and are not kept. */
void supervisor_fds_close(int fds[3]);

struct supervisor_plan {
    const struct program *programs;
    size_t program_count;
    const char *user;     /* that the core runs as; NULL: the same. For root only */
    const char *web_user; /* that the viewer runs as; NULL: as the core does */
    const char *state_dir;
    const char *key_file;   /* NULL: there is none */
    const char *log_format; /* as log_write() takes it */
    /* The core's life, in a process of its own. Returns its exit status. */
    int (*core)(void *context, int channel, pid_t supervisor);
    /* The viewer's life, likewise; NULL: none. It begins once the core answers, and again a
     * while after it has ended. */
    int (*web)(void *context);
    void *context;
};

/* Runs until SIGTERM or SIGINT, or until the core ends with status 0 or refuses to start
 * (another status before it was ready). Returns 0, or the reason. */
int supervisor_run(const struct supervisor_plan *plan, struct error *err);

#endif
