/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The qemu driver without a QEMU: what it does for machines that are off. A power loss shows what
 * was not made durable only at times; the order of the calls shows it always (sync_log.c).
 */
#include <fcntl.h>
#include <sys/resource.h>
#include "tests/driver/rack.h"

#define SETTINGS "{\"qemu\":\"/bin/true\"}"
#define OFF "{\"spec\":{\"power\":\"off\"}}"

static int setup(void **state)
{
    *state = rack_new("qemu");
    return 0;
}

static int teardown(void **state)
{
    rack_free(*state);
    return 0;
}

/* It holds two descriptors for each machine that runs. */
static void it_may_hold_as_many_descriptors_as_the_system_lets_it(void **state)
{
    struct rack *rack = *state;
    struct rlimit usual, low, limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    low = (struct rlimit){.rlim_cur = 256, .rlim_max = usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    rack_start(rack, SETTINGS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    assert_int_equal(prlimit(rack->subject.pid, RLIMIT_NOFILE, NULL, &limit), 0);
    assert_true(limit.rlim_cur == usual.rlim_max);
}

static void start_logged(struct rack *rack)
{
#ifdef __SANITIZE_ADDRESS__
    print_message("SKIP: nothing can be preloaded before AddressSanitizer\n");
    skip();
#endif
    const char *build = getenv("BUILD");
    setenv("SYNC_LOG", arena_printf(rack->arena, "%s/log", rack->dir), 1);
    setenv("LD_PRELOAD",
           arena_printf(rack->arena, "%s/tests/driver/sync_log.so", build ? build : "build"), 1);
    rack_start(rack, SETTINGS);
    unsetenv("LD_PRELOAD");
}

static char *log_take(struct rack *rack)
{
    char *text = arena_alloc(rack->arena, 65536);
    int fd = open(arena_printf(rack->arena, "%s/log", rack->dir), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t len = read(fd, text, 65535);
    assert_true(len >= 0 && len < 65535);
    text[len] = '\0';
    assert_int_equal(ftruncate(fd, 0), 0);
    close(fd);
    return text;
}

static const char *instances_sync(struct rack *rack, const char *log)
{
    struct stat st;
    assert_int_equal(stat(arena_printf(rack->arena, "%s/state/instances", rack->dir), &st), 0);
    return strstr(log, arena_printf(rack->arena, "sync %ju ", (uintmax_t)st.st_ino));
}

static void a_new_instance_is_on_disk_before_the_answer(void **state)
{
    struct rack *rack = *state;
    start_logged(rack);
    log_take(rack);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Instance", OFF));
    assert_non_null(instances_sync(rack, log_take(rack)));
}

static void an_instance_that_is_gone_is_so_on_disk_before_the_answer(void **state)
{
    struct rack *rack = *state;
    start_logged(rack);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Instance", OFF));
    log_take(rack);
    assert_applied(rack, rack_apply(rack, 1, 2, "delete", "Instance", OFF));
    assert_non_null(instances_sync(rack, log_take(rack)));
    assert_applied(rack, rack_apply(rack, 1, 3, "delete", "Instance", OFF));
    assert_non_null(instances_sync(rack, log_take(rack))); /* whoever did it may have died */
}

static char *run_dir(struct rack *rack)
{
    return arena_printf(rack->arena, "%s/state/instances/%s", rack->dir, uid_of(rack, 1));
}

/* Without its record nobody would know any more whose it is. */
static void a_directory_that_cannot_go_keeps_its_record(void **state)
{
    struct rack *rack = *state;
    rack_start(rack, SETTINGS);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Instance", OFF));
    const char *strange = arena_printf(rack->arena, "%s/strange", run_dir(rack));
    assert_int_equal(mkdir(strange, 0700), 0);
    assert_refused(rack, rack_apply(rack, 1, 2, "delete", "Instance", OFF), "system", "strange");
    assert_int_equal(access(arena_printf(rack->arena, "%s/record.json", run_dir(rack)), F_OK), 0);
    assert_int_equal(rmdir(strange), 0);
    assert_applied(rack, rack_apply(rack, 1, 3, "delete", "Instance", OFF));
    assert_int_equal(access(run_dir(rack), F_OK), -1);
}

static void a_directory_without_a_record_goes_too(void **state)
{
    struct rack *rack = *state;
    rack_start(rack, SETTINGS);
    assert_int_equal(mkdir(run_dir(rack), 0700), 0);
    assert_applied(rack, rack_apply(rack, 1, 1, "delete", "Instance", OFF));
    assert_int_equal(access(run_dir(rack), F_OK), -1);
}

static int writes_of(const char *log, const char *name)
{
    int count = 0;
    for (const char *at = log; (at = strstr(at, name)); at++)
        count++;
    return count;
}

/* Each waits for the disk twice. */
static void a_step_writes_the_record_once(void **state)
{
    static const char *const verbs[] = {"create",  "create",  "update",
                                        "restart", "release", "adopt"};
    struct rack *rack = *state;
    start_logged(rack);
    for (int i = 0; i < (int)(sizeof verbs / sizeof *verbs); i++) {
        log_take(rack);
        assert_applied(rack, rack_apply(rack, 1, i + 1, verbs[i], "Instance", OFF));
        assert_int_equal(writes_of(log_take(rack), " record.json\n"), 1);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_new_instance_is_on_disk_before_the_answer),
        TEST(an_instance_that_is_gone_is_so_on_disk_before_the_answer),
        TEST(a_step_writes_the_record_once),
        TEST(a_directory_that_cannot_go_keeps_its_record),
        TEST(a_directory_without_a_record_goes_too),
        TEST(it_may_hold_as_many_descriptors_as_the_system_lets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
