/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/cli/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void feed(int fd, const char *input, size_t len)
{
    while (len) {
        ssize_t put = write(fd, input, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return; /* it ended; its status says why */
        input += put;
        len -= (size_t)put;
    }
}

int pipe_run(const char *const argv[], const char *input, size_t len, struct error *err)
{
    posix_spawn_file_actions_t actions;
    int ends[2], status = 0;
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_sys(err, "cannot run %s", argv[0]);
    signal(SIGPIPE, SIG_IGN);
    posix_spawn_file_actions_init(&actions);
    int failed = posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    if (failed == 0)
        failed = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(size_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    if (failed != 0) {
        close(ends[1]);
        errno = failed;
        return error_sys(err, "cannot run %s", argv[0]);
    }
    feed(ends[1], input, len);
    close(ends[1]);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_sys(err, "cannot tell how %s ended", argv[0]);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return error_set(err, ERR_SYSTEM, "%s failed (status %d)", argv[0],
                     WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
