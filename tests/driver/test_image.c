/* SPDX-License-Identifier: MPL-2.0 */
/* Images and seeds of the file driver: bytes that are what was asked for, or are refused. */
#include <poll.h>
#include "tests/driver/file_look.h"

static const char *volume_of_image_json(struct rack *rack, const char *hex, const char *format)
{
    return arena_printf(rack->arena,
                        "{\"spec\":{\"size\":%d,\"format\":\"%s\",\"image\":\"os\"},"
                        "\"refs\":{\"Image\":{\"os\":{\"uid\":\"%s\",\"spec\":{"
                        "\"digest\":\"sha256:%s\",\"format\":\"raw\"}}}}}",
                        64 * MIB, format, uid_of(rack, 1), hex);
}

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
