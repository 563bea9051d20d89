/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Files are handed out in batches, in order, into a ring of them. Each batch has an arena: what is
 * read lives there until it was taken. A thread that comes around the ring waits until its batch is
 * free again, which bounds both what is read too early and the memory. Each thread has a handle of
 * the repository of its own; libgit2 shares the packs behind them.
 *
 *     FREE --claim--> BUSY --done--> READY --all taken--> FREE
 */
#include "reconciler/source/ahead.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "model/invariant.h"
#include "model/kind.h"
#include "model/yaml.h"
#include "reconciler/source/bound.h"

enum {
    FILES_MIN = 2000,
    THREADS_MAX = 4,
    BATCH = 128,
    RING = 4,
    SMALL_BYTES = 64 << 10, /* more than that is left, so that little is held at a time */
    READ_BYTES = 8 << 20,   /* that libgit2 may ask for at a time to read one */
};

enum batch_state { FREE, BUSY, READY };

struct batch {
    enum batch_state state; /* under the lock, as all that it says when it is not BUSY */
    struct arena *arena;
    struct ahead_taken files[BATCH];
};

struct worker {
    struct ahead *ahead;
    pthread_t thread;
    struct source source; /* a handle of its own */
};

struct ahead {
    size_t count;
    ahead_file_of *file_of;
    const void *context;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a batch's state, or is_over */
    struct batch ring[RING];
    size_t claimed; /* batches handed out so far */
    size_t taken;   /* files taken so far */
    bool is_over;
    struct worker workers[THREADS_MAX];
    unsigned worker_count;
};

/* ---- what a thread does ------------------------------------------------------------- */

/* The bytes of a small blob in the arena, or NULL. */
static const char *small_read(struct source *source, struct arena *arena, const git_oid *id,
                              size_t *len)
{
    git_odb_object *object = NULL;
    const char *data = NULL;
    if (git_odb_read(&object, source->odb, id) < 0)
        return NULL;
    *len = git_odb_object_size(object);
    if (git_odb_object_type(object) == GIT_OBJECT_BLOB && *len <= SMALL_BYTES)
        data = arena_text_n(arena, git_odb_object_data(object), *len);
    git_odb_object_free(object);
    return data;
}

static struct ahead_taken file_read(struct source *source, struct arena *arena,
                                    struct ahead_file file)
{
    const struct ahead_taken left = {0};
    struct ahead_taken taken = {0};
    struct value *documents = NULL;
    struct report report;
    const char *data = file.blob ? small_read(source, arena, file.blob, &taken.bytes) : NULL;
    report_init(&report, arena);
    if (!data)
        return left;
    yaml_read(arena, file.path, data, taken.bytes, &documents, &report);
    if (!documents || report.count)
        return left;
    struct resource *made = arena_array(arena, documents->count + 1, sizeof(*made));
    for (size_t i = 0; i < documents->count; i++)
        taken.count += resource_read(arena, &report, documents->items[i], &made[taken.count]);
    taken.made = made;
    return report.count ? left : taken;
}

static void batch_read(struct worker *worker, struct batch *batch, size_t first)
{
    const struct ahead *ahead = worker->ahead;
    for (size_t i = 0; i < BATCH && first + i < ahead->count; i++)
        batch->files[i] =
            file_read(&worker->source, batch->arena, ahead->file_of(ahead->context, first + i));
}

/* NULL when there is no more to do. */
static struct batch *batch_claim(struct ahead *ahead, size_t *first)
{
    struct batch *batch = NULL;
    pthread_mutex_lock(&ahead->lock);
    while (!ahead->is_over && ahead->claimed * BATCH < ahead->count &&
           ahead->ring[ahead->claimed % RING].state != FREE)
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    if (!ahead->is_over && ahead->claimed * BATCH < ahead->count) {
        batch = &ahead->ring[ahead->claimed % RING];
        batch->state = BUSY;
        *first = ahead->claimed++ * BATCH;
    }
    pthread_mutex_unlock(&ahead->lock);
    return batch;
}

