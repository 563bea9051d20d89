/* SPDX-License-Identifier: MPL-2.0 */
/*
 * QEMU Machine Protocol: one JSON document a line, both ways.
 *
 * The server greets, we enter command mode, then each command carries an id and
 * its reply is found by that id alone: events come in between at any time, and
 * the reply to a command that we gave up on may still come later. Events are kept
 * until somebody waits for them. A reply that is none of these is an error, not a guess.
 */
#include "drivers/qemu/qmp.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "model/arena.h"
#include "model/error.h"
#include "model/json.h"
#include "model/text.h"
#include "model/value.h"

enum { LINE_LIMIT = 16 << 20, LOCK_PAUSE_MS = 5 };

struct qmp {
    struct arena *arena;
    int fd;
    int lock_fd; /* -1 if the caller brought the socket */
    int64_t timeout_ms;
    int64_t last_id;
    struct text input; /* what was read and not yet used */
    struct value *events;
};

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int wait_for(const struct qmp *qmp, short events, int64_t until_ms, struct error *err)
{
    for (;;) {
        int64_t left_ms = until_ms - now_ms();
        if (left_ms <= 0) {
            error_set(err, ERR_BUSY, "QEMU does not answer");
            return error_hint(err, "Its monitor is silent; if that lasts, look at the process.");
        }
        struct pollfd poller = {.fd = qmp->fd, .events = events};
        int ready = poll(&poller, 1, (int)(left_ms > 60000 ? 60000 : left_ms));
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return error_sys(err, "cannot wait for QEMU's monitor");
    }
}

static int send_bytes(struct qmp *qmp, const char *data, size_t len, int passed_fd,
                      int64_t until_ms, struct error *err)
{
    while (len > 0) {
        union {
            char bytes[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } control = {0};
        struct iovec iov = {.iov_base = (char *)(uintptr_t)data, .iov_len = len};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
        if (passed_fd >= 0) {
            message.msg_control = control.bytes;
            message.msg_controllen = sizeof control.bytes;
            struct cmsghdr *head = CMSG_FIRSTHDR(&message);
            head->cmsg_level = SOL_SOCKET;
            head->cmsg_type = SCM_RIGHTS;
            head->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(head), &passed_fd, sizeof(int));
        }
        ssize_t sent = sendmsg(qmp->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            data += sent;
            len -= (size_t)sent;
            passed_fd = -1;
        } else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return error_sys(err, "cannot write to QEMU's monitor");
        } else if (wait_for(qmp, POLLOUT, until_ms, err) < 0) {
            return err->code;
        }
    }
    return 0;
}

/* The next line as a value. ERR_NOT_FOUND at the end of the stream. */
static int read_message(struct qmp *qmp, int64_t until_ms, struct value **out, struct error *err)
{
    for (;;) {
        char *end = memchr(qmp->input.data, '\n', qmp->input.len);
        if (end) {
            size_t len = (size_t)(end - qmp->input.data);
            int status = json_read(qmp->arena, qmp->input.data, len, out, err);
            size_t rest = qmp->input.len - len - 1;
            memmove(qmp->input.data, end + 1, rest + 1);
            qmp->input.len = rest;
            if (status < 0)
                return error_wrap(err, "QEMU's monitor says something that is not QMP");
            return 0;
        }
        if (qmp->input.len > LINE_LIMIT)
            return error_set(err, ERR_INVALID, "QEMU's monitor sends a line without end");
        char chunk[4096];
        ssize_t got = recv(qmp->fd, chunk, sizeof chunk, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno == ECONNRESET))
            return error_set(err, ERR_NOT_FOUND, "QEMU closed its monitor");
        if (got > 0)
            text_add_n(&qmp->input, chunk, (size_t)got);
        else if (errno != EAGAIN && errno != EINTR)
            return error_sys(err, "cannot read from QEMU's monitor");
        else if (wait_for(qmp, POLLIN, until_ms, err) < 0)
            return err->code;
    }
}

static int reply_result(const struct value *reply, const char *command, const struct value **result,
                        struct error *err)
{
    const struct value *problem = value_get(reply, "error");
    if (problem) {
        const char *class = value_get_text(problem, "class", "");
        enum error_code code = strcmp(class, "DeviceNotFound") == 0 ? ERR_NOT_FOUND : ERR_SYSTEM;
        return error_set(err, code, "QEMU refuses %s: %s", command,
                         value_get_text(problem, "desc", "no reason given"));
    }
    const struct value *value = value_get(reply, "return");
    if (!value)
        return error_set(err, ERR_INVALID, "QEMU's reply to %s is neither result nor error",
                         command);
    if (result)
        *result = value;
    return 0;
}

static int read_reply(struct qmp *qmp, int64_t id, const char *command, const struct value **result,
                      struct error *err)
{
    int64_t until_ms = now_ms() + qmp->timeout_ms;
    for (;;) {
        struct value *message;
        int status = read_message(qmp, until_ms, &message, err);
        if (status < 0)
            return status;
        if (value_get(message, "event"))
            value_append(qmp->arena, qmp->events, message);
        else if (value_get_int(message, "id", -1) == id)
            return reply_result(message, command, result, err);
        else if (!value_get(message, "id"))
            return error_set(err, ERR_INVALID, "QEMU's monitor answers without an id");
    }
}

