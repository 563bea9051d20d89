/* SPDX-License-Identifier: MPL-2.0 */
/* A process that has no descriptor left, as one whose limit is reached. */
#ifndef TESTS_DRIVER_DESCRIPTORS_H
#define TESTS_DRIVER_DESCRIPTORS_H

#include <sys/resource.h>

static struct rlimit descriptors_limit;

/* From now on none can be opened; those that are open stay so. */
static inline void descriptors_use_up(void)
{
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &descriptors_limit), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = descriptors_limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static inline void descriptors_give_back(void)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &descriptors_limit), 0);
}

#endif
