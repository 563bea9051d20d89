/* SPDX-License-Identifier: MPL-2.0 */
/* A manifest as people write it, envelope and all: what is refused, and in which words. */
#include "tests/model/manifest.h"

#include "model/net.h"
#include "model/set_build.h"
#include "model/site.h"

#define META(more) \
    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: v" more "}\n"
#define NET                                                              \
    PROJECT HEAD("VPC", "net") "spec: {prefixes: [10.0.0.0/16]}\n" HEAD( \
        "Subnet", "a") "spec: {vpc: net, cidr: 10.0.1.0/24}\n"

static void read_fresh(struct fixture *f, const char *yaml)
{
    report_init(&f->report, f->arena);
    fixture_read(f, "m.yaml", yaml, strlen(yaml));
}

static void assert_said(struct fixture *f, const char *words)
{
    for (size_t i = 0; i < f->report.count; i++)
        if (strstr(f->report.problems[i].message, words))
            return;
    for (size_t i = 0; i < f->report.count; i++)
        print_error("said: %s\n", f->report.problems[i].message);
    fail_msg("nobody said: %s", words);
}

static void an_envelope_is_refused_with_what_to_write_instead(void **state)
{
    static const struct {
        const char *yaml, *words;
    } cases[] = {
        {META(", labels: [a]"), "labels: expected a map, found a list"},
        {META(", labels: {role: 1}"),
         "role: expected text, found the whole number 1; put it in quotes"},
        {META(", labels: {role: true}"), "role: expected text, found true; put it in quotes"},
        {META(", labels: {role: [a]}"), "role: expected text, found a list"},
        {META(", driftPolicy: report"), "driftPolicy: expected a map such as {default: report}"},
        {META(", driftPolicy: {nowhere: heal}"), "driftPolicy: \"nowhere\" is no field"},
        {META(", driftPolicy: {spec.sise: heal}"), "driftPolicy: \"spec.sise\" is no field"},
        {META(", driftPolicy: {default: maybe}"), "maybe"},
        {META(", driftPolicy: {default: 1}"), "default: expected text"},
        {"apiVersion: spinel/v1\nkind: Seed\nmetadata: {project: shop, name: s}\n",
         "write it into the instance's spec.cloudInit"},
        {"apiVersion: spinel/v1\nkind: NIC\nmetadata: {project: shop, name: s}\n",
         "write it into the instance's spec.nics"},
        {"apiVersion: spinel/v1\nkind: Seed\nmetadata: {project: shop, name: s, driftPolicy: "
         "{spec.any: heal}}\n",
         "derived"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        read_fresh(f, cases[i].yaml);
        assert_said(f, cases[i].words);
    }
}

static void what_the_envelope_says_is_kept_in_the_normal_form(void **state)
{
    struct fixture *f = *state;
    struct value *normal;

    fixture_valid(f, "---\napiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\n---\n"
                     "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: v, "
                     "renamedFrom: old, driftPolicy: {default: report, spec.size: ignore}}\n"
                     "spec: {size: 1GiB}\n");
    normal = resource_value(f->arena, set_find(f->set, "Volume", "shop", "v"));
    assert_string_equal(value_at_text(normal, "metadata.renamedFrom", ""), "old");
    assert_string_equal(value_get_text(value_at(normal, "metadata.driftPolicy"), "spec.size", ""),
                        "ignore");
}

static void a_cached_form_that_is_none_is_reported_and_not_used(void **state)
{
    static const char *const forms[] = {
        "{}",
        "{\"kind\":\"Seed\",\"metadata\":{\"name\":\"s\",\"project\":\"shop\"}}",
        "{\"kind\":\"Volume\",\"metadata\":{\"project\":\"shop\"}}",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct set_builder *builder;
        struct error err = ERROR_INIT;
        struct value *normal = NULL;

        report_init(&f->report, f->arena);
        builder = set_builder_new(f->arena, &f->report);
        assert_int_equal(json_read(f->arena, forms[i], strlen(forms[i]), &normal, &err), 0);
        set_builder_add_normal(builder, normal, (struct position){"m.yaml", 1, 1});
        assert_int_equal(set_builder_finish(builder)->count, 0);
        assert_said(f, "remove the parse cache");
    }
}

static void keys_are_there_and_there_once(void **state)
{
    struct fixture *f = *state;
    struct text many = TEXT_INIT;

    read_fresh(f, "\"\": 1\n");
    assert_said(f, "a key may not be empty");
    for (int i = 0; i < 60; i++)
        text_printf(&many, "key%d: 1\n", i);
    text_add(&many, "key7: 2\n");
    read_fresh(f, many.data);
    text_free(&many);
    assert_said(f, "duplicate key `key7`; it is set on line 8 already");
    read_fresh(f, "a: b: c\n");
    assert_said(f, "quote text that holds \": \"");
}

static void characters_that_hide_are_named(void **state)
{
    static const struct {
        const char *yaml, *words;
    } cases[] = {
        {"a: x\u200ey\n", "bidirectional formatting character"},
        {"a: x\u200fy\n", "bidirectional formatting character"},
        {"a: x\u061cy\n", "bidirectional formatting character"},
        {"a: x\u2028y\n", "Unicode line separator"},
        {"a: x\u2029y\n", "Unicode line separator"},
        {"a: \"x\\u2028y\"\n", "Unicode line separator"},
        {"\xfe\xff\n", "UTF-16"},
        {"\xff\xfe\n", "UTF-16"},
        {"\xff\xfe\x01\x02", "UTF-16"},
        {"a: \xfe\n", "invalid UTF-8 (byte 0xfe)"},
        {"\x80\n", "invalid UTF-8 (byte 0x80)"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        read_fresh(f, cases[i].yaml);
        assert_said(f, cases[i].words);
    }
}

static void the_line_that_is_shown_ends_before_its_carriage_return(void **state)
{
    struct fixture *f = *state;

    read_fresh(f, "apiVersion: spinel/v1\r\nkind: Volum\r\nmetadata: {project: shop, name: v}\r\n");
    assert_said(f, "unknown kind `Volum`, did you mean `Volume`?");
    assert_string_equal(f->report.problems[0].source, "kind: Volum");
}

/* ---- what only a set can tell ------------------------------------------------------- */

static void a_machine_may_refer_to_more_than_a_handful(void **state)
{
    struct fixture *f = *state;
    struct text yaml = TEXT_INIT;
    const struct resource *machine;

    text_add(&yaml, PROJECT);
    for (int i = 0; i < 30; i++)
        text_printf(&yaml, HEAD("Volume", "v%d") "spec: {size: 1GiB}\n", i);
    text_add(&yaml, HEAD("Instance", "i") "spec: {cpus: 1, memory: 64MiB, disks: [");
    for (int i = 0; i < 30; i++)
        text_printf(&yaml, "%s{name: d%d, volume: v%d}", i ? ", " : "", i, i);
    text_add(&yaml, "]}\n");
    fixture_valid(f, yaml.data);
    text_free(&yaml);
    machine = set_find(f->set, "Instance", "shop", "i");
    for (int i = 0; i < 30; i++) {
        const struct resource *volume =
            set_find(f->set, "Volume", "shop", arena_printf(f->arena, "v%d", i));
        size_t n = 0;

        while (n < machine->ref_count && machine->refs[n] != volume)
            n++;
        assert_true(n < machine->ref_count);
    }
}

/* Volumes, and machines that each name one of them with a letter too much. */
static void slips_read(struct fixture *f, int volumes, int machines)
{
    struct text yaml = TEXT_INIT;

    text_add(&yaml, PROJECT);
    for (int i = 0; i < volumes; i++)
        text_printf(&yaml, HEAD("Volume", "volume-%05d") "spec: {size: 1GiB}\n", i);
    for (int i = 0; i < machines; i++)
        text_printf(&yaml,
                    HEAD("Instance", "i%05d") "spec: {cpus: 1, memory: 64MiB, disks: [{name: a, "
                                              "volume: volume-%05dx}]}\n",
                    i, i);
    read_fresh(f, yaml.data);
    text_free(&yaml);
    assert_int_equal(f->report.count, machines);
}

static size_t suggestions_count(const struct fixture *f, size_t from, size_t to)
{
    size_t count = 0;

    for (size_t i = from; i < to; i++)
        count += strstr(f->report.problems[i].message, "did you mean `volume-") != NULL;
    return count;
}

/* A search looks at each name of the kind: so many suggestions are so many comparisons. */
static void
names_that_could_have_been_meant_are_searched_for_a_bounded_number_of_times(void **state)
{
    struct fixture *f = *state;

    slips_read(f, 2000, 2000);
    assert_int_equal(f->report.kept, REPORT_KEPT_MAX);
    assert_int_equal(suggestions_count(f, 0, 50), 50);
    assert_int_equal(suggestions_count(f, 50, f->report.kept), 0);
}

static void a_few_slips_are_told_what_was_meant_in_a_set_of_any_size(void **state)
{
    struct fixture *f = *state;

    slips_read(f, 30000, 5);
    assert_int_equal(suggestions_count(f, 0, 5), 5);
}

static void a_project_that_is_missing_is_one_mistake_of_each_file(void **state)
{
    static const char *const files[] = {"a.yaml", "b.yaml"};
    struct fixture *f = *state;
    struct set_builder *builder = set_builder_new(f->arena, &f->report);

    for (size_t n = 0; n < 2; n++) {
        struct text yaml = TEXT_INIT;
        struct value *docs;

        for (int i = 0; i < 700; i++)
            text_printf(&yaml, HEAD("Volume", "%c%d") "spec: {size: 1GiB}\n", files[n][0], i);
        text_printf(&yaml, HEAD("Instance", "%c") "spec: {cpus: 1, memory: 64MiB, cloudInit: {}}\n",
                    files[n][0]);
        yaml_read(f->arena, files[n], yaml.data, yaml.len, &docs, &f->report);
        for (size_t i = 0; i < docs->count; i++)
            set_builder_add(builder, docs->items[i]);
        text_free(&yaml);
    }
    set_builder_finish(builder);
    report_sort(&f->report);
    assert_int_equal(f->report.count, 2);
    for (size_t n = 0; n < 2; n++) {
        assert_string_equal(f->report.problems[n].at.file, files[n]);
        assert_string_equal(f->report.problems[n].message, "project: there is no Project `shop`");
    }
}

static void each_but_the_first_that_takes_an_old_name_is_told_who_takes_it_too(void **state)
{
    struct fixture *f = *state;

    read_fresh(f, PROJECT "---\napiVersion: spinel/v1\nkind: Volume\n"
                          "metadata: {project: shop, name: a, renamedFrom: old}\n"
                          "spec: {size: 1GiB}\n"
                          "---\napiVersion: spinel/v1\nkind: Volume\n"
                          "metadata: {project: shop, name: b, renamedFrom: other}\n"
                          "spec: {size: 1GiB}\n"
                          "---\napiVersion: spinel/v1\nkind: Volume\n"
                          "metadata: {project: shop, name: c, renamedFrom: old}\n"
                          "spec: {size: 1GiB}\n"
                          "---\napiVersion: spinel/v1\nkind: VPC\n"
                          "metadata: {project: shop, name: d, renamedFrom: old}\n"
                          "spec: {prefixes: [10.0.0.0/16]}\n"
                          "---\napiVersion: spinel/v1\nkind: Volume\n"
                          "metadata: {project: shop, name: e, renamedFrom: old}\n"
                          "spec: {size: 1GiB}\n");
    assert_int_equal(f->report.count, 2);
    assert_said(f, "renamedFrom: a takes the name old, too");
    assert_said(f, "renamedFrom: c takes the name old, too");
}

static void what_two_claim_is_said_of_the_second(void **state)
{
    static const struct {
        const char *yaml, *words;
    } cases[] = {
        {NET HEAD("Instance", "i") "spec: {cpus: 1, memory: 64MiB, nics: [{name: a, subnet: a, "
                                   "address: 10.0.1.9}]}\n" HEAD(
                                       "Instance", "j") "spec: {cpus: 1, memory: 64MiB, nics: "
                                                        "[{name: a, subnet: a, address: "
                                                        "10.0.1.9}]}\n",
         "address: 10.0.1.9 of VPC shop/net is taken already, by NIC shop/i.a"},
        {NET HEAD("Instance", "i") "spec: {cpus: 1, memory: 64MiB, nics: [{name: a, subnet: a, "
                                   "address: 10.0.1.1}]}\n",
         "address: 10.0.1.1 is the gateway of Subnet shop/a"},
        {NET HEAD("Subnet", "b") "spec: {vpc: net, cidr: 10.0.1.0/24}\n", "10.0.1.0/24"},
        {NET HEAD("Subnet", "b") "spec: {vpc: net, cidr: 10.0.1.0/25}\n", "10.0.1.0/25"},
        {NET HEAD("VPC", "other") "spec: {prefixes: [10.1.0.0/16]}\n" HEAD(
             "Instance", "i") "spec: {cpus: 1, memory: 64MiB, nics: [{name: eth0, subnet: "
                              "a}]}\n" HEAD("PortForward", "p") "spec: {vpc: other, port: 80, "
                                                                "instance: i, nic: eth0}\n",
         "nic: NIC `eth0` of Instance shop/i is not in VPC shop/other"},
        {NET HEAD("Instance",
                  "i") "spec: {cpus: 1, memory: 64MiB, nics: [{name: eth0, subnet: "
                       "a}]}\n" HEAD("PortForward",
                                     "p") "spec: {vpc: net, port: 80, instance: i, nic: eth1}\n",
         "nic: Instance shop/i has no NIC `eth1`"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        read_fresh(f, cases[i].yaml);
        assert_said(f, cases[i].words);
    }
}

static void addresses_are_read_strictly(void **state)
{
    static const char *const wrong[] = {
        "10.0.0/24",
        "10.0.0.0.0/24",
        "10.0.0.256/24",
        "10.0.00.1/24",
        "10..0.1/24",
        "a.b.c.d/24",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/",
        "10.0.0.0/2x",
        "fd00::/129",
        "fd00::g/64",
        "",
        "/24",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/24",
    };
    static const char *const macs[] = {
        "02:aa:00:00:00",     "02:aa:00:00:00:0g", "02:aa:00:00:00:000", "02aa00000000zz",
        "02:aa:00:00:00:01:", "02;aa;00;00;00;01", "g2:aa:00:00:00:01",
    };
    struct error err = ERROR_INIT;
    struct prefix prefix;
    struct mac mac;
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(prefix_read(wrong[i], &prefix, &err), ERR_INVALID);
    for (size_t i = 0; i < sizeof(macs) / sizeof(macs[0]); i++)
        assert_int_equal(mac_read(macs[i], &mac, &err), ERR_INVALID);
    assert_int_equal(mac_read("02-AB-cd-EF-00-99", &mac, &err), 0);
    assert_string_equal(mac_text(&mac, text), "02:ab:cd:ef:00:99");
}

/* ---- the site file ------------------------------------------------------------------ */

static void paths_of_a_site_file_are_relative_to_it(void **state)
{
    static const struct {
        const char *file, *state_dir, *found;
    } cases[] = {
        {"/spinel.yaml", "./state", "/state"},   {"/spinel.yaml", "././s", "/s"},
        {"spinel.yaml", "state", "./state"},     {"lab/spinel.yaml", "./", "lab"},
        {"lab/spinel.yaml", "/srv/s", "/srv/s"}, {"lab/spinel.yaml", "./././s", "lab/s"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct site *site = NULL;
        const char *yaml = arena_printf(
            f->arena,
            "apiVersion: spinel/v1\nkind: Site\nmetadata: {name: lab}\nspec: {repository: {path: "
            "./m.git, branch: main}, stateDir: %s, keyFile: /key, drivers: {default: sim}}\n",
            cases[i].state_dir);

        report_init(&f->report, f->arena);
        assert_int_equal(
            site_read(f->arena, cases[i].file, NULL, yaml, strlen(yaml), &site, &f->report), 0);
        assert_string_equal(site->state_dir, cases[i].found);
    }
}

static void a_site_file_that_cannot_be_read_or_is_wrong_is_none(void **state)
{
    static const char *const wrong[] = {
        "a: [\n",
        "apiVersion: spinel/v1\nkind: Site\nmetadata: {name: lab}\nspec: {stateDirr: ./state}\n",
        "apiVersion: spinel/v1\nkind: Site\nmetadata: {name: lab}\nspec: {repository: {path: ./m}, "
        "stateDir: /}\n",
        "apiVersion: spinel/v1\nkind: Site\nmetadata: {name: lab}\nspec: {repository: {path: ./m}, "
        "stateDir: .}\n", /* the key is beside the site file */
        "\xff\xfe",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct site *site = NULL;

        report_init(&f->report, f->arena);
        assert_int_equal(
            site_read(f->arena, "s.yaml", NULL, wrong[i], strlen(wrong[i]), &site, &f->report),
            ERR_INVALID);
        assert_null(site);
        assert_true(f->report.count > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(an_envelope_is_refused_with_what_to_write_instead),
        MODEL_TEST(what_the_envelope_says_is_kept_in_the_normal_form),
        MODEL_TEST(a_cached_form_that_is_none_is_reported_and_not_used),
        MODEL_TEST(keys_are_there_and_there_once),
        MODEL_TEST(characters_that_hide_are_named),
        MODEL_TEST(the_line_that_is_shown_ends_before_its_carriage_return),
        MODEL_TEST(a_machine_may_refer_to_more_than_a_handful),
        MODEL_TEST(names_that_could_have_been_meant_are_searched_for_a_bounded_number_of_times),
        MODEL_TEST(a_few_slips_are_told_what_was_meant_in_a_set_of_any_size),
        MODEL_TEST(a_project_that_is_missing_is_one_mistake_of_each_file),
        MODEL_TEST(each_but_the_first_that_takes_an_old_name_is_told_who_takes_it_too),
        MODEL_TEST(what_two_claim_is_said_of_the_second),
        MODEL_TEST(addresses_are_read_strictly),
        MODEL_TEST(paths_of_a_site_file_are_relative_to_it),
        MODEL_TEST(a_site_file_that_cannot_be_read_or_is_wrong_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
