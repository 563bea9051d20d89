/* SPDX-License-Identifier: MPL-2.0 */
/* What the library does with calls that hang, crash or are not wanted any more. The
 * driver is exec, its script notes its process ids in a file. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include "tests/driver/rack.h"

static const char script[] =
    "#!/bin/sh\n"
    "input=$(cat)\n"
    "here=${0%/*}\n"
    "case $1 in\n"
    "list) echo '{\"list\":[[\"00000000000000000000000000000001\",1,\"same\"]]}' ;;\n"
    "look) case $input in *00dead*) kill -KILL $PPID ;; *) echo '{\"absent\":true}' ;; esac ;;\n"
    "apply) case $input in\n"
    "    *stall*) sleep 600 & echo $! >$here/child.new; mv $here/child.new $here/child; wait ;;\n"
    "    *group*) timeout 600 sleep 600 & echo $! >$here/child.new; sleep 0.2\n"
    "        mv $here/child.new $here/child; case $input in *wait*) wait ;; esac ;;\n"
    "    *session*) setsid sleep 600 & sleep 0.2; echo $! >$here/child ;;\n"
    "    *wrong*) echo 'something before' >&2; echo 'the size is odd' >&2; exit 2 ;;\n"
    "    *crash*) kill -KILL $$ ;;\n"
    "    esac ;;\n"
    "esac\n";

static int setup(void **state)
{
    struct rack *rack = rack_new("exec");
    const char *path = arena_printf(rack->arena, "%s/script", rack->dir);
    file_write(path, script, sizeof script - 1, 0755);
    rack_start(rack, arena_printf(rack->arena, "{\"script\":\"%s\"}", path));
    *state = rack;
    return 0;
}

static int teardown(void **state)
{
    rack_free(*state);
    return 0;
}

/* The process that the script started in the background, once it says so. */
static pid_t child_await(struct rack *rack)
{
    const char *path = arena_printf(rack->arena, "%s/child", rack->dir);
    int pid = 0;
    while (pid == 0) {
        FILE *file = fopen(path, "r");
        if (file && fscanf(file, "%d", &pid) != 1)
            pid = 0;
        if (file)
            fclose(file);
        else
            poll(NULL, 0, 10);
    }
    unlink(path);
    return pid;
}

static bool is_alive(pid_t pid)
{
    char path[64], status = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    bool is_read = fscanf(file, "%*d (%*[^)]) %c", &status) == 1;
    fclose(file);
    return is_read && status != 'Z';
}

static bool dies(pid_t pid)
{
    for (int i = 0; i < 1000 && is_alive(pid); i++)
        poll(NULL, 0, 10);
    return !is_alive(pid);
}

#define STALL "{\"spec\":{\"what\":\"stall\"}}"

static void cancel_is_answered_when_the_children_are_dead(void **state)
{
    struct rack *rack = *state;
    int apply = rack_send(rack, 1, 1, "create", "NIC", STALL);
    pid_t child = child_await(rack);
    const struct value *answer =
        subject_call(&rack->subject, "cancel", json_of(rack->arena, "{\"op\":\"1-1-create\"}"));
    assert_false(is_alive(child));
    assert_true(value_get_bool(value_get(answer, "result"), "killed", false));
    assert_refused(rack, subject_receive(&rack->subject, apply), "busy", "cancelled");
}

static void a_call_past_its_deadline_is_killed_with_its_children(void **state)
{
    struct rack *rack = *state;
    int apply =
        rack_send(rack, 1, 1, "create", "NIC", "{\"spec\":{\"what\":\"stall\"},\"deadline\":1}");
    pid_t child = child_await(rack);
    assert_refused(rack, subject_receive(&rack->subject, apply), "busy", "killed");
    assert_false(is_alive(child));
}

static void a_newer_epoch_ends_the_older_operation_first(void **state)
{
    struct rack *rack = *state;
    int older = rack_send(rack, 1, 1, "create", "NIC", STALL);
    pid_t child = child_await(rack);
    assert_applied(rack, rack_apply(rack, 1, 2, "update", "NIC", "{\"spec\":{}}"));
    assert_false(is_alive(child));
    assert_refused(rack, subject_receive(&rack->subject, older), "conflict", "superseded");
}

