/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Server-sent events (HTML Standard, section 9.2). The kernel tells when the store is
 * written (inotify on its log); new events are read once and go to everybody who
 * listens. Who does not take them in time is let go, and comes back by itself with the
 * number of the last one that it has.
 *
 * SQLite writes a commit to its log, has the disk sync it, and only then lets it be seen, by a
 * write to shared memory that nobody is told of. So one look is not enough: how long a sync
 * takes is the disk's to say.
 */
#include "reconciler/server/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <utlist.h>

#include "model/invariant.h"
#include "model/json.h"
#include "reconciler/store/documents.h"
#include "reconciler/store/home.h"
#include "reconciler/store/store.h"

enum { QUEUE_MAX = 256 << 10, READ_AT_ONCE = 200, ALIVE_EVERY_S = 15 };

static const double LOOK_FIRST_S = 0.02, LOOK_LAST_S = 10;

struct stream {
    struct streams *streams;
    struct MHD_Connection *connection;
    struct text queue;
    bool is_suspended, is_ending;
    struct stream *prev, *next;
};

struct streams {
    struct web *web;
    struct store *store;
    struct stream *list;
    int64_t seq; /* newest event that was sent */
    struct ev_io changed;
    struct ev_timer look, alive;
    double look_after_s;
};

/* ---- one ---------------------------------------------------------------------------- */

static void stream_wake(struct stream *stream)
{
    if (stream->is_suspended)
        MHD_resume_connection(stream->connection);
    stream->is_suspended = false;
}

static void stream_say(struct stream *stream, const char *data, size_t len)
{
    if (stream->queue.len + len > QUEUE_MAX)
        stream->is_ending = true;
    else
        text_add_n(&stream->queue, data, len);
    stream_wake(stream);
}

static ssize_t stream_read(void *context, uint64_t position, char *buffer, size_t room)
{
    struct stream *stream = context;
    size_t len = stream->queue.len < room ? stream->queue.len : room;
    (void)position;
    if (stream->is_ending)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (len == 0) {
        MHD_suspend_connection(stream->connection);
        stream->is_suspended = true;
        return 0;
    }
    memcpy(buffer, stream->queue.data, len);
    memmove(stream->queue.data, stream->queue.data + len, stream->queue.len - len + 1);
    stream->queue.len -= len;
    return (ssize_t)len;
}

static void stream_free(void *context)
{
    struct stream *stream = context;
    DL_DELETE(stream->streams->list, stream);
    text_free(&stream->queue);
    free(stream);
}

/* ---- all ---------------------------------------------------------------------------- */

static void event_write(struct text *out, struct arena *arena, const struct event *event)
{
    text_printf(out, "id: %lld\nevent: spinel\ndata: ", (long long)event->seq);
    text_add(out, json_text(arena, event_value(arena, event)));
    text_add(out, "\n\n");
}

/* Writes what came after `*seq`, and moves it there. */
static void events_write(struct streams *streams, struct text *out, int64_t *seq)
{
    struct arena *arena = arena_new();
    struct error ignored = ERROR_INIT;
    struct event *events = NULL;
    size_t count = 0;
    do {
        if (store_events(streams->store, arena, *seq, READ_AT_ONCE, &events, &count, &ignored) < 0)
            break;
        for (size_t i = 0; i < count; i++)
            event_write(out, arena, &events[i]);
        if (count)
            *seq = events[count - 1].seq;
    } while (count == READ_AT_ONCE && out->len < QUEUE_MAX);
    arena_free(arena);
}

static void everybody_told(struct streams *streams, const char *data, size_t len)
{
    struct stream *stream;
    DL_FOREACH(streams->list, stream)
        stream_say(stream, data, len);
    if (streams->list)
        web_turn(streams->web);
}

static void look_later(struct streams *streams)
{
    ev_timer_set(&streams->look, streams->look_after_s, 0);
    ev_timer_start(streams->web->loop, &streams->look);
}