int qmp_call_with_fd(struct qmp *qmp, const char *command, struct value *arguments, int fd,
                     const struct value **result, struct error *err)
{
    int64_t id = ++qmp->last_id;
    struct value *request = value_map(qmp->arena);
    value_set_text(qmp->arena, request, "execute", command);
    if (arguments)
        value_set(qmp->arena, request, "arguments", arguments);
    value_set_int(qmp->arena, request, "id", id);
    char *line = arena_printf(qmp->arena, "%s\n", json_text(qmp->arena, request));
    int status = send_bytes(qmp, line, strlen(line), fd, now_ms() + qmp->timeout_ms, err);
    if (status == 0)
        status = read_reply(qmp, id, command, result, err);
    if (status == ERR_BUSY)
        return error_wrap(err, "%s", command);
    return status;
}

int qmp_call(struct qmp *qmp, const char *command, struct value *arguments,
             const struct value **result, struct error *err)
{
    return qmp_call_with_fd(qmp, command, arguments, -1, result, err);
}

int qmp_quit(struct qmp *qmp, struct error *err)
{
    struct error local = ERROR_INIT;
    int status = qmp_call(qmp, "quit", NULL, NULL, &local);
    bool gone = status == ERR_NOT_FOUND || local.sys_errno == EPIPE;
    if (status < 0 && !gone) {
        *err = local;
        return status;
    }
    return 0;
}

/* Removes and returns the first kept event that fits, or NULL. */
static const struct value *take_event(struct qmp *qmp, const char *name, const char *key,
                                      const char *text)
{
    struct value *events = qmp->events;
    for (size_t i = 0; i < events->count; i++) {
        const struct value *event = events->items[i];
        const struct value *data = value_get(event, "data");
        if (strcmp(value_get_text(event, "event", ""), name) != 0 ||
            (key && strcmp(value_get_text(data, key, ""), text) != 0))
            continue;
        memmove(events->items + i, events->items + i + 1,
                (events->count - i - 1) * sizeof *events->items);
        events->count--;
        return event;
    }
    return NULL;
}

int qmp_wait(struct qmp *qmp, const char *name, const char *key, const char *text,
             int64_t timeout_ms, const struct value **data, struct error *err)
{
    int64_t until_ms = now_ms() + timeout_ms;
    for (;;) {
        const struct value *event = take_event(qmp, name, key, text);
        if (event) {
            if (data)
                *data = value_get(event, "data");
            return 0;
        }
        struct value *message;
        if (read_message(qmp, until_ms, &message, err) < 0)
            return error_wrap(err, "waiting for %s%s%s", name, key ? " of " : "", key ? text : "");
        if (value_get(message, "event"))
            value_append(qmp->arena, qmp->events, message);
    }
}

int qmp_start(struct arena *arena, int fd, int64_t timeout_ms, struct qmp **out, struct error *err)
{
    struct qmp *qmp = arena_alloc(arena, sizeof *qmp);
    *qmp = (struct qmp){.arena = arena,
                        .fd = fd,
                        .lock_fd = -1,
                        .timeout_ms = timeout_ms,
                        .input = TEXT_INIT,
                        .events = value_list(arena)};
    struct value *greeting;
    int status = read_message(qmp, now_ms() + timeout_ms, &greeting, err);
    if (status == 0 && !value_get(greeting, "QMP"))
        status = error_set(err, ERR_INVALID, "QEMU's monitor does not greet");
    if (status == 0)
        status = qmp_call(qmp, "qmp_capabilities", NULL, NULL, err);
    if (status < 0) {
        qmp_close(qmp);
        return status;
    }
    *out = qmp;
    return 0;
}

/* One client at a time: a second one would connect and then wait for ever. */
static int take_turn(int dir_fd, const char *name, int64_t timeout_ms, int *lock_fd,
                     struct error *err)
{
    char lock[64];
    snprintf(lock, sizeof lock, "%s.lock", name);
    int fd = openat(dir_fd, lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_sys(err, "cannot open %s", lock);
    int64_t until_ms = now_ms() + timeout_ms;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            error_sys(err, "cannot lock %s", lock);
            close(fd);
            return err->code;
        }
        if (now_ms() >= until_ms) {
            close(fd);
            return error_set(err, ERR_BUSY, "another operation holds QEMU's monitor");
        }
        poll(NULL, 0, LOCK_PAUSE_MS);
    }
    *lock_fd = fd;
    return 0;
}

static int connect_in(int dir_fd, const char *name, int *out, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len =
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir_fd, name);
    assert(len > 0 && (size_t)len < sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_sys(err, "cannot make a socket");
    /* The queue of a monitor that accepts nobody is full at once, and connect() would wait. */
    const struct timeval patience = {.tv_sec = 2};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        *out = fd;
        return 0;
    }
    if (errno == ECONNREFUSED || errno == ENOENT)
        error_set(err, ERR_NOT_FOUND, "nothing listens on QEMU's monitor %s", name);
    else
        error_sys(err, "cannot connect to QEMU's monitor %s", name);
    close(fd);
    return err->code;
}

int qmp_open(struct arena *arena, int dir_fd, const char *name, int64_t timeout_ms,
             struct qmp **out, struct error *err)
{
    int lock_fd = -1, fd = -1;
    int status = take_turn(dir_fd, name, timeout_ms, &lock_fd, err);
    if (status < 0)
        return status;
    status = connect_in(dir_fd, name, &fd, err);
    if (status == 0)
        status = qmp_start(arena, fd, timeout_ms, out, err);
    if (status < 0) {
        close(lock_fd);
        return status;
    }
    (*out)->lock_fd = lock_fd;
    return 0;
}

void qmp_close(struct qmp *qmp)
{
    if (!qmp)
        return;
    close(qmp->fd);
    if (qmp->lock_fd >= 0)
        close(qmp->lock_fd);
    text_free(&qmp->input);
}
