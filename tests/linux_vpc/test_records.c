/* SPDX-License-Identifier: MPL-2.0 */
/* What the driver wrote of its objects is read as what it is, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Inodes of what was made durable, in order. */
static ino_t synced[64];
static size_t synced_count;

static int fsync_noted(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && synced_count < sizeof synced / sizeof *synced)
        synced[synced_count++] = st.st_ino;
    return fsync(fd);
}

#define fsync fsync_noted

static bool is_disk_bad;
static struct dirent *directory_read(DIR *dir)
{
    errno = is_disk_bad ? EIO : errno;
    return is_disk_bad ? NULL : readdir(dir);
}
static int directory_lock(int fd, int operation)
{
    errno = is_disk_bad ? ENOLCK : errno;
    return is_disk_bad ? -1 : flock(fd, operation);
}
#define readdir directory_read
#define flock(fd, operation) directory_lock(fd, operation)

#include "drivers/linux-vpc/draft.c"
#include "drivers/linux-vpc/kept.c"
#include "drivers/linux-vpc/names.c"
#include "drivers/linux-vpc/records.c"
#include "drivers/lib/sync.c"
#include "model/durable.c"
#include "tests/driver/descriptors.h"
#undef fsync

#define VPC "0123456789abcdef0123456789abcdef"
#define UID "00000000000000000000000000000001"
#define NIC_SPEC                                                        \
    "\"instance\":\"web\",\"interface\":\"eth0\",\"subnet\":\"front\"," \
    "\"address\":\"10.0.1.5\",\"mac\":\"02:00:5e:00:53:01\",\"labels\":{}"

static char own_dir[] = "/tmp/spinel-records-XXXXXX";

static int setup(void **state)
{
    char path[PATH_MAX];
    (void)state;
    strcpy(own_dir + sizeof own_dir - 7, "XXXXXX");
    assert_non_null(mkdtemp(own_dir));
    snprintf(path, sizeof path, "%s/" VPC, own_dir);
    return mkdir(path, 0700);
}

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(own_dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* The only record of the VPC: of this kind by its name and its word, with this spec. */
static int load(const char *kind, const char *spec, struct error *err)
{
    char path[PATH_MAX];
    struct records records;
    struct arena *arena = arena_new();
    snprintf(path, sizeof path, "%s/" VPC "/%s-" UID ".json", own_dir, kind);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "{\"kind\":\"%s\",\"uid\":\"" UID "\",\"project\":\"shop\",\"name\":\"x\","
            "\"epoch\":1,\"released\":false,\"spec\":{%s},\"chosen\":{}}\n",
            kind, spec);
    fclose(file);
    *err = (struct error)ERROR_INIT;
    int result = records_load(arena, own_dir, VPC, &records, err);
    if (result == 0)
        assert_int_equal(records.count, 1);
    unlink(path);
    arena_free(arena);
    return result;
}

static void each_kind_is_read_as_it_was_written(void **state)
{
    static const char *const records[][2] = {
        {"VPC", "\"prefixes\":[\"10.0.0.0/16\"],\"nat\":true,\"mtu\":1500"},
        {"Subnet", "\"vpc\":\"net\",\"cidr\":\"10.0.1.0/24\",\"dhcp\":true,"
                   "\"dns\":{\"enabled\":true,\"domain\":\"internal\",\"servers\":[\"9.9.9.9\"]}"},
        {"NIC", NIC_SPEC},
        {"Firewall", "\"vpc\":\"net\""},
        {"FloatingIP", "\"vpc\":\"net\",\"address\":\"192.0.2.9\",\"instance\":\"web\""},
        {"PortForward", "\"vpc\":\"net\",\"port\":80,\"instance\":\"web\",\"protocol\":\"tcp\""},
        {"NIC", NIC_SPEC ",\"speed\":7"}, /* of a version to come */
    };
    (void)state;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct error err;
        if (load(records[i][0], records[i][1], &err) < 0)
            fail_msg("%s: %s", records[i][0], err.message);
    }
}

