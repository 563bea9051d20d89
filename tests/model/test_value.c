/* SPDX-License-Identifier: MPL-2.0 */
/* Values, JSON, units, addresses, digests, suggestions: the ground that all stands on. */
#include "tests/model/manifest.h"

#include "model/digest.h"
#include "model/native.h"
#include "model/net.h"
#include "model/unit.h"

static void sizes_have_one_unit_and_no_doubt(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes; /* 0: refused */
        const char *canonical;
    } cases[] = {
        {"1B", 1, "1B"},
        {"512MiB", 512 << 20, "512MiB"},
        {"512Mi", 512 << 20, "512MiB"},
        {"1024KiB", 1 << 20, "1MiB"},
        {"7EiB", INT64_C(7) << 60, "7EiB"},
        {"9223372036854775807B", INT64_MAX, "9223372036854775807B"},
        {"8EiB", 0, NULL},
        {"0B", 0, NULL},
        {"20G", 0, NULL},
        {"20GB", 0, NULL},
        {"100", 0, NULL},
        {"", 0, NULL},
        {"-1B", 0, NULL},
        {"1.5GiB", 0, NULL},
        {" 1B", 0, NULL},
        {"1 B", 0, NULL},
        {"1gib", 0, NULL},
        {"99999999999999999999B", 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        char buf[UNIT_MAX_TEXT];
        int64_t bytes = 0;
        int rc = size_read(cases[i].text, &bytes, &err);

        assert_int_equal(rc, cases[i].bytes ? 0 : ERR_INVALID);
        assert_true(bytes == cases[i].bytes);
        if (rc == 0)
            assert_string_equal(size_text(bytes, buf), cases[i].canonical);
        else
            assert_true(strlen(err.message) > 0);
    }
}

static void durations_go_from_large_to_small(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
        const char *canonical;
    } cases[] = {
        {"0s", 0, "0s"},
        {"90s", 90, "1m30s"},
        {"1h30m", 5400, "1h30m"},
        {"7d", 604800, "7d"},
        {"30m1h", -1, NULL},
        {"1h1h", -1, NULL},
        {"5", -1, NULL},
        {"", -1, NULL},
        {"h", -1, NULL},
        {"1w", -1, NULL},
        {"9223372036854775807d", -1, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        char buf[UNIT_MAX_TEXT];
        int64_t seconds = -1;
        int rc = duration_read(cases[i].text, &seconds, &err);

        assert_int_equal(rc, cases[i].seconds < 0 ? ERR_INVALID : 0);
        assert_true(seconds == cases[i].seconds);
        if (rc == 0)
            assert_string_equal(duration_text(seconds, buf), cases[i].canonical);
    }
}

static void prefixes_know_what_is_inside(void **state)
{
    struct error err = ERROR_INIT;
    struct prefix wide, narrow, six;
    struct address address;
    char buf[PREFIX_MAX_TEXT];

    (void)state;
    assert_int_equal(prefix_read("10.0.0.0/8", &wide, &err), 0);
    assert_int_equal(prefix_read("10.1.2.128/25", &narrow, &err), 0);
    assert_int_equal(prefix_read("2001:DB8:0:0::/64", &six, &err), 0);
    assert_true(prefix_overlaps(&wide, &narrow) && prefix_overlaps(&narrow, &wide));
    assert_false(prefix_overlaps(&wide, &six));
    assert_string_equal(prefix_text(&six, buf), "2001:db8::/64");
    assert_int_equal(prefix_nth(&narrow, 127, &address, &err), 0);
    assert_string_equal(address_text(&address, buf), "10.1.2.255");
    assert_int_equal(prefix_nth(&narrow, 128, &address, &err), ERR_INVALID);
    assert_int_equal(prefix_hosts(&narrow), 125);
    assert_true(prefix_hosts(&six) == INT64_MAX);
    assert_int_equal(prefix_read("10.0.0.0/33", &wide, &err), ERR_INVALID);
    assert_int_equal(prefix_read("10.0.0.0/08", &wide, &err), ERR_INVALID);
    assert_int_equal(prefix_read("10.0.0/8", &wide, &err), ERR_INVALID);
    assert_int_equal(address_read("010.0.0.1", &address, &err), ERR_INVALID);
    assert_int_equal(prefix_read("0.0.0.0/0", &wide, &err), 0);
    assert_true(prefix_overlaps(&wide, &narrow));
}

