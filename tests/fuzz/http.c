/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a browser, or somebody who is none, sends to the viewer: bytes of one connection,
 * answered by the real handlers over a store that holds a rack. The token is in no answer,
 * and each answer of ours tells the browser what the page may do.
 */
#include "reconciler/server/web.c"
#include "reconciler/server/web_stream.c"
#include "reconciler/source/source.h"
#include "reconciler/store/store.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/scene.h"

enum { TURNS = 40, REQUEST_MAX = 100 << 10 };

static struct web web;
static struct meter meter;

static void head_of(const struct site *site, char head[65])
{
    struct source *source = NULL;
    struct error err = ERROR_INIT;
    MUST(source_open(site, &source, &err) == 0 && source_head(source, head, &err) == 0);
    source_close(source);
}

static void store_fill(const struct site *site)
{
    struct store *store = NULL;
    struct error err = ERROR_INIT;
    struct arena *arena = arena_new();
    char head[65];
    int64_t id;
    head_of(site, head);
    MUST(store_open(site->state_dir, STORE_WRITE, &store, &err) == 0);
    struct value *spec = value_map(arena);
    value_set_int(arena, spec, "size", 1 << 29);
    value_set_text(arena, spec, "pool", "fast");
    const struct known known = {.uid = "0123456789abcdef0123456789abcdef",
                                .kind = "Volume",
                                .project = "shop",
                                .name = "db",
                                .life = LIFE_LIVE,
                                .generation = 1,
                                .epoch = 2,
                                .chosen = value_map(arena),
                                .applied = spec};
    const struct observation seen = {.known = true, .epoch = 2, .at = 1700000000, .spec = spec};
    const struct revision revision = {.commit = head,
                                      .parent = "",
                                      .author = "<b>Ann</b>",
                                      .subject = "<script>alert(1)</script>",
                                      .pushed_by = "ann",
                                      .state = "target",
                                      .message = "",
                                      .at = 1700000000};
    const struct event event = {.at_ms = 1700000000000,
                                .type = "op.failed",
                                .text = "<img src=x onerror=alert(1)>",
                                .uid = known.uid};
    MUST(store_object_put(store, &known, &err) == 0);
    MUST(store_observation_put(store, known.uid, &seen, "e", &err) == 0);
    MUST(store_revision_add(store, &revision, &id, &err) == 0);
    MUST(store_event_add(store, &event, &id, &err) == 0);
    store_close(store);
    arena_free(arena);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const struct site *site = fuzz_site();
    struct error err = ERROR_INIT;
    (void)argc, (void)argv;
    store_fill(site);
    web = (struct web){.site = site,
                       .program = "",
                       .meter = &meter,
                       .loop = ev_loop_new(EVFLAG_AUTO),
                       .host = "127.0.0.1"};
    MUST(view_open(site, "", &web.view, &err) == 0);
    web.patience = patience_open(&web);
    web.http = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
        request_came, &web, MHD_OPTION_CONNECTION_LIMIT, 16U, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HEADER_BYTES_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_MAX_S,
        MHD_OPTION_URI_LOG_CALLBACK, url_came, &web, MHD_OPTION_NOTIFY_COMPLETED, request_ended,
        &web, MHD_OPTION_NOTIFY_CONNECTION, patience_told, &web, MHD_OPTION_END);
    MUST(web.http && streams_open(&web, &web.streams, &err) == 0);
    ev_timer_init(&web.http_due, http_due, 0, 0);
    return 0;
}

static void answers_take(int fd, struct text *said)
{
    char chunk[65536];
    ssize_t got;
    while ((got = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT)) > 0)
        text_add_n(said, chunk, (size_t)got);
}

static void streams_end(void)
{
    struct stream *stream;
    DL_FOREACH(web.streams->list, stream) {
        stream->is_ending = true;
        stream_wake(stream);
    }
}

static void answers_check(const struct text *said)
{
    if (!said->len)
        return;
    MUST(strncmp(said->data, "HTTP/1.", 7) == 0);
    MUST(!fuzz_tells_token(said->data, said->len));
    if (strstr(said->data, "Content-Type: application/json"))
        MUST(strstr(said->data, "X-Content-Type-Options: nosniff") &&
             strstr(said->data, "Content-Security-Policy: default-src 'none'"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(1)};
    struct text said = TEXT_INIT;
    int ends[2];
    if (size > REQUEST_MAX)
        return 0;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    MUST(size == 0 || send(ends[1], data, size, MSG_DONTWAIT) == (ssize_t)size);
    shutdown(ends[1], SHUT_WR);
    MUST(MHD_add_connection(web.http, ends[0], (struct sockaddr *)&peer, sizeof peer) == MHD_YES);
    for (int i = 0; i < TURNS; i++) {
        MHD_run(web.http);
        answers_take(ends[1], &said);
        streams_end();
    }
    close(ends[1]);
    const union MHD_DaemonInfo *info;
    for (int i = 0; i < TURNS; i++) {
        streams_end();
        MHD_run(web.http);
        info = MHD_get_daemon_info(web.http, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
        if (info->num_connections == 0)
            break;
    }
    MUST(info->num_connections == 0);
    answers_check(&said);
    text_free(&said);
    return 0;
}
