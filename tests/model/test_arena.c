/* SPDX-License-Identifier: MPL-2.0 */
/* Arenas: what is handed out is zero, aligned and its owner's alone, and one of a size takes what
 * it was made for; two become one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdalign.h>
#include <string.h>
#include "model/arena.h"

enum { OBJECTS = 400, ROOM = 5120 };

static size_t size_of(unsigned i)
{
    static const size_t sizes[] = {1, 608, 24, 300, 48, 8, 1100, 64, 256, 5000};
    return sizes[i % (sizeof sizes / sizeof *sizes)];
}

static void assert_filled(const unsigned char *object, size_t size, unsigned char with)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(object[i], with);
}

static void objects_are_made_and_kept(struct arena *arena)
{
    unsigned char *objects[OBJECTS];
    size_t sum = 0, before = arena_used(arena);
    for (unsigned i = 0; i < OBJECTS; i++) {
        objects[i] = arena_alloc(arena, size_of(i));
        assert_int_equal((uintptr_t)objects[i] % alignof(max_align_t), 0);
        assert_filled(objects[i], size_of(i), 0);
        memset(objects[i], (int)(i % 250) + 1, size_of(i));
        sum += size_of(i);
    }
    for (unsigned i = 0; i < OBJECTS; i++)
        assert_filled(objects[i], size_of(i), (unsigned char)(i % 250 + 1));
    assert_int_equal(arena_used(arena) - before, sum);
}

static void what_is_handed_out_is_zero_aligned_and_nobody_elses(void **state)
{
    struct arena *arenas[] = {arena_new(), arena_new_sized(ROOM)};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        objects_are_made_and_kept(arenas[i]);
        arena_reset(arenas[i]);
        assert_int_equal(arena_used(arenas[i]), 0);
        objects_are_made_and_kept(arenas[i]);
        arena_free(arenas[i]);
    }
}

static void what_is_joined_lives_on_in_the_other(void **state)
{
    (void)state;
    for (int empty = 0; empty < 4; empty++) {
        struct arena *arena = arena_new(), *other = arena_new();
        char *mine = empty & 1 ? NULL : arena_text(arena, "mine");
        if (mine)
            objects_are_made_and_kept(arena);
        char *large = empty & 2 ? NULL : memset(arena_alloc(other, 50000), 'x', 50000);
        char *theirs = empty & 2 ? NULL : arena_text(other, "theirs");
        size_t sum = arena_used(arena) + arena_used(other);
        arena_join(arena, other);
        assert_int_equal(arena_used(arena), sum);
        objects_are_made_and_kept(arena);
        if (mine)
            assert_string_equal(mine, "mine");
        if (theirs) {
            assert_string_equal(theirs, "theirs");
            assert_filled((unsigned char *)large, 50000, 'x');
        }
        arena_free(arena);
    }
}

static void an_array_grows_and_keeps_what_is_in_it(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    int *items = NULL;
    size_t room = 0, copies = 0;
    for (int count = 0; count < 1000; count++) {
        int *before = items;
        items = arena_grow(arena, items, (size_t)count, &room, sizeof *items);
        assert_true(room > (size_t)count);
        copies += items != before;
        items[count] = count;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    assert_true(copies < 12);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_handed_out_is_zero_aligned_and_nobody_elses),
        cmocka_unit_test(what_is_joined_lives_on_in_the_other),
        cmocka_unit_test(an_array_grows_and_keeps_what_is_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
