/* SPDX-License-Identifier: MPL-2.0 */
/* A spec against its kind: what is wrong is said, and what is right has one form. The
 * kind is made for this: it has every rule that a field can have. */
#include "tests/model/manifest.h"

#include "model/check.h"
#include "model/digest.h"
#include "model/kind_read.h"

static const char kind_text[] =
    "kind: Thing\nplural: things\nrank: 7\nscope: project\ndriver: volume\ndoc: A test.\n"
    "spec:\n  type: object\n  required: [must]\n  properties:\n"
    "    must: {type: string, maxLength: 5, doc: Must be there.}\n"
    "    flag: {type: boolean, doc: A flag.}\n"
    "    number: {type: integer, minimum: 2, maximum: 9, doc: A number.}\n"
    "    size: {type: integer, x-unit: bytes, doc: A size.}\n"
    "    time: {type: integer, x-unit: seconds, minimum: 1, maximum: 60, doc: A time.}\n"
    "    choice: {type: string, enum: [alpha, beta], doc: A choice.}\n"
    "    pattern: {type: string, pattern: \"^[a-c]+$\", doc: A pattern.}\n"
    "    ref: {type: string, x-ref: Volume, doc: A reference.}\n"
    "    port: {type: string, x-format: ports, doc: Ports.}\n"
    "    set: {type: array, x-set: true, minItems: 2, maxItems: 4, items: {type: string}, doc: A "
    "set.}\n"
    "    numbers: {type: array, x-set: true, items: {type: integer}, doc: Numbers.}\n"
    "    order: {type: array, items: {type: string}, doc: In order.}\n"
    "    named:\n      type: array\n      x-list-key: name\n      doc: By name.\n      items:\n"
    "        type: object\n        properties:\n          name: {type: string, doc: Name.}\n"
    "          value: {type: string, doc: Value.}\n"
    "    open: {type: object, additionalProperties: {type: integer}, minProperties: 1, "
    "maxProperties: 3, doc: Open.}\n";

struct thing {
    struct fixture *f;
    struct value *spec; /* normal */
};

/* Read once and kept, as the program keeps its own kinds. */
static const struct kind *thing_kind(void)
{
    static const struct kind_file file = {"thing.yaml", kind_text, sizeof(kind_text) - 1};
    static const struct kind *kind;
    static struct arena *volatile arena; /* for who looks for leaks */

    if (!kind)
        kind = kind_read(arena = arena_new(), &file);
    return kind;
}

static struct thing thing(void **state, const char *json_spec)
{
    struct fixture *f = *state;
    struct checker checker = {.arena = f->arena, .report = &f->report};
    struct error err = ERROR_INIT;
    struct value *given = NULL;

    if (json_spec && json_read(f->arena, json_spec, strlen(json_spec), &given, &err) != 0)
        fail_msg("%s: %s", json_spec, err.message);
    report_init(&f->report, f->arena);
    return (struct thing){f,
                          check_spec(&checker, thing_kind(), given, (struct position){"t", 1, 1})};
}

static void assert_normal(void **state, const char *given, const char *normal)
{
    struct thing t = thing(state, given);

    if (t.f->report.count)
        fail_msg("%s: %s", given, t.f->report.problems[0].message);
    assert_string_equal(json_text(t.f->arena, t.spec), normal);
}

static void assert_refused(void **state, const char *given, const char *words)
{
    struct thing t = thing(state, given);

    for (size_t i = 0; i < t.f->report.count; i++)
        if (strstr(t.f->report.problems[i].message, words))
            return;
    fail_msg("%s: not refused with \"%s\" but %s", given, words,
             t.f->report.count ? t.f->report.problems[0].message : "accepted");
}

static void a_value_of_another_type_is_named_as_what_it_is(void **state)
{
    assert_refused(state, "{\"must\":true}", "expected text, found true; put it in quotes");
    assert_refused(state, "{\"must\":false}", "found false");
    assert_refused(state, "{\"must\":7}", "found the whole number 7; put it in quotes");
    assert_refused(state, "{\"must\":null}", "found nothing; leave the field out");
    assert_refused(state, "{\"must\":[]}", "found a list");
    assert_refused(state, "{\"must\":{}}", "found a map");
    assert_refused(state, "{\"must\":\"a\",\"flag\":\"yes\"}",
                   "expected true or false, found text \"yes\"");
    assert_refused(state,
                   "{\"must\":\"a\",\"number\":"
                   "\"0123456789012345678901234567890123456789012345678901234567890\"}",
                   "789...\"");
    assert_refused(state, "{\"must\":\"a\",\"set\":7}", "expected a list");
    assert_refused(state, "{\"must\":\"a\",\"open\":7}", "expected a map");
    assert_refused(state, "[]", "expected a map");
}

