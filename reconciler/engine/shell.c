/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The core under libev, in the process of whoever calls. `plan` and `apply` run it
 * until it is settled; the daemon (server/serve.c) runs it for ever. Each call
 * starts the drivers and ends them again: what they know is the world's, not theirs.
 */
#include "reconciler/engine/shell_state.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "model/durable.h"
#include "model/memory.h"

enum { PLAN_WAIT_S = 120 };

/* ---- open and close ----------------------------------------------------------------- */

static int state_dir_make(const struct site *site, struct error *err)
{
    struct stat st;
    if (stat(site->state_dir, &st) == 0)
        return 0;
    if (directory_make(site->state_dir, 0750, err) < 0)
        return error_wrap(err, "the state directory");
    return 0;
}

/* A plan before the first apply needs the rack's seed, so the store is made if missing; and one
 * after an upgrade, or after a first start that was cut short, brings it up to date. */
static int store_open_read(struct shell *shell, struct error *err)
{
    const char *dir = shell->site->state_dir;
    struct error why = ERROR_INIT;
    int status = store_open(dir, STORE_READ, &shell->store, &why);
    bool is_unready = status == ERR_NOT_FOUND || status == ERR_STALE;
    if (!is_unready) {
        if (status < 0)
            *err = why;
        return status;
    }
    if (store_open(dir, STORE_WRITE, &shell->store, err) < 0) {
        if (status == ERR_STALE)
            *err = why; /* says what would help */
        return err->code;
    }
    store_close(shell->store);
    shell->store = NULL;
    return store_open(dir, STORE_READ, &shell->store, err);
}

int shell_store_open(struct shell *shell, struct error *err)
{
    int status = state_dir_make(shell->site, err);
    if (status < 0)
        return status;
    if (shell->mode == SHELL_WRITE)
        return store_open(shell->site->state_dir, STORE_WRITE, &shell->store, err);
    return store_open_read(shell, err);
}

void shell_store_close(struct shell *shell)
{
    store_close(shell->store);
    shell->store = NULL;
}

static int stores_open(struct shell *shell, struct error *err)
{
    int status = shell_store_open(shell, err);
    return status < 0 ? status : source_open(shell->site, &shell->source, err);
}

/* No other daemon has it, so that it may be given to the user whom the core runs as. */
static int state_dir_reserve(const struct site *site, struct error *err)
{
    int status = state_dir_make(site, err);
    return status < 0 ? status : store_lock_test(site->state_dir, err);
}

int shell_open(const struct site *site, enum shell_mode mode, const char *program,
               struct shell **out, struct error *err)
{
    memory_settle();
    struct arena *arena = arena_new();
    struct shell *shell = arena_alloc(arena, sizeof *shell);
    shell->arena = arena;
    shell->site = site;
    shell->mode = mode == SHELL_READ ? SHELL_READ : SHELL_WRITE;
    shell->argv0 = program;
    shell->starter = &starter_own;
    int status = programs_find(arena, site, program, &shell->programs, &shell->program_count, err);
    if (status == 0)
        status = mode == SHELL_SERVE ? state_dir_reserve(site, err) : stores_open(shell, err);
    if (status < 0) {
        shell_close(shell);
        return status;
    }
    *out = shell;
    return 0;
}

void shell_close(struct shell *shell)
{
    if (!shell)
        return;
    shell_end(shell);
    source_close(shell->source);
    shell_store_close(shell);
    arena_free(shell->arena);
}

/* ---- begin and end ------------------------------------------------------------------ */

static const char *class_driver(void *context, const char *class)
{
    const struct shell *shell = context;
    return site_driver(shell->site, class);
}

static const struct value *driver_settings(void *context, const char *driver)
{
    const struct shell *shell = context;
    return site_settings(shell->site, driver);
}

static struct core_config config_make(struct shell *shell, struct arena *arena, bool effects,
                                      bool is_cached)
{
    const struct site *site = shell->site;
    const char **names = arena_array(arena, shell->program_count + 1, sizeof *names);
    for (size_t i = 0; i < shell->program_count; i++)
        names[i] = shell->programs[i].name;
    return (struct core_config){
        .rack = site->name,
        .rack_id = shell->rack_id,
        .state_dir = site->state_dir,
        .key_file = site->key_file,
        .drivers = names,
        .driver_count = shell->program_count,
        .driver_of = class_driver,
        .settings_of = driver_settings,
        .context = shell,
        .parallelism = (unsigned)site->parallelism,
        .resync_ms = 1000 * site->resync_s,
        .policy = {.budget_count = site->budget.count,
                   .budget_percent = site->budget.percent,
                   .collapse_percent = site->budget.collapse_percent},
        .made_by = shell_made_by(arena, site),
        .effects = effects,
        .cached = is_cached,
    };
}

