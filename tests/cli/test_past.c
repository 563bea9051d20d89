/* SPDX-License-Identifier: MPL-2.0 */
/* What happened and what was decided: history, events, freezes, what was released, holds. */
#include "tests/cli/rack.h"

#include <time.h>

static void without_a_revision_there_is_no_history(void **state)
{
    struct scene *scene = *state;
    struct ran ran = RUN(scene, "history");
    assert_int_equal(ran.status, 0);
    assert_says(ran.err, "no revision yet");
    assert_says(RUN(scene, "history", "--json").out, "\"revisions\": []");
    assert_int_equal(RUN(scene, "history", "vpc").status, 64);
    assert_int_equal(RUN(scene, "history", "--limit=0").status, 64);
    ran = RUN(scene, "history", "vpc", "shop/net");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "there is no VPC shop/net");
    assert_int_equal(RUN(scene, "history", "colour", "shop/net").status, 64);
    ran = RUN(scene, "trace");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "there is no revision yet");
}

static void each_revision_has_its_outcome(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_of(scene);
    revision_put(scene, store, "1111111111111111", "superseded", 0);
    revision_put(scene, store, "2222222222222222", "applied", 1700000000);
    revision_put(scene, store, "3333333333333333", "applied", 1700000065);
    revision_put(scene, store, "4444444444444444", "refused", 0);
    revision_put(scene, store, "5555555555555555", "target", 0);
    store_close(store);
    struct ran ran = RUN(scene, "history", "--color=always");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "\033[33mconverging");
    assert_says(ran.out, "\033[33msuperseded");
    assert_says(ran.out, "\033[31mrefused");
    assert_says(ran.out, "no such kind"); /* why, in place of the subject */
    assert_says(ran.out, "<1s");
    assert_says(ran.out, "65s");
    ran = RUN(scene, "trace", "4");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "revision 4 was refused");
    ran = RUN(scene, "trace", "99");
    assert_says(ran.err, "no revision is or begins with '99'");
}

static void step_put(struct scene *scene, struct store *store, const char *type, const char *data)
{
    static int64_t at_ms = 1700000000000;
    const struct event event = {.at_ms = at_ms += 10,
                                .type = type,
                                .kind = "VPC",
                                .project = "shop",
                                .name = "net",
                                .text = "it happened",
                                .data = json(scene, data)};
    int64_t seq;
    assert_int_equal(store_event_add(store, &event, &seq, &scene->err), 0);
}

static void a_trace_tells_what_failed_and_what_the_next_revision_cut_short(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_of(scene);
    revision_put(scene, store, "1111111111111111", "superseded", 0);
    revision_put(scene, store, "2222222222222222", "target", 0);
    step_put(scene, store, "revision.accepted", "{\"revision\":1}");
    step_put(scene, store, "op.confirmed", "{\"op\":\"of-before\"}");
    step_put(scene, store, "op.started", "{\"op\":\"a1\",\"verb\":\"create\"}");
    step_put(scene, store, "op.failed", "{\"op\":\"a1\",\"message\":\"no room\",\"callMs\":5}");
    step_put(scene, store, "op.started", "{\"op\":\"b2\",\"verb\":\"create\"}");
    step_put(scene, store, "op.superseded", "{\"op\":\"b2\"}");
    step_put(scene, store, "revision.accepted", "{\"revision\":2}");
    step_put(scene, store, "op.started", "{\"op\":\"of-after\",\"verb\":\"create\"}");
    store_close(store);
    const char *trace = RUN(scene, "trace", "1", "--json").out;
    assert_says(trace, "\"outcome\": \"superseded\"");
    assert_says(trace, "\"failures\": 1");
    assert_says(trace, "\"error\": \"no room\"");
    assert_not_says(trace, "of-before");
    assert_not_says(trace, "of-after");
    assert_says(RUN(scene, "trace", "1", "--otlp").out, "\"code\": 2");
    assert_says(RUN(scene, "trace", "2", "--json").out, "\"outcome\": \"open\"");
    assert_says(RUN(scene, "trace", "2").out, "revision 2, ");
}

