/* SPDX-License-Identifier: MPL-2.0 */
/* Saved plans as files: whole or not there, of one's own, and refused where they were altered. */
#include "tests/cli/rack.h"

#include "reconciler/plan/plan.h"

#define PLAN                                                                                  \
    "{\"id\":1,\"result\":{\"schema\":\"spinel/plan/v1\",\"commit\":\"abc\",\"hash\":\"00\"," \
    "\"steps\":[],\"summary\":{\"run\":0}}}\n"

static void a_plan_is_saved_beside_its_place_and_moved_there(void **state)
{
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(PLAN, PLAN, PLAN, PLAN, PLAN, PLAN));
    struct ran ran = RUN(scene, "plan", "-o", "saved.json");
    assert_int_equal(ran.status, 0);
    assert_says(ran.err, "saved; spinel apply saved.json does exactly this, or refuses");
    assert_says(file_get(scene, "saved.json"), "\"plan\": {");
    shell(scene, "test \"$(stat -c %a saved.json)\" = 600; test \"$(ls | grep -c saved)\" = 1");
    ran = RUN(scene, "plan", "-o", "-");
    assert_says(ran.out, "\"plan\": {");
    assert_not_says(ran.err, "saved");
    assert_int_equal(RUN(scene, "plan", "--json", "-o", "-").status, 64);
    ran = RUN(scene, "plan", "-o", "missing/saved.json");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "cannot write the plan to missing/saved.json");
    shell(scene, "mkfifo pipe");
    ran = RUN(scene, "plan", "-o", "pipe");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "is not a regular file");
    scene->out = "/dev/full";
    ran = RUN(scene, "plan", "-o", "-");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "cannot write to standard output");
}

static void what_is_no_saved_plan_is_not_applied(void **state)
{
    struct scene *scene = *state;
    file_put(scene, "no.json", "{");
    file_put(scene, "empty.json", "{}");
    struct ran ran = RUN(scene, "apply", "--yes", "missing.json");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "cannot read the saved plan missing.json");
    assert_int_equal(RUN(scene, "apply", "--yes", "no.json").status, 1);
    ran = RUN(scene, "apply", "--yes", "empty.json");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "empty.json: ");
    assert_int_equal(RUN(scene, "apply", "--yes", ".").status, 1); /* a directory */
    assert_int_equal(RUN(scene, "apply", "--yes", "-").status, 1); /* nothing comes */
}

static void a_saved_plan_is_handed_to_the_daemon(void **state)
{
    struct scene *scene = *state;
    const struct plan *settled = plan_settled(scene->arena, "abc", "", 3, "world", 1700000000);
    const char *plan = arena_printf(scene->arena, "{\"id\":1,\"result\":%s}\n",
                                    json_text(scene->arena, plan_value(scene->arena, settled)));
    daemon_says(scene, ANSWERS(plan, "{\"id\":1,\"result\":{\"revision\":1,\"seq\":1}}\n",
                               "{\"id\":2,\"result\":{}}\n{\"method\":\"event\",\"params\":{"
                               "\"type\":\"converged\",\"data\":{\"revision\":1}}}\n",
                               PLAN));
    assert_int_equal(RUN(scene, "plan", "-o", "saved.json").status, 0);
    struct ran ran = RUN(scene, "apply", "--yes", "saved.json", "--json");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "\"commit\": \"abc\"");
}

static void without_a_daemon_what_cannot_be_planned_is_an_error(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(RUN(scene, "plan").status, 1); /* there is no repository */
    assert_int_equal(RUN(scene, "plan", "--rev=main").status, 1);
    assert_int_equal(RUN(scene, "apply", "--yes").status, 1);
    assert_int_equal(RUN(scene, "drift").status, 1);
    commit_put(scene, MANIFESTS);
    assert_int_equal(RUN(scene, "plan", "--rev=nowhere").status, 1);
    struct ran ran = RUN(scene, "plan", "--cached", "--rev=main");
    assert_int_equal(ran.status, 2);
    assert_says(ran.out, "Instance shop/web-1");
    shell(scene, "rm drivers/sim");
    assert_int_equal(RUN(scene, "plan", "--cached").status, 1);
    assert_int_equal(RUN(scene, "drift").status, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_plan_is_saved_beside_its_place_and_moved_there),
        CASE(what_is_no_saved_plan_is_not_applied),
        CASE(a_saved_plan_is_handed_to_the_daemon),
        CASE(without_a_daemon_what_cannot_be_planned_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
