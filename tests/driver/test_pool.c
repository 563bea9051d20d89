/* SPDX-License-Identifier: MPL-2.0 */
/* Pools of the file driver: directories that it made or took, that may be mounted, moved, copied,
 * restored or full. */
#include "tests/driver/file_look.h"

#define POOL(path) arena_printf(rack->arena, "{\"spec\":{\"path\":\"%s\"},\"project\":null}", path)

static const char *volume_in_pool(struct rack *rack, const char *path, int mib)
{
    return arena_printf(rack->arena,
                        "{\"spec\":{\"size\":%d,\"format\":\"raw\",\"pool\":\"x\"},"
                        "\"refs\":{\"Pool\":{\"x\":{\"spec\":{\"path\":\"%s\"}}}}}",
                        mib * MIB, path);
}

static void a_pool_that_holds_anything_is_kept(void **state)
{
    struct rack *rack = *state;
    const char *dir = arena_printf(rack->arena, "%s/pool", rack->dir);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Pool", POOL(dir)));
    file_write(arena_printf(rack->arena, "%s/stranger", dir), "x", 1, 0600);
    assert_refused(rack, rack_apply(rack, 1, 2, "delete", "Pool", POOL(dir)), "busy",
                   "still holds");
    unlink(arena_printf(rack->arena, "%s/stranger", dir));
    assert_applied(rack, rack_apply(rack, 1, 3, "delete", "Pool", POOL(dir)));
    assert_int_equal(access(dir, F_OK), -1);
}

/* Whoever wrote a tag may have died before the tag got its name. */
static void a_draft_of_its_tag_keeps_no_pool(void **state)
{
    struct rack *rack = *state;
    const char *dir = arena_printf(rack->arena, "%s/pool", rack->dir);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Pool", POOL(dir)));
    file_write(arena_printf(rack->arena, "%s/..spinel-pool.new", dir), "x", 1, 0600);
    assert_applied(rack, rack_apply(rack, 1, 2, "delete", "Pool", POOL(dir)));
    assert_int_equal(access(dir, F_OK), -1);
}

static void a_tag_that_gets_no_name_leaves_no_draft(void **state)
{
    struct rack *rack = *state;
    const char *dir = arena_printf(rack->arena, "%s/pool", rack->dir);
    const char *tag = arena_printf(rack->arena, "%s/.spinel-pool", dir);
    assert_int_equal(mkdir(dir, 0755) | mkdir(tag, 0755), 0);
    assert_refused(rack, rack_apply(rack, 1, 1, "create", "Pool", POOL(dir)), "system",
                   "cannot name");
    assert_int_equal(access(arena_printf(rack->arena, "%s/..spinel-pool.new", dir), F_OK), -1);
}

static void a_pool_that_holds_trash_is_kept(void **state)
{
    struct rack *rack = *state;
    const char *dir = arena_printf(rack->arena, "%s/pool", rack->dir);
    const char *trash = arena_printf(rack->arena, "%s/.trash", dir);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Pool", POOL(dir)));
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "Volume", volume_in_pool(rack, dir, 1)));
    assert_applied(rack, rack_apply(rack, 2, 2, "delete", "Volume", volume_in_pool(rack, dir, 1)));
    int before = names_count(trash);
    assert_refused(rack, rack_apply(rack, 1, 2, "delete", "Pool", POOL(dir)), "busy",
                   "still holds");
    assert_int_equal(names_count(trash), before);
    assert_false(is_absent(rack_look(rack, 1)));
}

static const char *state_pool(struct rack *rack, const char *name)
{
    return arena_printf(rack->arena, "%s/state/pools/%s", rack->dir, name);
}

/* The whole directory on a new disk, mounted where the old one was. */
static void a_restored_pool_is_the_pool_again(void **state)
{
    struct rack *rack = *state;
    const char *dir = arena_printf(rack->arena, "%s/pool", rack->dir);
    const char *old = arena_printf(rack->arena, "%s/old", rack->dir);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Pool", POOL(dir)));
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "Volume", volume_in_pool(rack, dir, 1)));
    const char *name = strrchr(path_of(rack, 2), '/') + 1;
    assert_int_equal(rename(dir, old), 0);
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_int_equal(rename(arena_printf(rack->arena, "%s/.spinel-pool", old),
                            arena_printf(rack->arena, "%s/.spinel-pool", dir)),
                     0);
    copy_make(rack, arena_printf(rack->arena, "%s/%s", old, name),
              arena_printf(rack->arena, "%s/%s", dir, name));
    assert_false(is_absent(rack_look(rack, 1)));
    assert_string_equal(path_of(rack, 2), arena_printf(rack->arena, "%s/%s", dir, name));
    assert_applied(rack, rack_apply(rack, 1, 2, "update", "Pool", POOL(dir)));
    assert_refused(rack, rack_apply(rack, 3, 3, "create", "Pool", POOL(dir)), "denied",
                   "another pool");
}

