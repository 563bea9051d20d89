/* SPDX-License-Identifier: MPL-2.0 */
/* Every driver that needs no machine of its own keeps the promises of the protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "model/arena.h"
#include "model/value.h"
#include "reconciler/server/conformance.h"

static char *built(struct arena *arena, const char *name)
{
    const char *build = getenv("BUILD");
    return arena_printf(arena, "%s/drivers/%s", build ? build : "build", name);
}

/* What the suite says goes to the log; it is TAP too, and would be taken for ours. */
static int suite_run(const char *const argv[], const struct value *settings)
{
    char *said = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&said, &len);
    int result = conformance_run_with(argv, settings, out);
    fclose(out);
    if (result != 0)
        fputs(said, stderr);
    free(said);
    return result;
}

static void sim_keeps_the_promises(void **state)
{
    struct arena *arena = arena_new();
    const char *const argv[] = {built(arena, "sim"), NULL};
    (void)state;
    assert_int_equal(suite_run(argv, NULL), 0);
    arena_free(arena);
}

static void file_keeps_the_promises(void **state)
{
    struct arena *arena = arena_new();
    const char *const argv[] = {built(arena, "file"), NULL};
    (void)state;
    assert_int_equal(suite_run(argv, NULL), 0);
    arena_free(arena);
}

static void exec_keeps_them_for_a_script(void **state)
{
    struct arena *arena = arena_new();
    const char *const argv[] = {built(arena, "exec"), NULL};
    char *script = realpath("contrib/drivers/hosts-file.sh", NULL);
    struct value *settings = value_map(arena);
    (void)state;
    value_set_text(arena, settings, "script", script);
    assert_int_equal(suite_run(argv, settings), 0);
    free(script);
    arena_free(arena);
}

static void the_example_in_python_keeps_them(void **state)
{
    const char *const argv[] = {"python3", "contrib/drivers/directory.py", NULL};
    (void)state;
    if (system("command -v python3 >/dev/null") != 0) {
        print_message("# SKIP no python3 here\n");
        skip();
    }
    assert_int_equal(suite_run(argv, NULL), 0);
}

static void a_driver_that_only_introduces_itself_is_found_out(void **state)
{
    const char *const argv[] = {"sh", "-c",
                                "read -r line; echo '{\"jsonrpc\":\"2.0\",\"id\":1,"
                                "\"result\":{\"name\":\"liar\",\"version\":\"1\","
                                "\"kinds\":[\"Volume\"]}}'",
                                NULL};
    char *said = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&said, &len);
    (void)state;
    assert_int_equal(conformance_run(argv, out), 1);
    fclose(out);
    assert_non_null(strstr(said, "\nok 1 - "));
    assert_non_null(strstr(said, "\nnot ok 8 - "));
    free(said);
}

/* A driver that keeps all promises but one: the suite says so, and of which. */
static void one_broken_promise_is_found(void **state)
{
    static const char *const faults[][2] = {
        {"no name", "not ok"},
        {"no version", "not ok"},
        {"no kinds", "no sample object"},
        {"odd kinds", "no sample object"},
        {"does not start", "Bail out! it does not start: "},
        {"another epoch", "not ok"},
        {"takes the stale", "not ok"},
        {"no release", "not ok"},
        {"never complete", "not ok"},
        {"short rows", "not ok"},
        {"rows of numbers", "not ok"},
        {"no rows", "not ok"},
        {"no objects", "not ok"},
        {"always unchanged", "not ok"},
        {"unchanged since another", "not ok"},
        {"absent without an epoch", "not ok"},
        {"another kind", "not ok"},
        {"another name", "not ok"},
        {"always released", "not ok"},
        {"never released", "not ok"},
        {"never absent", "not ok"},
        {"always absent", "not ok"},
        {"refuses to cancel", "not ok"},
        {"another code for garbage", "not ok"},
    };
    const char *build = getenv("BUILD");
    char *sim = NULL;
    (void)state;
    if (system("command -v python3 >/dev/null") != 0) {
        print_message("# SKIP no python3 here\n");
        skip();
    }
    assert_true(asprintf(&sim, "%s/drivers/sim", build ? build : "build") > 0);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const char *const argv[] = {"python3", "tests/driver/faulty.py", faults[i][0], sim, NULL};
        char *said = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&said, &len);
        int got = conformance_run(argv, out);
        fclose(out);
        if (got != 1 || !strstr(said, faults[i][1]))
            fail_msg("%s: %d\n%s", faults[i][0], got, said);
        free(said);
    }
    free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sim_keeps_the_promises),
        cmocka_unit_test(file_keeps_the_promises),
        cmocka_unit_test(exec_keeps_them_for_a_script),
        cmocka_unit_test(the_example_in_python_keeps_them),
        cmocka_unit_test(a_driver_that_only_introduces_itself_is_found_out),
        cmocka_unit_test(one_broken_promise_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
