/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Driver processes. A process that ends is told to the core once, with its exit
 * status and the last line of its standard error: what the operator needs to see
 * when a driver dies at start.
 */
#include "reconciler/engine/shell_state.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "model/invariant.h"
#include "reconciler/engine/session.h"

enum { GOODBYE_MS = 3000 };

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

/* ---- streams ------------------------------------------------------------------------ */

static void line_taken(void *context, struct channel *channel, const char *data, size_t len)
{
    struct process *process = context;
    struct shell *shell = process->shell;
    struct error err = ERROR_INIT;
    char text[896];
    (void)channel;
    shell->has_news = true;
    if (core_line(shell->core, process->program->name, data, len, &err) == 0)
        return;
    snprintf(text, sizeof text, "a line that is not JSON-RPC: %s", err.message);
    shell_log(shell, "driver.noise", process->program->name, text);
}

static void noise_heard(void *context, struct channel *channel, const char *text)
{
    struct process *process = context;
    (void)channel;
    shell_log(process->shell, "driver.stderr", process->program->name, text);
}

static void stream_ended(void *context, struct channel *channel, const char *why)
{
    struct process *process = context;
    (void)channel;
    (void)why; /* its exit status says more, and comes next */
    process->shell->starter->kill(process->shell, process);
}

static const struct channel_events channel_events = {line_taken, noise_heard, stream_ended};

void process_ended(struct process *process, const char *why)
{
    struct shell *shell = process->shell;
    char full[1024];
    channel_drain(&process->channel);
    const char *last = process->channel.last_error;
    snprintf(full, sizeof full, "%s%s%s", why, last[0] ? ": " : "", last);
    channel_detach(&process->channel);
    process->channel.last_error[0] = '\0';
    process->pid = 0;
    core_driver_down(shell->core, process->program->name, full);
    shell->has_news = true;
}

/* ---- processes of our own ----------------------------------------------------------- */

static void child_ended(struct ev_loop *loop, struct ev_child *child, int events)
{
    struct process *process = child->data;
    char why[128];
    (void)events;
    ev_child_stop(loop, child);
    session_end(process->pid); /* what it left, before anybody can have its number */
    process_ended(process, exit_text(child->rstatus, why, sizeof why));
}

static void own_start(struct shell *shell, struct process *process)
{
    struct launched launched;
    struct error err = ERROR_INIT;
    if (program_launch(process->program, &launched, &err) < 0) {
        process_ended(process, err.message);
        return;
    }
    process->pid = launched.pid;
    ev_child_set(&process->child, launched.pid, 0);
    ev_child_start(shell->loop, &process->child);
    channel_attach(&process->channel, launched.to_in, launched.from_out, launched.from_err);
}

static void own_kill(struct shell *shell, struct process *process)
{
    (void)shell;
    if (process->pid)
        session_end(process->pid);
}

const struct starter starter_own = {own_start, own_kill};

void processes_open(struct shell *shell)
{
    shell->processes = memory_need(calloc(shell->program_count + 1, sizeof *shell->processes));
    for (size_t i = 0; i < shell->program_count; i++) {
        struct process *process = &shell->processes[i];
        process->shell = shell;
        process->program = &shell->programs[i];
        channel_open(&process->channel, shell->loop, process->program->name, &channel_events,
                     process);
        ev_child_init(&process->child, child_ended, 0, 0);
        process->child.data = process;
    }
}

/* The end of its input asks a driver to go; what does not go in time is killed, and so is what it
 * left in its session. */
static void process_stop(struct process *process)
{
    siginfo_t ended = {0};
    if (!ev_is_active(&process->child))
        return;
    ev_child_stop(process->shell->loop, &process->child);
    for (int waited = 0;
         waitid(P_PID, (id_t)process->pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         ended.si_pid == 0;
         waited += 5) {
        if (waited >= GOODBYE_MS)
            session_end(process->pid);
        pause_ms(5);
    }
    if (ended.si_pid == process->pid) {
        session_end(process->pid);
        waitpid(process->pid, NULL, 0);
    }
    process->pid = 0;
}

void processes_close(struct shell *shell)
{
    if (!shell->processes)
        return;
    for (size_t i = 0; i < shell->program_count; i++)
        channel_detach(&shell->processes[i].channel);
    for (size_t i = 0; i < shell->program_count; i++) {
        process_stop(&shell->processes[i]);
        channel_close(&shell->processes[i].channel);
    }
    free(shell->processes);
    shell->processes = NULL;
}
