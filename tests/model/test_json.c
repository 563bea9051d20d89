/* SPDX-License-Identifier: MPL-2.0 */
/* The fast path of reading JSON beside the slow one, over documents made at random and
 * damaged at random: whatever the fast one takes, both read alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/error.h"
#include "model/json.h"
#include "model/json_plain.h"
#include "model/text.h"

static uint64_t seed = 20261126;

static unsigned draw(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static void word_add(struct text *out)
{
    static const char *const words[] = {
        "a", "spec.size", "",  "kind",      "x\\n", "\\u0041",         "\xc3\xa9", "~!#", "\x7f",
        "b", "c",         "d", "\\\"q\\\"", "\\\\", "\\/\\b\\f\\r\\t", "\\",       "\\q"};
    text_add_char(out, '"');
    text_add(out, words[draw(sizeof words / sizeof *words)]);
    text_add_char(out, '"');
}

static void value_add(struct text *out, int depth)
{
    static const char *const plain[] = {"0",
                                        "-1",
                                        "true",
                                        "false",
                                        "null",
                                        "42",
                                        "123456789012345678",
                                        "-0",
                                        "01",
                                        "1.5",
                                        "1e3",
                                        "9223372036854775807",
                                        "9223372036854775808",
                                        "- 1",
                                        "nul",
                                        " 7 "};
    unsigned choice = draw(depth > 5 ? 2 : 4);
    unsigned count = draw(5);
    if (choice == 0)
        text_add(out, plain[draw(draw(3) ? 7 : sizeof plain / sizeof *plain)]);
    if (choice == 1)
        word_add(out);
    if (choice < 2)
        return;
    text_add_char(out, choice == 2 ? '[' : '{');
    for (unsigned i = 0; i < count; i++) {
        text_add(out, i ? (draw(4) ? "," : " ,\n") : "");
        if (choice == 3) {
            text_printf(out, "\"%c%u\"%s", 'a' + (char)draw(3), draw(4), draw(4) ? ":" : " : ");
        }
        value_add(out, depth + 1);
    }
    text_add_char(out, choice == 2 ? ']' : '}');
}

static void damage(struct text *text)
{
    static const char bytes[] = "{}[],:\"\\0-1.e \n\ttfn\x01\x80";
    if (text->len == 0 || draw(2))
        return;
    size_t at = draw((unsigned)text->len);
    if (draw(2))
        text->data[at] = bytes[draw(sizeof bytes - 1)];
    else
        text->data[text->len = at] = '\0';
}

static void fast_path_reads_what_the_slow_one_reads(void **state)
{
    unsigned taken = 0, left = 0;
    (void)state;
    for (int i = 0; i < 60000; i++) {
        struct arena *arena = arena_new();
        struct text text = TEXT_INIT;
        struct error err = ERROR_INIT;
        struct value *slow = NULL;
        value_add(&text, 0);
        damage(&text);
        struct value *fast = json_plain_read(arena, text.data, text.len, value_count_max(text.len));
        if (fast) {
            assert_int_equal(
                json_read_any(arena, text.data, text.len, value_count_max(text.len), &slow, &err),
                0);
            assert_string_equal(json_text(arena, fast), json_text(arena, slow));
            assert_true(value_equal(fast, slow));
            taken++;
        } else {
            left++;
        }
        text_free(&text);
        arena_free(arena);
    }
    assert_true(taken > 10000 && left > 10000); /* both were tried */
}

/* ---- rows that are left as text ------------------------------------------------------ */

/* The message with its rows put back into their list. */
static struct value *rows_join(struct arena *arena, struct value *message, struct json_rows *rows)
{
    struct value *list = (struct value *)(size_t)value_at(message, "result.list");
    const struct value *row;
    while ((row = json_rows_next(rows, arena)))
        value_append(arena, list, (struct value *)(size_t)row);
    return message;
}

static void message_add(struct text *out)
{
    static const char *const wholes[] = {"{\"id\":1,\"result\":{",
                                         "{\"result\" : {\"complete\":true,", "{\"params\":{",
                                         "{\"a\":{\"result\":{", "{\"result\":{"};
    unsigned whole = draw(5), rows = draw(6);
    text_printf(out, "%s\"%s\":[", wholes[whole], draw(6) ? "list" : "other");
    for (unsigned i = 0; i < rows; i++) {
        text_add(out, i ? (draw(4) ? "," : " , ") : "");
        if (draw(12))
            text_printf(out, "[\"u%u\",%u,\"e%u\"]", draw(9), draw(99), draw(9));
        else
            value_add(out, 3);
    }
    text_add(out, draw(3) ? "]" : "],\"unmanaged\":[],\"n\":{\"list\":[[1]]}");
    text_add(out, draw(20) ? "" : ",\"list\":[[2]]");
    text_add(out, whole == 3 ? "}}}" : "}}");
}

