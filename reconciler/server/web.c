/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The viewer's life. The HTTP library does the protocol on one epoll descriptor that
 * our loop watches; a handler runs to its end and never waits.
 */
#include "reconciler/server/web.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "model/when.h"
#include "reconciler/engine/log.h"

enum {
    CONNECTIONS_MAX = 2048,
    HEADER_BYTES_MAX = 32 << 10,
    SILENCE_MAX_S = 10,
    BACKLOG = 512,
};

/* ---- listening ---------------------------------------------------------------------- */

static int listen_unix(const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat old;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, ERR_INVALID, "spec.web.listen: %s is too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path));
    if (lstat(path, &old) == 0 && S_ISSOCK(old.st_mode))
        unlink(path); /* of a run before: whoever holds the store's lock is alone here */
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        chmod(path, 0660) < 0 || listen(fd, BACKLOG) < 0)
        return error_sys(err, "cannot listen on %s", path);
    return fd;
}

/* getaddrinfo() takes what is left of a larger number in 16 bits. */
static bool is_port(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= 5 && strspn(text, "0123456789") == len && atoi(text) <= UINT16_MAX;
}

static int listen_tcp(const char *host, const char *port, const char *given, struct error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int fd, on = 1;
    if (!is_port(port) || getaddrinfo(host, port, &hints, &found) != 0) {
        error_set(err, ERR_INVALID, "spec.web.listen: %s is no address and port", given);
        return error_hint(err, "Write 127.0.0.1:8420, [::1]:8420 or unix:/path/to/socket.");
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        error_sys(err, "the viewer cannot listen on %s", given);
        error_hint(err, "Name another port in spec.web.listen.");
        if (fd >= 0)
            close(fd);
        fd = err->code;
    }
    freeaddrinfo(found);
    return fd;
}

/* A descriptor, or a negative error. */
static int listen_at(struct arena *arena, const char *given, const char **host, struct error *err)
{
    const char *colon = strrchr(given, ':');
    *host = NULL;
    if (strncmp(given, "unix:", 5) == 0)
        return listen_unix(given + 5, err);
    if (!colon)
        return listen_tcp("", "", given, err);
    bool is_bracketed = given[0] == '[' && colon > given + 1 && colon[-1] == ']';
    *host = is_bracketed ? arena_text_n(arena, given + 1, (size_t)(colon - given) - 2)
                         : arena_text_n(arena, given, (size_t)(colon - given));
    return listen_tcp(*host, colon + 1, given, err);
}

/* ---- the loop ----------------------------------------------------------------------- */

void web_turn(struct web *web)
{
    MHD_UNSIGNED_LONG_LONG due_ms;
    MHD_run(web->http);
    ev_timer_stop(web->loop, &web->http_due);
    if (MHD_get_timeout(web->http, &due_ms) == MHD_YES) {
        ev_timer_set(&web->http_due, (double)due_ms / 1000, 0);
        ev_timer_start(web->loop, &web->http_due);
    }
}

static void http_ready(struct ev_loop *loop, struct ev_io *io, int events)
{
    (void)loop, (void)events;
    web_turn(io->data);
}

static void http_due(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop, (void)events;
    web_turn(timer->data);
}

static void signal_came(struct ev_loop *loop, struct ev_signal *signal, int events)
{
    (void)signal, (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static int http_open(struct web *web, int fd, struct error *err)
{
    web->http = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, request_came, web,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)SILENCE_MAX_S, MHD_OPTION_URI_LOG_CALLBACK, url_came, web,
        MHD_OPTION_NOTIFY_COMPLETED, request_ended, web, MHD_OPTION_NOTIFY_CONNECTION,
        patience_told, web, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        web->http ? MHD_get_daemon_info(web->http, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info)
        return error_set(err, ERR_SYSTEM, "the viewer's HTTP server cannot start");
    ev_io_init(&web->http_ready, http_ready, info->epoll_fd, EV_READ);
    ev_timer_init(&web->http_due, http_due, 0, 0);
    web->http_ready.data = web->http_due.data = web;
    ev_io_start(web->loop, &web->http_ready);
    return 0;
}

static void web_close(struct web *web)
{
    streams_close(web->streams); /* before the connections that they write to */
    if (web->http)
        MHD_stop_daemon(web->http);
    patience_close(web->patience);
    view_close(web->view);
}

static int web_open(struct web *web, struct arena *arena, struct error *err)
{
    int fd = listen_at(arena, web->site->web_listen, &web->host, err);
    int status = fd < 0 ? fd : view_open(web->site, web->program, &web->view, err);
    if (status >= 0)
        web->patience = patience_open(web);
    if (status >= 0)
        status = http_open(web, fd, err);
    if (status >= 0)
        status = streams_open(web, &web->streams, err);
    return status;
}

/* One descriptor for each connection, and some for ourselves. */
static void files_allow(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max < CONNECTIONS_MAX + 64 ? limit.rlim_max : CONNECTIONS_MAX + 64;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void web_log(const struct site *site, struct arena *arena, const char *event,
                    const struct error *err)
{
    struct value *fields = value_map(arena);
    value_set_text(arena, fields, "at", when_rfc3339(arena, when_now()));
    value_set_text(arena, fields, "event", event);
    value_set_text(arena, fields, "listen", site->web_listen);
    if (err->code) {
        value_set_text(arena, fields, "text", err->message);
        value_set_text(arena, fields, "hint", err->hint);
    }
    log_write(site->log_format, fields);
}

int web_run(const struct site *site, const char *program, const struct meter *meter)
{
    struct web web = {
        .site = site, .program = program, .meter = meter, .loop = ev_loop_new(EVFLAG_AUTO)};
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct ev_signal terminate, interrupt;
    signal(SIGPIPE, SIG_IGN);
    files_allow();
    ev_signal_init(&terminate, signal_came, SIGTERM);
    ev_signal_init(&interrupt, signal_came, SIGINT);
    ev_signal_start(web.loop, &terminate);
    ev_signal_start(web.loop, &interrupt);
    int status = web_open(&web, arena, &err);
    if (status == 0) {
        web_log(site, arena, "web.started", &err);
        ev_run(web.loop, 0);
    } else {
        web_log(site, arena, "web.failed", &err);
    }
    web_close(&web);
    ev_loop_destroy(web.loop);
    arena_free(arena);
    return status < 0;
}
