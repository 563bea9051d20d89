/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the daemon has to know before it can plan takes a second for each 100,000 manifests. A
 * thread reads it beside the loop, which meanwhile answers what the store knows:
 *
 *            the thread's                     the loop's
 *     store, repository, core        sockets, signals, a reader of the store
 *            └───────────── done ──────────────┘
 *                      the loop's, all of it
 *
 * So there is one writer at all times, and what the thread does is what was done before there was
 * one. Nothing is planned and no driver is started before it has ended. A signal to stop does not
 * wait for it: the process leaves as if it had been killed, which the store is made for.
 */
#include "reconciler/server/loading.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include "model/invariant.h"
#include "reconciler/server/server.h"

struct loading {
    struct server *server;
    loading_work *work;
    loading_done *done;
    pthread_t thread;
    bool has_thread;
    struct ev_async ended;
    struct store *reader;
    int status; /* what the work came to */
    struct error err;
};

static void *work_run(void *context)
{
    struct loading *loading = context;
    loading->status = loading->work(loading->server, &loading->err);
    ev_async_send(loading->server->shell->loop, &loading->ended);
    return NULL;
}

static void work_ended(struct ev_loop *loop, struct ev_async *ended, int events)
{
    struct loading *loading = ended->data;
    struct server *server = loading->server;
    (void)events;
    if (loading->has_thread)
        pthread_join(loading->thread, NULL);
    ev_async_stop(loop, &loading->ended);
    store_close(loading->reader);
    malloc_trim(0); /* what the thread has freed lies where no other would use it */
    server->loading = NULL;
    loading->done(server, loading->status, &loading->err);
    free(loading);
}

/* Signals are for the loop. Without a thread it is as it was before there was one. */
static void work_begin(struct loading *loading)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    loading->has_thread = pthread_create(&loading->thread, NULL, work_run, loading) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!loading->has_thread)
        (void)work_run(loading);
}

int loading_begin(struct server *server, loading_work *work, loading_done *done, struct error *err)
{
    const char *state_dir = server->shell->site->state_dir;
    struct loading *loading = memory_need(calloc(1, sizeof *loading));
    invariant(!server->loading, "%s is loaded twice at once", state_dir);
    *loading = (struct loading){.server = server, .work = work, .done = done};
    int status = store_open(state_dir, STORE_READ, &loading->reader, err);
    if (status < 0) {
        free(loading);
        return status;
    }
    server->loading = loading;
    ev_async_init(&loading->ended, work_ended);
    loading->ended.data = loading;
    ev_async_start(server->shell->loop, &loading->ended);
    work_begin(loading);
    return 0;
}

struct store *loading_reader(const struct loading *loading)
{
    return loading->reader;
}
