/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_CHANNEL_H
#define RECONCILER_ENGINE_CHANNEL_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "model/text.h"
#include "reconciler/engine/lines.h"

/*
 * A driver's three streams on the event loop: lines out and in without blocking,
 * and standard error line by line. What is sent before the process is attached
 * waits. The process itself belongs to who started it (struct launcher).
 */
enum { CHANNEL_MAX_LINE = 64 << 20 };

struct channel;

struct channel_events {
    /* One line of the driver, without its newline; borrowed. */
    void (*line)(void *context, struct channel *channel, const char *data, size_t len);
    /* One line of its standard error. */
    void (*noise)(void *context, struct channel *channel, const char *text);
    /* It closed its output, or a line was too long (`why`). Not called by close. */
    void (*ended)(void *context, struct channel *channel, const char *why);
};

struct channel {
    const char *name; /* of the driver; borrowed */
    struct ev_loop *loop;
    const struct channel_events *events;
    void *context;
    bool is_attached;
    struct ev_io in, out, err; /* from its standard output, to its input, from its errors */
    struct lines lines;
    struct text output, errors;
    size_t written;       /* of output */
    char last_error[512]; /* last line of its standard error */
};

void channel_open(struct channel *channel, struct ev_loop *loop, const char *name,
                  const struct channel_events *events, void *context);
/* Takes the descriptors over. to_in, from_out and from_err become non-blocking. */
void channel_attach(struct channel *channel, int to_in, int from_out, int from_err);
void channel_send(struct channel *channel, const char *line, size_t len); /* adds the newline */
/* Reads what is left of both streams; its end was seen elsewhere. */
void channel_drain(struct channel *channel);
/* Closes the descriptors and forgets what was waiting; may be attached again. */
void channel_detach(struct channel *channel);
void channel_close(struct channel *channel);

#endif
