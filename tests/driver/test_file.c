/* SPDX-License-Identifier: MPL-2.0 */
/* Volumes of the file driver, on real files: whole or not at all, never somebody else's, never
 * while a process holds them. */
#include "tests/driver/file_look.h"

static void a_volume_has_exactly_the_size_that_was_asked_for(void **state)
{
    struct rack *rack = *state;
    struct stat st;
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume",
                                    "{\"spec\":{\"size\":1234432,\"format\":\"raw\"}}"));
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "Volume",
                                    "{\"spec\":{\"size\":1234432,\"format\":\"qcow2\"}}"));
    assert_int_equal(stat(path_of(rack, 1), &st), 0);
    assert_int_equal(st.st_size, 1234432);
    assert_int_equal(value_at_int(rack_look(rack, 2), "spec.size", 0), 1234432);
}

static bool does(struct rack *rack, const char *command, const char *path)
{
    return system(arena_printf(rack->arena, "%s %s >/dev/null 2>&1", command, path)) == 0;
}

/* What qemu-img says of an image, without the names of files and what it takes on disk. */
static const char *info_of(struct rack *rack, const char *path)
{
    char *text = arena_alloc(rack->arena, 4096);
    FILE *info =
        popen(arena_printf(rack->arena,
                           "qemu-img info -f qcow2 %s | grep -v '^image:\\|^disk size:'", path),
              "r");
    assert_non_null(info);
    assert_true(fread(text, 1, 4095, info) > 0);
    assert_int_equal(pclose(info), 0);
    return text;
}

/* One entry of its L1 table, two, and many clusters of them; the smallest one, and half a sector.
 */
static void an_empty_qcow2_volume_is_as_qemu_img_makes_it(void **state)
{
    struct rack *rack = *state;
    static const char *const sizes[] = {"65536",      "65537",         "1048576",
                                        "536870912",  "536871424",     "4398046511104",
                                        "5368709120", "70368744177664"};
    const char *theirs = arena_printf(rack->arena, "%s/theirs", rack->dir);
    for (unsigned n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        const char *rest =
            arena_printf(rack->arena, "{\"spec\":{\"size\":%s,\"format\":\"qcow2\"}}", sizes[n]);
        assert_applied(rack, rack_apply(rack, n + 1, 1, "create", "Volume", rest));
        const char *ours = path_of(rack, n + 1);
        assert_true(does(rack, "qemu-img create -f qcow2",
                         arena_printf(rack->arena, "%s %s", theirs, sizes[n])));
        assert_string_equal(info_of(rack, ours), info_of(rack, theirs));
        assert_true(does(rack, "qemu-img check -f qcow2", ours));
        assert_true(
            does(rack, "qemu-io -f qcow2 -c 'write -P 7 60k 4k' -c 'read -P 7 60k 4k'", ours));
        assert_true(does(rack, "qemu-io -f qcow2 -c 'write -P 7 60k 4k' ", theirs));
        assert_true(does(rack, "qemu-img check -f qcow2", ours));
        if (n < 5) /* of the largest it takes minutes */
            assert_true(does(rack, "qemu-img compare -f qcow2 -F qcow2",
                             arena_printf(rack->arena, "%s %s", ours, theirs)));
    }
    assert_refused(rack,
                   rack_apply(rack, 99, 1, "create", "Volume",
                              "{\"spec\":{\"size\":2251799813685760,\"format\":\"qcow2\"}}"),
                   "invalid", "2 PiB");
    assert_true(is_absent(rack_look(rack, 99)));
}

static void a_volume_grows_in_place_and_never_shrinks(void **state)
{
    struct rack *rack = *state;
    const char *const formats[] = {"raw", "qcow2"};
    for (unsigned n = 0; n < 2; n++) {
        const char *small = arena_printf(rack->arena, "{\"spec\":{\"size\":%d,\"format\":\"%s\"}}",
                                         MIB, formats[n]);
        const char *large = arena_printf(rack->arena, "{\"spec\":{\"size\":%d,\"format\":\"%s\"}}",
                                         2 * MIB, formats[n]);
        assert_applied(rack, rack_apply(rack, n, 1, "create", "Volume", small));
        assert_applied(rack, rack_apply(rack, n, 2, "update", "Volume", large));
        assert_int_equal(value_at_int(rack_look(rack, n), "spec.size", 0), 2 * MIB);
        assert_refused(rack, rack_apply(rack, n, 3, "update", "Volume", small), "invalid",
                       "would shrink");
        assert_int_equal(value_at_int(rack_look(rack, n), "spec.size", 0), 2 * MIB);
    }
}