static void an_older_epoch_is_refused_while_a_newer_one_runs(void **state)
{
    struct rack *rack = *state;
    rack_send(rack, 1, 5, "create", "NIC", STALL);
    child_await(rack);
    assert_refused(rack, rack_apply(rack, 1, 4, "update", "NIC", "{\"spec\":{}}"), "stale",
                   "older than 5");
}

static void an_operation_that_failed_is_not_acknowledged(void **state)
{
    struct rack *rack = *state;
    assert_refused(rack, rack_apply(rack, 1, 3, "delete", "NIC", "{\"spec\":{\"what\":\"crash\"}}"),
                   "system", "signal 9");
    const struct value *object = rack_look(rack, 1);
    assert_true(is_absent(object));
    assert_int_equal(value_get_int(object, "epoch", -1), 0);
    assert_refused(rack, rack_apply(rack, 1, 2, "update", "NIC", "{\"spec\":{}}"), "stale", "");
}

static const char *etag_of(struct rack *rack)
{
    const struct value *answer = subject_call(&rack->subject, "observe", value_map(rack->arena));
    const struct value *list = value_at(answer, "result.list");
    assert_true(value_is_list(list) && list->count == 1);
    return list->items[0]->items[2]->text;
}

/* Its effect may come after a look, and the object's own etag would not tell. */
static void what_was_begun_and_not_ended_is_listed_as_not_seen_before(void **state)
{
    struct rack *rack = *state;
    assert_string_equal(etag_of(rack), "same");
    assert_refused(rack, rack_apply(rack, 1, 3, "update", "NIC", "{\"spec\":{\"what\":\"crash\"}}"),
                   "system", "signal 9");
    const char *first = etag_of(rack);
    assert_string_not_equal(first, "same");
    assert_string_equal(etag_of(rack), first);
    rack_send(rack, 1, 3, "update", "NIC", STALL);
    child_await(rack);
    const char *second = etag_of(rack);
    assert_string_not_equal(second, first);
    subject_call(&rack->subject, "cancel", json_of(rack->arena, "{\"op\":\"1-3-update\"}"));
    const char *third = etag_of(rack);
    assert_string_not_equal(third, second);
    subject_end(&rack->subject);
    assert_non_null(value_get(subject_start(&rack->subject), "result"));
    assert_string_not_equal(etag_of(rack), third);
    assert_applied(rack, rack_apply(rack, 1, 4, "update", "NIC", "{\"spec\":{}}"));
    assert_string_equal(etag_of(rack), "same");
}

static void other_objects_go_on_while_one_hangs(void **state)
{
    struct rack *rack = *state;
    rack_send(rack, 1, 1, "create", "NIC", STALL);
    child_await(rack);
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "NIC", "{\"spec\":{}}"));
    assert_true(is_absent(rack_look(rack, 3)));
}

static void a_script_that_fails_is_quoted(void **state)
{
    struct rack *rack = *state;
    assert_refused(rack, rack_apply(rack, 1, 1, "create", "NIC", "{\"spec\":{\"a\":\"wrong\"}}"),
                   "invalid", "the size is odd");
}

/* The script kills the process of the call itself. */
static void a_look_that_crashes_costs_its_own_object_only(void **state)
{
    struct rack *rack = *state;
    const struct value *message =
        subject_call(&rack->subject, "observe",
                     json_of(rack->arena, "{\"uids\":[\"00000000000000000000000000000001\","
                                          "\"00dead00000000000000000000000002\","
                                          "\"00000000000000000000000000000003\"]}"));
    const struct value *objects = value_at(message, "result.objects");
    assert_int_equal(objects->count, 3);
    assert_true(is_absent(objects->items[0]));
    assert_true(value_get_bool(objects->items[1], "unknown", false));
    assert_non_null(strstr(value_at_text(objects->items[1], "error.message", ""), "signal 9"));
    assert_true(is_absent(objects->items[2]));
}

static void kill_nine_of_the_driver_takes_every_child_along(void **state)
{
    struct rack *rack = *state;
    rack_send(rack, 1, 1, "create", "NIC", STALL);
    pid_t child = child_await(rack);
    subject_kill(&rack->subject);
    assert_true(dies(child));
}

static void the_end_of_input_ends_driver_and_children(void **state)
{
    struct rack *rack = *state;
    rack_send(rack, 1, 1, "create", "NIC", STALL);
    pid_t child = child_await(rack);
    assert_int_equal(subject_end(&rack->subject), 0);
    assert_true(dies(child));
}

