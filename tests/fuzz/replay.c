/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Runs a target on files: the committed corpora, and the inputs that once broke something.
 * One that costs too much (cost.h) fails.
 *
 *   NAME FILE|DIRECTORY...       prints one line of TAP for all
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include "tests/fuzz/cost.h"
#include "tests/fuzz/fuzz.h"

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

struct worst {
    struct cost cost;
    char slowest[256], largest[256];
    unsigned inputs, over;
};

static void input_judge(const char *path, const char *data, size_t len, struct worst *worst)
{
    const struct cost cost = cost_of(LLVMFuzzerTestOneInput, (const uint8_t *)data, len);
    worst->inputs++;
    if (cost.cpu_us > worst->cost.cpu_us) {
        worst->cost.cpu_us = cost.cpu_us;
        snprintf(worst->slowest, sizeof worst->slowest, "%s", path);
    }
    if (cost.heap > worst->cost.heap) {
        worst->cost.heap = cost.heap;
        snprintf(worst->largest, sizeof worst->largest, "%s", path);
    }
    if (!cost_is_over(&cost, len))
        return;
    printf("# %s: %lld us of CPU, %zu bytes of heap\n", path, cost.cpu_us, cost.heap);
    worst->over++;
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
    if (worst.cost.heap) /* it is counted */
        printf("; at most %lld us of CPU (%s), %zu KiB of heap (%s)", worst.cost.cpu_us,
               worst.slowest, worst.cost.heap >> 10, worst.largest);
    printf("\n");
    return !is_good;
}
