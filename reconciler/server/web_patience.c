/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The HTTP library ends a connection that is silent; one that sends a byte now and then is
 * never silent and never done. So each connection has a time within which a whole request
 * has to be there, counted from when it was opened or had its last answer. Those that wait are a
 * list in the order of their times, and one timer waits for the first.
 */
#include "reconciler/server/web.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <utlist.h>

#include "model/invariant.h"

enum { REQUEST_MAX_S = 15 };

struct waiting {
    int fd;
    double until; /* of the loop's clock; 0: it does not wait */
    struct waiting *prev, *next;
};

struct patience {
    struct web *web;
    struct waiting *list;
    struct ev_timer timer;
};

static void timer_set(struct patience *patience)
{
    struct ev_loop *loop = patience->web->loop;
    ev_timer_stop(loop, &patience->timer);
    if (!patience->list)
        return;
    double after = patience->list->until - ev_now(loop);
    ev_timer_set(&patience->timer, after > 0 ? after : 0, 0);
    ev_timer_start(loop, &patience->timer);
}

static void list_leave(struct patience *patience, struct waiting *waiting)
{
    if (waiting->until <= 0)
        return;
    DL_DELETE(patience->list, waiting);
    waiting->until = 0;
}

static void list_join(struct patience *patience, struct waiting *waiting)
{
    list_leave(patience, waiting);
    waiting->until = ev_now(patience->web->loop) + REQUEST_MAX_S;
    DL_APPEND(patience->list, waiting);
    if (patience->list == waiting)
        timer_set(patience);
}

/* The library frees what it has of a connection once it sees that it has ended. */
static void time_is_over(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct patience *patience = timer->data;
    (void)events;
    while (patience->list && patience->list->until <= ev_now(loop)) {
        struct waiting *waiting = patience->list;
        list_leave(patience, waiting);
        shutdown(waiting->fd, SHUT_RDWR);
    }
    timer_set(patience);
    web_turn(patience->web);
}

static struct waiting *waiting_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void patience_begin(struct patience *patience, struct MHD_Connection *connection)
{
    struct waiting *waiting = waiting_of(connection);
    if (waiting)
        list_join(patience, waiting);
}

void patience_end(struct patience *patience, struct MHD_Connection *connection)
{
    struct waiting *waiting = waiting_of(connection);
    if (waiting)
        list_leave(patience, waiting);
}

void patience_told(void *context, struct MHD_Connection *connection, void **socket_context,
                   enum MHD_ConnectionNotificationCode what)
{
    struct patience *patience = ((struct web *)context)->patience;
    struct waiting *waiting = *socket_context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (waiting)
            list_leave(patience, waiting);
        free(waiting);
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    waiting = memory_need(calloc(1, sizeof *waiting));
    waiting->fd = info->connect_fd;
    *socket_context = waiting;
    list_join(patience, waiting);
}

struct patience *patience_open(struct web *web)
{
    struct patience *patience = memory_need(calloc(1, sizeof *patience));
    patience->web = web;
    ev_timer_init(&patience->timer, time_is_over, 0, 0);
    patience->timer.data = patience;
    return patience;
}

void patience_close(struct patience *patience)
{
    if (patience)
        ev_timer_stop(patience->web->loop, &patience->timer);
    free(patience);
}
