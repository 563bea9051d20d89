/* SPDX-License-Identifier: MPL-2.0 */
/* Ten thousand passes leave nothing behind: a core that looks, plans, finds drift, heals and
 * takes new targets uses as much memory after them as after the first thousand. */
#include <malloc.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

enum {
    PASSES = 10000,
    SETTLED = 1000,
    NEW_TARGET = 100,
    SLACK_BYTES = 65536,
    CACHE_BYTES = 4 << 20
};

static int rack_setup(void **state)
{
    struct rack *rack = rack_new();
    rack->commits[1] = POOL PROJECT VOLUME("db", "1GiB") VPC("net") SUBNET("front", "10.0.1.0/24")
        MACHINE("disks: [{name: a, volume: db}], nics: [{name: eth0, subnet: front}]");
    rack->commits[2] =
        POOL PROJECT VOLUME("db", "1GiB") VPC("net") SUBNET("front", "10.0.1.0/24") MACHINE(
            "disks: [{name: a, volume: db}], nics: [{name: eth0, subnet: front}], cloudInit: {}");
    *state = rack;
    return 0;
}

/* The rack's own memory is not the core's: objects are copied out of its arena now and then. */
static void rack_trim(struct rack *rack)
{
    struct arena *fresh = arena_new();
    assert_int_equal(rack->queue_first, rack->queue_end);
    for (size_t i = 0; i < rack->object_count; i++) {
        struct rack_object *object = &rack->objects[i];
        object->spec = object->spec ? value_copy(fresh, object->spec) : NULL;
        object->booted = object->booted ? value_copy(fresh, object->booted) : NULL;
    }
    arena_free(rack->arena);
    rack->arena = fresh;
}

static void pass(struct rack *rack, int number)
{
    struct error err = ERROR_INIT;
    struct rack_object *vpc = rack_object(rack, "VPC", "net");
    if (number % NEW_TARGET == 0)
        assert_int_equal(
            core_target(rack->core, number / NEW_TARGET % 2 ? "2" : "1", "ann", NULL, NULL, &err),
            0);
    else if (number % 10 == 0 && vpc->spec) { /* somebody changes it, and it is healed */
        struct value *spec = value_copy(rack->arena, vpc->spec);
        value_set_int(rack->arena, spec, "mtu", 1280);
        vpc->spec = spec;
        rack_notice(rack, "net", vpc->uid, "changed by hand");
    } else
        core_look(rack->core);
    rack_run(rack, 60000);
    rack->now_ms += 600000; /* so that nothing is contested */
    rack_trim(rack);
}

/* What SQLite keeps of the file is bounded by itself, and full only after some thousands. */
static size_t used(void)
{
    struct mallinfo2 heap = mallinfo2(); /* what is large is mapped by itself */
    return heap.uordblks + heap.hblkhd - (size_t)sqlite3_memory_used();
}

static void ten_thousand_passes_leave_nothing_behind(void **state)
{
    struct rack *rack = *state;
    size_t settled = 0;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("# SKIP the sanitizer's allocator does not tell what is in use\n");
    skip();
#endif
    rack_boot(rack, "1");
    assert_true(rack_run(rack, 60000));
    for (int i = 1; i <= PASSES; i++) {
        pass(rack, i);
        if (i == SETTLED)
            settled = used();
    }
    assert_true(core_is_converged(rack->core));
    size_t end = used();
    assert_true(sqlite3_memory_used() < CACHE_BYTES);
    if (end > settled + SLACK_BYTES)
        fail_msg("%zu bytes in use after %d passes, %zu after %d", settled, SETTLED, end, PASSES);
    print_message("# %zu bytes in use after %d passes, %zu after %d\n", settled, SETTLED, end,
                  PASSES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ten_thousand_passes_leave_nothing_behind, rack_setup,
                                        rack_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
