/* SPDX-License-Identifier: MPL-2.0 */
/* Many files made durable at once; see sync.h. */
#include "drivers/lib/sync.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#include "model/invariant.h"

enum { SYNCERS_MAX = 15, SYNCER_STACK = 64 << 10 }; /* beside the one that asks */

struct work {
    struct to_sync *files;
    size_t count;
    atomic_size_t next;
};

static void *work_do(void *context)
{
    struct work *work = context;
    for (size_t i; (i = atomic_fetch_add(&work->next, 1)) < work->count;)
        work->files[i].failed = fsync(work->files[i].fd) < 0 ? errno : 0;
    return NULL;
}

/* With fewer threads, or none, it only takes longer. */
void files_sync(struct to_sync *files, size_t count)
{
    struct work work = {.files = files, .count = count};
    invariant(files || count == 0, "%zu files are made durable, and none is named", count);
    pthread_t syncers[SYNCERS_MAX];
    pthread_attr_t small;
    size_t begun = 0;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, SYNCER_STACK);
    while (begun < SYNCERS_MAX && begun + 1 < count &&
           pthread_create(&syncers[begun], &small, work_do, &work) == 0)
        begun++;
    work_do(&work);
    for (size_t i = 0; i < begun; i++)
        pthread_join(syncers[i], NULL);
    pthread_attr_destroy(&small);
}
