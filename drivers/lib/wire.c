/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The channel to the daemon: lines in, lines out, never blocking on either, so that
 * a daemon that is busy sending to us cannot wait for us while we wait for it.
 * What arrives is hostile until it has been read as a JSON-RPC request.
 */
#include "drivers/lib/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model/arena.h"
#include "model/invariant.h"
#include "model/json.h"

enum { READ_CHUNK = 1 << 16, TEXT_KEPT = 1 << 18 /* of a message that has gone */ };

static void stop_blocking(int fd)
{
    struct stat st;
    /* Not on a terminal or a file: there the flag would leak to others who hold it. */
    if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int wire_open(struct wire *wire, struct error *err)
{
    *wire = (struct wire){.input = TEXT_INIT, .output = TEXT_INIT};
    wire->in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    wire->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (wire->in < 0 || wire->out < 0 || null < 0)
        return error_sys(err, "cannot take over standard input and output");
    dup2(null, STDIN_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    close(null);
    stop_blocking(wire->in);
    stop_blocking(wire->out);
    return 0;
}

void wire_close(struct wire *wire)
{
    text_free(&wire->input);
    text_free(&wire->output);
    close(wire->in);
    close(wire->out);
}

static void drop_front(struct text *text, size_t count)
{
    invariant(count <= text->len, "%zu of %zu bytes are dropped", count, text->len);
    if (count == 0)
        return;
    memmove(text->data, text->data + count, text->len - count);
    text->len -= count;
    text->data[text->len] = '\0';
}

int wire_fill(struct wire *wire, struct error *err)
{
    char chunk[READ_CHUNK];
    ssize_t got = read(wire->in, chunk, sizeof chunk);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0) {
        wire->is_ended = true;
        return 0;
    }
    drop_front(&wire->input, wire->used);
    wire->scanned -= wire->used;
    wire->used = 0;
    text_add_n(&wire->input, chunk, (size_t)got);
    if (wire->input.len > WIRE_MAX_LINE &&
        !memchr(wire->input.data + wire->scanned, '\n', wire->input.len - wire->scanned))
        return error_set(err, ERR_INVALID, "a message is longer than %d MiB", WIRE_MAX_LINE >> 20);
    return 0;
}

/* All whole lines were taken, and what was large of them is done with. */
static void input_rest(struct wire *wire)
{
    if (wire->used == wire->input.len && wire->input.size > TEXT_KEPT) {
        text_free(&wire->input);
        wire->used = 0;
    }
    wire->scanned = wire->input.len;
}

const char *wire_next(struct wire *wire, size_t *len)
{
    invariant(wire->used <= wire->scanned && wire->scanned <= wire->input.len,
              "%zu bytes are used and %zu scanned of %zu", wire->used, wire->scanned,
              wire->input.len);
    char *start = wire->input.data + wire->used;
    char *from = wire->input.data + wire->scanned;
    char *end = memchr(from, '\n', wire->input.len - wire->scanned);
    if (!end) {
        input_rest(wire);
        return NULL;
    }
    *len = (size_t)(end - start);
    wire->used = wire->scanned = (size_t)(end + 1 - wire->input.data);
    return start;
}

bool wire_has_output(const struct wire *wire)
{
    return wire->written < wire->output.len;
}

int wire_flush(struct wire *wire, bool is_last)
{
    invariant(wire->written <= wire->output.len, "%zu of %zu bytes are written", wire->written,
              wire->output.len);
    if (is_last)
        fcntl(wire->out, F_SETFL, fcntl(wire->out, F_GETFL) & ~O_NONBLOCK);
    while (wire_has_output(wire)) {
        ssize_t n =
            write(wire->out, wire->output.data + wire->written, wire->output.len - wire->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        wire->written += (size_t)n;
    }
    if (wire->output.size > TEXT_KEPT)
        text_free(&wire->output);
    text_reset(&wire->output);
    wire->written = 0;
    return 0;
}

/* ---- JSON-RPC ----------------------------------------------------------------------- */

static const char *request_id(struct arena *arena, const struct value *id)
{
    if (!id || (id->type != VALUE_INT && id->type != VALUE_STRING))
        return NULL;
    return json_text(arena, id);
}

int request_read(struct wire *wire, const char *line, size_t len, struct request *request)
{
    struct error err = ERROR_INIT;
    struct value *message;
    if (json_read(request->arena, line, len, &message, &err) < 0) {
        wire_refuse(wire, "null", RPC_PARSE, "not JSON: %s", err.message);
        return -1;
    }
    const struct value *id = value_get(message, "id");
    const struct value *params = value_get(message, "params");
    request->id = request_id(request->arena, id);
    request->method = value_get_text(message, "method", NULL);
    request->params = params;
    const char *version = value_get_text(message, "jsonrpc", "");
    if (!request->method || strcmp(version, "2.0") != 0 || (id && !request->id)) {
        wire_refuse(wire, request->id ? request->id : "null", RPC_REQUEST,
                    "not a JSON-RPC 2.0 request");
        return -1;
    }
    if (params && !value_is_map(params)) {
        wire_refuse(wire, request->id, RPC_PARAMS, "params of %s is not a map", request->method);
        return -1;
    }
    return 0;
}

void wire_result(struct wire *wire, const char *id, const char *result, size_t len)
{
    if (!id)
        return;
    invariant(len > 0, "request %s is answered with nothing", id);
    text_printf(&wire->output, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":", id);
    text_add_n(&wire->output, result, len);
    text_add(&wire->output, "}\n");
}

/* `epoch` 0 is not told. */
static void error_put(struct wire *wire, const char *id, int code, const struct error *err,
                      uint64_t epoch)
{
    if (!id)
        return;
    invariant(err->code != ERR_NONE, "request %s fails without a reason", id);
    struct arena *arena = arena_new();
    struct value *data = value_map(arena), *body = value_map(arena);
    value_set_text(arena, data, "kind", error_code_text(err->code));
    if (err->hint[0])
        value_set_text(arena, data, "hint", err->hint);
    if (epoch)
        value_set_int(arena, data, "epoch", (int64_t)epoch);
    value_set_int(arena, body, "code", code);
    value_set_text(arena, body, "message", err->message);
    value_set(arena, body, "data", data);
    text_printf(&wire->output, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":", id);
    json_write(&wire->output, body);
    text_add(&wire->output, "}\n");
    arena_free(arena);
}

void wire_error(struct wire *wire, const char *id, int code, const struct error *err)
{
    error_put(wire, id, code, err, 0);
}

void wire_stale(struct wire *wire, const char *id, const struct error *err, uint64_t epoch)
{
    error_put(wire, id, RPC_STALE, err, epoch);
}

void wire_failure(struct wire *wire, const char *id, const struct error *err)
{
    wire_error(wire, id, err->code == ERR_STALE ? RPC_STALE : RPC_FAILED, err);
}

void wire_refuse(struct wire *wire, const char *id, int code, const char *fmt, ...)
{
    struct error err = {.code = ERR_INVALID};
    va_list args;
    va_start(args, fmt);
    vsnprintf(err.message, sizeof err.message, fmt, args);
    va_end(args);
    wire_error(wire, id, code, &err);
}

void notice_write(struct text *out, const char *method, const struct value *params)
{
    text_printf(out, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":", method);
    if (params)
        json_write(out, params);
    else
        text_add(out, "{}");
    text_add(out, "}\n");
}
