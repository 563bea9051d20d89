/* SPDX-License-Identifier: MPL-2.0 */
#include "reconciler/server/checking.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "model/invariant.h"
#include "reconciler/server/server.h"

enum { NICE_LAST = 19 };

struct checking {
    struct server *server;
    pthread_t thread;
    struct ev_async ended;
    struct store *reader; /* the thread's */
    int status;
    struct error err;
};

static void *check_run(void *context)
{
    struct checking *checking = context;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE_LAST); /* of this thread alone, on Linux */
    checking->status = store_check(checking->reader, &checking->err);
    ev_async_send(checking->server->shell->loop, &checking->ended);
    return NULL;
}

static void check_missed(struct server *server, const struct error *why)
{
    char line[ERROR_LINE];
    core_announce(server->shell->core, "store.unchecked", NULL, error_line(why, line));
}

static void check_ended(struct ev_loop *loop, struct ev_async *ended, int events)
{
    struct checking *checking = ended->data;
    struct server *server = checking->server;
    (void)events;
    pthread_join(checking->thread, NULL);
    ev_async_stop(loop, &checking->ended);
    server->checking = NULL;
    if (checking->status == ERR_CORRUPT) {
        store_mark_damaged(checking->reader);
        server->failure = checking->err;
        ev_break(loop, EVBREAK_ALL);
    } else if (checking->status < 0) {
        check_missed(server, &checking->err);
    }
    store_close(checking->reader);
    free(checking);
}

/* Signals are for the loop. */
static int thread_start(struct checking *checking)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&checking->thread, NULL, check_run, checking);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? error_set(&checking->err, ERR_SYSTEM, "no thread to check the store") : 0;
}

void checking_begin(struct server *server)
{
    struct shell *shell = server->shell;
    if (!store_is_unchecked(shell->store))
        return;
    struct checking *checking = memory_need(calloc(1, sizeof *checking));
    invariant(!server->checking, "the store is checked twice at once");
    checking->server = server;
    ev_async_init(&checking->ended, check_ended);
    checking->ended.data = checking;
    ev_async_start(shell->loop, &checking->ended);
    if (store_open(shell->site->state_dir, STORE_READ, &checking->reader, &checking->err) == 0 &&
        thread_start(checking) == 0) {
        server->checking = checking;
        return;
    }
    ev_async_stop(shell->loop, &checking->ended);
    check_missed(server, &checking->err);
    store_close(checking->reader);
    free(checking);
}
