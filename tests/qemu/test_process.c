/* SPDX-License-Identifier: MPL-2.0 */
/* Who is taken for a machine: its uuid is on a command line that anybody may write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <signal.h>
#include <cmocka.h>

#include "drivers/qemu/process.c"
#include "drivers/qemu/rundir.c"
#include "drivers/qemu/user.c"
#include "tests/driver/descriptors.h"

#define UUID "a1000000-0000-4000-8000-0000000000"

enum { NOBODY = 65534, USERS_BASE = 64000 };

static struct settings settings;
static char own_dir[] = "/tmp/spinel-process-XXXXXX";

static bool is_machines_user(uid_t user)
{
    return user_is_machines(&settings, own_dir, user);
}

static char uuid[37];
static int input[2]; /* the processes end with it */

/* A shell that waits, run by `user` as if it were QEMU. */
static pid_t start(uid_t user)
{
    char *argv[] = {"qemu-system-x86_64", "-c", "echo; read x", "qemu", "-uuid", uuid, NULL};
    int output[2];
    char ready;
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(input[0], STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO);
        if (user != geteuid() && setresuid(user, user, user) < 0)
            _exit(1);
        execv("/bin/sh", argv);
        _exit(1);
    }
    close(output[1]);
    assert_int_equal(read(output[0], &ready, 1), 1);
    close(output[0]);
    return pid;
}

/* -1: it cannot be told. */
static pid_t look_for(void)
{
    struct error err = ERROR_INIT;
    pid_t pid;
    return process_find(uuid, &pid, &err) < 0 ? -1 : pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static int setup(void **state)
{
    (void)state;
    settings = (struct settings){.user_base = USERS_BASE};
    strcpy(own_dir + sizeof own_dir - 7, "XXXXXX");
    assert_non_null(mkdtemp(own_dir));
    snprintf(uuid, sizeof uuid, UUID "%02x", (unsigned)getpid() & 0xff);
    process_trust("/usr/bin/qemu-system-x86_64", is_machines_user);
    return pipe2(input, O_CLOEXEC);
}

static int teardown(void **state)
{
    (void)state;
    close(input[0]);
    close(input[1]);
    return rmdir(own_dir);
}

static void skip_unless_root(void)
{
    if (geteuid() == 0)
        return;
    print_message("SKIP: only root runs what is another user's\n");
    skip();
}

static void a_process_of_anybody_else_is_no_machine(void **state)
{
    (void)state;
    skip_unless_root();
    pid_t pid = start(NOBODY);
    process_trust("/bin/sh", is_machines_user);
    pid_t found = look_for();
    end(pid);
    assert_int_equal(found, 0);
}

static void nobody_is_no_machines_user(void **state)
{
    static const struct settings as_root = {.user_base = 0};
    (void)state;
    assert_false(user_is_machines(&settings, own_dir, USERS_BASE));
    assert_true(user_is_machines(&settings, own_dir, USERS_BASE + 1));
    assert_true(user_is_machines(&settings, own_dir, NOBODY - 1));
    assert_false(user_is_machines(&settings, own_dir, NOBODY));
    assert_false(user_is_machines(&settings, own_dir, NOBODY + 1));
    assert_false(user_is_machines(&settings, own_dir, 0));
    assert_false(user_is_machines(&as_root, own_dir, 1));
}

static void a_process_of_a_machines_user_is_one(void **state)
{
    (void)state;
    skip_unless_root();
    pid_t pid = start(USERS_BASE + 7);
    pid_t found = look_for();
    end(pid);
    assert_int_equal(found, pid);
}

/* It has run since before the setting was changed, and its record may be gone. */
static void a_process_of_a_claimed_user_is_one_whatever_is_set_now(void **state)
{
    (void)state;
    char users[64], claim[96];
    skip_unless_root();
    snprintf(users, sizeof users, "%s/users", own_dir);
    snprintf(claim, sizeof claim, "%s/%d", users, USERS_BASE + 7);
    assert_int_equal(mkdir(users, 0700), 0);
    assert_int_equal(symlink("a1000000000040008000000000000001", claim), 0);
    settings.user_base = 2 * USERS_BASE;
    pid_t pid = start(USERS_BASE + 7), other = start(USERS_BASE + 8);
    pid_t found = look_for();
    end(pid);
    pid_t unclaimed = look_for();
    end(other);
    unlink(claim);
    rmdir(users);
    assert_int_equal(found, pid);
    assert_int_equal(unclaimed, 0);
}

static void of_our_own_user_only_a_qemu_is_one(void **state)
{
    (void)state;
    pid_t pid = start(geteuid());
    pid_t other = look_for();
    process_trust("/bin/sh", is_machines_user); /* a link, on some systems */
    pid_t same = look_for();
    end(pid);
    assert_int_equal(other, 0);
    assert_int_equal(same, pid);
}

static void one_that_has_ended_is_none(void **state)
{
    (void)state;
    pid_t pid = start(geteuid());
    process_trust("/bin/sh", is_machines_user);
    uint64_t started = proc_start_time(pid);
    char boot[BOOT_ID_TEXT];
    proc_boot_id(boot);
    int pidfd = proc_open(pid, started, boot);
    assert_true(started > 0 && pidfd >= 0);
    assert_int_equal(proc_open(pid, started + 1, boot), -1);
    assert_int_equal(proc_open(pid, started, "another boot"), -1);
    proc_signal(pidfd, SIGKILL);
    assert_true(proc_wait(pidfd, 10000));
    close(pidfd);
    assert_int_equal(look_for(), 0);
    assert_int_equal(proc_open(pid, started, boot), -1);
    end(pid);
}

static void one_that_cannot_be_told_about_has_not_ended(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct arena *arena = arena_new();
    pid_t pid = start(geteuid());
    struct process process = {.pid = pid, .start = proc_start_time(pid)}, found;
    proc_boot_id(process.boot);
    int dir = open(own_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    assert_int_equal(process_read(arena, dir, &found, &err), 0);
    assert_int_equal(process_write(dir, &process, &err), 0);
    assert_int_equal(process_read(arena, dir, &found, &err), 1);
    descriptors_use_up();
    int opened = process_open(&process, uuid);
    pid_t found_none = look_for();
    int is_read = process_read(arena, dir, &found, &err);
    descriptors_give_back();
    int again = process_open(&process, uuid);
    end(pid);
    assert_int_equal(unlinkat(dir, "process.json", 0), 0);
    close(dir);
    assert_int_equal(found_none, -1);
    assert_int_equal(opened, PROC_UNTOLD);
    assert_true(is_read < 0);
    assert_true(again >= 0);
    close(again);
    assert_int_equal(process_open(&process, uuid), PROC_GONE);
    arena_free(arena);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_process_of_anybody_else_is_no_machine),
        TEST(nobody_is_no_machines_user),
        TEST(a_process_of_a_machines_user_is_one),
        TEST(a_process_of_a_claimed_user_is_one_whatever_is_set_now),
        TEST(of_our_own_user_only_a_qemu_is_one),
        TEST(one_that_has_ended_is_none),
        TEST(one_that_cannot_be_told_about_has_not_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