static void a_list_left_as_text_is_the_list(void **state)
{
    unsigned left = 0, kept = 0, refused = 0;
    (void)state;
    for (int i = 0; i < 60000; i++) {
        struct arena *arena = arena_new();
        struct text text = TEXT_INIT;
        struct error err = ERROR_INIT, same = ERROR_INIT;
        struct value *whole = NULL, *message = NULL;
        struct json_rows rows;
        message_add(&text);
        damage(&text);
        int rc = json_read(arena, text.data, text.len, &whole, &err);
        assert_int_equal(json_read_message(arena, text.data, text.len, &message, &rows, &same), rc);
        assert_string_equal(same.message, err.message);
        if (rc == 0) {
            left += rows.at != NULL;
            kept += rows.at == NULL;
            message = rows_join(arena, message, &rows);
            assert_string_equal(json_text(arena, message), json_text(arena, whole));
        }
        refused += rc != 0;
        text_free(&text);
        arena_free(arena);
    }
    assert_true(left > 10000 && kept > 10000 && refused > 5000);
}

static void assert_taken(const char *text, bool is_taken)
{
    struct arena *arena = arena_new();
    assert_int_equal(json_plain_read(arena, text, strlen(text), value_count_max(0)) != NULL,
                     is_taken);
    arena_free(arena);
}

static void fast_path_takes_what_our_programs_write(void **state)
{
    (void)state;
    assert_taken("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"list\":[[\"00ff\",1,\"e\"]],"
                 "\"complete\":true}}",
                 true);
    assert_taken("[]", true);
    assert_taken("{\"a\":1,\"a\":2}", false);
    assert_taken("\"\xc3\xa9\"", false);
    assert_taken("\"a\\nb \\\"c\\\" \\\\\"", true);
    assert_taken("\"\\u0041\"", false);
    assert_taken("\"\\x\"", false);
    assert_taken("\"\\", false);
    assert_taken("{\"a\\n\":1}", false);
    assert_taken("1234567890123456789", false);
    assert_taken("{} {}", false);
    assert_taken("", false);
}

static void nesting_ends_where_the_slow_path_ends_it(void **state)
{
    struct arena *arena = arena_new();
    (void)state;
    for (int depth = 60; depth < 70; depth++) {
        struct text text = TEXT_INIT;
        struct error err = ERROR_INIT;
        struct value *slow = NULL;
        for (int i = 0; i < depth; i++)
            text_add_char(&text, '[');
        for (int i = 0; i < depth; i++)
            text_add_char(&text, ']');
        bool is_fit =
            json_read_any(arena, text.data, text.len, value_count_max(text.len), &slow, &err) == 0;
        assert_int_equal(
            json_plain_read(arena, text.data, text.len, value_count_max(text.len)) != NULL, is_fit);
        text_free(&text);
    }
    arena_free(arena);
}

/* ---- how much a text may be made of ------------------------------------------------- */

/* A list of `count` such items, with spaces behind it up to `len` bytes. */
static void list_add(struct text *out, const char *item, size_t count, size_t len)
{
    for (size_t i = 0; i < count; i++) {
        text_add_char(out, i ? ',' : '[');
        text_add(out, item);
    }
    text_add_char(out, ']');
    while (out->len < len)
        text_add_char(out, ' ');
}

static void assert_both_read(const char *item, size_t count, size_t len, bool is_read)
{
    struct arena *arena = arena_new();
    struct text text = TEXT_INIT;
    struct error err = ERROR_INIT;
    struct value *slow = NULL;
    list_add(&text, item, count, len);
    assert_int_equal(json_plain_read(arena, text.data, text.len, value_count_max(text.len)) != NULL,
                     is_read);
    assert_int_equal(
        json_read_any(arena, text.data, text.len, value_count_max(text.len), &slow, &err),
        is_read ? 0 : ERR_INVALID);
    text_free(&text);
    arena_free(arena);
}

