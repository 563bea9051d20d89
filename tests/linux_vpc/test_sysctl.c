/* SPDX-License-Identifier: MPL-2.0 */
/* What is put back of the host's settings, in a network namespace that has its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include <stdlib.h>
#include "drivers/linux-vpc/draft.c"
#include "drivers/linux-vpc/kept.c"
#include "drivers/linux-vpc/names.c"
#include "drivers/linux-vpc/records.c"
#include "drivers/linux-vpc/sysctl.c"
#include "tests/driver/descriptors.h"

#define SETTING "net/ipv4/ip_forward"

static char own_dir[] = "/tmp/spinel-sysctl-XXXXXX";
static struct error err;

static int setup(void **state)
{
    (void)state;
    strcpy(own_dir + sizeof own_dir - 7, "XXXXXX");
    err = (struct error)ERROR_INIT;
    return mkdtemp(own_dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(own_dir); /* nothing is left of the record */
}

static void skip_without_a_namespace(void)
{
    static bool is_inside;
    if (!is_inside && unshare(CLONE_NEWNET) < 0) {
        print_message("SKIP: only root makes a network namespace\n");
        skip();
    }
    is_inside = true;
    assert_int_equal(sysctl_write(SETTING, "0", &err), 0);
}

static void what_was_changed_is_put_back(void **state)
{
    (void)state;
    skip_without_a_namespace();
    assert_int_equal(sysctl_change(own_dir, SETTING, "1", &err), 0);
    assert_int_equal(sysctl_look(SETTING, "1", &err), 1);
    assert_int_equal(sysctl_restore(own_dir, &err), 0);
    assert_int_equal(sysctl_look(SETTING, "0", &err), 1);
}

/* As a boot before this one left it. */
static void old_record_write(void)
{
    struct arena *arena = arena_new();
    struct value *record, *entry = value_map(arena);
    assert_int_equal(sysctl_record(arena, own_dir, &record, &err), 0);
    value_set_text(arena, entry, "boot", "00000000-0000-4000-8000-000000000000");
    value_set_text(arena, entry, "before", "0");
    value_set_text(arena, entry, "set", "1");
    value_set(arena, record, SETTING, entry);
    assert_int_equal(records_write_file(own_dir, ".", SYSCTL_FILE, record, &err), 0);
    arena_free(arena);
}

static void what_somebody_has_set_since_a_reboot_stays(void **state)
{
    (void)state;
    skip_without_a_namespace();
    old_record_write();
    assert_int_equal(sysctl_write(SETTING, "1", &err), 0);
    assert_int_equal(sysctl_change(own_dir, SETTING, "1", &err), 0);
    assert_int_equal(sysctl_restore(own_dir, &err), 0);
    assert_int_equal(sysctl_look(SETTING, "1", &err), 1);
}

static void what_is_changed_after_a_reboot_is_put_back(void **state)
{
    (void)state;
    skip_without_a_namespace();
    old_record_write();
    assert_int_equal(sysctl_change(own_dir, SETTING, "1", &err), 0);
    assert_int_equal(sysctl_restore(own_dir, &err), 0);
    assert_int_equal(sysctl_look(SETTING, "0", &err), 1);
}

/* Without a descriptor, for one. */
static void what_cannot_be_read_is_neither_changed_nor_forgotten(void **state)
{
    (void)state;
    skip_without_a_namespace();
    descriptors_use_up();
    int looked = sysctl_look(SETTING, "0", &err),
        changed = sysctl_change(own_dir, SETTING, "1", &err);
    descriptors_give_back();
    assert_true(looked < 0 && changed < 0);
    assert_int_equal(sysctl_look(SETTING, "0", &err), 1);
    assert_int_equal(sysctl_change(own_dir, SETTING, "1", &err), 0);
    descriptors_use_up();
    int restored = sysctl_restore(own_dir, &err);
    descriptors_give_back();
    assert_true(restored < 0);
    assert_int_equal(sysctl_restore(own_dir, &err), 0);
    assert_int_equal(sysctl_look(SETTING, "0", &err), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_changed_is_put_back),
        TEST(what_somebody_has_set_since_a_reboot_stays),
        TEST(what_is_changed_after_a_reboot_is_put_back),
        TEST(what_cannot_be_read_is_neither_changed_nor_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