static void operations_tell_what_they_changed_or_why_they_failed(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_of(scene);
    rack_put(scene, store);
    struct intent intent = {.op = "op1",
                            .uid = UID_VPC,
                            .epoch = 2,
                            .verb = "update",
                            .plan = "",
                            .arguments_digest = "",
                            .state = "confirmed",
                            .created_at = 1700000000,
                            .error = ""};
    intent.step = json(scene, "{\"fields\":[{\"path\":\"spec.mtu\"},\"spec.nat\",{}]}");
    assert_int_equal(store_intent_put(store, &intent, &scene->err), 0);
    intent.op = "op2";
    intent.state = "failed";
    intent.error = "no such device";
    assert_int_equal(store_intent_put(store, &intent, &scene->err), 0);
    intent.op = "op3";
    intent.error = "";
    intent.step = json(scene, "{\"fields\":7}");
    assert_int_equal(store_intent_put(store, &intent, &scene->err), 0);
    store_close(store);
    struct ran ran = RUN(scene, "history", "vpc", "shop/net", "--color=always");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "spec.mtu, spec.nat, ?");
    assert_says(ran.out, "no such device");
    assert_says(ran.out, "\033[32mconfirmed");
    assert_says(ran.out, "\033[33mfailed");
    assert_says(RUN(scene, "history", "vpc", "shop/net", "--json").out, "\"operations\": [");
}

static void event_put(struct scene *scene, struct store *store, const char *type, int64_t at)
{
    const struct event event = {.at_ms = at * 1000, .type = type, .text = type};
    int64_t seq;
    if (store_event_add(store, &event, &seq, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
}

static void events_are_shown_from_a_time_or_as_many_as_asked(void **state)
{
    struct scene *scene = *state;
    struct ran ran = RUN(scene, "events");
    assert_int_equal(ran.status, 0);
    assert_string_equal(ran.out, "");
    struct store *store = store_of(scene);
    event_put(scene, store, "op.failed", 1700000000);
    event_put(scene, store, "drift.found", 1700000001);
    event_put(scene, store, "converged", time(NULL));
    event_put(scene, store, "x", time(NULL));
    store_close(store);
    ran = RUN(scene, "events", "--color=always");
    assert_says(ran.out, "\033[31mop.failed");
    assert_says(ran.out, "\033[33mdrift.found");
    assert_says(ran.out, "\033[32mconverged");
    assert_not_says(RUN(scene, "events", "--since=1h").out, "op.failed");
    assert_says(RUN(scene, "events", "--since=1h").out, "converged");
    assert_not_says(RUN(scene, "events", "-n", "1").out, "converged");
    assert_says(RUN(scene, "events", "--json").out, "\"events\": [");
    assert_int_equal(RUN(scene, "events", "--limit=0").status, 64);
    ran = RUN(scene, "events", "--since=whenever");
    assert_int_equal(ran.status, 64);
    ran = RUN(scene, "events", "--follow");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "nothing to follow");
}

static void a_freeze_is_set_listed_and_lifted_without_a_daemon(void **state)
{
    struct scene *scene = *state;
    assert_says(RUN(scene, "freeze").err, "nothing is frozen");
    assert_int_equal(RUN(scene, "freeze", "changes").status, 64);
    assert_int_equal(RUN(scene, "freeze", "changes", "--why=").status, 64);
    assert_int_equal(RUN(scene, "freeze", "changes", "--why=x", "--until=never").status, 64);
    assert_says(RUN(scene, "freeze", "chnages", "--why=x").err, "did you mean 'changes'?");
    assert_not_says(RUN(scene, "freeze", "everything at once", "--why=x").err, "did you mean");
    assert_int_equal(RUN(scene, "freeze", "changes", "--why=the fair", "--until=1h").status, 0);
    assert_int_equal(RUN(scene, "freeze", "healing", "--why=a test", "--json").status, 0);
    struct ran ran = RUN(scene, "freeze");
    assert_says(ran.out, "the fair");
    assert_says(ran.out, "lifted"); /* until it is */
    assert_says(RUN(scene, "freeze", "--json").out, "\"until\": null");
    assert_int_equal(RUN(scene, "freeze", "--lift=changes", "healing").status, 64);
    assert_int_equal(RUN(scene, "freeze", "--lift=changes", "--why=x").status, 64);
    assert_int_equal(RUN(scene, "freeze", "--lift=changes", "--until=1h").status, 64);
    assert_int_equal(RUN(scene, "freeze", "--lift=change").status, 64);
    ran = RUN(scene, "freeze", "--lift=changes");
    assert_string_equal(ran.out, "changes: no longer frozen\n");
    ran = RUN(scene, "freeze", "--lift=changes");
    assert_int_equal(ran.status, 1);
    assert_not_says(RUN(scene, "freeze").out, "the fair");
}

static void what_was_released_and_what_lies_in_the_trash_is_listed(void **state)
{
    static const char trash[] =
        "[{\"kind\":\"Volume\",\"uid\":\"u1\",\"bytes\":2048,\"deletedAt\":1700000000,"
        "\"until\":1700086400,\"native\":\"/pool/.trash/u1\"}]";
    struct scene *scene = *state;
    struct ran ran = RUN(scene, "purge");
    assert_int_equal(ran.status, 0);
    assert_says(ran.err, "nothing is released, and nothing lies in the trash");
    struct store *store = store_of(scene);
    assert_int_equal(store_fact_put(store, "trash", trash, &scene->err), 0);
    store_close(store);
    ran = RUN(scene, "purge");
    assert_says(ran.out, "/pool/.trash/u1");
    assert_says(ran.out, "2023-11-15T22:13:20Z");
    assert_not_says(ran.out, UID_OLD);
    store = store_of(scene);
    rack_put(scene, store);
    store_close(store);
    ran = RUN(scene, "purge");
    assert_says(ran.out, UID_OLD);
    assert_says(ran.out, "/pool/.trash/u1");
    assert_says(RUN(scene, "purge", "--json").out, "\"trash\": [");
    assert_int_equal(RUN(scene, "purge", UID_OLD).status, 64); /* nobody can be asked */
    ran = RUN(scene, "purge", UID_OLD, "--yes");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "the next 'spinel apply' deletes it");
    assert_says(RUN(scene, "events").out, "asked to destroy what was released");
    ran = RUN(scene, "purge", UID_VPC, "--yes");
    assert_int_equal(ran.status, 1);
}

