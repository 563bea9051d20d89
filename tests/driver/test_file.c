/* SPDX-License-Identifier: MPL-2.0 */
/* The file driver on real files: whole or not at all, never somebody else's, never while
 * a process holds them, and a full disk is said to be full. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <sys/xattr.h>
#include "tests/driver/file_rack.h"

enum { MIB = 1 << 20 };

static const char *path_of(struct rack *rack, unsigned n)
{
    return value_at_text(rack_look(rack, n), "status.path", "");
}

/* Names in a directory, hidden ones too. */
static int names_count(const char *path)
{
    DIR *dir = opendir(path);
    int count = -2;
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* A file of `len` bytes that differ from place to place, and its sha256 as hex. */
static const char *source_make(struct rack *rack, const char *name, size_t len, char hex[65])
{
    const char *path = arena_printf(rack->arena, "%s/%s", rack->dir, name);
    unsigned char hash[32], *bytes = calloc(1, len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    file_write(path, bytes, len, 0644);
    crypto_hash_sha256(hash, bytes, len);
    sodium_bin2hex(hex, 65, hash, sizeof hash);
    free(bytes);
    return path;
}

static const char *image_json(struct rack *rack, const char *key, const char *source,
                              const char *hex)
{
    return arena_printf(rack->arena,
                        "{\"spec\":{\"%s\":\"%s\",\"digest\":\"sha256:%s\",\"format\":\"raw\"}}",
                        key, source, hex);
}

static const char *volume_of_image_json(struct rack *rack, const char *hex, const char *format)
{
    return arena_printf(rack->arena,
                        "{\"spec\":{\"size\":%d,\"format\":\"%s\",\"image\":\"os\"},"
                        "\"refs\":{\"Image\":{\"os\":{\"uid\":\"%s\",\"spec\":{"
                        "\"digest\":\"sha256:%s\",\"format\":\"raw\"}}}}}",
                        64 * MIB, format, uid_of(rack, 1), hex);
}

#define VOLUME(bytes, format) "{\"spec\":{\"size\":" bytes ",\"format\":\"" format "\"}}"

/* ---- volumes ------------------------------------------------------------------------ */

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

/* With its tag, as 'cp --preserve=all' makes it: the bytes, the attributes, and another inode. */
static void copy_make(struct rack *rack, const char *from, const char *to)
{
    char tag[4096], bytes[64] = "";
    ssize_t len = getxattr(from, "user.spinel", tag, sizeof tag);
    struct stat st;
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0 && read(fd, bytes, sizeof bytes) > 0);
    close(fd);
    file_write(to, bytes, sizeof bytes, 0600);
    assert_int_equal(truncate(to, st.st_size), 0);
    if (len > 0) {
        assert_int_equal(setxattr(to, "user.spinel", tag, (size_t)len, 0), 0);
        return;
    }
    from = arena_printf(rack->arena, "%s.tag", from);
    fd = open(from, O_RDONLY | O_CLOEXEC);
    len = fd < 0 ? -1 : read(fd, tag, sizeof tag);
    assert_true(len > 0);
    close(fd);
    file_write(arena_printf(rack->arena, "%s.tag", to), tag, (size_t)len, 0600);
}

static void copy_in_place(struct rack *rack, const char *path)
{
    const char *copy = arena_printf(rack->arena, "%s/copy", rack->dir);
    copy_make(rack, path, copy);
    assert_int_equal(rename(copy, path), 0);
    if (access(arena_printf(rack->arena, "%s.tag", copy), F_OK) == 0)
        assert_int_equal(rename(arena_printf(rack->arena, "%s.tag", copy),
                                arena_printf(rack->arena, "%s.tag", path)),
                         0);
}

static void tag_remove(struct rack *rack, const char *path)
{
    removexattr(path, "user.spinel");
    unlink(arena_printf(rack->arena, "%s.tag", path));
}

static bool is_unknown(const struct value *object)
{
    return value_get_bool(object, "unknown", false) && !is_absent(object);
}

/* Of an object that cannot be told: what is said of it. */
static const char *doubt_of(struct rack *rack, unsigned n)
{
    const struct value *object = rack_look(rack, n);
    if (!is_unknown(object))
        fail_msg("%s", json_text(rack->arena, object));
    return value_at_text(object, "error.message", "");
}

/* What is listed as not ours. */
static const char *strangers_of(struct rack *rack)
{
    return json_text(rack->arena, value_get(rack_list(rack, NULL), "unmanaged"));
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

/* ---- pools -------------------------------------------------------------------------- */

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

/* ---- images ------------------------------------------------------------------------- */

static void an_image_with_another_digest_is_refused_and_not_kept(void **state)
{
    struct rack *rack = *state;
    char hex[65], wrong[65];
    const char *source = source_make(rack, "os.raw", MIB, hex);
    assert_int_equal(chmod(rack->dir, 0711), 0);
    memcpy(wrong, hex, sizeof wrong);
    wrong[0] = wrong[0] == '0' ? '1' : '0';
    const struct value *answer =
        rack_apply(rack, 1, 1, "create", "Image", image_json(rack, "path", source, wrong));
    assert_refused(rack, answer, "invalid", wrong);
    assert_refused(rack, answer, "invalid", hex);
    assert_int_equal(names_count(arena_printf(rack->arena, "%s/state/images", rack->dir)), 0);
    assert_true(is_absent(rack_look(rack, 1)));
}

static void bytes_that_another_image_uses_stay(void **state)
{
    struct rack *rack = *state;
    char hex[65];
    const char *source = source_make(rack, "os.raw", MIB, hex);
    const char *json = image_json(rack, "path", source, hex);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Image", json));
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "Image", json));
    assert_applied(rack, rack_apply(rack, 1, 2, "delete", "Image", json));
    assert_int_equal(access(path_of(rack, 2), F_OK), 0);
    const char *path = path_of(rack, 2);
    assert_applied(rack, rack_apply(rack, 2, 2, "delete", "Image", json));
    assert_int_equal(access(path, F_OK), -1);
}

