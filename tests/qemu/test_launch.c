/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The launcher, with sleep in the place of QEMU: what it and QEMU hold, however much the driver
 * holds.
 */
#include "drivers/lib/proc.h"
#include "drivers/qemu/process.c"

static bool has_no_boot_id;
static void boot_id_told(char out[BOOT_ID_TEXT])
{
    proc_boot_id(out);
    if (has_no_boot_id)
        out[0] = '\0';
}

#define proc_boot_id boot_id_told
#include "drivers/qemu/launch.c"
#undef proc_boot_id

#include "drivers/qemu/cgroup.c"
#include "drivers/qemu/rundir.c"
#include "drivers/qemu/serial_log.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { DRIVERS_FDS = 1000, LAUNCHER_FDS_MAX = 4, WAIT_MS = 20000 };

struct scene {
    char dir[32];
    int dir_fd;
    int fds[DRIVERS_FDS];
    struct process process;
};

static int setup(void **state)
{
    static struct scene scene;
    struct rlimit limit;
    scene = (struct scene){.dir = "/tmp/spinel-launch-XXXXXX", .process = {.pid = 0}};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_max > DRIVERS_FDS + 100);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_non_null(mkdtemp(scene.dir));
    scene.dir_fd = open(scene.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(scene.dir_fd >= 0);
    for (int i = 0; i < DRIVERS_FDS; i++)
        assert_true((scene.fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
    *state = &scene;
    return 0;
}

static bool is_there(const struct scene *scene, const char *name)
{
    return faccessat(scene->dir_fd, name, F_OK, 0) == 0;
}

static void await(const struct scene *scene, const char *name)
{
    for (int waited = 0; waited < WAIT_MS && !is_there(scene, name); waited += 10)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_true(is_there(scene, name));
}

static int teardown(void **state)
{
    static const char *const names[] = {"qemu.log", "exit.json", "process.json"};
    struct scene *scene = *state;
    if (scene->process.pid > 0) {
        kill(scene->process.pid, SIGKILL);
        await(scene, "exit.json");
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlinkat(scene->dir_fd, names[i], 0);
    for (int i = 0; i < DRIVERS_FDS; i++)
        close(scene->fds[i]);
    close(scene->dir_fd);
    rmdir(scene->dir);
    return 0;
}

/* A disk of its own and a tap: one of a number below and one above all that the driver holds. */
static int try_to_start(struct scene *scene, struct error *err)
{
    int last = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct launch_fd given[] = {{.from = scene->fds[0], .to = FD_DISKS},
                                {.from = last, .to = FD_NICS}};
    struct launch launch = {.argv = (char *[]){"/bin/sleep", "60", NULL},
                            .dir_fd = scene->dir_fd,
                            .fds = given,
                            .fd_count = 2};
    int status = launch_start(&launch, &scene->process, err);
    close(last);
    return status;
}

static void start(struct scene *scene)
{
    struct error err = ERROR_INIT;
    if (try_to_start(scene, &err) < 0)
        fail_msg("%s", err.message);
}

static int fd_count(pid_t pid)
{
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* It opens libraries first, and the launcher what it was forked with. */
static int fd_count_settled(pid_t pid, int most)
{
    int count = fd_count(pid);
    for (int waited = 0; waited < WAIT_MS && count > most; waited += 10) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        count = fd_count(pid);
    }
    return count;
}

static bool has_fd(pid_t pid, int fd)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
    return lstat(path, &st) == 0;
}

static void qemu_gets_its_descriptors_and_no_other_of_a_driver_that_holds_a_thousand(void **state)
{
    static const int wanted[] = {0, 1, 2, FD_LAUNCHER, FD_DISKS, FD_NICS};
    struct scene *scene = *state;
    start(scene);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_true(has_fd(scene->process.pid, wanted[i]));
    int most = (int)(sizeof wanted / sizeof *wanted);
    assert_int_equal(fd_count_settled(scene->process.pid, most), most);
}

static void qemu_may_hold_what_a_machine_needs_and_not_what_a_rack_does(void **state)
{
    struct scene *scene = *state;
    struct rlimit limit;
    start(scene);
    assert_int_equal(prlimit(scene->process.pid, RLIMIT_NOFILE, NULL, &limit), 0);
    assert_true(limit.rlim_cur >= 1024 && limit.rlim_cur <= 8192);
    assert_true(limit.rlim_max <= 8192);
}

static void the_launcher_holds_the_descriptors_of_no_other_machine(void **state)
{
    struct scene *scene = *state;
    start(scene);
    assert_in_range(fd_count_settled(scene->process.launcher, LAUNCHER_FDS_MAX), 1,
                    LAUNCHER_FDS_MAX);
}

static void what_no_record_would_tell_again_does_not_start(void **state)
{
    struct scene *scene = *state;
    struct error err = ERROR_INIT;
    has_no_boot_id = true;
    int status = try_to_start(scene, &err);
    has_no_boot_id = false;
    assert_int_equal(status, ERR_SYSTEM);
    assert_false(is_there(scene, "process.json"));
    assert_int_equal(scene->process.pid, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(qemu_gets_its_descriptors_and_no_other_of_a_driver_that_holds_a_thousand),
        TEST(qemu_may_hold_what_a_machine_needs_and_not_what_a_rack_does),
        TEST(the_launcher_holds_the_descriptors_of_no_other_machine),
        TEST(what_no_record_would_tell_again_does_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
