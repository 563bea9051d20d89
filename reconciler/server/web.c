/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The viewer's life. The HTTP library does the protocol on one epoll descriptor that
 * our loop watches; a handler runs to its end and never waits. What a browser may do
 * with the page is said in the headers of every answer.
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

#include "model/digest.h"
#include "model/invariant.h"
#include "model/json.h"

enum {
    CONNECTIONS_MAX = 2048,
    HEADER_BYTES_MAX = 32 << 10,
    BODY_BYTES_MAX = 4 << 10,
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

static int listen_tcp(const char *host, const char *port, const char *given, struct error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int fd, on = 1;
    if (getaddrinfo(host, port, &hints, &found) != 0) {
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

/* ---- requests ----------------------------------------------------------------------- */

const char *asked_text(const struct asked *asked, const char *name)
{
    return MHD_lookup_connection_value(asked->connection, MHD_GET_ARGUMENT_KIND, name);
}

int64_t asked_int(const struct asked *asked, const char *name, int64_t fallback, int64_t least,
                  int64_t most)
{
    const char *text = asked_text(asked, name);
    char *end = NULL;
    long long value = text && *text ? strtoll(text, &end, 10) : 0;
    if (!end || *end)
        return fallback;
    return value < least ? least : value > most ? most : value;
}

/* A name that another site's page could have pointed at us is no name of ours
 * (DNS rebinding); by address or as localhost everybody may ask. */
static bool host_is_ours(const struct asked *asked)
{
    const char *host =
        MHD_lookup_connection_value(asked->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST}, *found = NULL;
    if (!host || !asked->web->host)
        return true;
    const char *colon = strrchr(host, ':');
    bool has_port = colon && !strchr(colon, ']') && (host[0] == '[' || strchr(host, ':') == colon);
    size_t len = has_port ? (size_t)(colon - host) : strlen(host);
    const char *name = host[0] == '[' && len > 2 ? arena_text_n(asked->arena, host + 1, len - 2)
                                                 : arena_text_n(asked->arena, host, len);
    if (strcmp(name, "localhost") == 0 || strcmp(name, asked->web->host) == 0)
        return true;
    bool is_address = getaddrinfo(name, NULL, &hints, &found) == 0;
    if (is_address)
        freeaddrinfo(found);
    return is_address;
}

static void headers_add(struct MHD_Response *response, const struct answer *answer)
{
    static const char *const headers[][2] = {
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
         "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cache-Control", "no-cache"},
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (answer->type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
}

/* Turns into 304 what the browser has already. */
static const char *etag_apply(struct asked *asked, struct answer *answer)
{
    char digest[DIGEST_TEXT];
    const char *known = MHD_lookup_connection_value(asked->connection, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_IF_NONE_MATCH);
    if (answer->status != MHD_HTTP_OK)
        return NULL;
    digest_bytes(answer->body.data, answer->body.len, digest);
    const char *etag = arena_printf(asked->arena, "\"%.32s\"", digest);
    if (known && strstr(known, etag)) {
        answer->status = MHD_HTTP_NOT_MODIFIED;
        text_reset(&answer->body);
    }
    return etag;
}

static enum MHD_Result answer_send(struct asked *asked, struct answer *answer)
{
    struct MHD_Response *response = answer->response;
    if (!response) {
        const char *etag = etag_apply(asked, answer);
        size_t len = answer->body.len;
        response =
            MHD_create_response_from_buffer(len, text_take(&answer->body), MHD_RESPMEM_MUST_FREE);
        if (etag)
            MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, etag);
    }
    headers_add(response, answer);
    enum MHD_Result result = MHD_queue_response(asked->connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

/* What a POST carries, piece by piece. */
struct upload {
    struct text body;
    bool is_too_long;
};

/* False: the request has to be called again before it can be answered. */
static bool upload_take(void **state, const char *data, size_t *data_size)
{
    struct upload *upload = *state;
    if (!upload) {
        upload = *state = memory_need(calloc(1, sizeof *upload));
        upload->body = (struct text)TEXT_INIT;
        return false;
    }
    if (!*data_size)
        return true;
    upload->is_too_long = upload->is_too_long || upload->body.len + *data_size > BODY_BYTES_MAX;
    if (!upload->is_too_long)
        text_add_n(&upload->body, data, *data_size);
    *data_size = 0;
    return false;
}

static void request_ended(void *context, struct MHD_Connection *connection, void **state,
                          enum MHD_RequestTerminationCode why)
{
    struct upload *upload = *state;
    (void)context, (void)connection, (void)why;
    if (upload)
        text_free(&upload->body);
    free(upload);
    *state = NULL;
}

static void posted(struct asked *asked, struct answer *answer, const struct upload *upload)
{
    if (upload->is_too_long) {
        answer_problem(answer, asked->arena, MHD_HTTP_CONTENT_TOO_LARGE,
                       "A decision is shorter than this.");
        return;
    }
    asked->body = upload->body.data ? upload->body.data : "";
    asked->body_len = upload->body.len;
    decide(asked, answer);
}

static enum MHD_Result request_came(void *context, struct MHD_Connection *connection,
                                    const char *url, const char *method, const char *version,
                                    const char *data, size_t *data_size, void **state)
{
    struct asked asked = {.web = context, .connection = connection, .path = url};
    struct answer answer = {.status = MHD_HTTP_OK, .body = TEXT_INIT};
    bool is_post =
        strcmp(method, MHD_HTTP_METHOD_POST) == 0 && decisions_are_allowed(asked.web->site);
    (void)version;
    if (is_post && !upload_take(state, data, data_size))
        return MHD_YES;
    *data_size = 0;
    asked.arena = arena_new();
    if (!is_post && strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
        strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        answer_problem(&answer, asked.arena, MHD_HTTP_METHOD_NOT_ALLOWED,
                       "The viewer is read-only: GET and HEAD are all it knows.");
    else if (!host_is_ours(&asked))
        answer_problem(&answer, asked.arena, MHD_HTTP_MISDIRECTED_REQUEST,
                       "This is not the host that was asked for. Use its address, or localhost.");
    else if (is_post)
        posted(&asked, &answer, *state);
    else
        route(&asked, &answer);
    enum MHD_Result result = answer_send(&asked, &answer);
    text_free(&answer.body);
    arena_free(asked.arena);
    return result;
}

/* ---- answers ------------------------------------------------------------------------ */

void answer_json(struct answer *answer, struct arena *arena, const struct value *value)
{
    text_add(&answer->body, json_text(arena, value));
    answer->type = "application/json";
}

void answer_problem(struct answer *answer, struct arena *arena, unsigned status, const char *detail)
{
    struct value *problem = value_map(arena);
    value_set_text(arena, problem, "type", "about:blank");
    value_set_text(arena, problem, "title", MHD_get_reason_phrase_for(status));
    value_set_int(arena, problem, "status", status);
    value_set_text(arena, problem, "detail", detail);
    text_reset(&answer->body);
    answer_json(answer, arena, problem);
    answer->status = status;
    answer->type = "application/problem+json";
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
        (unsigned)SILENCE_MAX_S, MHD_OPTION_NOTIFY_COMPLETED, request_ended, NULL, MHD_OPTION_END);
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
    view_close(web->view);
}

static int web_open(struct web *web, struct arena *arena, struct error *err)
{
    int fd = listen_at(arena, web->site->web_listen, &web->host, err);
    int status = fd < 0 ? fd : view_open(web->site, web->program, &web->view, err);
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
        fprintf(stderr, "event=web.started listen=\"%s\"\n", site->web_listen);
        ev_run(web.loop, 0);
    } else {
        fprintf(stderr, "event=web.failed text=\"%s\" hint=\"%s\"\n", err.message, err.hint);
    }
    web_close(&web);
    ev_loop_destroy(web.loop);
    arena_free(arena);
    return status < 0;
}