static void a_person_says_yes_and_nothing_else_will_do(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_of(scene);
    rack_put(scene, store);
    store_close(store);
    struct ran ran = RUN_ON_TERMINAL(scene, 80, "no\n", "purge", UID_OLD);
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "nothing was done");
    ran = RUN_ON_TERMINAL(scene, 80, "\004", "purge", UID_OLD);
    assert_says(ran.out, "nothing was done");
    ran = RUN_ON_TERMINAL(scene, 80, "Y\n", "purge", UID_OLD);
    assert_says(ran.out, "given up");
}

static void what_decides_without_a_daemon_needs_the_store(void **state)
{
    struct scene *scene = *state;
    file_put(scene, "state/spinel.db", "this is no database, and never was one of ours.......\n");
    assert_int_equal(RUN(scene, "purge", UID_OLD, "--yes").status, 1);
    assert_int_equal(RUN(scene, "freeze", "changes", "--why=x").status, 1);
    assert_int_equal(RUN(scene, "freeze", "--lift=changes").status, 1);
    assert_int_equal(RUN(scene, "approve", "hold-1").status, 1);
}

static void a_daemon_is_told_of_every_decision(void **state)
{
    static const char fine[] = "{\"id\":1,\"result\":{}}\n";
    struct scene *scene = *state;
    daemon_says(scene, ANSWERS(fine, fine, fine, fine, fine, fine));
    assert_says(RUN(scene, "approve", "hold-1").out, "The daemon goes on with it.");
    assert_says(RUN(scene, "approve", "hold-1", "--json").out, "\"hold\": \"hold-1\"");
    assert_int_equal(RUN(scene, "freeze", "changes", "--why=x").status, 0);
    assert_int_equal(RUN(scene, "freeze", "--lift=changes").status, 0);
    assert_says(RUN(scene, "purge", UID_OLD, "--yes").out, "the daemon deletes it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_a_revision_there_is_no_history),
        CASE(each_revision_has_its_outcome),
        CASE(a_trace_tells_what_failed_and_what_the_next_revision_cut_short),
        CASE(operations_tell_what_they_changed_or_why_they_failed),
        CASE(events_are_shown_from_a_time_or_as_many_as_asked),
        CASE(a_freeze_is_set_listed_and_lifted_without_a_daemon),
        CASE(what_was_released_and_what_lies_in_the_trash_is_listed),
        CASE(a_person_says_yes_and_nothing_else_will_do),
        CASE(what_decides_without_a_daemon_needs_the_store),
        CASE(a_daemon_is_told_of_every_decision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
