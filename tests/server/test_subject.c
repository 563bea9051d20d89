/* SPDX-License-Identifier: MPL-2.0 */
/* What `spinel driver test` makes of a driver that ends, floods, or says what nobody asked. */
#include "tests/waiting.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "model/arena.h"
#include "model/text.h"
#include "reconciler/server/subject.h"

/* A driver that answers initialize and then does what its script says. */
#define DRIVER(script)                                                                           \
    ((const char *const[]){"sh", "-c", "read -r line; echo '{\"id\":1,\"result\":{}}'\n" script, \
                           NULL})

static int set_up(void **state)
{
    struct subject *subject = calloc(1, sizeof *subject);
    assert_non_null(subject);
    subject->arena = arena_new();
    subject->state_dir = "/nonexistent";
    *state = subject;
    return 0;
}

static int tear_down(void **state)
{
    struct subject *subject = *state;
    subject_kill(subject);
    lines_free(&subject->lines);
    arena_free(subject->arena);
    free(subject);
    return 0;
}

static void start(struct subject *subject, const char *const *argv)
{
    subject->argv = argv;
    assert_non_null(subject_start(subject));
}

static void how_a_driver_ended_is_told_as_a_shell_tells_it(void **state)
{
    struct subject *subject = *state;
    assert_int_equal(subject_end(subject), -1); /* none was started */
    start(subject, DRIVER("cat >/dev/null; exit 3"));
    assert_int_equal(subject_end(subject), 3);
    assert_int_equal(subject_end(subject), -1);
    subject->next_id = 0;
    start(subject, DRIVER("cat >/dev/null; kill -USR1 $$"));
    assert_int_equal(subject_end(subject), 128 + SIGUSR1);
    subject->argv = (const char *const[]){"/nonexistent/driver", NULL};
    assert_null(subject_start(subject));
    assert_int_equal(subject_end(subject), 127);
}

static const char *text_of(struct subject *subject, int id)
{
    return value_get_text(subject_receive(subject, id), "result", "none");
}

static void answers_that_nobody_asked_for_are_passed_over(void **state)
{
    struct subject *subject = *state;
    start(subject, DRIVER("read -r line; read -r line; cat <<.\n"
                          "this is no JSON\n"
                          "{\"result\":\"a notice\"}\n"
                          "{\"id\":0,\"result\":\"zero\"}\n"
                          "{\"id\":77,\"result\":\"of the future\"}\n"
                          "{\"id\":\"2\",\"result\":\"text\"}\n"
                          "{\"id\":2.5,\"result\":\"a fraction\"}\n"
                          "{\"id\":null,\"result\":\"to what was no request\"}\n"
                          "{\"id\":3,\"result\":\"third\"}\n"
                          "{\"id\":2,\"result\":\"second\"}\n"
                          ".\n"
                          "cat >/dev/null"));
    int second = subject_send(subject, "observe", NULL),
        third = subject_send(subject, "apply", NULL);
    assert_string_equal(text_of(subject, second), "second");
    assert_string_equal(text_of(subject, third), "third");
    assert_string_equal(text_of(subject, SUBJECT_NULL_ID), "to what was no request");
    assert_int_equal(subject_end(subject), 0);
}

static void a_request_without_params_has_an_empty_map(void **state)
{
    struct subject *subject = *state;
    start(subject, DRIVER("read -r line; case $line in\n"
                          "*'\"params\":{}'*) echo '{\"id\":2,\"result\":\"empty\"}';;\n"
                          "*) echo '{\"id\":2,\"result\":\"other\"}';; esac"));
    assert_string_equal(text_of(subject, subject_send(subject, "observe", NULL)), "empty");
}

static void a_driver_that_ends_is_not_waited_for(void **state)
{
    struct subject *subject = *state;
    static char more[1 << 20]; /* than a pipe holds */
    memset(more, 'x', sizeof more);
    start(subject, DRIVER("exec <&-; echo '{\"id\":2}'; sleep 0.1"));
    assert_non_null(subject_receive(subject, 2)); /* from here on it does not listen */
    assert_false(subject_write(subject, more, sizeof more));
    assert_null(subject_call(subject, "observe", NULL));
    assert_int_equal(subject_end(subject), 0);
}

static void a_flood_without_an_end_of_line_has_an_end(void **state)
{
    struct subject *subject = *state;
    start(subject, DRIVER("read -r line; exec cat /dev/zero"));
    assert_null(subject_call(subject, "observe", NULL));
    assert_in_range(subject->lines.input.len, 64 << 20, 65 << 20);
}

/* As for one that has as many files open as it may. */
static void with_descriptors(int more, struct rlimit *before)
{
    int next = dup(STDERR_FILENO);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
    const struct rlimit few = {.rlim_cur = (rlim_t)(next + more), .rlim_max = before->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
}

static void without_descriptors_no_driver_is_started(void **state)
{
    struct subject *subject = *state;
    struct rlimit before;
    subject->argv = DRIVER("cat >/dev/null");
    for (int more = 0; more < 4; more++) {
        with_descriptors(more, &before);
        const struct value *started = subject_start(subject);
        setrlimit(RLIMIT_NOFILE, &before);
        assert_null(started);
        assert_int_equal(subject->pid, 0);
    }
    start(subject, subject->argv); /* what was opened is closed again */
    assert_int_equal(subject_end(subject), 0);
}

static void without_a_descriptor_the_end_is_seen_all_the_same(void **state)
{
    struct subject *subject = *state;
    struct rlimit before;
    start(subject, DRIVER("cat >/dev/null; sleep 0.1; exit 5"));
    close(subject->in); /* as subject_end() does, which leaves one to be opened */
    subject->in = -1;
    with_descriptors(0, &before);
    int status = subject_end(subject);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(status, 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(how_a_driver_ended_is_told_as_a_shell_tells_it),
        TEST(answers_that_nobody_asked_for_are_passed_over),
        TEST(a_request_without_params_has_an_empty_map),
        TEST(a_driver_that_ends_is_not_waited_for),
        TEST(a_flood_without_an_end_of_line_has_an_end),
        TEST(without_descriptors_no_driver_is_started),
        TEST(without_a_descriptor_the_end_is_seen_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
