/* SPDX-License-Identifier: MPL-2.0 */
/* What the core counts: each event where it belongs, and what belongs nowhere without harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "model/arena.h"
#include "model/json.h"
#include "reconciler/server/meter.h"

static struct arena *arena;

static int arena_set_up(void **state)
{
    (void)state;
    arena = arena_new();
    return 0;
}

static int arena_tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static void told(struct meter *meter, const char *type, const char *data)
{
    struct error err = ERROR_INIT;
    struct value *value = NULL;
    assert_int_equal(json_read(arena, data, strlen(data), &value, &err), 0);
    const struct event event = {.type = type, .text = "", .data = value};
    meter_event(meter, &event);
}

static void a_duration_falls_into_the_first_bucket_that_holds_it(void **state)
{
    struct histogram histogram = {0};
    (void)state;
    meter_add(&histogram, -5); /* a clock that was set back */
    meter_add(&histogram, meter_bounds_ns[0]);
    meter_add(&histogram, meter_bounds_ns[0] + 1);
    meter_add(&histogram, meter_bounds_ns[METER_BUCKETS - 1] + 1);
    assert_int_equal(histogram.counts[0], 2);
    assert_int_equal(histogram.counts[1], 1);
    assert_int_equal(histogram.counts[METER_BUCKETS], 1);
    assert_int_equal(histogram.sum_ns, 2 * (uint64_t)meter_bounds_ns[0] + 1 +
                                           (uint64_t)meter_bounds_ns[METER_BUCKETS - 1] + 1);
}

static void an_operation_counts_by_its_verb_and_its_end(void **state)
{
    struct meter *meter = NULL;
    struct error err = ERROR_INIT;
    (void)state;
    assert_int_equal(meter_map(&meter, &err), 0);
    told(meter, "op.confirmed", "{\"verb\":\"create\",\"ms\":1}");
    told(meter, "op.failed", "{\"verb\":\"delete\",\"ms\":1}");
    told(meter, "op.failed", "{\"verb\":\"of a newer core\"}");
    told(meter, "op.started", "{\"verb\":\"create\"}");
    assert_int_equal(meter->events, 4);
    assert_int_equal(meter->operations[0][0].counts[2], 1);
    assert_string_equal(meter_verbs[4], "delete");
    assert_int_equal(meter->operations[4][1].counts[2], 1);
    assert_int_equal(meter->operations[METER_VERBS - 1][1].counts[0], 1);
    told(meter, "drift.found", "{}");
    told(meter, "revision.refused", "{}");
    assert_int_equal(meter->drift_found, 1);
    assert_int_equal(meter->revisions_refused, 1);
    munmap(meter, sizeof *meter);
}

static void drivers_are_counted_by_name_as_far_as_there_is_room(void **state)
{
    static struct meter meter;
    char data[128];
    (void)state;
    told(&meter, "driver.started", "{}"); /* of none */
    assert_string_equal(meter.drivers[0].name, "");
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < METER_DRIVERS + 2; i++) {
            snprintf(data, sizeof data, "{\"driver\":\"d%d\"}", i);
            told(&meter, "driver.started", data);
        }
    for (int i = 0; i < METER_DRIVERS; i++)
        assert_int_equal(meter.drivers[i].starts, 2);
    assert_string_equal(meter.drivers[METER_DRIVERS - 1].name,
                        arena_printf(arena, "d%d", METER_DRIVERS - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_falls_into_the_first_bucket_that_holds_it),
        cmocka_unit_test(an_operation_counts_by_its_verb_and_its_end),
        cmocka_unit_test(drivers_are_counted_by_name_as_far_as_there_is_room),
    };
    return cmocka_run_group_tests(tests, arena_set_up, arena_tear_down);
}
