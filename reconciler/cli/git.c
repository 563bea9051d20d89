/* SPDX-License-Identifier: MPL-2.0 */
/* Git as a program, for what `init` sets up in the user's own name. */
#include "reconciler/cli/git.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_RUN = 127 };

static void git_exec(const char *dir, const char *const argv[], bool is_quiet)
{
    static const char *const hook_variables[] = {
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (size_t i = 0; i < sizeof(hook_variables) / sizeof(hook_variables[0]); i++)
        unsetenv(hook_variables[i]);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        (is_quiet && dup2(null, STDERR_FILENO) < 0) || chdir(dir) < 0)
        _exit(NOT_RUN);
    execvp("git", (char *const *)(size_t)argv);
    _exit(NOT_RUN);
}

static int git_wait(const char *dir, const char *const argv[], bool is_quiet)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        git_exec(dir, argv, is_quiet);
    while (pid > 0 && waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int git_status(const char *dir, const char *const argv[])
{
    return git_wait(dir, argv, true);
}

int git_run(const char *dir, const char *const argv[], struct error *err)
{
    int status = git_wait(dir, argv, false);

    if (status == 0)
        return 0;
    if (status == NOT_RUN) {
        error_set(err, ERR_SYSTEM, "cannot run git in %s", dir);
        return error_hint(err, "Install git: apt-get install git.");
    }
    return error_set(err, ERR_INVALID, "git %s failed in %s", argv[1], dir);
}
