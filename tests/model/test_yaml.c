/* SPDX-License-Identifier: MPL-2.0 */
/* Manifest bytes: what is read, what is refused, and that hostile ones end soon. */
#include "tests/model/manifest.h"

static struct value *read_one(struct fixture *f, const char *yaml)
{
    struct value *docs;

    assert_int_equal(yaml_read(f->arena, "m.yaml", yaml, strlen(yaml), &docs, &f->report), 0);
    assert_int_equal(docs->count, 1);
    return docs->items[0];
}

static void scalars_are_those_of_yaml_1_2(void **state)
{
    static const struct {
        const char *yaml;
        const char *json;
    } cases[] = {
        {"no", "\"no\""},
        {"on", "\"on\""},
        {"y", "\"y\""},
        {"true", "true"},
        {"False", "false"},
        {"~", "null"},
        {"null", "null"},
        {"12", "12"},
        {"-5", "-5"},
        {"+5", "5"},
        {"0o17", "15"},
        {"017", "17"},
        {"0x1F", "31"},
        {"1e3", "\"1e3\""},
        {".nan", "\".nan\""},
        {"1.5", "\"1.5\""},
        {"\"12\"", "\"12\""},
        {"'true'", "\"true\""},
        {"12:30", "\"12:30\""},
        {"2026-01-01", "\"2026-01-01\""},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"9223372036854775808", "\"9223372036854775808\""},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct value *doc = read_one(f, arena_printf(f->arena, "a: %s\n", cases[i].yaml));

        assert_string_equal(json_text(f->arena, value_get(doc, "a")), cases[i].json);
    }
}

static void what_a_reviewer_cannot_trust_is_refused(void **state)
{
    static const struct {
        const char *yaml;
        const char *code;
        unsigned line;
        unsigned column;
    } cases[] = {
        {"a: &x 1\n", "anchor", 1, 4},
        {"a: *x\n", "alias", 1, 4},
        {"a: 1\n<<: {b: 2}\n", "merge-key", 2, 1},
        {"a: !!python/object 1\n", "tag", 1, 4},
        {"a: !include x\n", "tag", 1, 4},
        {"size: 10\nsize: 1\n", "duplicate-key", 2, 1},
        {"? [a]\n: b\n", "bad-key", 1, 3},
        {"%TAG ! tag:x,1:\n---\na: 1\n", "directive", 1, 1},
        {"\xef\xbb\xbf%TAG ! tag:x,1:\n---\na: 1\n", "directive", 1, 1},
        {"a: 1\n...\n%YAML 1.20\n---\nb: 1\n", "directive", 3, 1},
        {"a: \"\\u202e\"\n", "bad-character", 1, 4},
        {"a: \xe2\x80\xae\n", "bad-character", 1, 4},
        {"# \xe2\x80\x8b\n", "bad-character", 1, 3},
        {"a: b\xef\xbb\xbf\n", "bad-character", 1, 5},
        {"a: \x01\n", "bad-character", 1, 4},
        {"a: b\rc: d\n", "bad-character", 1, 5},
        {"a: \xc0\xaf\n", "bad-encoding", 1, 4},
        {"\xff\xfe"
         "a",
         "bad-encoding", 1, 1},
        {"a: [1\n", "syntax", 2, 1},
        {"\xc3\xa9: &x 1\n", "anchor", 1, 4},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct value *docs;

        report_init(&f->report, f->arena);
        assert_int_equal(
            yaml_read(f->arena, "m.yaml", cases[i].yaml, strlen(cases[i].yaml), &docs, &f->report),
            ERR_INVALID);
        assert_true(f->report.count >= 1);
        assert_string_equal(f->report.problems[0].code, cases[i].code);
        assert_int_equal(f->report.problems[0].at.line, cases[i].line);
        assert_int_equal(f->report.problems[0].at.column, cases[i].column);
    }
}

static void a_report_outlives_the_names_that_it_was_given(void **state)
{
    struct fixture *f = *state;
    struct arena *reading = arena_new();
    char *name = arena_text(reading, "rack/web.yaml");

    report_add(&f->report, (struct position){.file = name, .line = 1}, "x", "wrong");
    memset(name, '?', strlen(name));
    arena_free(reading);
    assert_string_equal(f->report.problems[0].at.file, "rack/web.yaml");
}

