/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The daemon. This process becomes the supervisor; the core runs in a child that
 * opens store, repository and socket for itself, takes the branch's head for its
 * target and then sleeps until something happens.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "model/invariant.h"
#include "reconciler/engine/shell.h"
#include "reconciler/server/meter.h"
#include "reconciler/server/server.h"
#include "reconciler/server/supervisor.h"
#include "reconciler/server/web.h"

/* ---- what is counted ---------------------------------------------------------------- */

static void event_count(void *context, const struct event *event)
{
    struct server *server = context;
    meter_event(server->shell->meter, event);
    outcome_event(server, event);
}

static void pass_count(void *context, const struct pass *pass)
{
    const struct server *server = context;
    meter_pass(server->shell->meter, pass, (int64_t)time(NULL));
}

static void commit_count(void *context, int64_t ns)
{
    const struct shell *shell = context;
    meter_add(&shell->meter->commits, ns);
}

/* ---- the core's process ------------------------------------------------------------- */

void server_stop(struct server *server)
{
    server->is_stopping = true;
    if (!server->loading)
        core_stop(server->shell->core);
    ev_break(server->shell->loop, EVBREAK_ALL);
}

static void signal_came(struct ev_loop *loop, struct ev_signal *signal, int events)
{
    (void)loop;
    (void)events;
    server_stop(signal->data);
}

static void signals_watch(struct server *server)
{
    struct ev_loop *loop = server->shell->loop;
    ev_signal_init(&server->terminate, signal_came, SIGTERM);
    ev_signal_init(&server->interrupt, signal_came, SIGINT);
    server->terminate.data = server->interrupt.data = server;
    ev_signal_start(loop, &server->terminate);
    ev_signal_start(loop, &server->interrupt);
}

/* Said once, and shown by `spinel status` for as long as it is so. */
static void head_problem_set(struct server *server, const struct error *why)
{
    char problem[ERROR_LINE];
    if (!strcmp(error_line(why, problem), server->head_problem))
        return;
    memcpy(server->head_problem, problem, sizeof problem);
    if (why->code != ERR_INVALID) /* the core has told that one */
        core_announce(server->shell->core, "head.unreadable", NULL, problem);
}

/* Before the first push there is no branch, and nothing is wrong with that. */
static bool is_before_first_push(struct server *server)
{
    struct arena *arena = arena_new();
    struct error ignored = ERROR_INIT;
    struct revision target;
    bool is_first = store_revision_target(server->shell->store, arena, &target, &ignored) < 0;
    arena_free(arena);
    return is_first;
}

/* A branch that is gone, or that a power cut has left as an empty file. */
static void head_missed(struct server *server, const struct error *why)
{
    server->refused[0] = '\0';
    if (why->code == ERR_NOT_FOUND && is_before_first_push(server))
        server->head_problem[0] = '\0';
    else
        head_problem_set(server, why);
}

int server_take_head(struct server *server, struct error *err)
{
    struct shell *shell = server->shell;
    struct arena *arena = arena_new();
    struct report report;
    char head[65] = "";
    report_init(&report, arena);
    int status = source_head(shell->source, head, err);
    if (status < 0) {
        head_missed(server, err);
        arena_free(arena);
        return 0;
    }
    bool is_refused = strcmp(head, server->refused) == 0;
    if (!is_refused && strcmp(head, core_commit(shell->core)))
        status = core_target(shell->core, head, "", &report, NULL, err);
    if (!is_refused) /* told anew if it comes again */
        server->refused[0] = '\0';
    if (status == ERR_INVALID)
        memcpy(server->refused, head, sizeof head);
    if (status == ERR_INVALID || status == ERR_CORRUPT || status == ERR_NOT_FOUND)
        head_problem_set(server, err);
    else if (!is_refused)
        server->head_problem[0] = '\0';
    if (status == ERR_NOT_FOUND || status == ERR_INVALID || status == ERR_CORRUPT)
        status = 0;
    arena_free(arena);
    return status;
}

static void life_announce(struct server *server, const char *type, const char *text)
{
    struct arena *arena = arena_new();
    struct value *data = value_map(arena);
    value_set_int(arena, data, "pid", server->supervisor);
    core_announce(server->shell->core, type, data, text);
    core_pump(server->shell->core);
    arena_free(arena);
}

