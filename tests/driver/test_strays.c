/* SPDX-License-Identifier: MPL-2.0 */
/* Who is left of a session dies, however fast it forks, and nobody else. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <cmocka.h>
#include "drivers/lib/strays.h"

enum { HOPPERS = 8, HOPS = 20, HOP_US = 200, TIMEOUT_S = 60 };

static int groups[2]; /* each hopper tells its group, once it is under way */

/* Never the same process for longer than that. */
static _Noreturn void hop(void)
{
    const pid_t group = getpgrp();
    for (int i = 0;; i++) {
        if (i == HOPS && write(groups[1], &group, sizeof group) != (ssize_t)sizeof group)
            _exit(1);
        usleep(HOP_US);
        if (fork() > 0)
            _exit(0);
    }
}

static pid_t session_start(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    setsid();
    alarm(TIMEOUT_S);
    for (int i = 0; i < HOPPERS; i++) {
        if (fork() == 0) {
            setpgid(0, 0);
            hop();
        }
    }
    pause();
    _exit(0);
}

static bool has_gone(pid_t group)
{
    for (int waited_ms = 0; waited_ms < 1000 && kill(-group, 0) == 0; waited_ms++)
        usleep(1000);
    bool is_gone = kill(-group, 0) < 0;
    kill(-group, SIGKILL); /* whatever comes of the test */
    return is_gone;
}

static void all_of_a_session_die_and_nobody_else(void **state)
{
    (void)state;
    pid_t group[HOPPERS];
    int gone = 0;
    signal(SIGCHLD, SIG_IGN); /* no dead are left to be counted */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(pipe2(groups, O_CLOEXEC), 0);
    pid_t other = fork();
    if (other == 0) {
        setsid();
        alarm(TIMEOUT_S);
        pause();
        _exit(0);
    }
    pid_t session = session_start();
    for (int i = 0; i < HOPPERS; i++)
        assert_int_equal(read(groups[0], &group[i], sizeof *group), sizeof *group);
    session_kill(session);
    int other_lives = kill(other, 0) == 0;
    kill(other, SIGKILL);
    for (int i = 0; i < HOPPERS; i++)
        gone += has_gone(group[i]);
    close(groups[0]);
    close(groups[1]);
    assert_int_equal(gone, HOPPERS);
    assert_int_equal(kill(session, 0), -1);
    assert_true(other_lives);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_of_a_session_die_and_nobody_else)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
