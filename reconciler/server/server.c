/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Clients of the control socket. A client that follows is never pushed more than it
 * reads: when it lags, its events come from the store, page by page, as it catches
 * up. One that asks without reading the answers is dropped.
 */
#include "reconciler/server/server.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>
#include "model/invariant.h"
#include "model/json.h"
#include "reconciler/server/address.h"
#include "reconciler/server/meter.h"

enum {
    UNREAD_MAX = 4 << 20, /* answers that nobody reads */
    LAG_MAX = 256 << 10,  /* events go by the store beyond this */
    INPUT_MAX = 64 << 20,
    CLIENTS_MAX = 256, /* more wait to be accepted */
    /* Of those who may not say for whom they speak: one in the group cannot keep root out. */
    CLIENTS_OF_USER_MAX = 32,
    CLIENTS_OF_ALL_USERS_MAX = 192,
    INPUT_OF_USER_MAX = 128 << 20,
    PAGE = 256,
    CHUNK = 1 << 16,
};

static size_t unread(const struct client *client)
{
    return client->output.len - client->written;
}

/* ---- out ---------------------------------------------------------------------------- */

static void output_write(struct client *client)
{
    struct ev_loop *loop = client->server->shell->loop;
    while (unread(client)) {
        ssize_t put = send(client->out.fd, client->output.data + client->written, unread(client),
                           MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN) {
            ev_io_start(loop, &client->out);
            return;
        }
        if (put < 0) {
            client->is_closing = true;
            break;
        }
        client->written += (size_t)put;
    }
    ev_io_stop(loop, &client->out);
    text_reset(&client->output);
    client->written = 0;
}

static void out_ready(struct ev_loop *loop, struct ev_io *io, int events)
{
    (void)loop;
    (void)events;
    output_write(io->data);
}

static void client_send(struct client *client, const struct value *message)
{
    if (client->is_closing)
        return;
    if (unread(client) > UNREAD_MAX) {
        client->is_closing = true;
        return;
    }
    json_write(&client->output, message);
    text_add_char(&client->output, '\n');
    output_write(client);
}

static struct value *answer_make(struct arena *arena, int64_t id)
{
    struct value *answer = value_map(arena);
    value_set_text(arena, answer, "jsonrpc", "2.0");
    value_set_int(arena, answer, "id", id);
    return answer;
}

void client_answer(struct client *client, int64_t id, struct value *result)
{
    struct arena *arena = arena_new();
    struct value *answer = answer_make(arena, id);
    value_set(arena, answer, "result", result ? result : value_map(arena));
    client_send(client, answer);
    arena_free(arena);
}

void client_refuse(struct client *client, int64_t id, const struct error *err,
                   const struct value *problems)
{
    enum { REFUSED = -32000 };
    struct arena *arena = arena_new();
    struct value *answer = answer_make(arena, id), *error = value_map(arena);
    struct value *data = value_map(arena);
    value_set_text(arena, data, "kind", error_code_text(err->code));
    value_set_text(arena, data, "hint", err->hint);
    value_set(arena, data, "problems", problems ? value_copy(arena, problems) : value_list(arena));
    value_set_int(arena, error, "code", REFUSED);
    value_set_text(arena, error, "message", err->message);
    value_set(arena, error, "data", data);
    value_set(arena, answer, "error", error);
    client_send(client, answer);
    arena_free(arena);
}

/* ---- events ------------------------------------------------------------------------- */

static void event_send(struct client *client, const struct value *event)
{
    struct arena *arena = arena_new();
    struct value *notice = value_map(arena);
    value_set_text(arena, notice, "jsonrpc", "2.0");
    value_set_text(arena, notice, "method", "event");
    value_set(arena, notice, "params", value_copy(arena, event));
    client->followed_seq = value_get_int(event, "seq", client->followed_seq);
    client_send(client, notice);
    arena_free(arena);
}

void server_event(void *context, const struct value *event)
{
    struct server *server = context;
    struct client *client;
    DL_FOREACH(server->clients, client) {
        if (!client->is_following || client->is_behind)
            continue;
        if (unread(client) > LAG_MAX)
            client->is_behind = true;
        else if (value_get_int(event, "seq", 0) > client->followed_seq)
            event_send(client, event);
    }
}