static void json_takes_what_the_model_has_and_no_more(void **state)
{
    static const char *const refused[] = {
        "",
        "[1,]",
        "{\"a\":1,\"a\":2}",
        "1.5",
        "1e3",
        "-0.0",
        "9223372036854775808",
        "nul",
        "[1] x",
        "\"\\u0000\"",
        "\"\xff\"",
        "\"\xed\xa0\x80\"",
    };
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    struct text deep = TEXT_INIT;
    struct value *value;

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_int_equal(json_read(f->arena, refused[i], strlen(refused[i]), &value, &err),
                         ERR_INVALID);
    for (int i = 0; i < 1 << 16; i++)
        text_add_char(&deep, '[');
    assert_int_equal(json_read(f->arena, deep.data, deep.len, &value, &err), ERR_INVALID);
    assert_non_null(strstr(err.message, "column 65"));
    text_free(&deep);
}

static void json_is_utf8_whatever_bytes_a_text_has(void **state)
{
    struct fixture *f = *state;
    const char *const bytes[] = {"a\xff\xfe.raw", "\xed\xa0\x80", "\xc3", "\xc3\xa9\x1b\x80\"",
                                 "\xf4\x90\x80\x80"};
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        struct error err = ERROR_INIT;
        struct value *value;
        const char *json = json_text(f->arena, value_text(f->arena, bytes[i]));
        assert_int_equal(json_read(f->arena, json, strlen(json), &value, &err), 0);
        assert_non_null(strstr(value->text, "\xEF\xBF\xBD"));
    }
    assert_string_equal(json_text(f->arena, value_text(f->arena, "é\xff日")),
                        "\"é\xEF\xBF\xBD日\"");
}

static void canonical_json_does_not_depend_on_key_order(void **state)
{
    static const char *const same[] = {
        "{\"b\":[1,{\"d\":null,\"c\":\"\\u00e9\\n\"}],\"a\":true}",
        " { \"a\": true, \"b\": [1, {\"c\":\"\xc3\xa9\\n\",\"d\":null}]}"};
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    char digest[2][DIGEST_TEXT];

    for (size_t i = 0; i < 2; i++) {
        struct value *value;

        assert_int_equal(json_read(f->arena, same[i], strlen(same[i]), &value, &err), 0);
        digest_value(value, digest[i]);
    }
    assert_string_equal(digest[0], digest[1]);
}

