/* SPDX-License-Identifier: MPL-2.0 */
/* What a driver writes is cut into lines wherever its bytes were cut, and a line that is no message
 * costs nothing until there are too many of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "reconciler/engine/core_state.h"
#include "reconciler/engine/lines.h"
#include "tests/engine/rack.c"

static const char stream[] = "one\n\n{\"a\":1}\nthe last\n";
static const char *const whole[] = {"one", "", "{\"a\":1}", "the last"};

static size_t lines_check(struct lines *lines, size_t from)
{
    const char *line;
    size_t len;
    while ((line = lines_next(lines, &len))) {
        assert_true(from < sizeof whole / sizeof *whole);
        assert_int_equal(len, strlen(whole[from]));
        assert_string_equal(line, whole[from++]);
    }
    return from;
}

static void bytes_become_the_same_lines_wherever_they_are_cut(void **state)
{
    (void)state;
    for (size_t first = 0; first < sizeof stream; first++)
        for (size_t second = first; second < sizeof stream; second++) {
            struct lines lines = LINES_INIT;
            text_add_n(&lines.input, stream, first);
            size_t given = lines_check(&lines, 0);
            text_add_n(&lines.input, stream + first, second - first);
            given = lines_check(&lines, given);
            text_add_n(&lines.input, stream + second, sizeof stream - 1 - second);
            assert_int_equal(lines_check(&lines, given), 4);
            assert_int_equal(lines.input.len, 0);
            lines_free(&lines);
        }
}

static void half_a_line_ends_with_who_wrote_it(void **state)
{
    struct lines lines = LINES_INIT;
    size_t len;
    (void)state;
    text_add(&lines.input, "one\n{\"id\":1,");
    assert_int_equal(lines_check(&lines, 0), 1);
    lines_reset(&lines);
    text_add(&lines.input, "\n");
    assert_string_equal(lines_next(&lines, &len), "");
    assert_null(lines_next(&lines, &len));
    lines_free(&lines);
}

/* A driver's list of a large rack comes once in a while; what it took is not kept for ever. */
static void a_long_line_is_let_go_of_once_it_was_read(void **state)
{
    enum { LONG = 1 << 20 };
    struct lines lines = LINES_INIT;
    size_t len;
    (void)state;
    for (int i = 0; i < LONG; i++)
        text_add_char(&lines.input, 'x');
    text_add(&lines.input, "\none");
    assert_non_null(lines_next(&lines, &len));
    assert_int_equal(len, LONG);
    assert_null(lines_next(&lines, &len));
    text_add(&lines.input, "\n");
    assert_string_equal(lines_next(&lines, &len), "one");
    assert_null(lines_next(&lines, &len));
    assert_int_equal(lines.input.size, 0);
    lines_free(&lines);
}

static int garbage_say(struct rack *rack, const char *line)
{
    struct error err = ERROR_INIT;
    return core_line(rack->core, "net", line, strlen(line), &err);
}

static void driver_that_writes_nothing_but_garbage_is_killed_and_starts_again(void **state)
{
    static const char *const junk[] = {"warning: deprecated", "[]", "\"text\"",
                                       "{\"id\":1",           "",   "{\"id\":1}{\"id\":2}"};
    struct rack *rack = *state;
    rack_settle(rack, "1");
    struct driver *net = driver_find(rack->core, "net");
    for (int i = 0; i < 999; i++)
        assert_int_equal(garbage_say(rack, junk[i % 6]), ERR_INVALID);
    assert_int_equal(net->state, DRIVER_READY);
    assert_int_equal(garbage_say(rack, "{}"), 0); /* it means nothing, and it is a message */
    assert_int_equal(net->state, DRIVER_READY);
    garbage_say(rack, "[]");
    assert_int_equal(net->state, DRIVER_DYING);
    assert_non_null(strstr(net->problem.message, "no JSON-RPC"));
    assert_true(rack_run(rack, 60000));
    assert_int_equal(net->state, DRIVER_READY);
    for (int i = 0; i < 999; i++) /* of each run anew */
        garbage_say(rack, "[]");
    assert_int_equal(net->state, DRIVER_READY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_become_the_same_lines_wherever_they_are_cut),
        cmocka_unit_test(a_long_line_is_let_go_of_once_it_was_read),
        cmocka_unit_test(half_a_line_ends_with_who_wrote_it),
        cmocka_unit_test_setup_teardown(
            driver_that_writes_nothing_but_garbage_is_killed_and_starts_again, rack_setup_volume,
            rack_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
