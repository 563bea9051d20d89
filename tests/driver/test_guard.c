/* SPDX-License-Identifier: MPL-2.0 */
/* The guard kills the groups that its pipe names, and nobody else, whatever the system refuses. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/lib/guard.h"

enum { FIRST_FD = 3 };

static int refused; /* dup2() fails */

int __real_dup2(int from, int to);
int __wrap_dup2(int from, int to);
int __wrap_dup2(int from, int to)
{
    if (!refused)
        return __real_dup2(from, to);
    errno = EMFILE;
    return -1;
}

static pid_t group_begin(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    setpgid(pid, pid);
    return pid;
}

/* Lets the guard end, and says whether it killed the group: what SIGKILL was sent to dies of that.
 */
static bool guard_kills(int guard_fd, pid_t group)
{
    int status = 0;
    close(guard_fd);
    pid_t ended = waitpid(-1, &status, 0);
    assert_true(ended > 0);
    if (ended != group) { /* the guard, which has done all that it does */
        kill(group, SIGTERM);
        assert_int_equal(waitpid(group, &status, 0), group);
    } else {
        assert_true(waitpid(-1, NULL, 0) > 0);
    }
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* What lies at the first descriptor names a group, as the daemon's own messages might. */
static bool bystander_dies(pid_t bystander)
{
    int ends[2], saved = fcntl(FIRST_FD, F_DUPFD_CLOEXEC, 100);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], &bystander, sizeof bystander), sizeof bystander);
    close(ends[1]);
    if (ends[0] != FIRST_FD) {
        assert_true(__real_dup2(ends[0], FIRST_FD) == FIRST_FD);
        close(ends[0]);
    }
    refused = 1;
    int guard_fd = guard_start();
    refused = 0;
    assert_true(guard_fd >= 0);
    bool is_killed = guard_kills(guard_fd, bystander);
    close(FIRST_FD);
    if (saved >= 0) {
        __real_dup2(saved, FIRST_FD);
        close(saved);
    }
    return is_killed;
}

static void what_is_no_pipe_of_the_guards_names_no_group(void **state)
{
    (void)state;
    assert_false(bystander_dies(group_begin()));
}

static void group_of_a_call_dies_with_its_driver(void **state)
{
    (void)state;
    pid_t group = group_begin();
    int guard_fd = guard_start();
    assert_int_equal(write(guard_fd, &group, sizeof group), sizeof group);
    assert_true(guard_kills(guard_fd, group));
}

static void group_that_was_left_lives(void **state)
{
    (void)state;
    pid_t group = group_begin();
    int guard_fd = guard_start();
    assert_int_equal(write(guard_fd, &group, sizeof group), sizeof group);
    guard_leave(guard_fd, group);
    assert_false(guard_kills(guard_fd, group));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_pipe_of_the_guards_names_no_group),
        cmocka_unit_test(group_of_a_call_dies_with_its_driver),
        cmocka_unit_test(group_that_was_left_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
