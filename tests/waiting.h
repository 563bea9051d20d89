/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_WAITING_H
#define TESTS_WAITING_H

/*
 * Processes that a test starts, and what it waits for. Nothing is waited for by the clock: a
 * condition is asked for again, and the deadline is so far that only what fails gets there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MAX_MS = 120000, WAIT_STEP_MS = 2 };

/* False if it is still not so when the deadline has passed. */
static inline bool wait_until(bool (*is_so)(void *context), void *context)
{
    for (int waited_ms = 0; !is_so(context); waited_ms += WAIT_STEP_MS) {
        if (waited_ms >= WAIT_MAX_MS)
            return false;
        usleep(WAIT_STEP_MS * 1000);
    }
    return true;
}

/* As fork(), for a child that gets SIGTERM when the test ends, however that ends. */
static inline pid_t child_fork(void)
{
    pid_t test = getpid();
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != test))
        _exit(99);
    return pid;
}

struct child {
    pid_t pid;
    int status;
};

static inline bool child_has_ended(void *context)
{
    struct child *child = context;
    return waitpid(child->pid, &child->status, WNOHANG) != 0;
}

/* Waits for its end: its exit status, or -1 if a signal ended it. One that goes on is killed. */
static inline int child_end(pid_t pid)
{
    struct child child = {.pid = pid, .status = 0};
    if (!wait_until(child_has_ended, &child)) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        fail_msg("process %d did not end", (int)pid);
    }
    return WIFEXITED(child.status) ? WEXITSTATUS(child.status) : -1;
}

#endif
