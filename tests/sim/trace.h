/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_TRACE_H
#define TESTS_SIM_TRACE_H

#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>

/* A line of everything that happens goes into one rolling BLAKE2b: two runs of a seed
 * did the same if and only if they end with the same hash. */
struct trace {
    crypto_generichash_state hash;
    bool is_shown;
    uint64_t lines;
};

void trace_begin(struct trace *trace, bool is_shown);
void trace_line(struct trace *trace, int64_t at_ms, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* 16 hexadecimal digits of the hash. */
void trace_end(struct trace *trace, char out[17]);

#endif
