/* SPDX-License-Identifier: MPL-2.0 */
/* The table of very many rows, beside the simplest thing that finds as much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/digest.h"
#include "model/packed.h"

enum { ROWS = 3000, KEY = 5 };

struct row {
    char key[KEY];
    unsigned value;
};

/* Keys that share beginnings, and some with a zero byte in them. */
static void key_of(unsigned i, char key[KEY])
{
    memset(key, 0, KEY);
    key[0] = (char)(i & 3);
    key[2] = (char)(i >> 2 & 63);
    key[4] = (char)(i >> 8);
}

static void rows_are_found_by_their_keys_and_stay_in_their_order(void **state)
{
    struct packed table = PACKED_OF(struct row, key);
    char key[KEY];
    (void)state;
    for (unsigned i = 0; i < ROWS; i++) {
        key_of(i * 7919 % ROWS, key);
        assert_null(packed_find(&table, key));
        struct row *row = packed_add(&table, key);
        assert_int_equal(row->value, 0);
        row->value = i + 1;
    }
    assert_int_equal(table.count, ROWS);
    for (unsigned i = 0; i < ROWS; i++) {
        const struct row *row = packed_row(&table, i);
        key_of(i * 7919 % ROWS, key);
        assert_memory_equal(row->key, key, KEY);
        assert_int_equal(row->value, i + 1);
        assert_ptr_equal(packed_find(&table, key), row);
    }
    key_of(ROWS + 1, key);
    assert_null(packed_find(&table, key));
    packed_clear(&table);
}

static void a_table_that_was_cleared_is_empty_and_takes_rows_again(void **state)
{
    struct packed table = PACKED_OF(struct row, key);
    (void)state;
    packed_clear(&table);
    assert_null(packed_find(&table, "abcd"));
    packed_add(&table, "abcd");
    packed_clear(&table);
    assert_null(packed_find(&table, "abcd"));
    assert_int_equal(table.count, 0);
    assert_non_null(packed_add(&table, "abcd"));
    assert_non_null(packed_find(&table, "abcd"));
    packed_clear(&table);
}

static void hexadecimal_text_and_bytes_are_each_others(void **state)
{
    unsigned char bytes[256], back[256];
    char hex[2 * sizeof bytes + 1];
    (void)state;
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    hex_write(bytes, sizeof bytes, hex);
    assert_memory_equal(hex, "000102", 6);
    assert_string_equal(hex + 508, "feff");
    assert_true(hex_read(hex, back, sizeof back));
    assert_memory_equal(back, bytes, sizeof bytes);
}

static void what_is_no_hexadecimal_text_of_that_length_is_refused(void **state)
{
    static const char *const none[] = {"",     "0",    "00",   "000",   "00000", "000g",
                                       "00A0", "A000", " 000", "00\n0", "-000",  "0x00"};
    unsigned char bytes[2];
    (void)state;
    assert_true(hex_read("09af", bytes, 2));
    assert_int_equal(bytes[1], 0xaf);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(hex_read(none[i], bytes, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_by_their_keys_and_stay_in_their_order),
        cmocka_unit_test(a_table_that_was_cleared_is_empty_and_takes_rows_again),
        cmocka_unit_test(hexadecimal_text_and_bytes_are_each_others),
        cmocka_unit_test(what_is_no_hexadecimal_text_of_that_length_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