/* Which is ours, too. */
static void a_copy_in_another_pool_is_not_the_volume(void **state)
{
    struct rack *rack = *state;
    const char *dir = arena_printf(rack->arena, "%s/pool", rack->dir);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Pool", POOL(dir)));
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "Volume", VOLUME("1048576", "raw")));
    const char *own = path_of(rack, 2);
    const char *copy = arena_printf(rack->arena, "%s%s", dir, strrchr(own, '/'));
    copy_make(rack, own, copy);
    assert_string_equal(path_of(rack, 2), own);
    assert_int_equal(value_get(rack_list(rack, NULL), "list")->count, 2);
    assert_non_null(strstr(strangers_of(rack), copy));
    assert_applied(rack, rack_apply(rack, 2, 2, "delete", "Volume", VOLUME("1048576", "raw")));
    assert_int_equal(access(own, F_OK), -1);
    assert_non_null(strstr(doubt_of(rack, 2), copy));
    assert_refused(rack, rack_apply(rack, 2, 3, "delete", "Volume", VOLUME("1048576", "raw")),
                   "denied", copy);
    assert_int_equal(access(copy, F_OK), 0);
}

static void a_copy_of_a_pool_becomes_no_other_pool(void **state)
{
    struct rack *rack = *state;
    const char *dir = arena_printf(rack->arena, "%s/pool", rack->dir);
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "Volume", VOLUME("1048576", "raw")));
    const char *own = path_of(rack, 2);
    assert_int_equal(mkdir(dir, 0755), 0);
    copy_make(rack, own, arena_printf(rack->arena, "%s%s", dir, strrchr(own, '/')));
    assert_refused(rack, rack_apply(rack, 1, 1, "create", "Pool", POOL(dir)), "conflict",
                   "is no pool of this rack");
    assert_string_equal(path_of(rack, 2), own);
}

/* Its files were copied, and the old directory is still where pools are looked for. */
static void a_volume_in_both_directories_of_a_moved_pool_is_unknown(void **state)
{
    struct rack *rack = *state;
    const char *usual = "{\"spec\":{}}", *in_usual = "{\"spec\":{\"size\":1048576,\"pool\":\"x\"},"
                                                     "\"refs\":{\"Pool\":{\"x\":{\"spec\":{}}}}}";
    const char *dir = arena_printf(rack->arena, "%s/pool", rack->dir);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Pool", usual));
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "Volume", in_usual));
    const char *own = path_of(rack, 2);
    assert_non_null(strstr(own, state_pool(rack, "x")));
    const char *copy = arena_printf(rack->arena, "%s%s", dir, strrchr(own, '/'));
    assert_int_equal(mkdir(dir, 0755), 0);
    copy_make(rack, own, copy);
    assert_applied(rack, rack_apply(rack, 1, 2, "update", "Pool", POOL(dir)));
    const char *doubt = doubt_of(rack, 2);
    assert_true(strstr(doubt, "there twice") && strstr(doubt, own) && strstr(doubt, copy));
    const char *strangers = strangers_of(rack);
    assert_true(strstr(strangers, own) && strstr(strangers, copy));
    assert_refused(rack, rack_apply(rack, 2, 2, "delete", "Volume", volume_in_pool(rack, dir, 1)),
                   "conflict", "there twice");
    assert_int_equal(unlink(own), 0);
    assert_string_equal(path_of(rack, 2), copy);
}

static void a_directory_is_one_pool_only(void **state)
{
    struct rack *rack = *state;
    const char *dir = arena_printf(rack->arena, "%s/pool", rack->dir);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Pool", POOL(dir)));
    assert_refused(rack, rack_apply(rack, 2, 1, "create", "Pool", POOL(dir)), "denied",
                   "another pool");
    assert_false(is_absent(rack_look(rack, 1)));
    assert_true(is_absent(rack_look(rack, 2)));
}

