/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_LAUNCHER_H
#define RECONCILER_ENGINE_LAUNCHER_H

#include <stddef.h>
#include <sys/types.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/site.h"

/* A driver's program, found once, before anything runs. */
struct program {
    const char *name; /* "file" */
    const char *path; /* absolute */
    /* What the site file says to it, which the core can then only repeat: as JSON, of
     * `initialize`. NULL: nothing is said. */
    const char *given;
};

/* Looks for the site's drivers in its driverDirs, "<dir of argv0>/drivers" and the
 * installed places. ERR_NOT_FOUND names the driver and where it was looked for. */
int programs_find(struct arena *arena, const struct site *site, const char *argv0,
                  struct program **out, size_t *count, struct error *err);

/* A driver that runs: our ends of its streams. Close-on-exec. */
struct launched {
    pid_t pid; /* leads a session of its own */
    int to_in, from_out, from_err;
};

/* Starts the program with an empty command line. It is killed when the calling
 * process dies. What drivers of this site left that died with whoever started them is killed
 * first: ERR_BUSY if it does not die. ERR_SYSTEM if the program cannot be executed at all. */
int program_launch(const struct program *program, struct launched *out, struct error *err);

/* How a status of waitpid() reads: "exit status 1", "signal 9 (Killed)". */
const char *exit_text(int status, char *buf, size_t size);

#endif