/* RFC 7693 has no BLAKE2b-256 vector; this is `b2sum -l 256` of "abc". */
static void digests_are_blake2b(void **state)
{
    char hex[DIGEST_TEXT];

    (void)state;
    assert_string_equal(digest_bytes("abc", 3, hex),
                        "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

static void uids_differ_by_every_part_of_the_identity(void **state)
{
    uint8_t seed[32] = {1};
    char uid[6][UID_TEXT];

    (void)state;
    digest_uid(seed, "Volume", "a", "bc", 0, uid[0]);
    digest_uid(seed, "Volume", "ab", "c", 0, uid[1]);
    digest_uid(seed, "Volume", NULL, "abc", 0, uid[2]);
    digest_uid(seed, "Volume", "a", "bc", 1, uid[3]);
    digest_uid(seed, "Image", "a", "bc", 0, uid[4]);
    seed[31] = 1;
    digest_uid(seed, "Volume", "a", "bc", 0, uid[5]);
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(uid[i], uid[j]);
}

static void native_names_fit_the_kernel(void **state)
{
    static const char uid[] = "0123456789abcdef0123456789abcdef";
    char link[16], mac[18];

    (void)state;
    assert_string_equal(native_tap(uid, link), "spt0123456789ab");
    assert_string_equal(native_mac(uid, mac), "02:01:23:45:67:89");
}

static void maps_are_equal_in_whatever_order_their_keys_stand(void **state)
{
    struct fixture *f = *state;

    for (int count = 2; count <= 64; count *= 2) {
        struct value *up = value_map(f->arena), *down = value_map(f->arena);

        for (int i = 0; i < count; i++) {
            value_set_int(f->arena, up, arena_printf(f->arena, "k%d", i), i);
            value_set_int(f->arena, down, arena_printf(f->arena, "k%d", count - 1 - i),
                          count - 1 - i);
        }
        assert_true(value_equal(up, down));
        value_set_int(f->arena, down, "k1", 7);
        assert_false(value_equal(up, down));
        value_unset(down, "k1");
        value_set_int(f->arena, down, "l1", 1);
        assert_false(value_equal(up, down));
        assert_false(value_equal(down, up));
    }
}

static void the_nearest_word_is_suggested(void **state)
{
    static const char *const words[] = {"memory", "maxMemory", "cpus", "disks", "nics"};
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"memroy", "memory"}, {"Memory", "memory"},
        {"cpu", "cpus"},      {"disk", "disks"},
        {"nisc", "nics"},     {"x", NULL},
        {"ab", NULL},         {"memorandum", NULL},
        {"CPUS", "cpus"},     {"maxmemory", "maxMemory"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *nearest = report_nearest(cases[i].word, words, 5);

        if (cases[i].nearest)
            assert_string_equal(nearest, cases[i].nearest);
        else
            assert_null(nearest);
    }
}

static void the_caret_stands_under_wide_characters(void **state)
{
    static const char source[] = "a\n\t\xe6\x97\xa5\xe6\x9c\xac: x\n";
    struct fixture *f = *state;
    struct text text = TEXT_INIT;

    report_add(&f->report, (struct position){"f", 2, 6}, "code", "wrong");
    report_attach_source(&f->report, "f", source, strlen(source));
    report_write(&text, &f->report, false);
    assert_string_equal(text.data,
                        "f:2:6: error: wrong\n\t\xe6\x97\xa5\xe6\x9c\xac: x\n\t      ^\n");
    text_free(&text);
}

static void paths_find_elements_by_name(void **state)
{
    static const char json[] =
        "{\"disks\":[{\"name\":\"a\",\"size\":1},{\"name\":\"0\",\"size\":2}]}";
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    struct value *value;

    assert_int_equal(json_read(f->arena, json, strlen(json), &value, &err), 0);
    assert_int_equal(value_at_int(value, "disks[a].size", 0), 1);
    assert_int_equal(value_at_int(value, "disks[0].size", 0), 2); /* a name goes before an index */
    assert_int_equal(value_at_int(value, "disks[1].size", 0), 2);
    assert_null(value_at(value, "disks[2].size"));
    assert_null(value_at(value, "disks.size"));
    assert_null(value_at(NULL, "disks"));
}

static void an_element_is_found_wherever_it_is_looked_for_first(void **state)
{
    static const char json[] =
        "[{\"name\":\"a\"},{\"name\":\"b\"},7,{\"other\":\"c\"},{\"name\":\"d\"}]";
    static const char *const names[] = {"a", "b", "c", "d", "", "dd"};
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    struct value *list;

    assert_int_equal(json_read(f->arena, json, strlen(json), &list, &err), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t near = 0; near < list->count + 2; near++)
            assert_ptr_equal(value_find_near(list, "name", names[i], near),
                             value_find(list, "name", names[i]));
    assert_non_null(value_find_near(list, "name", "d", 5));
    assert_null(value_find_near(list, "name", "c", 3));
    assert_null(value_find_near(NULL, "name", "a", 0));
    assert_null(value_find_near(list->items[0], "name", "a", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(sizes_have_one_unit_and_no_doubt),
        MODEL_TEST(durations_go_from_large_to_small),
        MODEL_TEST(prefixes_know_what_is_inside),
        MODEL_TEST(json_takes_what_the_model_has_and_no_more),
        MODEL_TEST(json_is_utf8_whatever_bytes_a_text_has),
        MODEL_TEST(canonical_json_does_not_depend_on_key_order),
        MODEL_TEST(digests_are_blake2b),
        MODEL_TEST(uids_differ_by_every_part_of_the_identity),
        MODEL_TEST(native_names_fit_the_kernel),
        MODEL_TEST(maps_are_equal_in_whatever_order_their_keys_stand),
        MODEL_TEST(the_nearest_word_is_suggested),
        MODEL_TEST(the_caret_stands_under_wide_characters),
        MODEL_TEST(paths_find_elements_by_name),
        MODEL_TEST(an_element_is_found_wherever_it_is_looked_for_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
