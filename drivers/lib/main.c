/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The main process of a driver: one poll() loop over the daemon's channel, the pipes
 * of the calls, the death of children, and what the driver watches.
 *
 * The one rule of order: no answer leaves, and no call begins, before the ledger that it rests on
 * is on disk. Both gather while more requests are waiting, so that one fsync serves many.
 */
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include "drivers/lib/call.h"
#include "drivers/lib/host.h"
#include "drivers/lib/method.h"
#include "model/arena.h"
#include "model/hash.h"
#include "model/invariant.h"
#include "model/memory.h"

enum {
    GATHER_MAX = 1 << 20,
    REST_MS = 100, /* at most, for the rest of a message that does not fit into the pipe at once */
};

/* The slots of the pollfd array: these first, then the calls, then the watches. */
enum { SLOT_IN, SLOT_OUT, SLOT_SIGNAL, SLOT_REST };

static void die(struct spinel_host *host, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", host->driver->name, err->message);
    host->exit_status = 1;
}

static void output_send(struct spinel_host *host, bool is_last)
{
    struct error err = ERROR_INIT;
    invariant(host->call_fd < 0, "the process of a call answers for driver %s", host->driver->name);
    if (host->ledger && ledger_sync(host->ledger, &err) < 0)
        die(host, &err);
    else if (wire_flush(&host->wire, is_last) < 0)
        host->exit_status = 0; /* nobody listens any more */
}

/* A pipe holds 64 KiB: of a hundred steps that were sent together the last ones come when the
 * first were read. Half a message says that there are more, and that they are on their way. */
static bool has_more_input(const struct spinel_host *host, int64_t until_ms)
{
    struct pollfd in = {.fd = host->wire.in, .events = POLLIN};
    int64_t left_ms = host->wire.used < host->wire.input.len ? until_ms - host_now_ms() : 0;
    return host->wire.output.len < GATHER_MAX && poll(&in, 1, left_ms > 0 ? (int)left_ms : 0) > 0 &&
           in.revents == POLLIN;
}

static void input_take(struct spinel_host *host)
{
    struct error err = ERROR_INIT;
    int64_t until_ms = host_now_ms() + REST_MS;
    const char *line;
    size_t len;
    do {
        if (wire_fill(&host->wire, &err) < 0) {
            wire_error(&host->wire, "null", RPC_REQUEST, &err);
            die(host, &err);
            return;
        }
        while (host->exit_status < 0 && (line = wire_next(&host->wire, &len)))
            line_handle(host, line, len);
    } while (host->exit_status < 0 && !host->wire.is_ended && has_more_input(host, until_ms));
    if (host->wire.is_ended)
        host->exit_status = 0;
}

static void signals_drain(int fd)
{
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
        continue;
}

static size_t slots_fill(const struct spinel_host *host, struct pollfd *slots)
{
    bool is_full = host->wire.output.len - host->wire.written > WIRE_MAX_OUTPUT;
    size_t n = SLOT_REST;
    slots[SLOT_IN] = (struct pollfd){.fd = is_full ? -1 : host->wire.in, .events = POLLIN};
    slots[SLOT_OUT] = (struct pollfd){.fd = wire_has_output(&host->wire) ? host->wire.out : -1,
                                      .events = POLLOUT};
    slots[SLOT_SIGNAL] = (struct pollfd){.fd = host->signal_fd, .events = POLLIN};
    for (const struct call *call = host->calls; call; call = call->next)
        if (call->fd >= 0) /* of hundreds that wait or go with another's process none has one */
            slots[n++] = (struct pollfd){.fd = call->fd, .events = POLLIN};
    for (size_t i = 0; i < host->watch_count; i++) {
        const struct watch *watch = &host->watches[i];
        slots[n++] = (struct pollfd){.fd = watch->rests ? -1 : watch->fd, .events = POLLIN};
    }
    return n;
}

static void watch_ready(struct spinel_host *host, int fd)
{
    size_t i = 0;
    while (i < host->watch_count && host->watches[i].fd != fd)
        i++;
    if (i == host->watch_count)
        return;
    invariant(host->arena == host->forever, "a watch of %s meets a callback", host->driver->name);
    host->arena = arena_new();
    if (host->watches[i].ready)
        host->watches[i].ready(host, fd);
    else
        host->driver->watch(host);
    arena_free(host->arena);
    host->arena = host->forever;
}

