/* SPDX-License-Identifier: MPL-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "drivers/linux-vpc/names.c"

enum { COUNT = 1000 };

static void each_name_finds_its_item_and_no_other(void **state)
{
    struct arena *arena = arena_new();
    struct names names = names_make(arena, COUNT);
    (void)state;
    for (int i = 0; i < COUNT; i++)
        names_add(&names, arena_printf(arena, "spt%d", i), arena_printf(arena, "%d", i));
    for (int i = 0; i < COUNT; i++)
        assert_string_equal(names_find(&names, arena_printf(arena, "spt%d", i)),
                            arena_printf(arena, "%d", i));
    assert_null(names_find(&names, "spt1000"));
    assert_null(names_find(&names, ""));
    arena_free(arena);
}

static void the_first_of_two_of_a_name_is_found(void **state)
{
    struct arena *arena = arena_new();
    struct names names = names_make(arena, 2);
    (void)state;
    names_add(&names, "in", "first");
    names_add(&names, "in", "second");
    assert_string_equal(names_find(&names, "in"), "first");
    arena_free(arena);
}

static void nothing_is_found_where_nothing_was_made(void **state)
{
    (void)state;
    assert_null(names_find(&(struct names){0}, "in"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name_finds_its_item_and_no_other),
        cmocka_unit_test(the_first_of_two_of_a_name_is_found),
        cmocka_unit_test(nothing_is_found_where_nothing_was_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
