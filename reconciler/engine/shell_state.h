/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_SHELL_STATE_H
#define RECONCILER_ENGINE_SHELL_STATE_H

#include <ev.h>
#include "reconciler/engine/channel.h"
#include "reconciler/engine/core.h"
#include "reconciler/engine/launcher.h"
#include "reconciler/engine/shell.h"
#include "reconciler/source/source.h"
#include "reconciler/store/store.h"

/*
 * The shell's own state, for shell*.c and the server.
 *
 *   shell.c         open, plan, apply
 *   shell_env.c     struct env over libev, SQLite and libgit2
 *   shell_driver.c  driver processes of our own
 *   shell_settled.c a plan without looking
 *   shell_change.c  a plan of what a commit changes
 *   server/         the daemon around it
 */

/* What a settled plan counts for (shell_settled.c); NULL if it cannot be told. */
const char *shell_made_by(struct arena *arena, const struct site *site);
/* The fact that the rack is as declared: {"commit","resources","world","observedAt"}; NULL if it is
 * not on record, or not for this program. */
const struct value *shell_settled_read(const struct site *site, struct store *store,
                                       struct arena *arena);

/* A driver's process, as the shell sees it. */
struct process {
    struct shell *shell;
    const struct program *program;
    struct channel channel;
    struct ev_child child; /* without a supervisor */
    pid_t pid;             /* 0 while it does not run */
    struct {
        int64_t since_ms; /* CLOCK_MONOTONIC */
        unsigned said, left_out;
    } heard; /* of what it says for the log, in the last seconds */
};

/* Who starts and kills driver processes: the shell itself, or a supervisor. */
struct starter {
    /* Attaches the channel now or later; a failure is told by process_ended(). */
    void (*start)(struct shell *shell, struct process *process);
    void (*kill)(struct shell *shell, struct process *process);
};

struct shell {
    struct arena *arena; /* as long as the shell */
    const struct site *site;
    enum shell_mode mode;
    const char *argv0;
    struct program *programs;
    size_t program_count;
    struct store *store;
    struct source *source;

    /* while something runs */
    struct ev_loop *loop;
    struct ev_timer timer, tick;
    struct ev_prepare prepare;
    bool has_news; /* the core is pumped before the loop sleeps */
    struct process *processes;
    const struct starter *starter;
    struct env env;
    struct core *core;
    char rack_id[33];
    bool is_serving;
    struct meter *meter;     /* of the daemon; NULL elsewhere */
    struct value *strangers; /* in the shell's arena; NULL before the first look */

    /* where events go; NULL allowed */
    void (*follow)(void *context, const struct value *event);
    void (*counted)(void *context, const struct event *event);
    void (*passed)(void *context, const struct pass *pass);
    void *follow_context;
    void (*after_pump)(void *context); /* the server answers whoever waits */
};

/* Makes loop, env, processes and a core that is still to be started. */
int shell_prepare(struct shell *shell, bool effects, bool is_cached, struct error *err);
/* The same, and starts it. */
int shell_begin(struct shell *shell, bool effects, bool is_cached, struct error *err);
/* A core of its own that only plans, from what the store has; beside another or not. */
int shell_reader(struct shell *shell, struct arena *arena, struct core **reader, struct error *err);
/* Ends the drivers and forgets the core. */
void shell_end(struct shell *shell);
int shell_store_open(struct shell *shell, struct error *err);
void shell_store_close(struct shell *shell);
/* One line of the log: name=value pairs, on standard error. */
void shell_log(struct shell *shell, const char *event, const char *key, const char *text);
const char *shell_user(struct arena *arena); /* the caller's name */

/* ERR_STALE: what was agreed to is not what would be done. `why` is the rest of a sentence. */
int agreed_refuse(const struct agreed *agreed, const char *why, struct error *err);
/* Refuses if the branch's head is another than that of the plan. */
int agreed_commit_check(const struct agreed *agreed, const char *head, struct error *err);
/* The set that a commit declares; ERR_INVALID with all problems in the report. */
int shell_load(struct shell *shell, struct arena *arena, const char *commit, const struct set **set,
               struct report *report, struct error *err);

void env_fill(struct shell *shell); /* without a loop: for what neither waits nor sends */
void env_bind(struct shell *shell);
void env_unbind(struct shell *shell);

void processes_open(struct shell *shell);
void processes_close(struct shell *shell);
void process_ended(struct process *process, const char *why);
extern const struct starter starter_own;

/* The event as docs/control-protocol.md has it. */
struct value *event_notice(struct arena *arena, const struct event *event);

#endif
