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

/* ---- documents from elsewhere ------------------------------------------------------- */

static char *read_document(struct world *w, const char *document, bool color)
{
    struct text out = TEXT_INIT;
    char *copy;

    plan_text(&out, json(w, document), (struct plan_text_options){.color = color});
    copy = arena_text(w->arena, out.data);
    text_free(&out);
    return copy;
}

/* A newer program may have written it: what is not known is shown as it stands. */
static void a_document_of_a_newer_program_still_reads(void **state)
{
    struct world *w = *state;

    assert_golden(
        "newer.txt",
        read_document(w,
                      "{\"commit\":\"0123456789abcdef\",\"steps\":["
                      "{\"action\":\"teleport\",\"kind\":\"Quasar\",\"name\":\"q\",\"disposition\":"
                      "\"adrift\","
                      "\"reason\":\"  it wants "
                      "to\",\"fields\":[{\"path\":\"spec.spin\",\"from\":null,\"to\":{\"a\":1,"
                      "\"b\":[],\"c\":{}}},"
                      "{\"path\":\"mass\",\"from\":[1,\"x\"],\"to\":[],\"change\":\"live\"},"
                      "{\"path\":\"spec.a.rather.long.path.that.does.not.fit\",\"to\":{}}]},"
                      "{\"action\":\"update\",\"kind\":\"Volume\",\"project\":\"shop\",\"name\":"
                      "\"v\",\"disposition\":\"held\",\"hold\":\"abc\","
                      "\"reason\":\"not this one\"},"
                      "{\"action\":\"restart\",\"kind\":\"Instance\",\"name\":\"i\","
                      "\"disposition\":\"run\",\"hold\":\"def\",\"impact\":\"none\","
                      "\"reason\":\"because\",\"fields\":[]},"
                      "{\"action\":\"create\",\"kind\":\"Instance\",\"name\":\"j\",\"cause\":"
                      "\"drift\",\"disposition\":\"run\",\"reason\":\"it is gone\","
                      "\"impact\":\"none\",\"running\":true,\"fields\":7}],"
                      "\"holds\":[{\"id\":\"abc\",\"rule\":\"whim\",\"reason\":\"other "
                      "words\",\"steps\":2},{}],"
                      "\"summary\":{\"run\":1,\"create\":1}}",
                      false));
}

static void a_document_without_steps_is_no_change(void **state)
{
    struct world *w = *state;

    assert_string_equal(read_document(w, "{\"steps\":7}", false),
                        "No changes. Nothing is declared yet.\n");
}

static void a_document_without_holds_has_none(void **state)
{
    struct world *w = *state;

    assert_null(strstr(
        read_document(w, "{\"steps\":[{\"hold\":\"a\",\"reason\":\"b\"}],\"holds\":7}", false),
        "Held,"));
}

static void words_without_letters_are_not_coloured(void **state)
{
    struct world *w = *state;
    const char *text = read_document(
        w, "{\"steps\":[{\"action\":\"delete\",\"reason\":\" x\"}],\"summary\":{\"run\":2}}", true);

    assert_null(strstr(text, "\033[2m\033[0m"));
    assert_non_null(strstr(text, "steps"));
}

static void long_values_are_cut_between_characters(void **state)
{
    struct world *w = *state;
    const char *text = read_document(w,
                                     "{\"steps\":[{\"action\":\"update\",\"kind\":\"Instance\","
                                     "\"name\":\"i\",\"fields\":[{\"path\":\"spec.kernel.cmdline\","
                                     "\"from\":\"äöüäöüäöüäöüäöüäöüäöüäöü\",\"to\":"
                                     "\"0123456789012345678901234567890123456789\"}]}]}",
                                     false);

    assert_non_null(strstr(text, "äöüäöüäöüäöüäöüäöüäö..."));
    assert_non_null(strstr(text, "-> 0123456789012345678901234567890123456789\n"));
}

/* That no more words are joined than are shown is seen by the large plans that tests/fuzz makes. */
static void long_lists_and_maps_are_cut(void **state)
{
    struct world *w = *state;
    struct text list = TEXT_INIT, map = TEXT_INIT;
    const char *text;

    for (int i = 0; i < 1000; i++) {
        text_printf(&list, "%s\"element-%d\"", i ? "," : "", i);
        text_printf(&map, "%s\"key-%d\":%d", i ? "," : "", i, i);
    }
    text = read_document(w,
                         arena_printf(w->arena,
                                      "{\"steps\":[{\"action\":\"update\",\"kind\":\"Instance\","
                                      "\"name\":\"i\",\"fields\":[{\"path\":\"spec.x\","
                                      "\"from\":[%s],\"to\":{%s}}]}]}",
                                      list.data, map.data),
                         false);
    assert_non_null(strstr(text, "element-0, element-1"));
    assert_non_null(strstr(text, "key-0"));
    assert_null(strstr(text, "element-9"));
    assert_null(strstr(text, "key-9"));
    text_free(&list);
    text_free(&map);
}

