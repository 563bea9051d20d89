/* SPDX-License-Identifier: MPL-2.0 */
/* Who waits for a daemon: what is shown of what it tells, and when the waiting ends. */
#include "tests/cli/run.h"

#define EVENT(type, text, data)                                                    \
    "{\"method\":\"event\",\"params\":{\"seq\":1,\"at\":\"2026-01-01T00:00:00Z\"," \
    "\"type\":\"" type "\",\"text\":\"" text "\",\"data\":{" data "}}}\n"
#define PLAN(steps, summary)                                                                   \
    "{\"id\":1,\"result\":{\"schema\":\"spinel/plan/v1\",\"commit\":\"abc\",\"steps\":[" steps \
    "],\"summary\":{" summary "}}}\n"
#define STEP                                                                                  \
    "{\"id\":1,\"action\":\"update\",\"kind\":\"VPC\",\"project\":\"shop\",\"name\":\"net\"," \
    "\"uid\":\"u\",\"disposition\":\"run\",\"cause\":\"pending\",\"fields\":[]}"
#define WOULD PLAN(STEP, "\"update\":1,\"run\":1")
#define DONE PLAN("", "\"run\":0")
#define TAKEN "{\"id\":1,\"result\":{\"revision\":7,\"seq\":3}}\n"
#define FOLLOWED "{\"id\":2,\"result\":{}}\n"

static void an_apply_is_followed_until_its_own_revision_is_true(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(WOULD, TAKEN,
                               FOLLOWED EVENT("converged", "of another", "\"revision\":6") EVENT(
                                   "op.failed", "it did not work",
                                   "\"hint\":\"Look there.\","
                                   "\"step\":1,\"of\":2") EVENT("unheard.of", "by this program", "")
                                   EVENT("converged", "all is well", "\"revision\":7"),
                               DONE));
    struct ran ran = RUN(scene, "apply", "--yes");
    assert_int_equal(ran.status, 0);
    assert_not_says(ran.err, "of another");
    assert_not_says(ran.err, "by this program");
    assert_says(ran.err, "! [1/2] it did not work\n");
    assert_says(ran.err, "Look there.");
    assert_says(ran.err, "= all is well");
}

static void an_apply_that_takes_longer_goes_on_without_us(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(WOULD, TAKEN, FOLLOWED, WOULD));
    struct ran ran = RUN(scene, "apply", "--yes", "--wait=0s", "--json");
    assert_int_equal(ran.status, 2);
    assert_says(ran.err, "still converging; the daemon goes on without you");
    assert_says(ran.out, "\"schema\": \"spinel/plan/v1\"");
    assert_int_equal(RUN(scene, "apply", "--yes", "--wait=long").status, 64);
    assert_int_equal(RUN(scene, "apply").status, 64);
}

static void a_refused_revision_ends_the_waiting(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene,
                ANSWERS(WOULD, TAKEN, FOLLOWED EVENT("revision.refused", "not valid", ""), DONE));
    struct ran ran = RUN(scene, "apply", "--yes");
    assert_says(ran.err, "! not valid");
    assert_not_says(ran.err, "goes on without you");
}

static void what_a_daemon_refuses_is_an_error_with_its_hint(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(WOULD,
                               "{\"id\":1,\"error\":{\"message\":\"it is stale\",\"data\":{"
                               "\"kind\":\"stale\",\"hint\":\"Make a new one.\"}}}\n",
                               WOULD, TAKEN, "{\"id\":2,\"error\":{\"message\":\"no more\"}}\n"));
    struct ran ran = RUN(scene, "apply", "--yes");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "it is stale");
    assert_says(ran.err, "Make a new one.");
    ran = RUN(scene, "apply", "--yes");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "no more");
}

static void a_person_is_asked_first(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(WOULD, WOULD, TAKEN,
                               FOLLOWED EVENT("op.progress", "half", "")
                                   EVENT("converged", "all is well", "\"revision\":7"),
                               DONE));
    struct ran ran = RUN_ON_TERMINAL(scene, 60, "no\n", "apply");
    assert_int_equal(ran.status, 2);
    assert_says(ran.out, "Do this? [yes/no]");
    assert_says(ran.out, "nothing was done");
    ran = RUN_ON_TERMINAL(scene, 60, "yes\n", "apply");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "\r\033[K"); /* the live line was taken away */
}