static void values_end_where_the_slow_path_ends_them(void **state)
{
    (void)state;
    assert_both_read("1", 131072, 0, true);
    assert_both_read("1", 131073, 0, false);
    assert_both_read("[]", 65536, 0,
                     true); /* a bracket and a comma each, as many as there may be */
    assert_both_read("[]", 65537, 0, false);
    assert_both_read("{}", 43690, 0, true); /* a map is two */
    assert_both_read("{}", 43691, 0, false);
    assert_both_read("1", 500000, 2000000, true);
    assert_both_read("1", 500001, 2000000, false);
}

static void no_last_comma_is_taken_for_want_of_values(void **state)
{
    struct arena *arena = arena_new();
    (void)state;
    for (size_t count = 131070; count < 131074; count++) {
        struct text text = TEXT_INIT;
        list_add(&text, "1", count, 0);
        text.data[text.len - 1] = ',';
        text_add_char(&text, ']');
        assert_null(json_plain_read(arena, text.data, text.len, value_count_max(text.len)));
        text_free(&text);
    }
    arena_free(arena);
}

static void too_many_values_are_refused_with_their_place(void **state)
{
    struct arena *arena = arena_new();
    struct text text = TEXT_INIT;
    struct error err = ERROR_INIT;
    struct value *value = NULL;
    (void)state;
    text_add(&text, "{\"a\":\n");
    list_add(&text, "{}", 50000, 0);
    text_add_char(&text, '}');
    assert_int_equal(json_read(arena, text.data, text.len, &value, &err), ERR_INVALID);
    assert_null(value);
    assert_string_equal(
        err.message,
        "JSON at line 2, column 131071: over 131072 values, each a hundred bytes of memory");
    assert_string_equal(err.hint, "Leave out what is empty, or split it into several texts.");
    assert_true(arena_used(arena) == 0); /* nothing of the try is left */
    assert_int_equal(json_read_own(arena, text.data, text.len, &value, &err), 0);
    assert_int_equal(value_get(value, "a")->count, 50000);
    text_free(&text);
    arena_free(arena);
}

/* A listing as drivers write it, of more rows than values may be many in a short text. */
static void large_answers_are_read(void **state)
{
    struct arena *arena = arena_new();
    struct text text = TEXT_INIT;
    struct error err = ERROR_INIT;
    struct value *message = NULL;
    struct json_rows rows;
    size_t count = 0;
    (void)state;
    text_add(&text, "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"complete\":true,\"objects\":[");
    for (int i = 0; i < 50000; i++)
        text_printf(&text,
                    "%s{\"uid\":\"%032d\",\"epoch\":%d,\"kind\":\"NIC\",\"name\":\"n\",\"spec\":{"
                    "\"size\":1,\"tags\":[\"a\",\"b\"]},\"status\":{},\"released\":false}",
                    i ? "," : "", i, i);
    text_add(&text, "],\"list\":[");
    for (int i = 0; i < 50000; i++)
        text_printf(&text, "%s[\"%032d\",1,\"e\"]", i ? "," : "", i);
    text_add(&text, "]}}");
    assert_int_equal(json_read_message(arena, text.data, text.len, &message, &rows, &err), 0);
    assert_true(value_at(message, "result.objects")->count == 50000);
    while (json_rows_next(&rows, arena))
        count++;
    assert_int_equal(count, 50000);
    text_free(&text);
    arena_free(arena);
}

/* Rows stay text, so that none of their values counts. */
static void short_rows_are_no_values(void **state)
{
    struct arena *arena = arena_new();
    struct text text = TEXT_INIT;
    struct error err = ERROR_INIT;
    struct value *message = NULL;
    struct json_rows rows;
    (void)state;
    text_add(&text, "{\"id\":7,\"result\":{\"list\":[[]");
    for (int i = 0; i < 200000; i++)
        text_add(&text, ",[\"\",0,\"\"]");
    text_add(&text, "]}}");
    assert_true(800000 > value_count_max(text.len));
    assert_int_equal(json_read_message(arena, text.data, text.len, &message, &rows, &err), 0);
    assert_non_null(rows.at);
    assert_true(arena_used(arena) < text.len);
    text_free(&text);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_path_reads_what_the_slow_one_reads),
        cmocka_unit_test(a_list_left_as_text_is_the_list),
        cmocka_unit_test(fast_path_takes_what_our_programs_write),
        cmocka_unit_test(nesting_ends_where_the_slow_path_ends_it),
        cmocka_unit_test(values_end_where_the_slow_path_ends_them),
        cmocka_unit_test(no_last_comma_is_taken_for_want_of_values),
        cmocka_unit_test(too_many_values_are_refused_with_their_place),
        cmocka_unit_test(large_answers_are_read),
        cmocka_unit_test(short_rows_are_no_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
