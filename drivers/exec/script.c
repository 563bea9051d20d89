/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Running a script. Its input, output and messages are files in memory, so neither side
 * can block the other, and there is nothing to do while it runs but to wait for its end
 * or for the deadline; what it leaves behind is in the call's process group and dies
 * with it.
 */
#include "drivers/exec/script.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "drivers/lib/proc.h"
#include "model/json.h"

enum { OUTPUT_MAX = 64 << 20, NOT_RUN = 127 };

/* Memory files; -1 while not open. */
struct streams {
    int in, out, err;
};

static int streams_open(struct streams *streams, const char *input, struct error *err)
{
    size_t len = strlen(input);
    streams->in = memfd_create("input", MFD_CLOEXEC);
    streams->out = memfd_create("output", MFD_CLOEXEC);
    streams->err = memfd_create("messages", MFD_CLOEXEC);
    if (streams->in < 0 || streams->out < 0 || streams->err < 0 ||
        write(streams->in, input, len) != (ssize_t)len || lseek(streams->in, 0, SEEK_SET) < 0)
        return error_sys(err, "cannot hold the script's input and output in memory");
    return 0;
}

static void streams_close(const struct streams *streams)
{
    const int fds[] = {streams->in, streams->out, streams->err};
    for (size_t i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static _Noreturn void script_main(const struct streams *streams, const char *path,
                                  const char *method)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    if (dup2(streams->in, STDIN_FILENO) >= 0 && dup2(streams->out, STDOUT_FILENO) >= 0 &&
        dup2(streams->err, STDERR_FILENO) >= 0)
        execlp(path, path, method, (char *)NULL);
    dprintf(streams->err, "cannot run %s: %s\n", path, strerror(errno));
    _exit(NOT_RUN);
}

/* Kills it when time is up. */
static int end_await(struct spinel_host *host, pid_t pid, const char *path, const char *method,
                     int *status, struct error *err)
{
    struct pollfd fd = {.fd = pidfd_open(pid, 0), .events = POLLIN};
    int result = fd.fd < 0 ? error_sys(err, "cannot wait for %s", path) : 0;
    for (int ended = 0; result == 0 && !ended;) {
        int64_t left = spinel_remaining_ms(host);
        if (left == 0)
            result =
                error_set(err, ERR_BUSY, "%s %s did not end in time and was killed", path, method);
        else
            ended = poll(&fd, 1, left < 60000 ? (int)left : 60000) > 0;
    }
    if (fd.fd >= 0)
        close(fd.fd);
    if (result == 0)
        return proc_reap(pid, path, status, err);
    struct error ignored = ERROR_INIT;
    kill(pid, SIGKILL);
    (void)proc_reap(pid, path, status, &ignored);
    return result;
}

/* NULL with errno 0: it is too much. */
static char *stream_read(struct spinel_host *host, int fd, size_t *len)
{
    struct stat st;
    *len = 0;
    errno = 0;
    if (fstat(fd, &st) < 0 || st.st_size > OUTPUT_MAX)
        return NULL;
    char *text = arena_alloc(spinel_arena(host), (size_t)st.st_size + 1);
    ssize_t got = pread(fd, text, (size_t)st.st_size, 0);
    *len = got > 0 ? (size_t)got : 0;
    return got < 0 ? NULL : text;
}

static int status_error(struct spinel_host *host, int status, const struct streams *streams,
                        struct error *err)
{
    static const enum error_code codes[] = {
        [2] = ERR_INVALID, [3] = ERR_UNSUPPORTED, [4] = ERR_BUSY};
    size_t len;
    if (WIFSIGNALED(status))
        return error_set(err, ERR_SYSTEM, "the script ended by signal %d (%s)", WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
    unsigned exit_status = (unsigned)WEXITSTATUS(status);
    if (exit_status == 0)
        return 0;
    char *said = stream_read(host, streams->err, &len);
    while (said && len > 0 && (said[len - 1] == '\n' || said[len - 1] == ' '))
        said[--len] = '\0';
    const char *newline = said ? strrchr(said, '\n') : NULL;
    const char *line = newline ? newline + 1 : said;
    enum error_code code = exit_status < sizeof codes / sizeof *codes && codes[exit_status]
                               ? codes[exit_status]
                               : ERR_SYSTEM;
    if (exit_status == NOT_RUN)
        code = ERR_UNSUPPORTED;
    return line && *line ? error_set(err, code, "%s", line)
                         : error_set(err, code, "the script ended with status %u", exit_status);
}

static int output_read(struct spinel_host *host, const struct streams *streams,
                       struct value **output, struct error *err)
{
    size_t len;
    char *text = stream_read(host, streams->out, &len);
    if (!text && errno != 0)
        return error_sys(err, "cannot read what the script printed");
    if (!text)
        return error_set(err, ERR_INVALID, "the script printed more than %d MiB", OUTPUT_MAX >> 20);
    if (strspn(text, " \t\r\n") == len) {
        *output = NULL;
        return 0;
    }
    return json_read(spinel_arena(host), text, len, output, err) < 0
               ? error_wrap(err, "what the script printed")
               : 0;
}

int script_run(struct spinel_host *host, const char *path, const char *method,
               const struct value *input, struct value **output, struct error *err)
{
    struct streams streams = {-1, -1, -1};
    int status = 0;
    int result = streams_open(&streams, json_text(spinel_arena(host), input), err);
    if (result < 0)
        goto out;
    pid_t pid = fork();
    if (pid == 0)
        script_main(&streams, path, method);
    if (pid < 0) {
        result = error_sys(err, "cannot start %s", path);
        goto out;
    }
    result = end_await(host, pid, path, method, &status, err);
    if (result == 0)
        result = status_error(host, status, &streams, err);
    if (result == 0 && output)
        result = output_read(host, &streams, output, err);
out:
    streams_close(&streams);
    return result;
}