static void batch_become(struct ahead *ahead, struct batch *batch, enum batch_state state)
{
    pthread_mutex_lock(&ahead->lock);
    batch->state = state;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
}

static void *worker_run(void *context)
{
    struct worker *worker = context;
    struct batch *batch;
    size_t first;
    bound_set(READ_BYTES);
    while ((batch = batch_claim(worker->ahead, &first))) {
        batch_read(worker, batch, first);
        batch_become(worker->ahead, batch, READY);
    }
    return NULL;
}

/* ---- taking ------------------------------------------------------------------------- */

static void batch_await(struct ahead *ahead, struct batch *batch)
{
    pthread_mutex_lock(&ahead->lock);
    while (batch->state != READY)
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    pthread_mutex_unlock(&ahead->lock);
}

struct ahead_taken ahead_take(struct ahead *ahead, size_t i)
{
    if (!ahead)
        return (struct ahead_taken){0};
    invariant(i == ahead->taken && i < ahead->count, "file %zu of %zu is taken after %zu", i,
              ahead->count, ahead->taken);
    struct batch *batch = &ahead->ring[i / BATCH % RING];
    if (i % BATCH == 0) {
        struct batch *before = i ? &ahead->ring[(i / BATCH - 1) % RING] : NULL;
        if (before) {
            arena_reset(before->arena);
            batch_become(ahead, before, FREE);
        }
        batch_await(ahead, batch);
    }
    ahead->taken++;
    return batch->files[i % BATCH];
}

/* ---- life --------------------------------------------------------------------------- */

static bool worker_start(struct ahead *ahead, const struct source *source)
{
    struct worker *worker = &ahead->workers[ahead->worker_count];
    struct error ignored = ERROR_INIT;
    worker->ahead = ahead;
    worker->source = *source;
    worker->source.repo = NULL;
    worker->source.odb = NULL;
    if (repository_open(&worker->source, &ignored) == 0 &&
        (!source->is_quarantine || quarantine_add(&worker->source, &ignored) == 0) &&
        pthread_create(&worker->thread, NULL, worker_run, worker) == 0) {
        ahead->worker_count++;
        return true;
    }
    repository_close(&worker->source);
    return false;
}

/* Signals are for the thread that there was before. */
static void workers_start(struct ahead *ahead, const struct source *source, unsigned threads)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (ahead->worker_count < threads && worker_start(ahead, source))
        ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static unsigned threads_for(const struct source *source, size_t count)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (source->ahead_threads < 0)
        return 0;
    if (source->ahead_threads > 0)
        return (unsigned)source->ahead_threads;
    if (count < FILES_MIN || processors < 2)
        return 0;
    return processors < THREADS_MAX ? (unsigned)processors : THREADS_MAX;
}

struct ahead *ahead_start(const struct source *source, size_t count, ahead_file_of *file_of,
                          const void *context)
{
    unsigned threads = threads_for(source, count);
    size_t kinds;
    if (threads == 0)
        return NULL;
    invariant(threads <= THREADS_MAX, "%u threads read ahead", threads);
    struct ahead *ahead = memory_need(calloc(1, sizeof(*ahead)));
    (void)kinds_get(&kinds); /* made by the first who asks */
    ahead->count = count;
    ahead->file_of = file_of;
    ahead->context = context;
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->changed, NULL);
    for (size_t i = 0; i < RING; i++)
        ahead->ring[i].arena = arena_new();
    workers_start(ahead, source, threads);
    if (ahead->worker_count > 0)
        return ahead;
    ahead_stop(ahead);
    return NULL;
}

void ahead_stop(struct ahead *ahead)
{
    if (!ahead)
        return;
    pthread_mutex_lock(&ahead->lock);
    ahead->is_over = true;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
    for (unsigned i = 0; i < ahead->worker_count; i++) {
        pthread_join(ahead->workers[i].thread, NULL);
        repository_close(&ahead->workers[i].source);
    }
    for (size_t i = 0; i < RING; i++)
        arena_free(ahead->ring[i].arena);
    pthread_cond_destroy(&ahead->changed);
    pthread_mutex_destroy(&ahead->lock);
    free(ahead);
}
