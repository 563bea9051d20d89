/* SPDX-License-Identifier: MPL-2.0 */
/* A driver under test, and how it is spoken to. Every wait has an end. */
#include "reconciler/server/subject.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/json.h"
#include "model/text.h"

enum { ANSWER_MS = 60000, MUTE_MS = 1000, LOOK_MS = 50, CHUNK = 1 << 16, ANSWER_MAX = 64 << 20 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool subject_fork(struct subject *subject)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) < 0)
        return false;
    if (pipe2(out, O_CLOEXEC) < 0) {
        close(in[0]);
        close(in[1]);
        return false;
    }
    subject->pid = fork();
    if (subject->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execvp(subject->argv[0], (char *const *)(size_t)subject->argv);
        int why = errno;
        struct text shown = TEXT_INIT;
        text_add_shown(&shown, subject->argv[0], strlen(subject->argv[0]));
        fprintf(stderr, "cannot run %s: %s\n", shown.data, strerror(why));
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    subject->in = in[1];
    subject->out = out[0];
    fcntl(subject->in, F_SETFL, O_NONBLOCK);
    return subject->pid > 0;
}

const struct value *subject_start(struct subject *subject)
{
    struct arena *arena = subject->arena;
    struct value *params = value_map(arena), *rack = value_map(arena);
    signal(SIGPIPE, SIG_IGN);
    lines_reset(&subject->lines);
    subject->early = value_map(arena);
    if (!subject_fork(subject))
        return NULL;
    value_set_int(arena, params, "protocol", 1);
    value_set_text(arena, rack, "name", "conformance");
    value_set_text(arena, rack, "id", "c0f0c0f0c0f0c0f0c0f0c0f0c0f0c0f0");
    value_set(arena, params, "rack", rack);
    value_set_text(arena, params, "stateDir", subject->state_dir);
    value_set(arena, params, "keyFile", value_printf(arena, "%s.key", subject->state_dir));
    value_set(arena, params, "settings",
              subject->settings ? value_copy(arena, subject->settings) : value_map(arena));
    return subject_call(subject, "initialize", params);
}

static void channel_close(struct subject *subject)
{
    if (subject->in >= 0)
        close(subject->in);
    close(subject->out);
    subject->in = subject->out = -1;
}