/* QEMU holds open-file-description locks on bytes from 100 on. */
static void a_volume_that_a_process_holds_is_left_alone(void **state)
{
    struct rack *rack = *state;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1};
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("1048576", "raw")));
    int fd = open(path_of(rack, 1), O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_refused(rack, rack_apply(rack, 1, 2, "update", "Volume", VOLUME("2097152", "raw")),
                   "busy", "in use");
    assert_refused(rack, rack_apply(rack, 1, 3, "delete", "Volume", VOLUME("1048576", "raw")),
                   "busy", "in use");
    close(fd);
    assert_applied(rack, rack_apply(rack, 1, 4, "update", "Volume", VOLUME("2097152", "raw")));
}

static void a_released_volume_keeps_its_bytes(void **state)
{
    struct rack *rack = *state;
    char read_back[9] = "";
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("1048576", "raw")));
    int fd = open(path_of(rack, 1), O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "precious", 8, 4096), 8);
    assert_applied(rack, rack_apply(rack, 1, 2, "release", "Volume", VOLUME("1048576", "raw")));
    assert_true(value_get_bool(rack_look(rack, 1), "released", false));
    assert_applied(rack, rack_apply(rack, 1, 3, "adopt", "Volume", VOLUME("1048576", "raw")));
    assert_false(value_get_bool(rack_look(rack, 1), "released", true));
    assert_int_equal(pread(fd, read_back, 8, 4096), 8);
    assert_string_equal(read_back, "precious");
    close(fd);
}

#define SAFE(bytes, protect) \
    "{\"spec\":{\"size\":" bytes ",\"format\":\"raw\",\"protect\":" protect "}}"

/* Whatever the daemon has come to believe. */
static void a_protected_volume_is_not_deleted(void **state)
{
    struct rack *rack = *state;
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", SAFE("1048576", "true")));
    assert_int_equal(value_at(rack_look(rack, 1), "spec.protect")->boolean, true);
    assert_refused(rack, rack_apply(rack, 1, 2, "delete", "Volume", SAFE("1048576", "false")),
                   "denied", "is protected");
    assert_refused(rack, rack_apply(rack, 1, 3, "delete", "Volume", "{\"purge\":true}"), "denied",
                   "is protected");
    assert_applied(rack, rack_apply(rack, 1, 4, "release", "Volume", SAFE("1048576", "true")));
    assert_applied(rack, rack_apply(rack, 1, 5, "adopt", "Volume", SAFE("1048576", "true")));
    assert_refused(rack, rack_apply(rack, 1, 6, "delete", "Volume", SAFE("1048576", "true")),
                   "denied", "is protected");
    assert_applied(rack, rack_apply(rack, 1, 7, "update", "Volume", SAFE("1048576", "false")));
    assert_applied(rack, rack_apply(rack, 1, 8, "delete", "Volume", SAFE("1048576", "false")));
}

static void a_deleted_volume_lies_in_the_trash(void **state)
{
    struct rack *rack = *state;
    const char *trash = arena_printf(rack->arena, "%s/state/pools/default/.trash", rack->dir);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("1048576", "raw")));
    assert_applied(rack, rack_apply(rack, 1, 2, "delete", "Volume", VOLUME("1048576", "raw")));
    assert_true(is_absent(rack_look(rack, 1)));
    assert_int_equal(value_get_int(rack_look(rack, 1), "epoch", 0), 2);
    assert_int_equal(names_count(trash), 1);
}

static void a_directory_in_use_for_something_else_is_no_pool(void **state)
{
    struct rack *rack = *state;
    const char *home = arena_printf(rack->arena, "%s/home", rack->dir);
    const char *rest =
        arena_printf(rack->arena, "{\"spec\":{\"path\":\"%s\"},\"name\":\"home\"}", home);
    const char *letter = arena_printf(rack->arena, "%s/letter", home);
    assert_int_equal(mkdir(home, 0755), 0);
    file_write(letter, "dear", 4, 0600);
    assert_refused(rack, rack_apply(rack, 9, 1, "create", "Pool", rest), "conflict", "letter");
    assert_int_equal(names_count(home), 1);
    assert_int_equal(unlink(letter), 0);
    assert_applied(rack, rack_apply(rack, 9, 2, "create", "Pool", rest));
}