/* The driver is root and whoever pushes names the path. */
static void an_image_from_a_file_that_not_everybody_may_read_is_refused(void **state)
{
    struct rack *rack = *state;
    char hex[65];
    const char *source = source_make(rack, "secret.raw", MIB, hex);
    const char *url = arena_printf(rack->arena, "file://%s", source);
    assert_int_equal(chmod(source, 0600), 0);
    assert_refused(rack,
                   rack_apply(rack, 1, 1, "create", "Image", image_json(rack, "path", source, hex)),
                   "denied", "everybody may read");
    assert_refused(rack,
                   rack_apply(rack, 1, 2, "create", "Image", image_json(rack, "url", url, hex)),
                   "denied", "everybody may read");
    assert_refused(
        rack, rack_apply(rack, 1, 3, "create", "Image", image_json(rack, "path", "/dev/zero", hex)),
        "denied", "not a regular file");
    assert_true(is_absent(rack_look(rack, 1)));
}

/* Else two pushes would read it: one to be told its digest, one to name it. */
static void the_digest_of_a_file_in_a_closed_directory_is_not_told(void **state)
{
    struct rack *rack = *state;
    char hex[65], wrong[65];
    const char *source = source_make(rack, "secret.raw", MIB, hex);
    assert_int_equal(chmod(rack->dir, 0700), 0);
    memcpy(wrong, hex, sizeof wrong);
    wrong[0] = wrong[0] == '0' ? '1' : '0';
    const struct value *answer =
        rack_apply(rack, 1, 1, "create", "Image", image_json(rack, "path", source, wrong));
    assert_refused(rack, answer, "invalid", wrong);
    assert_null(strstr(json_text(rack->arena, answer), hex));
    assert_applied(
        rack, rack_apply(rack, 1, 2, "create", "Image", image_json(rack, "path", source, hex)));
}

static void an_image_that_was_changed_is_damage(void **state)
{
    struct rack *rack = *state;
    char hex[65];
    const char *source = source_make(rack, "os.raw", MIB, hex);
    const char *image = image_json(rack, "path", source, hex);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Image", image));
    assert_null(value_at(rack_look(rack, 1), "damage[0]"));
    int fd = open(path_of(rack, 1), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "evil", 4, 77), 4);
    close(fd);
    assert_string_equal(value_at_text(rack_look(rack, 1), "damage[0].path", ""), "status.content");
    assert_refused(
        rack, rack_apply(rack, 2, 1, "create", "Volume", volume_of_image_json(rack, hex, "raw")),
        "corrupt", "changed since");
    assert_true(is_absent(rack_look(rack, 2)));
    assert_applied(rack, rack_apply(rack, 1, 2, "update", "Image", image));
    assert_null(value_at(rack_look(rack, 1), "damage[0]"));
}

static void an_image_that_leads_to_another_file_is_refused(void **state)
{
    struct rack *rack = *state;
    unsigned char header[512] = {
        'Q', 'F', 'I', 0xfb, [7] = 2, [15] = 104, [19] = 11, [23] = 16, [29] = 16};
    unsigned char hash[32];
    char hex[65];
    const char *path = arena_printf(rack->arena, "%s/evil.qcow2", rack->dir);
    memcpy(header + 104, "/etc/shadow", 11); /* NOLINT: the header's [19] says how long it is */
    file_write(path, header, sizeof header, 0644);
    crypto_hash_sha256(hash, header, sizeof header);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    const char *spec = arena_printf(rack->arena,
                                    "{\"spec\":{\"path\":\"%s\",\"digest\":"
                                    "\"sha256:%s\",\"format\":\"qcow2\"}}",
                                    path, hex);
    assert_refused(rack, rack_apply(rack, 1, 1, "create", "Image", spec), "invalid",
                   "names a backing file");
    assert_int_equal(names_count(arena_printf(rack->arena, "%s/state/images", rack->dir)), 0);
}

