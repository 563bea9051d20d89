/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the file driver has said to be done is on disk: bytes and tag before the name, and the
 * directories that hold the name before the answer. A power loss shows it only at times; the
 * order of the calls shows it always (tests/driver/sync_log.c).
 */
#include <errno.h>
#include <fcntl.h>
#include "tests/driver/rack.h"

#define VOLUME(protect) "{\"spec\":{\"size\":1048576,\"format\":\"raw\",\"protect\":" protect "}}"

static int setup(void **state)
{
    struct rack *rack = rack_new("file");
    const char *build = getenv("BUILD");
    const char *log = arena_printf(rack->arena, "%s/log", rack->dir);
    setenv("SYNC_LOG", log, 1);
    setenv("LD_PRELOAD",
           arena_printf(rack->arena, "%s/tests/driver/sync_log.so", build ? build : "build"), 1);
#ifndef __SANITIZE_ADDRESS__
    rack_start(rack, NULL);
#endif
    unsetenv("LD_PRELOAD");
    *state = rack;
    return 0;
}

/* Long enough for a step to have begun that does not wait for it. */
static int setup_slow(void **state)
{
    setenv("SYNC_SLOW_MS", "500", 1);
    int result = setup(state);
    unsetenv("SYNC_SLOW_MS");
    return result;
}

static int teardown(void **state)
{
    rack_free(*state);
    return 0;
}

/* AddressSanitizer has to be loaded before anything else, and refuses to start. */
static void skip_with_address_sanitizer(void)
{
#ifdef __SANITIZE_ADDRESS__
    print_message("SKIP: nothing can be preloaded before AddressSanitizer\n");
    skip();
#endif
}

static char *log_take(struct rack *rack)
{
    const char *path = arena_printf(rack->arena, "%s/log", rack->dir);
    char *text = arena_alloc(rack->arena, 65536);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t len = read(fd, text, 65535);
    assert_true(len > 0 && len < 65535);
    assert_int_equal(ftruncate(fd, 0), 0);
    close(fd);
    return text;
}

static const char *path_of(struct rack *rack)
{
    return value_at_text(
        subject_receive(
            &rack->subject,
            subject_send(&rack->subject, "observe",
                         json_of(rack->arena, arena_printf(rack->arena, "{\"uids\":[\"%s\"]}",
                                                           uid_of(rack, 1))))),
        "result.objects[0].status.path", "");
}

static ino_t inode_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        fail_msg("%s: %s", path, strerror(errno));
    return st.st_ino;
}

static char *dir_of(struct rack *rack, const char *path)
{
    return arena_text_n(rack->arena, path, (size_t)(strrchr(path, '/') - path));
}

/* Where the log says that; NULL: nowhere. */
static const char *find(struct rack *rack, const char *log, const char *what, ino_t inode)
{
    return strstr(log, arena_printf(rack->arena, "%s %ju ", what, (uintmax_t)inode));
}

static void a_new_volume_is_on_disk_before_it_has_its_name(void **state)
{
    struct rack *rack = *state;
    skip_with_address_sanitizer();
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("false")));
    const char *log = log_take(rack), *path = path_of(rack);
    ino_t inode = inode_of(path);
    const char *synced = find(rack, log, "sync", inode), *named = find(rack, log, "name", inode);
    assert_non_null(named);
    assert_non_null(synced);
    assert_true(synced < named);
    assert_non_null(find(rack, named, "sync", inode_of(dir_of(rack, path))));
}

static void the_ledger_is_on_disk_before_it_has_its_name(void **state)
{
    struct rack *rack = *state;
    skip_with_address_sanitizer();
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("false")));
    const char *path = arena_printf(rack->arena, "%s/state/drivers/file/ledger", rack->dir);
    const char *log = log_take(rack);
    const char *synced = find(rack, log, "sync", inode_of(path)),
               *named = find(rack, log, "name", inode_of(path));
    assert_non_null(named);
    assert_true(synced && synced < named);
    assert_non_null(find(rack, named, "sync", inode_of(dir_of(rack, path))));
}

static void a_step_is_let_in_on_disk_before_it_begins(void **state)
{
    struct rack *rack = *state;
    skip_with_address_sanitizer();
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("false")));
    log_take(rack);
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "Volume", VOLUME("false")));
    const char *log = log_take(rack);
    const char *ledger = arena_printf(rack->arena, "%s/state/drivers/file/ledger", rack->dir);
    const char *path = value_at_text(rack_look(rack, 2), "status.path", "");
    const char *admitted = find(rack, log, "sync", inode_of(ledger));
    assert_non_null(admitted);
    assert_true(admitted < find(rack, log, "sync", inode_of(path)));
}

