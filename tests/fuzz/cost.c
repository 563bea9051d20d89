/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/fuzz/cost.h"

#include <malloc.h>
#include <time.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#if __has_feature(coverage_sanitizer)
#define IS_FUZZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#endif

#ifdef IS_FUZZED
enum { CPU_MAX_US = 200000 }; /* what counts the branches makes it about twice as slow */
#else
enum { CPU_MAX_US = 100000 };
#endif
enum { HEAP_MAX = 64 << 20, SMALL_INPUT = 1 << 20, LONG_INPUT = 64 << 10 };

static size_t heap_now, heap_peak;

#ifndef IS_SANITIZED
/* Every allocation of the process, the libraries' too. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

static void *counted(void *block)
{
    size_t size = block ? malloc_usable_size(block) : 0;
    size_t now = __atomic_add_fetch(&heap_now, size, __ATOMIC_RELAXED);
    heap_peak = now > heap_peak ? now : heap_peak;
    return block;
}

static void uncounted(size_t size)
{
    __atomic_sub_fetch(&heap_now, size, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
    return counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return counted(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size)
{
    size_t before = block ? malloc_usable_size(block) : 0;
    void *moved = __libc_realloc(block, size);
    uncounted(moved || !size ? before : 0);
    return counted(moved);
}

void free(void *block)
{
    uncounted(block ? malloc_usable_size(block) : 0);
    __libc_free(block);
}
#endif

static long long cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static long long run(int (*target)(const uint8_t *data, size_t size), const uint8_t *data,
                     size_t size, size_t *heap)
{
    size_t before = heap_peak = heap_now;
    long long from = cpu_us();
    target(data, size);
    *heap = heap_peak - before;
    return cpu_us() - from;
}

static long long cpu_max_us(size_t size)
{
    return CPU_MAX_US * (long long)(size > LONG_INPUT ? size / LONG_INPUT : 1);
}

struct cost cost_of(int (*target)(const uint8_t *data, size_t size), const uint8_t *data,
                    size_t size)
{
    struct cost cost;
    cost.cpu_us = run(target, data, size, &cost.heap);
    for (int again = 0; again < 2 && cost.cpu_us > cpu_max_us(size) / 4; again++) {
        long long took = run(target, data, size, &cost.heap);
        cost.cpu_us = took < cost.cpu_us ? took : cost.cpu_us;
    }
    return cost;
}

bool cost_is_over(const struct cost *cost, size_t size)
{
#if !defined(IS_SANITIZED) && defined(__OPTIMIZE__)
    return cost->cpu_us > cpu_max_us(size) || (size < SMALL_INPUT && cost->heap > HEAP_MAX);
#else
    (void)cost, (void)size;
    return false;
#endif
}
