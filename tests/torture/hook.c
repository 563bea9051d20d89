/* SPDX-License-Identifier: MPL-2.0 */
/* Decides, in the process that calls, whether a call fails; and counts where calls are made. */
#include "tests/torture/torture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct torture *torture;
void *torture_floor;
enum torture_role torture_role = ROLE_DRIVER;

extern char __executable_start, etext;
extern void *__libc_stack_end;

int __real_open(const char *path, int flags, ...);
int __real_close(int fd);

__attribute__((constructor)) static void torture_map(void)
{
    const char *path = getenv("TORTURE");
    int fd = path ? __real_open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof(*torture), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    __real_close(fd); /* no program of ours would have one more open */
    torture = map == MAP_FAILED ? NULL : map;
}

/* Callers within this program. A library that has called us keeps no frame pointer: what is found
 * above it is by chance, and not the same the next time. */
static uint64_t stack_walk(void *frame, uint32_t frames[TORTURE_FRAMES], int depth)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    uintptr_t *fp = frame;
    for (int n = 0; n < depth;) {
        if ((void *)fp < frame || (void *)(fp + 2) > __libc_stack_end || fp == torture_floor)
            break;
        char *pc = (char *)fp[1];
        uintptr_t *next = (uintptr_t *)fp[0];
        if (pc < &__executable_start || pc >= &etext)
            break;
        frames[n] = (uint32_t)(pc - &__executable_start);
        hash = (hash ^ frames[n++]) * 1099511628211u;
        if (next <= fp)
            break;
        fp = next;
    }
    return hash;
}

static bool is_allocation(const char *name)
{
    return strstr(name, "alloc") || strcmp(name, "strdup") == 0 || strcmp(name, "strndup") == 0;
}

/* A library's own allocation is told by our call that led to it: the library keeps no frame
 * pointers. Jansson is called from one place only. */
static uint64_t stack_of(const char *name, void *frame, uint32_t frames[TORTURE_FRAMES])
{
    static uint64_t last_sqlite;
    static uint32_t last_frames[TORTURE_FRAMES];
    if (strncmp(name, "sqlite ", 7) == 0) {
        memcpy(frames, last_frames, sizeof(last_frames));
        return last_sqlite;
    }
    if (strncmp(name, "jansson ", 8) == 0)
        return 0;
    uint64_t stack = stack_walk(frame, frames, is_allocation(name) ? 3 : 5);
    if (strncmp(name, "sqlite3_", 8) == 0) {
        last_sqlite = stack;
        memcpy(last_frames, frames, sizeof(last_frames));
    }
    return stack;
}

static void lock_take(void)
{
    while (__atomic_exchange_n(&torture->lock, 1, __ATOMIC_ACQUIRE))
        continue;
}

static void lock_give(void)
{
    __atomic_store_n(&torture->lock, 0, __ATOMIC_RELEASE);
}

static void site_count(const char *name, uint64_t stack, const uint32_t frames[TORTURE_FRAMES])
{
    lock_take();
    struct torture_site *site = torture->sites;
    struct torture_site *end = site + torture->site_count;
    while (site < end && (site->stack != stack || strcmp(site->name, name) != 0))
        site++;
    if (site < end) {
        site->count++;
    } else if (torture->site_count == TORTURE_SITES) {
        torture->site_missed++;
    } else {
        *site = (struct torture_site){.stack = stack, .count = 1};
        strncpy(site->name, name, sizeof(site->name) - 1);
        memcpy(site->frames, frames, sizeof(site->frames));
        torture->site_count++;
    }
    lock_give();
}

static bool is_turn(const char *name, uint64_t stack)
{
    if (strcmp(name, torture->name) != 0)
        return false;
    if (torture->mode == TORTURE_LASTING && torture->fired > 0)
        return true;
    return stack == torture->stack &&
           __atomic_add_fetch(&torture->seen, 1, __ATOMIC_ACQ_REL) == torture->nth;
}

bool torture_fails(const char *name, void *frame)
{
    uint32_t frames[TORTURE_FRAMES] = {0};
    if (!torture || torture->mode == TORTURE_OFF || torture->role != torture_role)
        return false;
    if (torture->program[0] && strcmp(torture->program, program_invocation_short_name) != 0)
        return false;
    uint64_t stack = stack_of(name, frame, frames);
    if (torture->mode == TORTURE_RECORD) {
        site_count(name, stack, frames);
        return false;
    }
    if (!is_turn(name, stack))
        return false;
    __atomic_add_fetch(&torture->fired, 1, __ATOMIC_ACQ_REL);
    return true;
}
