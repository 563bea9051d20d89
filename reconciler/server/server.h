/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SERVER_SERVER_H
#define RECONCILER_SERVER_SERVER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include "model/text.h"
#include "model/value.h"
#include "reconciler/engine/shell_state.h"
#include "reconciler/server/checking.h"
#include "reconciler/server/loading.h"

/*
 * The control socket's server, inside the core's process.
 *
 *   serve.c     the daemon's life
 *   loading.c   what it reads beside the loop, before it can plan
 *   checking.c  whether a large store is whole, found beside the loop
 *   server.c    clients: lines in, lines out, events that they follow
 *   request.c   the methods of docs/control-protocol.md
 *   report.c    documents: status, drift
 *   outcome.c   a revision's outcome, to Git and to a collector of traces
 *   remote.c    drivers that the supervisor starts for us
 */
struct client {
    struct server *server;
    struct ev_io in, out;
    struct text input, output;
    size_t scanned; /* of input: no newline before this */
    size_t written; /* of output */
    char who[64];   /* user at the other end */
    uid_t uid;
    bool is_trusted; /* root, or us: may say for whom it speaks */
    bool is_following;
    bool is_behind;       /* events after followed_seq come from the store first */
    int64_t followed_seq; /* last event sent */
    bool is_kept;         /* its next line waits until all is loaded */
    bool is_closing;      /* dropped once it is safe to */
    struct client *prev, *next;
};

/* An answer that waits until everything was looked at again. */
struct waiter {
    struct client *client;
    int64_t id;
    uint64_t goal; /* core_looks() */
    void (*answer)(const struct waiter *waiter);
    char commit[65];        /* of the request; "" for the target */
    int64_t since;          /* of the request, unix seconds; 0 */
    char hash[DIGEST_TEXT]; /* of a plan that was agreed to and is to be applied; "" */
    bool is_saved;          /* that plan: it is good for one time */
    struct waiter *prev, *next;
};

struct server {
    struct shell *shell;
    struct checking *checking; /* reads the store through; NULL: it has been */
    struct loading *loading;   /* has the shell's store, source and core; NULL: all is loaded */
    int fd;
    struct ev_io accept;
    struct ev_timer accept_later; /* once a descriptor may be free again */
    struct ev_signal terminate, interrupt;
    struct client *clients;
    unsigned client_count;
    struct waiter *waiters;
    int channel; /* to the supervisor */
    struct ev_io supervised;
    pid_t supervisor;
    int64_t since; /* unix seconds */
    bool is_stopping;
    struct error failure; /* why it could not be loaded, or ends */
    struct {
        struct ev_child child;
        int64_t running, waiting[2]; /* revisions; 0: none */
        int64_t current, told;
        int64_t told_held; /* steps that were held then */
    } outcome;
    struct {
        char commit[65];
        int64_t at_ms, took_ms;    /* unix milliseconds; of the request "check" */
    } checked;                     /* last commit that a push was checked for */
    char refused[65];              /* last head that was not valid; "" */
    char head_problem[ERROR_LINE]; /* why the branch's head is not the target; "" */
    uint64_t looks;                /* core_looks() when the head was last asked for */
};

/* Makes the branch's head the target if it is not: a push whose hook did not reach us. A
 * head that is refused or cannot be read leaves the last good one in force, which is an event and
 * head_problem; one that cannot be read is asked for again after each look. */
int server_take_head(struct server *server, struct error *err);
int server_open(struct server *server, struct error *err);
void server_close(struct server *server);
/* The store, for reading: another one while the core's is loading. */
struct store *server_reader(const struct server *server);
/* Serves the lines that were kept while it was loading. */
void server_kept_serve(struct server *server);
void server_event(void *context, const struct value *event);
void server_after_pump(void *context);
void server_stop(struct server *server);

void client_answer(struct client *client, int64_t id, struct value *result);
void client_refuse(struct client *client, int64_t id, const struct error *err,
                   const struct value *problems);
/* Keeps a copy of `asked` (all but its goal) until the world has been
 * looked at anew, and then calls its answer. */
void client_wait(const struct waiter *asked);

/* One line of a client. False: it needs what is loading, and is to be kept until then. */
bool request_serve(struct client *client, const char *line, size_t len);

/* Looks at each event for a revision that has ended. */
void outcome_event(struct server *server, const struct event *event);
/* A note that is being written is waited for, for a little while. */
void outcome_close(struct server *server);

struct value *status_report(struct server *server, struct arena *arena);
/* {"UID":"drifting",...}: every object that is not true to Git, by what the last plan says. */
struct value *marks_report(struct server *server, struct arena *arena);
/* Open drift, and what was healed at or after `since` (unix seconds; 0: open drift only). */
int drift_report(struct server *server, struct arena *arena, int64_t since, struct value **out,
                 struct error *err);

extern const struct starter starter_remote;
void remote_open(struct server *server);
void remote_answers(struct server *server);
void remote_ready(struct server *server);
int remote_refuse(struct server *server, const struct error *why); /* negative: nobody heard */

#endif