static void a_directory_that_others_may_write_to_is_no_pool(void **state)
{
    struct rack *rack = *state;
    const char *shared = arena_printf(rack->arena, "%s/shared", rack->dir);
    const char *rest =
        arena_printf(rack->arena, "{\"spec\":{\"path\":\"%s\"},\"name\":\"shared\"}", shared);
    assert_int_equal(mkdir(shared, 0700), 0);
    assert_int_equal(chmod(shared, 0770), 0);
    assert_refused(rack, rack_apply(rack, 9, 1, "create", "Pool", rest), "denied",
                   "its mode is 0770");
    assert_int_equal(names_count(shared), 0);
    assert_int_equal(chmod(shared, 0755), 0);
    assert_applied(rack, rack_apply(rack, 9, 2, "create", "Pool", rest));
}

static void whom_an_op_refers_to_has_a_uid_and_no_path(void **state)
{
    struct rack *rack = *state;
    const struct value *answer =
        rack_apply(rack, 1, 1, "create", "Volume",
                   "{\"spec\":{\"size\":4096,\"format\":\"raw\",\"pool\":\"x\",\"image\":\"os\"},"
                   "\"refs\":{\"Image\":{\"os\":{\"uid\":\"../../etc\",\"spec\":{}}}}}");
    assert_non_null(strstr(value_at_text(answer, "error.message", ""), "refs has a uid that"));
}

static const char *trash_of(struct rack *rack)
{
    return arena_printf(rack->arena, "%s/state/pools/default/.trash", rack->dir);
}

static void a_purge_empties_the_trash_of_that_volume_alone(void **state)
{
    struct rack *rack = *state;
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("1048576", "raw")));
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "Volume", VOLUME("1048576", "qcow2")));
    assert_applied(rack, rack_apply(rack, 3, 1, "create", "Volume", VOLUME("1048576", "raw")));
    assert_applied(rack, rack_apply(rack, 1, 2, "delete", "Volume", VOLUME("1048576", "raw")));
    assert_applied(rack, rack_apply(rack, 2, 2, "delete", "Volume", VOLUME("1048576", "qcow2")));
    assert_int_equal(names_count(trash_of(rack)), 2);
    assert_applied(rack, rack_apply(rack, 1, 3, "delete", "Volume", "{\"purge\":true}"));
    assert_int_equal(names_count(trash_of(rack)), 1);
    /* What is not in the trash yet goes at once. */
    assert_applied(rack, rack_apply(rack, 3, 2, "delete", "Volume", "{\"purge\":true}"));
    assert_int_equal(names_count(trash_of(rack)), 1);
    assert_true(is_absent(rack_look(rack, 3)));
}

static void the_trash_is_emptied_when_both_clocks_say_so(void **state)
{
    struct rack *rack = *state;
    const char *old;
    subject_kill(&rack->subject);
    rack_start(rack, "{\"trashRetention\":\"1s\"}");
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("1048576", "raw")));
    assert_applied(rack, rack_apply(rack, 1, 2, "delete", "Volume", VOLUME("1048576", "raw")));
    /* By the wall clock long over; but the driver was never up for as long. */
    old = arena_printf(rack->arena, "%s/%s.1000000000.999999999", trash_of(rack), uid_of(rack, 2));
    file_write(old, "precious", 8, 0600);
    for (int tries = 0; names_count(trash_of(rack)) > 1 && tries < 1000; tries++)
        usleep(10000);
    assert_int_equal(names_count(trash_of(rack)), 1);
    assert_int_equal(access(old, F_OK), 0);
}

static void tag_remove(struct rack *rack, const char *path)
{
    removexattr(path, "user.spinel");
    unlink(arena_printf(rack->arena, "%s.tag", path));
}

static void what_carries_no_valid_tag_is_never_touched(void **state)
{
    struct rack *rack = *state;
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("1048576", "raw")));
    const char *copy =
        arena_printf(rack->arena, "%s/state/pools/default/%s.raw", rack->dir, uid_of(rack, 2));
    copy_make(rack, path_of(rack, 1), copy); /* under another name */
    assert_non_null(strstr(doubt_of(rack, 2), copy));
    assert_refused(rack, rack_apply(rack, 2, 1, "create", "Volume", VOLUME("1048576", "raw")),
                   "denied", "does not verify");
    assert_int_equal(value_get(rack_list(rack, NULL), "list")->count, 1);
    assert_non_null(strstr(strangers_of(rack), copy));
}