static bool has_died(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Reads and drops until the driver ends, so that it never waits for us. Where no descriptor says
 * when that is (none is free; valgrind 3.19 knows no such call), it is looked at now and then. */
static bool end_await(struct subject *subject)
{
    char chunk[CHUNK];
    int64_t deadline_ms = now_ms() + ANSWER_MS;
    struct pollfd fds[] = {{.fd = pidfd_open(subject->pid, 0), .events = POLLIN},
                           {.fd = subject->out, .events = POLLIN}};
    bool has_ended = false;
    while (!has_ended && now_ms() < deadline_ms) {
        poll(fds, 2, fds[0].fd < 0 ? LOOK_MS : (int)(deadline_ms - now_ms()));
        has_ended = fds[0].fd < 0 ? has_died(subject->pid) : fds[0].revents != 0;
        if (fds[1].revents && read(subject->out, chunk, sizeof chunk) <= 0)
            fds[1].fd = -1;
    }
    if (fds[0].fd >= 0)
        close(fds[0].fd);
    return has_ended;
}

int subject_end(struct subject *subject)
{
    int status = 0;
    if (subject->pid <= 0)
        return -1;
    if (subject->in >= 0)
        close(subject->in);
    subject->in = -1;
    bool has_ended = end_await(subject);
    if (!has_ended)
        kill(subject->pid, SIGKILL);
    has_ended = waitpid(subject->pid, &status, 0) == subject->pid && has_ended;
    channel_close(subject);
    subject->pid = 0;
    if (!has_ended)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void subject_kill(struct subject *subject)
{
    if (subject->pid <= 0)
        return;
    kill(subject->pid, SIGKILL);
    waitpid(subject->pid, NULL, 0);
    channel_close(subject);
    subject->pid = 0;
}

/* Takes what the driver says while it is being written to: both pipes are finite. */
static bool input_take(struct subject *subject)
{
    char chunk[CHUNK];
    if (subject->lines.input.len > ANSWER_MAX)
        return false; /* nor would a daemon take more */
    ssize_t got = read(subject->out, chunk, sizeof chunk);
    if (got > 0)
        text_add_n(&subject->lines.input, chunk, (size_t)got);
    return got > 0;
}

bool subject_write(struct subject *subject, const char *data, size_t len)
{
    struct pollfd fds[] = {{.fd = subject->in, .events = POLLOUT},
                           {.fd = subject->out, .events = POLLIN}};
    while (len > 0) {
        if (poll(fds, 2, ANSWER_MS) <= 0)
            return false;
        if (fds[1].revents && !input_take(subject))
            return false;
        if (!fds[0].revents)
            continue;
        ssize_t n = write(subject->in, data, len);
        if (n < 0 && errno != EAGAIN)
            return false;
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

int subject_send(struct subject *subject, const char *method, const struct value *params)
{
    struct arena *arena = subject->arena;
    struct value *request = value_map(arena);
    int id = ++subject->next_id;
    value_set_text(arena, request, "jsonrpc", "2.0");
    value_set_int(arena, request, "id", id);
    value_set_text(arena, request, "method", method);
    value_set(arena, request, "params", params ? value_copy(arena, params) : value_map(arena));
    const char *line = arena_printf(arena, "%s\n", json_text(arena, request));
    subject_write(subject, line, strlen(line));
    return id;
}

/* The next message, NULL if none comes before the deadline. */
static const struct value *message_next(struct subject *subject, int64_t deadline_ms)
{
    struct error ignored = ERROR_INIT;
    struct value *message = NULL;
    const char *line;
    size_t len;
    while (!(line = lines_next(&subject->lines, &len))) {
        struct pollfd fd = {.fd = subject->out, .events = POLLIN};
        int64_t left = deadline_ms - now_ms();
        if (left <= 0 || poll(&fd, 1, (int)left) <= 0 || !input_take(subject))
            return NULL;
    }
    json_read(subject->arena, line, len, &message, &ignored);
    return message ? message : value_map(subject->arena);
}

/* Of an answer to what we asked, or to what was no request. */
static bool is_expected(const struct subject *subject, const struct value *message)
{
    const struct value *id = value_get(message, "id");
    return id && (id->type == VALUE_NULL ||
                  (id->type == VALUE_INT && id->integer >= 1 && id->integer <= subject->next_id));
}

/* "" for a notice. */
static const char *id_text(struct arena *arena, const struct value *message)
{
    const struct value *id = value_get(message, "id");
    return id ? json_text(arena, id) : "";
}

static const char *id_wanted(struct arena *arena, int id)
{
    if (id == SUBJECT_NOTICE)
        return "";
    return id == SUBJECT_NULL_ID ? "null" : arena_printf(arena, "%d", id);
}

const struct value *subject_receive(struct subject *subject, int id)
{
    struct arena *arena = subject->arena;
    const char *wanted = id_wanted(arena, id);
    const struct value *message = value_get(subject->early, wanted);
    int64_t deadline_ms = now_ms() + (subject->is_mute ? MUTE_MS : ANSWER_MS);
    value_unset(subject->early, wanted);
    while (!message && (message = message_next(subject, deadline_ms))) {
        const char *got = id_text(arena, message);
        if (strcmp(got, wanted) == 0)
            break;
        if (is_expected(subject, message))
            value_set(arena, subject->early, got, value_copy(arena, message));
        message = NULL;
    }
    subject->is_mute = !message; /* one long wait says enough */
    return message;
}

const struct value *subject_call(struct subject *subject, const char *method,
                                 const struct value *params)
{
    return subject_receive(subject, subject_send(subject, method, params));
}
