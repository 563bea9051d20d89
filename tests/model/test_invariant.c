/* SPDX-License-Identifier: MPL-2.0 */
/* How a process ends that must not go on: what it says, and that NDEBUG changes nothing. */
#define NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "model/invariant.h"

/* Runs it in a process of its own; returns how that ended. */
static int ending(void (*run)(int value), int value, char said[2048])
{
    int pipes[2], status = -1;
    size_t len = 0;
    ssize_t got;
    assert_int_equal(pipe(pipes), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipes[1], STDERR_FILENO);
        run(value);
        _exit(0);
    }
    close(pipes[1]);
    while ((got = read(pipes[0], said + len, 2047 - len)) > 0)
        len += (size_t)got;
    said[len] = '\0';
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void epoch_check(int value)
{
    invariant(value > 4, "object %s has epoch %d", "shop/web-1", value);
}

static void memory_check(int value)
{
    memory_need(value ? &value : NULL);
}

static void what_holds_costs_nothing(void **state)
{
    char said[2048];
    (void)state;
    assert_int_equal(ending(epoch_check, 5, said), 0);
    assert_string_equal(said, "");
    assert_int_equal(ending(memory_check, 1, said), 0);
}

static void a_broken_invariant_says_what_where_and_what_to_do(void **state)
{
    char said[2048];
    (void)state;
    int status = ending(epoch_check, 4, said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, "object shop/web-1 has epoch 4"));
    assert_non_null(strstr(said, "tests/model/test_invariant.c:"));
    assert_non_null(strstr(said, "epoch_check"));
    assert_non_null(strstr(said, "value > 4"));
    assert_non_null(strstr(said, "spinel version"));
}

static void long_check(int value)
{
    char text[4000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    invariant(value == 0, "%s", text);
}

static void a_long_message_is_cut_and_nothing_else_happens(void **state)
{
    char said[2048];
    (void)state;
    int status = ending(long_check, 1, said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "please report"));
}

static void no_memory_says_so(void **state)
{
    char said[2048];
    (void)state;
    int status = ending(memory_check, 0, said);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "out of memory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_holds_costs_nothing),
        cmocka_unit_test(a_broken_invariant_says_what_where_and_what_to_do),
        cmocka_unit_test(a_long_message_is_cut_and_nothing_else_happens),
        cmocka_unit_test(no_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