/* Without it, all that was signed with it would be somebody else's. */
static void the_key_is_on_disk_with_its_name_before_anything_is_signed(void **state)
{
    struct rack *rack = *state;
    skip_with_address_sanitizer();
    const char *path = arena_printf(rack->arena, "%s/state.key", rack->dir);
    const char *log = log_take(rack);
    const char *synced = find(rack, log, "sync", inode_of(path)),
               *named = find(rack, log, "name", inode_of(path));
    assert_non_null(named);
    assert_true(synced && synced < named);
    assert_non_null(find(rack, named, "sync", inode_of(dir_of(rack, path))));
}

static void the_directories_of_a_first_start_are_on_disk(void **state)
{
    struct rack *rack = *state;
    skip_with_address_sanitizer();
    const char *log = log_take(rack);
    assert_non_null(find(rack, log, "sync", inode_of(rack->dir)));
    assert_non_null(
        find(rack, log, "sync", inode_of(arena_printf(rack->arena, "%s/state", rack->dir))));
    assert_non_null(find(rack, log, "sync",
                         inode_of(arena_printf(rack->arena, "%s/state/drivers", rack->dir))));
}

static void a_tag_that_changes_is_on_disk_before_the_answer(void **state)
{
    struct rack *rack = *state;
    skip_with_address_sanitizer();
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("false")));
    const char *path = path_of(rack);
    log_take(rack);
    assert_applied(rack, rack_apply(rack, 1, 2, "update", "Volume", VOLUME("true")));
    assert_non_null(find(rack, log_take(rack), "sync", inode_of(path)));
}

static void a_volume_is_on_disk_in_the_trash_before_the_answer(void **state)
{
    struct rack *rack = *state;
    skip_with_address_sanitizer();
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("false")));
    const char *path = path_of(rack), *dir = dir_of(rack, path);
    ino_t inode = inode_of(path);
    log_take(rack);
    assert_applied(rack, rack_apply(rack, 1, 2, "delete", "Volume", VOLUME("false")));
    const char *log = log_take(rack), *named = find(rack, log, "name", inode);
    assert_non_null(named);
    char *to = arena_text(rack->arena, strchr(named, '/'));
    *strchr(to, '\n') = '\0';
    assert_non_null(find(rack, named, "sync", inode_of(dir_of(rack, to))));
    assert_non_null(find(rack, named, "sync", inode_of(dir)));
}

static size_t times(struct rack *rack, const char *log, const char *what, ino_t inode)
{
    size_t count = 0;
    for (const char *at = log; (at = find(rack, at, what, inode)); at++)
        count++;
    return count;
}

/* So many, at once: they go together. */
static int creates_send(struct rack *rack, unsigned count)
{
    struct text lines = TEXT_INIT;
    int first = rack->subject.next_id + 1;
    for (unsigned n = 1; n <= count; n++)
        text_printf(
            &lines, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"apply\",\"params\":%s}\n",
            ++rack->subject.next_id,
            json_text(rack->arena, rack_params(rack, n, 1, "create", "Volume", VOLUME("false"))));
    assert_true(subject_write(&rack->subject, lines.data, lines.len));
    text_free(&lines);
    return first;
}

/* Of one process, each before any has a name; then their directory, once. */
static void volumes_that_go_together_are_on_disk_before_they_have_names(void **state)
{
    enum { COUNT = 5 };
    struct rack *rack = *state;
    skip_with_address_sanitizer();
    ino_t inodes[COUNT];
    assert_applied(rack, rack_apply(rack, 9, 1, "create", "Volume", VOLUME("false")));
    log_take(rack);
    int first = creates_send(rack, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_applied(rack, subject_receive(&rack->subject, first + i));
    const char *log = log_take(rack), *last = log, *dir = dir_of(rack, path_of(rack));
    for (unsigned n = 1; n <= COUNT; n++) {
        inodes[n - 1] = inode_of(value_at_text(rack_look(rack, n), "status.path", ""));
        const char *named = find(rack, log, "name", inodes[n - 1]);
        assert_non_null(named);
        last = named > last ? named : last;
    }
    for (unsigned n = 0; n < COUNT; n++) {
        const char *synced = find(rack, log, "sync", inodes[n]);
        assert_true(synced && synced < find(rack, log, "name", inodes[0]));
        assert_int_equal(times(rack, log, "sync", inodes[n]), 1);
    }
    assert_int_equal(times(rack, log, "sync", inode_of(dir)), 1);
    assert_non_null(find(rack, last, "sync", inode_of(dir)));
}

/* It has the same directory, and does not get as far as syncing it. */
static void one_that_fails_leaves_the_directory_to_the_others(void **state)
{
    struct rack *rack = *state;
    skip_with_address_sanitizer();
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume",
                                    "{\"spec\":{\"size\":2097152,\"format\":\"raw\"}}"));
    const char *dir = dir_of(rack, path_of(rack));
    log_take(rack);
    int first = creates_send(rack, 2); /* the first would be smaller then */
    assert_refused(rack, subject_receive(&rack->subject, first), "invalid", "shrink");
    assert_applied(rack, subject_receive(&rack->subject, first + 1));
    const char *log = log_take(rack);
    ino_t second = inode_of(value_at_text(rack_look(rack, 2), "status.path", ""));
    const char *named = find(rack, log, "name", second);
    assert_non_null(named);
    assert_non_null(find(rack, named, "sync", inode_of(dir)));
}

