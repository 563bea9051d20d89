/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Linked into what `make coverage` builds. Counts are written when a process exits,
 * and much of Spinel ends otherwise: children by _exit, the viewer by SIGKILL. The
 * linker sends both here (--wrap), and the counts are written first. Under torture what
 * writes them must not fail, so torture ends before.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void __gcov_dump(void);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);
int __real_kill(pid_t pid, int signal);
int __wrap_kill(pid_t pid, int signal);

/* Of tests/torture/hook.c, in the program that has it. */
extern struct torture *torture __attribute__((weak));

enum { KEEP = SIGSTKFLT, WAIT_MS = 500 };

static void torture_end(void)
{
    if (&torture)
        torture = NULL;
}

static void counts_write(int signal)
{
    (void)signal;
    torture_end();
    __gcov_dump();
    __real_kill(getpid(), SIGKILL);
}

/* Whoever ends as a signal would have it writes the counts and then ends in that way. */
static void counts_write_and_end(int signal)
{
    torture_end();
    __gcov_dump();
    const struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(signal, &action, NULL);
    __real_kill(getpid(), signal);
}

static void endings_watch(void)
{
    static const int endings[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGABRT};
    for (unsigned i = 0; i < sizeof endings / sizeof *endings; i++) {
        struct sigaction was, action = {.sa_handler = counts_write_and_end};
        if (sigaction(endings[i], NULL, &was) == 0 && was.sa_handler == SIG_DFL)
            sigaction(endings[i], &action, NULL);
    }
}

__attribute__((constructor)) static void handler_set(void)
{
    const struct sigaction action = {.sa_handler = counts_write};
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, KEEP);
    sigaction(KEEP, &action, NULL);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    atexit(torture_end);
    endings_watch();
}

_Noreturn void __wrap__exit(int status)
{
    torture_end();
    __gcov_dump();
    __real__exit(status);
}

/* A child that must die writes its counts first, if it does so soon. */
int __wrap_kill(pid_t pid, int signal)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    if (signal == SIGKILL && pid > 0 && pid != getpid() && __real_kill(pid, KEEP) == 0) {
        for (int i = 0; i < WAIT_MS; i++) {
            siginfo_t info = {0};
            if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid)
                break;
            nanosleep(&moment, NULL);
        }
    }
    return __real_kill(pid, signal);
}
