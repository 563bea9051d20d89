/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Drivers that the supervisor starts and kills for the core: asked for by index,
 * their streams come back as descriptors. The core itself never runs a program.
 */
#include <string.h>
#include <unistd.h>
#include "reconciler/server/server.h"
#include "reconciler/server/supervisor.h"

static struct server *server_of(struct shell *shell)
{
    return shell->follow_context;
}

static void ask(struct shell *shell, struct process *process, enum supervisor_verb verb)
{
    const struct supervisor_message message = {.verb = verb,
                                               .driver = (unsigned)(process - shell->processes)};
    if (supervisor_send(server_of(shell)->channel, &message, NULL, 0) < 0)
        ev_break(shell->loop, EVBREAK_ALL); /* the supervisor is gone, and so are we */
}

static void remote_start(struct shell *shell, struct process *process)
{
    ask(shell, process, SUPERVISOR_START);
}

static void remote_kill(struct shell *shell, struct process *process)
{
    ask(shell, process, SUPERVISOR_KILL);
}

const struct starter starter_remote = {remote_start, remote_kill};

static void message_take(struct server *server, const struct supervisor_message *message,
                         int fds[3])
{
    char why[128];
    struct process *process = &server->shell->processes[message->driver];
    switch (message->verb) {
    case SUPERVISOR_STARTED:
        process->pid = message->pid;
        if (fds[2] < 0) { /* we had no room for all of its streams; its end will be told */
            ask(server->shell, process, SUPERVISOR_KILL);
            return;
        }
        channel_attach(&process->channel, fds[0], fds[1], fds[2]);
        fds[0] = fds[1] = fds[2] = -1;
        return;
    case SUPERVISOR_ENDED:
        process_ended(process, exit_text(message->status, why, sizeof why));
        return;
    case SUPERVISOR_FAILED:
        process_ended(process, message->text);
        return;
    case SUPERVISOR_START:
    case SUPERVISOR_KILL:
    case SUPERVISOR_ANSWERS:
    case SUPERVISOR_READY:
    case SUPERVISOR_REFUSED:
        return;
    }
}

static void channel_ready(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct server *server = io->data;
    struct supervisor_message message;
    int fds[3];
    (void)events;
    int got = supervisor_receive(io->fd, &message, fds);
    if (got < 0)
        ev_break(loop, EVBREAK_ALL);
    else if (got > 0 && message.driver < server->shell->program_count)
        message_take(server, &message, fds);
    if (got > 0)
        supervisor_fds_close(fds);
}

void remote_open(struct server *server)
{
    ev_io_init(&server->supervised, channel_ready, server->channel, EV_READ);
    server->supervised.data = server;
    ev_io_start(server->shell->loop, &server->supervised);
}

void remote_answers(struct server *server)
{
    const struct supervisor_message message = {.verb = SUPERVISOR_ANSWERS};
    (void)supervisor_send(server->channel, &message, NULL, 0);
}

void remote_ready(struct server *server)
{
    const struct supervisor_message message = {.verb = SUPERVISOR_READY};
    (void)supervisor_send(server->channel, &message, NULL, 0);
}

int remote_refuse(struct server *server, const struct error *why)
{
    struct supervisor_message message = {.verb = SUPERVISOR_REFUSED};
    memcpy(message.text, why->message, sizeof message.text);
    memcpy(message.hint, why->hint, sizeof message.hint);
    return supervisor_send(server->channel, &message, NULL, 0);
}
