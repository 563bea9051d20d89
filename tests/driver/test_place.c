/* SPDX-License-Identifier: MPL-2.0 */
/* Where pools are, and whose image is whose: what cannot be looked at is not gone. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/file/fetch.c"
#include "drivers/file/image.c"
#include "drivers/file/mark.c"
#include "drivers/file/place.c"
#include "drivers/file/qcow2.c"
#include "drivers/file/reach.c"
#include "drivers/file/staging.c"
#include "drivers/lib/host.h"

static int stat_errno; /* 0: it works */

int __real_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st)
{
    if (stat_errno == 0)
        return __real_stat(path, st);
    errno = stat_errno;
    return -1;
}

static int fstat_errno;

int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st)
{
    if (fstat_errno == 0)
        return __real_fstat(fd, st);
    errno = fstat_errno;
    return -1;
}

static int attribute_errno;

ssize_t __real_lgetxattr(const char *path, const char *name, void *value, size_t size);
ssize_t __wrap_lgetxattr(const char *path, const char *name, void *value, size_t size);
ssize_t __wrap_lgetxattr(const char *path, const char *name, void *value, size_t size)
{
    if (attribute_errno == 0)
        return __real_lgetxattr(path, name, value, size);
    errno = attribute_errno;
    return -1;
}

struct site {
    char dir[64], pool[128];
    struct spinel_host host;
    struct pool_places places;
    struct error err;
};