static void a_secret_that_changed_shows_that_and_no_more(void **state)
{
    struct world *w = *state;

    world_converge(
        w,
        SHOP WEB("cpus: 1, memory: 256MiB, cloudInit: {userData: \"a\", instanceIdPolicy: bump}"));
    world_declare(
        w,
        SHOP WEB("cpus: 1, memory: 256MiB, cloudInit: {userData: \"b\", instanceIdPolicy: bump}"));
    world_plan(w);
    assert_non_null(strstr(rendered(w, (struct plan_text_options){0}), "(sensitive, changed)"));
}

static void an_approved_step_and_a_renamed_one_say_so(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_gone(w, "Volume", "data");
    world_plan(w);
    w->input.approved = (const char *const[]){w->plan->holds[0].id};
    w->input.approved_count = 1;
    world_plan(w);
    assert_non_null(strstr(rendered(w, (struct plan_text_options){0}), "  [approved "));
}

static void a_step_that_waits_says_why_and_one_that_was_renamed_says_so(void **state)
{
    struct world *w = *state;
    const char *text =
        read_document(w,
                      "{\"steps\":[{\"action\":\"create\",\"kind\":\"NIC\",\"name\":\"n\","
                      "\"disposition\":\"deferred\",\"reason\":\"no address left\","
                      "\"fields\":[{\"path\":\"spec.subnet\",\"to\":"
                      "\"01234567890123456789012345678901234567890\"}]},"
                      "{\"action\":\"create\",\"kind\":\"Instance\",\"name\":\"m\",\"disposition\":"
                      "\"run\",\"reason\":\"it does not exist yet\","
                      "\"fields\":[{\"path\":\"spec.accel\",\"to\":\"tcg\"},{\"path\":\"spec."
                      "firmware\",\"to\":\"bios\"}]},"
                      "{\"action\":\"update\",\"kind\":\"Volume\",\"name\":\"v\",\"disposition\":"
                      "\"run\",\"reason\":\"was u\",\"renamedFrom\":\"u\","
                      "\"fields\":[{\"path\":\"metadata.name\",\"from\":\"u\",\"to\":\"v\","
                      "\"change\":\"metadata\"}]}],\"summary\":{\"run\":2}}",
                      false);

    assert_non_null(strstr(text, "no address left"));
    assert_null(strstr(text, "it does not exist yet"));
    assert_non_null(strstr(text, "accel  tcg"));
    assert_null(strstr(text, "firmware"));
    assert_non_null(strstr(text, "was u"));
    assert_non_null(strstr(text, " 01234567890123456789012345678901234567890\n"));
    assert_non_null(strstr(text, "2 steps would run."));
}

static void a_machine_that_is_deleted_is_destroyed_only_if_it_runs(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_declare(w, SHOP);
    world_plan(w);
    assert_non_null(strstr(rendered(w, (struct plan_text_options){0}), "shop/web-1: destroy"));
    world_stop(w, "web-1", "guest-shutdown");
    world_plan(w);
    assert_null(strstr(rendered(w, (struct plan_text_options){0}), "destroy"));
}

static void what_cannot_be_approved_says_so(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT VOLUME("v", "size: 1GiB, protect: true"));
    struct known *row = world_row(w, "Volume", "v");
    row->life = LIFE_RELEASED; /* and somebody gave it up when its record did not protect it */
    row->protect = false;
    row->remove_deletes = true;
    world_declare(w, PROJECT);
    world_plan(w);
    assert_non_null(strstr(rendered(w, (struct plan_text_options){0}), "cannot be approved ("));
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
        TEST(a_document_of_a_newer_program_still_reads),
        TEST(a_document_without_steps_is_no_change),
        TEST(a_document_without_holds_has_none),
        TEST(words_without_letters_are_not_coloured),
        TEST(long_values_are_cut_between_characters),
        TEST(long_lists_and_maps_are_cut),
        TEST(a_secret_that_changed_shows_that_and_no_more),
        TEST(an_approved_step_and_a_renamed_one_say_so),
        TEST(what_cannot_be_approved_says_so),
        TEST(a_step_that_waits_says_why_and_one_that_was_renamed_says_so),
        TEST(a_machine_that_is_deleted_is_destroyed_only_if_it_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
