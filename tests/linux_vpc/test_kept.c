/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Files that were read before: what is kept of one is what it holds, or it is not kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "drivers/linux-vpc/draft.c"
#include "drivers/linux-vpc/kept.c"
#include "drivers/linux-vpc/names.c"
#include "drivers/linux-vpc/records.c"

#define VPC "0123456789abcdef0123456789abcdef"
#define NAME "NIC-00000000000000000000000000000001.json"

static char own_dir[64];

static void path_of(char path[PATH_MAX], const char *name)
{
    snprintf(path, PATH_MAX, "%s/" VPC "%s%s", own_dir, name ? "/" : "", name ? name : "");
}

/* Older than a tick, in whatever was changed until now. */
static void time_pass(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2L * TICK_NS}, NULL);
}

static void file_put(const char *name, const char *text)
{
    char path[PATH_MAX];
    path_of(path, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void file_remove(const char *name)
{
    char path[PATH_MAX];
    path_of(path, name);
    assert_int_equal(unlink(path), 0);
}

static const struct value *kept_of(const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    path_of(path, name);
    return stat(path, &st) == 0 ? kept_find(VPC, name, &st) : NULL;
}

/* By whichever way. */
static int64_t number_of(const char *name)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    const struct value *value;
    assert_int_equal(records_read_file(arena, own_dir, VPC, name, &value, &err), 0);
    int64_t number = value_get_int(value, "n", -1);
    arena_free(arena);
    return number;
}

static int setup(void **state)
{
    char path[PATH_MAX];
    (void)state;
    snprintf(own_dir, sizeof own_dir, "/tmp/spinel-test-kept.XXXXXX");
    assert_non_null(mkdtemp(own_dir));
    path_of(path, NULL);
    return mkdir(path, 0700);
}

static int teardown(void **state)
{
    struct error err = ERROR_INIT;
    (void)state;
    assert_int_equal(records_forget(own_dir, VPC, &err), 0);
    kept_refresh(own_dir);
    assert_null(kept_vpcs);
    assert_int_equal(kept_bytes, 0);
    return rmdir(own_dir);
}

static void a_file_is_read_once_for_all_who_come_after(void **state)
{
    (void)state;
    file_put(NAME, "{\"n\":1}");
    time_pass();
    kept_refresh(own_dir);
    const struct value *value = kept_of(NAME);
    assert_int_equal(value_get_int(value, "n", 0), 1);
    kept_refresh(own_dir);
    assert_ptr_equal(kept_of(NAME), value);
    assert_int_equal(number_of(NAME), 1);
}

static void one_that_was_just_written_is_read_again(void **state)
{
    (void)state;
    file_put(NAME, "{\"n\":1}");
    kept_refresh(own_dir);
    assert_null(kept_of(NAME));
    file_put(NAME, "{\"n\":2}");
    assert_int_equal(number_of(NAME), 2);
    time_pass();
    kept_refresh(own_dir);
    assert_int_equal(value_get_int(kept_of(NAME), "n", 0), 2);
}

/* In place: the directory does not show it. */
static void one_that_somebody_edited_is_not_taken_for_what_it_was(void **state)
{
    (void)state;
    file_put(NAME, "{\"n\":1}");
    time_pass();
    kept_refresh(own_dir);
    file_put(NAME, "{\"n\":2}");
    assert_null(kept_of(NAME));
    assert_int_equal(number_of(NAME), 2);
    time_pass();
    kept_refresh(own_dir);
    assert_int_equal(number_of(NAME), 2);
}

static void one_that_was_replaced_or_removed_goes(void **state)
{
    struct error err = ERROR_INIT;
    (void)state;
    struct arena *arena = arena_new();
    struct value *value = value_map(arena);
    file_put(NAME, "{\"n\":1}");
    time_pass();
    kept_refresh(own_dir);
    value_set_int(arena, value, "n", 3);
    assert_int_equal(records_write_file(own_dir, VPC, NAME, value, &err), 0);
    assert_null(kept_of(NAME));
    assert_int_equal(number_of(NAME), 3);
    time_pass();
    kept_refresh(own_dir);
    assert_int_equal(value_get_int(kept_of(NAME), "n", 0), 3);
    file_remove(NAME);
    kept_refresh(own_dir);
    assert_int_equal(kept_bytes, 0);
    arena_free(arena);
}

static void what_does_not_read_is_not_kept(void **state)
{
    (void)state;
    file_put(NAME, "{\"n\":");
    file_put("leases", "{\"n\":1}");
    time_pass();
    kept_refresh(own_dir);
    assert_int_equal(kept_bytes, 0);
    assert_int_equal(number_of(NAME), -1);
}

#define RECORD(name)                                                                  \
    "{\"kind\":\"NIC\",\"uid\":\"00000000000000000000000000000001\",\"name\":\"" name \
    "\",\"epoch\":7,\"spec\":{\"instance\":\"i\",\"interface\":\"eth0\",\"subnet\":\"s\"}}"

static const char *name_loaded(struct arena *arena)
{
    struct error err = ERROR_INIT;
    struct records records;
    if (records_load(arena, own_dir, VPC, &records, &err) < 0)
        return "unreadable";
    assert_int_equal(records.count, 1);
    return records.items[0].name;
}

static void a_record_is_told_as_it_is_and_refused_as_if_it_were_read_anew(void **state)
{
    struct arena *arena = arena_new();
    (void)state;
    file_put(NAME, RECORD("a"));
    time_pass();
    kept_refresh(own_dir);
    assert_string_equal(name_loaded(arena), "a");
    file_put(NAME, RECORD("b"));
    assert_string_equal(name_loaded(arena), "b");
    file_remove(NAME); /* which the directory shows */
    file_put(NAME, "{\"kind\":\"NIC\",\"uid\":\"f\",\"name\":\"of another\",\"spec\":{}}");
    time_pass();
    kept_refresh(own_dir);
    assert_non_null(kept_of(NAME));
    assert_string_equal(name_loaded(arena), "unreadable");
    arena_free(arena);
}

#define KEPT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEPT_TEST(a_file_is_read_once_for_all_who_come_after),
        KEPT_TEST(one_that_was_just_written_is_read_again),
        KEPT_TEST(one_that_somebody_edited_is_not_taken_for_what_it_was),
        KEPT_TEST(one_that_was_replaced_or_removed_goes),
        KEPT_TEST(what_does_not_read_is_not_kept),
        KEPT_TEST(a_record_is_told_as_it_is_and_refused_as_if_it_were_read_anew),
    };
    return cmocka_run_group_tests_name("linux-vpc files read before", tests, NULL, NULL);
}