static int site_make(void **state)
{
    static struct site site;
    char path[96];
    strcpy(site.dir, "/tmp/spinel-place-XXXXXX");
    assert_non_null(mkdtemp(site.dir));
    snprintf(path, sizeof path, "%s/pools", site.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(site.pool, sizeof site.pool, "%s/default", path);
    assert_int_equal(mkdir(site.pool, 0700), 0);
    site.host = (struct spinel_host){
        .arena = arena_new(), .state_dir = site.dir, .own_dir = "/nowhere", .rack_id = ""};
    site.err = (struct error)ERROR_INIT;
    *state = &site;
    return 0;
}

static int site_remove(void **state)
{
    struct site *site = *state;
    char path[96];
    stat_errno = fstat_errno = 0;
    snprintf(path, sizeof path, "%s/pools", site->dir);
    rmdir(site->pool);
    rmdir(path);
    rmdir(site->dir);
    arena_free(site->host.arena);
    return 0;
}

static void directory_below_pools_is_a_place(void **state)
{
    struct site *site = *state;
    assert_int_equal(places_read(&site->host, &site->places, &site->err), 0);
    assert_int_equal(site->places.count, 1);
    assert_string_equal(site->places.items[0].dir, site->pool);
}

static void place_that_cannot_be_looked_at_is_an_error(void **state)
{
    struct site *site = *state;
    stat_errno = EIO;
    assert_int_equal(places_read(&site->host, &site->places, &site->err), ERR_SYSTEM);
    assert_non_null(strstr(site->err.message, site->pool));
}

static void place_that_went_meanwhile_is_none(void **state)
{
    struct site *site = *state;
    stat_errno = ENOENT;
    assert_int_equal(places_read(&site->host, &site->places, &site->err), 0);
    assert_int_equal(site->places.count, 0);
}

static void tag_that_cannot_be_read_is_told_from_none(void **state)
{
    struct site *site = *state;
    const struct value *tag;
    char path[160];
    snprintf(path, sizeof path, "%s/volume", site->pool);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    attribute_errno = EIO;
    assert_int_equal(mark_read(&site->host, path, "default", "Volume", &tag, &site->err),
                     ERR_SYSTEM);
    assert_int_equal(site->err.sys_errno, EIO);
    attribute_errno = ENODATA;
    assert_int_equal(mark_read(&site->host, path, "default", "Volume", &tag, &site->err), 0);
    assert_null(tag);
    unlink(path);
    assert_int_equal(mark_read(&site->host, path, "default", "Volume", &tag, &site->err), 0);
    assert_null(tag);
}

static const struct spinel_op made = {.epoch = 1,
                                      .kind = "Volume",
                                      .uid = "0f8d8e6a0c6b4c0f9d0a1b2c3d4e5f60",
                                      .name = "v",
                                      .project = "p"};

/* Or what a tag has of the object's own would be lost. */
static void tag_that_cannot_be_read_is_not_written_over(void **state)
{
    struct site *site = *state;
    char path[160];
    int fd = -1;
    snprintf(path, sizeof path, "%s/volume", site->pool);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    attribute_errno = EIO;
    assert_int_equal(mark_rewrite(&site->host, path, "default", &made, NULL, &fd, &site->err),
                     ERR_SYSTEM);
    assert_int_equal(site->err.sys_errno, EIO);
    assert_int_equal(fd, -1);
    assert_int_equal(access(mark_sidecar(&site->host, path), F_OK), -1);
    attribute_errno = 0;
    unlink(path);
}

static const struct value *tag_at(struct site *site, const char *path, const char *within)
{
    const struct value *tag = NULL;
    assert_int_equal(mark_read(&site->host, path, within, "Volume", &tag, &site->err), 0);
    return tag;
}

/* In place of the file, with its tag and another inode. */
static void copy_in_place(struct site *site, const char *path)
{
    char copy[160], tag[4096];
    snprintf(copy, sizeof copy, "%s/copy", site->pool);
    ssize_t len = __real_lgetxattr(path, ATTRIBUTE, tag, sizeof tag);
    fclose(fopen(copy, "w"));
    assert_true(len <= 0 || setxattr(copy, ATTRIBUTE, tag, (size_t)len, 0) == 0);
    assert_int_equal(rename(copy, path), 0);
}

/* Over name and inode, as files were tagged once. */
static void tag_of_the_former_form_is_read_and_written_anew(void **state)
{
    struct site *site = *state;
    char path[160];
    int fd;
    snprintf(path, sizeof path, "%s/volume", site->pool);
    fclose(fopen(path, "w"));
    assert_int_equal(mark_rewrite(&site->host, path, NULL, &made, NULL, &fd, &site->err), 0);
    close(fd);
    assert_non_null(tag_at(site, path, "default"));
    copy_in_place(site, path);
    assert_null(tag_at(site, path, "default"));
    assert_int_equal(mark_rewrite(&site->host, path, NULL, &made, NULL, &fd, &site->err), 0);
    close(fd);
    assert_int_equal(mark_rewrite(&site->host, path, "default", &made, NULL, &fd, &site->err), 0);
    close(fd);
    copy_in_place(site, path);
    assert_non_null(tag_at(site, path, "default"));
    assert_null(tag_at(site, path, "another"));
    assert_null(tag_at(site, path, NULL));
    unlink(mark_sidecar(&site->host, path));
    unlink(path);
}

static void pool_of_the_former_form_is_the_pool(void **state)
{
    struct site *site = *state;
    const struct spinel_op op = {
        .epoch = 1, .kind = "Pool", .uid = "0f8d8e6a0c6b4c0f9d0a1b2c3d4e5f60", .name = "x"};
    struct stat st;
    const struct value *tag;
    char path[160], native[160];
    snprintf(path, sizeof path, "%s/" POOL_TAG, site->pool);
    assert_int_equal(__real_stat(site->pool, &st), 0);
    for (uintmax_t i = 0; i < 2; i++) {
        snprintf(native, sizeof native, "%s:%ju", site->pool, (uintmax_t)st.st_ino + i);
        assert_int_equal(tag_file_write(&site->host, path, &op, native, NULL, &site->err), 0);
        assert_int_equal(pool_tag(&site->host, site->pool, &tag, &site->err), 0);
        assert_int_equal(tag != NULL, i == 0);
    }
    unlink(path);
}

static void tag_file_that_cannot_be_read_is_told_from_none(void **state)
{
    struct site *site = *state;
    const struct value *tag;
    char path[160];
    snprintf(path, sizeof path, "%s/" POOL_TAG, site->pool);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    fstat_errno = EIO;
    assert_int_equal(pool_tag(&site->host, site->pool, &tag, &site->err), ERR_SYSTEM);
    assert_int_equal(site->err.sys_errno, EIO);
    assert_int_equal(places_read(&site->host, &site->places, &site->err), 0);
    assert_true(site->places.items[0].is_unmounted);
    fstat_errno = 0;
    assert_int_equal(pool_tag(&site->host, site->pool, &tag, &site->err), 0);
    assert_null(tag);
    unlink(path);
    assert_int_equal(pool_tag(&site->host, site->pool, &tag, &site->err), 0);
    assert_null(tag);
    assert_int_equal(places_read(&site->host, &site->places, &site->err), 0);
    assert_false(site->places.items[0].is_unmounted);
}

static void pool_that_cannot_be_looked_at_may_be_unmounted(void **state)
{
    struct site *site = *state;
    const struct value *tag;
    stat_errno = EIO;
    assert_int_equal(pool_tag(&site->host, site->pool, &tag, &site->err), ERR_SYSTEM);
    assert_int_equal(site->err.sys_errno, EIO);
    stat_errno = ENOENT;
    assert_int_equal(pool_tag(&site->host, site->pool, &tag, &site->err), 0);
    assert_null(tag);
}

/* Whether the bytes are there after an image was done with them, while the tag of another one lies
 * beside them. */
static bool bytes_stay(struct site *site, int tag_errno, int *result)
{
    char dir[96], tag[160], bytes[160];
    snprintf(dir, sizeof dir, "%s/images", site->dir);
    snprintf(tag, sizeof tag, "%s/00000000000000000000000000000002.tag", dir);
    snprintf(bytes, sizeof bytes, "%s/sha256-0", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    fclose(fopen(tag, "w"));
    fclose(fopen(bytes, "w"));
    fstat_errno = tag_errno;
    *result = bytes_drop(&site->host, bytes, "00000000000000000000000000000001", &site->err);
    fstat_errno = 0;
    bool is_there = access(bytes, F_OK) == 0;
    unlink(tag);
    unlink(bytes);
    rmdir(dir);
    return is_there;
}

static void bytes_stay_while_another_tag_cannot_be_read(void **state)
{
    int result;
    assert_true(bytes_stay(*state, EIO, &result));
    assert_int_equal(result, ERR_SYSTEM);
    assert_false(bytes_stay(*state, 0, &result));
    assert_int_equal(result, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(directory_below_pools_is_a_place, site_make, site_remove),
        cmocka_unit_test_setup_teardown(place_that_cannot_be_looked_at_is_an_error, site_make,
                                        site_remove),
        cmocka_unit_test_setup_teardown(place_that_went_meanwhile_is_none, site_make, site_remove),
        cmocka_unit_test_setup_teardown(tag_that_cannot_be_read_is_told_from_none, site_make,
                                        site_remove),
        cmocka_unit_test_setup_teardown(tag_that_cannot_be_read_is_not_written_over, site_make,
                                        site_remove),
        cmocka_unit_test_setup_teardown(tag_of_the_former_form_is_read_and_written_anew, site_make,
                                        site_remove),
        cmocka_unit_test_setup_teardown(pool_of_the_former_form_is_the_pool, site_make,
                                        site_remove),
        cmocka_unit_test_setup_teardown(tag_file_that_cannot_be_read_is_told_from_none, site_make,
                                        site_remove),
        cmocka_unit_test_setup_teardown(pool_that_cannot_be_looked_at_may_be_unmounted, site_make,
                                        site_remove),
        cmocka_unit_test_setup_teardown(bytes_stay_while_another_tag_cannot_be_read, site_make,
                                        site_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