/* Whose inode is another one. */
static void a_restored_volume_is_the_volume_again(void **state)
{
    struct rack *rack = *state;
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", SAFE("1048576", "false")));
    const char *own = path_of(rack, 1);
    copy_in_place(rack, own);
    assert_false(is_absent(rack_look(rack, 1)));
    assert_string_equal(path_of(rack, 1), own);
    assert_string_equal(strangers_of(rack), "[]");
    assert_applied(rack, rack_apply(rack, 1, 2, "update", "Volume", SAFE("2097152", "false")));
    assert_applied(rack, rack_apply(rack, 1, 3, "delete", "Volume", SAFE("2097152", "false")));
    assert_int_equal(access(own, F_OK), -1);
    assert_true(is_absent(rack_look(rack, 1)));
}

/* As from a backup without extended attributes. It is not lost, and nothing takes its place. */
static void a_volume_restored_without_its_tag_is_unknown_and_not_absent(void **state)
{
    struct rack *rack = *state;
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("1048576", "raw")));
    const char *own = path_of(rack, 1);
    tag_remove(rack, own);
    const char *doubt = doubt_of(rack, 1);
    assert_non_null(strstr(doubt, own));
    assert_non_null(strstr(doubt, "restored without its extended attributes"));
    assert_non_null(strstr(strangers_of(rack), "restored without its extended attributes"));
    static const char *const verbs[] = {"create", "update", "release", "adopt", "delete"};
    for (int i = 0; i < 5; i++)
        assert_refused(rack,
                       rack_apply(rack, 1, 2 + i, verbs[i], "Volume", VOLUME("1048576", "raw")),
                       "denied", own);
    assert_int_equal(access(own, F_OK), 0);
}

/* The tag alone knows of it, as after the loss of the driver's own directory. */
static void an_epoch_in_a_tag_counts_without_a_ledger(void **state)
{
    struct rack *rack = *state;
    assert_applied(rack, rack_apply(rack, 1, 5, "create", "Volume", VOLUME("1048576", "raw")));
    const char *own = path_of(rack, 1);
    subject_kill(&rack->subject);
    assert_int_equal(unlink(arena_printf(rack->arena, "%s/state/drivers/file/ledger", rack->dir)),
                     0);
    rack_start(rack, "{}");
    assert_refused(rack, rack_apply(rack, 1, 4, "delete", "Volume", VOLUME("1048576", "raw")),
                   "stale", "seen epoch 5");
    assert_int_equal(access(own, F_OK), 0);
}

/* Of a driver that looks at each file, the token is of what it found. */
static void a_list_that_says_the_same_is_not_said_again(void **state)
{
    struct rack *rack = *state;
    const char *empty = rack_token(rack, NULL, 0);
    assert_unchanged(rack, empty);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("1048576", "raw")));
    const char *made = rack_token(rack, empty, 1);
    assert_unchanged(rack, made);
    subject_kill(&rack->subject);
    rack_start(rack, "{}");
    assert_unchanged(rack, made);
    assert_int_equal(truncate(path_of(rack, 1), 2097152), 0);
    const char *larger = rack_token(rack, made, 1);
    file_write(
        arena_printf(rack->arena, "%s/state/pools/default/%s.raw", rack->dir, uid_of(rack, 7)), "x",
        1, 0600);
    const char *with_stray = rack_token(rack, larger, 1);
    assert_unchanged(rack, with_stray);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_volume_has_exactly_the_size_that_was_asked_for),
        TEST(an_empty_qcow2_volume_is_as_qemu_img_makes_it),
        TEST(a_volume_grows_in_place_and_never_shrinks),
        TEST(a_volume_that_a_process_holds_is_left_alone),
        TEST(a_released_volume_keeps_its_bytes),
        TEST(a_protected_volume_is_not_deleted),
        TEST(a_deleted_volume_lies_in_the_trash),
        TEST(a_directory_in_use_for_something_else_is_no_pool),
        TEST(whom_an_op_refers_to_has_a_uid_and_no_path),
        TEST(a_directory_that_others_may_write_to_is_no_pool),
        TEST(a_purge_empties_the_trash_of_that_volume_alone),
        TEST(the_trash_is_emptied_when_both_clocks_say_so),
        TEST(what_carries_no_valid_tag_is_never_touched),
        TEST(a_restored_volume_is_the_volume_again),
        TEST(a_volume_restored_without_its_tag_is_unknown_and_not_absent),
        TEST(an_epoch_in_a_tag_counts_without_a_ledger),
        TEST(a_list_that_says_the_same_is_not_said_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