static void a_nul_byte_and_utf_16_are_refused(void **state)
{
    struct fixture *f = *state;
    struct value *docs;

    assert_int_equal(yaml_read(f->arena, "m", "a: \0b\n", 6, &docs, &f->report), ERR_INVALID);
    assert_int_equal(yaml_read(f->arena, "m", "a\0:\0 \0b\0", 8, &docs, &f->report), ERR_INVALID);
}

static void crlf_and_a_leading_byte_order_mark_are_fine(void **state)
{
    struct fixture *f = *state;
    struct value *doc = read_one(f, "\xef\xbb\xbf"
                                    "a: 1\r\nb: 2\r\n");

    assert_string_equal(json_text(f->arena, doc), "{\"a\":1,\"b\":2}");
}

static void reading_goes_on_at_the_next_document(void **state)
{
    static const char yaml[] = "a: [\n---\nb: 1\n--- }\n---\nd: 1\n";
    struct fixture *f = *state;
    struct value *docs;

    yaml_read(f->arena, "m", yaml, strlen(yaml), &docs, &f->report);
    assert_int_equal(f->report.count, 2);
    assert_int_equal(f->report.problems[1].at.line, 4);
    assert_string_equal(json_text(f->arena, docs), "[{\"b\":1},{\"d\":1}]");
}

/* Bytes that a parser without limits takes seconds or gigabytes for. That this
 * test ends at all is the point; the depth and the count of problems say why. */
