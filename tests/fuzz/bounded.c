/* SPDX-License-Identifier: MPL-2.0 */
/*
 * libFuzzer's view of a target in a build without sanitizers: an input that costs too much is a
 * finding. (libFuzzer's own limits are whole seconds, and memory that nothing but a sanitizer
 * counts.)
 */
#include "tests/fuzz/cost.h"
#include "tests/fuzz/fuzz.h"

int __real_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool has_begun;
    const struct cost cost = cost_of(__real_LLVMFuzzerTestOneInput, data, size);
    if (has_begun && cost_is_over(&cost, size)) {
        fprintf(stderr, "%zu bytes cost %lld us of CPU, %zu bytes of heap\n", size, cost.cpu_us,
                cost.heap);
        abort();
    }
    has_begun = true; /* what is made once is no input's cost */
    return 0;
}
