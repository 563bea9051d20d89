/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_FUZZ_COST_H
#define TESTS_FUZZ_COST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What an input may cost: 100 ms of CPU, a longer one that for each 64 KiB, and 64 MiB of heap if
 * it is smaller than 1 MiB. Under a sanitizer, or not optimized, neither is measured.
 */
struct cost {
    long long cpu_us; /* the least of up to three runs: a busy machine is no slow program */
    size_t heap;      /* the most that was in use beyond what was before */
};

/* Runs it. */
struct cost cost_of(int (*target)(const uint8_t *data, size_t size), const uint8_t *data,
                    size_t size);
bool cost_is_over(const struct cost *cost, size_t size);

#endif