static void numbers_keep_to_their_bounds_and_units(void **state)
{
    assert_normal(state, "{\"must\":\"a\",\"number\":2,\"size\":\"1KiB\",\"time\":\"1m\"}",
                  "{\"must\":\"a\",\"number\":2,\"size\":1024,\"time\":60}");
    assert_refused(state, "{\"must\":\"a\",\"number\":1}", "1 is less than 2");
    assert_refused(state, "{\"must\":\"a\",\"number\":10}", "10 is more than 9");
    assert_refused(state, "{\"must\":\"a\",\"number\":true}", "expected a whole number");
    assert_refused(state, "{\"must\":\"a\",\"size\":true}", "expected a size such as 512MiB");
    assert_refused(state, "{\"must\":\"a\",\"size\":7}", "size: ");
    assert_refused(state, "{\"must\":\"a\",\"time\":[]}", "expected a duration such as 5m");
    assert_refused(state, "{\"must\":\"a\",\"time\":\"2m\"}", "2m is more than 1m");
}

static void texts_keep_to_their_rules(void **state)
{
    assert_normal(
        state,
        "{\"must\":\"äöüäö\",\"choice\":\"beta\",\"pattern\":\"abc\",\"ref\":\"v\",\"port\":80}",
        "{\"must\":\"äöüäö\",\"choice\":\"beta\",\"pattern\":\"abc\",\"ref\":\"v\",\"port\":"
        "\"80\"}");
    assert_refused(state, "{\"must\":\"sixsix\"}", "6 characters; at most 5");
    assert_refused(state, "{\"must\":\"a\",\"choice\":\"betta\"}", "did you mean `beta`?");
    assert_refused(state, "{\"must\":\"a\",\"choice\":\"zzzzzz\"}", "is not one of alpha, beta");
    assert_refused(state, "{\"must\":\"a\",\"pattern\":\"xyz\"}", "does not match ^[a-c]+$");
    assert_refused(state, "{\"must\":\"a\",\"ref\":\"art/v\"}", "leads into another project");
    assert_refused(state, "{\"must\":\"a\",\"ref\":\"V!\"}", "cannot be the name of a Volume");
    assert_refused(state, "{\"must\":\"a\",\"port\":\"x\"}", "is not a port or a range");
}

static void sets_have_one_order_and_no_element_twice(void **state)
{
    assert_normal(
        state,
        "{\"must\":\"a\",\"set\":[\"b\",\"a\",\"b\"],\"numbers\":[3,1,3],\"order\":[\"b\",\"a\","
        "\"b\"]}",
        "{\"must\":\"a\",\"set\":[\"a\",\"b\"],\"numbers\":[1,3],\"order\":[\"b\",\"a\",\"b\"]}");
    assert_refused(state, "{\"must\":\"a\",\"set\":[\"a\"]}", "1 elements; at least 2");
    assert_refused(state, "{\"must\":\"a\",\"set\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}",
                   "5 elements; at most 4");
    assert_refused(state, "{\"must\":\"a\",\"set\":[\"a\",7]}", "expected text");
}

static void lists_by_name_have_the_order_of_their_names(void **state)
{
    assert_normal(state,
                  "{\"must\":\"a\",\"named\":[{\"name\":\"z\"},{\"name\":\"b\",\"value\":\"1\"}]}",
                  "{\"must\":\"a\",\"named\":[{\"name\":\"b\",\"value\":\"1\"},{\"name\":\"z\"}]}");
    assert_refused(state, "{\"must\":\"a\",\"named\":[{\"name\":\"b\"},{\"name\":\"b\"}]}",
                   "name \"b\" is there already, on line ");
    assert_normal(state, "{\"must\":\"a\",\"named\":[{\"value\":\"1\"},{\"value\":\"1\"}]}",
                  "{\"must\":\"a\",\"named\":[{\"value\":\"1\"},{\"value\":\"1\"}]}");
}

/* Positions decide among equals, so that the same file is reported alike each time. */
static void the_second_of_two_is_the_one_further_down(void **state)
{
    struct fixture *f = *state;
    const char *one = HEAD("Instance", "i") "spec: {cpus: 1, memory: 256MiB, disks: [{name: a, "
                                            "volume: v}, {name: a, volume: w}]}\n";

    fixture_read(f, "m.yaml", one, strlen(one));
    for (size_t i = 0; i < f->report.count; i++)
        if (strstr(f->report.problems[i].message, "is there already, on line 5")) {
            assert_int_equal(f->report.problems[i].at.line, 5);
            assert_int_equal(f->report.problems[i].at.column, 70);
            return;
        }
    fail_msg("two disks of one name: %s",
             f->report.count ? f->report.problems[0].message : "accepted");
}

