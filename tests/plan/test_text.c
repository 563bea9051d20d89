/* SPDX-License-Identifier: MPL-2.0 */
/* How plans read, and the JSON of one: golden files, reviewed as prose. */
#include "tests/plan/world.h"

static char *rendered(struct world *w, struct plan_text_options options)
{
    struct text out = TEXT_INIT;
    char *copy;

    plan_text(&out, plan_value(w->arena, w->plan), options);
    copy = arena_text(w->arena, out.data);
    text_free(&out);
    return copy;
}

static void assert_reads(struct world *w, const char *golden)
{
    char *text = rendered(w, (struct plan_text_options){0});

    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        if (text_columns(arena_text_n(w->arena, line, strcspn(line, "\n"))) > 80)
            fail_msg("wider than 80 columns: %.*s", (int)strcspn(line, "\n"), line);
    assert_golden(golden, text);
}

static void a_first_plan_shows_what_will_be_made(void **state)
{
    struct world *w = *state;

    world_declare(w, SHOP WEB("cpus: 2, maxCpus: 4, memory: 512MiB, cloudInit: {userData: \"a "
                              "secret\"}"));
    world_plan(w);
    assert_reads(w, "create.txt");
}

static void a_mixed_plan_shows_class_cause_and_disposition(void **state)
{
    struct world *w = *state;
    struct text out = TEXT_INIT;

    world_converge(w, SHOP VOLUME("old", "size: 1GiB") INSTANCE("b", "cpus: 1, memory: 256MiB")
                          INSTANCE("c", "cpus: 1, memory: 256MiB")
                              WEB("cpus: 2, maxCpus: 4, memory: 512MiB"));
    world_tamper(w, "VPC", "net", "spec.mtu", "9000");
    world_stop(w, "c", "crash");
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 8GiB")
                         INSTANCE("b", "cpus: 1, memory: 256MiB, machine: pc-q35-8.0, "
                                       "updatePolicy: {restart: immediate}")
                             INSTANCE("c", "cpus: 1, memory: 256MiB")
                                 WEB("cpus: 4, maxCpus: 8, memory: 512MiB, firmware: uefi"));
    world_plan(w);
    assert_reads(w, "mixed.txt");
    json_write_pretty(&out, plan_value(w->arena, w->plan));
    text_add_char(&out, '\n');
    assert_golden("mixed.json", out.data);
    text_free(&out);
}

static void a_held_plan_says_how_to_approve(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB") VOLUME("v2", "size: 1GiB"));
    world_gone(w, "Volume", "v2");
    world_declare(w, PROJECT VOLUME("v2", "size: 1GiB"));
    world_plan(w);
    assert_reads(w, "held.txt");
}

static void no_changes_is_one_line(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    assert_reads(w, "empty.txt");
}

static void colours_are_only_on_demand(void **state)
{
    struct world *w = *state;

    world_declare(w, SHOP);
    world_plan(w);
    assert_null(strchr(rendered(w, (struct plan_text_options){0}), '\033'));
    assert_non_null(strstr(rendered(w, (struct plan_text_options){.color = true}), "\033[32m"));
}

static void a_narrow_terminal_is_respected(void **state)
{
    struct world *w = *state;
    char *text;

    world_converge(w, SHOP WEB("cpus: 2, maxCpus: 4, memory: 512MiB"));
    world_declare(w, SHOP WEB("cpus: 8, maxCpus: 8, memory: 512MiB"));
    world_plan(w);
    text = rendered(w, (struct plan_text_options){.columns = 60});
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 60);
}

static void a_document_of_another_version_still_reads(void **state)
{
    struct world *w = *state;
    struct text out = TEXT_INIT;

    plan_text(&out,
              json(w, "{\"commit\":\"abc\",\"steps\":[{\"action\":\"migrate\",\"kind\":\"Blob\","
                      "\"name\":\"x\",\"fields\":[{\"path\":\"spec.where\",\"to\":[1,{}]}]}]}"),
              (struct plan_text_options){0});
    assert_non_null(strstr(out.data, "migrate  Blob x"));
    text_free(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_first_plan_shows_what_will_be_made),
        TEST(a_mixed_plan_shows_class_cause_and_disposition),
        TEST(a_held_plan_says_how_to_approve),
        TEST(no_changes_is_one_line),
        TEST(colours_are_only_on_demand),
        TEST(a_narrow_terminal_is_respected),
        TEST(a_document_of_another_version_still_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
