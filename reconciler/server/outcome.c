/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Once a revision has ended, `spinel trace --publish` notes its outcome in the repository and
 * sends its trace to a collector: a process of its own, as both may be slow or stuck and the
 * first is done as the repository's owner. One at a time; what ends meanwhile waits, the newest
 * in front of whatever else does. It does not outlive the daemon: the supervisor kills what the
 * core leaves.
 */
#include "reconciler/server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { LAST_MS = 2000, LOOK_MS = 5 };

static void publish_next(struct server *server);

static void publisher_ended(struct ev_loop *loop, struct ev_child *child, int events)
{
    struct server *server = child->data;
    char number[32];
    (void)events;
    ev_child_stop(loop, child);
    snprintf(number, sizeof number, "%lld", (long long)server->outcome.running);
    if (child->rstatus != 0)
        shell_log(server->shell, "outcome.failed", "revision", number);
    server->outcome.running = 0;
    publish_next(server);
}

static void publisher_start(struct server *server, int64_t revision)
{
    char number[32];
    const char *const argv[] = {"spinel",    "--site", server->shell->site->file, "trace", number,
                                "--publish", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid;
    snprintf(number, sizeof number, "%lld", (long long)revision);
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    int rc = posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, (char *const *)(size_t)argv,
                         environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (rc != 0) {
        shell_log(server->shell, "outcome.failed", "why", strerror(rc));
        return;
    }
    server->outcome.running = revision;
    ev_child_init(&server->outcome.child, publisher_ended, pid, 0);
    server->outcome.child.data = server;
    ev_child_start(server->shell->loop, &server->outcome.child);
}

static void publish_next(struct server *server)
{
    int64_t revision = server->outcome.waiting[0];
    if (server->outcome.running || !revision || server->is_stopping)
        return;
    server->outcome.waiting[0] = server->outcome.waiting[1];
    server->outcome.waiting[1] = 0;
    publisher_start(server, revision);
}

/* What was held and is let through has another outcome, which is told too. */
static void publish(struct server *server, int64_t revision, int64_t held)
{
    if (!revision || (revision == server->outcome.told && held == server->outcome.told_held))
        return;
    server->outcome.told = revision;
    server->outcome.told_held = held;
    if (server->outcome.waiting[0])
        server->outcome.waiting[1] = revision;
    else
        server->outcome.waiting[0] = revision;
    publish_next(server);
}

void outcome_event(struct server *server, const struct event *event)
{
    int64_t revision = value_get_int(event->data, "revision", 0);
    if (strcmp(event->type, "converged") == 0) {
        publish(server, revision, value_get_int(event->data, "held", 0));
    } else if (strcmp(event->type, "revision.accepted") == 0) {
        publish(server, server->outcome.current, server->outcome.told_held);
        server->outcome.current = revision;
    }
}

void outcome_close(struct server *server)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    if (!server->outcome.running)
        return;
    ev_child_stop(server->shell->loop, &server->outcome.child);
    for (int waited_ms = 0; waited_ms < LAST_MS; waited_ms += LOOK_MS) {
        if (waitpid(server->outcome.child.pid, NULL, WNOHANG) != 0)
            break;
        nanosleep(&pause, NULL);
    }
    server->outcome.running = 0;
}
