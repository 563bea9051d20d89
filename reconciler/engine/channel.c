/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Neither side may ever wait for the other: output gathers here while the driver
 * does not read, input is taken as it comes, and a driver that floods without a
 * newline is cut off at CHANNEL_MAX_LINE.
 */
#include "reconciler/engine/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    CHUNK = 1 << 16,
    TEXT_KEPT = 1 << 18,
    ERROR_LINE_MAX = 4096,
    DRAIN_CHUNKS = 16, /* more than a pipe holds */
};

static void front_drop(struct text *text, size_t count)
{
    if (!count)
        return;
    memmove(text->data, text->data + count, text->len - count);
    text->len -= count;
    text->data[text->len] = '\0';
}

/* ---- in ----------------------------------------------------------------------------- */

/* The last line may have made its reader give it up. */
static void lines_give(struct channel *channel)
{
    const char *line;
    size_t len;
    while (channel->is_attached && (line = lines_next(&channel->lines, &len)))
        channel->events->line(channel->context, channel, line, len);
}

/* 1 if something came, 0 if there is nothing now, -1 at the end. */
static int fd_read(int fd, struct text *text)
{
    char chunk[CHUNK];
    ssize_t got = read(fd, chunk, sizeof chunk);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0)
        return -1;
    text_add_n(text, chunk, (size_t)got);
    return 1;
}

static void in_ready(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct channel *channel = io->data;
    (void)events;
    int got = fd_read(io->fd, &channel->lines.input);
    if (got > 0)
        lines_give(channel);
    if (!channel->is_attached)
        return;
    bool is_flood = channel->lines.input.len > CHANNEL_MAX_LINE;
    if (got >= 0 && !is_flood)
        return;
    ev_io_stop(loop, io);
    channel->events->ended(channel->context, channel,
                           is_flood ? "it sent a line of more than 64 MiB"
                                    : "it closed its standard output");
}

/* ---- standard error ----------------------------------------------------------------- */

static void error_lines_give(struct channel *channel)
{
    size_t start = 0;
    char *end;
    while ((end = memchr(channel->errors.data + start, '\n', channel->errors.len - start))) {
        const char *line = channel->errors.data + start;
        *end = '\0';
        snprintf(channel->last_error, sizeof channel->last_error, "%s", line);
        channel->events->noise(channel->context, channel, line);
        start = (size_t)(end - channel->errors.data) + 1;
    }
    front_drop(&channel->errors, start);
    if (channel->errors.len > ERROR_LINE_MAX)
        text_reset(&channel->errors);
}

static void err_ready(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct channel *channel = io->data;
    (void)events;
    int got = fd_read(io->fd, &channel->errors);
    if (got < 0)
        ev_io_stop(loop, io);
    error_lines_give(channel);
}

/* ---- out ---------------------------------------------------------------------------- */

static void output_write(struct channel *channel)
{
    while (channel->written < channel->output.len) {
        ssize_t put = write(channel->out.fd, channel->output.data + channel->written,
                            channel->output.len - channel->written);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN) {
            ev_io_start(channel->loop, &channel->out);
            return;
        }
        if (put < 0)
            break; /* its end will be seen on the other streams */
        channel->written += (size_t)put;
    }
    ev_io_stop(channel->loop, &channel->out);
    if (channel->output.size > TEXT_KEPT)
        text_free(&channel->output);
    text_reset(&channel->output);
    channel->written = 0;
}

static void out_ready(struct ev_loop *loop, struct ev_io *io, int events)
{
    (void)loop;
    (void)events;
    output_write(io->data);
}

/* What one turn of the loop has to say leaves at its end, together: a driver that is woken by the
 * first line of many would begin with that one alone. */
void channel_send(struct channel *channel, const char *line, size_t len)
{
    text_add_n(&channel->output, line, len);
    text_add_char(&channel->output, '\n');
    if (channel->is_attached)
        ev_io_start(channel->loop, &channel->out);
}

/* ---- life --------------------------------------------------------------------------- */

void channel_open(struct channel *channel, struct ev_loop *loop, const char *name,
                  const struct channel_events *events, void *context)
{
    *channel = (struct channel){.name = name,
                                .loop = loop,
                                .events = events,
                                .context = context,
                                .lines = LINES_INIT,
                                .output = TEXT_INIT,
                                .errors = TEXT_INIT};
    ev_io_init(&channel->in, in_ready, -1, EV_READ);
    ev_io_init(&channel->out, out_ready, -1, EV_WRITE);
    ev_io_init(&channel->err, err_ready, -1, EV_READ);
    channel->in.data = channel->out.data = channel->err.data = channel;
}

static void fd_take(struct ev_io *io, int fd, int events)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    ev_io_set(io, fd, events);
}

void channel_attach(struct channel *channel, int to_in, int from_out, int from_err)
{
    fd_take(&channel->out, to_in, EV_WRITE);
    fd_take(&channel->in, from_out, EV_READ);
    fd_take(&channel->err, from_err, EV_READ);
    channel->is_attached = true;
    channel->last_error[0] = '\0';
    ev_io_start(channel->loop, &channel->in);
    ev_io_start(channel->loop, &channel->err);
    output_write(channel);
}

/* No more than was there when the process ended: one that it left behind may hold the other end,
 * and write for ever. */
void channel_drain(struct channel *channel)
{
    if (!channel->is_attached)
        return;
    for (int i = 0; i < DRAIN_CHUNKS && fd_read(channel->err.fd, &channel->errors) > 0; i++)
        error_lines_give(channel);
    for (int i = 0; i < DRAIN_CHUNKS && channel->is_attached &&
                    fd_read(channel->in.fd, &channel->lines.input) > 0;
         i++)
        lines_give(channel);
}

void channel_detach(struct channel *channel)
{
    if (channel->is_attached) {
        struct ev_io *all[] = {&channel->in, &channel->out, &channel->err};
        for (size_t i = 0; i < 3; i++) {
            ev_io_stop(channel->loop, all[i]);
            close(all[i]->fd);
        }
    }
    channel->is_attached = false;
    lines_reset(&channel->lines);
    text_reset(&channel->output);
    text_reset(&channel->errors);
    channel->written = 0;
}

void channel_close(struct channel *channel)
{
    channel_detach(channel);
    lines_free(&channel->lines);
    text_free(&channel->output);
    text_free(&channel->errors);
}