static int config_read(struct shell *shell, struct core_config *config, struct error *err)
{
    int status = store_seed(shell->store, config->seed, err);
    return status < 0 ? status : store_rack_id(shell->store, shell->rack_id, err);
}

int shell_reader(struct shell *shell, struct arena *arena, struct core **reader, struct error *err)
{
    struct core_config config = config_make(shell, arena, false, true);
    int status = config_read(shell, &config, err);
    if (status < 0)
        return status;
    if (!shell->core)
        env_fill(shell);
    *reader = core_new(&shell->env, &config);
    status = core_start(*reader, err);
    if (status < 0)
        core_free(*reader);
    return status;
}

int shell_prepare(struct shell *shell, bool effects, bool is_cached, struct error *err)
{
    struct core_config config = config_make(shell, shell->arena, effects, is_cached);
    int status = config_read(shell, &config, err);
    if (status < 0)
        return status;
    shell->loop = ev_default_loop(EVFLAG_NOENV);
    if (!shell->loop)
        return error_set(err, ERR_SYSTEM, "cannot make an event loop");
    env_bind(shell);
    processes_open(shell);
    shell->core = core_new(&shell->env, &config);
    return 0;
}

int shell_begin(struct shell *shell, bool effects, bool is_cached, struct error *err)
{
    int status = shell_prepare(shell, effects, is_cached, err);
    if (status < 0)
        return status;
    shell->has_news = true;
    return core_start(shell->core, err);
}

void shell_end(struct shell *shell)
{
    if (!shell->core)
        return;
    processes_close(shell);
    env_unbind(shell);
    core_free(shell->core);
    shell->core = NULL;
}

const char *shell_user(struct arena *arena)
{
    const struct passwd *user = getpwuid(getuid());
    return user ? arena_text(arena, user->pw_name)
                : arena_printf(arena, "uid %u", (unsigned)getuid());
}

int shell_load(struct shell *shell, struct arena *arena, const char *commit, const struct set **set,
               struct report *report, struct error *err)
{
    return source_load(shell->source, shell->store, arena, commit, set, report, err);
}

/* ---- running until ------------------------------------------------------------------ */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void ticked(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop; /* it only makes the loop return, to look at the clock and at signals */
    (void)timer;
    (void)events;
}

/* Until settled, or a driver is down, or the time is over, or a signal came. */
static int shell_run(struct shell *shell, int64_t wait_s, const volatile int *interrupted,
                     struct error *err)
{
    int64_t until = now_ms() + 1000 * wait_s;
    int status = 0;
    ev_timer_init(&shell->tick, ticked, 0.25, 0.25);
    ev_timer_start(shell->loop, &shell->tick);
    while (!core_is_settled(shell->core) && now_ms() < until && !(interrupted && *interrupted)) {
        ev_run(shell->loop, EVRUN_ONCE);
        if (core_has_failed(shell->core, err) || core_is_refused(shell->core, err) ||
            core_driver_unusable(shell->core, err) || core_is_undriven(shell->core, err)) {
            status = err->code;
            break;
        }
        if (core_list_fails(shell->core))
            break;
    }
    ev_timer_stop(shell->loop, &shell->tick);
    return status;
}

/* Without any nobody would ever be heard of, or waited for with a reason. */
static int drivers_need(const struct shell *shell, struct error *err)
{
    if (shell->program_count)
        return 0;
    error_set(err, ERR_UNSUPPORTED, "spec.drivers in the site file names no driver");
    return error_hint(err, "For real machines: drivers: {instance: qemu, volume: file, network: "
                           "linux-vpc}. To try it: drivers: {default: sim}");
}

/* Drivers are on their way up while the commit is read. */
static void drivers_start(struct shell *shell)
{
    ev_run(shell->loop, EVRUN_NOWAIT); /* they are asked for ... */
    ev_run(shell->loop, EVRUN_NOWAIT); /* ... and started */
}

static int target_set(struct shell *shell, const char *commit, struct error *err)
{
    struct arena *arena = arena_new();
    struct report report;
    report_init(&report, arena);
    int status = core_target(shell->core, commit, shell_user(arena), &report, NULL, err);
    if (status < 0 && report.count) {
        const struct problem *first = &report.problems[0];
        error_set(err, ERR_INVALID, "commit %.12s: %zu errors, the first: %s:%u:%u: %s", commit,
                  report.count, first->at.file ? first->at.file : "", first->at.line,
                  first->at.column, first->message);
        error_hint(err, "See all of them with: spinel check --rev %.12s", commit);
    }
    arena_free(arena);
    return status;
}

