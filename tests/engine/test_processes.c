/* SPDX-License-Identifier: MPL-2.0 */
/* Drivers that a command runs itself, without a supervisor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "reconciler/engine/shell_state.h"

/* Begins what is in another process group, and ends when its input does or never. */
static const char leaving[] = "#!/bin/sh\ntimeout 600 sleep 600 <&- & echo $! >$0.child\n"
                              "sleep 0.1; >$0.begun; %s\n";

static bool is_running(pid_t pid)
{
    char path[64], state = 'X';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'X';
    if (file)
        fclose(file);
    return state != 'X' && state != 'Z';
}

static pid_t child_of(const char *path)
{
    char name[64];
    int pid = 0;
    snprintf(name, sizeof name, "%s.begun", path);
    for (int i = 0; i < 1000 && access(name, F_OK) < 0; i++)
        usleep(10000);
    snprintf(name, sizeof name, "%s.child", path);
    FILE *file = fopen(name, "r");
    if (file && fscanf(file, "%d", &pid) != 1)
        pid = 0;
    if (file)
        fclose(file);
    return pid;
}

/* Whether what the driver left outlives the command. */
static bool is_left_by(const char *end)
{
    char path[] = "/tmp/spinel-process-XXXXXX", name[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0 && dprintf(fd, leaving, end) > 0 && fchmod(fd, 0755) == 0);
    close(fd);
    struct program program = {.name = "leaving", .path = path};
    struct shell shell = {.programs = &program,
                          .program_count = 1,
                          .loop = ev_default_loop(EVFLAG_NOENV),
                          .starter = &starter_own};
    processes_open(&shell);
    starter_own.start(&shell, &shell.processes[0]);
    pid_t child = child_of(path);
    assert_true(child > 0 && is_running(child));
    processes_close(&shell);
    bool is_left = is_running(child);
    kill(child, SIGKILL);
    for (int i = 0; i < 3; i++) {
        static const char *const suffixes[] = {"", ".child", ".begun"};
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
    return is_left;
}

static void what_a_driver_left_dies_with_the_command(void **state)
{
    (void)state;
    assert_false(is_left_by("cat"));       /* which asks it to go */
    assert_false(is_left_by("sleep 600")); /* and kills it, if it does not */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_driver_left_dies_with_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