static void client_catch_up(struct client *client)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct event *events = NULL;
    size_t count = 0;
    if (store_events(server_reader(client->server), arena, client->followed_seq, PAGE, &events,
                     &count, &err) < 0) {
        client->is_closing = true;
    } else {
        client->is_behind = count == PAGE;
        for (size_t i = 0; i < count; i++)
            event_send(client, event_notice(arena, &events[i]));
    }
    arena_free(arena);
}

/* ---- waiters ------------------------------------------------------------------------ */

void client_wait(const struct waiter *asked)
{
    struct server *server = asked->client->server;
    struct shell *shell = server->shell;
    struct waiter *waiter = memory_need(malloc(sizeof *waiter));
    *waiter = *asked;
    waiter->goal = core_look_goal(shell->core);
    DL_APPEND(server->waiters, waiter);
    core_look(shell->core);
    shell->has_news = true;
}

static void waiters_answer(struct server *server)
{
    struct waiter *waiter, *next;
    DL_FOREACH_SAFE(server->waiters, waiter, next) {
        if (core_looks(server->shell->core) < waiter->goal)
            continue;
        DL_DELETE(server->waiters, waiter);
        waiter->answer(waiter);
        free(waiter);
    }
}

/* ---- clients ------------------------------------------------------------------------ */

static void client_drop(struct client *client)
{
    struct server *server = client->server;
    struct waiter *waiter, *next;
    DL_FOREACH_SAFE(server->waiters, waiter, next) {
        if (waiter->client != client)
            continue;
        DL_DELETE(server->waiters, waiter);
        free(waiter);
    }
    DL_DELETE(server->clients, client);
    if (server->client_count-- == CLIENTS_MAX && server->fd >= 0)
        ev_io_start(server->shell->loop, &server->accept);
    ev_io_stop(server->shell->loop, &client->in);
    ev_io_stop(server->shell->loop, &client->out);
    close(client->in.fd);
    text_free(&client->input);
    text_free(&client->output);
    free(client);
}

static void lines_serve(struct client *client)
{
    size_t start = 0;
    char *end;
    while (!client->is_kept && !client->is_closing &&
           (end = memchr(client->input.data + client->scanned, '\n',
                         client->input.len - client->scanned))) {
        size_t len = (size_t)(end - client->input.data) - start;
        *end = '\0';
        client->is_kept = !request_serve(client, client->input.data + start, len);
        if (client->is_kept)
            *end = '\n';
        else
            start += len + 1;
        client->scanned = start;
    }
    client->scanned = client->is_kept ? 0 : client->input.len - start;
    if (!start)
        return;
    memmove(client->input.data, client->input.data + start, client->input.len - start);
    client->input.len -= start;
    client->input.data[client->input.len] = '\0';
}

/* What a user has sent that is no whole line yet, on all connections. */
static size_t input_of(const struct server *server, uid_t uid)
{
    const struct client *client;
    size_t len = 0;
    DL_FOREACH(server->clients, client)
        len += client->uid == uid ? client->input.len : 0;
    return len;
}

static bool is_too_much(const struct client *client)
{
    return client->input.len > INPUT_MAX ||
           (!client->is_trusted && client->input.len > CHUNK &&
            input_of(client->server, client->uid) > INPUT_OF_USER_MAX);
}

static void in_ready(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct client *client = io->data;
    char chunk[CHUNK];
    (void)events;
    ssize_t got = recv(io->fd, chunk, sizeof chunk, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || is_too_much(client)) {
        client->is_closing = true;
        ev_io_stop(loop, io);
        return;
    }
    text_add_n(&client->input, chunk, (size_t)got);
    lines_serve(client);
}

static void who_read(int fd, char who[64], uid_t *uid, bool *is_trusted)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    snprintf(who, 64, "unknown");
    *uid = (uid_t)-1;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return;
    *uid = peer.uid;
    *is_trusted = peer.uid == 0 || peer.uid == geteuid();
    const struct passwd *user = getpwuid(peer.uid);
    if (user)
        snprintf(who, 64, "%s", user->pw_name);
    else
        snprintf(who, 64, "uid %u", (unsigned)peer.uid);
}

static bool is_one_too_many(const struct client *asking)
{
    const struct client *client;
    unsigned own = 0, others = 0;
    DL_FOREACH(asking->server->clients, client) {
        own += client->uid == asking->uid;
        others += !client->is_trusted;
    }
    return !asking->is_trusted && (own > CLIENTS_OF_USER_MAX || others > CLIENTS_OF_ALL_USERS_MAX);
}