static void a_live_line_is_cut_to_the_terminal(void **state)
{
    struct scene *scene = *state;
    static const char told[] = FOLLOWED EVENT("op.progress", "a text that is longer than the line",
                                              "") EVENT("converged", "well", "\"revision\":7");
    daemon_says(scene, ANSWERS(WOULD, TAKEN, told, DONE));
    struct ran ran = RUN_ON_TERMINAL(scene, 20, "", "apply", "--yes");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "a text that is lo");
    assert_not_says(ran.out, "a text that is longer than the line");
    daemon_end(scene);
    daemon_says(scene, ANSWERS(WOULD, TAKEN, told, DONE));
    ran = RUN_ON_TERMINAL(scene, 0, "", "apply", "--yes"); /* a terminal that tells no width */
    assert_says(ran.out, "a text that is longer than the line");
}

static void colors_are_for_terminals_that_want_them(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(WOULD, WOULD, WOULD, WOULD));
    assert_says(RUN_ON_TERMINAL(scene, 80, "", "plan").out, "\033[");
    assert_not_says(RUN_ON_TERMINAL(scene, 80, "", "plan", "--color=never").out, "\033[");
    assert_says(RUN(scene, "plan", "--color=always").out, "\033[");
    assert_not_says(RUN(scene, "plan", "--color=auto").out, "\033[");
    setenv("NO_COLOR", "1", 1);
    daemon_end(scene);
    daemon_says(scene, ANSWERS(WOULD, WOULD, WOULD));
    assert_says(RUN(scene, "plan", "--color=always").out, "\033["); /* who asks has the last word */
    setenv("NO_COLOR", "", 1);
    setenv("TERM", "dumb", 1);
    assert_not_says(RUN(scene, "plan").out, "\033[");
    unsetenv("NO_COLOR");
    assert_int_equal(RUN(scene, "plan", "--color=green").status, 64);
}

static void events_are_followed_from_the_last_stored_one(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS("{\"id\":1,\"result\":{}}\n" EVENT("op.failed", "there", "")));
    struct ran ran = RUN(scene, "events", "--follow", "--json");
    assert_int_equal(ran.status, 1);
    assert_says(ran.out, "\"text\":\"there\"");
    assert_says(ran.err, "the daemon has closed the connection");
}

static void what_is_not_seen_makes_a_plan_doubtful(void **state)
{
    struct scene *scene = *state;
    static const char held[] =
        "{\"id\":1,\"result\":{\"summary\":{\"held\":1},\"holds\":[{\"id\":\"h\","
        "\"rule\":\"budget\",\"steps\":3,\"reason\":\"too many\"}]}}\n";
    daemon_says(scene,
                ANSWERS("{\"id\":1,\"result\":{\"observed\":{\"unknown\":1}}}\n",
                        "{\"id\":1,\"result\":{\"observed\":{\"unknown\":2}}}\n", held,
                        "{\"id\":1,\"result\":{\"holds\":[]}}\n", "{\"id\":1,\"result\":{}}\n"));
    struct ran ran = RUN(scene, "plan");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "1 object could not be looked at");
    assert_says(RUN(scene, "plan").err, "2 objects could not be looked at");
    ran = RUN(scene, "approve");
    assert_says(ran.out, "cannot lift it");
    assert_says(RUN(scene, "approve").err, "nothing is held");
    assert_says(RUN(scene, "approve", "--json").out, "\"holds\": []");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_apply_is_followed_until_its_own_revision_is_true),
        CASE(an_apply_that_takes_longer_goes_on_without_us),
        CASE(a_refused_revision_ends_the_waiting),
        CASE(what_a_daemon_refuses_is_an_error_with_its_hint),
        CASE(a_person_is_asked_first),
        CASE(a_live_line_is_cut_to_the_terminal),
        CASE(colors_are_for_terminals_that_want_them),
        CASE(events_are_followed_from_the_last_stored_one),
        CASE(what_is_not_seen_makes_a_plan_doubtful),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