static void looked(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct streams *streams = timer->data;
    struct text news = TEXT_INIT;
    (void)loop, (void)events;
    if (!streams->list)
        return; /* who comes begins with what is newest then */
    events_write(streams, &news, &streams->seq);
    if (news.len)
        everybody_told(streams, news.data, news.len);
    text_free(&news);
    streams->look_after_s *= 2;
    if (streams->look_after_s <= LOOK_LAST_S)
        look_later(streams);
}

static void look_soon(struct streams *streams)
{
    ev_timer_stop(streams->web->loop, &streams->look);
    streams->look_after_s = LOOK_FIRST_S;
    look_later(streams);
}

static void store_changed(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct streams *streams = io->data;
    char buffer[4096];
    (void)loop, (void)events;
    while (read(io->fd, buffer, sizeof buffer) > 0)
        continue;
    if (ev_is_active(&streams->look) && streams->look_after_s <= LOOK_FIRST_S)
        return;
    look_soon(streams);
}

/* Proxies and the other end's timeouts want to see a byte now and then. */
static void still_alive(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    static const char comment[] = ": alive\n\n";
    (void)loop, (void)events;
    everybody_told(timer->data, comment, sizeof comment - 1);
}

static int newest_seq(struct streams *streams, struct error *err)
{
    struct arena *arena = arena_new();
    struct event *events = NULL;
    size_t count = 0;
    int status = store_events(streams->store, arena, -1, 1, &events, &count, err);
    if (status == 0)
        streams->seq = count ? events[count - 1].seq : 0;
    arena_free(arena);
    return status;
}

int streams_open(struct web *web, struct streams **out, struct error *err)
{
    struct streams *streams = memory_need(calloc(1, sizeof *streams));
    *out = streams;
    streams->web = web;
    char home[PATH_MAX];
    store_home(web->site->state_dir, home);
    int status = store_open(web->site->state_dir, STORE_READ, &streams->store, err);
    if (status == 0)
        status = newest_seq(streams, err);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (status == 0 && (fd < 0 || inotify_add_watch(fd, home, IN_MODIFY) < 0))
        status = error_sys(err, "cannot watch %s", home);
    ev_io_init(&streams->changed, store_changed, fd, EV_READ);
    ev_timer_init(&streams->look, looked, 0, 0);
    ev_timer_init(&streams->alive, still_alive, ALIVE_EVERY_S, ALIVE_EVERY_S);
    streams->changed.data = streams->look.data = streams->alive.data = streams;
    if (status < 0)
        return status;
    ev_io_start(web->loop, &streams->changed);
    ev_timer_start(web->loop, &streams->alive);
    return 0;
}

void streams_close(struct streams *streams)
{
    struct stream *stream;
    if (!streams)
        return;
    DL_FOREACH(streams->list, stream) {
        stream->is_ending = true;
        stream_wake(stream);
    }
    if (streams->web->http) {
        MHD_stop_daemon(streams->web->http); /* ends every connection, and frees its stream */
        streams->web->http = NULL;
    }
    ev_io_stop(streams->web->loop, &streams->changed);
    ev_timer_stop(streams->web->loop, &streams->look);
    ev_timer_stop(streams->web->loop, &streams->alive);
    if (streams->changed.fd >= 0)
        close(streams->changed.fd);
    store_close(streams->store);
    free(streams);
}

void stream_begin(struct asked *asked, struct answer *answer)
{
    struct streams *streams = asked->web->streams;
    struct error ignored = ERROR_INIT;
    if (!streams->list) {
        (void)newest_seq(streams,
                         &ignored); /* if it fails, it goes on from the last that it read */
        look_soon(streams);
    }
    const char *last =
        MHD_lookup_connection_value(asked->connection, MHD_HEADER_KIND, "Last-Event-ID");
    int64_t seq = last ? strtoll(last, NULL, 10) : streams->seq;
    struct stream *stream = memory_need(calloc(1, sizeof *stream));
    *stream =
        (struct stream){.streams = streams, .connection = asked->connection, .queue = TEXT_INIT};
    text_add(&stream->queue, "retry: 1000\n\n");
    if (seq > 0 && seq < streams->seq)
        events_write(streams, &stream->queue, &seq);
    DL_APPEND(streams->list, stream);
    answer->response = memory_need(MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, 4096, stream_read, stream, stream_free));
    answer->type = "text/event-stream";
}