static void what_is_of_another_kind_is_refused_by_name(void **state)
{
    static const char *const cases[][3] = {
        {"NIC", "\"vpc\":\"net\",\"cidr\":\"10.0.1.0/24\"", "it is no NIC: it has no instance"},
        {"NIC", NIC_SPEC ",\"cidr\":\"10.0.1.0/24\"", "the cidr of another kind"},
        {"Subnet", NIC_SPEC, "it is no Subnet: it has no vpc"},
        {"Firewall", "\"vpc\":\"net\",\"cidr\":\"10.0.1.0/24\"", "the cidr of another kind"},
        {"FloatingIP", "\"vpc\":\"net\",\"address\":\"192.0.2.9\",\"port\":80,\"instance\":\"web\"",
         "it is no FloatingIP: it has the port of another kind"},
        {"PortForward", "\"vpc\":\"net\",\"address\":\"192.0.2.9\",\"instance\":\"web\"",
         "it has no port"},
        {"VPC", "\"nat\":true", "it has no prefixes"},
        {"VPC", "\"prefixes\":\"10.0.0.0/16\"", "its prefixes is none that a VPC has"},
        {"PortForward", "\"vpc\":\"net\",\"port\":\"80\",\"instance\":\"web\"", "its port is none"},
        {"Subnet", "\"vpc\":\"net\",\"cidr\":\"10.0.1.0/24\",\"dns\":{\"servers\":[7]}",
         "its dns is none"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err;
        char file[128];
        snprintf(file, sizeof file, VPC "/%s-" UID ".json", cases[i][0]);
        assert_int_equal(load(cases[i][0], cases[i][1], &err), ERR_CORRUPT);
        if (!strstr(err.message, cases[i][2]) || !strstr(err.message, file))
            fail_msg("%s, and not: %s", err.message, cases[i][2]);
        assert_non_null(strstr(err.hint, "Remove the file"));
    }
}

/* ---- after a power cut -------------------------------------------------------------- */

static bool is_synced(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    for (size_t i = 0; i < synced_count; i++)
        if (synced[i] == st.st_ino)
            return true;
    return false;
}

/* Whoever made the directory may have died before its name was durable. */
static void a_record_is_there_with_all_that_leads_to_it(void **state)
{
    char path[PATH_MAX];
    struct error err = ERROR_INIT;
    struct arena *arena = arena_new();
    const struct record record = {
        .kind = RECORD_NIC, .uid = UID, .name = "x", .epoch = 1, .spec = value_map(arena)};
    (void)state;
    synced_count = 0;
    assert_int_equal(record_write(own_dir, VPC, &record, &err), 0);
    assert_int_equal(records_sync(own_dir, VPC, &err), 0);
    snprintf(path, sizeof path, "%s/" VPC "/NIC-" UID ".json", own_dir);
    assert_true(is_synced(path));
    snprintf(path, sizeof path, "%s/" VPC, own_dir);
    assert_true(is_synced(path));
    assert_true(is_synced(own_dir));
    arena_free(arena);
}

static void a_vpc_that_went_does_not_come_back(void **state)
{
    struct error err = ERROR_INIT;
    (void)state;
    assert_int_equal(records_forget(own_dir, VPC, &err), 0);
    synced_count = 0;
    assert_int_equal(records_sync(own_dir, VPC, &err), 0);
    assert_true(is_synced(own_dir));
}

static void a_directory_that_cannot_be_read_to_its_end_is_no_vpc_without_objects(void **state)
{
    struct error err = ERROR_INIT;
    struct records records;
    struct arena *arena = arena_new();
    (void)state;
    is_disk_bad = true;
    int result = records_load(arena, own_dir, VPC, &records, &err);
    is_disk_bad = false;
    assert_int_equal(result, ERR_SYSTEM);
    assert_non_null(strstr(err.message, "cannot read "));
    arena_free(arena);
}

/* Its hint would have a good record removed. */
static void what_cannot_be_opened_is_neither_absent_nor_corrupt(void **state)
{
    static const char name[] = "NIC-" UID ".json";
    struct error err = ERROR_INIT, of_record = ERROR_INIT;
    struct arena *arena = arena_new();
    struct record record;
    const struct value *value, *absent;
    char path[PATH_MAX];
    (void)state;
    snprintf(path, sizeof path, "%s/" VPC, own_dir);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int written = records_write_file(own_dir, VPC, name, value_map(arena), &err);
    descriptors_use_up();
    int result = records_read_file(arena, own_dir, VPC, name, &value, &err);
    int read = record_read(arena, dir, path, VPC, name, &record, &of_record);
    int none = records_read_file(arena, own_dir, VPC, "none.json", &absent, &err);
    descriptors_give_back();
    close(dir);
    assert_int_equal(written, 0);
    assert_int_equal(result, ERR_SYSTEM);
    assert_int_equal(read, ERR_SYSTEM);
    assert_string_equal(of_record.hint, "");
    assert_int_equal(none, ERR_SYSTEM);
    err = (struct error)ERROR_INIT;
    assert_int_equal(records_read_file(arena, own_dir, VPC, "none.json", &absent, &err), 0);
    assert_null(absent);
    assert_int_equal(records_read_file(arena, own_dir, VPC, name, &value, &err), 0);
    assert_non_null(value);
    arena_free(arena);
}

static void which_vpc_has_an_object_is_not_none_when_nobody_can_tell(void **state)
{
    struct error err = ERROR_INIT;
    struct arena *arena = arena_new();
    (void)state;
    assert_null(records_vpc_of(arena, own_dir, RECORD_NIC, UID, &err));
    assert_int_equal(err.code, ERR_NONE);
    assert_null(records_vpc_of(arena, "/nowhere/at/all", RECORD_NIC, UID, &err));
    assert_int_not_equal(err.code, ERR_NONE);
    arena_free(arena);
}

static void a_lock_that_is_refused_is_an_error(void **state)
{
    struct error err = ERROR_INIT;
    (void)state;
    is_disk_bad = true;
    int fd = records_lock(own_dir, VPC, &err);
    is_disk_bad = false;
    assert_int_equal(fd, ERR_SYSTEM);
    assert_non_null(strstr(err.message, "cannot lock "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_kind_is_read_as_it_was_written, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_of_another_kind_is_refused_by_name, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_record_is_there_with_all_that_leads_to_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_vpc_that_went_does_not_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_directory_that_cannot_be_read_to_its_end_is_no_vpc_without_objects, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_opened_is_neither_absent_nor_corrupt, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(which_vpc_has_an_object_is_not_none_when_nobody_can_tell,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_lock_that_is_refused_is_an_error, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
