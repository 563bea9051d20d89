/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel top`: keys, and rows of a store and a daemon that say odd things. */
#include "tests/cli/rack.h"

#include <time.h>

#define UP "\033OA"
#define DOWN "\033OB"
#define RIGHT "\033OC"
#define LEFT "\033OD"
#define BACK_TAB "\033[Z"
#define PAGE_UP "\033[5~"
#define PAGE_DOWN "\033[6~"
#define ESCAPE "\033"

static void drift_put(struct scene *scene, struct store *store, const char *path,
                      const char *disposition)
{
    const struct drift_row row = {.uid = UID_VPC,
                                  .kind = "VPC",
                                  .project = "shop",
                                  .name = "net",
                                  .path = path,
                                  .desired = "1500",
                                  .observed = "9000",
                                  .since = time(NULL),
                                  .last_seen = time(NULL),
                                  .detected_by = "resync",
                                  .cause = "",
                                  .disposition = disposition,
                                  .healed_by = ""};
    assert_int_equal(store_drift_seen(store, &row, &scene->err), 0);
}

static void past_put(struct scene *scene)
{
    static const char *const types[] = {"op.failed", "drift.found", "converged", "x"};
    struct store *store = store_of(scene);
    struct intent intent = {.op = "op1",
                            .uid = UID_VPC,
                            .epoch = 2,
                            .verb = "update",
                            .plan = "",
                            .arguments_digest = "",
                            .state = "claimed",
                            .created_at = time(NULL),
                            .error = ""};
    int64_t seq;
    rack_put(scene, store);
    intent.step = json(scene, "{\"kind\":\"VPC\",\"project\":\"shop\",\"name\":\"net\"}");
    assert_int_equal(store_intent_put(store, &intent, &scene->err), 0);
    intent.op = "op2";
    intent.state = "failed";
    intent.error = "no such device";
    intent.finished_at = time(NULL);
    intent.step = json(scene, "{\"kind\":\"Pool\",\"name\":\"fast\"}");
    assert_int_equal(store_intent_put(store, &intent, &scene->err), 0);
    intent.op = "op3";
    intent.state = "confirmed";
    intent.error = "";
    assert_int_equal(store_intent_put(store, &intent, &scene->err), 0);
    for (int i = 0; i < 60; i++) {
        const struct event event = {.at_ms = 1700000000000, .type = types[i % 4], .text = "event"};
        assert_int_equal(store_event_add(store, &event, &seq, &scene->err), 0);
    }
    drift_put(scene, store, "spec.mtu", "run");
    drift_put(scene, store, "spec.nat", "ignored");
    drift_put(scene, store, "spec.dns", "run");
    assert_int_equal(store_drift_healed(store, UID_VPC, "spec.dns", time(NULL), "op3", &scene->err),
                     0);
    store_close(store);
}

static void without_a_daemon_what_was_recorded_is_shown(void **state)
{
    struct scene *scene = *state;
    struct ran ran = RUN_ON_TERMINAL(scene, 100, "q", "top");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "nothing was recorded yet");
    past_put(scene);
    ran = RUN_ON_TERMINAL(scene, 100, "2341?q", "top");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "no daemon: nothing is healed");
    assert_says(ran.out, "shop/web-1");
    assert_says(ran.out, "no such device");
    assert_says(ran.out, "spec.mtu");
    assert_says(ran.out, "op.failed");
}

static void keys_move_between_tables_and_rows(void **state)
{
    struct scene *scene = *state;
    past_put(scene);
    struct ran ran =
        RUN_ON_TERMINAL(scene, 100,
                        "\t" BACK_TAB RIGHT LEFT LEFT DOWN "jjk" UP PAGE_DOWN PAGE_UP
                        " bGgG" PAGE_UP "\r" DOWN "kGG\r\r" ESCAPE "?x?" ESCAPE "hr\014zq",
                        "top");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "\"type\": \"");       /* all of one event */
    assert_says(ran.out, "the next table, or"); /* the help */
}

/* Where it was shown last. */
static const char *last_of(const char *said, const char *text)
{
    const char *last = NULL;
    while ((said = strstr(said, text)))
        last = said++;
    if (!last)
        fail_msg("%s was never shown", text);
    return last;
}

static void a_filter_shows_only_what_has_its_text(void **state)
{
    struct scene *scene = *state;
    past_put(scene);
    struct ran ran = RUN_ON_TERMINAL(scene, 100, "/fasx\rq", "top");
    assert_int_equal(ran.status, 0);
    assert_true(last_of(ran.out, "Nothing matches") > last_of(ran.out, "never"));
    ran = RUN_ON_TERMINAL(scene, 100, "/\177xz\177\010FASt\001\rq", "top");
    assert_int_equal(ran.status, 0);
    assert_true(last_of(ran.out, "fast ") > last_of(ran.out, "Nothing matches"));
    ran = RUN_ON_TERMINAL(scene, 100, "/zz" ESCAPE "q", "top");
    assert_true(last_of(ran.out, "web-1") > last_of(ran.out, "Nothing matches"));
    ran = RUN_ON_TERMINAL(scene, 100, "/zz\r\r\r" ESCAPE "q", "top"); /* no row to tell all of */
    assert_true(last_of(ran.out, "web-1") > last_of(ran.out, "Nothing matches"));
}

static void a_narrow_terminal_shows_what_fits(void **state)
{
    struct scene *scene = *state;
    past_put(scene);
    struct ran ran = RUN_ON_TERMINAL(scene, 20, "2341\rq", "top", "--color=never");
    assert_int_equal(ran.status, 0);
    assert_not_says(ran.out, "\033[31m");
}

#define STATUS(more)                                                                             \
    "{\"id\":1,\"result\":{\"commit\":\"abcdef\",\"converged\":true,\"resources\":{\"total\":2," \
    "\"true\":1" more "}}\n"
#define EVENT(type, data) \
    "{\"method\":\"event\",\"params\":{\"type\":\"" type "\",\"data\":{" data "}}}\n"

static void a_daemon_tells_marks_and_progress(void **state)
{
    struct scene *scene = *state;
    past_put(scene);
    daemon_says(scene, ANSWERS("{\"id\":1,\"result\":{}}\n" EVENT("op.progress",
                                                                  "\"op\":\"op1\",\"percent\":42")
                                   EVENT("op.started", ""),
                               STATUS("},\"marks\":{\"" UID_VPC "\":\"drifting\",\"" UID_DATA
                                      "\":\"held\",\"" UID_NIC "\":\"pending\",\"" UID_WEB "\":7}"),
                               STATUS("}"), STATUS("}")));
    struct ran ran = RUN_ON_TERMINAL(scene, 100, "21q", "top");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "drifting");
    assert_says(ran.out, "true to Git");
    assert_says(ran.out, "42%");
}

static void what_a_daemon_says_is_put_into_one_line(void **state)
{
    static const char *const said[][2] = {
        {STATUS(",\"drifting\":1}"), "not as Git says"},
        {STATUS(",\"held\":1}"), "held: 'spinel plan' says by what"},
        {STATUS(",\"pending\":1}"), "true but for what waits"},
        {"{\"id\":1,\"result\":{\"commit\":\"abc\"}}\n", "converging"},
        {"{\"id\":1,\"result\":{\"marks\":7}}\n", "nothing was pushed yet"},
        {"{\"id\":1,\"error\":{\"message\":\"no\"}}\n", "no daemon"},
    };
    struct scene *scene = *state;
    past_put(scene);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        daemon_says(scene, ANSWERS("{\"id\":1,\"error\":{\"message\":\"no\"}}\n", said[i][0]));
        struct ran ran = RUN_ON_TERMINAL(scene, 120, "q", "top");
        assert_int_equal(ran.status, 0);
        assert_says(ran.out, said[i][1]);
        daemon_end(scene);
    }
}

static void off_a_terminal_it_says_what_does_without(void **state)
{
    struct scene *scene = *state;
    struct ran ran = RUN(scene, "top");
    assert_int_equal(ran.status, 64);
    assert_says(ran.err, "it needs a terminal");
    shell(scene, "rm spinel.yaml");
    ran = RUN_ON_TERMINAL(scene, 80, "", "top");
    assert_int_equal(ran.status, 1);
    file_put(scene, "spinel.yaml", SITE_FILE);
    file_put(scene, "state/spinel.db", "this is no database, and never was one of ours.......\n");
    ran = RUN_ON_TERMINAL(scene, 80, "q", "top");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "spinel.db");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_a_daemon_what_was_recorded_is_shown),
        CASE(keys_move_between_tables_and_rows),
        CASE(a_filter_shows_only_what_has_its_text),
        CASE(a_narrow_terminal_shows_what_fits),
        CASE(a_daemon_tells_marks_and_progress),
        CASE(what_a_daemon_says_is_put_into_one_line),
        CASE(off_a_terminal_it_says_what_does_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
