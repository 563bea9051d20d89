/* SPDX-License-Identifier: MPL-2.0 */
/*
 * When the connection of a push breaks, git-receive-pack waits for its hook, holds the pipe open
 * and reads it no more: the hook would wait for it, and it for the hook, for ever. A terminal that
 * was stopped with Ctrl-S looks the same.
 */
#include "reconciler/cli/stall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    int most_ms;
    const char *last_words;
    bool is_over;
} stall;

/* A pipe that is full can be made larger; in what is none, the words might wait as well. */
static void last_words_put(void)
{
    int room = fcntl(STDOUT_FILENO, F_GETPIPE_SZ);

    if (room > 0 && fcntl(STDOUT_FILENO, F_SETPIPE_SZ, room * 2) > room)
        (void)!write(STDOUT_FILENO, stall.last_words, strlen(stall.last_words));
}

/* Where poll(2) says that there is room, a pipe has it for PIPE_BUF bytes. 0 or below: none. */
static ssize_t piece_write(const char *bytes, size_t len)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    ssize_t put;
    int ready;

    do
        ready = poll(&out, 1, stall.most_ms);
    while (ready < 0 && errno == EINTR);
    if (ready == 0) {
        stall.is_over = true;
        last_words_put();
        errno = ETIMEDOUT;
        return 0;
    }
    do
        put = write(STDOUT_FILENO, bytes, len < PIPE_BUF ? len : PIPE_BUF);
    while (put < 0 && errno == EINTR);
    return put;
}

static ssize_t pieces_write(void *cookie, const char *bytes, size_t len)
{
    size_t done = 0;

    (void)cookie;
    if (stall.is_over)
        return (ssize_t)len;
    while (done < len) {
        ssize_t put = piece_write(bytes + done, len - done);

        if (put <= 0)
            break;
        done += (size_t)put;
    }
    return (ssize_t)done;
}

void stall_watch(int64_t most_s, const char *last_words)
{
    const cookie_io_functions_t functions = {.write = pieces_write};
    FILE *patient = fopencookie(NULL, "w", functions);

    stall.most_ms = (int)(most_s * 1000); /* a day at most (model/kinds/site.yaml) */
    stall.last_words = last_words;
    if (!patient)
        return;
    fflush(stdout);
    stdout = patient; /* which the C library of GNU allows */
}

bool stall_is_over(void)
{
    (void)fflush(stdout);
    if (stall.is_over)
        clearerr(stdout);
    return stall.is_over;
}
