/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The client's end: a blocking connection with a deadline on every wait. Notices
 * that come before an answer are kept in order for control_next().
 */
#include "reconciler/server/control.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>
#include "model/invariant.h"
#include "model/json.h"
#include "model/text.h"
#include "reconciler/engine/lines.h"
#include "reconciler/server/address.h"

struct kept {
    char *line;
    struct kept *prev, *next;
};

struct control {
    int fd;
    int64_t last_id;
    struct lines lines;
    struct kept *notices;
};

enum { NO_LIMIT = -1 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int control_open(const struct site *site, struct control **out, struct error *err)
{
    int fd = -1;
    int status = control_connect(site->state_dir, &fd, err);
    if (status < 0)
        return status;
    struct control *control = memory_need(calloc(1, sizeof *control));
    control->fd = fd;
    control->lines = LINES_INIT;
    *out = control;
    return 0;
}

void control_close(struct control *control)
{
    if (!control)
        return;
    struct kept *kept, *next;
    DL_FOREACH_SAFE(control->notices, kept, next) {
        free(kept->line);
        free(kept);
    }
    lines_free(&control->lines);
    close(control->fd);
    free(control);
}

/* ---- lines -------------------------------------------------------------------------- */

/* 1: something came; 0: the time is over or a signal came; negative: the end. */
static int input_wait(struct control *control, int64_t until_ms, struct error *err)
{
    char chunk[65536];
    int64_t left = until_ms == NO_LIMIT ? NO_LIMIT : until_ms - now_ms();
    struct pollfd poll_fd = {.fd = control->fd, .events = POLLIN};
    if (until_ms != NO_LIMIT && left <= 0)
        return 0;
    int ready = poll(&poll_fd, 1, left > INT32_MAX ? INT32_MAX : (int)left);
    if (ready == 0 || (ready < 0 && errno == EINTR))
        return 0;
    ssize_t got = ready < 0 ? -1 : read(control->fd, chunk, sizeof chunk);
    if (got <= 0) {
        error_set(err, ERR_NOT_FOUND, "the daemon has closed the connection");
        return error_hint(err, "See whether it still runs: spinel status");
    }
    text_add_n(&control->lines.input, chunk, (size_t)got);
    return 1;
}

static int line_send(struct control *control, const struct value *message, struct error *err)
{
    struct text line = TEXT_INIT;
    size_t sent = 0;
    int status = 0;
    json_write(&line, message);
    text_add_char(&line, '\n');
    while (sent < line.len) {
        ssize_t put = send(control->fd, line.data + sent, line.len - sent, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            status = error_sys(err, "cannot write to the daemon");
            break;
        }
        sent += (size_t)put;
    }
    text_free(&line);
    return status;
}

/* ---- calls -------------------------------------------------------------------------- */

static void notice_keep(struct control *control, const char *line)
{
    struct kept *kept = memory_need(calloc(1, sizeof *kept));
    char *copy = memory_need(strdup(line));
    kept->line = copy;
    DL_APPEND(control->notices, kept);
}

static enum error_code code_of(const char *word)
{
    for (int code = ERR_UNSUPPORTED; code < ERR_NONE; code++)
        if (!strcmp(word, error_code_text((enum error_code)code)))
            return (enum error_code)code;
    return ERR_SYSTEM;
}

static int error_take(const struct value *error, const struct value **data, struct error *err)
{
    const struct value *more = value_get(error, "data");
    if (data)
        *data = more;
    error_set(err, code_of(value_get_text(more, "kind", "system")), "%s",
              value_get_text(error, "message", "the daemon gave no reason"));
    const char *hint = value_get_text(more, "hint", "");
    if (*hint)
        error_hint(err, "%s", hint);
    return err->code;
}

/* 1: it was the answer, taken; 0: it was something else. */
static int answer_take(struct control *control, struct arena *arena, const char *line,
                       struct value **result, const struct value **data, struct error *err)
{
    struct value *message = NULL;
    int status = json_read(arena, line, strlen(line), &message, err);
    if (status < 0)
        return error_wrap(err, "the daemon's answer");
    if (value_get(message, "method")) {
        notice_keep(control, line);
        return 0;
    }
    if (value_get_int(message, "id", 0) != control->last_id)
        return 0;
    const struct value *error = value_get(message, "error");
    if (value_is_map(error))
        return error_take(error, data, err);
    const struct value *found = value_get(message, "result");
    *result = (struct value *)(size_t)found;
    return 1;
}

int control_call(struct control *control, struct arena *arena, const char *method,
                 const struct value *params, int64_t timeout_ms, struct value **result,
                 const struct value **data, struct error *err)
{
    struct value *message = value_map(arena), *found = NULL;
    value_set_text(arena, message, "jsonrpc", "2.0");
    value_set_int(arena, message, "id", ++control->last_id);
    value_set_text(arena, message, "method", method);
    value_set(arena, message, "params", params ? value_copy(arena, params) : value_map(arena));
    size_t len;
    int status = line_send(control, message, err);
    int64_t until = timeout_ms < 0 ? NO_LIMIT : now_ms() + timeout_ms;
    while (status == 0) {
        const char *line = lines_next(&control->lines, &len);
        if (line)
            status = answer_take(control, arena, line, &found, data, err);
        else if ((status = input_wait(control, until, err)) == 1)
            status = 0;
        else if (status == 0 && until != NO_LIMIT && now_ms() >= until)
            status = error_set(err, ERR_BUSY, "the daemon has not answered %s within %lld s",
                               method, (long long)(timeout_ms / 1000));
    }
    if (status < 0)
        return status;
    if (result)
        *result = found;
    return 0;
}

static int notice_take(struct arena *arena, const char *line, struct value **event,
                       struct error *err)
{
    struct value *message = NULL;
    int status = json_read(arena, line, strlen(line), &message, err);
    if (status < 0)
        return error_wrap(err, "the daemon's notice");
    if (strcmp(value_get_text(message, "method", ""), "event"))
        return 0;
    *event = (struct value *)(size_t)value_get(message, "params");
    return 1;
}

int control_next(struct control *control, struct arena *arena, int64_t timeout_ms,
                 struct value **event, struct error *err)
{
    int64_t until = timeout_ms < 0 ? NO_LIMIT : now_ms() + timeout_ms;
    int status = 0;
    size_t len;
    while (control->notices && status == 0) {
        struct kept *kept = control->notices;
        DL_DELETE(control->notices, kept);
        status = notice_take(arena, kept->line, event, err);
        free(kept->line);
        free(kept);
    }
    while (status == 0) {
        const char *line = lines_next(&control->lines, &len);
        if (line)
            status = notice_take(arena, line, event, err);
        else if ((status = input_wait(control, until, err)) == 1)
            status = 0;
        else if (status == 0)
            return 0;
    }
    return status;
}
