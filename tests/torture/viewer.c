/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A command for torture only: asks the viewer's handlers, in this process and without a
 * network, for each document, and prints what they answer. An answer that is a problem is
 * said on standard error, and ends with 1.
 */
#include "tests/torture/viewer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "model/json.h"
#include "reconciler/cli/site.h"
#include "reconciler/server/web.h"

enum { TURNS = 6, MEMORY = 16384 };

/* After what it begins with: "" for the list itself, "UID" for an object that is in it. */
static const char *const paths[] = {
    "/",
    "/api/v1/status",
    "/api/v1/resources?kind=instance&q=web",
    "/api/v1/resources",
    "/api/v1/resources/UID",
    "/api/v1/network",
    "/api/v1/plan",
    "/api/v1/drift?state=all",
    "/api/v1/events?limit=5",
    "/api/v1/events?uid=UID",
    "/api/v1/revisions",
    "/api/v1/operations",
    "/api/v1/operations?uid=UID",
    "/api/v1/trace",
    "/metrics",
};

static bool is_bad;
static char uid[64];

static void uid_find(const char *body)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *document = NULL;
    const struct value *items = NULL;
    if (!uid[0] && json_read(arena, body, strlen(body), &document, &err) == 0)
        items = value_get(document, "items");
    if (value_is_list(items) && items->count > 0)
        snprintf(uid, sizeof(uid), "%s", value_get_text(items->items[0], "uid", ""));
    arena_free(arena);
}

static void answer_print(const char *path, const char *answer)
{
    const char *body = strstr(answer, "\r\n\r\n");
    int status = 0;
    if (!body || sscanf(answer, "HTTP/1.%*d %d", &status) != 1 || status != 200) {
        fprintf(stderr, "viewer: %s: %d%s\n", path, status, body ? body + 3 : ": no answer");
        is_bad = true;
        return;
    }
    uid_find(body + 4);
    printf("%s\n%s\n", path, strcmp(path, "/") == 0 ? "" : body + 4);
}

/* "UID" in a path gives way to an object's own. */
static void path_fill(char *out, size_t size, const char *path)
{
    const char *place = strstr(path, "UID");
    if (place)
        snprintf(out, size, "%.*s%s%s", (int)(place - path), path, uid, place + 3);
    else
        snprintf(out, size, "%s", path);
}

static void ask(struct web *web, const char *path)
{
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    struct text said = TEXT_INIT;
    char request[256], filled[160], chunk[65536];
    int ends[2];
    path_fill(filled, sizeof(filled), path);
    int len =
        snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n", filled);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0 ||
        send(ends[1], request, (size_t)len, 0) != len ||
        MHD_add_connection(web->http, ends[0], (struct sockaddr *)&peer, sizeof(peer)) != MHD_YES) {
        fprintf(stderr, "viewer: cannot connect\n");
        is_bad = true;
        return;
    }
    for (int i = 0; i < TURNS; i++) {
        ssize_t got;
        MHD_run(web->http);
        while ((got = recv(ends[1], chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
            text_add_n(&said, chunk, (size_t)got);
    }
    close(ends[1]);
    answer_print(path, said.data);
    text_free(&said);
}

static int web_make(struct web *web, struct error *err)
{
    int status = view_open(web->site, web->program, &web->view, err);
    if (status < 0)
        return status;
    web->patience = patience_open(web);
    web->http = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
        request_came, web, MHD_OPTION_CONNECTION_LIMIT, 16U, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)MEMORY, MHD_OPTION_URI_LOG_CALLBACK, url_came, web, MHD_OPTION_NOTIFY_COMPLETED,
        request_ended, web, MHD_OPTION_NOTIFY_CONNECTION, patience_told, web, MHD_OPTION_END);
    if (!web->http)
        return error_set(err, ERR_SYSTEM, "no HTTP server");
    return streams_open(web, &web->streams, err);
}

static int viewer_run(struct cli *cli)
{
    static struct meter meter;
    struct error err = ERROR_INIT;
    struct web web = {.program = cli->program,
                      .meter = &meter,
                      .loop = ev_loop_new(EVFLAG_AUTO),
                      .host = "localhost"};
    int status =
        web.loop ? site_find(cli, &web.site, &err) : error_set(&err, ERR_SYSTEM, "no event loop");
    if (status == 0)
        status = web_make(&web, &err);
    for (size_t i = 0; status == 0 && i < sizeof(paths) / sizeof(*paths); i++)
        ask(&web, paths[i]);
    streams_close(web.streams);
    if (web.http)
        MHD_stop_daemon(web.http);
    patience_close(web.patience);
    view_close(web.view);
    if (web.loop)
        ev_loop_destroy(web.loop);
    return status < 0 ? fail(cli, &err) : is_bad ? EXIT_ERROR : EXIT_OK;
}

const struct command viewer_command = {
    .name = "viewer",
    .group = "Test",
    .operands = "",
    .help = "ask the viewer for each document",
    .run = viewer_run,
};
