/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel drift` of what a daemon says: how each row reads, and what becomes of the file. */
#include "tests/cli/run.h"

#define ROW(name, more)                                                                        \
    "{\"kind\":\"Volume\",\"project\":\"shop\",\"name\":\"" name "\",\"uid\":\"" name          \
    "\",\"path\":\"spec.size\",\"desired\":1073741824,\"observed\":2147483648,\"since\":"      \
    "\"2026-01-01T00:00:00Z\",\"lastSeen\":\"2026-01-01T00:01:00Z\",\"detectedBy\":\"resync\"" \
    ",\"cause\":\"somebody\"" more "}"
#define HEALED(op) ",\"healed\":{\"at\":\"2026-01-01T00:02:00Z\",\"by\":\"" op "\",\"after\":7}"

/* clang-format off */
static const char rows[] =
    "{\"id\":1,\"result\":{\"schema\":\"spinel/drift/v1\",\"at\":\"2026-01-01T00:03:00Z\","
    "\"commit\":\"abc\",\"drift\":["
    ROW("open", ",\"disposition\":\"run\",\"count\":1") ","
    ROW("held", ",\"disposition\":\"held\",\"reason\":\"the budget\",\"count\":3") ","
    ROW("odd", ",\"disposition\":\"postponed\"") ","
    ROW("aside", ",\"disposition\":\"ignored\"") ","
    ROW("mended", ",\"disposition\":\"run\"" HEALED("0123456789abcdef")) ","
    ROW("alone", ",\"disposition\":\"run\"" HEALED("")) ","
    ROW("often", ",\"disposition\":\"run\"" HEALED("aa")) ","
    ROW("often", ",\"disposition\":\"run\"") ","
    "{\"kind\":\"Pool\",\"name\":\"fast\",\"uid\":\"p\",\"path\":\"object\",\"desired\":\"present\","
    "\"observed\":null,\"since\":\"yesterday <b>&\\u0001\",\"disposition\":\"reported\"}"
    "],\"unmanaged\":[{\"kind\":\"Volume\",\"native\":\"/pool/<x>\",\"why\":\"no tag\"},"
    "{\"kind\":\"Volume\",\"uid\":\"u2\"}],\"orphans\":[{\"kind\":\"VPC\",\"uid\":\"u3\","
    "\"why\":\"of no row\"}]}}\n";
/* clang-format on */

static const char none[] = "{\"id\":1,\"result\":{\"commit\":\"abc\",\"drift\":[]}}\n";

static void each_row_says_what_becomes_of_it(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(rows));
    struct ran ran = RUN(scene, "drift", "--ignored", "--since=2020-01-01T00:00:00Z");
    assert_int_equal(ran.status, 2);
    assert_says(ran.out, "Spinel heals it");
    assert_says(ran.out, "open, once before");
    assert_says(ran.out, "held, 3 times before");
    assert_says(ran.out, "held until a person decides: spinel approve: the budget");
    assert_says(ran.out, "then        postponed"); /* a newer daemon's word */
    assert_says(ran.out, "open, 2 times in ");
    assert_says(ran.out, "Pool fast, object");
    assert_says(ran.out, "is          nothing");
    assert_says(ran.out, "healed within 8 s");
    assert_says(ran.err, "not ours: Volume /pool/<x>, left alone: no tag");
    assert_says(ran.err, "not ours: Volume u2, left alone: ");
    assert_says(ran.err, "orphan: VPC u3, left alone: of no row");
}

static void what_is_ignored_or_healed_is_told_to_who_asks(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(rows));
    struct ran ran = RUN(scene, "drift");
    assert_int_equal(ran.status, 2);
    assert_not_says(ran.out, "Volume shop/aside");
    assert_not_says(ran.out, "Volume shop/mended");
}

static void no_drift_is_said_and_is_a_test_that_passes(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(none, "{\"id\":1,\"result\":{\"drift\":[]}}\n", none));
    struct ran ran = RUN(scene, "drift");
    assert_int_equal(ran.status, 0);
    assert_string_equal(ran.out, "No drift.\n");
    assert_says(RUN(scene, "drift").out, "nothing is the target yet");
    ran = RUN(scene, "drift", "--junit=-");
    assert_says(ran.out, "tests=\"1\" failures=\"0\"");
    assert_not_says(ran.out, "No drift.");
}

static void what_could_not_be_looked_at_is_no_absence_of_drift(void **state)
{
    static const char blind[] =
        "{\"id\":1,\"result\":{\"commit\":\"abc\",\"drift\":[],\"unknown\":["
        "{\"kind\":\"Volume\",\"project\":\"shop\",\"name\":\"db<b>\",\"uid\":\"u1\"},"
        "{\"kind\":\"Pool\",\"name\":\"fast\",\"uid\":\"u2\"}]}}\n";
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(blind, blind, blind, blind));
    struct ran ran = RUN(scene, "drift");
    assert_int_equal(ran.status, 1);
    assert_string_equal(ran.out, "No drift in what could be looked at.\n");
    assert_says(ran.err, "Volume shop/db<b> and 1 more could not be looked at");
    ran = RUN(scene, "drift", "--json");
    assert_int_equal(ran.status, 1);
    assert_says(ran.out, "\"fast\"");
    ran = RUN(scene, "drift", "--junit=-");
    assert_int_equal(ran.status, 1);
    assert_says(ran.out, "tests=\"2\" failures=\"0\" errors=\"2\"");
    assert_says(ran.out, "classname=\"Pool fast\" name=\"look\"><error ");
    assert_not_says(ran.out, "no drift");
    ran = RUN(scene, "drift", "--html=-");
    assert_says(ran.out, "<li>Volume shop/db&lt;b&gt;</li>");
    assert_not_says(ran.out, "No drift.");
}

static void a_page_shows_what_the_world_wrote_and_runs_none_of_it(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(rows));
    struct ran ran =
        RUN(scene, "drift", "--html=drift.html", "--ignored", "--since=2020-01-01T00:00:00Z");
    assert_int_equal(ran.status, 2);
    const char *page = file_get(scene, "drift.html");
    assert_says(page, "<code>/pool/&lt;x&gt;</code>");
    assert_says(page, "Pool fast");
    assert_says(page, "by no operation of Spinel");
    assert_not_says(page, "<b>&");
    assert_not_says(page, "\x01");
}

static void the_time_of_a_page_can_be_that_of_the_sources(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(none, none, none));
    setenv("SOURCE_DATE_EPOCH", "86400", 1);
    assert_says(RUN(scene, "drift", "--html=-").out, "1970-01-02T00:00:00Z");
    setenv("SOURCE_DATE_EPOCH", "soon", 1);
    assert_not_says(RUN(scene, "drift", "--html=-").out, "1970");
    setenv("SOURCE_DATE_EPOCH", "", 1);
    assert_not_says(RUN(scene, "drift", "--html=-").out, "1970");
    unsetenv("SOURCE_DATE_EPOCH");
}

static void a_test_case_fails_for_what_is_open_only(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(rows));
    struct ran ran =
        RUN(scene, "drift", "--junit=report.xml", "--ignored", "--since=2020-01-01T00:00:00Z");
    assert_int_equal(ran.status, 2);
    const char *xml = file_get(scene, "report.xml");
    assert_says(xml, "tests=\"8\" failures=\"5\"");
    assert_says(xml, "classname=\"Volume shop/aside\" name=\"spec.size\"/>");
    assert_says(xml, "since yesterday &lt;b&gt;&amp;");
}

static void a_report_that_cannot_be_written_is_an_error(void **state)
{
    struct scene *scene = *state;
    shell(scene, "mkfifo pipe; ln -s nowhere/at/all dangling; mkdir full; touch full/real; "
                 "ln -s full/real link");
    daemon_says(scene, ANSWERS(none, none, none, none, none));
    struct ran ran = RUN(scene, "drift", "--html=pipe");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "is not a regular file");
    assert_says(ran.err, "- stands for standard output");
    ran = RUN(scene, "drift", "--junit=pipe");
    assert_int_equal(ran.status, 1);
    ran = RUN(scene, "drift", "--html=missing/drift.html");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "cannot write");
    ran = RUN(scene, "drift", "--html=dangling");
    assert_int_equal(ran.status, 0);
    assert_says(file_get(scene, "dangling"), "<!doctype html>"); /* in the place of the link */
    ran = RUN(scene, "drift", "--html=link");
    assert_int_equal(ran.status, 0);
    assert_says(file_get(scene, "full/real"), "<!doctype html>"); /* the link stays one */
}

static void only_one_document_goes_to_standard_output(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(RUN(scene, "drift", "--json", "--html=-").status, 64);
    assert_int_equal(RUN(scene, "drift", "--junit=-", "--html=-").status, 64);
    assert_int_equal(RUN(scene, "drift", "--since=whenever").status, 64);
    assert_int_equal(RUN(scene, "drift", "--resource=volume").status, 64);
    assert_int_equal(RUN(scene, "drift", "--resource=colour/red").status, 64);
    struct ran ran = RUN(scene, "drift", "--resource=volume/shop/db");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "there is no Volume shop/db");
}

static void a_daemon_that_answers_with_something_else_shows_no_drift_of_its_own(void **state)
{
    struct scene *scene = *state;
    daemon_says(
        scene,
        ANSWERS("{\"id\":1,\"result\":{\"commit\":\"abc\",\"drift\":7,\"unmanaged\":\"all\"}}\n",
                "{\"id\":1,\"error\":{\"code\":-32000,\"message\":\"not now\"}}\n", "what?\n"));
    assert_string_equal(RUN(scene, "drift").out, "No drift.\n");
    struct ran ran = RUN(scene, "drift");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "not now");
    assert_int_equal(RUN(scene, "drift").status, 1);
    assert_int_equal(RUN(scene, "drift").status, 1); /* it has closed */
}

#define EVENT(type, text)                                                          \
    "{\"method\":\"event\",\"params\":{\"seq\":1,\"at\":\"2026-01-01T00:00:00Z\"," \
    "\"type\":\"" type "\",\"text\":\"" text "\"}}\n"

static void drift_is_watched_as_the_daemon_tells_it(void **state)
{
    struct scene *scene = *state;
    static const char told[] = "{\"id\":1,\"result\":{}}\n" EVENT("drift.found", "it moved")
        EVENT("op.started", "beside the point") EVENT("drift.healed", "it is back");
    struct ran ran = RUN(scene, "drift", "--watch");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "no daemon is up, so there is nothing to follow");
    daemon_says(scene, ANSWERS(told));
    ran = RUN(scene, "drift", "--watch");
    assert_int_equal(ran.status, 1); /* the daemon is gone */
    assert_string_equal(ran.out,
                        "2026-01-01T00:00:00Z  it moved\n2026-01-01T00:00:00Z  it is back\n");
    daemon_end(scene);
    daemon_says(scene, ANSWERS(told));
    ran = RUN(scene, "drift", "--watch", "--json");
    assert_says(ran.out, "\"text\":\"it moved\"");
    assert_not_says(ran.out, "beside the point");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_row_says_what_becomes_of_it),
        CASE(what_is_ignored_or_healed_is_told_to_who_asks),
        CASE(no_drift_is_said_and_is_a_test_that_passes),
        CASE(what_could_not_be_looked_at_is_no_absence_of_drift),
        CASE(a_page_shows_what_the_world_wrote_and_runs_none_of_it),
        CASE(the_time_of_a_page_can_be_that_of_the_sources),
        CASE(a_test_case_fails_for_what_is_open_only),
        CASE(a_report_that_cannot_be_written_is_an_error),
        CASE(only_one_document_goes_to_standard_output),
        CASE(a_daemon_that_answers_with_something_else_shows_no_drift_of_its_own),
        CASE(drift_is_watched_as_the_daemon_tells_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
