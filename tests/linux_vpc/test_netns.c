/* SPDX-License-Identifier: MPL-2.0 */
/* Named network namespaces, in a mount namespace of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include <sys/mount.h>
#include "drivers/linux-vpc/netns.c"
#include "tests/driver/descriptors.h"

#define NAME "spt-netns"

static struct error err;
static bool is_inside;

/* Whatever is pinned goes with this process. */
static int setup(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    if (!is_inside)
        is_inside = unshare(CLONE_NEWNS) == 0 &&
                    mount("", "/", "none", MS_PRIVATE | MS_REC, NULL) == 0 &&
                    mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0;
    return 0;
}

static void skip_unless_inside(void)
{
    if (is_inside)
        return;
    print_message("SKIP: only root makes a network namespace\n");
    skip();
}

static void what_cannot_be_opened_is_not_gone(void **state)
{
    (void)state;
    uint64_t made, found;
    skip_unless_inside();
    assert_int_equal(netns_find(NAME, &found, &err), 0);
    assert_int_equal(found, 0);
    assert_int_equal(netns_create(NAME, &err), 0);
    assert_int_equal(netns_find(NAME, &made, &err), 0);
    assert_int_not_equal(made, 0);
    descriptors_use_up();
    int result = netns_find(NAME, &found, &err);
    int created = netns_create(NAME, &err);
    descriptors_give_back();
    assert_true(result < 0);
    assert_true(created < 0);
    err = (struct error)ERROR_INIT;
    assert_int_equal(netns_create(NAME, &err), 0); /* it is there */
    assert_int_equal(netns_inode(NAME), made);
    assert_int_equal(netns_delete(NAME, &err), 0);
    assert_int_equal(netns_find(NAME, &found, &err), 0);
    assert_int_equal(found, 0);
}

static void a_file_of_its_name_is_none(void **state)
{
    (void)state;
    uint64_t found;
    skip_unless_inside();
    assert_true(mkdir(NETNS_DIR, 0755) == 0 || errno == EEXIST);
    int fd = open(NETNS_DIR "/" NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(netns_find(NAME, &found, &err), 0);
    assert_int_equal(found, 0);
    assert_int_equal(netns_create(NAME, &err), 0);
    assert_int_not_equal(netns_inode(NAME), 0);
    assert_int_equal(netns_delete(NAME, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_cannot_be_opened_is_not_gone, setup),
        cmocka_unit_test_setup(a_file_of_its_name_is_none, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
