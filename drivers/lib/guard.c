/* SPDX-License-Identifier: MPL-2.0 */
/* The guard's whole life: numbers come in by a pipe, a group each, negative when it is
 * over; the end of the pipe is the end of the driver. */
#include "drivers/lib/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "drivers/lib/strays.h"
#include "model/invariant.h"

enum { GROUPS_MAX = 256 };

struct groups {
    pid_t items[GROUPS_MAX];
    size_t count;
};

static void group_take(struct groups *groups, pid_t group)
{
    if (group > 1 && groups->count < GROUPS_MAX) {
        groups->items[groups->count++] = group;
        return;
    }
    for (size_t i = 0; i < groups->count; i++) {
        if (groups->items[i] == -group) {
            groups->items[i] = groups->items[--groups->count];
            return;
        }
    }
}

/* Lets go of all that it inherited: a pipe to the daemon held here would hide our end. What comes
 * by another descriptor is no group of ours, so the pipe stays where it is. */
static void inherited_drop(int pipe_fd)
{
    int null = open("/dev/null", O_RDWR);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (dup2(null, fd) < 0)
            close(fd);
    if (pipe_fd > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned)pipe_fd - 1, 0);
    close_range((unsigned)pipe_fd + 1, ~0U, 0);
}

static _Noreturn void guard_main(int pipe_fd)
{
    pid_t session = getsid(0) == getppid() ? getppid() : 0; /* one of the driver's own */
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    struct groups groups = {.count = 0};
    pid_t group;
    ssize_t got;
    setsid();
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    inherited_drop(pipe_fd);
    while ((got = read(pipe_fd, &group, sizeof group)) > 0 || (got < 0 && errno == EINTR))
        if (got == (ssize_t)sizeof group)
            group_take(&groups, group);
    for (size_t i = 0; i < groups.count; i++)
        kill(-groups.items[i], SIGKILL);
    if (session)
        session_kill(session);
    _exit(0);
}

int guard_start(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    invariant(ends[0] > STDERR_FILENO, "the guard's pipe is descriptor %d", ends[0]);
    pid_t pid = fork();
    if (pid == 0)
        guard_main(ends[0]);
    close(ends[0]);
    if (pid > 0)
        return ends[1];
    close(ends[1]);
    return -1;
}

static void number_send(int guard_fd, pid_t number)
{
    invariant(number > 1 || number < -1, "group %d is told to the guard", (int)number);
    while (write(guard_fd, &number, sizeof number) < 0 && errno == EINTR)
        continue;
}

void guard_enter(int guard_fd)
{
    number_send(guard_fd, getpid());
    close(guard_fd);
}

void guard_leave(int guard_fd, pid_t group)
{
    number_send(guard_fd, -group);
}
