/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The seam in production: the kernel's clocks, libsodium's random bytes, one libev
 * timer, driver processes, the store and the repository. The core is pumped once
 * before the loop sleeps, however much has happened since it last slept, so that
 * many messages share one transaction.
 */
#include "reconciler/engine/log.h"
#include "reconciler/engine/part.h"
#include "reconciler/engine/shell_state.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "model/json.h"
#include "model/text.h"
#include "reconciler/engine/probes.h"

/* Of a driver's lines in the log. */
enum { HEARD_FOR_MS = 10000, HEARD_MAX = 200 };

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t env_mono_ms(void *context)
{
    (void)context;
    return clock_ms(CLOCK_BOOTTIME);
}

static int64_t env_wall_ms(void *context)
{
    (void)context;
    return clock_ms(CLOCK_REALTIME);
}

static void env_random(void *context, void *out, size_t len)
{
    (void)context;
    randombytes_buf(out, len);
}

static void env_timer(void *context, int64_t mono_ms)
{
    struct shell *shell = context;
    ev_timer_stop(shell->loop, &shell->timer);
    if (mono_ms < 0)
        return;
    int64_t wait = mono_ms - clock_ms(CLOCK_BOOTTIME);
    ev_now_update(shell->loop);
    ev_timer_set(&shell->timer, wait > 0 ? (double)wait / 1000.0 : 0.001, 0.0);
    ev_timer_start(shell->loop, &shell->timer);
}

static void timer_fired(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct shell *shell = timer->data;
    (void)loop;
    (void)events;
    core_timer(shell->core);
    shell->has_news = true;
}

static void before_sleep(struct ev_loop *loop, struct ev_prepare *prepare, int events)
{
    struct shell *shell = prepare->data;
    (void)events;
    /* A pump may bring news at once: a driver that cannot be started. */
    for (int i = 0; shell->has_news && i < 8; i++) {
        shell->has_news = false;
        core_pump(shell->core);
    }
    if (shell->after_pump)
        shell->after_pump(shell->follow_context);
    if (!shell->is_serving && core_is_settled(shell->core))
        ev_break(loop, EVBREAK_ONE); /* what shell_run() waits for is there: do not sleep on it */
}

/* ---- drivers ------------------------------------------------------------------------ */

static struct process *process_find(struct shell *shell, const char *driver)
{
    for (size_t i = 0; i < shell->program_count; i++)
        if (!strcmp(shell->programs[i].name, driver))
            return &shell->processes[i];
    return NULL;
}

/* The driver is asked for from the loop, because the answer "it cannot be started" may
 * come at once and the core must not be called from within itself. */
static void start_later(int revents, void *arg)
{
    struct process *process = arg;
    (void)revents;
    if (process->shell->processes && !process->pid)
        process->shell->starter->start(process->shell, process);
}

static void env_driver_start(void *context, const char *driver)
{
    struct shell *shell = context;
    ev_once(shell->loop, -1, 0, 0.0, start_later, process_find(shell, driver));
}

static void env_driver_send(void *context, const char *driver, const struct value *message)
{
    struct process *process = process_find(context, driver);
    struct text line = TEXT_INIT;
    json_write(&line, message);
    channel_send(&process->channel, line.data, line.len);
    text_free(&line);
}

static void env_driver_kill(void *context, const char *driver)
{
    struct shell *shell = context;
    shell->starter->kill(shell, process_find(shell, driver));
}

/* ---- events and log ----------------------------------------------------------------- */

struct value *event_notice(struct arena *arena, const struct event *event)
{
    struct value *value = value_map(arena);
    value_set_int(arena, value, "seq", event->seq);
    value_set_text(arena, value, "at", core_time_text(arena, event->at_ms));
    value_set_text(arena, value, "type", event->type);
    value_set_text(arena, value, "text", event->text);
    value_set_text(arena, value, "uid", event->uid);
    value_set_text(arena, value, "kind", event->kind);
    value_set_text(arena, value, "project", event->project);
    value_set_text(arena, value, "name", event->name);
    value_set(arena, value, "data",
              event->data ? value_copy(arena, event->data) : value_map(arena));
    return value;
}

