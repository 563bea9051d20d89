/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_SHELL_H
#define RECONCILER_ENGINE_SHELL_H

#include <stdbool.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/site.h"
#include "model/value.h"

/*
 * The engine with its libev shell around it: what `serve` runs for ever, and what
 * `plan` and `apply` run in their own process when no daemon is up. Documents
 * are those of docs/control-protocol.md, so a caller does not care which it was.
 */
struct plan;
struct shell;

enum shell_mode {
    SHELL_READ,  /* observes and plans; changes nothing, takes no lock */
    SHELL_WRITE, /* takes the store's lock */
    SHELL_SERVE, /* opens neither store nor repository: for shell_serve(), whose core does */
};

/* Starts the site's drivers. `program` is argv[0], to find the drivers beside it:
 * site's driverDirs, then "<dir of program>/drivers", then the installed ones. */
int shell_open(const struct site *site, enum shell_mode mode, const char *program,
               struct shell **out, struct error *err);
void shell_close(struct shell *shell); /* stops the drivers; NULL is allowed */

/* A plan document for a commit (NULL: the branch's head). `is_cached`: from the stored
 * observation, without asking a driver. */
int shell_plan(struct shell *shell, struct arena *arena, const char *commit, bool is_cached,
               struct value **document, struct error *err);

/* The document that shell_plan() would make from the stored observation, without reading rows or
 * manifests: 1 with `*document` if nothing has changed since the rack was found to be as
 * declared; 0 if that cannot be told so cheaply. */
int shell_settled(struct shell *shell, struct arena *arena, const char *commit,
                  struct value **document);
/* The same for a commit that changes some manifests since: reads what has to do with these, and
 * neither other rows nor other manifests. `now` is the present plan of the whole, where there is
 * one; NULL: nobody has one. */
int shell_change(struct shell *shell, struct arena *arena, const char *commit,
                 const struct plan *now, struct value **document);

/* The plan of a commit that was not accepted yet, by what it changes of `base`. In the arena; NULL:
 * the whole has to be planned. */
struct changed;
const struct plan *shell_push_plan(struct shell *shell, struct arena *arena, const char *base,
                                   const char *commit, const struct changed *changes, size_t count);

/* {"unmanaged":[...],"orphans":[...]} as the last shell_plan() or shell_apply() found them;
 * NULL before. Borrowed until shell_close(). */
const struct value *shell_strangers(const struct shell *shell);

/* Called for each event as it happens; `event` is borrowed. */
typedef void shell_follow(void *context, const struct value *event);

/* A plan that was agreed to: this one is carried out, or none. */
struct agreed {
    const char *commit;
    const char *hash, *world; /* "": any plan for the commit */
    bool is_saved;            /* in a file, and good for one time; false: it was shown just now */
};

/*
 * Makes the branch's head the target (or carries out exactly the plan that was
 * agreed to, or refuses with ERR_STALE; NULL: whatever the head's plan is) and runs
 * passes until converged, nothing is left to run, `wait_s` is over, or *interrupted
 * is set by a signal handler. The plan document as it is afterwards goes to `*after`.
 */
int shell_apply(struct shell *shell, struct arena *arena, const struct agreed *agreed,
                int64_t wait_s, const volatile int *interrupted, shell_follow *follow,
                void *context, struct value **after, struct error *err);

/* The daemon: control socket, hook's messages, notices, resync, until SIGTERM. */
int shell_serve(struct shell *shell, struct error *err);

#endif
