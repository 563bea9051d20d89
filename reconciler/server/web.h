/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SERVER_WEB_H
#define RECONCILER_SERVER_WEB_H

#include <ev.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/site.h"
#include "model/text.h"
#include "model/value.h"
#include "reconciler/server/meter.h"
#include "reconciler/store/store.h"

/*
 * The viewer's process: HTTP over one port or socket. It reads the store beside the core
 * and never asks the core anything, so that viewers cost it nothing; only what a person with
 * the site's token decides is handed to the core.
 *
 *   web.c           life, listening
 *   web_request.c   a request: parameters, answer, headers
 *   web_patience.c  connections that take too long
 *   web_route.c     which path gives what
 *   web_view.c      what is shown: rows of the store beside the plan of them
 *   web_history.c   drift, operations, events, revisions
 *   web_stream.c    events as they happen (server-sent events)
 *   web_tree.c      who needs whom
 *   web_decide.c    what a person with the token decides
 *   web_metrics.c   OpenMetrics
 *   web/            the page
 *
 * API: docs/http-api.md.
 */
struct web {
    const struct site *site;
    const char *program;
    const struct meter *meter; /* written by the core */
    struct ev_loop *loop;
    struct MHD_Daemon *http;
    struct ev_io http_ready;
    struct ev_timer http_due;
    struct view *view;
    struct streams *streams;
    struct patience *patience;
    const char *host; /* of spec.web.listen: also good as a Host header */
};

/* Runs until SIGTERM. `program` is argv[0]. Returns the exit status. */
int web_run(const struct site *site, const char *program, const struct meter *meter);

/* For the HTTP library, with the web as context. The first is asked once the first line is there;
 * what it returns is the request's state. */
void *url_came(void *context, const char *url, struct MHD_Connection *connection);
enum MHD_Result request_came(void *context, struct MHD_Connection *connection, const char *url,
                             const char *method, const char *version, const char *data,
                             size_t *data_size, void **state);
void request_ended(void *context, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode why);

/* Lets the HTTP library go on: to be called after a connection was resumed. */
void web_turn(struct web *web);

/* ---- an answer ---------------------------------------------------------------------- */

struct answer {
    unsigned status;               /* of HTTP */
    const char *type;              /* content type; static */
    struct text body;              /* moved into the response */
    bool is_last;                  /* of its connection */
    bool is_fixed;                 /* part of the program: may be cached by its ETag */
    struct MHD_Response *response; /* made already, in place of type and body; or NULL */
};

/* A request, for as long as its handler runs. */
struct asked {
    struct web *web;
    struct MHD_Connection *connection;
    struct arena *arena;
    const char *path;
    const char *rest; /* of the path, after the route's prefix */
    const char *body; /* of a POST; "" else */
    size_t body_len;
    const char *wrong; /* what is wrong with a parameter; NULL: nothing so far */
};

/* NULL if the query does not have it. */
const char *asked_text(const struct asked *asked, const char *name);
/* `fallback` if it is missing; not a number from `least` to `most`: that too, and asked->wrong. */
int64_t asked_int(struct asked *asked, const char *name, int64_t fallback, int64_t least,
                  int64_t most);
/* Which of the choices it is; `count` if it is missing or empty, or none: then asked->wrong. */
size_t asked_choice(struct asked *asked, const char *name, const char *const *choices,
                    size_t count);

void answer_json(struct answer *answer, struct arena *arena, const struct value *value);
/* RFC 9457. */
void answer_problem(struct answer *answer, struct arena *arena, unsigned status,
                    const char *detail);
/* A POST: a decision. Always leaves an answer, be it a problem. */
void decide(struct asked *asked, struct answer *answer);
/* Whether the site has a token, so that there is something to be decided here. */
bool decisions_are_allowed(const struct site *site);
/* Always leaves an answer, be it a problem. */
void route(struct asked *asked, struct answer *answer);

/* ---- time ---------------------------------------------------------------------------- */

struct patience *patience_open(struct web *web);
void patience_close(struct patience *patience); /* NULL is allowed; after the connections */
/* A notice of the HTTP library, with the web as context: a connection was opened or closed. */
void patience_told(void *context, struct MHD_Connection *connection, void **socket_context,
                   enum MHD_ConnectionNotificationCode what);
/* From now on a request has to come; it is all there. */
void patience_begin(struct patience *patience, struct MHD_Connection *connection);
void patience_end(struct patience *patience, struct MHD_Connection *connection);

/* ---- what is shown ------------------------------------------------------------------ */

/* A view is made anew when the store has changed since; of a large rack, not at once. */
int view_open(const struct site *site, const char *program, struct view **out, struct error *err);
void view_close(struct view *view); /* NULL is allowed */

/* The documents of docs/http-api.md, in `arena`. NULL with `err` filled. */
struct value *view_status(struct view *view, struct arena *arena, struct error *err);
struct value *view_resources(struct view *view, struct asked *asked, struct error *err);
struct value *view_resource(struct view *view, struct asked *asked, struct error *err);
struct value *view_network(struct view *view, struct asked *asked, struct error *err);
struct value *view_plan(struct view *view, struct asked *asked, struct error *err);
struct value *view_drift(struct view *view, struct asked *asked, struct error *err);
/* Fields that differ now; `oldest` in unix seconds, 0 if none does. */
struct open_drift {
    int64_t fields, oldest, ignored;
};
int view_open_drift(struct view *view, struct arena *arena, struct open_drift *out,
                    struct error *err);
/* The last revision that the rack was true to; its id is 0 if there is none. */
int view_good(struct view *view, struct arena *arena, struct revision *out, struct error *err);
struct value *view_events(struct view *view, struct asked *asked, struct error *err);
struct value *view_revisions(struct view *view, struct asked *asked, struct error *err);
struct value *view_trace(struct view *view, struct asked *asked, struct error *err);
struct value *view_operations(struct view *view, struct asked *asked, struct error *err);

/* ---- events ------------------------------------------------------------------------- */

int streams_open(struct web *web, struct streams **out, struct error *err);
void streams_close(struct streams *streams); /* NULL is allowed */
void stream_begin(struct asked *asked, struct answer *answer);

/* ---- metrics ------------------------------------------------------------------------ */

void metrics_write(struct asked *asked, struct answer *answer);

#endif