static void log_line(struct shell *shell, const char *event, const char *key, const char *text)
{
    struct arena *arena = arena_new();
    if (shell->is_serving) {
        struct value *fields = value_map(arena);
        value_set_text(arena, fields, "at", core_time_text(arena, clock_ms(CLOCK_REALTIME)));
        value_set_text(arena, fields, "event", event);
        value_set_text(arena, fields, key, text);
        log_write(shell->site->log_format, fields);
    } else {
        struct text shown = TEXT_INIT;
        text_add_shown(&shown, text, strlen(text));
        bool is_of_driver = strncmp(event, "driver.", 7) == 0 && strcmp(key, "text") == 0;
        fprintf(stderr, "spinel: %s%s: %s\n", is_of_driver ? "driver " : "",
                is_of_driver ? event + 7 : key, shown.data);
        text_free(&shown);
    }
    arena_free(arena);
}

static struct process *said_by(struct shell *shell, const char *event, const char *key,
                               const char *text)
{
    for (size_t i = 0; shell->processes && i < shell->program_count; i++) {
        const char *name = shell->programs[i].name;
        if (strcmp(event + strlen("driver."), name) == 0 || strcmp(key, name) == 0 ||
            strcmp(text, name) == 0)
            return &shell->processes[i];
    }
    return NULL;
}

/* A driver that says more than anyone reads would fill the disk that the store is on: some of it
 * is kept, and how much was not. */
static bool is_heard(struct shell *shell, struct process *process)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC);
    if (now_ms - process->heard.since_ms >= HEARD_FOR_MS) {
        unsigned left_out = process->heard.left_out;
        char text[64];
        process->heard.since_ms = now_ms;
        process->heard.said = process->heard.left_out = 0;
        snprintf(text, sizeof text, "%u lines of it were left out", left_out);
        if (left_out)
            log_line(shell, "driver.flood", process->program->name, text);
    }
    if (process->heard.said < HEARD_MAX) {
        process->heard.said++;
        return true;
    }
    if (process->heard.left_out++ == 0)
        log_line(shell, "driver.flood", process->program->name,
                 "it says too much, and lines of it are left out for some seconds");
    return false;
}

void shell_log(struct shell *shell, const char *event, const char *key, const char *text)
{
    struct process *process =
        strncmp(event, "driver.", strlen("driver.")) == 0 ? said_by(shell, event, key, text) : NULL;
    if (!process || is_heard(shell, process))
        log_line(shell, event, key, text);
}

/* The ids that lead from a commit to a plan, to operations, to a driver's call. */
static void event_log(const struct shell *shell, struct arena *arena, const struct event *event)
{
    static const char *const ids[] = {"revision", "commit", "plan", "hash",  "op",
                                      "verb",     "driver", "call", "hold",  "path",
                                      "who",      "pid",    "ms",   "cause", "detectedBy"};
    const char *const about[][2] = {{"text", event->text},
                                    {"uid", event->uid},
                                    {"kind", event->kind},
                                    {"project", event->project},
                                    {"name", event->name}};
    struct value *fields = value_map(arena);
    value_set_text(arena, fields, "at", core_time_text(arena, event->at_ms));
    value_set_text(arena, fields, "event", event->type);
    value_set_int(arena, fields, "seq", event->seq);
    for (size_t i = 0; i < sizeof about / sizeof *about; i++)
        if (about[i][1])
            value_set_text(arena, fields, about[i][0], about[i][1]);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const struct value *id = value_get(event->data, ids[i]);
        if (id && id->type != VALUE_NULL)
            value_set(arena, fields, strcmp(ids[i], "hash") == 0 ? "plan" : ids[i],
                      value_copy(arena, id));
    }
    log_write(shell->site->log_format, fields);
}

