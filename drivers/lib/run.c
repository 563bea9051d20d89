/* SPDX-License-Identifier: MPL-2.0 */
/* Running a program without a shell: argv, a limit of time and a limit of output. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "drivers/lib/host.h"
#include "drivers/lib/proc.h"
#include "model/arena.h"
#include "model/invariant.h"
#include "model/text.h"

enum { OUTPUT_MAX = 64 << 10, NOT_RUN = 127 };

static _Noreturn void program_main(const char *const argv[], int out, int own_group)
{
    int null = open("/dev/null", O_RDONLY);
    sigset_t none;
    if (own_group)
        setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    /* On what the driver has as its output, or without C's language, it would not be understood. */
    if (dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(out, STDERR_FILENO) >= 0 && setenv("LC_ALL", "C", 1) == 0)
        execvp(argv[0], (char *const *)(size_t)argv);
    dprintf(out, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(NOT_RUN);
}

/* Adds what is in the pipe; past the limit it is read and dropped. */
static int output_read(int fd, struct text *output)
{
    char chunk[4096];
    ssize_t got = read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR)
        return 1;
    if (got > 0 && output->len + (size_t)got <= OUTPUT_MAX)
        text_add_n(output, chunk, (size_t)got);
    return got > 0;
}

/* 0 when the program ended, -1 when time is up. */
static int output_collect(struct spinel_host *host, int pidfd, int fd, struct text *output)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
    for (;;) {
        int64_t left = spinel_remaining_ms(host);
        if (left <= 0)
            return -1;
        poll(fds, 2, left < 60000 ? (int)left : 60000);
        if (fds[0].revents && !output_read(fd, output))
            fds[0].fd = -1;
        else if (!fds[0].revents && fds[1].revents)
            return 0;
    }
}

static const char *last_line(struct text *output)
{
    while (output->len > 0 && strchr("\r\n ", output->data[output->len - 1]))
        output->data[--output->len] = '\0';
    const char *newline = strrchr(output->data, '\n');
    return newline ? newline + 1 : output->data;
}

static int status_explain(const char *program, int status, struct text *output, struct error *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFSIGNALED(status))
        return error_set(err, ERR_SYSTEM, "%s ended by signal %d (%s)", program, WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) == NOT_RUN) {
        error_set(err, ERR_UNSUPPORTED, "%s", last_line(output));
        return error_hint(err, "Install %s.", program);
    }
    enum error_code code = strstr(output->data, strerror(ENOSPC)) ? ERR_NO_SPACE : ERR_SYSTEM;
    const char *said = last_line(output);
    size_t len = strlen(program); /* many name themselves */
    bool is_named = strncmp(said, program, len) == 0 && strncmp(said + len, ": ", 2) == 0;
    return error_set(err, code, "%s: %s", program, is_named ? said + len + 2 : said);
}

static int program_wait(struct spinel_host *host, const char *program, pid_t pid, int fd,
                        struct text *output, struct error *err)
{
    invariant(pid > 1, "%s is process %d", program, (int)pid);
    int status = 0, result = 0, pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        result = error_sys(err, "cannot wait for %s", program);
    else if (output_collect(host, pidfd, fd, output) < 0)
        result = error_set(err, ERR_BUSY, "%s did not end in time and was killed", program);
    if (pidfd >= 0)
        close(pidfd);
    if (result == 0) {
        result = proc_reap(pid, program, &status, err);
        return result < 0 ? result : status_explain(program, status, output, err);
    }
    struct error ignored = ERROR_INIT;
    kill(pid, SIGKILL);
    kill(-pid, SIGKILL); /* in a call's process there is no such group, but the call's */
    (void)proc_reap(pid, program, &status, &ignored);
    return result;
}

int spinel_run(struct spinel_host *host, const char *const argv[], char **output, struct error *err)
{
    struct text said = TEXT_INIT;
    int ends[2];
    invariant(argv[0], "no program is to be run");
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_sys(err, "cannot make a pipe for %s", argv[0]);
    pid_t pid = fork();
    if (pid == 0)
        program_main(argv, ends[1], host->call_fd < 0);
    close(ends[1]);
    int result = pid < 0 ? error_sys(err, "cannot start %s", argv[0])
                         : program_wait(host, argv[0], pid, ends[0], &said, err);
    close(ends[0]);
    if (result == 0 && output)
        *output = arena_text(host->arena, said.data);
    text_free(&said);
    return result;
}
