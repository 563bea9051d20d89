/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_ERROR_H
#define MODEL_ERROR_H

#include <stddef.h>

/*
 * Why an operation failed, in the words the operator will read.
 *
 * The caller owns the struct (usually on its stack), starts it as `= ERROR_INIT`
 * and passes it last. A function that returns a negative value has filled it;
 * one that returns >= 0 has not touched it. The code answers one question:
 * what may the caller do next?
 */
enum error_code {
    ERR_NONE = 0,
    ERR_INVALID = -1,      /* the input is wrong; trying again cannot help */
    ERR_NOT_FOUND = -2,    /* it is not there */
    ERR_CONFLICT = -3,     /* someone else changed it; observe again */
    ERR_BUSY = -4,         /* transient; try again later */
    ERR_DENIED = -5,       /* permission, ownership or policy forbids it */
    ERR_SYSTEM = -6,       /* kernel or library failed; see sys_errno */
    ERR_NO_SPACE = -7,     /* a disk is full; effects must stop */
    ERR_STALE = -8,        /* the plan, epoch or token is older than the world */
    ERR_CORRUPT = -9,      /* a file of ours does not read as we wrote it */
    ERR_UNSUPPORTED = -10, /* this machine or program lacks something */
};

struct error {
    enum error_code code;
    int sys_errno;     /* errno at the failing call, or 0 */
    char message[768]; /* one line, no trailing full stop or newline */
    char hint[256];    /* what to do next, "" if there is nothing to say */
};

#define ERROR_INIT       \
    {                    \
        .code = ERR_NONE \
    }

/* Fills `err` and returns `code`, so that a caller can write
 * `return error_set(err, ERR_INVALID, ...)`. Long messages are cut. */
int error_set(struct error *err, enum error_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), nonnull(1, 3)));

/* As error_set() with ERR_SYSTEM (ERR_NO_SPACE for ENOSPC and EDQUOT, ERR_DENIED
 * for EACCES and EPERM); appends ": " and strerror(errno). Keeps errno. */
int error_sys(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), nonnull(1, 2)));

/* Puts "<context>: " in front of the message. Returns err->code. */
int error_wrap(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), nonnull(1, 2)));

/* Sets the hint: a full sentence on what to do next. Returns err->code. */
int error_hint(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), nonnull(1, 2)));

/* Message and hint as one line, cut to what fits into ERROR_LINE. Returns `line`. */
enum { ERROR_LINE = 1028 };
char *error_line(const struct error *err, char line[ERROR_LINE]);

/* The code as a stable lower-case word for JSON: "invalid", "busy", ... Static. */
const char *error_code_text(enum error_code code);

#endif