static void a_volume_begins_with_the_bytes_of_its_image(void **state)
{
    struct rack *rack = *state;
    char hex[65];
    const char *source = source_make(rack, "os.raw", MIB, hex);
    assert_applied(
        rack, rack_apply(rack, 1, 1, "create", "Image", image_json(rack, "path", source, hex)));
    assert_applied(
        rack, rack_apply(rack, 2, 1, "create", "Volume", volume_of_image_json(rack, hex, "raw")));
    assert_applied(
        rack, rack_apply(rack, 3, 1, "create", "Volume", volume_of_image_json(rack, hex, "qcow2")));
    const char *raw = path_of(rack, 2), *qcow2 = path_of(rack, 3);
    assert_int_equal(system(arena_printf(rack->arena, "cmp -n %d %s %s", MIB, source, raw)), 0);
    assert_int_equal(
        system(arena_printf(rack->arena, "qemu-img compare -q -f raw -F qcow2 %s %s", raw, qcow2)),
        0);
}

static void kill_nine_in_the_middle_of_a_copy_leaves_no_half_file(void **state)
{
    struct rack *rack = *state;
    char hex[65];
    const char *pool = arena_printf(rack->arena, "%s/state/pools/default", rack->dir);
    const char *source = source_make(rack, "os.raw", 48 * MIB, hex);
    const char *volume = volume_of_image_json(rack, hex, "raw");
    assert_applied(
        rack, rack_apply(rack, 1, 1, "create", "Image", image_json(rack, "path", source, hex)));
    for (int delay_ms = 0; delay_ms < 40; delay_ms += 4) {
        rack_send(rack, 2, 1, "create", "Volume", volume);
        poll(NULL, 0, delay_ms); /* a different moment each time; any may be hit */
        subject_kill(&rack->subject);
        rack_start(rack, NULL);
        const struct value *object = rack_look(rack, 2);
        if (is_absent(object))
            assert_true(access(pool, F_OK) < 0 || names_count(pool) == 0);
        else
            assert_int_equal(system(arena_printf(rack->arena, "cmp -n %d %s %s", 48 * MIB, source,
                                                 path_of(rack, 2))),
                             0);
    }
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "Volume", volume));
    assert_int_equal(value_at_int(rack_look(rack, 2), "spec.size", 0), 64 * MIB);
}

/* ---- seeds -------------------------------------------------------------------------- */

#define SEED                                                                                       \
    "{\"spec\":{\"instance\":\"web\",\"instanceId\":\"i-1\",\"metaData\":\"instance-id: i-1\\n\"," \
    "\"userData\":\"password: secret\\n\",\"networkConfig\":\"version: 2\\n\"}}"

static void a_seed_is_readable_and_the_same_each_time(void **state)
{
    struct rack *rack = *state;
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Seed", SEED));
    const char *path = path_of(rack, 1), *dir = rack->dir;
    assert_int_equal(system(arena_printf(rack->arena, "cp %s %s/first", path, dir)), 0);
    assert_int_equal(system(arena_printf(rack->arena,
                                         "mtype -i %s ::user-data >%s/said && "
                                         "grep -qx 'password: secret' %s/said",
                                         path, dir, dir)),
                     0);
    assert_applied(rack, rack_apply(rack, 1, 2, "update", "Seed", SEED));
    assert_int_equal(system(arena_printf(rack->arena, "cmp %s %s/first", path, dir)), 0);
}

static void a_seed_never_tells_its_user_data(void **state)
{
    struct rack *rack = *state;
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Seed", SEED));
    const struct value *object = rack_look(rack, 1);
    assert_null(strstr(json_text(rack->arena, object), "secret"));
    assert_string_equal(value_at_text(object, "spec.metaData", ""), "instance-id: i-1\n");
    char tag[4096] = "";
    assert_true(getxattr(path_of(rack, 1), "user.spinel", tag, sizeof tag - 1) > 0);
    assert_null(strstr(tag, "secret"));
}

static void a_seed_that_was_changed_is_damage(void **state)
{
    struct rack *rack = *state;
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Seed", SEED));
    int fd = open(path_of(rack, 1), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "evil", 4, 900000), 4);
    close(fd);
    assert_string_equal(value_at_text(rack_look(rack, 1), "damage[0].path", ""), "status.content");
}

static void a_restored_seed_is_the_seed_again(void **state)
{
    struct rack *rack = *state;
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Seed", SEED));
    const char *own = path_of(rack, 1);
    copy_in_place(rack, own);
    assert_string_equal(path_of(rack, 1), own);
    assert_applied(rack, rack_apply(rack, 1, 2, "update", "Seed", SEED));
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
        TEST(an_image_with_another_digest_is_refused_and_not_kept),
        TEST(bytes_that_another_image_uses_stay),
        TEST(an_image_from_a_file_that_not_everybody_may_read_is_refused),
        TEST(the_digest_of_a_file_in_a_closed_directory_is_not_told),
        TEST(an_image_that_was_changed_is_damage),
        TEST(an_image_that_leads_to_another_file_is_refused),
        TEST(a_volume_begins_with_the_bytes_of_its_image),
        TEST(kill_nine_in_the_middle_of_a_copy_leaves_no_half_file),
        TEST(a_seed_is_readable_and_the_same_each_time),
        TEST(a_seed_never_tells_its_user_data),
        TEST(a_seed_that_was_changed_is_damage),
        TEST(a_restored_seed_is_the_seed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
