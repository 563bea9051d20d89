/* SPDX-License-Identifier: MPL-2.0 */
/* Differences by field: which, at which path, in which class, and never by position. */
#include "tests/model/manifest.h"

#include "model/diff.h"

static struct value *json(struct fixture *f, const char *text)
{
    struct error err = ERROR_INIT;
    struct value *value;

    if (!text)
        return NULL;
    if (json_read(f->arena, text, strlen(text), &value, &err) < 0)
        fail_msg("%s", err.message);
    return value;
}

/* "path: from -> to (class)", joined by "; ". */
static char *diff_line(struct fixture *f, const char *kind, const char *from, const char *to,
                       enum diff_mode mode)
{
    struct diff diff = diff_specs(f->arena, kind_find(kind), json(f, from), json(f, to), mode);
    char *line = arena_text(f->arena, "");

    for (size_t i = 0; i < diff.count; i++) {
        const struct difference *item = &diff.items[i];

        line = arena_printf(f->arena, "%s%s%s: %s -> %s (%s)", line, i ? "; " : "", item->path,
                            diff_value_text(f->arena, item->field, item->from),
                            diff_value_text(f->arena, item->field, item->to),
                            change_text(item->field->change));
    }
    return line;
}

static const struct {
    const char *kind, *from, *to, *full, *observed;
} cases[] = {
    {"Volume", "{\"size\":1073741824}", "{\"size\":2147483648}", "spec.size: 1GiB -> 2GiB (live)",
     "spec.size: 1GiB -> 2GiB (live)"},
    {"Volume", "{}", "{\"size\":1024}", "spec.size: nothing -> 1KiB (live)", ""},
    {"Volume", NULL, "{\"size\":1024}", "spec.size: nothing -> 1KiB (live)", ""},
    {"Volume", "{\"size\":1024}", NULL, "spec.size: 1KiB -> nothing (live)",
     "spec.size: 1KiB -> nothing (live)"},
    {"Volume", "{\"image\":null}", "{}", "", ""},
    {"VPC", "{\"prefixes\":[\"10.0.0.0/8\",\"fd00::/8\"]}",
     "{\"prefixes\":[\"fd00::/8\",\"10.0.0.0/8\"]}", "", ""},
    {"VPC", "{\"prefixes\":[\"10.0.0.0/8\"]}", "{\"prefixes\":[\"fd00::/8\"]}",
     "spec.prefixes: [\"10.0.0.0/8\"] -> [\"fd00::/8\"] (live)",
     "spec.prefixes: [\"10.0.0.0/8\"] -> [\"fd00::/8\"] (live)"},
    {"Instance",
     "{\"disks\":[{\"name\":\"b\",\"volume\":\"v\"},{\"name\":\"a\",\"volume\":\"w\"}]}",
     "{\"disks\":[{\"name\":\"a\",\"volume\":\"w\"},{\"name\":\"b\",\"volume\":\"v\"}]}", "", ""},
    {"Instance", "{\"disks\":[{\"name\":\"a\",\"volume\":\"v\"}]}",
     "{\"disks\":[{\"name\":\"a\",\"volume\":\"w\",\"readOnly\":true},{\"name\":\"c\"}]}",
     "spec.disks[a].readOnly: nothing -> true (restart); spec.disks[a].volume: v -> w (restart); "
     "spec.disks[c]: nothing -> {\"name\":\"c\"} (live-if)",
     "spec.disks[a].volume: v -> w (restart); "
     "spec.disks[c]: nothing -> {\"name\":\"c\"} (live-if)"},
    {"Instance", "{\"disks\":[{\"name\":\"a\"}]}", "{\"disks\":[]}",
     "spec.disks[a]: {\"name\":\"a\"} -> nothing (live-if)",
     "spec.disks[a]: {\"name\":\"a\"} -> nothing (live-if)"},
    {"Instance", "{\"shutdown\":{\"timeout\":60}}", "{\"shutdown\":{\"timeout\":5400}}",
     "spec.shutdown.timeout: 1m -> 1h30m (metadata)",
     "spec.shutdown.timeout: 1m -> 1h30m (metadata)"},
    {"Instance", "{\"cloudInit\":{\"userData\":\"hush\"}}",
     "{\"cloudInit\":{\"userData\":\"psst\"}}",
     "spec.cloudInit.userData: (sensitive) -> (sensitive) (metadata)",
     "spec.cloudInit.userData: (sensitive) -> (sensitive) (metadata)"},
    {"Instance", "{}", "{\"cloudInit\":{}}", "spec.cloudInit: nothing -> {} (metadata)", ""},
    {"NIC", "{\"address\":\"10.0.0.5\"}", "{}", "", ""},
    {"NIC", "{\"address\":\"10.0.0.5\"}", "{\"address\":\"10.0.0.6\"}",
     "spec.address: 10.0.0.5 -> 10.0.0.6 (live)", "spec.address: 10.0.0.5 -> 10.0.0.6 (live)"},
    {"NIC", "{\"labels\":{\"a\":\"1\",\"b\":\"2\"}}", "{\"labels\":{\"b\":\"3\",\"c.d\":\"4\"}}",
     "spec.labels.a: 1 -> nothing (live); spec.labels.b: 2 -> 3 (live); "
     "spec.labels[c.d]: nothing -> 4 (live)",
     "spec.labels.a: 1 -> nothing (live); spec.labels.b: 2 -> 3 (live); "
     "spec.labels[c.d]: nothing -> 4 (live)"},
};

static void fields_are_compared_as_their_kind_says(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(diff_line(f, cases[i].kind, cases[i].from, cases[i].to, DIFF_FULL),
                            cases[i].full);
        assert_string_equal(diff_line(f, cases[i].kind, cases[i].from, cases[i].to, DIFF_OBSERVED),
                            cases[i].observed);
    }
}

static void nothing_differs_from_itself(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(diff_line(f, cases[i].kind, cases[i].from, cases[i].from, DIFF_FULL),
                            "");
        assert_string_equal(diff_line(f, cases[i].kind, cases[i].to, cases[i].to, DIFF_OBSERVED),
                            "");
    }
}

static void a_path_leads_back_to_its_value(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct value *root = value_map(f->arena);
        struct diff diff;

        if (!cases[i].from || !cases[i].to)
            continue;
        value_set(f->arena, root, "spec", json(f, cases[i].to));
        diff = diff_specs(f->arena, kind_find(cases[i].kind), json(f, cases[i].from),
                          value_get(root, "spec"), DIFF_FULL);
        for (size_t n = 0; n < diff.count; n++) {
            assert_ptr_equal(value_at(root, diff.items[n].path), diff.items[n].to);
            assert_non_null(kind_field(kind_find(cases[i].kind), diff.items[n].path));
        }
    }
}

static void json_never_holds_a_sensitive_value(void **state)
{
    struct fixture *f = *state;
    const struct field *field = kind_field(kind_find("Instance"), "spec.cloudInit");
    char *shown =
        json_text(f->arena, diff_value_json(f->arena, field, json(f, "{\"userData\":\"hush\"}")));

    assert_string_equal(shown, "{\"userData\":{\"sensitive\":\"changed\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(fields_are_compared_as_their_kind_says),
        MODEL_TEST(nothing_differs_from_itself),
        MODEL_TEST(a_path_leads_back_to_its_value),
        MODEL_TEST(json_never_holds_a_sensitive_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
