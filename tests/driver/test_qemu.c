/* SPDX-License-Identifier: MPL-2.0 */
/* The qemu driver without a QEMU: what it does for machines that are off. */
#include <sys/resource.h>
#include "tests/driver/rack.h"

static int setup(void **state)
{
    *state = rack_new("qemu");
    return 0;
}

static int teardown(void **state)
{
    rack_free(*state);
    return 0;
}

/* It holds two descriptors for each machine that runs. */
static void it_may_hold_as_many_descriptors_as_the_system_lets_it(void **state)
{
    struct rack *rack = *state;
    struct rlimit usual, low, limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    low = (struct rlimit){.rlim_cur = 256, .rlim_max = usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    rack_start(rack, "{\"qemu\":\"/bin/true\"}");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    assert_int_equal(prlimit(rack->subject.pid, RLIMIT_NOFILE, NULL, &limit), 0);
    assert_true(limit.rlim_cur == usual.rlim_max);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_may_hold_as_many_descriptors_as_the_system_lets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
