/* SPDX-License-Identifier: MPL-2.0 */
/* Text on a terminal: how many columns it takes, and how much of it so many columns take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "model/text.h"

static const char mixed[] = "a\xe6\x96\x87" /* U+6587: two columns */
                            "e\xcc\x81"     /* a letter and its accent: one */
                            "\xff"          /* no character: one */
                            "z";

static void columns_are_counted_of_whole_characters(void **state)
{
    (void)state;
    assert_int_equal(text_columns(""), 0);
    assert_int_equal(text_columns(mixed), 6);
    assert_int_equal(text_columns_n(mixed, 0), 0);
    assert_int_equal(text_columns_n(mixed, 4), 3);
    assert_int_equal(text_columns_n(mixed, strlen(mixed)), 6);
}

static void what_fits_is_the_longest_beginning_of_whole_characters(void **state)
{
    static const size_t fitting[] = {0, 1, 1, 4, 7, 8, 9, 9};
    (void)state;
    for (int columns = 0; columns < 8; columns++)
        assert_int_equal(text_fitting(mixed, columns), fitting[columns]);
    assert_int_equal(text_fitting(mixed, -1), 0);
    assert_int_equal(text_fitting("", 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_counted_of_whole_characters),
        cmocka_unit_test(what_fits_is_the_longest_beginning_of_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