static int commit_find(struct shell *shell, const char *commit, char hex[65], struct error *err)
{
    if (!commit)
        return source_head(shell->source, hex, err);
    snprintf(hex, 65, "%s", commit);
    return 0;
}

/* The core over an error, or for good. */
static int shell_finish(struct shell *shell, struct arena *arena, int status,
                        struct value **document, struct error *err)
{
    const struct plan *plan = shell->core ? core_plan(shell->core) : NULL;
    if (status == 0 && !plan && core_driver_problem(shell->core, err))
        status = err->code;
    if (status == 0 && !plan)
        status = error_set(err, ERR_BUSY, "no driver has answered in time");
    if (status == 0) {
        *document = plan_value(arena, plan);
        shell->strangers = core_strangers(shell->core, shell->arena);
    }
    shell_end(shell);
    return status;
}

const struct value *shell_strangers(const struct shell *shell)
{
    return shell->strangers;
}

int shell_plan(struct shell *shell, struct arena *arena, const char *commit, bool is_cached,
               struct value **document, struct error *err)
{
    char hex[65];
    int status = commit_find(shell, commit, hex, err);
    if (status == 0 && !is_cached)
        status = drivers_need(shell, err);
    if (status < 0)
        return status;
    status = shell_begin(shell, false, is_cached, err);
    if (status == 0 && !is_cached)
        drivers_start(shell);
    if (status == 0)
        status = target_set(shell, hex, err);
    if (status == 0)
        status = shell_run(shell, PLAN_WAIT_S, NULL, err);
    return shell_finish(shell, arena, status, document, err);
}

/* ---- apply -------------------------------------------------------------------------- */

int agreed_refuse(const struct agreed *agreed, const char *why, struct error *err)
{
    if (agreed->is_saved) {
        error_set(err, ERR_STALE, "the saved plan is stale: %s", why);
        return error_hint(err, "Make a new plan: spinel plan -o FILE");
    }
    error_set(err, ERR_STALE, "the plan is another one than was shown: %s; nothing was done", why);
    return error_hint(err, "To see the plan of now, and to be asked again: spinel apply");
}

int agreed_commit_check(const struct agreed *agreed, const char *head, struct error *err)
{
    char why[128];
    if (strcmp(agreed->commit, head) == 0)
        return 0;
    snprintf(why, sizeof why, "it is for commit %.12s, but the branch is at %.12s", agreed->commit,
             head);
    if (!agreed->is_saved)
        snprintf(why, sizeof why, "that was for commit %.12s, but the branch is at %.12s",
                 agreed->commit, head);
    return agreed_refuse(agreed, why, err);
}

static int agreed_use(struct shell *shell, const struct agreed *agreed, const char *head,
                      struct error *err)
{
    int status = agreed_commit_check(agreed, head, err);
    if (status == 0 && agreed->is_saved)
        status = store_plan_use(shell->store, agreed->hash, (int64_t)time(NULL), err);
    if (status < 0)
        return status;
    if (*agreed->hash)
        core_expect(shell->core, agreed->hash, agreed->world);
    return 0;
}

static int unseen_tell(struct error *err)
{
    error_set(err, ERR_BUSY,
              "not everything could be looked at in time, and so nobody can say "
              "whether the plan is still the same; nothing was done");
    return error_hint(err, "See what does not answer: spinel status");
}

/* The core knows of saved plans only. */
static int refusal_tell(const struct shell *shell, const struct agreed *agreed, struct error *err)
{
    const struct plan *plan = core_plan(shell->core);
    bool is_same_world = plan && strcmp(plan->world, agreed->world) == 0;
    return agreed_refuse(agreed,
                         is_same_world ? "approvals, freezes or time have changed what it would do"
                                       : "the world has changed since",
                         err);
}

int shell_apply(struct shell *shell, struct arena *arena, const struct agreed *agreed,
                int64_t wait_s, const volatile int *interrupted, shell_follow *follow,
                void *context, struct value **after, struct error *err)
{
    char head[65];
    int status = source_head(shell->source, head, err);
    if (status == 0)
        status = drivers_need(shell, err);
    if (status < 0)
        return status;
    shell->follow = follow;
    shell->follow_context = context;
    status = shell_begin(shell, true, false, err);
    if (status == 0 && agreed)
        status = agreed_use(shell, agreed, head, err);
    if (status == 0)
        status = target_set(shell, head, err);
    if (status == 0)
        status = shell_run(shell, wait_s, interrupted, err);
    if (status == 0 && core_is_expecting(shell->core) && !(interrupted && *interrupted))
        status = unseen_tell(err);
    if (agreed && !agreed->is_saved && shell->core && core_is_refused(shell->core, NULL))
        status = refusal_tell(shell, agreed, err);
    status = shell_finish(shell, arena, status, after, err);
    shell->follow = NULL;
    return status;
}