static void a_volume_of_an_unmounted_pool_is_unknown_and_not_absent(void **state)
{
    struct rack *rack = *state;
    const char *dir = arena_printf(rack->arena, "%s/small", rack->dir);
    small_mount(rack, dir, "size=4m");
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Pool", POOL(dir)));
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "Volume", volume_in_pool(rack, dir, 1)));
    assert_int_equal(umount(dir), 0);
    assert_true(value_get_bool(rack_look(rack, 2), "unknown", false));
    assert_true(value_get_bool(rack_look(rack, 1), "unknown", false));
    const struct value *list = subject_call(&rack->subject, "observe", value_map(rack->arena));
    assert_refused(rack, list, "busy", dir);
}

/* Some mounters make the directory and remove it again. */
static void a_pool_whose_mount_point_is_gone_is_unmounted_too(void **state)
{
    struct rack *rack = *state;
    const char *dir = arena_printf(rack->arena, "%s/media/small", rack->dir);
    mkdir(arena_printf(rack->arena, "%s/media", rack->dir), 0755);
    small_mount(rack, dir, "size=4m");
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Pool", POOL(dir)));
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "Volume", volume_in_pool(rack, dir, 1)));
    assert_int_equal(umount(dir), 0);
    assert_int_equal(rmdir(dir), 0);
    assert_true(value_get_bool(rack_look(rack, 2), "unknown", false));
    assert_true(value_get_bool(rack_look(rack, 1), "unknown", false));
    assert_refused(rack, rack_apply(rack, 1, 2, "create", "Pool", POOL(dir)), "busy", dir);
    assert_int_equal(access(dir, F_OK), -1);
}

/* That one is not a mount point: it is made again, and what was in it, too. */
static void a_pool_whose_directory_was_removed_is_absent(void **state)
{
    struct rack *rack = *state;
    const char *dir = arena_printf(rack->arena, "%s/plain", rack->dir);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Pool", POOL(dir)));
    assert_int_equal(unlink(arena_printf(rack->arena, "%s/.spinel-pool", dir)), 0);
    assert_int_equal(rmdir(dir), 0);
    assert_true(is_absent(rack_look(rack, 1)));
    assert_applied(rack, rack_apply(rack, 1, 2, "create", "Pool", POOL(dir)));
}

static void a_full_disk_is_said_to_be_full_and_leaves_nothing(void **state)
{
    struct rack *rack = *state;
    char hex[65];
    const char *dir = arena_printf(rack->arena, "%s/small", rack->dir);
    const char *source = source_make(rack, "os.raw", 8 * MIB, hex);
    small_mount(rack, dir, "size=4m");
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Pool", POOL(dir)));
    assert_applied(
        rack, rack_apply(rack, 2, 1, "create", "Image", image_json(rack, "path", source, hex)));
    int before = names_count(dir);
    const char *params = arena_printf(
        rack->arena,
        "{\"spec\":{\"size\":%d,\"format\":\"raw\",\"pool\":\"x\",\"image\":\"os\"},\"refs\":{"
        "\"Pool\":{\"x\":{\"spec\":{\"path\":\"%s\"}}},"
        "\"Image\":{\"os\":{\"uid\":\"%s\",\"spec\":{\"digest\":\"sha256:%s\",\"format\":"
        "\"raw\"}}}}}",
        16 * MIB, dir, uid_of(rack, 2), hex);
    assert_refused(rack, rack_apply(rack, 3, 1, "create", "Volume", params), "no-space", "copy");
    assert_int_equal(names_count(dir), before);
    assert_true(is_absent(rack_look(rack, 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_pool_that_holds_anything_is_kept),
        TEST(a_draft_of_its_tag_keeps_no_pool),
        TEST(a_tag_that_gets_no_name_leaves_no_draft),
        TEST(a_pool_that_holds_trash_is_kept),
        TEST(a_restored_pool_is_the_pool_again),
        TEST(a_copy_in_another_pool_is_not_the_volume),
        TEST(a_copy_of_a_pool_becomes_no_other_pool),
        TEST(a_volume_in_both_directories_of_a_moved_pool_is_unknown),
        TEST(a_directory_is_one_pool_only),
        TEST(a_volume_of_an_unmounted_pool_is_unknown_and_not_absent),
        TEST(a_pool_whose_mount_point_is_gone_is_unmounted_too),
        TEST(a_pool_whose_directory_was_removed_is_absent),
        TEST(a_full_disk_is_said_to_be_full_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
