/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A driver's three streams: what it writes, in pieces of any size, to standard output and error,
 * and how much of what it is sent it reads, until it closes one or ends. Letters of the input say
 * which: o and e write the bytes that follow (a length first), r reads, s is a request of ours, d
 * what happens once the process is known to be dead. Its lines come whole and in order, and so do
 * ours.
 */
#include <signal.h>
#include <unistd.h>
#include "reconciler/engine/channel.c"
#include "tests/fuzz/fuzz.h"

static struct {
    struct text said, complained; /* by the driver, in whole and not */
    size_t heard;                 /* of what it said */
    struct text asked, got;       /* of us, and read by it */
    bool has_ended, gives_up;     /* which the next line makes its reader do */
    int to_us, errors, from_us;
} driver;

static void line_take(void *context, struct channel *channel, const char *data, size_t len)
{
    (void)context;
    MUST(!driver.has_ended && driver.heard + len < driver.said.len);
    MUST(memcmp(driver.said.data + driver.heard, data, len) == 0 && !memchr(data, '\n', len));
    MUST(driver.said.data[driver.heard + len] == '\n' && data[len] == '\0');
    driver.heard += len + 1;
    if (driver.gives_up)
        channel_detach(channel);
}

static void noise_take(void *context, struct channel *channel, const char *text)
{
    (void)context;
    MUST(strlen(text) <= driver.complained.len && !strchr(text, '\n'));
    MUST(strncmp(channel->last_error, text, sizeof channel->last_error - 1) == 0);
}

static void end_take(void *context, struct channel *channel, const char *why)
{
    (void)context, (void)channel;
    MUST(!driver.has_ended && why[0]);
    driver.has_ended = true;
}

static const struct channel_events events = {line_take, noise_take, end_take};

static int end_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    return *fd = -1;
}

static void streams_open(struct channel *channel)
{
    int in[2], out[2], err[2];
    MUST(pipe2(in, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0);
    MUST(pipe2(err, O_CLOEXEC | O_NONBLOCK) == 0);
    driver.from_us = in[0];
    driver.to_us = out[1];
    driver.errors = err[1];
    channel_attach(channel, in[1], out[0], err[0]);
}

/* What a full pipe does not take is not said. */
static void say(int fd, struct text *said, const uint8_t *data, size_t len)
{
    ssize_t put = fd >= 0 ? write(fd, data, len) : -1;
    if (put > 0)
        text_add_n(said, (const char *)data, (size_t)put);
}

static void hear(size_t room)
{
    char chunk[4096];
    ssize_t got = driver.from_us < 0
                      ? 0
                      : read(driver.from_us, chunk, room < sizeof chunk ? room : sizeof chunk);
    if (got > 0)
        text_add_n(&driver.got, chunk, (size_t)got);
    MUST(driver.got.len <= driver.asked.len);
    MUST(memcmp(driver.got.data, driver.asked.data, driver.got.len) == 0);
}

static void ask(struct channel *channel, size_t len)
{
    char line[1024];
    memset(line, 'q', sizeof line);
    len = len * 4 < sizeof line ? len * 4 : sizeof line;
    text_add_n(&driver.asked, line, len);
    text_add_char(&driver.asked, '\n');
    channel_send(channel, line, len);
}

/* The whole of what was said in lines was heard, unless somebody stopped listening. */
static void die(struct channel *channel)
{
    end_close(&driver.to_us);
    end_close(&driver.errors);
    end_close(&driver.from_us);
    bool is_listening = channel->is_attached && !driver.has_ended;
    channel_drain(channel);
    const char *last = driver.said.len ? memrchr(driver.said.data, '\n', driver.said.len) : NULL;
    if (is_listening && channel->is_attached)
        MUST(driver.heard == (last ? (size_t)(last - driver.said.data) + 1 : 0));
    channel_detach(channel);
}

static void step(struct channel *channel, const uint8_t **at, const uint8_t *end)
{
    uint8_t what = *(*at)++;
    size_t n = *at < end ? *(*at)++ : 0, left = (size_t)(end - *at);
    size_t len = n << (what & 0x20 ? 0 : 6); /* a capital: of 64 */
    len = len < left ? len : left;
    switch (what | 0x20) {
    case 'o':
        say(driver.to_us, &driver.said, *at, len);
        *at += len;
        break;
    case 'e':
        say(driver.errors, &driver.complained, *at, len);
        *at += len;
        break;
    case 'r':
        hear(n);
        break;
    case 's':
        ask(channel, n);
        break;
    case 'c':
        end_close(n & 1 ? &driver.to_us : n & 2 ? &driver.errors : &driver.from_us);
        break;
    case 'g':
        driver.gives_up = true;
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ev_loop *loop;
    struct channel channel;
    if (!loop) {
        loop = ev_loop_new(EVFLAG_AUTO);
        signal(SIGPIPE, SIG_IGN);
    }
    MUST(loop);
    memset(&driver, 0, sizeof driver);
    driver.said = driver.complained = driver.asked = driver.got = (struct text)TEXT_INIT;
    channel_open(&channel, loop, "a", &events, NULL);
    if (size && data[0] & 1)
        ask(&channel, 5); /* waits for the process */
    streams_open(&channel);
    for (const uint8_t *at = data, *end = data + size; at < end;) {
        step(&channel, &at, end);
        ev_run(loop, EVRUN_NOWAIT);
    }
    die(&channel);
    channel_close(&channel);
    text_free(&driver.said);
    text_free(&driver.complained);
    text_free(&driver.asked);
    text_free(&driver.got);
    return 0;
}