static void hostile_input_is_given_up_at_once(void **state)
{
    static const struct {
        const char *unit;
        size_t bytes;
        const char *code;
    } cases[] = {
        {"[", 64 << 10, "too-deep"}, {"[", 10 << 20, "too-large"}, {"{a: ", 1 << 20, "too-deep"},
        {"- ", 1 << 20, "too-deep"}, {"[{", 1 << 20, NULL},        {"\xe2\x80\xae", 1 << 20, NULL},
        {"---\n[\n", 1 << 22, NULL}, {"a: &b\n", 1 << 20, NULL},   {"\x01", 1 << 20, NULL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t unit = strlen(cases[i].unit);
        size_t len = cases[i].bytes / unit * unit;
        char *data = test_malloc(len);
        struct value *docs;

        for (size_t at = 0; at < len; at += unit)
            memcpy(data + at, cases[i].unit, unit);
        report_init(&f->report, f->arena);
        assert_int_equal(yaml_read(f->arena, "m", data, len, &docs, &f->report), ERR_INVALID);
        assert_in_range(f->report.count, 1, 400000);
        if (cases[i].code)
            assert_string_equal(f->report.problems[0].code, cases[i].code);
        test_free(data);
    }
}

static void an_alias_bomb_stays_small(void **state)
{
    struct fixture *f = *state;
    struct text text = TEXT_INIT;
    struct value *docs;
    size_t before = arena_used(f->arena);

    text_add(&text, "a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (int c = 'b'; c <= 'i'; c++)
        text_printf(&text, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c - 1, c - 1,
                    c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
    assert_int_equal(yaml_read(f->arena, "m", text.data, text.len, &docs, &f->report), ERR_INVALID);
    assert_true(arena_used(f->arena) - before < 1 << 20);
    text_free(&text);
}

static void what_is_written_reads_back_equal(void **state)
{
    static const char *const texts[] = {
        "",
        "no",
        "12",
        "0x1",
        "a b",
        " a",
        "a ",
        "a: b",
        "a #b",
        "- a",
        "10.0.0.1",
        "12:30",
        "02:00:00:00:00:01",
        "a\nb\n",
        "a\nb",
        "\na",
        "a\n\n",
        "  a\nb\n",
        "a\tb",
        "\"q\"",
        "'q'",
        "\\",
        "{a}",
        "[a]",
        "@a",
        "%a",
        "~",
        "null",
        "1e3",
        "1.5",
        "2026-01-01",
        "#cloud-config\nusers:\n  - a\n",
        "\xc3\xa9",
        "a:",
        "?",
        "-",
        "a\n \nb",
        "---",
        "...",
        "key=val",
        "*x",
        "&x",
        "!x",
        "|",
        ">",
        "a\n---\nb\n",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct value *map = value_map(f->arena);
        struct value *list = value_list(f->arena);
        struct text out = TEXT_INIT;

        value_append(f->arena, list, value_text(f->arena, texts[i]));
        value_append(f->arena, list, value_map(f->arena));
        value_append(f->arena, list, value_copy(f->arena, list));
        value_set(f->arena, map, "list", list);
        value_set_text(f->arena, map, "text", texts[i]);
        value_set(f->arena, map, "empty", value_list(f->arena));
        if (*texts[i])
            value_set_int(f->arena, map, texts[i], 5);
        value_set(f->arena, map, "nested", value_copy(f->arena, map));
        yaml_write(&out, map);
        if (!value_equal(read_one(f, out.data), map))
            fail_msg("does not read back: %s", out.data);
        text_free(&out);
    }
}

static void what_strangers_wrote_cannot_steer_a_terminal(void **state)
{
    static const char line[] = "kind: \033[2J\xff";
    struct fixture *f = *state;
    struct text out = TEXT_INIT;

    report_add(&f->report, (struct position){.file = "a\033.yaml", .line = 1, .column = 8}, "x",
               "unknown kind `%s`", "\033]0;pwned\a\xe2\x80\xae");
    report_attach_source(&f->report, "a\033.yaml", line, sizeof line - 1);
    report_write(&out, &f->report, false);
    assert_string_equal(out.data, "a\uFFFD.yaml:1:8: error: unknown kind "
                                  "`\uFFFD]0;pwned\uFFFD\uFFFD`\n"
                                  "kind: \uFFFD[2J\uFFFD\n       ^\n");
    text_free(&out);
}

static void the_first_thousand_problems_are_kept_and_all_are_counted(void **state)
{
    struct fixture *f = *state;
    struct position at = {.file = "a.yaml", .column = 1};

    for (at.line = 1; at.line <= 2500; at.line++)
        report_add(&f->report, at, "x", "wrong on line %u", at.line);
    assert_int_equal(f->report.count, 2500);
    assert_int_equal(f->report.kept, REPORT_KEPT_MAX);
    assert_int_equal(report_value(f->arena, &f->report)->count, REPORT_KEPT_MAX);
    assert_string_equal(f->report.problems[REPORT_KEPT_MAX - 1].message, "wrong on line 1000");
    report_forget(&f->report, 1200);
    assert_int_equal(f->report.kept, REPORT_KEPT_MAX);
    report_forget(&f->report, 2);
    assert_int_equal(f->report.count, 2);
    assert_int_equal(f->report.kept, 2);
}

/* What is read after the room for problems is full must not pass for valid. */
static void a_mistake_is_one_when_a_thousand_were_found_before(void **state)
{
    struct fixture *f = *state;
    struct value *docs = NULL;

    for (unsigned i = 0; i < 2000; i++)
        report_add(&f->report, (struct position){.line = i + 1}, "x", "before");
    assert_int_equal(yaml_read(f->arena, "b.yaml", "a: [", 4, &docs, &f->report), ERR_INVALID);
    assert_int_equal(yaml_read(f->arena, "c.yaml", "a: 1\na: 2\n", 10, &docs, &f->report),
                     ERR_INVALID);
}

static void a_key_of_thousands_of_characters_reads_back(void **state)
{
    struct fixture *f = *state;
    struct value *map = value_map(f->arena);
    struct text key = TEXT_INIT, out = TEXT_INIT;

    for (int i = 0; i < 1500; i++)
        text_add_char(&key, i % 3 ? 'k' : '\t');
    value_set_int(f->arena, map, key.data, 5);
    value_set(f->arena, map, "nested", value_copy(f->arena, map));
    yaml_write(&out, map);
    assert_true(value_equal(read_one(f, out.data), map));
    text_free(&key);
    text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(scalars_are_those_of_yaml_1_2),
        MODEL_TEST(what_a_reviewer_cannot_trust_is_refused),
        MODEL_TEST(a_report_outlives_the_names_that_it_was_given),
        MODEL_TEST(a_nul_byte_and_utf_16_are_refused),
        MODEL_TEST(crlf_and_a_leading_byte_order_mark_are_fine),
        MODEL_TEST(reading_goes_on_at_the_next_document),
        MODEL_TEST(hostile_input_is_given_up_at_once),
        MODEL_TEST(an_alias_bomb_stays_small),
        MODEL_TEST(what_strangers_wrote_cannot_steer_a_terminal),
        MODEL_TEST(what_is_written_reads_back_equal),
        MODEL_TEST(a_key_of_thousands_of_characters_reads_back),
        MODEL_TEST(the_first_thousand_problems_are_kept_and_all_are_counted),
        MODEL_TEST(a_mistake_is_one_when_a_thousand_were_found_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
