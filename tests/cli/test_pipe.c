/* SPDX-License-Identifier: MPL-2.0 */
/* A program that is given its input by a pipe: how it ended is what there is to say. */
#include "tests/waiting.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include "reconciler/cli/pipe.h"

static struct error err;

static int run(const char *script, const char *input, size_t len)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    err = (struct error)ERROR_INIT;
    return pipe_run(argv, input, len, &err);
}

static void assert_fails(const char *script, const char *why)
{
    assert_int_equal(run(script, "input\n", 6), ERR_SYSTEM);
    assert_string_equal(err.message, why);
}

static void how_it_ended_is_told(void **state)
{
    (void)state;
    assert_int_equal(run("read -r line && test \"$line\" = input", "input\n", 6), 0);
    assert_fails("cat >/dev/null; exit 3", "sh failed (status 3)");
    assert_fails("kill -KILL $$", "sh failed (status 137)");
}

/* Under valgrind it is started first, and ends as a shell would. */
static void what_is_not_there_cannot_be_run(void **state)
{
    const char *const argv[] = {"/nonexistent/less", NULL};
    (void)state;
    assert_true(pipe_run(argv, "x", 1, &err) < 0);
    if (strcmp(err.message, "/nonexistent/less failed (status 127)") != 0)
        assert_string_equal(err.message, "cannot run /nonexistent/less: No such file or directory");
}

static void it_may_end_before_it_has_read_all(void **state)
{
    static char much[1 << 20];
    (void)state;
    assert_int_equal(run("exit 0", much, sizeof much), 0);
    assert_int_equal(run("head -c 10 >/dev/null; exit 4", much, sizeof much), ERR_SYSTEM);
    assert_string_equal(err.message, "sh failed (status 4)");
}

static void without_descriptors_it_is_not_run(void **state)
{
    struct rlimit before;
    int next = dup(STDERR_FILENO);
    (void)state;
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit few = {.rlim_cur = (rlim_t)next + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int status = run("exit 0", "x", 1);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_true(status < 0);
    assert_non_null(strstr(err.message, "cannot run sh: Too many open files"));
}

/* As whoever starts Spinel may have set it: then nobody is told how a child ended. */
static void where_no_child_is_waited_for_its_end_is_unknown(void **state)
{
    (void)state;
    signal(SIGCHLD, SIG_IGN);
    int status = run("exit 0", "x", 1);
    signal(SIGCHLD, SIG_DFL);
    assert_true(status < 0);
    assert_non_null(strstr(err.message, "cannot tell how sh ended"));
}

static volatile sig_atomic_t rings;

static void ring(int signal)
{
    (void)signal;
    rings++;
}

/* It neither loses a part of the input nor gives up the wait. */
static void a_signal_meanwhile_does_no_harm(void **state)
{
    static char much[1 << 20];
    const struct itimerval often = {{.tv_usec = 5000}, {.tv_usec = 5000}}, off = {0};
    const struct sigaction action = {.sa_handler = ring}; /* without SA_RESTART */
    (void)state;
    rings = 0;
    memset(much, 'x', sizeof much);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    int status = run("sleep 0.1; test $(wc -c) = 1048576; read=$?; sleep 0.1; exit $read", much,
                     sizeof much);
    setitimer(ITIMER_REAL, &off, NULL);
    signal(SIGALRM, SIG_DFL);
    assert_true(rings > 0);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_it_ended_is_told),
        cmocka_unit_test(what_is_not_there_cannot_be_run),
        cmocka_unit_test(it_may_end_before_it_has_read_all),
        cmocka_unit_test(without_descriptors_it_is_not_run),
        cmocka_unit_test(where_no_child_is_waited_for_its_end_is_unknown),
        cmocka_unit_test(a_signal_meanwhile_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
