/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Runs a target on files: the committed corpora, and the inputs that once broke something.
 * Optimized and without a sanitizer it measures too: an input that takes more than 100 ms of CPU,
 * or one under 1 MiB that costs more than 64 MiB of heap, fails. CPU time is the least of three
 * runs, so that a busy machine is not taken for a slow program.
 *
 *   NAME FILE|DIRECTORY...       prints one line of TAP for all
 */
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>
#include "tests/fuzz/fuzz.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#endif
#if !defined(IS_SANITIZED) && defined(__OPTIMIZE__)
#define IS_MEASURED 1
#endif

enum { CPU_MAX_US = 100000, HEAP_MAX = 64 << 20, SMALL_INPUT = 1 << 20 };

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static size_t heap_now, heap_peak;

#ifndef IS_SANITIZED
/* Every allocation of the process, the libraries' too. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

static void *counted(void *block)
{
    heap_now += block ? malloc_usable_size(block) : 0;
    heap_peak = heap_now > heap_peak ? heap_now : heap_peak;
    return block;
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
    heap_now -= moved || !size ? before : 0;
    return counted(moved);
}

void free(void *block)
{
    heap_now -= block ? malloc_usable_size(block) : 0;
    __libc_free(block);
}
#endif

struct worst {
    long long cpu_us;
    size_t heap;
    char slowest[256], largest[256];
    unsigned inputs, over;
};

static long long cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static long long input_run(const char *data, size_t len, size_t *heap)
{
    size_t before = heap_peak = heap_now;
    long long from = cpu_us();
    LLVMFuzzerTestOneInput((const uint8_t *)data, len);
    *heap = heap_peak - before;
    return cpu_us() - from;
}

static void input_judge(const char *path, const char *data, size_t len, struct worst *worst)
{
    size_t heap;
    long long least = input_run(data, len, &heap);
    for (int again = 0; again < 2 && least > CPU_MAX_US / 4; again++) {
        long long took = input_run(data, len, &heap);
        least = took < least ? took : least;
    }
    worst->inputs++;
    if (least > worst->cpu_us) {
        worst->cpu_us = least;
        snprintf(worst->slowest, sizeof worst->slowest, "%s", path);
    }
    if (heap > worst->heap) {
        worst->heap = heap;
        snprintf(worst->largest, sizeof worst->largest, "%s", path);
    }
#ifdef IS_MEASURED
    bool is_over = least > CPU_MAX_US || (len < SMALL_INPUT && heap > HEAP_MAX);
    if (is_over)
        printf("# %s: %lld us of CPU, %zu bytes of heap\n", path, least, heap);
    worst->over += is_over;
#endif
}

static void file_run(const char *path, struct worst *worst)
{
    struct stat st;
    FILE *file = fopen(path, "re");
    if (!file || fstat(fileno(file), &st) < 0) {
        printf("Bail out! %s: %s\n", path, strerror(errno));
        exit(1);
    }
    char *data = malloc((size_t)st.st_size + 1);
    size_t len = data ? fread(data, 1, (size_t)st.st_size, file) : 0;
    fclose(file);
    /* Exactly as long as the input, so that AddressSanitizer sees what reads on. */
    char *exact = malloc(len ? len : 1);
    if (data && exact)
        memcpy(exact, data, len);
    free(data);
    input_judge(path, exact, len, worst);
    free(exact);
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void path_run(const char *path, struct worst *worst)
{
    struct dirent **entries = NULL;
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
        file_run(path, worst);
        return;
    }
    int count = scandir(path, &entries, visible, alphasort);
    for (int i = 0; i < count; i++) {
        char inner[1024];
        snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        file_run(inner, worst);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    struct worst worst = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0); /* what is made once is no input's cost */
    const char *name = strrchr(argv[0], '/');
    printf("1..1\n");
    for (int i = 1; i < argc; i++)
        path_run(argv[i], &worst);
    bool is_good = worst.inputs > 0 && !worst.over;
    printf("%sok 1 - %s: %u inputs", is_good ? "" : "not ", name ? name + 1 : argv[0],
           worst.inputs);
#ifndef IS_SANITIZED
    printf("; at most %lld us of CPU (%s), %zu KiB of heap (%s)", worst.cpu_us, worst.slowest,
           worst.heap >> 10, worst.largest);
#endif
    printf("\n");
    return !is_good;
}