/* Takes what the watches have to tell by now. */
static void watches_catch_up(struct spinel_host *host)
{
    size_t count = host->watch_count;
    struct pollfd *slots = memory_need(calloc(count + 1, sizeof *slots));
    for (size_t i = 0; i < count; i++)
        slots[i] = (struct pollfd){.fd = host->watches[i].fd, .events = POLLIN};
    if (poll(slots, count, 0) > 0)
        for (size_t i = 0; i < count; i++)
            if (slots[i].revents)
                watch_ready(host, slots[i].fd);
    free(slots);
}

/* Calls and watches may come and go while slots are served: a slot is matched by its
 * descriptor, and one that is gone is passed over. */
static void slots_serve(struct spinel_host *host, const struct pollfd *slots, size_t count)
{
    size_t watches_at = count - host->watch_count;
    struct call *call = host->calls;
    for (size_t i = SLOT_REST; i < watches_at; call = call->next) {
        invariant(call, "slot %zu of %zu has no call", i, watches_at);
        if (call->fd < 0)
            continue;
        if (slots[i++].revents)
            call_read(host, call);
    }
    for (size_t i = watches_at; i < count; i++)
        if (slots[i].revents)
            watch_ready(host, slots[i].fd);
    if (slots[SLOT_SIGNAL].revents)
        signals_drain(host->signal_fd);
    if (calls_reap(host))
        watches_catch_up(host);
    calls_answer(host);
    if (slots[SLOT_IN].revents)
        input_take(host);
    output_send(host, false); /* R4: what was let in is on disk before it begins */
    if (host->exit_status < 0)
        calls_start(host);
}

static size_t slots_needed(const struct spinel_host *host)
{
    size_t count = SLOT_REST + host->watch_count;
    for (const struct call *call = host->calls; call; call = call->next)
        count++;
    return count;
}

static void loop(struct spinel_host *host)
{
    while (host->exit_status < 0) {
        struct pollfd *slots = memory_need(calloc(slots_needed(host), sizeof *slots));
        size_t count = slots_fill(host, slots);
        if (poll(slots, count, calls_expire(host)) >= 0)
            slots_serve(host, slots, count);
        free(slots);
        output_send(host, false);
    }
}

static int main_open(struct spinel_host *host, struct error *err)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file beyond a limit is an error of its call */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    host->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (host->signal_fd < 0)
        return error_sys(err, "cannot watch for the end of children");
    int result = wire_open(&host->wire, err);
    if (result == 0)
        host->forever = host->arena = arena_new();
    else
        close(host->signal_fd);
    return result;
}

static int help(const struct spinel_driver *driver, const char *option)
{
    if (strcmp(option, "--version") == 0) {
        printf("%s %s\n", driver->name, driver->version);
        return 0;
    }
    bool is_asked = strcmp(option, "--help") == 0;
    fprintf(is_asked ? stdout : stderr,
            "%s is a Spinel driver for %s.\n"
            "It is started by spinel and speaks JSON-RPC 2.0, one message a line, on standard\n"
            "input and output. It takes no arguments but --help and --version.\n",
            driver->name, driver->kinds);
    return is_asked ? 0 : 64;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int spinel_driver_main(const struct spinel_driver *driver, int argc, char **argv)
{
    struct error err = ERROR_INIT;
    struct spinel_host host = {.driver = driver,
                               .call_fd = -1,
                               .lock_fd = -1,
                               .guard_fd = -1,
                               .exit_status = -1,
                               .born_ns = now_ns()};
    unsigned char key[HASH_KEY_BYTES];
    randombytes_buf(key, sizeof key);
    hash_key_set(key);
    if (argc > 1)
        return help(driver, argv[1]);
    memory_settle();
    if (main_open(&host, &err) < 0) {
        fprintf(stderr, "%s: %s\n", driver->name, err.message);
        return 1;
    }
    loop(&host);
    calls_end(&host);
    output_send(&host, true);
    close(host.signal_fd);
    host_close(&host);
    return host.exit_status;
}