static void client_turn_away(struct client *client)
{
    struct error err = ERROR_INIT;
    error_set(&err, ERR_BUSY, "%s has too many connections to the daemon", client->who);
    client_refuse(client, 0, &err, NULL);
    output_write(client);
    client_drop(client);
}

static void accept_begin(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct server *server = timer->data;
    (void)events;
    if (server->client_count < CLIENTS_MAX)
        ev_io_start(loop, &server->accept);
}

/* Who waits stays in the queue, and the loop would hear of them again at once, for ever. */
static void accept_rest(struct ev_loop *loop, struct server *server)
{
    const double pause_s = 1;
    ev_io_stop(loop, &server->accept);
    ev_timer_init(&server->accept_later, accept_begin, pause_s, 0);
    server->accept_later.data = server;
    ev_timer_start(loop, &server->accept_later);
}

static bool is_short_of(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void accept_ready(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct server *server = io->data;
    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && is_short_of(errno))
        accept_rest(loop, server);
    if (fd < 0)
        return;
    if (++server->client_count == CLIENTS_MAX)
        ev_io_stop(loop, io); /* until one leaves */
    struct client *client = memory_need(calloc(1, sizeof *client));
    client->server = server;
    client->input = (struct text)TEXT_INIT;
    client->output = (struct text)TEXT_INIT;
    who_read(fd, client->who, &client->uid, &client->is_trusted);
    ev_io_init(&client->in, in_ready, fd, EV_READ);
    ev_io_init(&client->out, out_ready, fd, EV_WRITE);
    client->in.data = client->out.data = client;
    ev_io_start(loop, &client->in);
    DL_APPEND(server->clients, client);
    if (is_one_too_many(client))
        client_turn_away(client);
}

static void load_tell(const struct server *server)
{
    struct meter *meter = server->shell->meter;
    const struct core_load load = core_load(server->shell->core);
    __atomic_store_n(&meter->queued, load.queued, __ATOMIC_RELAXED);
    __atomic_store_n(&meter->under_way, load.under_way, __ATOMIC_RELAXED);
    __atomic_store_n(&meter->blocked, load.blocked, __ATOMIC_RELAXED);
}

/* False: the core has failed. */
static bool core_follow(struct server *server)
{
    struct error err = ERROR_INIT;
    if (core_has_failed(server->shell->core, &err)) {
        ev_break(server->shell->loop, EVBREAK_ALL);
        return false;
    }
    waiters_answer(server);
    load_tell(server);
    if (server->looks != core_looks(server->shell->core)) {
        server->looks = core_looks(server->shell->core);
        if (server_take_head(server, &err) == 0)
            ev_feed_event(server->shell->loop, &server->shell->timer, EV_TIMER);
    }
    return true;
}

void server_after_pump(void *context)
{
    struct server *server = context;
    struct client *client, *next;
    if (!server->loading && !core_follow(server))
        return;
    DL_FOREACH(server->clients, client)
        while (client->is_behind && !client->is_closing && unread(client) <= LAG_MAX)
            client_catch_up(client);
    DL_FOREACH_SAFE(server->clients, client, next)
        if (client->is_closing)
            client_drop(client);
}

/* ---- life --------------------------------------------------------------------------- */

struct store *server_reader(const struct server *server)
{
    return server->loading ? loading_reader(server->loading) : server->shell->store;
}

void server_kept_serve(struct server *server)
{
    struct client *client;
    DL_FOREACH(server->clients, client) {
        client->is_kept = false;
        lines_serve(client);
    }
}

int server_open(struct server *server, struct error *err)
{
    int status = control_listen(server->shell->site->state_dir, &server->fd, err);
    if (status < 0)
        return status;
    ev_io_init(&server->accept, accept_ready, server->fd, EV_READ);
    server->accept.data = server;
    ev_io_start(server->shell->loop, &server->accept);
    return 0;
}

void server_close(struct server *server)
{
    while (server->clients) {
        output_write(server->clients);
        client_drop(server->clients);
    }
    if (server->fd < 0)
        return;
    ev_io_stop(server->shell->loop, &server->accept);
    ev_timer_stop(server->shell->loop, &server->accept_later);
    close(server->fd);
    control_forget(server->shell->site->state_dir);
}