/* By a thread, beside the loop. */
static int set_load(struct server *server, struct error *err)
{
    struct shell *shell = server->shell;
    int status = source_open(shell->site, &shell->source, err);
    if (status == 0)
        status = core_start(shell->core, err);
    return status < 0 ? status : server_take_head(server, err);
}

/* What waited is served before the first look: who froze everything has done so in time. */
static void set_loaded(struct server *server, int status, struct error *err)
{
    if (status < 0) {
        server->failure = *err;
        ev_break(server->shell->loop, EVBREAK_ALL);
        return;
    }
    server_kept_serve(server);
    life_announce(server, "daemon.started", "the daemon has started");
    server->shell->has_news = true;
    remote_ready(server);
    checking_begin(server);
}

static int core_open(struct server *server, struct error *err)
{
    struct shell *shell = server->shell;
    int status = shell_store_open(shell, err);
    if (status == 0)
        store_watch_commits(shell->store, commit_count, shell);
    if (status == 0)
        status = shell_prepare(shell, true, false, err);
    if (status < 0)
        return status;
    remote_open(server);
    signals_watch(server);
    status = server_open(server, err);
    if (status < 0)
        return status;
    remote_answers(server);
    return loading_begin(server, set_load, set_loaded, err);
}

/* It ends because it was told to, because it failed, or because it and the supervisor cannot
 * hear each other any more: then the supervisor, which lives, has to start another. */
static int core_run(struct server *server, struct error *err)
{
    struct shell *shell = server->shell;
    ev_run(shell->loop, 0);
    if (server->loading) { /* and does not hear that it is over */
        server_close(server);
        _exit(!server->is_stopping);
    }
    if (server->failure.code) {
        *err = server->failure;
        return err->code;
    }
    if (server->is_stopping)
        life_announce(server, "daemon.stopping", "the daemon stops; machines go on running");
    if (core_has_failed(shell->core, err))
        return err->code;
    return server->is_stopping ? 0 : error_set(err, ERR_SYSTEM, "lost the supervisor");
}

static int core_process(void *context, int channel, pid_t supervisor)
{
    struct shell *shell = context;
    struct error err = ERROR_INIT;
    struct server server = {.shell = shell,
                            .fd = -1,
                            .channel = channel,
                            .supervisor = supervisor,
                            .since = (int64_t)time(NULL)};
    signal(SIGPIPE, SIG_IGN);
    shell->starter = &starter_remote;
    shell->is_serving = true;
    shell->follow = server_event;
    shell->after_pump = server_after_pump;
    shell->counted = event_count;
    shell->passed = pass_count;
    shell->follow_context = &server;
    int status = core_open(&server, &err);
    if (status == 0)
        status = core_run(&server, &err);
    if (status < 0 && remote_refuse(&server, &err) < 0)
        fprintf(stderr, "spinel: %s\n", err.message);
    server_close(&server);
    outcome_close(&server);
    if (server.checking) { /* its thread has seconds to go, and the loop is its, too */
        fflush(NULL);
        _exit(status < 0);
    }
    shell->after_pump = NULL;
    shell->follow = NULL;
    shell->counted = NULL;
    shell->passed = NULL;
    shell_end(shell);
    return status < 0;
}

static int web_process(void *context)
{
    struct shell *shell = context;
    return web_run(shell->site, shell->argv0, shell->meter);
}

/* ---- the supervisor's --------------------------------------------------------------- */

int shell_serve(struct shell *shell, struct error *err)
{
    const struct supervisor_plan plan = {
        .programs = shell->programs,
        .program_count = shell->program_count,
        .user = shell->site->user,
        .web_user = shell->site->web_user,
        .state_dir = shell->site->state_dir,
        .key_file = shell->site->key_file,
        .log_format = shell->site->log_format,
        .core = core_process,
        .web = shell->site->web_listen ? web_process : NULL,
        .context = shell,
    };
    /* The core opens its own: neither SQLite nor libgit2 may be carried over a fork. */
    invariant(!shell->store && !shell->source, "the supervisor has opened a store");
    int status = meter_map(&shell->meter, err);
    return status < 0 ? status : supervisor_run(&plan, err);
}