static void maps_with_keys_of_ones_own_are_ordered_and_counted(void **state)
{
    assert_normal(state, "{\"must\":\"a\",\"open\":{\"z\":1,\"b\":2}}",
                  "{\"must\":\"a\",\"open\":{\"b\":2,\"z\":1}}");
    assert_refused(state, "{\"must\":\"a\",\"open\":{}}", "0 fields; at least 1");
    assert_refused(state, "{\"must\":\"a\",\"open\":{\"a\":1,\"b\":2,\"c\":3,\"d\":4}}",
                   "4 fields; at most 3");
    assert_refused(state, "{\"must\":\"a\",\"open\":{\"a\":\"x\"}}", "expected a whole number");
}

static void fields_are_those_of_the_kind(void **state)
{
    assert_refused(state, "{}", "must is missing");
    assert_refused(state, NULL, "must is missing");
    assert_refused(state, "null", "must is missing");
    assert_refused(state, "{\"must\":\"a\",\"nmber\":3}",
                   "unknown field `nmber`, did you mean `number`?");
    assert_refused(state, "{\"must\":\"a\",\"qqqqqqqq\":3}", "unknown field `qqqqqqqq`");
}

static void a_secret_of_the_wrong_type_is_not_shown(void **state)
{
    struct fixture *f = *state;
    const char *yaml = PROJECT HEAD(
        "Instance", "i") "spec: {cpus: 1, memory: 256MiB, cloudInit: {userData: 12345}}\n";

    fixture_read(f, "m.yaml", yaml, strlen(yaml));
    assert_int_equal(f->report.count, 1);
    assert_null(strstr(f->report.problems[0].message, "12345"));
}

/* ---- one form of a value ------------------------------------------------------------ */

static void a_uid_is_32_hexadecimal_digits(void **state)
{
    (void)state;
    assert_true(digest_is_uid("0123456789abcdef0123456789abcdef"));
    assert_false(digest_is_uid("0123456789abcdef0123456789abcde"));
    assert_false(digest_is_uid("0123456789abcdef0123456789abcdef0"));
    assert_false(digest_is_uid("0123456789ABCDEF0123456789abcdef"));
    assert_false(digest_is_uid("../3456789abcdef0123456789abcdef"));
    assert_false(digest_is_uid(""));
    assert_false(digest_is_uid(NULL));
}

static void a_digest_is_of_the_meaning_and_not_of_the_order(void **state)
{
    struct fixture *f = *state;
    struct value *up = value_map(f->arena), *down = value_map(f->arena);
    char a[DIGEST_TEXT], b[DIGEST_TEXT];

    for (int i = 0; i < 50; i++) {
        value_set_int(f->arena, up, arena_printf(f->arena, "key%02d", i), i);
        value_set_int(f->arena, down, arena_printf(f->arena, "key%02d", 49 - i), 49 - i);
    }
    assert_string_equal(digest_value(up, a), digest_value(down, b));
    value_set_int(f->arena, down, "key07", 8);
    assert_string_not_equal(digest_value(up, a), digest_value(down, b));
}

static void every_character_has_one_way_to_be_written(void **state)
{
    struct fixture *f = *state;
    const char *text = json_text(f->arena, value_text(f->arena, "\"\\\b\f\n\r\t\x01/\x7f\xc3\xa4"));

    assert_string_equal(text, "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001/\x7f\xc3\xa4\"");
    assert_string_equal(json_text(f->arena, NULL), "null");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(a_value_of_another_type_is_named_as_what_it_is),
        MODEL_TEST(numbers_keep_to_their_bounds_and_units),
        MODEL_TEST(texts_keep_to_their_rules),
        MODEL_TEST(sets_have_one_order_and_no_element_twice),
        MODEL_TEST(lists_by_name_have_the_order_of_their_names),
        MODEL_TEST(the_second_of_two_is_the_one_further_down),
        MODEL_TEST(maps_with_keys_of_ones_own_are_ordered_and_counted),
        MODEL_TEST(fields_are_those_of_the_kind),
        MODEL_TEST(a_secret_of_the_wrong_type_is_not_shown),
        MODEL_TEST(a_digest_is_of_the_meaning_and_not_of_the_order),
        MODEL_TEST(a_uid_is_32_hexadecimal_digits),
        MODEL_TEST(every_character_has_one_way_to_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