/* timeout(1) makes a process group of its own, as a shell's job control does. */
static void what_left_the_group_is_dead_when_the_call_is_answered(void **state)
{
    struct rack *rack = *state;
    int apply = rack_send(rack, 1, 1, "create", "NIC", "{\"spec\":{\"what\":\"group wait\"}}");
    pid_t child = child_await(rack);
    subject_call(&rack->subject, "cancel", json_of(rack->arena, "{\"op\":\"1-1-create\"}"));
    assert_false(is_alive(child));
    assert_refused(rack, subject_receive(&rack->subject, apply), "busy", "cancelled");
    assert_applied(rack,
                   rack_apply(rack, 1, 2, "create", "NIC", "{\"spec\":{\"what\":\"group\"}}"));
    assert_false(is_alive(child_await(rack)));
}

static void what_left_the_group_of_another_call_goes_on(void **state)
{
    struct rack *rack = *state;
    rack_send(rack, 1, 1, "create", "NIC", "{\"spec\":{\"what\":\"group wait\"}}");
    pid_t child = child_await(rack);
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "NIC", "{\"spec\":{}}"));
    bool was_alive = is_alive(child);
    kill(-child, SIGKILL); /* nothing else would: this driver does not lead its session */
    assert_true(was_alive);
}

static void kill_nine_of_the_driver_takes_what_left_the_group_along(void **state)
{
    struct rack *rack = *state;
    const char *const argv[] = {"setsid", rack->argv[0], NULL}; /* as the daemon starts it */
    subject_kill(&rack->subject);
    rack->subject.argv = argv;
    rack_start(rack, json_text(rack->arena, rack->subject.settings));
    rack_send(rack, 1, 1, "create", "NIC", "{\"spec\":{\"what\":\"group wait\"}}");
    pid_t child = child_await(rack);
    subject_kill(&rack->subject);
    assert_true(dies(child));
}

/* The launcher of a machine says so: the machine is to outlive whoever started it. */
static void what_left_the_session_outlives_call_and_driver(void **state)
{
    struct rack *rack = *state;
    assert_applied(rack,
                   rack_apply(rack, 1, 1, "create", "NIC", "{\"spec\":{\"what\":\"session\"}}"));
    pid_t child = child_await(rack);
    assert_true(is_alive(child));
    subject_kill(&rack->subject);
    poll(NULL, 0, 300);
    assert_true(is_alive(child));
    kill(child, SIGKILL);
}

static void a_second_driver_observes_but_does_not_apply(void **state)
{
    struct rack *rack = *state;
    struct rack second = *rack;
    second.subject.pid = 0;
    second.subject.lines = LINES_INIT;
    second.started = subject_start(&second.subject);
    assert_non_null(value_get(second.started, "result"));
    assert_true(is_absent(rack_look(&second, 1)));
    assert_refused(&second, rack_apply(&second, 1, 1, "create", "NIC", "{\"spec\":{}}"), "busy",
                   "another driver");
    subject_kill(&rack->subject);
    assert_applied(&second, rack_apply(&second, 1, 1, "create", "NIC", "{\"spec\":{}}"));
    subject_kill(&second.subject);
    lines_free(&second.subject.lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(cancel_is_answered_when_the_children_are_dead),
        TEST(a_call_past_its_deadline_is_killed_with_its_children),
        TEST(a_newer_epoch_ends_the_older_operation_first),
        TEST(an_older_epoch_is_refused_while_a_newer_one_runs),
        TEST(an_operation_that_failed_is_not_acknowledged),
        TEST(what_was_begun_and_not_ended_is_listed_as_not_seen_before),
        TEST(other_objects_go_on_while_one_hangs),
        TEST(a_script_that_fails_is_quoted),
        TEST(a_look_that_crashes_costs_its_own_object_only),
        TEST(kill_nine_of_the_driver_takes_every_child_along),
        TEST(the_end_of_input_ends_driver_and_children),
        TEST(what_left_the_group_is_dead_when_the_call_is_answered),
        TEST(what_left_the_group_of_another_call_goes_on),
        TEST(kill_nine_of_the_driver_takes_what_left_the_group_along),
        TEST(what_left_the_session_outlives_call_and_driver),
        TEST(a_second_driver_observes_but_does_not_apply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
