/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_WIRE_H
#define DRIVER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/error.h"
#include "model/text.h"
#include "model/value.h"

struct arena;

enum { WIRE_MAX_LINE = 64 << 20, WIRE_MAX_OUTPUT = 64 << 20 };

/* Codes of JSON-RPC 2.0, and ours for a lower epoch. */
enum rpc_code {
    RPC_PARSE = -32700,
    RPC_REQUEST = -32600,
    RPC_METHOD = -32601,
    RPC_PARAMS = -32602,
    RPC_STALE = -32009,
    RPC_FAILED = -32000,
};

/* The two ends of the channel to the daemon, one JSON-RPC message a line. */
struct wire {
    int in, out;
    bool is_ended; /* the daemon closed its end */
    struct text input;
    size_t used;    /* bytes of input that were handed out as lines */
    size_t scanned; /* bytes of input that hold no newline beyond `used` */
    struct text output;
    size_t written; /* bytes of output that are gone */
};

/* A request or a notice; lives in `arena`, as do its parts. */
struct request {
    struct arena *arena;
    const char *id; /* as JSON; NULL for a notice, which is never answered */
    const char *method;
    const struct value *params; /* map or NULL */
};

/* Takes over standard input and output: a callback, or a program it runs, that prints
 * something reaches standard error and cannot break a frame. */
int wire_open(struct wire *wire, struct error *err);
void wire_close(struct wire *wire);

/* Reads once what there is. -1 with an error that ends the driver: a line that is too long. */
int wire_fill(struct wire *wire, struct error *err);

/* The next whole line without its newline, borrowed until the next call; or NULL. */
const char *wire_next(struct wire *wire, size_t *len);

bool wire_has_output(const struct wire *wire);
/* Writes what the other end takes without blocking; all of it if `is_last`. -1: it is gone. */
int wire_flush(struct wire *wire, bool is_last);

/* Parses a line into `request`, whose arena is set. On failure the answer has been queued. */
int request_read(struct wire *wire, const char *line, size_t len, struct request *request);

/* Queue one message. `id` NULL answers nobody: nothing is queued; `result` is JSON. */
void wire_result(struct wire *wire, const char *id, const char *result, size_t len);
void wire_error(struct wire *wire, const char *id, int code, const struct error *err);
void wire_failure(struct wire *wire, const char *id, const struct error *err);
/* ERR_STALE, with the highest epoch that was let in. */
void wire_stale(struct wire *wire, const char *id, const struct error *err, uint64_t epoch);
void wire_refuse(struct wire *wire, const char *id, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Appends a notice as a line; `params` NULL writes {}. */
void notice_write(struct text *out, const char *method, const struct value *params);

#endif