/* Who gave it its name may have died before that was durable. */
static void a_volume_that_is_there_already_is_on_disk_before_the_answer(void **state)
{
    struct rack *rack = *state;
    skip_with_address_sanitizer();
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("false")));
    const char *path = path_of(rack);
    log_take(rack);
    assert_applied(rack, rack_apply(rack, 1, 2, "create", "Volume", VOLUME("false")));
    const char *log = log_take(rack);
    assert_non_null(find(rack, log, "sync", inode_of(path)));
    assert_non_null(find(rack, log, "sync", inode_of(dir_of(rack, path))));
}

static void a_volume_that_is_gone_already_is_so_on_disk_before_the_answer(void **state)
{
    struct rack *rack = *state;
    skip_with_address_sanitizer();
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("false")));
    const char *dir = dir_of(rack, path_of(rack));
    assert_applied(rack, rack_apply(rack, 1, 2, "delete", "Volume", VOLUME("false")));
    log_take(rack);
    assert_applied(rack, rack_apply(rack, 1, 3, "delete", "Volume", VOLUME("false")));
    const char *log = log_take(rack);
    const char *trash =
        find(rack, log, "sync", inode_of(arena_printf(rack->arena, "%s/.trash", dir)));
    assert_non_null(trash);
    assert_non_null(find(rack, trash, "sync", inode_of(dir)));
}

static void the_directory_of_a_first_volume_is_on_disk_before_the_answer(void **state)
{
    struct rack *rack = *state;
    skip_with_address_sanitizer();
    log_take(rack);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", VOLUME("false")));
    const char *pools = dir_of(rack, dir_of(rack, path_of(rack)));
    assert_non_null(find(rack, log_take(rack), "sync", inode_of(pools)));
}

static void a_pool_that_is_gone_is_so_on_disk_before_the_answer(void **state)
{
    struct rack *rack = *state;
    skip_with_address_sanitizer();
    const char *pool = arena_printf(rack->arena, "{\"spec\":{\"path\":\"%s/pool\"}}", rack->dir);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Pool", pool));
    log_take(rack);
    assert_applied(rack, rack_apply(rack, 1, 2, "delete", "Pool", pool));
    const char *log = log_take(rack);
    assert_non_null(find(rack, log, "sync", inode_of(rack->dir)));
    assert_non_null(
        find(rack, log, "sync",
             inode_of(arena_printf(rack->arena, "%s/state/drivers/file/pools", rack->dir))));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_step_is_let_in_on_disk_before_it_begins, setup_slow,
                                        teardown),
        TEST(the_key_is_on_disk_with_its_name_before_anything_is_signed),
        TEST(the_directories_of_a_first_start_are_on_disk),
        TEST(a_new_volume_is_on_disk_before_it_has_its_name),
        TEST(volumes_that_go_together_are_on_disk_before_they_have_names),
        TEST(one_that_fails_leaves_the_directory_to_the_others),
        TEST(a_volume_that_is_there_already_is_on_disk_before_the_answer),
        TEST(a_volume_that_is_gone_already_is_so_on_disk_before_the_answer),
        TEST(the_directory_of_a_first_volume_is_on_disk_before_the_answer),
        TEST(the_ledger_is_on_disk_before_it_has_its_name),
        TEST(a_tag_that_changes_is_on_disk_before_the_answer),
        TEST(a_pool_that_is_gone_is_so_on_disk_before_the_answer),
        TEST(a_volume_is_on_disk_in_the_trash_before_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