static void env_emit(void *context, const struct event *event)
{
    struct shell *shell = context;
    struct arena *arena = arena_new();
    if (shell->is_serving)
        event_log(shell, arena, event);
    if (shell->counted)
        shell->counted(shell->follow_context, event);
    probes_event(event);
    if (shell->follow)
        shell->follow(shell->follow_context, event_notice(arena, event));
    arena_free(arena);
}

static void env_log(void *context, const char *name, const char *text)
{
    shell_log(context, name, "text", text);
}

static void env_passed(void *context, const struct pass *pass)
{
    struct shell *shell = context;
    probes_pass(pass);
    if (shell->passed)
        shell->passed(shell->follow_context, pass);
}

/* ---- repository --------------------------------------------------------------------- */

/* What the core loads is to be the target: the store has the keys of its manifests from now on. */
static int env_load(void *context, struct arena *arena, const char *commit, const struct set **set,
                    struct report *report, struct error *err)
{
    struct shell *shell = context;
    int status = shell_load(shell, arena, commit, set, report, err);
    const char *made_by = shell->mode == SHELL_WRITE ? shell_made_by(arena, shell->site) : NULL;
    if (status == 0 && report->count == 0 && made_by)
        status = source_mentions_put(shell->source, shell->store, made_by, commit, *set, err);
    return status;
}

/* The core has no other writer beside it, and so needs no snapshot. */
static bool env_part_make(void *context, struct arena *arena, const struct part_change *change,
                          struct part *part)
{
    struct shell *shell = context;
    const char *made_by = shell->mode == SHELL_WRITE ? shell_made_by(arena, shell->site) : NULL;
    struct part_source *source = arena_alloc(arena, sizeof *source);
    *source = (struct part_source){shell->source, shell->store, made_by};
    const struct part_ask ask = {
        .reader = &part_reader_source,
        .context = source,
        .store = shell->store,
        .from = change->from,
        .declared = change->declared,
        .to = change->to,
        .max_files = shell->site->repository.max_files,
        .max_bytes = source_room(shell->source),
    };
    return made_by && part_make(arena, &ask, part);
}

static bool env_part_covers(void *context, const struct part *part, const struct plan *plan)
{
    (void)context;
    return part_covers(part, plan);
}

static void env_part_free(void *context, struct part *part)
{
    (void)context;
    part_free(part);
}

static int env_describe(void *context, struct arena *arena, const char *commit, const char **author,
                        const char **subject, struct error *err)
{
    struct shell *shell = context;
    struct commit_info info;
    int status = source_commit(shell->source, arena, commit, &info, err);
    if (status < 0)
        return status;
    *author = info.author;
    *subject = info.subject;
    return 0;
}

void env_fill(struct shell *shell)
{
    shell->env = (struct env){
        .context = shell,
        .mono_ms = env_mono_ms,
        .wall_ms = env_wall_ms,
        .random = env_random,
        .timer = env_timer,
        .driver_start = env_driver_start,
        .driver_send = env_driver_send,
        .driver_kill = env_driver_kill,
        .emit = env_emit,
        .log = env_log,
        .passed = env_passed,
        .load = env_load,
        .describe = env_describe,
        .part_make = env_part_make,
        .part_covers = env_part_covers,
        .part_free = env_part_free,
        .ledger = &ledger_store,
        .store = shell->store,
    };
}

void env_bind(struct shell *shell)
{
    env_fill(shell);
    ev_timer_init(&shell->timer, timer_fired, 0.0, 0.0);
    ev_prepare_init(&shell->prepare, before_sleep);
    shell->timer.data = shell->prepare.data = shell;
    ev_prepare_start(shell->loop, &shell->prepare);
}

void env_unbind(struct shell *shell)
{
    ev_timer_stop(shell->loop, &shell->timer);
    ev_prepare_stop(shell->loop, &shell->prepare);
}
